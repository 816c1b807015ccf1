//! `redrive emulator --data-dir` as a process of its own: killed under load, on a disk that is full, started twice.
//!
//! `REDRIVE_CAMPAIGN=7 cargo test --test it durable -- --nocapture` kills it 210 times and prints the figures.

mod turn;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

/// Nothing on one machine takes this long; what does has hung.
const PATIENCE: Duration = Duration::from_mins(2);
/// Multiplies the number of runs.
const FACTOR: &str = "REDRIVE_CAMPAIGN";
const KILLS: u64 = 30;
/// Every so many runs it is stopped in good order, which writes the state.
const RUNS_TO_STOP: u64 = 5;
/// In every other run the log begins anew, and the state is written, after so many bytes instead of 256 MiB: kills meet that, too.
const LOG_BYTES: u32 = 5000;
/// So much of each kind of load is answered in most lives.
const ANSWERS: usize = 2;

const TOPIC: &str = "v1/projects/shop/topics/orders";
const SUBSCRIPTION: &str = "v1/projects/shop/subscriptions/billing";
const LOCATION: &str = "v2/projects/shop/locations/l";
const JOBS: &str = "v1/projects/shop/locations/l/jobs";

struct Server {
    child: Child,
    address: String,
    client: Client,
}

/// `redrive emulator` on a directory, from a shell that does `first`, with more options.
fn script(first: &str, dir: &Path, options: &str) -> Command {
    let mut command = Command::new("sh");
    let script = format!("{first} exec \"$0\" emulator --quiet --listen 127.0.0.1:0 --wait-ready --data-dir \"$1\" {options}");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_redrive")]).arg(dir);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

impl Server {
    async fn start(dir: &Path) -> Self {
        Self::start_as(script("", dir, "")).await
    }

    async fn start_as(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("it starts in time").unwrap();
        let Some(line) = line else { panic!("{:?}", child.wait_with_output().await) };
        let address = line.strip_prefix("ready ").unwrap_or_else(|| panic!("`{line}`")).to_owned();
        Self { child, address, client: Client::builder().no_proxy().timeout(PATIENCE).build().unwrap() }
    }

    fn caller(&self) -> Caller {
        Caller { address: self.address.clone(), client: self.client.clone() }
    }

    async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Ends it as ctrl-c does.
    async fn stop(mut self) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it stops in time").unwrap();
        assert!(ended.success(), "{ended}");
    }
}

/// Calls over REST; `None` is no answer.
#[derive(Clone)]
struct Caller {
    address: String,
    client: Client,
}

impl Caller {
    async fn call(&self, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
        let url = format!("http://{}/{path}", self.address);
        let request = self.client.request(method.parse().unwrap(), url);
        let request = if method == "GET" || method == "DELETE" { request } else { request.json(body) };
        let response = request.send().await.ok()?;
        Some((response.status().as_u16(), response.json().await.ok()?))
    }

    async fn good(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(method, path, &body).await.expect("an answer");
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }

    /// Pulls, at once; `None` is no answer.
    async fn pull(&self, max: usize) -> Option<Vec<(String, String)>> {
        let body = json!({"maxMessages": max, "returnImmediately": true});
        let (status, mut answer) = self.call("POST", &format!("{SUBSCRIPTION}:pull"), &body).await?;
        assert_eq!(status, 200, "{answer}");
        let Value::Array(received) = answer["receivedMessages"].take() else { return Some(Vec::new()) };
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Some(received.iter().map(|got| (text(&got["ackId"]), text(&got["message"]["attributes"]["id"]))).collect())
    }

    async fn set_up(&self) {
        self.good("PUT", TOPIC, json!({})).await;
        self.good("PUT", SUBSCRIPTION, json!({"topic": "projects/shop/topics/orders", "ackDeadlineSeconds": 600})).await;
        let queue = json!({"name": "projects/shop/locations/l/queues/emails"});
        self.good("POST", &format!("{LOCATION}/queues"), queue).await;
        self.good("POST", &format!("{LOCATION}/queues/emails:pause"), json!({})).await;
    }
}

