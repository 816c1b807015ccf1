//! What stays in its subscription, read from a snapshot: any number, and nothing there is leased, counted or held up.

use std::path::PathBuf;

use redrive::ops::PeekMode;

use super::handler::Handler;
use super::*;

/// More than can be leased until the end.
const MANY: usize = 12_000;
/// Messages of one publish.
const BATCH: usize = 1000;

const PLAIN: &str = "
topics: [{ name: many }]
subscriptions: [{ name: plain, topic: many }]
";

/// `rows` is ordered, `tried` has a dead-letter policy, `pushed` pushes to nobody.
const SEED: &str = "
topics: [{ name: many }, { name: dead }]
subscriptions:
  - { name: rows, topic: many, ordered: true }
  - { name: tried, topic: many, dead_letter: { topic: dead, max_attempts: 5 } }
  - { name: pushed, topic: many, push_endpoint: 'http://127.0.0.1:9/' }
";

async fn publish(world: &World, count: usize) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for batch in 0..count.div_ceil(BATCH) {
        let draft = |n: usize| Draft { data: n.to_string().into(), ordering_key: format!("key {}", n % 3), ..Draft::default() };
        let drafts: Vec<Draft> = (batch * BATCH..count.min((batch + 1) * BATCH)).map(draft).collect();
        ids.extend(world.ops.cloud().publish_once(&topic("many"), &drafts).await.unwrap());
    }
    ids
}

fn export(world: &World, from: &str) -> (Request, PathBuf) {
    let file = world.home.join(format!("{from}.jsonl"));
    (Request { delivery: Delivery::File(file.clone()), ..request(Kind::Export, from) }, file)
}

/// The ids in a file of copies, as they come.
fn ids_in(file: &PathBuf) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["messageId"].as_str().unwrap().to_owned();
    text.lines().map(line).collect()
}

/// Nothing that was made for the reading is left.
async fn nothing_is_left(world: &World) {
    let names: Vec<String> = world.ops.subscriptions().await.unwrap().items.iter().map(|one| one.name.id().to_owned()).collect();
    assert!(names.iter().all(|name| !name.starts_with("redrive-")), "{names:?}");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/v1/projects/shop/snapshots", world.emulator.address());
    let snapshots: serde_json::Value = http.get(&url).send().await.unwrap().json().await.unwrap();
    assert!(snapshots["snapshots"].as_array().is_none_or(Vec::is_empty), "{snapshots}");
}

#[tokio::test]
async fn an_export_of_more_than_can_be_leased_leaves_all_as_it_was() {
    let world = World::start(PLAIN).await;
    let ids = publish(&world, MANY).await;
    let (export, file) = export(&world, "plain");
    let leased = world.ops.plan_transfer(Request { reading: Some(PeekMode::Leased), ..export.clone() }).await.unwrap();
    let plan = world.ops.plan_transfer(export).await.unwrap();
    assert_eq!((plan.refusals.len(), plan.request.reading), (0, Some(PeekMode::Snapshot)), "{plan:?}");
    assert!(plan.warnings.iter().any(|warning| warning.contains("read from a snapshot")), "{:?}", plan.warnings);
    assert_eq!(leased.request.reading, Some(PeekMode::Leased));

    let id = world.ops.start_transfer(plan).await.unwrap();
    // What is published meanwhile is not part of it; the second that has begun counts.
    world.emulator.advance(Duration::from_secs(2)).await.unwrap();
    publish(&world, 5).await;
    let all = u64::try_from(MANY).unwrap();
    follow(&world.ops, &id, |summary| summary.counts.moved == all || is_over(summary)).await;
    // While it runs nothing of the subscription is leased to it: all can be taken.
    assert_eq!(drain(&world, "plain", MANY + 5).await.len(), MANY + 5);
    let done = follow(&world.ops, &id, is_over).await;
    assert_eq!((done.state, done.counts.moved, done.counts.failed), (State::Done, all, 0), "{done:?}");
    let written = ids_in(&file);
    assert_eq!((written.len(), written.into_iter().collect::<BTreeSet<_>>()), (MANY, ids));
    nothing_is_left(&world).await;
}

