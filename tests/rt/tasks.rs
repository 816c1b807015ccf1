//! Tasks are enqueued, run, repeated, refused.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use redrive::emulator::Fault;
use redrive::error::Kind;
use redrive::runtime::{Builder, Compat, Context, EnqueueRetry, Mode, Origin, Outcome, Task, TaskOptions, discard, done_with, retry};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::support::World;

/// Where the app says it is; nothing is dispatched there, for the queues are paused.
const URL: &str = "http://127.0.0.1:9";
const QUEUES: &str = "queues: [{ name: shop, paused: true }, { name: slow, paused: true }, { name: high, paused: true }]";

/// What was done, as its handlers tell it.
type Log = Mutex<Vec<String>>;

fn log(cx: &Context<Log>, line: impl Into<String>) {
    cx.state().lock().unwrap().push(line.into());
}

#[derive(Serialize, Deserialize)]
struct Send {
    to: String,
}

impl Task<Log> for Send {
    const NAME: &'static str = "Send";

    fn options() -> TaskOptions {
        TaskOptions::new().priority(9, "high".parse().unwrap())
    }

    async fn run(self, cx: Context<Log>) -> Outcome {
        assert!(!self.to.contains("panic"), "no mail for {}", self.to);
        log(&cx, format!("{} {} {}", self.to, cx.attempt().number, cx.header("traceparent").unwrap_or("-")));
        match self.to.as_str() {
            "nobody" => discard("left"),
            "later" => retry("not now"),
            "error" => Err("no server".into()),
            "both" => {
                Send { to: "inner".to_owned() }.asap(cx.app()).await?;
                done_with(2)
            }
            _ => done_with(1),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Once;

impl Task<Log> for Once {
    const NAME: &'static str = "shop.Once";

    fn options() -> TaskOptions {
        TaskOptions::new().only_once().queue("slow".parse().unwrap())
    }

    async fn run(self, _: Context<Log>) -> Outcome {
        done_with("once")
    }
}

/// Is in no app.
#[derive(Serialize, Deserialize)]
struct Stranger;

impl Task<Log> for Stranger {
    const NAME: &'static str = "Stranger";

    async fn run(self, _: Context<Log>) -> Outcome {
        done_with("never")
    }
}

/// JSON has no such keys.
#[derive(Serialize, Deserialize)]
struct Unwritable(HashMap<Vec<u8>, u8>);

impl Task<Log> for Unwritable {
    const NAME: &'static str = "Unwritable";

    async fn run(self, _: Context<Log>) -> Outcome {
        done_with("never")
    }
}

fn to(name: &str) -> Send {
    Send { to: name.to_owned() }
}

fn shop(world: &World) -> Builder<Log> {
    world.app(Log::default(), URL).named("shop").task::<Send>().task::<Once>()
}

#[tokio::test]
async fn a_task_is_enqueued_as_it_was_asked_for() {
    let world = World::start(QUEUES).await;
    let app = shop(&world).propagates("x-tenant").build().unwrap();
    let begun = Timestamp::now();
    let plain = to("ada").asap(&app).await.unwrap();
    assert_eq!(plain.queue.unwrap().id(), "shop");
    let stored = world.tasks("shop").await.remove(0);
    assert_eq!(stored.name.id(), plain.id);
    assert_eq!((stored.request.method.as_str(), stored.request.url.as_str()), ("POST", "http://127.0.0.1:9/tasks/Send"));
    assert_eq!((&stored.request.body[..], &stored.request.token_account), (&br#"{"to":"ada"}"#[..], &None));
    assert!(stored.request.headers.iter().any(|(name, value)| name.eq_ignore_ascii_case("content-type") && value == "application/json"));

    let rich = to("bob").enqueue(&app).queue("slow".parse().unwrap()).named("bob-1".parse().unwrap()).at(Duration::from_mins(5));
    let rich = rich.header("X-Tenant", "t1").header("X-Other", "o").dispatch_deadline(Duration::from_secs(20)).send().await.unwrap();
    assert_eq!((rich.id.as_str(), rich.queue.unwrap().id().to_owned()), ("bob-1", "slow".to_owned()));
    let stored = world.tasks("slow").await.remove(0);
    let wait = stored.schedule_time.unwrap().duration_since(begun).as_secs();
    assert!((299..=330).contains(&wait), "{wait}");
    assert_eq!(stored.dispatch_deadline, Some(Duration::from_secs(20)));
    let header =
        |name: &str| stored.request.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
    assert_eq!((header("x-tenant"), header("x-other")), (Some("t1"), Some("o")));

    to("carol").enqueue(&app).priority(9).send().await.unwrap();
    to("dan").enqueue(&app).priority(1).send().await.unwrap();
    assert_eq!((world.tasks("high").await.len(), world.tasks("shop").await.len()), (1, 2));

    let latest = Duration::from_hours(2);
    to("eve").until(&app, latest).await.unwrap();
    let due = world.tasks("shop").await.into_iter().find(|task| task.request.body.ends_with(b"eve\"}")).unwrap().schedule_time.unwrap();
    assert!(due >= begun && due <= Timestamp::now() + latest, "{due}");
}

#[tokio::test]
async fn names_keep_tasks_from_being_there_twice() {
    let world = World::start(QUEUES).await;
    let app = shop(&world).build().unwrap();
    let first = Once.asap(&app).await.unwrap();
    assert_eq!(first.id, "shop-Once");
    assert!(Once.asap(&app).await.unwrap_err().is_already_exists());
    let first = to("ada").enqueue(&app).deduplicated().send().await.unwrap();
    assert!(first.id.ends_with("--Send"), "{}", first.id);
    assert!(to("ada").enqueue(&app).deduplicated().send().await.unwrap_err().is_already_exists());
    to("bob").enqueue(&app).deduplicated().send().await.unwrap();
    assert_eq!(world.tasks("shop").await.len(), 2);
}

#[tokio::test]
async fn a_queue_is_made_for_its_first_task_when_asked_and_another_stands_in_for_one_deleted_recently() {
    let world = World::start("queues: []").await;
    let app = shop(&world).mode(Mode::Normal).build().unwrap();
    let error = to("ada").asap(&app).await.unwrap_err();
    assert!(error.is_not_found() && error.to_string().contains("task `Send`"), "{error}");

    let app = shop(&world).creates_queues().build().unwrap();
    let soon = Duration::from_hours(1);
    assert_eq!(to("ada").later(&app, soon).await.unwrap().queue.unwrap().id(), "shop");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/v2/projects/shop/locations/europe-west1/queues/shop", world.emulator.address());
    assert!(http.delete(&url).send().await.unwrap().status().is_success());
    for _ in 0..2 {
        assert_eq!(to("ada").later(&app, soon).await.unwrap().queue.unwrap().id(), "shop--temp");
    }
    assert_eq!(world.tasks("shop--temp").await.len(), 2);
}

#[tokio::test]
async fn what_is_not_taken_is_sent_again_as_the_policy_says() {
    let world = World::start(QUEUES).await;
    let app = shop(&world).build().unwrap();
    let fails = |code: &str, times| world.emulator.inject(Fault::status("CreateTask", code).times(times)).unwrap();
    fails("UNAVAILABLE", 2);
    to("ada").asap(&app).await.unwrap();
    fails("RESOURCE_EXHAUSTED", 1);
    assert_eq!(to("bob").asap(&app).await.unwrap_err().kind(), Kind::Exhausted, "not among the codes of the app's policy");
    let patient = EnqueueRetry::new().codes(["RESOURCE_EXHAUSTED"]).unwrap().initial(Duration::from_millis(5));
    fails("RESOURCE_EXHAUSTED", 3);
    to("bob").enqueue(&app).retry(patient.clone()).send().await.unwrap();
    fails("UNAVAILABLE", 1);
    assert_eq!(to("carol").enqueue(&app).retry(EnqueueRetry::never()).send().await.unwrap_err().kind(), Kind::Unavailable);
    world.emulator.clear_faults();
    fails("RESOURCE_EXHAUSTED", 1000);
    let short = patient.deadline(Duration::from_millis(50));
    assert_eq!(to("carol").enqueue(&app).retry(short).send().await.unwrap_err().kind(), Kind::Exhausted);
    world.emulator.clear_faults();
    // The answer is lost; a name keeps the second try from making a second task.
    world.emulator.inject(Fault::drop_after_commit("CreateTask").times(1)).unwrap();
    let named = to("dan").enqueue(&app).named("dan-1".parse().unwrap()).send().await;
    assert!(named.is_err_and(|error| error.is_already_exists()));
    let bodies: Vec<_> = world.tasks("shop").await.into_iter().map(|task| String::from_utf8(task.request.body.to_vec()).unwrap()).collect();
    assert_eq!(bodies.iter().filter(|body| body.contains("dan")).count(), 1, "{bodies:?}");
    assert_eq!(bodies.len(), 3, "{bodies:?}");
}

/// The app's policy holds for every task, a type's own goes before it, and what the caller says before both.
#[tokio::test]
async fn policies_of_the_app_of_the_type_and_of_the_call() {
    #[derive(Serialize, Deserialize)]
    struct Hasty;

    impl Task<Log> for Hasty {
        const NAME: &'static str = "Hasty";

        fn options() -> TaskOptions {
            TaskOptions::new().retry(EnqueueRetry::never())
        }

        async fn run(self, _: Context<Log>) -> Outcome {
            done_with("at once")
        }
    }

    let world = World::start(QUEUES).await;
    let patient = EnqueueRetry::new().codes(["ABORTED"]).unwrap().initial(Duration::from_millis(5));
    let app = shop(&world).task::<Hasty>().enqueue_retry(patient.clone()).build().unwrap();
    let fails = |code: &str, times| {
        world.emulator.clear_faults();
        world.emulator.inject(Fault::status("CreateTask", code).times(times)).unwrap();
    };
    fails("ABORTED", 2);
    to("ada").asap(&app).await.unwrap();
    fails("UNAVAILABLE", 1);
    assert_eq!(to("bob").asap(&app).await.unwrap_err().kind(), Kind::Unavailable, "it is not among the app's codes any more");
    fails("ABORTED", 1);
    assert!(Hasty.asap(&app).await.is_err(), "the type's own");
    fails("ABORTED", 1);
    Hasty.enqueue(&app).retry(patient).send().await.unwrap();
    assert_eq!(world.tasks("shop").await.len(), 2);
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_it_is_sent() {
    let world = World::start(QUEUES).await;
    let app = shop(&world).maximum_eta(Duration::from_hours(1)).build().unwrap();
    let refused = |result: redrive::Result<_>, words: &str| {
        let error: redrive::Error = result.map(|_: redrive::runtime::Enqueued| ()).unwrap_err();
        assert!(error.is_invalid_input() && error.to_string().contains(words), "{error}");
    };
    refused(Stranger.asap(&app).await, "task `Stranger` is not registered");
    refused(to("ada").later(&app, Duration::from_secs(3601)).await, "3600 s from now at the latest");
    refused(to(&"x".repeat(1024 * 1024)).asap(&app).await, "takes 1 MiB");
    refused(to("ada").enqueue(&app).header("X-A", "a\r\nX-Evil: 1").send().await, "`X-A` with this value is no header");
    refused(to("ada").enqueue(&app).dispatch_deadline(Duration::from_secs(1)).send().await, "not between 15 s and 30 min");
    refused(Unwritable(HashMap::from([(vec![7], 1)])).asap(&app).await, "task `Unwritable` cannot be written as JSON");
    assert!(world.tasks("shop").await.is_empty());

    let twice = shop(&world).task::<Send>().build().err().unwrap();
    assert_eq!(twice.to_string(), "task `Send` is registered twice");
    let wrong = |builder: Builder<Log>, words: &str| {
        let error = builder.build().err().unwrap();
        assert!(error.is_invalid_input() && error.to_string().contains(words), "{error}");
    };
    wrong(world.app(Log::default(), "shop.example").task::<Once>(), "`shop.example` is not the base URL");
    wrong(world.app(Log::default(), URL).named("my_shop").task::<Send>(), "`my_shop` is not a valid queue name");
    wrong(world.app(Log::default(), URL).named("1shop").task::<Once>(), "begin with `1shop--`");
    wrong(shop(&world).compat(Compat::SingleEndpoint), "task `shop.Once` goes over Pub/Sub");
    let nowhere = redrive::runtime::App::new(()).build().err().unwrap();
    assert!(nowhere.is_invalid_input() && nowhere.hint().is_some_and(|hint| hint.contains("from_env")), "{nowhere}");
}

#[tokio::test]
async fn eager_tasks_run_at_once_through_encoding_and_decoding() {
    let world = World::start(QUEUES).await;
    for compat in [Compat::Native, Compat::DjangoGoogleCloudTasks, Compat::DjangoTasksCloudTasks, Compat::SingleEndpoint] {
        let app = world.app(Log::default(), URL).named("shop").task::<Send>().compat(compat).mode(Mode::Eager).build().unwrap();
        let taken = to("both").enqueue(&app).header("traceparent", "00-t-s-01").at(Duration::from_hours(1)).send().await.unwrap();
        assert_eq!((taken.id.as_str(), taken.queue), ("", None));
        // What the work asks for runs under its headers too, and first.
        assert_eq!(*app.state().lock().unwrap(), ["both 1 00-t-s-01", "inner 1 00-t-s-01"], "{compat:?}");
        assert_eq!(to("error").asap(&app).await.unwrap_err().kind(), Kind::Internal);
        assert_eq!(to("nobody").asap(&app).await.unwrap_err().kind(), Kind::FailedPrecondition);
    }
    let app = shop(&world).mode(Mode::Disabled).build().unwrap();
    to("ada").asap(&app).await.unwrap();
    assert!(app.state().lock().unwrap().is_empty());
    assert!(world.tasks("shop").await.is_empty());
}

#[tokio::test]
async fn sync_returns_the_result_or_says_how_it_ended() {
    let world = World::start(QUEUES).await;
    let app = shop(&world).build().unwrap();
    assert_eq!(to("ada").sync(&app).await.unwrap(), json!(1));
    assert_eq!(Once.sync(&app).await.unwrap(), json!("once"));
    let cases = [
        ("nobody", Kind::FailedPrecondition, "discarded: left"),
        ("later", Kind::Unavailable, "not now"),
        ("error", Kind::Internal, "no server"),
        ("panic", Kind::Internal, "panicked: no mail for panic"),
    ];
    for (name, kind, words) in cases {
        let error = to(name).sync(&app).await.unwrap_err();
        assert!(error.kind() == kind && error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn stored_tasks_are_tried_here_and_discarded() {
    let world = World::start(QUEUES).await;
    for compat in [Compat::Native, Compat::DjangoTasksCloudTasks] {
        let app = shop(&world).compat(compat).queue(&"shop".parse().unwrap()).build().unwrap();
        let mut names = Vec::new();
        for name in ["ada", "error", "nobody"] {
            let taken = to(name).enqueue(&app).header("traceparent", "00-t-s-01").send().await.unwrap();
            names.push(redrive::names::TaskName::new(taken.queue.unwrap(), taken.id.parse().unwrap()));
        }
        Once.asap(&app).await.map(drop).or_else(|error| if error.is_already_exists() { Ok(()) } else { Err(error) }).unwrap();
        let tried = app.debug_task(&names[0]).await.unwrap();
        assert_eq!((tried.task.as_str(), tried.settled, tried.result, tried.why), ("Send", true, json!(1), None));
        assert_eq!(*app.state().lock().unwrap(), ["ada 1 00-t-s-01"]);
        let tried = app.debug_task(&names[1]).await.unwrap();
        assert_eq!((tried.settled, tried.why.as_deref()), (false, Some("no server")));
        assert!(app.debug_task(&names[2]).await.unwrap().settled, "discarded is settled");
        assert_eq!(world.tasks("shop").await.len(), 3, "they stay");

        app.discard_task(&names[0]).await.unwrap();
        app.discard_task(&names[0]).await.unwrap();
        assert!(app.discard_tasks::<Send>(1).await.unwrap().deleted.is_empty(), "none was attempted yet");
        let report = app.discard_tasks::<Send>(0).await.unwrap();
        assert_eq!((report.deleted.len(), report.gone, report.failed.len(), report.cut), (2, 0, 0, false));
        assert_eq!((world.tasks("shop").await.len(), world.tasks("slow").await.len()), (0, 1), "only those of its type");
        assert!(app.discard_tasks::<Stranger>(0).await.unwrap_err().is_invalid_input());
        assert!(app.debug_task(&names[0]).await.unwrap_err().is_not_found());
    }
}

#[tokio::test]
async fn a_handler_knows_that_it_was_called_directly() {
    #[derive(Serialize, Deserialize)]
    struct Where;

    impl Task<()> for Where {
        const NAME: &'static str = "Where";

        async fn run(self, cx: Context<()>) -> Outcome {
            done_with(matches!(cx.origin(), Origin::Direct) && cx.attempt().is_first() && !cx.attempt().is_last())
        }
    }

    let world = World::start(QUEUES).await;
    let app = world.app((), URL).task::<Where>().build().unwrap();
    assert_eq!(Where.sync(&app).await.unwrap(), json!(true));
}

#[tokio::test]
async fn a_payload_without_names_is_refused_where_the_format_knows_only_names() {
    #[derive(Serialize, Deserialize)]
    struct Number(u64);

    impl Task<()> for Number {
        const NAME: &'static str = "Number";

        async fn run(self, _: Context<()>) -> Outcome {
            done_with(self.0)
        }
    }

    let world = World::start(QUEUES).await;
    for compat in [Compat::DjangoGoogleCloudTasks, Compat::DjangoGcp] {
        let app = world.app((), URL).named("shop").compat(compat).task::<Number>().build().unwrap();
        assert!(Number(7).asap(&app).await.unwrap_err().to_string().contains("no named fields"));
    }
    for compat in [Compat::Native, Compat::DjangoTasksCloudTasks, Compat::SingleEndpoint] {
        let app = world.app((), URL).named("shop").compat(compat).task::<Number>().build().unwrap();
        assert_eq!(Number(7).sync(&app).await.unwrap(), json!(7), "{compat:?}");
    }
}
