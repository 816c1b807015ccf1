//! Topics and subscriptions as resources; IAM.

use super::*;
use crate::emulator::pb::google::iam::v1 as iam;

#[expect(clippy::unnecessary_wraps, reason = "as the fields take it")]
fn mask(paths: &[&str]) -> Option<prost_types::FieldMask> {
    Some(prost_types::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

fn get(id: &str) -> pb::GetSubscriptionRequest {
    pb::GetSubscriptionRequest { subscription: subscription(id) }
}

#[test]
fn topics_are_made_changed_listed_and_deleted() {
    let mut world = World::new();
    let labels = [("team".to_owned(), "shop".to_owned())].into();
    let made = world.run(pb::Topic { name: topic("orders"), labels, kms_key_name: "key".into(), ..Default::default() }).unwrap();
    assert_eq!((made.name, made.state, made.kms_key_name), (topic("orders"), 1, "key".into()));
    assert_eq!(made.labels["team"], "shop");
    let again = pb::Topic { name: topic("orders"), ..Default::default() };
    world.refused(again, Code::AlreadyExists, "Resource already exists in the project (resource=orders).");
    let update = |paths: &[&str]| pb::UpdateTopicRequest {
        topic: Some(pb::Topic { name: topic("orders"), message_retention_duration: pb_duration(3600), ..Default::default() }),
        update_mask: mask(paths),
    };
    let updated = world.run(update(&["message_retention_duration"])).unwrap();
    assert_eq!((updated.message_retention_duration, updated.labels.len()), (pb_duration(3600), 1));
    world.refused(
        update(&["messageRetentionDuration"]),
        Code::InvalidArgument,
        "Invalid update_mask provided in the UpdateTopicRequest: 'messageRetentionDuration' is not a known Topic field. Note that field paths must be of the form 'push_config' rather than 'pushConfig'.",
    );
    world.refused(
        update(&[]),
        Code::InvalidArgument,
        "The update_mask in the UpdateTopicRequest must be set, and must contain a non-empty paths list.",
    );
    world.add_topic("mails");
    world.run(pb::Topic { name: "projects/shop2/topics/other".into(), ..Default::default() }).unwrap();
    let list = world.run(pb::ListTopicsRequest { project: "projects/shop".into(), ..Default::default() }).unwrap();
    assert_eq!(list.topics.iter().map(|topic| topic.name.clone()).collect::<Vec<_>>(), [topic("mails"), topic("orders")]);
    world.run(pb::DeleteTopicRequest { topic: topic("orders") }).unwrap();
    let gone = pb::GetTopicRequest { topic: topic("orders") };
    world.refused(gone, Code::NotFound, "Resource not found (resource=orders).");
}

#[test]
fn names_are_checked() {
    let mut world = World::new();
    for name in
        ["orders", "projects/shop/topics/go", "projects/shop/topics/1abc", "projects/shop/topics/google", "projects/shop/topic/orders"]
    {
        let says = format!(
            "Invalid resource name given (name={name}). Refer to https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names for more information."
        );
        world.refused(pb::Topic { name: name.into(), ..Default::default() }, Code::InvalidArgument, &says);
        world.refused(pb::GetTopicRequest { topic: name.into() }, Code::InvalidArgument, &says);
    }
    let list = pb::ListTopicsRequest { project: "shop".into(), ..Default::default() };
    world.refused(list, Code::InvalidArgument, "Invalid project name given (name=shop).");
}

#[test]
fn a_subscription_has_googles_defaults() {
    let mut world = World::new();
    world.add_topic("orders");
    let made = world.add_subscription("billing", "orders", |settings| {
        settings.retry_policy = Some(pb::RetryPolicy::default());
        settings.dead_letter_policy = Some(pb::DeadLetterPolicy { dead_letter_topic: topic("orders"), max_delivery_attempts: 0 });
    });
    let expected = pb::Subscription {
        name: subscription("billing"),
        topic: topic("orders"),
        push_config: Some(pb::PushConfig::default()),
        ack_deadline_seconds: 10,
        message_retention_duration: pb_duration(7 * 86_400),
        expiration_policy: Some(pb::ExpirationPolicy { ttl: pb_duration(31 * 86_400) }),
        retry_policy: Some(pb::RetryPolicy { minimum_backoff: pb_duration(10), maximum_backoff: pb_duration(600) }),
        dead_letter_policy: Some(pb::DeadLetterPolicy { dead_letter_topic: topic("orders"), max_delivery_attempts: 5 }),
        state: 1,
        ..Default::default()
    };
    assert_eq!(made, expected);
    assert_eq!(world.run(get("billing")).unwrap(), expected);
    let listed = world.run(pb::ListSubscriptionsRequest { project: "projects/shop".into(), ..Default::default() }).unwrap();
    assert_eq!(listed.subscriptions, [expected]);
    let of_topic = world.run(pb::ListTopicSubscriptionsRequest { topic: topic("orders"), ..Default::default() }).unwrap();
    assert_eq!(of_topic.subscriptions, [subscription("billing")]);
}

#[test]
fn transforms_that_would_run_are_refused_and_disabled_ones_kept() {
    let mut world = World::with_billing(|_| {});
    let transforms = |disabled| vec![pb::MessageTransform { disabled, ..Default::default() }];
    let not_run = "The emulator does not run message transforms. Give it those that are disabled, or none.";
    let topic = |disabled| pb::Topic { name: topic("changed"), message_transforms: transforms(disabled), ..Default::default() };
    world.refused(topic(false), Code::Unimplemented, not_run);
    assert_eq!(world.run(topic(true)).unwrap().message_transforms, transforms(true));
}

#[test]
fn settings_out_of_bounds_are_refused() {
    let mut world = World::with_billing(|_| {});
    let mut check = |set: &dyn Fn(&mut pb::Subscription), code, says: &str| {
        let mut settings = pb::Subscription { name: subscription("new"), topic: topic("orders"), ..Default::default() };
        set(&mut settings);
        world.refused(settings, code, says);
    };
    let invalid = Code::InvalidArgument;
    let deadline = "Invalid ack deadline given (ack_deadline=9). The ack deadline must be between 10 and 600 seconds.";
    check(&|s| s.ack_deadline_seconds = 9, invalid, deadline);
    let retention =
        "Invalid message_retention_duration given (message_retention_duration=599s). It must be between 10 minutes and 31 days.";
    check(&|s| s.message_retention_duration = pb_duration(599), invalid, retention);
    check(&|s| s.topic = topic("missing"), Code::NotFound, "Resource not found (resource=missing).");
    check(&|s| s.name = subscription("billing"), Code::AlreadyExists, "Resource already exists in the project (resource=billing).");
    let filter = "Invalid filter given: filter, column 1: expected `attributes`, `hasPrefix`, `NOT` or `(`.";
    check(&|s| s.filter = "data = 1".into(), invalid, filter);
    let dead = |attempts, to: &str| Some(pb::DeadLetterPolicy { dead_letter_topic: to.into(), max_delivery_attempts: attempts });
    let attempts = "Invalid dead letter policy given (max_delivery_attempts=4). It must be between 5 and 100.";
    check(&|s| s.dead_letter_policy = dead(4, &topic("orders")), invalid, attempts);
    check(&|s| s.dead_letter_policy = dead(5, &topic("missing")), Code::NotFound, "Resource not found (resource=missing).");
    let retry = |min, max| Some(pb::RetryPolicy { minimum_backoff: pb_duration(min), maximum_backoff: pb_duration(max) });
    check(
        &|s| s.retry_policy = retry(1, 601),
        invalid,
        "Invalid maximum_backoff given (maximum_backoff=601s). It must be between 0 and 600 seconds.",
    );
    let malformed = "Invalid resource name given (dead_letter_topic=dead). Refer to https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names for more information.";
    check(&|s| s.dead_letter_policy = dead(5, "dead"), invalid, malformed);
    let transforms = |disabled| vec![pb::MessageTransform { disabled, ..Default::default() }];
    let not_run = "The emulator does not run message transforms. Give it those that are disabled, or none.";
    check(&|s| s.message_transforms = transforms(false), Code::Unimplemented, not_run);
    let order = "Invalid retry policy given: minimum_backoff must not be more than maximum_backoff.";
    check(&|s| s.retry_policy = retry(20, 10), invalid, order);
    let push = |to: &str| Some(pb::PushConfig { push_endpoint: to.into(), ..Default::default() });
    check(&|s| s.push_config = push("ftp://x"), invalid, "Invalid push endpoint given (endpoint=ftp://x).");
    let exactly = |s: &mut pb::Subscription| {
        s.push_config = push("http://localhost/");
        s.enable_exactly_once_delivery = true;
    };
    check(&exactly, invalid, "Exactly-once delivery is not supported for push subscriptions.");
    let ttl = "Invalid expiration policy given: the time to live must be at least 1 day.";
    check(&|s| s.expiration_policy = Some(pb::ExpirationPolicy { ttl: pb_duration(60) }), invalid, ttl);
}

#[test]
fn labels_keep_to_googles_rules() {
    let mut world = World::with_billing(|_| {});
    let long = "k".repeat(64);
    let mut refused = |key: &str, value: &str, says: &str| {
        let labels: std::collections::BTreeMap<_, _> = [(key.to_owned(), value.to_owned())].into();
        let update_mask = Some(prost_types::FieldMask { paths: vec!["labels".to_owned()] });
        let made = pb::Topic { name: topic("new"), labels: labels.clone(), ..Default::default() };
        let changed = pb::Subscription { name: subscription("billing"), labels: labels.clone(), ..Default::default() };
        let kept = pb::CreateSnapshotRequest { subscription: subscription("billing"), labels, ..Default::default() };
        let refusals = [
            world.run(made).unwrap_err(),
            world.run(pb::UpdateSubscriptionRequest { subscription: Some(changed), update_mask }).unwrap_err(),
            world.run(kept).unwrap_err(),
        ];
        for refusal in refusals {
            assert!(refusal.code == Code::InvalidArgument && refusal.message.starts_with(says), "{key}={value}: {}", refusal.message);
        }
    };
    for key in ["", "Team", "1team", "-team", "te am", "team.x", &long] {
        refused(key, "shop", "Invalid label key given");
    }
    for value in ["Shop", "a b", "a/b", &long] {
        refused("team", value, "Invalid label value given (key=team, ");
    }
    let many = |count: usize| (0..count).map(|n| (format!("k{n}"), String::new())).collect();
    let topic = |id: &str, labels| pb::Topic { name: topic(id), labels, ..Default::default() };
    assert!(world.run(topic("new", many(65))).unwrap_err().message.starts_with("Invalid labels given: there are 65"));
    world.run(topic("full", many(64))).unwrap();
    let unusual = [("größe_1-x".to_owned(), "Ⅳ-日本".to_lowercase()), ("日".to_owned(), "k".repeat(63))].into();
    world.run(topic("unusual", unusual)).unwrap();
}

#[test]
fn updates_change_what_the_mask_names() {
    let mut world = World::with_billing(|settings| settings.labels = [("a".to_owned(), "b".to_owned())].into());
    let update = |paths: &[&str], set: &dyn Fn(&mut pb::Subscription)| {
        let mut settings = pb::Subscription { name: subscription("billing"), ack_deadline_seconds: 77, ..Default::default() };
        set(&mut settings);
        pb::UpdateSubscriptionRequest { subscription: Some(settings), update_mask: mask(paths) }
    };
    let updated = world.run(update(&["ack_deadline_seconds"], &|_| {})).unwrap();
    assert_eq!((updated.ack_deadline_seconds, updated.labels.len()), (77, 1));
    let retry = |s: &mut pb::Subscription| {
        s.retry_policy = Some(pb::RetryPolicy { minimum_backoff: pb_duration(1), maximum_backoff: pb_duration(9) });
    };
    let updated = world.run(update(&["retry_policy.minimum_backoff", "labels"], &retry)).unwrap();
    assert_eq!(updated.retry_policy, Some(pb::RetryPolicy { minimum_backoff: pb_duration(1), maximum_backoff: pb_duration(600) }));
    assert_eq!(updated.labels.len(), 0);
    world.run(update(&["ack_deadline_seconds", "retry_policy"], &|s| s.ack_deadline_seconds = 1)).unwrap_err();
    assert_eq!(world.run(get("billing")).unwrap().retry_policy, updated.retry_policy, "a refused update changes nothing");
    world.refused(
        update(&["filter"], &|_| {}),
        Code::InvalidArgument,
        "Invalid update_mask provided in the UpdateSubscriptionRequest: the 'filter' field in the Subscription is not mutable.",
    );
    let missing = pb::UpdateSubscriptionRequest {
        subscription: Some(pb::Subscription { name: subscription("missing"), ..Default::default() }),
        update_mask: mask(&["labels"]),
    };
    world.refused(missing, Code::NotFound, "Resource not found (resource=missing).");
}

#[test]
fn subscriptions_outlive_their_topic() {
    let mut world = World::with_billing(|_| {});
    world.publish("orders", "a");
    world.run(pb::DeleteTopicRequest { topic: topic("orders") }).unwrap();
    assert_eq!(world.run(get("billing")).unwrap().topic, "_deleted-topic_");
    world.add_topic("orders");
    world.publish("orders", "b");
    assert_eq!(texts(&world.pull("billing", 5)), ["a"], "a new topic of the name is another one");
}

#[test]
fn detaching_drops_and_refuses() {
    let mut world = World::with_billing(|_| {});
    world.publish("orders", "a");
    world.run(pb::DetachSubscriptionRequest { subscription: subscription("billing") }).unwrap();
    assert!(matches!(world.out.list.last(), Some(Effect::Closed(_))));
    assert!(world.run(get("billing")).unwrap().detached);
    world.publish("orders", "b");
    assert_eq!(world.stats("billing").undelivered, 0);
    let pull = pb::PullRequest { subscription: subscription("billing"), max_messages: 1, ..Default::default() };
    world.refused(pull, Code::FailedPrecondition, "The subscription is detached from its topic.");
    let of_topic = world.run(pb::ListTopicSubscriptionsRequest { topic: topic("orders"), ..Default::default() }).unwrap();
    assert!(of_topic.subscriptions.is_empty());
}

#[test]
fn policies_are_kept_and_guarded_by_their_etag() {
    let mut world = World::with_billing(|_| {});
    let get = || iam::GetIamPolicyRequest { resource: subscription("billing"), options: None };
    let unset = world.run(get()).unwrap();
    assert_eq!(unset, iam::Policy { etag: vec![0, 32, 1], ..Default::default() });
    let binding = iam::Binding { role: "roles/pubsub.viewer".into(), members: vec!["user:a@b".into()], condition: None };
    let set = |etag: &[u8]| iam::SetIamPolicyRequest {
        resource: subscription("billing"),
        policy: Some(iam::Policy { bindings: vec![binding.clone()], etag: etag.to_vec(), ..Default::default() }),
        update_mask: None,
    };
    let policy = world.run(set(&unset.etag)).unwrap();
    assert_eq!(world.run(get()).unwrap(), policy);
    assert_eq!((policy.bindings.len(), policy.version), (1, 1));
    assert_eq!(world.run(set(&unset.etag)).unwrap_err().code, Code::Aborted);
    let permissions = vec!["pubsub.subscriptions.consume".to_owned()];
    let test = iam::TestIamPermissionsRequest { resource: subscription("billing"), permissions: permissions.clone() };
    assert_eq!(world.run(test).unwrap().permissions, permissions);
    let missing = iam::GetIamPolicyRequest { resource: topic("missing"), options: None };
    world.refused(missing, Code::NotFound, "Resource not found (resource=missing).");
}