/// What was answered.
#[derive(Default)]
struct Told {
    published: BTreeSet<String>,
    acked: BTreeSet<String>,
    /// Acked, or perhaps acked: the answer did not come.
    maybe_acked: BTreeSet<String>,
    tasks: BTreeSet<String>,
    deleted: BTreeSet<String>,
    maybe_deleted: BTreeSet<String>,
    jobs: BTreeSet<String>,
    /// Received after it was acked.
    back: Vec<String>,
}

impl Told {
    /// Answers of the kind there are fewest of.
    fn least(&self) -> usize {
        [self.published.len(), self.acked.len(), self.tasks.len(), self.jobs.len()].into_iter().min().unwrap_or(0)
    }
}

type Shared = Arc<Mutex<Told>>;

/// Publishes until there is no answer.
async fn publish(caller: Caller, told: Shared, run: u64, worker: u32) {
    for number in 0.. {
        let ids: Vec<String> = (0..10).map(|nth| format!("{run}-{worker}-{number}-{nth}")).collect();
        let messages: Vec<Value> = ids.iter().map(|id| json!({"data": "eA==", "attributes": {"id": id}})).collect();
        let answer = caller.call("POST", &format!("{TOPIC}:publish"), &json!({"messages": messages})).await;
        let Some((status, answer)) = answer else { return };
        assert_eq!(status, 200, "{answer}");
        told.lock().unwrap().published.extend(ids);
    }
}

async fn acknowledge(caller: Caller, told: Shared) {
    while let Some(received) = caller.pull(20).await {
        let (ack_ids, ids): (Vec<String>, Vec<String>) = received.into_iter().unzip();
        if ids.is_empty() {
            continue;
        }
        {
            let mut told = told.lock().unwrap();
            let back: Vec<String> = ids.iter().filter(|id| told.acked.contains(*id)).cloned().collect();
            told.back.extend(back);
            told.maybe_acked.extend(ids.iter().cloned());
        }
        let Some((status, answer)) = caller.call("POST", &format!("{SUBSCRIPTION}:acknowledge"), &json!({"ackIds": ack_ids})).await else {
            return;
        };
        assert_eq!(status, 200, "{answer}");
        told.lock().unwrap().acked.extend(ids);
    }
}

/// Creates tasks, and deletes every third.
async fn tasks(caller: Caller, told: Shared, run: u64) {
    for number in 0.. {
        let id = format!("t{run}-{number}");
        let name = format!("projects/shop/locations/l/queues/emails/tasks/{id}");
        let body = json!({"task": {"name": name, "httpRequest": {"url": "http://127.0.0.1:1/"}}});
        let Some((status, answer)) = caller.call("POST", &format!("{LOCATION}/queues/emails/tasks"), &body).await else { return };
        assert_eq!(status, 200, "{answer}");
        told.lock().unwrap().tasks.insert(name.clone());
        if number % 3 == 0 {
            told.lock().unwrap().maybe_deleted.insert(name.clone());
            let Some((status, answer)) = caller.call("DELETE", &format!("v2/{name}"), &Value::Null).await else { return };
            assert_eq!(status, 200, "{answer}");
            told.lock().unwrap().deleted.insert(name);
        }
    }
}

async fn jobs(caller: Caller, told: Shared, run: u64) {
    for number in 0.. {
        let name = format!("projects/shop/locations/l/jobs/j{run}-{number}");
        let body = json!({"name": name, "schedule": "0 0 1 1 *", "httpTarget": {"uri": "http://127.0.0.1:1/"}});
        let Some((status, answer)) = caller.call("POST", JOBS, &body).await else { return };
        assert_eq!(status, 200, "{answer}");
        told.lock().unwrap().jobs.insert(name);
    }
}

