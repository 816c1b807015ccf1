//! Publishing, pulling, leases, streams.

use super::*;

#[test]
fn a_message_comes_as_it_was_published_until_it_is_acked() {
    let mut world = World::with_billing(|_| {});
    let attributes = [("kind".to_owned(), "order".to_owned())].into();
    let message = pb::PubsubMessage { data: "{}".into(), attributes, ordering_key: "k".into(), ..Default::default() };
    let id = world.publish_message("orders", message);
    assert!(id.parse::<u64>().is_ok(), "{id}");
    assert!(world.woken("billing"));
    let received = world.pull("billing", 10);
    let message = received[0].message.as_ref().unwrap();
    assert_eq!((message.data.as_ref(), message.message_id.as_str(), message.ordering_key.as_str()), (b"{}".as_slice(), id.as_str(), "k"));
    assert_eq!(message.attributes["kind"], "order");
    assert_eq!(message.publish_time.unwrap().seconds, world.now.as_second());
    assert_eq!(received[0].delivery_attempt, 0, "unset without a dead-letter policy");
    assert_eq!(world.pull("billing", 10), []);
    assert_eq!((world.stats("billing").undelivered, world.stats("billing").backlog_bytes), (1, 12));
    assert_eq!(world.stats("billing").oldest_unacked, Some(world.now));
    let settled = world.ack("billing", &received);
    assert_eq!((settled.done, settled.stale), (ack_ids(&received), vec![]));
    world.pass(100_000);
    assert_eq!(world.pull("billing", 10), []);
    let stats = world.stats("billing");
    assert_eq!((stats.undelivered, stats.backlog_bytes, stats.oldest_unacked), (0, 0, None));
    assert_eq!((stats.counters.sent, stats.counters.acked, stats.counters.expired), (1, 1, 0));
    assert_eq!(world.topic_stats("orders"), TopicStats { publish_requests: 1, published_messages: 1 });
    assert!(
        world.state.pubsub.agenda.iter().all(|(_, due)| matches!(due, Due::Expiry(_))),
        "nothing else is planned for an idle subscription"
    );
}

#[test]
fn every_subscription_gets_its_own_copy_of_one_payload() {
    let mut world = World::with_billing(|_| {});
    world.add_subscription("mail", "orders", |_| {});
    let id = world.publish("orders", "a");
    let (one, two) = (world.pull("billing", 1), world.pull("mail", 1));
    world.ack("billing", &one);
    let (one, two) = (one[0].message.as_ref().unwrap(), two[0].message.as_ref().unwrap());
    assert_eq!((&one.message_id, &two.message_id), (&id, &id));
    assert_eq!(one.data.as_ptr(), two.data.as_ptr(), "shared, not copied");
    assert_eq!(world.stats("mail").undelivered, 1);
}

#[test]
fn a_lease_ends_with_its_deadline_and_can_be_extended() {
    let mut world = World::with_billing(|settings| settings.ack_deadline_seconds = 20);
    world.publish("orders", "a");
    let first = world.pull("billing", 1);
    world.pass(19_999);
    assert_eq!(world.pull("billing", 1), []);
    world.modify("billing", &first, 30);
    world.pass(29_999);
    assert_eq!(world.pull("billing", 1), []);
    world.woken("billing");
    world.pass(1);
    assert!(world.woken("billing"), "the end of a lease wakes who waits");
    let second = world.pull("billing", 1);
    assert_ne!(first[0].ack_id, second[0].ack_id);
    let settled = world.ack("billing", &first);
    assert_eq!((settled.exactly_once, settled.done.len(), settled.stale.len()), (false, 0, 1), "a stale ack has no effect");
    assert_eq!(world.stats("billing").undelivered, 1);
    world.ack("billing", &second);
    let counters = world.stats("billing").counters;
    assert_eq!((counters.sent, counters.expired, counters.acked), (2, 1, 1));
}

#[test]
fn a_nack_brings_the_message_back_behind_what_waits() {
    let mut world = World::with_billing(|_| {});
    world.publish("orders", "a");
    world.publish("orders", "b");
    let first = world.pull("billing", 1);
    world.nack("billing", &first);
    assert_eq!(texts(&world.pull("billing", 5)), ["b", "a"]);
}

