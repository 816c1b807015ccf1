//! Seeks, snapshots, and what is kept for them.

use super::*;
use crate::emulator::state::pubsub::convert::pb_timestamp;

fn to_time(id: &str, time: Timestamp) -> pb::SeekRequest {
    pb::SeekRequest { subscription: subscription(id), target: Some(pb::seek_request::Target::Time(pb_timestamp(time))) }
}

fn to_snapshot(id: &str, snapshot: &str) -> pb::SeekRequest {
    let snapshot = format!("projects/shop/snapshots/{snapshot}");
    pb::SeekRequest { subscription: subscription(id), target: Some(pb::seek_request::Target::Snapshot(snapshot)) }
}

fn create(id: &str, of: &str) -> pb::CreateSnapshotRequest {
    pb::CreateSnapshotRequest {
        name: format!("projects/shop/snapshots/{id}"),
        subscription: subscription(of),
        labels: [("by".to_owned(), "test".to_owned())].into(),
        ..Default::default()
    }
}

/// Publishes a, b, c a second apart; returns when b was published.
fn three(world: &mut World) -> Timestamp {
    world.publish("orders", "a");
    world.pass(1000);
    world.publish("orders", "b");
    let time = world.now;
    world.pass(1000);
    world.publish("orders", "c");
    time
}

#[test]
fn into_the_future_acknowledges_all() {
    let mut world = World::with_billing(|_| {});
    three(&mut world);
    let leased = world.pull("billing", 1);
    let later = world.now + SignedDuration::from_secs(1);
    world.run(to_time("billing", later)).unwrap();
    assert_eq!(world.stats("billing").undelivered, 0);
    assert_eq!(world.ack("billing", &leased).stale.len(), 1);
}

#[test]
fn into_the_past_needs_what_was_retained() {
    for retain in [true, false] {
        let mut world = World::with_billing(|settings| settings.retain_acked_messages = retain);
        let time = three(&mut world);
        let all = world.pull("billing", 5);
        world.ack("billing", &all);
        world.run(to_time("billing", time)).unwrap();
        let again = texts(&world.pull("billing", 5));
        assert_eq!(again, if retain { vec!["b", "c"] } else { vec![] });
    }
}

#[test]
fn a_topics_retention_serves_subscriptions_made_later() {
    let mut world = World::new();
    world.run(pb::Topic { name: topic("orders"), message_retention_duration: pb_duration(600), ..Default::default() }).unwrap();
    let time = three(&mut world);
    let settings = world.add_subscription("late", "orders", |settings| settings.filter = "NOT attributes:x".into());
    assert_eq!(settings.topic_message_retention_duration, pb_duration(600));
    assert_eq!(world.pull("late", 5), []);
    world.run(to_time("late", time)).unwrap();
    assert_eq!(texts(&world.pull("late", 5)).len(), 2);
    world.pass(600_000);
    world.add_subscription("later", "orders", |_| {});
    world.run(to_time("later", time)).unwrap();
    assert_eq!(world.pull("later", 5), [], "past the retention");
}

#[test]
fn a_snapshot_holds_the_backlog_and_what_comes_after() {
    let mut world = World::with_billing(|_| {});
    world.add_subscription("peek", "orders", |_| {});
    three(&mut world);
    let first = world.pull("billing", 1);
    world.ack("billing", &first);
    let snapshot = world.run(create("snap", "billing")).unwrap();
    assert_eq!((snapshot.name.as_str(), snapshot.topic.as_str()), ("projects/shop/snapshots/snap", "projects/shop/topics/orders"));
    assert_eq!(snapshot.labels["by"], "test");
    assert_eq!(snapshot.expire_time.unwrap().seconds, world.now.as_second() + 7 * 86_400 - 1, "7 days less the age of the oldest");
    world.publish("orders", "d");
    let all = world.pull("billing", 5);
    world.ack("billing", &all);
    world.run(to_snapshot("billing", "snap")).unwrap();
    assert_eq!(texts(&world.pull("billing", 5)), ["b", "c", "d"]);
    world.run(to_snapshot("peek", "snap")).unwrap();
    assert_eq!(texts(&world.pull("peek", 5)), ["b", "c", "d"], "another subscription of the topic, with its own leases");
    assert_eq!(world.stats("billing").undelivered, 3);
}