#[tokio::test]
async fn one_that_is_cancelled_goes_on_and_writes_nothing_twice() {
    let world = World::start(PLAIN).await;
    let ids = publish(&world, 400).await;
    let (export, file) = export(&world, "plain");
    let slowly = Request { reading: Some(PeekMode::Snapshot), rate_max: Some(200), window: 20, max: Some(400), ..export };
    let id = start(&world.ops, slowly).await;
    follow(&world.ops, &id, |summary| summary.counts.moved >= 50).await;
    world.ops.cancel_transfer(&id).await.unwrap();
    let cancelled = follow(&world.ops, &id, is_over).await;
    assert_eq!((cancelled.state, cancelled.counts.moved < 400), (State::Cancelled, true), "{cancelled:?}");
    nothing_is_left(&world).await;
    world.ops.resume_transfer(&id).await.unwrap();
    let done = follow(&world.ops, &id, is_over).await;
    assert_eq!((done.state, done.counts.moved), (State::Done, 400), "{done:?}");
    let written = ids_in(&file);
    assert_eq!((written.len(), written.into_iter().collect::<BTreeSet<_>>()), (400, ids));
    nothing_is_left(&world).await;
}

#[tokio::test]
async fn where_a_lease_would_disturb_a_snapshot_is_read() {
    let world = World::start(SEED).await;
    let ids = publish(&world, 30).await;
    for from in ["rows", "tried", "pushed"] {
        let (export, file) = export(&world, from);
        let id = start(&world.ops, Request { max: Some(30), ..export }).await;
        let done = follow(&world.ops, &id, is_over).await;
        assert_eq!((done.state, done.counts.moved), (State::Done, 30), "{from}: {done:?}");
        assert_eq!(ids_in(&file).into_iter().collect::<BTreeSet<_>>(), ids, "{from}");
    }
    // No delivery was counted: four refusals do not make a dead letter yet.
    for _ in 0..4 {
        let pulled = world.ops.cloud().pull(&subscription("tried"), 100, Duration::from_millis(500)).await.unwrap().messages;
        let ack_ids: Vec<String> = pulled.iter().map(|received| received.ack_id.clone()).collect();
        assert_eq!(ack_ids.len(), 30);
        world.ops.cloud().modify_ack_deadline(&subscription("tried"), &ack_ids, Duration::ZERO).await.unwrap();
    }
    assert_eq!(drain(&world, "tried", 30).await.iter().filter(|message| message.delivery_attempt != Some(5)).count(), 0);
}

#[tokio::test]
async fn a_replay_keeps_the_order_of_keys_and_tries_again_what_the_handler_refused() {
    let world = World::start(SEED).await;
    publish(&world, 30).await;
    let refusing = Handler::start(|asked| if asked.message().data.as_ref() == b"7" { 500 } else { 200 }).await;
    let to = |handler: &Handler| Delivery::Handler { url: handler.url("/"), anywhere: false };
    let replay = Request { delivery: to(&refusing), max: Some(30), ..request(Kind::Replay, "rows") };
    let id = start(&world.ops, replay).await;
    let part = follow(&world.ops, &id, is_over).await;
    assert_eq!((part.state, part.counts.failed > 0), (State::DoneInPart, true), "{part:?}");
    let mut last: BTreeMap<String, u32> = BTreeMap::new();
    for asked in refusing.asked() {
        let message = asked.message();
        let number: u32 = String::from_utf8_lossy(&message.data).parse().unwrap();
        let before = last.insert(message.ordering_key.clone(), number);
        assert!(before <= Some(number), "{number} of `{}` came after {before:?}", message.ordering_key);
    }
    assert!(last["key 1"] == 7, "what lies behind a refused message is not sent: {last:?}");
    assert_eq!(everything(&world, "rows").await.len(), 30, "all are where they were");
}

#[tokio::test]
async fn what_cannot_be_read_from_a_snapshot_says_what_to_do() {
    let world = World::start(PLAIN).await;
    publish(&world, 3).await;
    let fault = redrive::emulator::Fault::status("CreateSnapshot", "PERMISSION_DENIED");
    world.emulator.inject(fault).unwrap();
    let (export, _) = export(&world, "plain");
    let plan = world.ops.plan_transfer(Request { reading: Some(PeekMode::Snapshot), ..export }).await.unwrap();
    let error = world.ops.start_transfer(plan).await.unwrap_err();
    assert!(error.is_access(), "{error}");
    nothing_is_left(&world).await;
    let take = Request { reading: Some(PeekMode::Snapshot), leave: false, ..request(Kind::Discard, "plain") };
    let error = world.ops.plan_transfer(take).await.unwrap_err();
    assert!(error.to_string().contains("only messages that stay"), "{error}");
}
