use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::emulator::state::target::{AppEngineTarget, HttpTarget, Method, Override, SetAppEngine, Token};
use crate::emulator::state::{Caller, Code, Command, Effect, HttpCall, Refusal, State, Tick, TokenKind};
use crate::names::{QueueName, TaskName};

/// A state with made-up time, and the calls it wanted sent.
struct World {
    state: State,
    now: Timestamp,
    seed: u64,
    calls: Vec<HttpCall>,
}

const QUEUE: &str = "projects/p/locations/l/queues/q";

impl World {
    fn new() -> Self {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        Self { state: State::default(), now, seed: 0, calls: Vec::new() }
    }

    /// With one queue.
    fn with(draft: QueueDraft) -> Self {
        let mut world = Self::new();
        world.apply(CreateQueue { name: queue(), draft }).unwrap();
        world
    }

    fn apply<C: Command>(&mut self, command: C) -> Result<C::Reply, Refusal> {
        self.seed += 1;
        let mut out = Effects::default();
        let reply = command.apply(&mut self.state, Moment { now: self.now, seed: self.seed }, &mut out);
        for effect in out.list {
            let Effect::Send(call) = effect else { panic!("tasks only send: {effect:?}") };
            self.calls.push(call);
        }
        reply
    }

    fn add(&mut self, draft: TaskDraft) -> TaskName {
        let task = self.apply(CreateTask { queue: queue(), draft }).unwrap();
        format!("{QUEUE}/tasks/{}", task.id).parse().unwrap()
    }

    /// Lets time pass up to `until`, tick by tick, and answers each call at once.
    fn pass(&mut self, until: Timestamp, answer: Option<&Answer>) -> Vec<HttpCall> {
        let mut sent = Vec::new();
        loop {
            self.apply(Tick).unwrap();
            let calls = std::mem::take(&mut self.calls);
            for call in &calls {
                let Some(answer) = answer.cloned() else { continue };
                self.apply(crate::emulator::state::Answered { caller: call.caller.clone(), answer }).unwrap();
            }
            sent.extend(calls);
            match self.state.next_due() {
                Some(due) if due <= until => self.now = self.now.max(due),
                _ => break,
            }
        }
        self.now = until;
        sent
    }

    fn pass_for(&mut self, seconds: i64, answer: Option<&Answer>) -> Vec<HttpCall> {
        self.pass(self.now + SignedDuration::from_secs(seconds), answer)
    }

    fn task(&self, name: &TaskName) -> &Task {
        self.state.tasks.task(name).unwrap()
    }

    /// Whether nothing falls due but the end of tasks that get too old.
    fn rests(&self) -> bool {
        self.state.next_due().is_none_or(|due| due.duration_since(self.now) > SignedDuration::from_hours(24 * 24))
    }

    fn queue(&self) -> &Queue {
        self.state.tasks.queue(&queue()).unwrap()
    }

    fn answer(&mut self, call: &HttpCall, answer: Answer) {
        self.apply(crate::emulator::state::Answered { caller: call.caller.clone(), answer }).unwrap();
    }
}

fn queue() -> QueueName {
    QUEUE.parse().unwrap()
}

fn http(url: &str) -> TaskDraft {
    TaskDraft { target: Some(Target::Http(HttpTarget { url: url.into(), ..HttpTarget::default() })), ..TaskDraft::default() }
}

fn named(id: &str) -> TaskDraft {
    TaskDraft { name: format!("{QUEUE}/tasks/{id}"), ..http("http://h.example/") }
}

const FAILS: Option<&Answer> = Some(&Answer::Status(500));
const WORKS: Option<&Answer> = Some(&Answer::Status(204));
/// No answer yet.
const NEVER: Option<&Answer> = None;

const fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

fn header<'a>(call: &'a HttpCall, name: &str) -> Option<&'a str> {
    call.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
}

