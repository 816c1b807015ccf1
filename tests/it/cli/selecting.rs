//! Messages and tasks chosen by expression and by cause.

use serde_json::{Value, json};

use super::{Bench, Run, check_failed};

/// Dead letters of two sources and three causes, and one that says nothing of itself.
const MIXED: &str = r#"
project: shop
location: europe-west1
topics: [{ name: orders }, { name: orders-dead }]
subscriptions:
  - { name: hold, topic: orders-dead, exactly_once: true }
  - { name: hold-ordered, topic: orders-dead, ordered: true }
  - { name: billing, topic: orders, dead_letter: { topic: orders-dead, max_attempts: 7 } }
queues: [{ name: emails, paused: true }]
messages:
  - topic: orders-dead
    json: { order: 1, customer: { id: 7 } }
    attributes: { error: card 40121 declined, kind: order, CloudPubSubDeadLetterSourceSubscription: billing, CloudPubSubDeadLetterSourceSubscriptionProject: shop, CloudPubSubDeadLetterSourceDeliveryCount: "7" }
  - topic: orders-dead
    json: { order: 2, customer: { id: 8 } }
    attributes: { error: card 40122 declined, kind: order, CloudPubSubDeadLetterSourceSubscription: billing, CloudPubSubDeadLetterSourceSubscriptionProject: shop, CloudPubSubDeadLetterSourceDeliveryCount: "7" }
  - topic: orders-dead
    json: { order: 3, customer: { id: 7 } }
    attributes: { x-info: "KeyError: 'vat_id'", kind: refund, CloudPubSubDeadLetterSourceSubscription: billing, CloudPubSubDeadLetterSourceSubscriptionProject: shop, CloudPubSubDeadLetterSourceDeliveryCount: "7" }
  - { topic: orders-dead, data: plain }
tasks:
  - { queue: emails, name: welcome-1, http: { url: "http://127.0.0.1:1/tasks/Welcome", json: { user: 1 } } }
  - { queue: emails, name: welcome-2, http: { url: "http://127.0.0.1:1/tasks/Welcome", json: { user: 2 } } }
  - { queue: emails, name: bye-1, http: { url: "http://127.0.0.1:1/tasks/Bye", json: { user: 1 } } }
"#;

async fn bench() -> Bench {
    Bench::seeded(MIXED).await
}

/// The orders that still lie in `hold`.
async fn held(bench: &Bench) -> Vec<Value> {
    let seen = bench.json(&["subs", "peek", "hold", "--snapshot"]).await;
    let mut orders: Vec<Value> = seen.as_array().unwrap().iter().map(|received| received["redrivePayload"]["order"].clone()).collect();
    orders.sort_by_key(Value::as_u64);
    orders
}

fn report(run: &Run) -> Value {
    assert_eq!(run.code, 0, "{run:?}");
    serde_json::from_str(&run.out).unwrap()
}

#[tokio::test]
async fn messages_that_match_are_redriven_and_the_others_stay() {
    let bench = bench().await;
    let filter = "attribute.kind = order and payload.customer.id = 7";
    let plan = bench.json(&["dlq", "redrive", "hold", "--filter", filter, "--dry-run"]).await;
    assert_eq!((&plan["request"]["selection"], &plan["expected"]["value"]), (&json!({ "matching": filter }), &json!(1)));
    assert_eq!((&plan["looked"]["messages"], &plan["looked"]["causes"][0]["count"]), (&json!(4), &json!(1)));
    let words = bench.run(&["dlq", "redrive", "hold", "--filter", filter, "--dry-run"]).await.out;
    assert!(words.contains(&format!("1 of the messages that match `{filter}`")), "{words}");
    check_failed(&bench.run(&["dlq", "redrive", "hold", "--filter", filter]).await, 4, &format!("match `{filter}`"), "--yes");

    let done = report(&bench.run(&["dlq", "redrive", "hold", "--filter", filter, "--yes", "-o", "json"]).await);
    assert_eq!((&done["state"], &done["counts"]["moved"], &done["counts"]["skipped"]), (&json!("done"), &json!(1), &json!(3)));
    assert_eq!(held(&bench).await, [Value::Null, json!(2), json!(3)]);
    let back = bench.json(&["subs", "peek", "billing"]).await;
    assert_eq!((back.as_array().unwrap().len(), &back[0]["redrivePayload"]["order"]), (1, &json!(1)));
    let shown = bench.json(&["transfers", "show", done["id"].as_str().unwrap()]).await;
    assert_eq!(shown["request"]["selection"]["matching"], filter);
}

