use std::time::Duration;

use jiff::SignedDuration;

use super::*;
use crate::emulator::state::target::{AppEngineTarget, HttpTarget, Method, SetAppEngine, Token};
use crate::emulator::state::{Answered, Caller, Code, Command, HttpCall, State, Tick, TokenKind};
use crate::model::queue::TaskRetry;

/// A state with made-up time, and the calls it wanted sent.
struct World {
    state: State,
    now: Timestamp,
    calls: Vec<HttpCall>,
}

const JOB: &str = "projects/p/locations/l/jobs/j";

impl World {
    fn new() -> Self {
        Self { state: State::default(), now: "2026-01-01T00:00:30Z".parse().unwrap(), calls: Vec::new() }
    }

    fn with(draft: JobDraft) -> Self {
        let mut world = Self::new();
        world.create(draft).unwrap();
        world
    }

    fn create(&mut self, draft: JobDraft) -> Result<Job, Refusal> {
        self.apply(CreateJob { location: "projects/p/locations/l".parse().unwrap(), name: JOB.into(), draft })
    }

    fn apply<C: Command>(&mut self, command: C) -> Result<C::Reply, Refusal> {
        let mut out = Effects::default();
        let reply = command.apply(&mut self.state, Moment { now: self.now, seed: 7 }, &mut out);
        self.calls.extend(out.list.into_iter().filter_map(|effect| if let Effect::Send(call) = effect { Some(call) } else { None }));
        reply
    }

    /// Lets time pass and answers each call after `takes`; gives the seconds since the start at which calls were made.
    fn pass(&mut self, minutes: i64, takes: i64, status: u16) -> Vec<String> {
        let until = self.now + SignedDuration::from_mins(minutes);
        let mut made = Vec::new();
        let mut open: Vec<(Timestamp, HttpCall)> = Vec::new();
        loop {
            self.apply(Tick).unwrap();
            for call in std::mem::take(&mut self.calls) {
                made.push(self.now.strftime("%H:%M:%S").to_string());
                open.push((self.now + SignedDuration::from_secs(takes), call));
            }
            let next = [self.state.next_due(), open.iter().map(|(at, _)| *at).min()].into_iter().flatten().min();
            let Some(next) = next.filter(|&next| next <= until) else { break };
            self.now = self.now.max(next);
            for (_, call) in open.extract_if(.., |(at, _)| *at <= self.now).collect::<Vec<_>>() {
                self.answer(&call, status);
            }
        }
        self.now = until;
        self.calls.extend(open.into_iter().map(|(_, call)| call));
        made
    }

    fn answer(&mut self, call: &HttpCall, status: u16) {
        self.apply(Answered { caller: call.caller.clone(), answer: Answer::Status(status) }).unwrap();
    }

    fn job(&self) -> &Job {
        self.state.scheduler.job(&name()).unwrap()
    }
}

fn name() -> JobName {
    JOB.parse().unwrap()
}

fn http(schedule: &str) -> JobDraft {
    let target = HttpTarget { url: "http://h.example/run".into(), ..HttpTarget::default() };
    JobDraft { target: Some(JobTarget::Http(target)), schedule: schedule.into(), ..JobDraft::default() }
}

fn publish(topic: &str) -> JobDraft {
    let message = Draft { data: "x".into(), ..Draft::default() };
    let target = Some(JobTarget::PubSub { topic: topic.parse().unwrap(), message });
    JobDraft { target, schedule: "* * * * *".into(), ..JobDraft::default() }
}

fn header<'a>(call: &'a HttpCall, name: &str) -> Option<&'a str> {
    call.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
}

