//! Transfers against the emulator: dead letters go back as they were, nothing is lost when a process dies, and what cannot work is refused before.

mod campaign;
mod care;
mod deliveries;
mod disk;
mod faults;
pub(crate) mod handler;
mod intact;
mod killed;
mod looping;
mod plan;
mod sample;
mod tasks;
mod undo;
mod untouched;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use redrive::error::Kind as ErrorKind;
use redrive::model::message::{Draft, Message};
use redrive::ops::Ops;
use redrive::ops::transfer::{Counts, Delivery, Kind, Request, Selection, Source, State, Summary, TransferId};

use crate::ops::{World, eventually, subscription, topic};

/// Two sources give up to one topic; `strict` confirms its acks, so that a transfer of known length has nothing to wait for at its end.
const SHOP: &str = "
topics: [{ name: orders }, { name: mail }, { name: dead }, { name: dead-strict }, { name: lonely }]
subscriptions:
  - { name: billing, topic: orders, dead_letter: { topic: dead, max_attempts: 5 } }
  - { name: audit, topic: orders, filter: 'attributes.kind = \"order\"' }
  - { name: mailer, topic: mail, dead_letter: { topic: dead, max_attempts: 5 } }
  - { name: hold, topic: dead }
  - { name: stamps, topic: orders, dead_letter: { topic: dead-strict, max_attempts: 5 } }
  - { name: strict, topic: dead-strict, exactly_once: true }
";

/// A transfer that waits two ack deadlines at its end is done within this, on a busy machine too.
const PATIENCE: Duration = Duration::from_mins(3);

fn request(kind: Kind, from: &str) -> Request {
    Request::new(kind, Source::Subscription(subscription(from)))
}

async fn start(ops: &Ops, request: Request) -> TransferId {
    let plan = ops.plan_transfer(request).await.unwrap();
    assert_eq!(plan.refusals, [] as [String; 0]);
    ops.start_transfer(plan.confirmed()).await.unwrap()
}

/// Follows a transfer until something holds.
async fn follow(ops: &Ops, id: &TransferId, until: impl FnMut(&Summary) -> bool) -> Summary {
    let mut watch = ops.watch_transfer(id).unwrap();
    let summary = tokio::time::timeout(PATIENCE, watch.wait_for(until)).await;
    let summary = summary.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {:?}", ops.transfers().unwrap())).unwrap().clone();
    let Counts { seen, moved, discarded, skipped, failed, remaining } = summary.counts;
    assert_eq!(moved + discarded + skipped + failed + remaining, seen);
    summary
}

fn is_over(summary: &Summary) -> bool {
    summary.ended.is_some()
}

/// Puts dead letters of `stamps` where `strict` holds them, as the service would have; returns their ids.
async fn give_up(world: &World, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for n in 0..count {
        let mut attributes = BTreeMap::from([("n".to_owned(), n.to_string())]);
        for (name, value) in [("", "stamps"), ("Project", "shop")] {
            attributes.insert(format!("CloudPubSubDeadLetterSourceSubscription{name}"), value.to_owned());
        }
        let draft = Draft { data: vec![0, 0xff, b'\n', u8::try_from(n).unwrap()].into(), attributes, ordering_key: format!("key {n}") };
        ids.push(world.ops.publish(&topic("dead-strict"), draft).await.unwrap());
    }
    ids
}

/// Takes everything out of a subscription.
async fn drain(world: &World, from: &str, count: usize) -> Vec<Message> {
    let name = subscription(from);
    let mut messages = Vec::new();
    let begun = Instant::now();
    while messages.len() < count {
        assert!(begun.elapsed() < PATIENCE, "{} of {count} messages in `{from}`", messages.len());
        let pulled = world.ops.cloud().pull(&name, 1000, Duration::from_millis(500)).await.unwrap();
        let ack_ids: Vec<String> = pulled.messages.iter().map(|received| received.ack_id.clone()).collect();
        world.ops.cloud().acknowledge(&name, &ack_ids).await.unwrap();
        messages.extend(pulled.messages.into_iter().map(|received| received.message));
    }
    messages
}

/// Tells how often the first injected fault struck.
async fn hits(world: &World) -> u64 {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/faults", world.emulator.address());
    let faults: serde_json::Value = http.get(&url).send().await.unwrap().json().await.unwrap();
    faults[0]["hits"].as_u64().unwrap()
}