/// The highest generation that there is a file of: how often the log was begun anew.
fn turns(dir: &Path) -> u64 {
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter_map(|name| name.split_once('.')?.0.parse().ok()).max().unwrap_or(0)
}

/// One process: load for a while, then the end. A worker that meets no answer is done.
async fn one_life(dir: &Path, told: &Shared, run: u64) {
    let options = if run % 2 == 1 { format!("--log-limit {LOG_BYTES}") } else { String::new() };
    let server = Server::start_as(script("", dir, &options)).await;
    let caller = server.caller();
    if run == 0 {
        caller.set_up().await;
    }
    let before = told.lock().unwrap().least();
    let mut workers = JoinSet::new();
    for worker in 0..2 {
        workers.spawn(publish(caller.clone(), told.clone(), run, worker));
    }
    workers.spawn(acknowledge(caller.clone(), told.clone()));
    workers.spawn(tasks(caller.clone(), told.clone(), run));
    workers.spawn(jobs(caller.clone(), told.clone(), run));
    // At another point of the log each time, the first commands included.
    tokio::time::sleep(Duration::from_millis(20 + run.wrapping_mul(0x9e37_79b9) % 180)).await;
    // A machine that is busy with other things may not have got anywhere by then. Some lives end there all the same.
    let has_lived = async {
        while told.lock().unwrap().least() < before + ANSWERS && !run.is_multiple_of(4) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, has_lived).await.expect("the load is answered");
    if run % RUNS_TO_STOP == RUNS_TO_STOP - 1 {
        // The load ends first: a call that meets the end in good order is refused.
        workers.shutdown().await;
        server.stop().await;
        return;
    }
    server.kill().await;
    while let Some(ended) = workers.join_next().await {
        ended.unwrap();
    }
}

