//! What a plan learns from the messages, and that it leaves them as they were.

use redrive::ops::transfer::{Looked, Options, Plan};

use super::*;

const CROSSING: &str = "
topics: [{ name: orders }, { name: dead }, { name: narrow }]
subscriptions:
  - { name: billing, topic: orders, ordered: true, dead_letter: { topic: dead, max_attempts: 5 } }
  - { name: audit, topic: orders, filter: 'attributes.kind = \"order\"' }
  - { name: never, topic: orders, filter: 'attributes:nobody-has-this' }
  - { name: hold, topic: dead }
  - { name: hold-strict, topic: dead, dead_letter: { topic: narrow, max_attempts: 5 } }
  - { name: few, topic: narrow, filter: 'attributes.kind = \"order\"' }
";

async fn letter(world: &World, key: &str, attributes: &[(&str, &str)]) -> String {
    let from = [("CloudPubSubDeadLetterSourceSubscription", "billing"), ("CloudPubSubDeadLetterSourceSubscriptionProject", "shop")];
    let attributes = attributes.iter().chain(&from).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let draft = Draft { data: r#"{"n": 1}"#.into(), attributes: attributes.collect(), ordering_key: key.to_owned() };
    world.ops.publish(&topic("dead"), draft).await.unwrap()
}

async fn looked(world: &World, request: Request) -> (Plan, Looked) {
    let plan = world.ops.plan_transfer(request).await.unwrap();
    let looked = plan.looked.clone().unwrap();
    (plan, looked)
}

#[tokio::test]
async fn tells_causes_receivers_and_what_would_stay_and_changes_nothing() {
    let world = World::start(CROSSING).await;
    let order = letter(&world, "", &[("kind", "order"), ("error", "card declined")]).await;
    letter(&world, "ada", &[("error", "no address")]).await;
    letter(&world, "", &[("error", "no address")]).await;
    let worn = letter(&world, "", &[("redrive-generation", "20"), ("error", "no address")]).await;
    let many: Vec<(String, String)> = (0..97).map(|n| (format!("a{n}"), String::new())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    letter(&world, "", &many).await;

    let (plan, looked) = looked(&world, Request { rate_max: Some(2), ..request(Kind::Redrive, "hold") }).await;
    assert_eq!((looked.messages, looked.complete, looked.selected), (5, true, 5));
    let causes: Vec<(u64, bool)> = looked.causes.iter().map(|one| (one.count, one.cause.contains("no address"))).collect();
    assert_eq!(causes, [(3, true), (1, false), (1, false)]);
    assert_eq!((plan.expected.unwrap().value, plan.takes), (5, Some(Duration::from_secs(3))));
    let [route] = &plan.routes[..] else { panic!("{:?}", plan.routes) };
    assert_eq!(route.messages, 4, "all but the worn one");
    let matches: Vec<(&str, Option<u64>)> = route.receivers.iter().map(|one| (one.subscription.id(), one.matches)).collect();
    assert_eq!(matches, [("audit", Some(1)), ("billing", Some(4)), ("never", Some(0))]);
    let again: Vec<&str> = plan.fan_out().into_iter().map(redrive::names::SubscriptionName::id).collect();
    assert_eq!(again, ["audit"], "what a filter keeps away is no fan-out");
    let stays: Vec<_> = looked.problems.iter().filter(|problem| problem.refused).collect();
    assert_eq!((stays.len(), stays[0].sample.as_str(), stays[0].count), (1, worn.as_str(), 1));
    assert!(stays[0].words().contains("20 times already"), "{}", stays[0].words());
    assert_eq!((plan.refusals.len(), looked.problems.len()), (0, 1), "{:?}", looked.problems);

    let cause = looked.causes.iter().find(|one| one.cause.contains("card")).unwrap().id.clone();
    let (plan, looked) = self::looked(&world, Request { selection: Selection::Cause(cause), ..request(Kind::Redrive, "hold") }).await;
    assert_eq!((looked.messages, looked.selected, plan.expected.unwrap().value), (5, 1, 1));

    // Nothing is leased, counted or written down.
    let pulled = world.ops.cloud().pull(&subscription("hold"), 10, Duration::ZERO).await.unwrap().messages;
    assert_eq!(pulled.len(), 5);
    assert!(pulled.iter().all(|one| one.message.delivery_attempt.is_none()) && pulled.iter().any(|one| one.message.id == order));
    assert_eq!(world.ops.transfers().unwrap().len(), 0);
    assert!(world.ops.activity(100).unwrap().iter().all(|entry| entry.action == "topic.publish"));
}

#[tokio::test]
async fn what_would_vanish_or_cannot_be_sent_is_refused_before() {
    let world = World::start(CROSSING).await;
    letter(&world, "", &[]).await;
    let to_few = || Request { delivery: Delivery::Topic(topic("narrow")), ..request(Kind::Redrive, "hold") };
    let (plan, _) = looked(&world, to_few()).await;
    assert!(plan.refusals[0].contains("would vanish: no subscription's filter lets them through"), "{:?}", plan.refusals);
    let (plan, looked) = looked(&world, Request { options: Options { force: true, ..Options::default() }, ..to_few() }).await;
    assert_eq!((plan.refusals.len(), looked.problems[0].count), (0, 1));

    let patch = |text: &str| Options { patch: Some(redrive::ops::transfer::read_patch(text).unwrap()), ..Options::default() };
    let fixed = patch(r#"[{"op": "add", "path": "/attributes/kind", "value": "order"}]"#);
    let (plan, _) = self::looked(&world, Request { options: fixed, ..to_few() }).await;
    assert_eq!(plan.routes[0].receivers[0].matches, Some(1), "filters are asked about what is sent");
    let unfit = patch(r#"[{"op": "remove", "path": "/payload/missing"}]"#);
    let (plan, _) = self::looked(&world, Request { options: unfit, ..request(Kind::Redrive, "hold") }).await;
    assert!(plan.refusals[0].contains("cannot be edited"), "{:?}", plan.refusals);
}

#[tokio::test]
async fn what_does_not_fit_is_found_before_anything_is_sent() {
    const FITS: &str = r#"{"type": "record", "name": "Order", "fields": [{"name": "n", "type": "int"}]}"#;
    let world = World::start(
        "
topics: [{ name: narrow }, { name: dead, retention: 10m }]
subscriptions:
  - { name: rows, topic: narrow }
  - { name: hold, topic: dead, retention: 600s }
",
    )
    .await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let put = async |path: &str, body: serde_json::Value| {
        let url = format!("http://{}/v1/projects/shop/{path}", world.emulator.address());
        let answer = if path.starts_with("schemas") { http.post(url) } else { http.put(url) }.json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    };
    put("schemas?schemaId=order", serde_json::json!({ "type": "AVRO", "definition": FITS })).await;
    let schema = serde_json::json!({ "schema": "projects/shop/schemas/order", "encoding": "JSON" });
    put("topics/strict", serde_json::json!({ "schemaSettings": schema })).await;
    put("subscriptions/fits", serde_json::json!({ "topic": "projects/shop/topics/strict" })).await;
    let fits = letter(&world, "", &[]).await;
    let wrong = world.ops.publish(&topic("dead"), Draft { data: "[]".into(), ordering_key: "k".into(), ..Draft::default() }).await.unwrap();
    let large = Draft { data: vec![b' '; 9_999_900].into(), ..Draft::default() };
    let large = world.ops.publish(&topic("dead"), large).await.unwrap();

    let to = |id: &str| Request { delivery: Delivery::Topic(topic(id)), rate_max: Some(1), ..request(Kind::Redrive, "hold") };
    let (plan, found) = looked(&world, to("strict")).await;
    let problem = |found: &Looked, words: &str| found.problems.iter().find(|one| one.what.contains(words)).cloned();
    let schema = problem(&found, "does not fit schema `order`").unwrap_or_else(|| panic!("{found:?}"));
    assert!(schema.refused && schema.sample != fits, "{schema:?}");
    let size = problem(&found, "no room for all").unwrap_or_else(|| panic!("{found:?}"));
    assert_eq!((size.refused, &size.sample), (false, &large), "it goes, without what says where it came from: {size:?}");
    let order = problem(&found, "`fits` is not ordered").unwrap_or_else(|| panic!("{found:?}"));
    assert_eq!((order.refused, &order.sample), (false, &wrong), "said, though it may go: {order:?}");
    assert_eq!(plan.takes, Some(Duration::from_secs(3)));

    let patched = |text: &str, id: &str| Request {
        options: Options { patch: Some(redrive::ops::transfer::read_patch(text).unwrap()), ..Options::default() },
        selection: Selection::Messages([id.to_owned()].into()),
        ..to("strict")
    };
    let mends = patched(r#"[{"op": "add", "path": "/payload", "value": {"n": 2}}]"#, &wrong);
    let breaks = patched(r#"[{"op": "replace", "path": "/payload/n", "value": "two"}]"#, &fits);
    for (request, count) in [(mends, 0), (breaks, 1)] {
        let (_, found) = looked(&world, request).await;
        assert_eq!(found.problems.iter().filter(|one| one.what.contains("does not fit schema")).count(), count, "{found:?}");
    }

    let more = serde_json::json!([{ "op": "add", "path": "/attributes/more", "value": "x".repeat(1000) }]).to_string();
    let (_, found) = looked(&world, Request { delivery: Delivery::Topic(topic("narrow")), ..patched(&more, &large) }).await;
    let size = problem(&found, "10 MB at most").unwrap_or_else(|| panic!("{found:?}"));
    assert_eq!((size.refused, &size.sample), (true, &large), "{size:?}");

    // Ten minutes are kept, and more wait than get through in the half of it that is left.
    let many = vec![Draft { data: r#"{"n": 1}"#.into(), ..Draft::default() }; 400];
    world.ops.cloud().publish_once(&topic("dead"), &many).await.unwrap();
    world.emulator.advance(Duration::from_mins(5)).await.unwrap();
    let (_, found) = looked(&world, to("narrow")).await;
    assert!(problem(&found, "may expire before its turn").is_some(), "{found:?}");
    assert!(world.ops.transfers().unwrap().is_empty() && everything(&world, "rows").await.is_empty(), "a look sends nothing");
}

#[tokio::test]
async fn under_a_dead_letter_policy_nothing_is_leased_unsaid() {
    let world = World::start(CROSSING).await;
    letter(&world, "", &[]).await;
    let plan = world.ops.plan_transfer(request(Kind::Discard, "hold-strict")).await.unwrap();
    assert_eq!(plan.looked, None);
    assert!(plan.warnings.iter().any(|words| words.contains("counts as a delivery attempt")), "{:?}", plan.warnings);
    let pulled = world.ops.cloud().pull(&subscription("hold-strict"), 1, Duration::from_secs(5)).await.unwrap().messages;
    assert_eq!(pulled[0].message.delivery_attempt, Some(1));
}
