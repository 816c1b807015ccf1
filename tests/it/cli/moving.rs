//! Every way of moving messages and tasks that the README lists, by its command.

use serde_json::json;

use super::*;
use crate::transfer::handler::Handler;

/// `hold` and `there` confirm their acks, so that a transfer of known length ends at once; queues are paused.
const MOVES: &str = r#"
project: shop
location: europe-west1
topics: [{ name: orders }, { name: dead }, { name: other }]
subscriptions:
  - { name: billing, topic: orders, dead_letter: { topic: dead } }
  - { name: hold, topic: dead, exactly_once: true }
  - { name: there, topic: other, exactly_once: true }
queues: [{ name: emails, paused: true }, { name: slow, paused: true }, { name: emails-dead, paused: true }]
messages:
  - { topic: dead, json: { order: 1 }, attributes: &source { CloudPubSubDeadLetterSourceSubscription: billing, CloudPubSubDeadLetterSourceSubscriptionProject: shop } }
  - { topic: dead, json: { order: 2 }, attributes: *source }
  - { topic: dead, json: { order: 3 }, attributes: *source }
tasks:
  - { queue: emails, name: t1, http: { url: "http://127.0.0.1:9/work", json: { user: 1 } } }
  - { queue: emails, name: t2, http: { url: "http://127.0.0.1:9/work", json: { user: 2 } } }
  - { queue: emails-dead, name: gone, http: { url: "http://127.0.0.1:9/work", json: { user: 3 } } }
"#;

/// Runs a command that moves something, and checks how many it moved; returns its report.
async fn moved(bench: &Bench, args: &[&str], count: u64) -> Value {
    let report = bench.json(&[args, &["--yes"]].concat()).await;
    let through = report["counts"]["moved"].as_u64().unwrap() + report["counts"]["discarded"].as_u64().unwrap();
    assert_eq!((&report["state"], through), (&json!("done"), count), "{args:?}: {report}");
    for field in ["id", "kind", "state", "counts"] {
        assert!(!report[field].is_null(), "{args:?} has no `{field}`: {report}");
    }
    report
}