#[test]
fn a_job_runs_on_its_schedule_with_its_headers() {
    let mut draft = http("*/5 * * * *");
    let Some(JobTarget::Http(target)) = &mut draft.target else { unreachable!() };
    target.body = "{}".into();
    target.method = Method::Put;
    target.headers.insert("X-CloudScheduler-JobName".into(), "evil".into());
    target.token = Some(Token::Oidc { email: "a@p.iam".into(), audience: "aud".into() });
    let mut world = World::with(draft);
    assert_eq!(world.job().schedule_time.unwrap().to_string(), "2026-01-01T00:05:00Z");
    assert_eq!(world.job().status, None);
    world.now = "2026-01-01T00:05:00.25Z".parse().unwrap();
    world.apply(Tick).unwrap();
    let call = world.calls.pop().unwrap();
    assert_eq!((call.method, call.url.as_str(), call.timeout), ("PUT", "http://h.example/run", Duration::from_mins(3)));
    assert_eq!(call.caller, Caller::Job { job: JOB.into(), attempt: 1 });
    assert!(matches!(&call.token, Some(TokenKind::Oidc { audience, .. }) if audience == "aud"));
    let expected = [
        ("Content-Type", "application/octet-stream"),
        ("User-Agent", "Google-Cloud-Scheduler"),
        ("X-CloudScheduler", "true"),
        ("X-CloudScheduler-JobName", "j"),
        ("X-CloudScheduler-ScheduleTime", "2026-01-01T00:05:00Z"),
    ];
    assert_eq!(call.headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    world.answer(&call, 200);
    let job = world.job();
    assert_eq!(job.status.as_ref().unwrap().code, 0);
    assert_eq!(job.last_attempt_time, Some(world.now));
    assert_eq!(job.schedule_time.unwrap().to_string(), "2026-01-01T00:10:00Z");
}

#[test]
fn english_jobs_carry_no_schedule_time_and_count_from_the_end_of_a_run() {
    let mut world = World::with(http("every 5 minutes"));
    assert_eq!(world.pass(13, 60, 200), ["00:05:30", "00:11:30"]);
    assert_eq!(header(&World::with(http("every 5 minutes")).run(), "X-CloudScheduler-ScheduleTime"), None);
}

impl World {
    fn run(&mut self) -> HttpCall {
        self.apply(RunJob(name())).unwrap();
        self.calls.pop().unwrap()
    }
}

#[test]
fn runs_never_overlap_and_what_was_missed_starts_once() {
    let mut world = World::with(http("* * * * *"));
    assert_eq!(world.pass(6, 150, 200), ["00:01:00", "00:03:30", "00:06:00"]);
}

#[test]
fn a_failed_attempt_is_retried_until_the_next_scheduled_time() {
    let retry = RetryDraft { count: 5, backoff_min: Some(SignedDuration::from_secs(10)), doublings: 1, ..RetryDraft::default() };
    let mut world = World::with(JobDraft { retry, ..http("0 * * * *") });
    assert_eq!(world.pass(65, 0, 500), ["01:00:00", "01:00:10", "01:00:30", "01:01:10", "01:02:10", "01:03:30"]);
    let status = world.job().status.clone().unwrap();
    assert_eq!((status.code, status.message.as_str()), (13, "INTERNAL(13): HTTP status code 500"));
    assert_eq!(world.job().schedule_time.unwrap().to_string(), "2026-01-01T02:00:00Z");
    let mut world = World::with(JobDraft { retry, ..http("* * * * *") });
    assert_eq!(world.pass(2, 0, 500), ["00:01:00", "00:01:10", "00:01:30", "00:02:00", "00:02:10", "00:02:30"]);
    let mut world = World::with(http("* * * * *"));
    assert_eq!(world.pass(2, 0, 500), ["00:01:00", "00:02:00"], "no retries unless asked for");
}

#[test]
fn a_retry_keeps_the_time_it_is_for() {
    let retry = RetryDraft { count: 1, ..RetryDraft::default() };
    let mut world = World::with(JobDraft { retry, ..http("0 1 * * *") });
    world.now = "2026-01-01T01:00:00Z".parse().unwrap();
    world.apply(Tick).unwrap();
    let first = world.calls.pop().unwrap();
    world.answer(&first, 500);
    assert_eq!(world.job().schedule_time.unwrap().to_string(), "2026-01-01T01:00:05Z");
    world.now = world.job().schedule_time.unwrap();
    world.apply(Tick).unwrap();
    assert_eq!(header(&world.calls[0], "X-CloudScheduler-ScheduleTime"), Some("2026-01-01T01:00:00Z"));
}

#[test]
fn a_paused_job_rests_but_can_be_run() {
    let mut world = World::with(http("* * * * *"));
    let paused = world.apply(PauseJob(name())).unwrap();
    assert_eq!((paused.state, paused.schedule_time, world.state.next_due()), (JobState::Paused, None, None));
    assert_eq!(world.apply(PauseJob(name())).unwrap_err().code, Code::FailedPrecondition);
    assert!(world.pass(10, 0, 200).is_empty());
    let call = world.run();
    assert_eq!(header(&call, "X-CloudScheduler-ScheduleTime"), Some("2026-01-01T00:10:30Z"));
    world.answer(&call, 404);
    assert_eq!(world.job().status.as_ref().unwrap().code, 5);
    let resumed = world.apply(ResumeJob(name())).unwrap();
    assert_eq!(resumed.schedule_time.unwrap().to_string(), "2026-01-01T00:11:00Z");
    assert_eq!(world.apply(ResumeJob(name())).unwrap_err().code, Code::FailedPrecondition);
    assert_eq!(world.pass(1, 0, 200), ["00:11:00"]);
}

#[test]
fn running_by_hand_does_not_disturb_the_schedule() {
    let mut world = World::with(http("* * * * *"));
    world.pass(1, 1000, 200);
    let first = world.calls.pop().unwrap();
    let forced = world.run();
    world.answer(&forced, 500);
    assert_eq!(world.state.next_due(), None, "the scheduled attempt is still under way");
    world.answer(&first, 200);
    world.answer(&first, 500);
    assert_eq!(world.job().status.as_ref().unwrap().code, 0, "a second report is not taken");
    assert_eq!(world.state.next_due().unwrap().to_string(), "2026-01-01T00:02:00Z");
}

#[test]
fn a_topic_that_is_missing_is_a_failed_attempt() {
    let mut world = World::with(publish("projects/p/topics/missing"));
    world.now = world.job().schedule_time.unwrap();
    let at = Moment { now: world.now, seed: 7 };
    let mut publications = world.state.scheduler.tick(at, &mut Effects::default());
    let publication = publications.pop().unwrap();
    assert_eq!((publication.topic.as_str(), &publication.message.data[..]), ("projects/p/topics/missing", &b"x"[..]));
    assert_eq!(world.state.next_due(), None, "not before it is published");
    world.state.scheduler.published(&publication.job, Err(Refusal::not_found("no topic")), at);
    let status = world.job().status.clone().unwrap();
    assert_eq!((status.code, status.message.as_str()), (5, "NOT_FOUND(5): no topic"));
    assert_eq!(world.job().schedule_time.unwrap().to_string(), "2026-01-01T00:02:00Z");
    assert_eq!(world.job().last_attempt_time, Some(world.now));
}

#[test]
fn app_engine_needs_an_app() {
    let target = JobTarget::AppEngine(AppEngineTarget { relative_uri: "/cron".into(), method: Method::Get, ..AppEngineTarget::default() });
    let mut world = World::with(JobDraft { target: Some(target), ..http("* * * * *") });
    assert!(world.pass(1, 0, 200).is_empty());
    assert!(world.job().status.as_ref().unwrap().message.contains("no App Engine app"));
    world.apply(SetAppEngine(Some("http://localhost:8080".into()))).unwrap();
    let call = world.run();
    assert_eq!((call.url.as_str(), header(&call, "Host")), ("http://localhost:8080/cron", Some("p.appspot.com")));
}

#[test]
fn a_deleted_job_is_gone() {
    let mut world = World::with(http("* * * * *"));
    world.pass(1, 1000, 200);
    let call = world.calls.pop().unwrap();
    world.apply(DeleteJob(name())).unwrap();
    assert_eq!(world.state.next_due(), None);
    assert_eq!(world.apply(DeleteJob(name())).unwrap_err().code, Code::NotFound);
    world.create(http("* * * * *")).unwrap();
    world.answer(&call, 500);
    assert_eq!(world.job().status, None, "an answer to the job of before");
}

#[test]
fn updates_take_what_the_mask_names() {
    let mut world = World::with(http("0 3 * * *"));
    let update = |world: &mut World, draft, mask: &[&str]| {
        let mask = mask.iter().map(ToString::to_string).collect();
        world.apply(UpdateJob { name: name(), draft, mask })
    };
    let job = update(&mut world, JobDraft { schedule: "0 4 * * *".into(), description: "no".into(), ..JobDraft::default() }, &["schedule"])
        .unwrap();
    assert_eq!((job.schedule.as_str(), job.description.as_str()), ("0 4 * * *", ""));
    assert_eq!(world.state.next_due().unwrap().to_string(), "2026-01-01T04:00:00Z");
    let draft = JobDraft { time_zone: "Asia/Kolkata".into(), ..JobDraft::default() };
    let job = update(&mut world, draft, &["time_zone"]).unwrap();
    assert_eq!((job.zone_name.as_str(), job.schedule_time.unwrap().to_string().as_str()), ("Asia/Kolkata", "2026-01-01T22:30:00Z"));
    assert_eq!(update(&mut world, http("* * * * *"), &["nonsense"]).unwrap_err().code, Code::InvalidArgument);
    assert_eq!(update(&mut world, JobDraft::default(), &[]).unwrap_err().code, Code::InvalidArgument);
    let job = update(&mut world, JobDraft { description: "all".into(), ..http("* * * * *") }, &[]).unwrap();
    assert_eq!((job.description.as_str(), job.zone_name.as_str()), ("all", "UTC"));
}

#[test]
fn a_field_of_a_target_is_changed_alone() {
    let token = || Some(Token::Oidc { email: "a@p.iam".into(), audience: "x".into() });
    let target =
        || HttpTarget { url: "http://a.example/".into(), method: Method::Put, body: "old".into(), token: token(), ..HttpTarget::default() };
    let mut world =
        World::with(JobDraft { target: Some(JobTarget::Http(target())), deadline: Some(Duration::from_mins(1)), ..http("0 3 * * *") });
    let mut update = |target: Option<JobTarget>, mask: &[&str]| {
        let mask = mask.iter().map(ToString::to_string).collect();
        world.apply(UpdateJob { name: name(), draft: JobDraft { target, ..JobDraft::default() }, mask })
    };
    let as_http = |job: Job| if let JobTarget::Http(http) = job.target { http } else { panic!("{:?}", job.target) };
    let new = HttpTarget { url: "http://b.example/".into(), body: "new".into(), ..HttpTarget::default() };
    let http = as_http(update(Some(JobTarget::Http(new)), &["http_target.body"]).unwrap());
    assert_eq!((http.url.as_str(), http.method, &http.body[..], http.token), ("http://a.example/", Method::Put, &b"new"[..], token()));
    let headers = [("X-A".to_owned(), "b".to_owned())].into();
    let new = JobTarget::Http(HttpTarget { headers, ..HttpTarget::default() });
    let http = as_http(update(Some(new), &["http_target.headers"]).unwrap());
    assert_eq!((http.headers["X-A"].as_str(), http.headers["User-Agent"].as_str()), ("b", "Google-Cloud-Scheduler"));
    // As gcloud clears headers: named, and no target given.
    let http = as_http(update(None, &["http_target.headers", "http_target.oauth_token"]).unwrap());
    assert_eq!((http.headers.get("X-A"), http.url.as_str(), http.token), (None, "http://a.example/", token()));
    let job = update(None, &["http_target.oidc_token"]).unwrap();
    assert_eq!(job.deadline, Some(Duration::from_mins(1)));
    assert_eq!(as_http(job).token, None);
    for (target, path) in [(None, "http_target.nonsense"), (None, "pubsub_target.data"), (None, "http_target.uri"), (None, "target")] {
        assert_eq!(update(target, &[path]).unwrap_err().code, Code::InvalidArgument, "{path}");
    }
    // A target of another kind takes the place of all.
    let app = AppEngineTarget { relative_uri: "/work".into(), method: Method::Get, ..AppEngineTarget::default() };
    let job = update(Some(JobTarget::AppEngine(app)), &["app_engine_http_target.relative_uri"]).unwrap();
    assert!(matches!(&job.target, JobTarget::AppEngine(app) if app.method == Method::Get), "{:?}", job.target);
    assert_eq!(job.deadline, Some(Duration::from_mins(10)), "with the deadline of its kind");
    let app = AppEngineTarget { relative_uri: "/other".into(), ..AppEngineTarget::default() };
    let job = update(Some(JobTarget::AppEngine(app)), &["app_engine_http_target.relative_uri"]).unwrap();
    assert!(
        matches!(&job.target, JobTarget::AppEngine(app) if app.method == Method::Get && app.relative_uri == "/other"),
        "{:?}",
        job.target
    );
    let mut message = Draft { data: "x".into(), ..Draft::default() };
    let publishes = |message| Some(JobTarget::PubSub { topic: "projects/p/topics/orders".parse().unwrap(), message });
    update(publishes(message.clone()), &["pubsub_target"]).unwrap();
    message.attributes.insert("k".to_owned(), "v".to_owned());
    message.data = "y".into();
    let job = update(publishes(message), &["pubsub_target.attributes"]).unwrap();
    assert!(
        matches!(&job.target, JobTarget::PubSub { message, .. } if message.attributes.len() == 1 && message.data == "x"),
        "{:?}",
        job.target
    );
}

#[test]
fn a_field_of_the_retries_is_changed_alone() {
    let retry = RetryDraft { count: 3, duration: Some(SignedDuration::from_secs(90)), doublings: 2, ..RetryDraft::default() };
    let mut world = World::with(JobDraft { retry, ..http("0 3 * * *") });
    let before = world.state.scheduler.job(&name()).unwrap().retry;
    let mut update = |retry, path: &str| {
        let draft = JobDraft { retry, ..JobDraft::default() };
        world.apply(UpdateJob { name: name(), draft, mask: vec![path.to_owned()] }).map(|job| job.retry)
    };
    let changed = update(RetryDraft { count: 5, doublings: 4, ..RetryDraft::default() }, "retry_config.retry_count").unwrap();
    assert_eq!(changed, TaskRetry { attempts_max: Some(6), ..before });
    let short = RetryDraft { backoff_max: Some(SignedDuration::from_secs(1)), ..RetryDraft::default() };
    assert_eq!(update(short, "retry_config.max_backoff_duration").unwrap_err().code, Code::InvalidArgument, "less than the least");
    assert_eq!(update(RetryDraft::default(), "retry_config").unwrap().attempts_max, Some(1));
}

#[test]
fn what_google_refuses_is_refused() {
    let mut world = World::new();
    let retry = |retry| JobDraft { retry, ..http("* * * * *") };
    let message = Draft::default();
    let empty = JobTarget::PubSub { topic: "projects/p/topics/topic".parse().unwrap(), message };
    for (draft, says) in [
        (http("61 * * * *"), "Schedule or time zone is invalid."),
        (JobDraft { time_zone: "Mars/Olympus".into(), ..http("* * * * *") }, "Schedule or time zone is invalid."),
        (JobDraft { target: None, ..http("* * * * *") }, "Job.target is required"),
        (JobDraft { deadline: Some(Duration::from_secs(1)), ..http("* * * * *") }, "[15s, 1800s]"),
        (JobDraft { description: "ä".repeat(501), ..http("* * * * *") }, "500 characters"),
        (JobDraft { target: Some(empty), ..http("* * * * *") }, "at least one attribute"),
        (publish("projects/other/topics/topic"), "same project"),
        (retry(RetryDraft { count: 6, ..RetryDraft::default() }), "between 0 and 5"),
        (retry(RetryDraft { count: -1, ..RetryDraft::default() }), "between 0 and 5"),
        (retry(RetryDraft { duration: Some(SignedDuration::from_secs(-1)), ..RetryDraft::default() }), "negative"),
    ] {
        let refusal = world.create(draft).unwrap_err();
        assert!(refusal.code == Code::InvalidArgument && refusal.message.contains(says), "{says}: {refusal:?}");
    }
    world.create(http("* * * * *")).unwrap();
    assert_eq!(world.create(http("* * * * *")).unwrap_err().message, format!("Job {JOB} already exists."));
}

#[test]
fn a_failed_run_by_hand_is_retried_as_one_by_schedule() {
    let retry = RetryDraft { count: 2, ..RetryDraft::default() };
    let mut world = World::with(JobDraft { retry, ..http("0 * * * *") });
    let forced = world.run();
    world.answer(&forced, 500);
    assert_eq!(world.job().schedule_time.unwrap().to_string(), "2026-01-01T00:00:35Z", "five seconds later");
    world.now = world.job().schedule_time.unwrap();
    world.apply(Tick).unwrap();
    let again = world.calls.pop().unwrap();
    assert_eq!(header(&again, "X-CloudScheduler-ScheduleTime"), Some("2026-01-01T00:00:30Z"));
    world.answer(&again, 200);
    assert_eq!(world.job().schedule_time.unwrap().to_string(), "2026-01-01T01:00:00Z");
    // Not of a paused job, and not past the schedule.
    world.apply(PauseJob(name())).unwrap();
    let forced = world.run();
    world.answer(&forced, 500);
    assert_eq!(world.state.next_due(), None);
    let late = RetryDraft { backoff_min: Some(SignedDuration::from_secs(3600)), ..retry };
    let mut world = World::with(JobDraft { retry: late, ..http("* * * * *") });
    let forced = world.run();
    world.answer(&forced, 500);
    assert_eq!(world.job().schedule_time.unwrap().to_string(), "2026-01-01T00:01:00Z");
}
