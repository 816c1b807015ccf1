//! Tasks that failed too often are kept, and none is lost on the way.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use redrive::emulator::Fault;
use redrive::model::queue::QueueState;
use redrive::model::task::Task as Stored;
use redrive::runtime::{Context, Outcome, Task, TaskOptions, discard, done};
use redrive::testing::TestApp;
use serde::{Deserialize, Serialize};

use crate::support::{eventually, ops_of};

/// The runtime's own cap.
const ATTEMPTS: u32 = 3;
/// All back-offs of that many attempts are over within this.
const LONG: Duration = Duration::from_hours(3);

#[derive(Default)]
struct Shop {
    works: AtomicBool,
    attempts: AtomicU32,
    last: AtomicU32,
}

#[derive(Serialize, Deserialize)]
struct Charge {
    order: u64,
}

impl Task<Shop> for Charge {
    const NAME: &'static str = "Charge";

    fn options() -> TaskOptions {
        TaskOptions::new().dead_set(ATTEMPTS)
    }

    async fn run(self, cx: Context<Shop>) -> Outcome {
        cx.state().attempts.fetch_add(1, SeqCst);
        if cx.attempt().is_last() {
            cx.state().last.fetch_add(1, SeqCst);
        }
        match self.order {
            _ if cx.state().works.load(SeqCst) => done(),
            0 => discard("no order"),
            1 => panic!("a bug\r\nX-Evil: 1"),
            _ => Err("card \u{1b}[31mdeclined".into()),
        }
    }
}

async fn start() -> TestApp<Shop> {
    redrive::testing::app(Shop::default()).named("shop").task::<Charge>().start().await.unwrap()
}

async fn tasks(app: &TestApp<Shop>, queue: &str) -> Vec<Stored> {
    let name = format!("projects/demo/locations/europe-west1/queues/{queue}").parse().unwrap();
    ops_of(app.emulator()).0.tasks(&name, true, 100).await.unwrap().items
}

fn header<'a>(task: &'a Stored, name: &str) -> &'a str {
    task.request.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
}

