//! What is confirmed by name, what a context bounds, and a message changed in an editor on its way.

use serde_json::json;

use super::*;

/// Publishes a dead letter of `billing` that the filter of `audit` lets through.
async fn order(bench: &Bench) {
    let from = ["CloudPubSubDeadLetterSourceSubscription=billing", "CloudPubSubDeadLetterSourceSubscriptionProject=shop"];
    let args = ["topics", "publish", "orders-dead", "--data", "{\"order\": 9}", "-a", "kind=order", "-a", from[0], "-a", from[1]];
    assert_eq!(bench.run(&args).await.code, 0);
}

#[tokio::test]
async fn who_receives_it_again_is_confirmed_by_name() {
    let bench = Bench::new().await;
    order(&bench).await;
    let plan = bench.json(&["dlq", "redrive", "orders-hold", "--dry-run"]).await;
    assert_eq!((&plan["fanOut"], &plan["looked"]["messages"]), (&json!(["audit"]), &json!(4)));
    let run = bench.run(&["dlq", "redrive", "orders-hold", "--yes"]).await;
    check_failed(&run, 4, "Also received by `audit`", "--fan-out audit --yes");
    let run = bench.run(&["dlq", "redrive", "orders-hold", "--yes", "--fan-out", "audit", "-o", "json"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    let report: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((&report["counts"]["moved"], &report["returned"]), (&json!(4), &json!(0)));
}

#[tokio::test]
async fn contexts_ask_for_the_name_and_bound_the_bulk() {
    let bench = Bench::new().await;
    let config = "[[context]]\nproject = \"sh*\"\nconfirm = \"name\"\nmax_bulk = 2\n";
    std::fs::write(bench.home.path().join("config.toml"), config).unwrap();
    let discard = async |more: &[&str]| {
        let args: Vec<&str> = ["dlq", "discard", "orders-hold"].iter().chain(more).copied().collect();
        bench.run(&args).await
    };
    check_failed(&discard(&["--max", "2", "--yes"]).await, 4, "without its being confirmed", "--confirm orders-hold");
    check_failed(&discard(&["--max", "2", "--confirm", "nobody"]).await, 4, "is not what this is about", "orders-hold");
    check_failed(&discard(&["--confirm", "orders-hold"]).await, 4, "3 messages are more than this context allows at once (2)", "");
    check_failed(&bench.run(&["queues", "purge", "reports", "--confirm", "reports"]).await, 4, "more than this context allows", "max_bulk");
    let run = discard(&["--max", "2", "--confirm", "orders-hold", "-o", "json"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(serde_json::from_str::<Value>(&run.out).unwrap()["counts"]["discarded"], 2);
}

#[tokio::test]
async fn what_is_changed_in_the_editor_is_changed_in_all_and_what_does_not_fit_stays() {
    let bench = Bench::new().await;
    let address = bench.address().to_string();
    let args = ["--emulator", &address, "--project", "shop", "dlq", "redrive", "orders-hold", "--edit", "--yes", "-o", "json"];
    let edited = binary(bench.home.path()).env("EDITOR", "sed -i s/card_declined/mended/").args(args).output().await.unwrap();
    let report: Value = serde_json::from_slice(&edited.stdout).unwrap_or_else(|_| panic!("{edited:?}"));
    assert_eq!((&report["state"], &report["counts"]["moved"]), (&json!("done"), &json!(3)), "{report}");
    let back = bench.json(&["subs", "peek", "billing"]).await;
    assert!(back.as_array().unwrap().iter().all(|one| one["message"]["attributes"]["error"] == "mended"), "{back}");
    let kept = std::fs::read_to_string(report["copy"].as_str().unwrap()).unwrap();
    assert_eq!(kept.matches("card_declined").count(), 3, "the originals are kept: {kept}");

    order(&bench).await;
    let patch = bench.home.path().join("patch.json");
    std::fs::write(&patch, r#"[{"op": "test", "path": "/payload/order", "value": 10}]"#).unwrap();
    let patch = patch.to_str().unwrap();
    let run = bench.run(&["dlq", "redrive", "orders-hold", "--patch", patch, "--yes", "--fan-out", "audit"]).await;
    check_failed(&run, 4, "cannot be edited", "--dry-run");
    std::fs::write(patch, "{}").unwrap();
    check_failed(&bench.run(&["dlq", "redrive", "orders-hold", "--patch", patch]).await, 2, "this is no JSON patch", "RFC 6902");
}