#[tokio::test]
async fn causes_are_listed_and_one_is_discarded() {
    let bench = bench().await;
    let causes = bench.json(&["dlq", "causes", "hold", "--snapshot"]).await;
    let said: Vec<Value> =
        causes.as_array().unwrap().iter().map(|cause| json!([cause["count"], cause["attribute"], cause["error"]])).collect();
    assert_eq!(said.len(), 3, "{causes}");
    assert_eq!(said[0], json!([2, "error", "card # declined"]));
    assert!(said.contains(&json!([1, "x-info", "KeyError: 'vat_id'"])) && said.contains(&json!([1, null, null])), "{said:?}");
    let first = &causes[0];
    assert_eq!((&first["payload"], &first["attempts"]), (&json!("{customer.id order}"), &json!(7)));
    assert_eq!(first["source"], "projects/shop/subscriptions/billing");
    assert!(first["first"].is_string() && first["sample"]["message"]["attributes"]["kind"] == "order", "{first}");
    let id = first["id"].as_str().unwrap();
    let table = bench.run(&["dlq", "causes", "hold"]).await;
    assert!(table.code == 0 && table.out.contains(id) && table.out.starts_with("CAUSE"), "{table:?}");

    let done = report(&bench.run(&["dlq", "discard", "hold", "--cause", id, "--yes", "-o", "json"]).await);
    assert_eq!((&done["state"], &done["counts"]["discarded"]), (&json!("done"), &json!(2)));
    assert_eq!(held(&bench).await, [Value::Null, json!(3)]);
}

#[tokio::test]
async fn an_ordered_subscription_is_refused() {
    let bench = bench().await;
    let run = bench.run(&["dlq", "discard", "hold-ordered", "--filter", "age > 0s", "--yes"]).await;
    check_failed(&run, 4, "a message that is not selected would block its key", "--dry-run");
}

#[tokio::test]
async fn a_look_shows_what_matches() {
    let bench = bench().await;
    let seen = bench.run(&["subs", "peek", "hold", "--filter", "payload.order >= 2", "-o", "jsonl"]).await;
    assert_eq!((seen.code, seen.out.lines().count()), (0, 2), "{seen:?}");
    assert!(seen.err.contains("2 of the 4 messages looked at match"), "{seen:?}");
}

#[tokio::test]
async fn tasks_that_match_are_listed_and_discarded() {
    let bench = bench().await;
    let names = async |args: &[&str]| {
        let tasks = bench.json(args).await;
        tasks
            .as_array()
            .unwrap()
            .iter()
            .map(|task| task["name"].as_str().unwrap().rsplit('/').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&["tasks", "list", "emails", "--filter", "body.user = 1"]).await, ["bye-1", "welcome-1"]);
    assert_eq!(names(&["tasks", "list", "emails", "--filter", "url ~ 'Welcome$' and attempts = 0"]).await, ["welcome-1", "welcome-2"]);
    let cut = bench.run(&["tasks", "list", "emails", "--filter", "body.user = 1", "--max", "1"]).await;
    assert!(cut.code == 0 && cut.err.contains("more than the 1 shown"), "{cut:?}");

    let discard = ["tasks", "discard", "emails", "--filter", "not body.user = 2"];
    check_failed(&bench.run(&discard).await, 4, "Discard 2 tasks", "--yes");
    let done = bench.json(&[&discard[..], &["--yes"]].concat()).await;
    assert_eq!((&done["state"], &done["counts"]["discarded"]), (&json!("done"), &json!(2)));
    assert_eq!(names(&["tasks", "list", "emails"]).await, ["welcome-2"]);
    let none = bench.run(&[&discard[..], &["--yes"]].concat()).await;
    assert!(none.code == 0 && none.err.contains("nothing of `emails` is selected"), "{none:?}");
    check_failed(&bench.run(&["tasks", "discard", "emails", "reports", "--filter", "age > 1h"]).await, 2, "one queue", "");
}

#[tokio::test]
async fn bad_expressions_point_at_the_character() {
    let bench = bench().await;
    for args in [&["dlq", "redrive", "hold"][..], &["dlq", "discard", "hold"], &["subs", "peek", "hold"], &["tasks", "list", "emails"]] {
        let run = bench.run(&[args, &["--filter", "age > 2h nonsense"]].concat()).await;
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{run:?}");
        assert!(run.err.contains("column 10") && run.err.contains("`nonsense`"), "{run:?}");
    }
    let run = bench.run(&["dlq", "redrive", "hold", "--cause", "X"]).await;
    assert!(run.code == 2 && run.err.contains("redrive dlq causes"), "{run:?}");
    let both = bench.run(&["dlq", "redrive", "hold", "--cause", "0123456789ab", "--filter", "age > 1h"]).await;
    assert_eq!(both.code, 2, "{both:?}");
}
