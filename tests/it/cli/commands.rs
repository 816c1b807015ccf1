//! Every command does what it says, and says it in every format.

use serde_json::{Value, json};

use super::{Bench, check_failed};

#[tokio::test]
async fn lists_are_tables_for_people() {
    let bench = Bench::new().await;
    let table = async |args: &[&str]| {
        let run = bench.run(args).await;
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{run:?}");
        // Columns are two spaces apart at least; ages differ from run to run.
        run.out
            .lines()
            .map(|line| line.split("  ").filter(|cell| !cell.is_empty()).map(|cell| cell.trim().to_owned()).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    };
    let queues = table(&["queues", "list"]).await;
    assert_eq!(queues[0][..4], ["QUEUE", "LOCATION", "STATE", "TASKS"]);
    assert_eq!(queues[1][..4], ["emails", "europe-west1", "PAUSED", "2"]);
    let topics = table(&["topics", "list"]).await;
    assert_eq!(topics[2], ["orders", "2", "1d00h", "-"]);
    let subs = table(&["subs", "list"]).await;
    assert_eq!(subs[2][..3], ["billing", "orders", "pull"]);
    assert_eq!(subs[3][..4], ["orders-hold", "orders-dead", "pull", "3"]);
    let dlq = table(&["dlq", "list"]).await;
    assert_eq!(dlq[1][..5], ["audit", "orders", "lost-dead", "-", "-"]);
    assert_eq!(dlq[1].last().unwrap(), "no subscription: what lands there is lost");
    assert_eq!(dlq[2][..5], ["billing", "orders", "orders-dead", "orders-hold", "3"]);
    let jobs = table(&["jobs", "list"]).await;
    assert_eq!(jobs[1][..5], ["nightly", "europe-west1", "ENABLED", "0 3 * * *", "Europe/Paris"]);
    let tasks = table(&["tasks", "list", "emails"]).await;
    assert_eq!(tasks[1][..5], ["welcome-1", "POST", "http://127.0.0.1:1/tasks/Welcome?x=1", "0", "0"]);
}

#[tokio::test]
async fn json_is_googles_own_with_ours_under_a_key_of_ours() {
    let bench = Bench::new().await;
    let queues = bench.json(&["queues", "list"]).await;
    assert_eq!(queues[0]["name"], "projects/shop/locations/europe-west1/queues/emails");
    assert_eq!(queues[0]["rateLimits"]["maxDispatchesPerSecond"], 2.5);
    assert_eq!(queues[0]["retryConfig"]["maxAttempts"], 3);
    assert_eq!(queues[0]["redriveNumbers"]["tasksCount"]["value"], 2);
    let topics = bench.json(&["topics", "list"]).await;
    assert_eq!(topics[1]["name"], "projects/shop/topics/orders");
    assert_eq!(topics[1]["messageRetentionDuration"], "86400s");
    assert_eq!(topics[1]["redriveNumbers"]["subscriptionsCount"], 2);
    let subs = bench.json(&["subs", "list"]).await;
    assert_eq!(subs[1]["deadLetterPolicy"], json!({ "deadLetterTopic": "projects/shop/topics/orders-dead", "maxDeliveryAttempts": 7 }));
    assert_eq!(subs[2]["redriveNumbers"]["numUndeliveredMessages"]["value"], 3);
    assert_eq!(subs[2]["redriveNumbers"]["numUndeliveredMessages"]["source"], "monitoring");
    let dlq = bench.json(&["dlq", "list"]).await;
    assert_eq!(dlq[0]["broken"], "no subscription: what lands there is lost");
    assert_eq!(dlq[1]["maxDeliveryAttempts"], 7);
    assert_eq!(dlq[1]["holders"][0]["redriveNumbers"]["numUndeliveredMessages"]["value"], 3);
    let jobs = bench.json(&["jobs", "list"]).await;
    assert_eq!(jobs[0]["timeZone"], "Europe/Paris");
    assert_eq!(jobs[0]["pubsubTarget"]["topicName"], "projects/shop/topics/orders");
    let tasks = bench.json(&["tasks", "list", "emails"]).await;
    assert_eq!(tasks[0]["httpRequest"]["url"], "http://127.0.0.1:1/tasks/Welcome?x=1");
    let transfers = bench.json(&["transfers", "list"]).await;
    assert_eq!(transfers, json!([]));
}

#[tokio::test]
async fn json_lines_and_yaml_say_the_same() {
    let bench = Bench::new().await;
    let as_json = bench.json(&["jobs", "list"]).await;
    let lines = bench.run(&["jobs", "list", "-o", "jsonl"]).await;
    assert_eq!(serde_json::from_str::<Value>(lines.out.trim_end()).unwrap(), as_json[0]);
    let yaml = bench.run(&["jobs", "list", "-o", "yaml"]).await;
    assert!(yaml.out.starts_with("- name: projects/shop/locations/europe-west1/jobs/nightly\n"), "{}", yaml.out);
}

#[tokio::test]
async fn a_queue_is_paused_resumed_and_purged() {
    let bench = Bench::new().await;
    let state = async || bench.json(&["queues", "list"]).await[1]["state"].clone();
    let run = bench.run(&["queues", "resume", "reports"]).await;
    assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (0, "", "queue `reports` runs again\n"));
    assert_eq!(state().await, "RUNNING");
    assert_eq!(bench.json(&["queues", "pause", "projects/shop/locations/europe-west1/queues/reports"]).await["state"], "PAUSED");
    assert_eq!(state().await, "PAUSED");

    let run = bench.run(&["queues", "purge", "emails"]).await;
    check_failed(&run, 4, "Delete all tasks of `projects/shop/locations/europe-west1/queues/emails`", "--yes");
    assert_eq!(bench.json(&["tasks", "list", "emails"]).await.as_array().unwrap().len(), 2);
    assert_eq!(bench.run(&["queues", "purge", "emails", "--yes", "--quiet"]).await.err, "");
    assert_eq!(bench.json(&["tasks", "list", "emails"]).await, json!([]));
}

