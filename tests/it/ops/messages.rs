use std::collections::BTreeMap;
use std::time::Duration;

use redrive::cloud::Received;
use redrive::error::Kind;
use redrive::model::message::Draft;
use redrive::ops::PeekMode;

use super::{World, eventually, subscription, topic};

const SHOP: &str = "
topics: [{ name: orders }, { name: dead }]
subscriptions:
  - { name: hold, topic: orders, ack_deadline: 600s }
  - { name: strict, topic: orders, dead_letter: { topic: dead, max_attempts: 5 }, ack_deadline: 600s }
  - { name: picky, topic: orders, filter: 'attributes.kind = \"a\"', ack_deadline: 600s }
  - { name: pushed, topic: orders, push_endpoint: 'http://127.0.0.1:9/' }
";

fn draft(data: &str, kind: &str) -> Draft {
    Draft {
        data: data.to_owned().into(),
        attributes: BTreeMap::from([("kind".to_owned(), kind.to_owned())]),
        ordering_key: "key".to_owned(),
    }
}

#[tokio::test]
async fn what_is_published_is_seen_and_left_where_it_is() {
    let world = World::start(SHOP).await;
    let first = world.ops.publish(&topic("orders"), draft("{\"n\":1}", "a")).await.unwrap();
    let second = world.ops.publish(&topic("orders"), draft("\u{0}binary\u{1b}", "b")).await.unwrap();
    assert_ne!(first, second);
    // Twice: the first look has given everything back.
    for _ in 0..2 {
        let peek = world.ops.peek(&subscription("hold"), PeekMode::Leased, 10).await.unwrap();
        assert_eq!((peek.mode, peek.truncated, peek.note.as_deref()), (PeekMode::Leased, false, None));
        assert_eq!(peek.messages.iter().map(|message| message.id.as_str()).collect::<Vec<_>>(), [&first, &second]);
        let message = &peek.messages[1];
        assert_eq!((&message.data[..], message.attributes["kind"].as_str()), (&b"\0binary\x1b"[..], "b"));
        assert_eq!((message.ordering_key.as_str(), message.delivery_attempt), ("key", None));
        assert!(message.publish_time.is_some());
    }
    let one = world.ops.peek(&subscription("hold"), PeekMode::Leased, 1).await.unwrap();
    assert_eq!((one.messages.len(), one.truncated), (1, true));
    let log = world.ops.activity(10).unwrap();
    assert_eq!(log.iter().map(|entry| (entry.action.as_str(), entry.result.as_str())).collect::<Vec<_>>(), [("topic.publish", "ok"); 2]);
}

#[tokio::test]
async fn a_leased_look_under_a_policy_says_what_it_costs() {
    let world = World::start(SHOP).await;
    world.ops.publish(&topic("orders"), draft("x", "a")).await.unwrap();
    let peek = world.ops.peek(&subscription("strict"), PeekMode::Leased, 10).await.unwrap();
    assert_eq!(peek.messages[0].delivery_attempt, Some(1));
    assert_eq!(
        peek.note.as_deref(),
        Some("this look counts as a delivery attempt of each message shown: after 5 they go to the dead-letter topic")
    );
    let again = world.ops.peek(&subscription("strict"), PeekMode::Leased, 10).await.unwrap();
    assert_eq!(again.messages[0].delivery_attempt, Some(2));
}

#[tokio::test]
async fn a_snapshot_leaves_no_trace() {
    let world = World::start(SHOP).await;
    for n in 0..30 {
        world.ops.publish(&topic("orders"), draft(&n.to_string(), if n % 3 == 0 { "a" } else { "b" })).await.unwrap();
    }
    let peek = world.ops.peek(&subscription("strict"), PeekMode::Snapshot, 1000).await.unwrap();
    assert_eq!((peek.mode, peek.truncated, peek.messages.len()), (PeekMode::Snapshot, false, 30));
    assert_eq!(peek.messages.iter().map(|message| &message.data[..]).collect::<Vec<_>>()[..3], [b"0", b"1", b"2"]);
    assert_eq!(peek.note.as_deref(), Some("read from a snapshot: what was published since is left out"));
    let picky = world.ops.peek(&subscription("picky"), PeekMode::Snapshot, 1000).await.unwrap();
    assert_eq!(picky.messages.len(), 10);
    let pushed = world.ops.peek(&subscription("pushed"), PeekMode::Snapshot, 1000).await.unwrap();
    assert_eq!(pushed.messages.len(), 30);
    // The original's attempts are untouched: this is the first lease of each.
    let leased = world.ops.peek(&subscription("strict"), PeekMode::Leased, 1000).await.unwrap();
    assert!(leased.messages.len() == 30 && leased.messages.iter().all(|message| message.delivery_attempt == Some(1)));
    nothing_is_left(&world).await;
}

