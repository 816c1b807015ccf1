//! The look before the leap.

use redrive::ops::transfer::{Plan, Receiver, Route};

use super::*;

const CORNERS: &str = "
topics: [{ name: orders }, { name: dead }, { name: lonely }, { name: stray }, { name: gone }, { name: dead-gone }]
subscriptions:
  - { name: billing, topic: orders, dead_letter: { topic: dead, max_attempts: 5 } }
  - { name: audit, topic: orders, filter: 'attributes.kind = \"order\"', ordered: true }
  - { name: hold, topic: dead, ack_deadline: 600s }
  - { name: hold-ordered, topic: dead, ordered: true }
  - { name: hold-push, topic: dead, push_endpoint: 'http://127.0.0.1:9/' }
  - { name: hold-stray, topic: stray }
";

async fn plan(world: &World, request: Request) -> Plan {
    world.ops.plan_transfer(request).await.unwrap()
}

async fn refusal(world: &World, request: Request) -> String {
    let plan = plan(world, request).await;
    let error = world.ops.start_transfer(plan.clone()).await.unwrap_err();
    assert!(error.is_refused(), "{error}");
    plan.refusals.join("\n")
}

#[tokio::test]
async fn says_who_receives_and_what_it_costs() {
    let world = World::start(CORNERS).await;
    let plan = plan(&world, request(Kind::Redrive, "hold")).await;
    let receiver = |name: &str, filter: &str, failed| Receiver {
        subscription: subscription(name),
        filter: filter.into(),
        failed,
        matches: Some(0),
        skips: false,
    };
    let receivers = vec![receiver("audit", "attributes.kind = \"order\"", false), receiver("billing", "", true)];
    assert_eq!(plan.routes, [Route { source: Some(subscription("billing")), topic: topic("orders"), messages: 0, receivers }]);
    assert_eq!(plan.refusals, [] as [String; 0]);
    let warnings = plan.warnings.join("\n");
    for words in [
        "topic `orders` also reaches `audit` (filter `attributes.kind = \"order\"`)",
        "`hold` is not ordered",
        "1200 s after the last message",
    ] {
        assert!(warnings.contains(words), "{words} is not in {warnings}");
    }
    let marked = Selection::Messages(["1".to_owned()].into());
    let plan = super::plan::plan(&world, Request { selection: marked, ..request(Kind::Redrive, "hold") }).await;
    assert!(plan.warnings[0].contains("to reach 1 marked, up to 10000 others are leased"), "{:?}", plan.warnings);
    assert_eq!(plan.expected.unwrap().value, 1);
}

#[tokio::test]
async fn refuses_what_would_lose_or_not_work() {
    let world = World::start(CORNERS).await;
    let to = |id: &str| Request { delivery: Delivery::Topic(topic(id)), ..request(Kind::Redrive, "hold") };
    let marked = Selection::Messages(["1".to_owned()].into());
    for (request, words) in [
        (to("missing"), "topic `projects/shop/topics/missing` does not exist"),
        (to("lonely"), "topic `projects/shop/topics/lonely` has no subscription: what is published there vanishes"),
        (to("dead"), "they would come straight back"),
        (request(Kind::Redrive, "hold-push"), "`hold-push` pushes, so its messages cannot be pulled"),
        (request(Kind::Discard, "hold-push"), "gcloud pubsub subscriptions modify-push-config hold-push --push-endpoint="),
        (request(Kind::Redrive, "hold-stray"), "nothing tells where the messages of `hold-stray` came from"),
        (Request { selection: marked, ..request(Kind::Redrive, "hold-ordered") }, "would block its key"),
    ] {
        let refusal = refusal(&world, request).await;
        assert!(refusal.contains(words), "{words} is not in {refusal}");
    }
}

#[tokio::test]
async fn finds_the_source_in_the_messages_where_no_policy_tells() {
    let world = World::start(CORNERS).await;
    let attributes = [("", "billing"), ("Project", "shop")]
        .map(|(name, value)| (format!("CloudPubSubDeadLetterSourceSubscription{name}"), value.to_owned()));
    world.ops.publish(&topic("stray"), Draft { data: "x".into(), attributes: attributes.into(), ..Draft::default() }).await.unwrap();
    let plan = plan(&world, request(Kind::Redrive, "hold-stray")).await;
    assert_eq!((plan.routes.len(), &plan.routes[0].topic, plan.refusals.len()), (1, &topic("orders"), 0));
    let pulled = world.ops.cloud().pull(&subscription("hold-stray"), 1, Duration::ZERO).await.unwrap();
    assert_eq!(pulled.messages.len(), 1, "the look gave it back");
}

#[tokio::test]
async fn refuses_requests_that_cannot_be_right() {
    let world = World::start(CORNERS).await;
    let empty = Selection::Messages(BTreeSet::new());
    let base = || request(Kind::Redrive, "hold");
    for request in [
        Request { window: 0, ..base() },
        Request { window: 1001, ..base() },
        Request { rate_max: Some(0), ..base() },
        Request { max: Some(0), ..base() },
        Request { selection: empty, ..base() },
    ] {
        assert!(world.ops.plan_transfer(request).await.unwrap_err().is_invalid_input());
    }
    assert!(world.ops.plan_transfer(request(Kind::Redrive, "none")).await.unwrap_err().is_not_found());
}