/// Names the tasks of a queue.
async fn tasks(bench: &Bench, queue: &str) -> Vec<String> {
    let all = bench.json(&["tasks", "list", queue]).await;
    all.as_array().unwrap().iter().map(|task| task["name"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect()
}

async fn peeked(bench: &Bench, subscription: &str) -> usize {
    bench.json(&["subs", "peek", subscription]).await.as_array().unwrap().len()
}

#[tokio::test]
async fn messages_go_every_way() {
    let bench = Bench::seeded(MOVES).await;
    let handler = Handler::start(|_| 204).await;
    let file = bench.home.path().join("dead.jsonl");
    let (file, url) = (file.to_str().unwrap(), handler.url("/orders"));
    moved(&bench, &["subs", "export", "hold", "--to-file", file, "--max", "3"], 3).await;
    assert_eq!(std::fs::read_to_string(file).unwrap().lines().count(), 3);
    let again = bench.run(&["dlq", "export", "hold", "--to-file", file, "--max", "3", "--yes"]).await;
    check_failed(&again, 1, "an export never writes over a file", "name another file");
    moved(&bench, &["dlq", "replay", "hold", "--to-url", &url, "--max", "3"], 3).await;
    moved(&bench, &["subs", "replay", "hold", "--to-url", &url, "--max", "1", "--snapshot"], 1).await;
    let paths: Vec<String> = handler.asked().into_iter().map(|asked| asked.path).collect();
    assert_eq!((paths.len(), paths.iter().all(|path| path == "/orders"), peeked(&bench, "hold").await), (4, true, 3));

    moved(&bench, &["subs", "move", "hold", "--to", "other", "--max", "1"], 1).await;
    assert_eq!((peeked(&bench, "hold").await, peeked(&bench, "there").await), (2, 1));
    let gone = moved(&bench, &["subs", "discard", "hold", "--max", "2"], 2).await;
    assert_eq!(peeked(&bench, "hold").await, 0);
    moved(&bench, &["transfers", "undo", gone["id"].as_str().unwrap()], 2).await;
    assert_eq!(peeked(&bench, "hold").await, 2);
    moved(&bench, &["transfers", "import", file, "--to", "other"], 3).await;
    assert_eq!(peeked(&bench, "there").await, 4);
    moved(&bench, &["dlq", "redrive", "hold", "--delivery", "addressed", "--max", "2"], 2).await;
    let back = bench.json(&["subs", "peek", "billing"]).await;
    assert!(back.as_array().unwrap().iter().all(|one| one["message"]["attributes"]["redrive-to"] == "billing"), "{back}");
    let listed = bench.json(&["transfers", "list"]).await;
    let kinds: Vec<&str> = listed.as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["redrive", "redrive", "undo", "discard", "redrive", "replay", "replay", "export"], "newest first");
}

#[tokio::test]
async fn tasks_go_every_way() {
    let bench = Bench::seeded(MOVES).await;
    let handler = Handler::start(|_| 200).await;
    let file = bench.home.path().join("emails.jsonl");
    let file = file.to_str().unwrap();
    moved(&bench, &["tasks", "export", "emails", "--all", "--to-file", file], 2).await;
    moved(&bench, &["tasks", "replay", "emails", "--all", "--to-url", &format!("http://{}", handler.address)], 2).await;
    assert_eq!((handler.asked().len(), handler.asked()[0].path.as_str()), (2, "/work"));
    moved(&bench, &["tasks", "move", "emails", "--filter", "body.user = 1", "--to", "slow"], 1).await;
    assert_eq!((tasks(&bench, "emails").await, tasks(&bench, "slow").await), (vec!["t2".to_owned()], vec!["t1".to_owned()]));
    let edit = ["tasks", "edit", "emails/t2", "--at", "2h", "--header", "X-New=1", "--url"];
    let edited = moved(&bench, &[&edit[..], &[&handler.url("/mended")]].concat(), 1).await;
    let name = format!("t2-{}", edited["id"].as_str().unwrap());
    assert_eq!(tasks(&bench, "emails").await, std::slice::from_ref(&name));
    let shown = bench.json(&["tasks", "show", &format!("emails/{name}")]).await;
    assert_eq!(shown["httpRequest"]["headers"]["X-New"], "1", "{shown}");
    moved(&bench, &["tasks", "run", "emails", "--all"], 1).await;
    assert_eq!(handler.asked().last().unwrap().path, "/mended");
    moved(&bench, &["tasks", "redrive", "emails-dead", "--all"], 1).await;
    assert_eq!(tasks(&bench, "emails-dead").await, [] as [String; 0]);
    let gone = moved(&bench, &["tasks", "discard", "slow", "--all"], 1).await;
    moved(&bench, &["transfers", "undo", gone["id"].as_str().unwrap(), "--at", "1d"], 1).await;
    moved(&bench, &["transfers", "import", file, "--to-queue", "slow"], 2).await;
    assert_eq!(tasks(&bench, "slow").await.len(), 3);
}

#[tokio::test]
async fn one_that_runs_elsewhere_is_cancelled_by_its_id() {
    let bench = Bench::seeded(MOVES).await;
    let address = bench.address().to_string();
    let args = ["--emulator", &address, "--project", "shop", "-o", "json", "subs", "move", "hold", "--to", "other", "--rate", "1", "--yes"];
    let slow = binary(bench.home.path()).args(args).stdin(Stdio::null()).spawn().unwrap();
    let id = crate::ops::eventually("it runs", async || {
        let listed = bench.json(&["transfers", "list"]).await;
        (listed[0]["state"] == "running").then(|| listed[0]["id"].as_str().unwrap().to_owned())
    })
    .await;
    assert_eq!(bench.run(&["transfers", "cancel", &id]).await.code, 0);
    let output = tokio::time::timeout(std::time::Duration::from_mins(1), slow.wait_with_output()).await.expect("it ends").unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!((&report["state"], output.status.code()), (&json!("cancelled"), Some(if report["counts"]["moved"] == 0 { 1 } else { 3 })));
    let again = bench.run(&["transfers", "cancel", &id]).await;
    check_failed(&again, 1, "does not run: it is cancelled", "");
    let resumed = bench.run(&["transfers", "resume", &id]).await;
    assert_eq!(resumed.code, 0, "{resumed:?}");
    assert_eq!(peeked(&bench, "there").await, 3);
}

/// What the README shows of filters is read, and each selects something or nothing for what it says.
#[test]
fn the_filters_of_the_readme_are_read() {
    let readme = include_str!("../../../README.md");
    let section = readme.split_once("### Filters").unwrap().1.split_once("\n## ").unwrap().0;
    let filters: Vec<&str> =
        section.lines().filter_map(|line| line.split_once("--filter '")?.1.split_once('\'').map(|(filter, _)| filter)).collect();
    assert!(filters.len() >= 5, "{filters:?}");
    for filter in filters {
        let read = filter.parse::<redrive::model::query::Query>();
        assert!(read.is_ok(), "{filter}: {read:?}");
    }
}