#[tokio::test]
async fn what_fails_for_the_last_time_is_kept_whole() {
    let app = start().await;
    let first = Charge { order: 7 }.enqueue(&app).header("X-Gateway", "k").dispatch_deadline(Duration::from_mins(20)).send().await.unwrap();
    Charge { order: 1 }.asap(&app).await.unwrap();
    Charge { order: 0 }.asap(&app).await.unwrap();
    app.advance(LONG).await.unwrap();
    assert!(tasks(&app, "shop").await.is_empty());
    assert_eq!((app.state().attempts.load(SeqCst), app.state().last.load(SeqCst)), (2 * ATTEMPTS + 1, 2));
    let mut dead = tasks(&app, "shop-dead").await;
    dead.sort_by_key(|task| task.request.body.clone());
    assert_eq!(dead.len(), 2, "{dead:?}");
    let kept = &dead[1];
    assert!(kept.name.id().starts_with(&format!("shop-{}-", first.id)), "{}", kept.name.id());
    assert_eq!((&kept.request.body[..], kept.dispatch_deadline), (&br#"{"order":7}"#[..], Some(Duration::from_mins(20))));
    assert_eq!((header(kept, "x-gateway"), header(kept, "redrive-attempts")), ("k", "3"));
    assert!(header(kept, "redrive-error").contains("declined") && !header(kept, "redrive-error").contains('\u{1b}'));
    assert!(kept.request.token_account.is_some() && header(kept, "authorization").is_empty());
    assert!(header(&dead[0], "redrive-error").contains("panicked") && header(&dead[0], "x-evil").is_empty());

    // It waits there, is run from there, and has no dead set of its own.
    let (ops, _folder) = ops_of(app.emulator());
    let queue = ops.queues().await.unwrap().items.into_iter().find(|queue| queue.name.id() == "shop-dead").unwrap();
    assert_eq!((queue.state, queue.retry.attempts_max), (QueueState::Paused, None));
    ops.run_task(&kept.name).await.unwrap();
    eventually("it was tried", async || (app.state().attempts.load(SeqCst) > 2 * ATTEMPTS + 1).then_some(())).await;
    assert_eq!(tasks(&app, "shop-dead").await.len(), 2);
    app.state().works.store(true, SeqCst);
    ops.run_task(&kept.name).await.unwrap();
    eventually("it is done", async || (tasks(&app, "shop-dead").await.len() == 1).then_some(())).await;
}

#[tokio::test]
async fn a_copy_that_cannot_be_made_leaves_the_task_where_it_is() {
    let app = start().await;
    Charge { order: 7 }.asap(&app).await.unwrap();
    app.emulator().inject(Fault::status("CreateTask", "PERMISSION_DENIED")).unwrap();
    app.advance(LONG).await.unwrap();
    assert_eq!((tasks(&app, "shop").await.len(), tasks(&app, "shop-dead").await.len()), (1, 0));
    assert_eq!(app.state().attempts.load(SeqCst), ATTEMPTS, "its attempts are over: only the copy is tried on");
    app.emulator().clear_faults();
    // Of the first copy only the answer is lost: the second try finds it there.
    app.emulator().inject(Fault::drop_after_commit("CreateTask").times(1)).unwrap();
    app.advance(LONG).await.unwrap();
    assert_eq!((tasks(&app, "shop").await.len(), tasks(&app, "shop-dead").await.len()), (0, 1));
}

/// A name is free again after a day, and a copy may lie for a month: the second task of a name must not be taken for the first.
#[tokio::test]
async fn a_later_task_of_the_same_name_has_a_copy_of_its_own() {
    let app = start().await;
    for order in [7, 8] {
        Charge { order }.enqueue(&app).named("charge".parse().unwrap()).send().await.unwrap();
        // The name is blocked for a day after its task has gone.
        app.advance(Duration::from_hours(26)).await.unwrap();
    }
    let mut dead: Vec<String> =
        tasks(&app, "shop-dead").await.iter().map(|task| String::from_utf8_lossy(&task.request.body).into_owned()).collect();
    dead.sort();
    assert_eq!(dead, [r#"{"order":7}"#, r#"{"order":8}"#]);
}

/// Its attempts hung, or took the process with them: none ever ended here. After the last one the task is kept and not run again.
#[tokio::test]
async fn a_task_whose_attempts_never_end_is_kept_too() {
    let app = redrive::testing::app(Shop::default()).named("shop").task::<Charge>().unauthenticated().start().await.unwrap();
    let attempt = async |number: u32| {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let post = http.post(format!("{}/tasks/Charge", app.host().url)).header("X-CloudTasks-QueueName", "shop");
        let post = post.header("X-CloudTasks-TaskName", "7").header("X-CloudTasks-TaskRetryCount", (number - 1).to_string());
        post.body(r#"{"order":7}"#).send().await.unwrap().status().as_u16()
    };
    assert_eq!((attempt(ATTEMPTS - 1).await, app.state().attempts.load(SeqCst)), (500, 1));
    assert_eq!((attempt(ATTEMPTS + 1).await, app.state().attempts.load(SeqCst)), (202, 1));
    assert!(header(&tasks(&app, "shop-dead").await[0], "redrive-error").contains("3 attempts before this one"));
    // It is answered a second time, as when the first answer was lost.
    assert_eq!((attempt(ATTEMPTS + 2).await, tasks(&app, "shop-dead").await.len()), (202, 1));
}

/// Its handler is in no revision any more. Provisioning made the queue's attempts endless, so it ends here: as often as others are tried it is unknown, as
/// another revision may have its handler, then it is kept.
#[tokio::test]
async fn a_task_that_nobody_knows_any_more_is_kept_in_the_end() {
    #[derive(Serialize, Deserialize)]
    struct Former;

    impl Task<Shop> for Former {
        const NAME: &'static str = "Former";

        async fn run(self, _: Context<Shop>) -> Outcome {
            done()
        }
    }

    let app = start().await;
    let before = redrive::runtime::App::new(Shop::default()).named("shop").task::<Charge>().task::<Former>();
    let before = before.on(app.cloud().clone()).host(app.host().clone()).build().unwrap();
    Former.enqueue(&before).header("x-gateway", "k").send().await.unwrap();
    // In a queue without a dead set it is the queue's own matter.
    let own = "projects/demo/locations/europe-west1/queues/plain".parse::<redrive::names::QueueName>().unwrap();
    let made = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/v2/projects/demo/locations/europe-west1/queues", app.emulator().address());
    let made =
        made.post(url).json(&serde_json::json!({ "name": own.to_string(), "retryConfig": { "maxAttempts": 2 } })).send().await.unwrap();
    assert!(made.status().is_success());
    Former.enqueue(&before).queue("plain".parse().unwrap()).send().await.unwrap();
    app.advance(LONG).await.unwrap();
    assert!(tasks(&app, "shop").await.is_empty() && tasks(&app, "plain").await.is_empty());
    let dead = tasks(&app, "shop-dead").await;
    let [kept] = &dead[..] else { panic!("{dead:?}") };
    assert!(kept.request.url.ends_with("/tasks/Former"), "{}", kept.request.url);
    assert_eq!((header(kept, "redrive-attempts"), header(kept, "x-gateway")), ("3", "k"));
    assert!(header(kept, "redrive-error").contains("no handler"), "{kept:?}");
    // A revision that has the handler again runs it from there.
    let (ops, _folder) = ops_of(app.emulator());
    ops.run_task(&kept.name).await.unwrap();
    eventually("it was tried again", async || {
        let kept = tasks(&app, "shop-dead").await.remove(0);
        kept.last_attempt.is_some_and(|attempt| attempt.response_time.is_some()).then_some(())
    })
    .await;
}

/// Others say nothing that would tell a task from an earlier one of the same name and body: the times of the task and of the copy do.
#[tokio::test]
async fn tasks_of_others_with_one_name_and_body_have_copies_of_their_own() {
    let app = start().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let queue = "projects/demo/locations/europe-west1/queues/shop";
    let url = format!("http://{}/v2/{queue}/tasks", app.emulator().address());
    let token = serde_json::json!({ "serviceAccountEmail": app.host().account, "audience": app.host().url });
    let task = serde_json::json!({ "task": { "name": format!("{queue}/tasks/charge"), "httpRequest": {
        "url": format!("{}/tasks/Charge", app.host().url), "body": "eyJvcmRlciI6N30=", "oidcToken": token,
    } } });
    for count in 1..=3 {
        let made = http.post(&url).json(&task).send().await.unwrap();
        assert!(made.status().is_success(), "{}", made.text().await.unwrap());
        // The answer to the first copy is lost each time: the second try finds it.
        app.emulator().inject(Fault::drop_after_commit("CreateTask").times(1)).unwrap();
        app.advance(Duration::from_hours(26)).await.unwrap();
        assert_eq!(tasks(&app, "shop-dead").await.len(), count);
        assert!(tasks(&app, "shop").await.is_empty());
    }
}

/// Without provisioning: what is made on first use must not give tasks up by itself.
#[tokio::test]
async fn queues_made_on_first_use_leave_the_counting_to_the_runtime() {
    let world = crate::support::World::start("queues: []").await;
    let app = world.app(Shop::default(), "http://127.0.0.1:9").named("shop").task::<Charge>().creates_queues().build().unwrap();
    Charge { order: 7 }.later(&app, Duration::from_hours(1)).await.unwrap();
    let queue = world.ops.queues().await.unwrap().items.remove(0);
    assert_eq!((queue.name.id(), queue.retry.attempts_max), ("shop", None));
}
