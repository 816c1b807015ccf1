use std::time::{Duration, Instant};

use redrive::cloud::{Cloud, Environment, Found, Settings};
use redrive::error::Kind;
use redrive::model::message::Draft;
use redrive::ops::{Ops, PeekMode};
use tokio::net::TcpListener;

use super::{World, queue, subscription, task, topic};

/// A refused connection must be told within this time: no retries of minutes.
const AT_ONCE: Duration = Duration::from_secs(2);

async fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

fn ops(cloud: Cloud) -> (Ops, tempfile::TempDir) {
    let home = tempfile::tempdir().unwrap();
    (Ops::new(cloud, home.path().join("home"), false).unwrap(), home)
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_told_at_once() {
    let host = closed_port().await;
    let (ops, _home) = ops(Cloud::emulator(&host, "shop".parse().unwrap()).unwrap());
    let begun = Instant::now();
    let errors = [
        ops.queues().await.map(drop).unwrap_err(),
        ops.jobs().await.map(drop).unwrap_err(),
        ops.topics().await.map(drop).unwrap_err(),
        ops.dead_letters().await.map(drop).unwrap_err(),
        ops.locations().await.map(drop).unwrap_err(),
        ops.publish(&topic("t-1"), Draft { data: "x".into(), ..Draft::default() }).await.map(drop).unwrap_err(),
        ops.peek(&subscription("sub"), PeekMode::Leased, 1).await.map(drop).unwrap_err(),
        ops.run_task(&task("q", "t")).await.map(drop).unwrap_err(),
        ops.pause_queue(&queue("q")).await.map(drop).unwrap_err(),
    ];
    assert!(begun.elapsed() < AT_ONCE * 9, "{:?}", begun.elapsed());
    for error in errors {
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
        assert!(error.to_string().contains(&format!("no connection to `{host}`")), "{error}");
        assert!(error.hint().unwrap().starts_with("`--emulator` points there"), "{error:?}");
    }
    let numbers = ops.numbers().await.unwrap();
    assert_eq!(numbers.problems.len(), 2, "{:?}", numbers.problems);
    assert!(numbers.problems.iter().all(|problem| problem.contains(&host)), "{:?}", numbers.problems);
    assert!(numbers.queues.is_empty() && numbers.subscriptions.is_empty());
}

#[tokio::test]
async fn an_endpoint_named_by_a_variable_is_told_with_it() {
    let host = closed_port().await;
    let environment = Environment::new(None, [("CLOUD_TASKS_EMULATOR_HOST", host.as_str()), ("GOOGLE_CLOUD_PROJECT", "shop")]);
    let Found::Ready(cloud) = Cloud::discover_in(&Settings::default(), &environment).await else { panic!("an emulator is named") };
    let (ops, _home) = ops(*cloud);
    let error = ops.queues().await.unwrap_err();
    assert!(error.hint().unwrap().starts_with("`CLOUD_TASKS_EMULATOR_HOST` points there"), "{error:?}");
    let error = ops.topics().await.unwrap_err();
    assert_eq!(error.to_string(), "Pub/Sub is not configured: other services go to an emulator, this one has none");
    assert!(error.hint().unwrap().contains("`PUBSUB_EMULATOR_HOST=HOST:PORT`"), "{error:?}");
    let error = ops.publish(&topic("t-1"), Draft { data: "x".into(), ..Draft::default() }).await.unwrap_err();
    assert_eq!(error.kind(), Kind::FailedPrecondition, "{error}");
    // The job list goes nowhere either, while locations of tasks could be asked for.
    assert_eq!(ops.jobs().await.unwrap_err().kind(), Kind::FailedPrecondition);
}

#[tokio::test]
async fn a_server_that_never_answers_is_not_waited_for() {
    // The kernel accepts; nobody reads.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let (ops, _home) = ops(Cloud::emulator(&host, "shop".parse().unwrap()).unwrap());
    let begun = Instant::now();
    let error = ops.topics().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout, "{error}");
    assert!(error.to_string().contains(&format!("no answer from `{host}`")), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_read_only_context_changes_nothing() {
    let world = World::start(
        "topics: [{ name: orders }, { name: dead }]
subscriptions: [{ name: hold, topic: orders }, { name: strict, topic: orders, dead_letter: { topic: dead } }]
queues: [{ name: emails, paused: true }]
tasks: [{ queue: emails, name: one, http: { url: 'http://127.0.0.1:9/' } }]
jobs: [{ name: nightly, schedule: 0 3 * * *, publish: { topic: orders, json: {} } }]",
    )
    .await;
    let ops = world.read_only();
    let job = "projects/shop/locations/europe-west1/jobs/nightly".parse().unwrap();
    let draft = Draft { data: "x".into(), ..Draft::default() };
    let refusals = [
        ops.publish(&topic("orders"), draft).await.map(drop).unwrap_err(),
        ops.run_task(&task("emails", "one")).await.map(drop).unwrap_err(),
        ops.discard_tasks(vec![task("emails", "one")], |_| {}).await.map(drop).unwrap_err(),
        ops.pause_queue(&queue("emails")).await.map(drop).unwrap_err(),
        ops.resume_queue(&queue("emails")).await.map(drop).unwrap_err(),
        ops.purge_queue(&queue("emails")).await.map(drop).unwrap_err(),
        ops.run_job(&job).await.map(drop).unwrap_err(),
        ops.pause_job(&job).await.map(drop).unwrap_err(),
        ops.resume_job(&job).await.map(drop).unwrap_err(),
        ops.peek(&subscription("hold"), PeekMode::Snapshot, 5).await.map(drop).unwrap_err(),
        ops.peek(&subscription("strict"), PeekMode::Leased, 5).await.map(drop).unwrap_err(),
    ];
    assert!(refusals.iter().all(redrive::Error::is_refused), "{refusals:?}");
    assert!(ops.peek(&subscription("hold"), PeekMode::Leased, 5).await.unwrap().messages.is_empty());
    assert_eq!(ops.tasks(&queue("emails"), false, 5).await.unwrap().items.len(), 1);
    assert_eq!(ops.queues().await.unwrap().items[0].raw["state"], "PAUSED");
    assert!(ops.activity(20).unwrap().iter().all(|entry| entry.result.contains("read-only")));
}