/// Takes out all that a subscription delivers now.
async fn everything(world: &World, from: &str) -> Vec<Message> {
    let (cloud, name) = (world.ops.cloud(), subscription(from));
    let mut messages = Vec::new();
    loop {
        let pulled = cloud.pull(&name, 1000, Duration::ZERO).await.unwrap().messages;
        if pulled.is_empty() {
            return messages;
        }
        let ack_ids: Vec<String> = pulled.iter().map(|received| received.ack_id.clone()).collect();
        cloud.acknowledge(&name, &ack_ids).await.unwrap();
        messages.extend(pulled.into_iter().map(|received| received.message));
    }
}

/// Refuses what a subscription delivers until it gave `count` messages up.
async fn refuse_until_dead(world: &World, from: &str, count: u64) {
    let name = subscription(from);
    let mut refused: BTreeMap<String, u32> = BTreeMap::new();
    let begun = Instant::now();
    while refused.values().filter(|times| **times >= 5).count() < usize::try_from(count).unwrap() {
        assert!(begun.elapsed() < PATIENCE, "{refused:?}");
        let pulled = world.ops.cloud().pull(&name, 100, Duration::from_millis(500)).await.unwrap();
        let ack_ids: Vec<String> = pulled.messages.iter().map(|received| received.ack_id.clone()).collect();
        world.ops.cloud().modify_ack_deadline(&name, &ack_ids, Duration::ZERO).await.unwrap();
        pulled.messages.into_iter().for_each(|received| *refused.entry(received.message.id).or_default() += 1);
    }
}

fn own(attributes: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    attributes.clone().into_iter().filter(|(key, _)| !key.starts_with("redrive-")).collect()
}

#[tokio::test]
async fn dead_letters_of_several_sources_go_back_as_they_were() {
    let world = World::start(SHOP).await;
    let order = Draft {
        data: vec![0, 0xff, 0x1b, b'\n'].into(),
        attributes: BTreeMap::from([("kind".to_owned(), "order".to_owned())]),
        ordering_key: "ada".to_owned(),
    };
    let letter = Draft { data: "{}".into(), ..Draft::default() };
    world.ops.publish(&topic("orders"), order.clone()).await.unwrap();
    world.ops.publish(&topic("mail"), letter.clone()).await.unwrap();
    refuse_until_dead(&world, "billing", 1).await;
    refuse_until_dead(&world, "mailer", 1).await;
    drain(&world, "audit", 1).await;
    eventually("both lie in `hold`", async || {
        let numbers = world.ops.numbers().await.unwrap();
        (numbers.subscriptions.get(&subscription("hold"))?.backlog?.value == 2).then_some(())
    })
    .await;

    let begun = Instant::now();
    let id = start(&world.ops, request(Kind::Redrive, "hold")).await;
    let confirming = follow(&world.ops, &id, |summary| summary.state == State::Confirming).await;
    assert_eq!((confirming.counts.seen, confirming.counts.moved, confirming.expected), (2, 2, Some(2)));
    assert!(begun.elapsed() < Duration::from_secs(8), "moved at once: {:?}", begun.elapsed());
    let backlog = world.ops.numbers().await.unwrap().subscriptions[&subscription("hold")].backlog.unwrap().value;
    assert_eq!(backlog, 0);
    for (from, draft) in [("billing", &order), ("mailer", &letter), ("audit", &order)] {
        let message = drain(&world, from, 1).await.remove(0);
        assert_eq!(
            (&message.data, &message.ordering_key, &own(&message.attributes)),
            (&draft.data, &draft.ordering_key, &draft.attributes)
        );
        assert_eq!(
            (message.attributes["redrive-transfer"].as_str(), message.attributes["redrive-generation"].as_str()),
            (id.0.as_str(), "1")
        );
        assert!(message.attributes["redrive-source"].starts_with("projects/shop/subscriptions/hold/messages/"));
        assert!(message.attributes["redrive-publish-time"].starts_with("20"));
    }
    let done = follow(&world.ops, &id, is_over).await;
    assert_eq!((done.state, done.counts, done.duplicates_max), (State::Done, Counts { seen: 2, moved: 2, ..Counts::default() }, 0));
    assert!(begun.elapsed() >= Duration::from_secs(20), "two ack deadlines were waited for: {:?}", begun.elapsed());
    let listed = world.ops.transfers().unwrap();
    assert_eq!((listed.len(), &listed[0].id, listed[0].state, listed[0].counts), (1, &id, State::Done, done.counts));
    assert!(world.ops.activity(10).unwrap().iter().any(|entry| entry.action == "dlq.redrive" && entry.result == "ok"));
}