#[tokio::test]
async fn a_task_is_shown_turned_into_curl_run_and_discarded() {
    let bench = Bench::new().await;
    let task = bench.json(&["tasks", "show", "emails/welcome-1"]).await;
    assert_eq!(task["httpRequest"]["httpMethod"], "POST");
    assert_eq!(task["redriveBody"], json!({ "user": "\u{1b}[2J" }));
    let shown = bench.run(&["tasks", "show", "emails/welcome-1"]).await.out;
    assert!(shown.contains("redriveBody:\n  user: \"\\U0000001b[2J\"\n"), "{shown}");

    let curl = bench.run(&["tasks", "curl", "emails/welcome-1"]).await.out;
    assert!(curl.starts_with("curl ") && curl.contains("http://127.0.0.1:1/tasks/Welcome?x=1") && !curl.contains('\u{1b}'), "{curl}");

    let ran = bench.json(&["tasks", "run", "emails/welcome-2"]).await;
    assert_eq!(ran["dispatchCount"], 1);

    let run = bench.run(&["tasks", "discard", "emails/welcome-1"]).await;
    check_failed(&run, 4, "Discard 1 task of `emails`", "--yes");
    let run = bench.run(&["tasks", "discard", "emails/welcome-1", "emails/not-there", "--yes", "-o", "json"]).await;
    assert!(run.code == 3 && run.err.contains("emails/tasks/not-there"), "what was chosen and is not there is told: {run:?}");
    let report: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((&report["kind"], &report["counts"]["discarded"]), (&json!("discard"), &json!(1)));
    let copy = std::fs::read_to_string(report["copy"].as_str().unwrap()).unwrap();
    assert!(copy.contains("welcome-1"), "{copy}");
    let run = bench.run(&["tasks", "show", "emails/welcome-1"]).await;
    assert_eq!(run.code, 1, "{run:?}");
    let id = report["id"].as_str().unwrap();
    let undone = bench.json(&["transfers", "undo", id, "--at", "1d", "--yes"]).await;
    assert_eq!((&undone["kind"], &undone["state"], &undone["counts"]["moved"]), (&json!("undo"), &json!("done"), &json!(1)));
    let back = bench.json(&["tasks", "show", &format!("emails/welcome-1-{}", undone["id"].as_str().unwrap())]).await;
    assert_eq!(back["redriveBody"], json!({ "user": "\u{1b}[2J" }));
    let pruned = bench.json(&["transfers", "prune", id, "--yes"]).await;
    assert_eq!(pruned["pruned"], json!([id]));
    check_failed(&bench.run(&["transfers", "undo", id, "--yes"]).await, 1, "they were pruned", "");
}