/// All names that a list has, over its pages.
async fn list(caller: &Caller, path: &str, field: &str) -> BTreeSet<String> {
    let (mut names, mut token) = (BTreeSet::new(), String::new());
    loop {
        let page = caller.good("GET", &format!("{path}?pageSize=500&pageToken={token}"), Value::Null).await;
        names.extend(page[field].as_array().into_iter().flatten().map(|item| item["name"].as_str().unwrap().to_owned()));
        match page["nextPageToken"].as_str() {
            Some(next) if !next.is_empty() => next.clone_into(&mut token),
            _ => return names,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_under_load_it_loses_nothing_and_brings_nothing_back() {
    let kills = KILLS * std::env::var(FACTOR).map_or(1, |factor| factor.parse().unwrap());
    let runs = kills * RUNS_TO_STOP / (RUNS_TO_STOP - 1) + 1;
    let dir = TempDir::new().unwrap();
    let told = Shared::default();
    for run in 0..runs {
        one_life(dir.path(), &told, run).await;
    }
    let turns = turns(dir.path());
    let server = Server::start(dir.path()).await;
    let caller = server.caller();
    // All leases end.
    caller.good("POST", "clock/advance?by=700s", json!({})).await;
    let mut got = BTreeSet::new();
    loop {
        let received = caller.pull(1000).await.unwrap();
        if received.is_empty() {
            break;
        }
        got.extend(received.into_iter().map(|(_, id)| id));
    }
    let (has_tasks, has_jobs) =
        (list(&caller, &format!("{LOCATION}/queues/emails/tasks"), "tasks").await, list(&caller, JOBS, "jobs").await);
    let told = told.lock().unwrap();
    let count = |lost: usize, of: &BTreeSet<String>| format!("{lost} of {}", of.len());
    let messages = told.published.difference(&told.maybe_acked).filter(|id| !got.contains(*id)).count();
    let acks = told.acked.intersection(&got).count() + told.back.len();
    let tasks = told.tasks.difference(&told.maybe_deleted).filter(|name| !has_tasks.contains(*name)).count();
    let deletions = told.deleted.intersection(&has_tasks).count();
    let jobs = told.jobs.difference(&has_jobs).count();
    println!(
        "{kills} kills, the log turned {turns} times: acknowledged publishes lost: {}; acked messages reappearing: {}; tasks lost: {}; deleted tasks reappearing: {}; jobs lost: {}",
        count(messages, &told.published),
        count(acks, &told.acked),
        count(tasks, &told.tasks),
        count(deletions, &told.deleted),
        count(jobs, &told.jobs)
    );
    assert_eq!((messages, acks, tasks, deletions, jobs), (0, 0, 0, 0, 0));
    assert!(turns > runs / 2, "the log hardly ever turned: {turns} times");
    let least = usize::try_from(kills).unwrap();
    assert!(told.least() > least, "the load was no load");
}

#[tokio::test]
async fn a_full_disk_is_told_and_nothing_answered_is_lost() {
    let dir = TempDir::new().unwrap();
    // No file may grow beyond 200 blocks (of 512 or 1024 bytes, by shell); the signal for that is ignored, so that it is an error.
    let server = Server::start_as(script("trap '' XFSZ; ulimit -f 200;", dir.path(), "")).await;
    let caller = server.caller();
    caller.set_up().await;
    let data = "eHh4".repeat(2000);
    let mut answered = Vec::new();
    let refused = loop {
        let id = answered.len().to_string();
        let body = json!({"messages": [{"data": data, "attributes": {"id": id}}]});
        match caller.call("POST", &format!("{TOPIC}:publish"), &body).await.unwrap() {
            (200, _) => answered.push(id),
            other => break other,
        }
        assert!(answered.len() < 1000, "the limit is not in force");
    };
    let message = refused.1["error"]["message"].as_str().unwrap();
    assert!(refused.0 == 429 && message.contains("could not write to its data directory"), "{refused:?}");
    // What only reads goes on; what is refused has not happened, and does not later.
    caller.good("GET", TOPIC, Value::Null).await;
    server.kill().await;
    let server = Server::start(dir.path()).await;
    let caller = server.caller();
    let mut got = Vec::new();
    loop {
        let received = caller.pull(10).await.unwrap();
        if received.is_empty() {
            break;
        }
        got.extend(received.into_iter().map(|(_, id)| id));
    }
    assert_eq!(got, answered);
    caller.good("POST", &format!("{TOPIC}:publish"), json!({"messages": [{"data": "eA=="}]})).await;
}

#[tokio::test]
async fn a_directory_in_use_is_refused() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path()).await;
    let second = tokio::time::timeout(PATIENCE, script("", dir.path(), "").output()).await.unwrap().unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(!second.status.success() && said.contains("is in use by another emulator"), "{said}");
    assert!(said.contains("hint: stop that one"), "{said}");
    server.caller().set_up().await;
}

/// Everything that can be read, to compare before and after.
async fn all(caller: &Caller) -> Vec<Value> {
    let paths = [
        TOPIC.to_owned(),
        SUBSCRIPTION.to_owned(),
        "v1/projects/shop/snapshots/before".to_owned(),
        "v1/projects/shop/schemas/order".to_owned(),
        format!("{TOPIC}:getIamPolicy"),
        format!("{LOCATION}/queues"),
        format!("{LOCATION}/queues/emails/tasks?responseView=FULL"),
        format!("{LOCATION}/queues/retries/tasks?responseView=FULL"),
        JOBS.to_owned(),
    ];
    let mut found = Vec::new();
    for path in paths {
        found.push(caller.good("GET", &path, Value::Null).await);
    }
    found
}

/// Makes one of everything; returns the ack ids of a leased message, and of one whose lease was extended.
async fn furnish(caller: &Caller) -> Vec<String> {
    caller.set_up().await;
    let schema = json!({"type": "AVRO", "definition": "{\"type\": \"record\", \"name\": \"O\", \"fields\": []}"});
    caller.good("POST", "v1/projects/shop/schemas?schemaId=order", schema).await;
    caller.good("PUT", "v1/projects/shop/snapshots/before", json!({"subscription": "projects/shop/subscriptions/billing"})).await;
    let policy = json!({"policy": {"bindings": [{"role": "roles/viewer", "members": ["allUsers"]}]}});
    caller.good("POST", &format!("{TOPIC}:setIamPolicy"), policy).await;
    for id in ["a", "b", "c"] {
        caller.good("POST", &format!("{TOPIC}:publish"), json!({"messages": [{"data": "eA==", "attributes": {"id": id}}]})).await;
    }
    let leased: Vec<String> = caller.pull(2).await.unwrap().into_iter().map(|(ack_id, _)| ack_id).collect();
    let extend = json!({"ackIds": [leased[0]], "ackDeadlineSeconds": 300});
    caller.good("POST", &format!("{SUBSCRIPTION}:modifyAckDeadline"), extend).await;
    // Nobody listens there: the attempt fails and waits to be tried again, in an hour.
    let retry = json!({"minBackoff": "3600s", "maxBackoff": "3600s"});
    let queue =
        json!({"name": "projects/shop/locations/l/queues/retries", "retryConfig": retry, "rateLimits": {"maxDispatchesPerSecond": 0.3}});
    caller.good("POST", &format!("{LOCATION}/queues"), queue).await;
    let request = json!({"url": "http://127.0.0.1:1/", "body": "eA=="});
    for queue in ["emails", "retries"] {
        caller.good("POST", &format!("{LOCATION}/queues/{queue}/tasks"), json!({"task": {"httpRequest": request}})).await;
    }
    let job = json!({"name": "projects/shop/locations/l/jobs/nightly", "schedule": "0 3 * * *", "timeZone": "Europe/Berlin", "httpTarget": {"uri": "http://127.0.0.1:1/"}});
    caller.good("POST", JOBS, job).await;
    caller.good("POST", &format!("{JOBS}/nightly:pause"), json!({})).await;
    caller.good("POST", "clock/advance?by=60s", json!({})).await;
    leased
}

#[tokio::test]
async fn everything_comes_back_after_a_kill_and_after_a_stop() {
    for kill in [true, false] {
        let dir = TempDir::new().unwrap();
        let server = Server::start(dir.path()).await;
        let caller = server.caller();
        let leased = furnish(&caller).await;
        let before = all(&caller).await;
        let attempts = &before[7]["tasks"][0];
        assert!(attempts["dispatchCount"] == 1 && attempts["lastAttempt"]["responseStatus"]["code"] == 2, "{attempts}");
        if kill {
            server.kill().await;
        } else {
            server.stop().await;
        }

        let server = Server::start(dir.path()).await;
        let caller = server.caller();
        assert_eq!(all(&caller).await, before, "kill: {kill}");
        let clock = caller.good("GET", "clock", Value::Null).await;
        assert!(clock["ahead"].as_str().unwrap().trim_end_matches('s').parse::<f64>().unwrap() > 59.0, "{clock}");
        // The leases still hold: only the third message is free; what is acknowledged under an old lease is gone for good.
        caller.good("POST", &format!("{SUBSCRIPTION}:acknowledge"), json!({"ackIds": [leased[0]]})).await;
        let free: Vec<String> = caller.pull(10).await.unwrap().into_iter().map(|(_, id)| id).collect();
        assert_eq!(free, ["c"]);
        caller.good("POST", "clock/advance?by=700s", json!({})).await;
        let mut free: Vec<String> = caller.pull(10).await.unwrap().into_iter().map(|(_, id)| id).collect();
        free.sort();
        assert_eq!(free, ["b", "c"]);
        // The retry that was planned happens.
        caller.good("POST", "clock/advance?by=3600s", json!({})).await;
        let after = all(&caller).await;
        assert_eq!(after[7]["tasks"][0]["dispatchCount"], 2, "{}", after[7]);
        server.kill().await;
    }
}
