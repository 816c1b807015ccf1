//! Subscriptions that expire, and what keeps them.

use super::*;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn with_days(days: i64) -> World {
    World::with_billing(|settings| settings.expiration_policy = Some(pb::ExpirationPolicy { ttl: pb_duration(days * 86_400) }))
}

fn exists(world: &mut World) -> bool {
    world.run(pb::GetSubscriptionRequest { subscription: subscription("billing") }).is_ok()
}

#[test]
fn idle_for_31_days_it_is_deleted() {
    let mut world = World::with_billing(|_| {});
    world.publish("orders", "a");
    world.pass(31 * DAY_MS - 1);
    assert!(exists(&mut world), "reading it is no use of it");
    world.pass(1);
    assert!(!exists(&mut world));
    assert!(matches!(world.out.list.last(), Some(Effect::Closed(name)) if *name == subscription("billing")));
    let of_topic = world.run(pb::ListTopicSubscriptionsRequest { topic: topic("orders"), ..Default::default() }).unwrap();
    assert!(of_topic.subscriptions.is_empty());
    assert_eq!(world.state.pubsub.next_due(), None);
}

#[test]
fn what_clients_do_with_it_keeps_it() {
    let mut world = with_days(2);
    let uses: [fn(&mut World); 4] = [
        |world| drop(world.pull("billing", 1)),
        |world| {
            let seek = pb::seek_request::Target::Time(prost_types::Timestamp::default());
            world.run(pb::SeekRequest { subscription: subscription("billing"), target: Some(seek) }).unwrap();
        },
        |world| {
            let stream = world.open("billing", 0, 0);
            world.pass(5 * DAY_MS);
            world.close("billing", stream, true);
        },
        |world| {
            let update_mask = Some(prost_types::FieldMask { paths: vec!["labels".into()] });
            let settings = pb::Subscription { name: subscription("billing"), ..Default::default() };
            world.run(pb::UpdateSubscriptionRequest { subscription: Some(settings), update_mask }).unwrap();
        },
    ];
    for (nth, used) in uses.into_iter().enumerate() {
        world.pass(2 * DAY_MS - 1);
        used(&mut world);
        world.pass(2 * DAY_MS - 1);
        assert!(exists(&mut world), "use {nth}");
        world.pull("billing", 1);
    }
    world.pass(2 * DAY_MS);
    assert!(!exists(&mut world));
}

#[test]
fn a_push_that_is_taken_keeps_it_and_one_that_is_not_does_not() {
    for (status, stays) in [(204, true), (500, false)] {
        let mut world = World::with_billing(|settings| {
            settings.expiration_policy = Some(pb::ExpirationPolicy { ttl: pb_duration(2 * 86_400) });
            settings.push_config = Some(pb::PushConfig { push_endpoint: "http://localhost/".into(), ..Default::default() });
        });
        world.pass(DAY_MS);
        world.publish("orders", "a");
        let call = world.calls().remove(0);
        world.answer(&call, Answer::Status(status));
        world.pass(DAY_MS + DAY_MS / 2);
        assert_eq!(exists(&mut world), stays, "{status}");
    }
}

#[test]
fn a_policy_without_a_time_means_never_and_can_be_changed() {
    let mut world = World::with_billing(|settings| settings.expiration_policy = Some(pb::ExpirationPolicy { ttl: None }));
    world.pass(100 * DAY_MS);
    assert!(exists(&mut world));
    let settings = pb::Subscription {
        name: subscription("billing"),
        expiration_policy: Some(pb::ExpirationPolicy { ttl: pb_duration(86_400) }),
        ..Default::default()
    };
    let update_mask = Some(prost_types::FieldMask { paths: vec!["expiration_policy".into()] });
    world.run(pb::UpdateSubscriptionRequest { subscription: Some(settings), update_mask }).unwrap();
    world.pass(DAY_MS);
    assert!(!exists(&mut world));
    assert_eq!(world.state.pubsub.next_due(), None, "a deleted one leaves nothing planned");
    world.add_subscription("billing", "orders", |_| {});
    world.run(pb::DeleteSubscriptionRequest { subscription: subscription("billing") }).unwrap();
    assert_eq!(world.state.pubsub.next_due(), None);
}

#[test]
fn a_topics_longer_retention_holds_for_its_subscriptions() {
    let set = |settings: &mut pb::Subscription| settings.message_retention_duration = pb_duration(600);
    let mut world = World::with_billing(set);
    let retain = |world: &mut World, seconds: Option<i64>| {
        let settings = pb::Topic { name: topic("orders"), message_retention_duration: seconds.and_then(pb_duration), ..Default::default() };
        let update_mask = Some(prost_types::FieldMask { paths: vec!["message_retention_duration".into()] });
        world.run(pb::UpdateTopicRequest { topic: Some(settings), update_mask }).unwrap();
    };
    retain(&mut world, Some(3600));
    world.publish("orders", "a");
    world.pass(1_800_000);
    let received = world.pull("billing", 1);
    assert_eq!(texts(&received), ["a"], "older than the subscription keeps messages, younger than the topic does");
    world.ack("billing", &received);
    let seek = pb::seek_request::Target::Time(prost_types::Timestamp::default());
    world.run(pb::SeekRequest { subscription: subscription("billing"), target: Some(seek) }).unwrap();
    world.pass(60_000);
    assert_eq!(world.stats("billing").undelivered, 1);
    retain(&mut world, None);
    world.pass(1);
    assert_eq!(world.stats("billing").undelivered, 0);
}