#[tokio::test]
async fn marked_messages_go_and_the_others_stay() {
    let world = World::start(SHOP).await;
    let ids = give_up(&world, 6).await;
    let marked: BTreeSet<String> = [ids[1].clone(), ids[4].clone()].into();
    let id = start(&world.ops, Request { selection: Selection::Messages(marked), ..request(Kind::Redrive, "strict") }).await;
    let done = follow(&world.ops, &id, is_over).await;
    assert_eq!((done.state, done.counts.moved), (State::Done, 2), "{done:?}");
    let moved: BTreeSet<String> = drain(&world, "stamps", 2).await.into_iter().map(|message| message.attributes["n"].clone()).collect();
    assert_eq!(moved, ["1".to_owned(), "4".to_owned()].into());
    let begun = Instant::now();
    let left: BTreeSet<String> = drain(&world, "strict", 4).await.into_iter().map(|message| message.id).collect();
    assert_eq!(left, [&ids[0], &ids[2], &ids[3], &ids[5]].into_iter().cloned().collect());
    assert!(begun.elapsed() < Duration::from_secs(5), "they were released, not left to their leases");
}

#[tokio::test]
async fn discarded_messages_are_kept_in_full() {
    let world = World::start(SHOP).await;
    let ids = give_up(&world, 3).await;
    let id = start(&world.ops, Request { max: Some(3), ..request(Kind::Discard, "strict") }).await;
    let done = follow(&world.ops, &id, is_over).await;
    assert_eq!((done.state, done.counts.discarded, done.counts.moved), (State::Done, 3, 0), "{done:?}");
    let path = done.copy.unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let text = std::fs::read_to_string(&path).unwrap();
    let mut copies: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    copies.sort_by_key(|copy| copy["attributes"]["n"].as_str().unwrap().to_owned());
    let kept: Vec<&str> = copies.iter().map(|copy| copy["messageId"].as_str().unwrap()).collect();
    assert_eq!(kept, ids);
    assert_eq!((&copies[2]["data"], &copies[2]["orderingKey"]), (&"AP8KAg==".into(), &"key 2".into()));
    assert_eq!(copies[2]["attributes"]["CloudPubSubDeadLetterSourceSubscription"], "stamps");
    assert!(world.ops.cloud().pull(&subscription("strict"), 10, Duration::ZERO).await.unwrap().messages.is_empty());
    assert!(world.ops.cloud().pull(&subscription("stamps"), 10, Duration::ZERO).await.unwrap().messages.is_empty());
}

#[tokio::test]
async fn a_cancelled_transfer_lets_go_and_can_be_resumed() {
    let world = World::start(SHOP).await;
    give_up(&world, 30).await;
    let id = start(&world.ops, Request { rate_max: Some(10), max: Some(30), ..request(Kind::Redrive, "strict") }).await;
    follow(&world.ops, &id, |summary| summary.counts.moved >= 3).await;
    world.ops.cancel_transfer(&id).await.unwrap();
    let begun = Instant::now();
    let cancelled = follow(&world.ops, &id, is_over).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(cancelled.state, State::Cancelled);
    assert!((3..30).contains(&cancelled.counts.moved), "{:?}", cancelled.counts);
    assert_eq!(world.ops.cancel_transfer(&id).await.unwrap_err().kind(), ErrorKind::FailedPrecondition);
    let left = world.ops.peek(&subscription("strict"), redrive::ops::PeekMode::Leased, 100).await.unwrap();
    assert_eq!(left.messages.len() as u64, 30 - cancelled.counts.moved, "all are free again");

    world.ops.resume_transfer(&id).await.unwrap();
    let done = follow(&world.ops, &id, is_over).await;
    assert_eq!((done.state, done.counts.moved, done.duplicates_max), (State::Done, 30, 0), "{done:?}");
    let arrived: BTreeSet<String> = drain(&world, "stamps", 30).await.into_iter().map(|message| message.attributes["n"].clone()).collect();
    assert_eq!(arrived.len(), 30);
    let error = world.ops.resume_transfer(&id).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string()), (ErrorKind::FailedPrecondition, format!("transfer `{id}` is done")));
}

