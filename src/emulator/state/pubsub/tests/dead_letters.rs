//! Dead-letter policies.

use super::*;
use crate::emulator::pb::google::iam::v1 as iam;
use crate::emulator::state::pubsub::RequireGrants;

#[expect(clippy::unnecessary_wraps, reason = "as the fields take it")]
fn policy(attempts: i32) -> Option<pb::DeadLetterPolicy> {
    Some(pb::DeadLetterPolicy { dead_letter_topic: topic("dead"), max_delivery_attempts: attempts })
}

fn world(set: impl FnOnce(&mut pb::Subscription)) -> World {
    let mut world = World::new();
    world.add_topic("orders");
    world.add_topic("dead");
    world.add_subscription("graves", "dead", |_| {});
    world.add_subscription("billing", "orders", |settings| {
        settings.dead_letter_policy = policy(5);
        set(settings);
    });
    world
}

#[test]
fn after_its_deliveries_a_message_goes_to_the_dead_letters_with_its_origin() {
    let mut world = world(|_| {});
    let attributes = [("kind".to_owned(), "order".to_owned())].into();
    let message = pb::PubsubMessage { data: "{}".into(), attributes, ordering_key: "k".into(), ..Default::default() };
    let id = world.publish_message("orders", message);
    let published = world.now;
    for attempt in 1..=5 {
        let received = world.pull("billing", 1);
        assert_eq!(received[0].delivery_attempt, attempt);
        if attempt % 2 == 0 {
            world.pass(10_000);
        } else {
            world.nack("billing", &received);
        }
    }
    assert_eq!(world.pull("billing", 1), []);
    let stats = world.stats("billing");
    assert_eq!((stats.undelivered, stats.counters.dead_lettered, stats.counters.expired, stats.counters.acked), (0, 1, 2, 0));
    let received = world.pull("graves", 1);
    let dead = received[0].message.as_ref().unwrap();
    assert_eq!((dead.data.as_ref(), dead.ordering_key.as_str()), (b"{}".as_slice(), "k"));
    assert_ne!(dead.message_id, id);
    assert_eq!(dead.publish_time.unwrap().seconds, published.as_second() + 20);
    let expected = [
        ("CloudPubSubDeadLetterSourceDeliveryCount", "5"),
        ("CloudPubSubDeadLetterSourceSubscription", "billing"),
        ("CloudPubSubDeadLetterSourceSubscriptionProject", "shop"),
        ("CloudPubSubDeadLetterSourceTopicPublishTime", "2026-01-01T00:00:00.000+00:00"),
        ("kind", "order"),
    ];
    assert_eq!(dead.attributes, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
}

#[test]
fn without_the_topic_the_message_stays_and_counts_on() {
    let mut world = world(|_| {});
    world.run(pb::DeleteTopicRequest { topic: topic("dead") }).unwrap();
    world.publish("orders", "a");
    for attempt in 1..=7 {
        let received = world.pull("billing", 1);
        assert_eq!(received[0].delivery_attempt, attempt);
        world.nack("billing", &received);
    }
    world.add_topic("dead");
    world.add_subscription("graves-2", "dead", |_| {});
    let received = world.pull("billing", 1);
    world.nack("billing", &received);
    let dead = world.pull("graves-2", 1);
    assert_eq!(dead[0].message.as_ref().unwrap().attributes["CloudPubSubDeadLetterSourceDeliveryCount"], "8");
    assert_eq!(world.stats("billing").undelivered, 0);
}

#[test]
fn an_ordered_key_goes_on_after_a_dead_letter() {
    let mut world = world(|settings| settings.enable_message_ordering = true);
    world.publish_keyed("orders", "k", "k0");
    world.publish_keyed("orders", "k", "k1");
    for _ in 0..5 {
        let received = world.pull("billing", 1);
        assert_eq!(texts(&received), ["k0"]);
        world.nack("billing", &received);
    }
    assert_eq!(texts(&world.pull("billing", 5)), ["k1"]);
    assert_eq!(texts(&world.pull("graves", 5)), ["k0"]);
}

#[test]
fn a_push_subscription_gives_up_too() {
    let endpoint = "http://127.0.0.1:1/".to_owned();
    let mut world = world(|settings| settings.push_config = Some(pb::PushConfig { push_endpoint: endpoint, ..Default::default() }));
    world.publish("orders", "a");
    for attempt in 1..=5 {
        world.pass(2000);
        let calls = world.calls();
        assert_eq!(calls.len(), 1);
        let body: serde_json::Value = serde_json::from_slice(&calls[0].body).unwrap();
        assert_eq!(body["deliveryAttempt"], attempt);
        world.answer(&calls[0], Answer::Status(500));
    }
    world.pass(600_000);
    assert!(world.calls().is_empty());
    assert_eq!(texts(&world.pull("graves", 5)), ["a"]);
    assert_eq!(world.stats("billing").counters.push_requests, [(500, 5)].into());
}

#[test]
fn without_grants_to_the_service_agent_nothing_moves_where_they_are_required() {
    let mut world = world(|_| {});
    world.run(RequireGrants { required: true, from_start: false }).unwrap();
    world.publish("orders", "poison");
    let agent = "serviceAccount:service-123@gcp-sa-pubsub.iam.gserviceaccount.com";
    let grant = |resource: String, role: &str, member: &str| iam::SetIamPolicyRequest {
        resource,
        policy: Some(iam::Policy {
            bindings: vec![iam::Binding { role: role.into(), members: vec![member.into()], condition: None }],
            ..Default::default()
        }),
        update_mask: None,
    };
    world.run(grant(topic("dead"), "roles/pubsub.publisher", agent)).unwrap();
    world.run(grant(subscription("billing"), "roles/pubsub.subscriber", "user:ada@example.com")).unwrap();
    for attempt in 1..=7 {
        let received = world.pull("billing", 1);
        assert_eq!(received[0].delivery_attempt, attempt, "it comes again, and counts on");
        world.nack("billing", &received);
    }
    assert_eq!(world.stats("graves").undelivered, 0);
    world.run(grant(subscription("billing"), "roles/pubsub.subscriber", agent)).unwrap();
    let received = world.pull("billing", 1);
    world.nack("billing", &received);
    assert_eq!((world.stats("billing").undelivered, world.stats("graves").undelivered), (0, 1));
    world.state.pubsub.reset();
    assert!(!world.state.pubsub.grants_are_required(), "a reset takes it back");
}