#[test]
fn snapshots_are_listed_changed_expire_and_are_deleted() {
    let mut world = World::with_billing(|_| {});
    world.run(create("one", "billing")).unwrap();
    world.run(create("two", "billing")).unwrap();
    world.refused(create("two", "billing"), Code::AlreadyExists, "Resource already exists in the project (resource=two).");
    let list = pb::ListSnapshotsRequest { project: "projects/shop".into(), page_size: 1, ..Default::default() };
    let page = world.run(list.clone()).unwrap();
    assert_eq!(page.snapshots[0].name, "projects/shop/snapshots/one");
    let page = world.run(pb::ListSnapshotsRequest { page_token: page.next_page_token, ..list }).unwrap();
    assert_eq!((page.snapshots[0].name.as_str(), page.next_page_token.as_str()), ("projects/shop/snapshots/two", ""));
    let of_topic = world.run(pb::ListTopicSnapshotsRequest { topic: topic("orders"), ..Default::default() }).unwrap();
    assert_eq!(of_topic.snapshots, ["projects/shop/snapshots/one", "projects/shop/snapshots/two"]);
    let soon = pb_timestamp(world.now + SignedDuration::from_secs(60));
    let update = pb::UpdateSnapshotRequest {
        snapshot: Some(pb::Snapshot { name: "projects/shop/snapshots/one".into(), expire_time: Some(soon), ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["expire_time".into(), "labels".into()] }),
    };
    let updated = world.run(update).unwrap();
    assert_eq!((updated.expire_time, updated.labels.len()), (Some(soon), 0));
    world.pass(60_000);
    let get = |id: &str| pb::GetSnapshotRequest { snapshot: format!("projects/shop/snapshots/{id}") };
    world.refused(get("one"), Code::NotFound, "Resource not found (resource=one).");
    assert_eq!(world.run(get("two")).unwrap().name, "projects/shop/snapshots/two");
    world.run(pb::DeleteSnapshotRequest { snapshot: "projects/shop/snapshots/two".into() }).unwrap();
    world.publish("orders", "a");
    assert!(world.state.pubsub.topics[&topic("orders")].retained.is_empty(), "nobody wants it back");
    world.refused(to_snapshot("billing", "two"), Code::NotFound, "Resource not found (resource=two).");
}

#[test]
fn an_old_backlog_cannot_be_kept_in_a_snapshot() {
    let mut world = World::with_billing(|settings| settings.message_retention_duration = pb_duration(31 * 86_400));
    world.publish("orders", "a");
    world.pass((7 * 86_400 - 3599) * 1000);
    let says = "The snapshot would expire in less than 1 hour: the oldest unacked message is too old.";
    world.refused(create("snap", "billing"), Code::FailedPrecondition, says);
}

#[test]
fn a_snapshot_of_another_topic_is_refused() {
    let mut world = World::with_billing(|_| {});
    world.add_topic("mails");
    world.add_subscription("mail", "mails", |_| {});
    world.run(create("snap", "billing")).unwrap();
    let says = "The subscription and the snapshot do not belong to the same topic.";
    world.refused(to_snapshot("mail", "snap"), Code::FailedPrecondition, says);
}

#[test]
fn snapshots_of_deleted_topics_are_for_their_own_subscriptions() {
    let mut world = World::with_billing(|_| {});
    world.add_topic("mails");
    world.add_subscription("mail", "mails", |_| {});
    world.add_subscription("audit", "orders", |_| {});
    world.publish("orders", "a");
    world.run(create("snap", "billing")).unwrap();
    for id in ["orders", "mails"] {
        world.run(pb::DeleteTopicRequest { topic: topic(id) }).unwrap();
    }
    let says = "The subscription and the snapshot do not belong to the same topic.";
    world.refused(to_snapshot("mail", "snap"), Code::FailedPrecondition, says);
    let received = world.pull("audit", 5);
    world.ack("audit", &received);
    world.run(to_snapshot("audit", "snap")).unwrap();
    assert_eq!(texts(&world.pull("audit", 5)), ["a"]);
    world.run(create("later", "mail")).unwrap();
    world.refused(to_snapshot("billing", "later"), Code::FailedPrecondition, says);
}