#[tokio::test]
async fn a_transfer_that_is_killed_loses_nothing() {
    let world = World::start(SHOP).await;
    give_up(&world, 40).await;
    let cloud = world.ops.cloud().clone();
    let home = world.home.clone();
    let wanted = Request { rate_max: Some(20), max: Some(40), window: 10, ..request(Kind::Redrive, "strict") };
    // A runtime of its own, dropped in the middle: nothing of it gets to clean up.
    let killed = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let cloud = redrive::cloud::Cloud::emulator(&place(&cloud), "shop".parse().unwrap()).unwrap();
        let ops = Ops::new(cloud, home, false).unwrap();
        runtime.block_on(async {
            let id = start(&ops, wanted).await;
            follow(&ops, &id, |summary| summary.counts.moved >= 5).await;
            id
        })
    });
    let id = killed.await.unwrap();
    let stopped = world.ops.transfers().unwrap().remove(0);
    assert_eq!((&stopped.id, stopped.state, stopped.ended), (&id, State::Stopped, None));
    assert!(stopped.counts.moved >= 5, "{:?}", stopped.counts);

    world.ops.resume_transfer(&id).await.unwrap();
    let done = follow(&world.ops, &id, is_over).await;
    assert_eq!((done.state, done.counts.moved), (State::Done, 40), "{done:?}");
    let mut arrived: Vec<String> = drain(&world, "stamps", 40).await.into_iter().map(|message| message.attributes["n"].clone()).collect();
    arrived.sort();
    let published = arrived.len() as u64;
    arrived.dedup();
    assert_eq!(arrived.len(), 40);
    assert!(published - 40 <= done.duplicates_max && done.duplicates_max <= 10, "{published} arrived, {done:?}");
}

fn place(cloud: &redrive::cloud::Cloud) -> String {
    match cloud.place() {
        redrive::cloud::Place::Emulator(address) => address.clone(),
        redrive::cloud::Place::Google => panic!("tests go to an emulator"),
    }
}

#[tokio::test]
async fn one_transfer_at_a_time_takes_from_a_subscription() {
    let world = World::start(SHOP).await;
    give_up(&world, 20).await;
    let slow = Request { rate_max: Some(2), max: Some(20), ..request(Kind::Redrive, "strict") };
    let other = Ops::new(world.ops.cloud().clone(), world.home.clone(), false).unwrap();
    let early = other.plan_transfer(request(Kind::Redrive, "strict")).await.unwrap();
    let id = start(&world.ops, slow).await;
    // Another process, as far as the folder knows.
    assert_eq!(other.transfers().unwrap()[0].state, State::Running);
    assert!(other.watch_transfer(&id).unwrap_err().is_not_found());
    let error = other.resume_transfer(&id).await.unwrap_err();
    assert!(error.kind() == ErrorKind::FailedPrecondition && error.to_string().contains("in use by another process"), "{error}");
    let error = other.start_transfer(early.confirmed()).await.unwrap_err();
    assert!(error.to_string().contains(&format!("transfer `{id}` runs on `strict`")), "{error}");
    let plan = other.plan_transfer(request(Kind::Redrive, "strict")).await.unwrap();
    assert!(plan.refusals[0].contains("runs on subscription `strict`"), "{:?}", plan.refusals);
    // It can be stopped from there.
    other.cancel_transfer(&id).await.unwrap();
    assert_eq!(follow(&world.ops, &id, is_over).await.state, State::Cancelled);
    assert_eq!(other.transfers().unwrap()[0].state, State::Cancelled);
}

#[tokio::test]
async fn a_read_only_context_starts_nothing() {
    let world = World::start(SHOP).await;
    let ops = world.read_only();
    let plan = ops.plan_transfer(request(Kind::Redrive, "hold")).await.unwrap();
    assert!(ops.start_transfer(plan.confirmed()).await.unwrap_err().is_refused());
    assert!(ops.transfers().unwrap().is_empty());
}