#[test]
fn a_new_queue_has_googles_defaults() {
    let world = World::with(QueueDraft::default());
    let settings = &world.queue().settings;
    assert_eq!((settings.per_second, settings.burst, settings.concurrent), (500.0, 100, 1000));
    assert_eq!(settings.retry, crate::model::queue::TaskRetry::DEFAULT);
    let rate = |per_second| World::with(QueueDraft { rate: RateDraft { per_second, concurrent: 0 }, ..QueueDraft::default() });
    assert_eq!(rate(0.5).queue().settings.burst, 10);
    assert_eq!(rate(100.0).queue().settings.burst, 20);
}

#[test]
fn a_task_is_sent_with_its_headers_and_gone_after_success() {
    let mut world = World::with(QueueDraft::default());
    let mut draft = named("t-1");
    let Some(Target::Http(target)) = &mut draft.target else { unreachable!() };
    target.body = "hello".into();
    target.headers = [("content-type", "text/plain"), ("host", "evil"), ("X-CloudTasks-QueueName", "evil"), ("User-agent", "mine")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    target.token = Some(Token::Oidc { email: "a@p.iam".into(), audience: String::new() });
    let task = world.add(draft);
    let calls = world.pass_for(1, WORKS);
    let [call] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!(
        (call.method, call.url.as_str(), &call.body[..], call.timeout),
        ("POST", "http://h.example/", &b"hello"[..], Duration::from_mins(10))
    );
    let expected = [
        ("User-Agent", "Google-Cloud-Tasks"),
        ("content-type", "text/plain"),
        ("X-CloudTasks-QueueName", "q"),
        ("X-CloudTasks-TaskName", "t-1"),
        ("X-CloudTasks-TaskRetryCount", "0"),
        ("X-CloudTasks-TaskExecutionCount", "0"),
        ("X-CloudTasks-TaskETA", "1767225600"),
    ];
    assert_eq!(call.headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert!(matches!(&call.token, Some(TokenKind::Oidc { email, audience }) if email == "a@p.iam" && audience == "http://h.example/"));
    assert_eq!(world.state.tasks.task(&task).unwrap_err().code, Code::NotFound);
    assert_eq!(world.queue().samples.attempts().get(&0), Some(&1));
}

#[test]
fn a_day_of_retries() {
    let retry = RetryDraft {
        attempts: 30,
        backoff_min: Some(seconds(10)),
        backoff_max: Some(seconds(3600)),
        doublings: 3,
        ..RetryDraft::default()
    };
    let mut world = World::with(QueueDraft { retry, ..QueueDraft::default() });
    let task = world.add(http("http://h.example/"));
    let start = world.now;
    let calls = world.pass_for(1000, FAILS);
    let etas: Vec<i64> =
        calls.iter().map(|call| header(call, "X-CloudTasks-TaskETA").unwrap().parse::<i64>().unwrap() - start.as_second()).collect();
    assert_eq!(etas, [0, 10, 30, 70, 150, 310, 550, 870]);
    let last = calls.last().unwrap();
    assert_eq!(header(last, "X-CloudTasks-TaskRetryCount"), Some("7"));
    assert_eq!(header(last, "X-CloudTasks-TaskExecutionCount"), Some("0"), "5xx answers are no executions");
    assert_eq!(header(last, "X-CloudTasks-TaskPreviousResponse"), Some("500"));
    assert_eq!(header(last, "X-CloudTasks-TaskRetryReason"), Some(""));
    let kept = world.task(&task);
    assert_eq!((kept.dispatches, kept.responses, kept.first_attempt), (8, 0, Some(start)));
    let attempt = kept.last_attempt.as_ref().unwrap();
    let status = attempt.status.as_ref().unwrap();
    assert_eq!((status.code, status.message.as_str()), (13, "INTERNAL(13): HTTP status code 500"));
    assert_eq!(attempt.response_time.unwrap().duration_since(start).as_secs(), 870);
    world.pass_for(86400, FAILS);
    assert!(world.state.tasks.task(&task).is_err(), "given up after 30 attempts");
    assert_eq!(world.queue().samples.attempts().get(&13), Some(&30));
}

#[test]
fn retrying_stops_only_when_both_limits_are_met() {
    let retry = RetryDraft {
        attempts: 3,
        duration: Some(seconds(100)),
        backoff_min: Some(seconds(10)),
        backoff_max: Some(seconds(10)),
        ..RetryDraft::default()
    };
    let mut world = World::with(QueueDraft { retry, ..QueueDraft::default() });
    world.add(http("http://h.example/"));
    assert_eq!(world.pass_for(1000, FAILS).len(), 11, "the age limit comes later than three attempts");
    let retry = RetryDraft { attempts: -1, ..retry };
    let mut world = World::with(QueueDraft { retry, ..QueueDraft::default() });
    world.add(TaskDraft { retry: Some(RetryDraft { attempts: 2, ..RetryDraft::default() }), ..http("http://h.example/") });
    assert_eq!(world.pass_for(1000, FAILS).len(), 2, "a task's own settings come first");
}

#[test]
fn no_answer_counts_as_attempt_but_not_as_response() {
    let mut world = World::with(QueueDraft::default());
    let task = world.add(http("http://h.example/"));
    world.pass_for(0, Some(&Answer::TimedOut));
    let kept = world.task(&task);
    assert_eq!((kept.dispatches, kept.responses), (1, 0));
    let said = |task: &Task| task.last_attempt.as_ref().unwrap().status.clone().unwrap();
    assert_eq!((said(kept).code, said(kept).message.as_str()), (4, "DEADLINE_EXCEEDED(4): HTTP status code 504"));
    let calls = world.pass_for(1, Some(&Answer::Status(404)));
    assert_eq!(header(&calls[0], "X-CloudTasks-TaskPreviousResponse"), Some("504"));
    assert_eq!(header(&calls[1], "X-CloudTasks-TaskPreviousResponse"), Some("404"));
    assert_eq!(header(&calls[1], "X-CloudTasks-TaskExecutionCount"), Some("1"));
    assert!(world.task(&task).responses > 1);
    world.pass_for(60, Some(&Answer::Failed("connection refused".into())));
    let status = said(world.task(&task));
    assert_eq!((status.code, status.message.as_str()), (2, "UNKNOWN(2): HTTP status code 0"));
}

#[test]
fn the_rate_is_a_token_bucket() {
    let mut world = World::with(QueueDraft { rate: RateDraft { per_second: 2.0, concurrent: 0 }, ..QueueDraft::default() });
    for _ in 0..100 {
        world.add(http("http://h.example/"));
    }
    assert_eq!(world.pass_for(0, WORKS).len(), 10, "the burst");
    assert_eq!(world.pass_for(5, WORKS).len(), 10, "two a second from then on");
    assert_eq!(world.pass_for(5, WORKS).len(), 10);
    assert_eq!(world.queue().stats(world.now).executed_last_minute, 30);
    world.pass_for(3600, WORKS);
    for _ in 0..100 {
        world.add(http("http://h.example/"));
    }
    assert_eq!(world.pass_for(0, WORKS).len(), 10, "no more than the burst is saved up");
}

#[test]
fn concurrent_dispatches_are_limited() {
    let mut world = World::with(QueueDraft { rate: RateDraft { per_second: 0.0, concurrent: 3 }, ..QueueDraft::default() });
    for _ in 0..10 {
        world.add(http("http://h.example/"));
    }
    let calls = world.pass_for(3600, NEVER);
    assert_eq!((calls.len(), world.queue().under_way()), (3, 3));
    assert!(world.rests());
    world.answer(&calls[0], Answer::Status(200));
    assert_eq!(world.pass_for(0, NEVER).len(), 1);
    // A task deleted under way still holds its place until it is answered.
    let Caller::Task { task, .. } = &calls[1].caller else { unreachable!() };
    world.apply(DeleteTask(task.parse().unwrap())).unwrap();
    assert_eq!(world.pass_for(0, NEVER).len(), 0);
    world.answer(&calls[1], Answer::Status(500));
    assert_eq!(world.pass_for(0, NEVER).len(), 1);
}

#[test]
fn order_is_by_due_time_then_by_age() {
    let mut world = World::with(QueueDraft::default());
    for (id, due) in [("d", 7), ("c", 5), ("a", 5), ("b", 0)] {
        let schedule_time = Some(world.now + SignedDuration::from_secs(due));
        world.add(TaskDraft { schedule_time, ..named(id) });
    }
    let calls = world.pass_for(10, WORKS);
    let order: Vec<&str> = calls.iter().map(|call| header(call, "X-CloudTasks-TaskName").unwrap()).collect();
    assert_eq!(order, ["b", "c", "a", "d"]);
}

#[test]
fn a_paused_queue_sends_nothing_but_what_is_run() {
    let mut world =
        World::with(QueueDraft { retry: RetryDraft { backoff_min: Some(seconds(60)), ..RetryDraft::default() }, ..QueueDraft::default() });
    world.apply(PauseQueue(queue())).unwrap();
    let (first, second) = (world.add(named("1")), world.add(named("2")));
    assert!(world.pass_for(100, WORKS).is_empty());
    assert!(world.rests());
    let run = world.apply(RunTask(first.clone())).unwrap();
    assert_eq!((run.dispatches, run.last_attempt.as_ref().unwrap().response_time), (1, None));
    let call = world.calls.pop().unwrap();
    let called = world.now;
    world.now += SignedDuration::from_secs(7);
    world.answer(&call, Answer::Status(503));
    assert_eq!(world.task(&first).schedule_time.duration_since(called).as_secs(), 60, "now + back-off, from the call of RunTask");
    assert!(world.pass_for(100, WORKS).is_empty());
    world.apply(ResumeQueue(queue())).unwrap();
    assert_eq!(world.pass_for(0, WORKS).len(), 2);
    assert_eq!(world.apply(RunTask(second)).unwrap_err(), Refusal::not_found("Requested entity was not found."));
}

#[test]
fn a_task_run_while_it_runs_is_sent_twice_and_ends_once() {
    let mut world = World::with(QueueDraft::default());
    let task = world.add(named("1"));
    let first = world.pass_for(0, NEVER).pop().unwrap();
    world.apply(RunTask(task.clone())).unwrap();
    let second = world.calls.pop().unwrap();
    world.answer(&first, Answer::Status(500));
    assert!(world.rests(), "the other attempt is still under way");
    world.answer(&second, Answer::Status(200));
    assert!(world.state.tasks.task(&task).is_err());
    world.answer(&second, Answer::Status(200));
    assert_eq!(world.queue().under_way(), 0);
}

#[test]
fn purge_takes_all_tasks_and_blocks_their_names() {
    let mut world = World::with(QueueDraft::default());
    for id in ["a", "b"] {
        world.add(TaskDraft { schedule_time: Some(world.now + SignedDuration::from_hours(1)), ..named(id) });
    }
    world.apply(PurgeQueue(queue())).unwrap();
    assert_eq!((world.queue().depth(), world.queue().purge_time, world.state.next_due()), (0, Some(world.now), None));
    let again = |world: &mut World| world.apply(CreateTask { queue: queue(), draft: named("a") }).map(|task| task.id.to_string());
    assert_eq!(again(&mut world).unwrap_err().code, Code::AlreadyExists);
    world.now += SignedDuration::from_hours(1);
    assert_eq!(again(&mut world), Ok("a".into()));
    assert_eq!(again(&mut world).unwrap_err(), Refusal::exists("Requested entity already exists"));
}

#[test]
fn a_deleted_queue_blocks_its_name_for_days() {
    let mut world = World::with(QueueDraft::default());
    world.add(named("a"));
    let call = world.pass_for(0, NEVER).pop().unwrap();
    world.add(named("b"));
    world.apply(DeleteQueue(queue())).unwrap();
    world.answer(&call, Answer::Status(500));
    assert_eq!(world.state.next_due(), None);
    let create = || CreateQueue { name: queue(), draft: QueueDraft::default() };
    assert_eq!(world.apply(create()).unwrap_err().code, Code::FailedPrecondition);
    world.now += SignedDuration::from_hours(72);
    world.apply(create()).unwrap();
    assert_eq!(world.apply(create()).unwrap_err(), Refusal::exists("Queue already exists"));
    assert_eq!(world.queue().depth(), 0);
}

#[test]
fn two_hundred_thousand_tasks_for_tomorrow_cost_nothing_today() {
    let mut world = World::with(QueueDraft::default());
    let tomorrow = world.now + SignedDuration::from_hours(24);
    for _ in 0..200_000 {
        world.add(TaskDraft { schedule_time: Some(tomorrow), ..http("http://h.example/") });
    }
    let start = std::time::Instant::now();
    for _ in 0..10_000 {
        world.apply(Tick).unwrap();
        assert_eq!(world.state.next_due(), Some(tomorrow));
    }
    assert!(start.elapsed() < Duration::from_secs(1), "ticks look at the next due only: {:?}", start.elapsed());
}

#[test]
fn what_google_refuses_is_refused() {
    let mut world = World::with(QueueDraft::default());
    let month = Some(world.now + SignedDuration::from_hours(721));
    let body =
        |method| Some(Target::Http(HttpTarget { url: "http://h.example".into(), method, body: "x".into(), ..HttpTarget::default() }));
    let large = HttpTarget { url: "http://h.example".into(), body: vec![0; 1024 * 1024].into(), ..HttpTarget::default() };
    for (draft, says) in [
        (TaskDraft::default(), "Task.payload_type is not set."),
        (http(""), "HttpRequest.url is required."),
        (http("ftp://h.example"), "must start with 'http://' or 'https://'."),
        (http("http:///path"), "not a valid URL"),
        (http(&format!("http://h.example/{}", "x".repeat(2083))), "no longer than 2083"),
        (TaskDraft { schedule_time: month, ..http("http://h.example") }, "no more than 720h in the future."),
        (TaskDraft { deadline: Some(Duration::from_secs(14)), ..http("http://h.example") }, "between [15s, 30m]."),
        (TaskDraft { deadline: Some(Duration::from_secs(1801)), ..http("http://h.example") }, "between [15s, 30m]."),
        (TaskDraft { target: body(Method::Get), ..TaskDraft::default() }, "Body can only be set if the http_method is"),
        (TaskDraft { target: Some(Target::Http(large)), ..TaskDraft::default() }, "Task size too large"),
        (TaskDraft { name: "projects/p/locations/l/queues/other/tasks/t".into(), ..http("http://h.example") }, "must be the same"),
        (TaskDraft { name: format!("{QUEUE}/tasks/a.b"), ..http("http://h.example") }, "Task ID \"a.b\" can contain only"),
        (TaskDraft { retry: Some(RetryDraft { attempts: -2, ..RetryDraft::default() }), ..http("http://h.example") }, "or equal to -1"),
    ] {
        let refusal = world.apply(CreateTask { queue: queue(), draft }).unwrap_err();
        assert!(refusal.code == Code::InvalidArgument && refusal.message.contains(says), "{says}: {refusal:?}");
    }
    for (draft, says) in [
        (QueueDraft { rate: RateDraft { per_second: 501.0, concurrent: 0 }, ..QueueDraft::default() }, "equal to 500"),
        (QueueDraft { rate: RateDraft { per_second: f64::NAN, concurrent: 0 }, ..QueueDraft::default() }, "equal to 500"),
        (QueueDraft { rate: RateDraft { per_second: 0.0, concurrent: 5001 }, ..QueueDraft::default() }, "equal to 5000"),
        (QueueDraft { retry: RetryDraft { backoff_min: Some(seconds(-1)), ..RetryDraft::default() }, ..QueueDraft::default() }, "negative"),
        (
            QueueDraft {
                retry: RetryDraft { backoff_min: Some(seconds(9)), backoff_max: Some(seconds(8)), ..RetryDraft::default() },
                ..QueueDraft::default()
            },
            "minBackoff",
        ),
    ] {
        let refusal = world.apply(UpdateQueue { name: queue(), draft, mask: Vec::new() }).unwrap_err();
        assert!(refusal.code == Code::InvalidArgument && refusal.message.contains(says), "{says}: {refusal:?}");
    }
    assert_eq!(world.queue().depth(), 0);
}

#[test]
fn updates_take_what_the_mask_names_or_create() {
    let mut world = World::new();
    let update = |world: &mut World, per_second, concurrent, mask: &[&str]| {
        let mask = mask.iter().map(ToString::to_string).collect();
        let draft = QueueDraft { rate: RateDraft { per_second, concurrent }, ..QueueDraft::default() };
        world.apply(UpdateQueue { name: queue(), draft, mask })
    };
    update(&mut world, 5.0, 6, &[]).unwrap();
    let rate = |world: &World| (world.queue().settings.per_second, world.queue().settings.concurrent);
    assert_eq!(rate(&world), (5.0, 6));
    update(&mut world, 7.0, 8, &["rate_limits.max_concurrent_dispatches"]).unwrap();
    assert_eq!(rate(&world), (5.0, 8));
    update(&mut world, 7.0, 0, &["rate_limits", "state"]).unwrap();
    assert_eq!(rate(&world), (7.0, 1000));
    assert_eq!(update(&mut world, 1.0, 1, &["rate_limits", "nonsense"]).unwrap_err().code, Code::InvalidArgument);
    assert_eq!(rate(&world), (7.0, 1000));
}

#[test]
fn app_engine_needs_an_app() {
    let app = || {
        let target = AppEngineTarget { relative_uri: "/work?x=1".into(), body: "b".into(), ..AppEngineTarget::default() };
        TaskDraft { target: Some(Target::AppEngine(target)), ..TaskDraft::default() }
    };
    let mut world = World::with(QueueDraft::default());
    let task = world.add(app());
    assert!(world.pass_for(0, WORKS).is_empty());
    let status = world.task(&task).last_attempt.as_ref().unwrap().status.clone().unwrap();
    assert_eq!(status.code, 14);
    assert!(status.message.contains("no App Engine app"), "{}", status.message);
    world.apply(SetAppEngine(Some("http://localhost:8080/".into()))).unwrap();
    let call = world.pass_for(1, WORKS).pop().unwrap();
    assert_eq!(call.url, "http://localhost:8080/work?x=1");
    assert_eq!(header(&call, "X-AppEngine-QueueName"), Some("q"));
    assert_eq!(header(&call, "X-AppEngine-TaskRetryCount"), Some("1"));
    assert_eq!(header(&call, "Content-Type"), Some("application/octet-stream"));
    assert_eq!(header(&call, "User-Agent"), Some("AppEngine-Google; (+http://code.google.com/appengine)"));
}

#[test]
fn a_queue_can_override_where_its_tasks_go() {
    let http_override = HttpOverride {
        uri: Some(Override { host: Some("other.example".into()), port: Some(99), ..Override::default() }),
        method: Some(Method::Get),
        headers: vec![("X-Own".into(), "queue".into())],
        token: Some(Token::OAuth { email: "a@p.iam".into(), scope: String::new() }),
    };
    let mut world = World::with(QueueDraft { http: Some(http_override), ..QueueDraft::default() });
    let target = HttpTarget {
        url: "https://h.googleapis.com/path".into(),
        headers: [("x-own".to_owned(), "task".to_owned()), ("Authorization".to_owned(), "mine".to_owned())].into(),
        ..HttpTarget::default()
    };
    world.add(TaskDraft { target: Some(Target::Http(target.clone())), ..TaskDraft::default() });
    let call = world.pass_for(0, WORKS).pop().unwrap();
    assert_eq!((call.method, call.url.as_str(), call.body.len()), ("GET", "https://other.example:99/path", 0));
    assert_eq!((header(&call, "X-Own"), header(&call, "x-own"), header(&call, "Authorization")), (Some("queue"), None, None));
    assert!(matches!(call.token, Some(TokenKind::OAuth { scope, .. }) if scope.ends_with("/cloud-platform")));
    // Of a body the service makes no GET.
    let target = HttpTarget { body: "hi".into(), ..target };
    let task = world.add(TaskDraft { target: Some(Target::Http(target)), ..TaskDraft::default() });
    assert!(world.pass_for(0, WORKS).is_empty());
    assert_eq!(world.task(&task).last_attempt.as_ref().unwrap().status.as_ref().unwrap().code, 2);
}

#[test]
fn lists_come_in_pages_and_filtered() {
    let mut world = World::new();
    let location: crate::names::Location = "projects/p/locations/l".parse().unwrap();
    for id in ["a", "b", "c", "d"] {
        world.apply(CreateQueue { name: format!("{location}/queues/{id}").parse().unwrap(), draft: QueueDraft::default() }).unwrap();
        world.apply(CreateQueue { name: format!("{location}x/queues/{id}").parse().unwrap(), draft: QueueDraft::default() }).unwrap();
    }
    world.apply(PauseQueue(format!("{location}/queues/c").parse().unwrap())).unwrap();
    let list = |filter: &str, from: Option<&str>, limit| {
        let page = world.state.tasks.list_queues(&location, filter, from, limit)?;
        Ok::<_, Refusal>((page.items.iter().map(|queue| queue.name.id()).collect::<String>(), page.next))
    };
    assert_eq!(list("", None, 3), Ok(("abc".into(), Some("c".into()))));
    assert_eq!(list("", Some("c"), 3), Ok(("d".into(), None)));
    assert_eq!(list("state: PAUSED", None, 3), Ok(("c".into(), None)));
    assert_eq!(list("state!=PAUSED AND rateLimits.maxDispatchesPerSecond >= 500", None, 9), Ok(("abd".into(), None)));
    assert_eq!(list("name:queues/a", None, 9), Ok(("a".into(), None)));
    assert_eq!(list("colour = blue", None, 9).unwrap_err().code, Code::InvalidArgument);
}

#[test]
fn a_task_is_deleted_after_31_days_whatever_has_become_of_it() {
    let mut world = World::with(QueueDraft { retry: RetryDraft { attempts: -1, ..RetryDraft::default() }, ..QueueDraft::default() });
    world.apply(PauseQueue(queue())).unwrap();
    let first = world.add(named("first"));
    world.pass_for(24 * 3600, WORKS);
    let second = world.add(named("second"));
    world.pass_for(30 * 24 * 3600 - 1, WORKS);
    assert_eq!(world.queue().depth(), 2);
    world.pass_for(1, WORKS);
    assert_eq!(world.state.tasks.task(&first).unwrap_err().code, Code::NotFound);
    assert_eq!(world.apply(CreateTask { queue: queue(), draft: named("first") }).unwrap_err().code, Code::AlreadyExists);
    // One that fails again and again, in a queue that runs.
    world.apply(ResumeQueue(queue())).unwrap();
    world.pass_for(24 * 3600 - 1, FAILS);
    assert!(world.task(&second).dispatches > 10);
    world.pass_for(1, FAILS);
    assert_eq!((world.queue().depth(), world.state.next_due()), (0, None));
}

#[test]
fn tasks_are_run_by_hand_sixty_times_a_minute_and_region() {
    let mut world = World::with(QueueDraft { retry: RetryDraft { attempts: -1, ..RetryDraft::default() }, ..QueueDraft::default() });
    world.apply(PauseQueue(queue())).unwrap();
    let task = world.add(named("one"));
    let elsewhere: QueueName = "projects/p/locations/other/queues/q".parse().unwrap();
    world.apply(CreateQueue { name: elsewhere.clone(), draft: QueueDraft::default() }).unwrap();
    let other = world.apply(CreateTask { queue: elsewhere.clone(), draft: http("http://h.example/") }).unwrap();
    for _ in 0..60 {
        world.apply(RunTask(task.clone())).unwrap();
    }
    let refusal = world.apply(RunTask(task.clone())).unwrap_err();
    assert_eq!((refusal.code, refusal.info.unwrap().reason), (Code::ResourceExhausted, "RATE_LIMIT_EXCEEDED"));
    assert!(refusal.message.starts_with("Quota exceeded for quota metric 'Run task requests'"), "{}", refusal.message);
    world.apply(RunTask(format!("{elsewhere}/tasks/{}", other.id).parse().unwrap())).unwrap();
    world.now += SignedDuration::from_secs(60);
    world.apply(RunTask(task)).unwrap();
}

#[test]
fn an_overloaded_worker_slows_its_queue_and_success_speeds_it_up_again() {
    let mut world = World::with(QueueDraft::default());
    let answered = |world: &mut World, answer: Answer| {
        world.add(http("http://h.example/"));
        let call = world.pass_for(1, NEVER).pop().unwrap();
        world.answer(&call, answer);
        world.apply(PurgeQueue(queue())).unwrap();
        world.queue().pace()
    };
    let rate = |per_second: f64, burst: u32| super::throttle::Pace { per_second, burst };
    assert_eq!(answered(&mut world, Answer::Status(500)), rate(500.0, 100), "an error like any other");
    assert_eq!(answered(&mut world, Answer::Status(503)), rate(250.0, 50));
    assert_eq!(answered(&mut world, Answer::Status(429)), rate(125.0, 25));
    for _ in 0..20 {
        answered(&mut world, Answer::Status(503));
    }
    assert_eq!(world.queue().stats(world.now).rate.to_bits(), 1.0_f64.to_bits(), "no slower than one a second");
    for _ in 0..10 {
        world.add(http("http://h.example/"));
    }
    assert_eq!(world.pass_for(4, NEVER).len(), 5);
    world.apply(PurgeQueue(queue())).unwrap();
    for _ in 0..9 {
        answered(&mut world, Answer::Status(200));
    }
    assert_eq!(world.queue().pace(), rate(500.0, 100));
    let task = world.add(named("later"));
    let call = world.pass_for(0, NEVER).pop().unwrap();
    world.answer(&call, Answer::Later { status: 503, after: Duration::from_secs(90) });
    assert_eq!(world.task(&task).schedule_time.duration_since(world.now), seconds(90));
}

#[test]
fn a_buffered_task_goes_where_its_queue_says() {
    let buffer = |id: &str| BufferTask { queue: queue(), id: id.into(), content_type: "text/plain".into(), body: "hello".into() };
    let mut world = World::with(QueueDraft::default());
    assert_eq!(world.apply(buffer("")).unwrap_err().code, Code::FailedPrecondition, "the queue says nothing");
    let uri = Override { host: Some("h.example".into()), path: Some("/work".into()), ..Override::default() };
    let http = Some(HttpOverride { uri: Some(uri), ..HttpOverride::default() });
    world
        .apply(UpdateQueue { name: queue(), draft: QueueDraft { http, ..QueueDraft::default() }, mask: vec!["http_target".into()] })
        .unwrap();
    assert_eq!(&*world.apply(buffer("own")).unwrap().id, "own");
    assert_eq!(world.apply(buffer("own")).unwrap_err().code, Code::AlreadyExists);
    assert_eq!(world.apply(buffer("")).unwrap().id.len(), 20);
    assert_eq!(world.apply(buffer("a b")).unwrap_err().code, Code::InvalidArgument);
    let calls = world.pass_for(0, WORKS);
    assert_eq!(calls.len(), 2);
    assert_eq!((calls[0].method, calls[0].url.as_str(), &calls[0].body[..]), ("POST", "https://h.example/work", &b"hello"[..]));
    assert_eq!(header(&calls[0], "Content-Type"), Some("text/plain"));
}

#[test]
fn a_locations_key_is_kept() {
    let mut world = World::new();
    let location: crate::names::Location = "projects/p/locations/l".parse().unwrap();
    let key = "projects/p/locations/l/keyRings/r/cryptoKeys/k";
    let set = |world: &mut World, key: &str, mask: &[&str]| {
        let mask = mask.iter().map(ToString::to_string).collect();
        world.apply(UpdateCmekConfig { config: CmekConfig { location: location.clone(), key: key.into() }, mask }).map(|config| config.key)
    };
    assert_eq!(set(&mut world, key, &[]), Ok(key.into()));
    assert_eq!(world.state.tasks.cmek_config(location.clone()).key, key);
    assert_eq!(set(&mut world, "a key", &["kms_key"]).unwrap_err().code, Code::InvalidArgument);
    assert_eq!(set(&mut world, "", &["colour"]).unwrap_err().code, Code::InvalidArgument);
    assert_eq!(set(&mut world, "", &["kms_key"]), Ok(String::new()));
}