#[test]
fn a_retry_policy_backs_off_exponentially_within_its_bounds() {
    let retry_policy = pb::RetryPolicy { minimum_backoff: pb_duration(2), maximum_backoff: pb_duration(5) };
    let mut world = World::with_billing(|settings| settings.retry_policy = Some(retry_policy));
    world.publish("orders", "a");
    for wait_ms in [2000, 4000, 5000, 5000] {
        let received = world.pull("billing", 1);
        assert_eq!(received.len(), 1);
        world.nack("billing", &received);
        world.pass(wait_ms - 1);
        assert_eq!(world.pull("billing", 1), []);
        world.pass(1);
    }
    assert_eq!(world.pull("billing", 1).len(), 1);
}

#[test]
fn filters_acknowledge_what_does_not_match() {
    let mut world = World::with_billing(|settings| settings.filter = r#"attributes.kind = "order""#.into());
    for kind in ["order", "mail"] {
        let attributes = [("kind".to_owned(), kind.to_owned())].into();
        world.publish_message("orders", pb::PubsubMessage { data: kind.to_owned().into(), attributes, ..Default::default() });
    }
    assert_eq!(world.stats("billing").undelivered, 1);
    assert_eq!(texts(&world.pull("billing", 5)), ["order"]);
}

#[test]
fn limits_of_publishing() {
    let mut world = World::with_billing(|_| {});
    let message = |data: usize, attributes: usize, key: usize, value: usize| pb::PubsubMessage {
        data: vec![b'x'; data].into(),
        attributes: (0..attributes).map(|n| (format!("{n:0key$}"), "v".repeat(value))).collect(),
        ..Default::default()
    };
    let mut check = |messages: Vec<pb::PubsubMessage>, says: &str| {
        let request = pb::PublishRequest { topic: topic("orders"), messages };
        if says.is_empty() {
            world.run(request).unwrap();
        } else {
            world.refused(request, Code::InvalidArgument, says);
        }
    };
    let above =
        |what, given, max| format!("The value for {what} is too large. You passed {given} in the request, but the maximum value is {max}.");
    let empty =
        "One or more messages in the publish request is empty. Each message must contain either non-empty data, or at least one attribute.";
    check(vec![], "The value for message_count is too small. You passed 0 in the request, but the minimum value is 1.");
    check(vec![message(1, 0, 0, 0); 1000], "");
    check(vec![message(1, 0, 0, 0); 1001], &above("message_count", 1001, 1000));
    check(vec![message(0, 0, 0, 0)], empty);
    check(vec![message(0, 1, 1, 0)], "");
    check(vec![message(1, 100, 3, 1)], "");
    check(vec![message(1, 101, 3, 1)], &above("attribute_count", 101, 100));
    check(vec![message(1, 1, 256, 1024)], "");
    check(vec![message(1, 1, 257, 1)], &above("attribute_key_size", 257, 256));
    check(vec![message(1, 1, 1, 1025)], &above("attribute_value_size", 1025, 1024));
    check(vec![message(9_999_900, 0, 0, 0)], "");
    check(vec![message(12_000_000, 0, 0, 0)], &above("request_size", 12_000_039, 10_000_000));
    let keyed = |bytes| pb::PubsubMessage { data: "x".into(), ordering_key: "k".repeat(bytes), ..Default::default() };
    check(vec![keyed(1024)], "");
    check(vec![keyed(1025)], &above("ordering_key_size", 1025, 1024));
    assert_eq!(world.stats("billing").undelivered, 1000 + 5, "what was refused was not published in part");
    let missing = pb::PublishRequest { topic: topic("missing"), messages: vec![message(1, 0, 0, 0)] };
    world.refused(missing, Code::NotFound, "Resource not found (resource=missing).");
}

#[test]
fn pulls_are_bounded_in_messages_and_bytes() {
    let mut world = World::with_billing(|_| {});
    for _ in 0..3 {
        world.publish("orders", &"x".repeat(6_000_000));
    }
    assert_eq!(world.pull("billing", 10).len(), 2, "no further message once 10 MB are reached");
    let zero = pb::PullRequest { subscription: subscription("billing"), max_messages: 0, ..Default::default() };
    let says = "The value for max_messages is too small. You passed 0 in the request, but the minimum value is 1.";
    world.refused(zero, Code::InvalidArgument, says);
}

#[test]
fn deadlines_and_ack_ids_are_checked() {
    let mut world = World::with_billing(|_| {});
    let request = |seconds, id: &str| pb::ModifyAckDeadlineRequest {
        subscription: subscription("billing"),
        ack_ids: vec![id.into()],
        ack_deadline_seconds: seconds,
    };
    let says = "Invalid ack deadline given (ack_deadline=601). The ack deadline must be between 0 and 600 seconds.";
    world.refused(request(601, "x"), Code::InvalidArgument, says);
    world.refused(request(10, "x"), Code::InvalidArgument, "You have passed an invalid ack ID to the service (ack_id=x).");
    let none = pb::AcknowledgeRequest { subscription: subscription("billing"), ack_ids: vec![] };
    world.refused(none, Code::InvalidArgument, "No ack ids specified.");
    let missing = pb::AcknowledgeRequest { subscription: subscription("missing"), ack_ids: vec!["AAAAAAAAAAAAAAAAAAAAAA".into()] };
    world.refused(missing, Code::NotFound, "Resource not found (resource=missing).");
}

#[test]
fn ack_ids_of_a_deleted_subscription_mean_nothing_to_the_next_of_its_name() {
    let mut world = World::with_billing(|settings| settings.enable_exactly_once_delivery = true);
    world.publish("orders", "a");
    let old = world.pull("billing", 1);
    world.run(pb::DeleteSubscriptionRequest { subscription: subscription("billing") }).unwrap();
    assert!(matches!(world.out.list.pop(), Some(Effect::Closed(name)) if name == subscription("billing")));
    world.add_subscription("billing", "orders", |settings| settings.enable_exactly_once_delivery = true);
    world.publish("orders", "b");
    let new = world.pull("billing", 1);
    let settled = world.ack("billing", &[old[0].clone(), new[0].clone()]);
    assert_eq!(settled, Settled { exactly_once: true, done: ack_ids(&new), stale: ack_ids(&old) });
}

#[test]
fn streams_are_held_to_their_flow_control() {
    let mut world = World::with_billing(|_| {});
    let (small, bytes) = (world.open("billing", 2, 0), world.open("billing", 0, 3));
    for data in ["a", "bb", "cc", "dd", "ee"] {
        world.publish("orders", data);
    }
    let first = world.stream("billing", small);
    assert_eq!(texts(&first), ["a", "bb"]);
    assert_eq!(world.stream("billing", small), []);
    let second = world.stream("billing", bytes);
    assert_eq!(texts(&second), ["cc", "dd"], "the limit in bytes may be passed by the last message");
    assert_eq!(world.stream("billing", bytes), []);
    world.woken("billing");
    world.ack("billing", &first[..1]);
    assert!(world.woken("billing"), "room on a stream wakes it");
    assert_eq!(texts(&world.stream("billing", small)), ["ee"]);
}

#[test]
fn a_streams_leases_last_as_it_says_and_outlive_it_for_a_while() {
    let mut world = World::with_billing(|_| {});
    let (left, sent_away) = (world.open("billing", 1, 0), world.open("billing", 1, 0));
    world.publish("orders", "a");
    world.publish("orders", "b");
    let (held, kept) = (world.stream("billing", left), world.stream("billing", sent_away));
    assert_eq!((held.len(), kept.len()), (1, 1));
    world.close("billing", left, true);
    world.close("billing", sent_away, false);
    world.pass(9_999);
    assert_eq!(world.pull("billing", 5), [], "a client that reconnects can still acknowledge");
    world.pass(1);
    let again = world.pull("billing", 5);
    assert_eq!(texts(&again), ["a"], "what an abandoned stream held comes back soon");
    assert_eq!(world.ack("billing", &kept).done, ack_ids(&kept), "what a stream held that was sent away stays leased for its deadline");
    world.ack("billing", &again);
    let gone = StreamLease { subscription: subscription("billing"), stream: left };
    world.refused(gone, Code::NotFound, "Resource not found (resource=billing).");
}

#[test]
fn retention_forgets_old_messages_leased_or_not() {
    let mut world = World::with_billing(|settings| settings.message_retention_duration = pb_duration(600));
    world.publish("orders", "a");
    world.pass(300_000);
    world.publish("orders", "b");
    let both = world.pull("billing", 5);
    world.modify("billing", &both, 600);
    world.pass(299_999);
    assert_eq!(world.stats("billing").undelivered, 2);
    world.pass(1);
    assert_eq!(world.stats("billing").undelivered, 1);
    assert_eq!(world.ack("billing", &both).stale.len(), 1);
}
