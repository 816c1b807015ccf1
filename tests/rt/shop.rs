//! `cargo run --example shop`, as its head says to run it, watched from the outside.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use redrive::cloud::Cloud;
use redrive::ops::Ops;
use serde_json::{Value, json};

use crate::support::eventually;

/// Building what `cargo test --test rt` alone does not, on a busy machine.
const BUILD: Duration = Duration::from_mins(10);
/// After SIGTERM an instance has ten seconds.
const STOP: Duration = Duration::from_secs(10);

/// The example as a process; what it prints comes line by line.
struct Shop {
    process: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Shop {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO"));
        command.args(["run", "--quiet", "--example", "shop"]).current_dir(env!("CARGO_MANIFEST_DIR"));
        // As on Cloud Run, so that its log is records; nothing else may lead it elsewhere.
        command.env_remove("RUST_LOG").envs([("K_SERVICE", "shop"), ("K_REVISION", "shop-00001"), ("GOOGLE_CLOUD_PROJECT", "shop")]);
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { process, lines, seen: Vec::new() }
    }

    /// Waits for a line that has `words` in it.
    fn line(&mut self, words: &str, patience: Duration) -> String {
        let begun = Instant::now();
        while let Ok(line) = self.lines.recv_timeout(patience.saturating_sub(begun.elapsed())) {
            self.seen.push(line.clone());
            if line.contains(words) {
                return line;
            }
        }
        let errors = self.errors();
        panic!("no `{words}` within {patience:?}: {:#?}\n{errors}", self.seen);
    }

    fn errors(&mut self) -> String {
        // It may have ended already, by itself.
        let _ = self.process.kill();
        let mut text = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    /// The records of its log so far.
    fn records(&self) -> Vec<Value> {
        self.seen.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        // Both fail only when it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shop_serves_shows_what_fails_and_ends_when_it_is_told_to() {
    let mut shop = tokio::task::spawn_blocking(Shop::start).await.unwrap();
    let watch = tokio::task::block_in_place(|| shop.line("watch it: cargo run -- --emulator ", BUILD));
    for planned in ["+ topic         shop--orders-dead", "+ queue         shop-exports-dead", "+ job           shop--CloseTheBooks"] {
        assert!(shop.seen.iter().any(|line| line.starts_with(planned)), "{planned}: {:#?}", shop.seen);
    }
    let address = watch.split_whitespace().nth(6).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cloud = || Cloud::emulator(address, "shop".parse().unwrap()).unwrap();
    let ops = Ops::new(cloud(), folder.path().join("home"), false).unwrap();

    // What Billing cannot take becomes a dead letter, and is held.
    let held = "projects/shop/subscriptions/shop--orders-dead-hold".parse().unwrap();
    let letter = eventually("a dead letter", async || cloud().pull(&held, 1, Duration::ZERO).await.unwrap().messages.pop()).await.message;
    let order: Value = serde_json::from_slice(&letter.data).unwrap();
    assert_eq!(order["order"].as_u64().unwrap() % 7, 0, "{order}");
    assert_eq!(letter.provenance().unwrap().subscription.unwrap().to_string(), "projects/shop/subscriptions/shop--Billing");
    // What cannot be exported is kept.
    let dead = "projects/shop/locations/europe-west1/queues/shop-exports-dead".parse().unwrap();
    let kept = eventually("a dead task", async || ops.tasks(&dead, true, 10).await.unwrap().items.pop()).await;
    assert!(kept.request.headers.iter().any(|(_, value)| value.contains("the warehouse refuses order")), "{kept:?}");
    // The periodic task has a job, and runs when a minute has passed.
    let jobs = ops.jobs().await.unwrap().items;
    assert_eq!(jobs.iter().map(|job| (job.name.id(), job.schedule.as_str())).collect::<Vec<_>>(), [("shop--CloseTheBooks", "* * * * *")]);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let moved = http.post(format!("http://{address}/clock/advance")).json(&json!({ "by": "60s" })).send().await.unwrap();
    assert!(moved.status().is_success(), "{}", moved.text().await.unwrap());
    tokio::task::block_in_place(|| {
        shop.line("the books are closed", Duration::from_mins(1));
        shop.line("audit: order ", Duration::from_mins(1));
    });

    let told = Command::new("kill").args(["-TERM", &shop.process.id().to_string()]).status().unwrap();
    assert!(told.success());
    let begun = Instant::now();
    tokio::task::block_in_place(|| shop.line("the shop is closed", STOP));
    let ended = eventually("it has ended", async || shop.process.try_wait().unwrap()).await;
    assert!(ended.success() && begun.elapsed() < STOP, "{ended} after {:?}", begun.elapsed());
    assert_eq!(shop.errors(), "", "nothing is written beside the log");
    let records = shop.records();
    let failed = records.iter().find(|record| record["message"].as_str().is_some_and(|text| text.starts_with("failed for the last time")));
    let failed = failed.unwrap_or_else(|| panic!("{records:#?}"));
    assert_eq!((&failed["httpRequest"]["status"], &failed["serviceContext"]["service"]), (&json!(202), &json!("shop")));
}