#[tokio::test]
async fn a_task_is_sent_to_a_local_handler() {
    async fn answer(uri: axum::http::Uri, body: String) -> (axum::http::StatusCode, String) {
        match uri.query() {
            None => (axum::http::StatusCode::OK, format!("got {body}")),
            Some(_) => (axum::http::StatusCode::SERVICE_UNAVAILABLE, "busy".to_owned()),
        }
    }
    let bench = Bench::new().await;
    let handler = axum::Router::new().route("/tasks/Welcome", axum::routing::post(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async { axum::serve(listener, handler).await });
    let run = bench.run(&["tasks", "debug", "emails/welcome-2", "--to", &to]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.out.starts_with("200 after ") && run.out.ends_with("\n\ngot {\"user\":2}\n"), "{}", run.out);
    let refused = bench.run(&["tasks", "debug", "emails/welcome-1", "--to", &to, "-o", "json"]).await;
    server.abort();
    let answer: Value = serde_json::from_str(&refused.out).unwrap();
    assert_eq!((refused.code, &answer["status"], &answer["body"]), (1, &json!(503), &json!("busy")));
    assert!(refused.err.contains("error: the handler answered 503"), "{refused:?}");
    for outside in ["https://example.com", "nonsense"] {
        let run = bench.run(&["tasks", "debug", "emails/welcome-2", "--to", outside]).await;
        assert!([2, 4].contains(&run.code) && run.err.starts_with("error: "), "{run:?}");
    }
    // The task itself was not touched.
    assert_eq!(bench.json(&["tasks", "show", "emails/welcome-2"]).await["dispatchCount"].as_i64().unwrap_or(0), 0);
}

#[tokio::test]
async fn a_message_is_published_and_seen() {
    let bench = Bench::new().await;
    let args = ["topics", "publish", "orders", "--data", "{\"id\": 7}", "-a", "kind=order", "-a", "note=a=b", "--ordering-key", "k"];
    let id = bench.run(&args).await.out.trim_end().to_owned();
    assert!(!id.is_empty() && id.chars().all(|c| c.is_ascii_digit()), "{id}");
    let seen = bench.json(&["subs", "peek", "audit"]).await;
    assert_eq!(seen[0]["message"]["messageId"], id.as_str());
    assert_eq!(seen[0]["message"]["attributes"], json!({ "kind": "order", "note": "a=b" }));
    assert_eq!((&seen[0]["message"]["orderingKey"], &seen[0]["redrivePayload"]), (&json!("k"), &json!({ "id": 7 })));

    let run = bench.run_with(&["topics", "publish", "orders", "--data-file", "-", "-o", "json"], b"\xff\x00").await;
    assert!(serde_json::from_str::<Value>(&run.out).unwrap()["messageIds"][0].is_string(), "{run:?}");
    let seen = bench.json(&["subs", "peek", "billing", "--snapshot"]).await;
    let binary = seen.as_array().unwrap().iter().find(|received| received["message"]["data"] == "/wA=").expect("is there");
    assert!(binary.get("redrivePayload").is_none());
}

#[tokio::test]
async fn dead_letters_are_redriven_all_or_chosen() {
    let bench = Bench::new().await;
    let plan = bench.json(&["dlq", "redrive", "orders-hold", "--dry-run"]).await;
    assert_eq!(plan["routes"][0]["topic"], "projects/shop/topics/orders");
    assert_eq!(plan["routes"][0]["source"], "projects/shop/subscriptions/billing");
    let words = bench.run(&["dlq", "redrive", "orders-hold", "--dry-run"]).await.out;
    assert!(words.contains("the one that failed  billing") && words.contains("ALSO receives it     audit          0  filter"), "{words}");
    check_failed(&bench.run(&["dlq", "redrive", "orders-hold"]).await, 4, "Redrive", "--yes");
    assert_eq!(held(&bench).await, 3);

    let run = bench.run(&["dlq", "redrive", "orders-hold", "--yes", "-o", "json"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    let report: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((&report["state"], &report["counts"]["moved"]), (&json!("done"), &json!(3)));
    assert_eq!(held(&bench).await, 0);
    let back = bench.json(&["subs", "peek", "billing"]).await;
    let attributes = &back[0]["message"]["attributes"];
    assert_eq!((back.as_array().unwrap().len(), &attributes["error"]), (3, &json!("card_declined")));
    assert!(
        attributes.get("CloudPubSubDeadLetterSourceSubscription").is_none() && attributes["redrive-generation"].is_string(),
        "{attributes}"
    );

    let transfers = bench.json(&["transfers", "list"]).await;
    let shown = bench.json(&["transfers", "show", transfers[0]["id"].as_str().unwrap()]).await;
    assert_eq!(shown["counts"], report["counts"]);
    let run = bench.run(&["transfers", "show", "nothing"]).await;
    check_failed(&run, 1, "transfer `nothing` is not known", "redrive transfers list");
}

#[tokio::test]
async fn a_chosen_dead_letter_is_discarded_with_a_copy() {
    let bench = Bench::new().await;
    let seen = bench.json(&["subs", "peek", "orders-hold", "--snapshot"]).await;
    let chosen = seen.as_array().unwrap().iter().find(|received| received["redrivePayload"]["order"] == 2).unwrap();
    let id = chosen["message"]["messageId"].as_str().unwrap();
    let run = bench.run(&["dlq", "discard", "orders-hold", "--message-id", id, "--yes", "-o", "json"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    let report: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(report["counts"]["discarded"], 1);
    assert!(std::path::Path::new(report["copy"].as_str().unwrap()).exists());
    assert_eq!(held(&bench).await, 2);
}

async fn held(bench: &Bench) -> u64 {
    bench.json(&["subs", "list"]).await[2]["redriveNumbers"]["numUndeliveredMessages"]["value"].as_u64().unwrap()
}

#[tokio::test]
async fn a_job_is_run_paused_and_resumed() {
    let bench = Bench::new().await;
    assert_eq!(bench.run(&["jobs", "run", "nightly"]).await.err, "job `nightly` was started\n");
    let seen = bench.json(&["subs", "peek", "billing"]).await;
    assert_eq!(seen[0]["redrivePayload"], json!({ "kind": "report" }));
    assert_eq!(bench.json(&["jobs", "pause", "nightly"]).await["state"], "PAUSED");
    assert_eq!(bench.json(&["jobs", "resume", "nightly", "--location", "europe-west1"]).await["state"], "ENABLED");
}

#[tokio::test]
async fn read_only_refuses_what_changes_something() {
    let bench = Bench::new().await;
    for args in [&["queues", "pause", "emails"][..], &["topics", "publish", "orders", "--data", "x"], &["jobs", "run", "nightly"]] {
        let args: Vec<&str> = args.iter().copied().chain(["--read-only"]).collect();
        let run = bench.run(&args).await;
        assert_eq!(run.code, 4, "{run:?}");
    }
    // So does the configuration, for the projects that it names.
    std::fs::write(bench.home.path().join("config.toml"), "[[context]]\nproject = \"sh*\"\nread_only = true\n").unwrap();
    let run = bench.run(&["queues", "pause", "emails"]).await;
    assert_eq!(run.code, 4, "{run:?}");
    assert_eq!(bench.run(&["queues", "list"]).await.code, 0);
    std::fs::write(bench.home.path().join("config.toml"), "thema = 1\n").unwrap();
    check_failed(&bench.run(&["queues", "list"]).await, 2, "line 1", "");
}

#[tokio::test]
async fn completions_name_the_commands() {
    let bench = Bench::new().await;
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let run = bench.run(&["completions", shell]).await;
        assert!(run.code == 0 && run.out.contains("transfers"), "{shell}: {run:?}");
    }
}