#[tokio::test]
async fn a_snapshot_look_that_fails_or_is_broken_off_cleans_up() {
    let world = World::start("topics: [{ name: orders }]\nsubscriptions: [{ name: hold, topic: orders }]").await;
    let error = world.ops.peek(&subscription("none"), PeekMode::Snapshot, 10).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
    // Broken off at ever later moments, wherever that is in the order of work.
    for millis in [0, 2, 4, 8, 16, 32, 64, 128] {
        let ops = world.ops.clone();
        let look = tokio::spawn(async move { ops.peek(&subscription("hold"), PeekMode::Snapshot, 10).await.map(drop) });
        tokio::time::sleep(Duration::from_millis(millis)).await;
        look.abort();
        // Either it was done already, or it was cut off.
        let _ = look.await;
    }
    nothing_is_left(&world).await;
}

async fn nothing_is_left(world: &World) {
    eventually("what a look made is removed", || async {
        let subscriptions = world.ops.subscriptions().await.unwrap().items;
        let snapshots = format!("http://{}/v1/projects/shop/snapshots", world.emulator.address());
        let snapshots: serde_json::Value = reqwest::get(snapshots).await.unwrap().json().await.unwrap();
        let none = subscriptions.iter().all(|subscription| !subscription.name.id().starts_with("redrive-"));
        (none && snapshots["snapshots"].as_array().is_none_or(Vec::is_empty)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_leased_says_so() {
    let world = World::start(SHOP).await;
    let error = world.ops.peek(&subscription("pushed"), PeekMode::Leased, 10).await.unwrap_err();
    assert_eq!(error.kind(), Kind::FailedPrecondition);
    assert_eq!(error.to_string(), "`projects/shop/subscriptions/pushed` pushes to `http://127.0.0.1:9/`: its messages cannot be leased");
    assert_eq!(error.hint(), Some("look at it through a snapshot"));
}

#[tokio::test]
async fn limits_are_told_before_anything_is_sent() {
    let world = World::start(SHOP).await;
    let big = Draft { data: vec![b'x'; 12_000_000].into(), ..Draft::default() };
    let many = Draft { attributes: (0..101).map(|n| (n.to_string(), String::new())).collect(), ..Draft::default() };
    for (draft, says) in [(big, "the message has 12.0 MB"), (many, "the message has 101 attributes")] {
        let error = world.ops.publish(&topic("orders"), draft).await.unwrap_err();
        assert!(error.is_invalid_input() && error.to_string().starts_with(says), "{error}");
    }
    assert!(world.ops.peek(&subscription("hold"), PeekMode::Leased, 10).await.unwrap().messages.is_empty());
    let error = world.ops.publish(&topic("none"), draft("x", "a")).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot publish: `projects/shop/topics/none` does not exist");
}

#[tokio::test]
async fn single_calls_pull_acknowledge_and_release() {
    let world = World::start(SHOP).await;
    let cloud = world.ops.cloud();
    let drafts: Vec<_> = (0..5).map(|n| Draft { ordering_key: String::new(), ..draft(&n.to_string(), "a") }).collect();
    let ids = cloud.publish_once(&topic("orders"), &drafts).await.unwrap();
    assert_eq!(ids.len(), 5);
    let hold = subscription("hold");
    let pulled = cloud.pull(&hold, 3, Duration::ZERO).await.unwrap();
    assert!(pulled.messages.len() <= 3);
    let rest = cloud.pull(&hold, 1000, Duration::ZERO).await.unwrap();
    let all: Vec<Received> = pulled.messages.into_iter().chain(rest.messages).collect();
    let mut seen: Vec<_> = all.iter().map(|one| one.message.id.clone()).collect();
    seen.sort();
    assert_eq!(seen, {
        let mut ids = ids.clone();
        ids.sort();
        ids
    });
    assert!(cloud.pull(&hold, 10, Duration::from_millis(200)).await.unwrap().messages.is_empty());
    let (done, back) = all.split_at(2);
    let ack_ids = |some: &[Received]| some.iter().map(|one| one.ack_id.clone()).collect::<Vec<_>>();
    cloud.acknowledge(&hold, &ack_ids(done)).await.unwrap();
    cloud.modify_ack_deadline(&hold, &ack_ids(back), Duration::ZERO).await.unwrap();
    let again = cloud.pull(&hold, 1000, Duration::from_secs(5)).await.unwrap();
    assert_eq!(again.messages.len(), 3);
    assert!(again.messages.iter().all(|one| !done.iter().any(|gone| gone.message.id == one.message.id)));
    let none = cloud.pull(&subscription("none"), 1, Duration::from_secs(5)).await.unwrap_err();
    assert!(none.is_not_found(), "{none}");
}
