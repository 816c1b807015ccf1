//! What the three share: an emulator, the two services, what is stored between them, and what arrived at the Rust one.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use redrive::cloud::Cloud;
use redrive::emulator::Emulator;
use redrive::runtime::{App, Builder, Context, Host};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::django::{self, Django, answer_of};
use crate::environments::skipped;

/// Everything that is waited for happens within this time.
const DEADLINE: Duration = Duration::from_secs(20);

pub(super) const LOCATION: &str = "projects/demo/locations/europe-west1";
pub(super) const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// The part of [`TRACE`] that stays the same on its way.
pub(super) const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The state of the Rust service: where it notes what arrived.
#[derive(Clone)]
pub(super) struct Shop(mpsc::UnboundedSender<Seen>);

/// What arrived at the Rust service.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) what: &'static str,
    /// The payload.
    pub(super) said: Value,
    /// Propagated headers.
    pub(super) headers: BTreeMap<String, String>,
    /// What came with it: `Origin` in words.
    pub(super) origin: redrive::runtime::Origin,
}

/// Notes that something arrived.
pub(super) fn note(cx: &Context<Shop>, what: &'static str, said: Value) {
    let headers = cx.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    // Nobody listens any more when the test has failed.
    let _ = cx.state().0.send(Seen { what, said, headers, origin: cx.origin().clone() });
}

/// An emulator with both services.
pub(super) struct Scene {
    pub(super) emulator: Emulator,
    pub(super) django: Django,
    /// The app whose work the Rust service does itself.
    pub(super) worker: App<Shop>,
    /// The app that enqueues for Django.
    pub(super) sender: App<Shop>,
    pub(super) rust_url: String,
    account: String,
    seen: mpsc::UnboundedReceiver<Seen>,
    http: reqwest::Client,
    server: JoinHandle<()>,
    _home: TempDir,
}

impl Scene {
    /// Starts all; `None`, having said why, where there is no Python for it. `account` is whose tokens the library sends.
    pub(super) async fn start(name: &str, account: Account, configure: impl Fn(Builder<Shop>) -> Builder<Shop>) -> Option<Self> {
        let suite = name.to_owned();
        let python = match tokio::task::spawn_blocking(move || django::environment(&suite)).await.unwrap() {
            Ok(python) => python,
            Err(why) => {
                skipped(why);
                return None;
            }
        };
        let emulator = Emulator::builder().project("demo".parse().unwrap()).start().await.unwrap();
        let (address, http) = (emulator.address().to_string(), reqwest::Client::new());
        let home = TempDir::new().unwrap();
        let key = home.path().join("key.json");
        std::fs::write(&key, emulator.service_account_key(KEY_ACCOUNT).await.unwrap()).unwrap();
        let account = match account {
            Account::OfKey => KEY_ACCOUNT.to_owned(),
            Account::OfMachine => metadata(&http, &address, "instance/service-accounts/default/email").await,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let rust_url = format!("http://{}", listener.local_addr().unwrap());
        let mut variables = vec![
            ("EMULATOR", address.clone()),
            ("RUST_URL", rust_url.clone()),
            ("SERVICE_URL", rust_url.clone()),
            ("GCP_LOCATION", "europe-west1".to_owned()),
            ("NO_PROXY", "127.0.0.1".to_owned()),
        ];
        if account == KEY_ACCOUNT {
            variables.push(("GOOGLE_APPLICATION_CREDENTIALS", key.to_str().unwrap().to_owned()));
        }
        let suite = name.to_owned();
        let django = tokio::task::spawn_blocking(move || Django::start(&suite, &python, &variables)).await.unwrap();
        let (sender, seen) = mpsc::unbounded_channel();
        let app = |url: &str| {
            let cloud = Cloud::emulator(&address, "demo".parse().unwrap()).unwrap();
            let host = Host { location: "europe-west1".parse().unwrap(), url: url.to_owned(), account: Some(account.clone()) };
            let keys = format!("http://{address}/oauth2/v3/certs");
            configure(App::new(Shop(sender.clone()))).on(cloud).host(host).token_keys(keys).build().unwrap()
        };
        let (worker, sender) = (app(&rust_url), app(&django.url));
        let app = worker.clone();
        let server = tokio::spawn(async move {
            app.serve_on(listener, std::future::pending()).await.unwrap();
        });
        Some(Self { emulator, django, worker, sender, rust_url, account, seen, http, server, _home: home })
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.emulator.address())
    }

    /// Calls the emulator's REST interface; what it says must be fine.
    pub(super) async fn ask(&self, method: reqwest::Method, path: &str, body: Value) -> Value {
        let request = self.http.request(method, self.url(path));
        let request = if body.is_null() { request } else { request.body(body.to_string()) };
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        self.ask(reqwest::Method::GET, path, Value::Null).await
    }

    /// Creates a queue, paused.
    pub(super) async fn queue(&self, queue: &str) {
        let name = format!("{LOCATION}/queues/{queue}");
        self.ask(reqwest::Method::POST, &format!("v2/{LOCATION}/queues"), json!({ "name": name })).await;
        self.pause(queue, true).await;
    }

    /// Has a queue wait, or go on.
    pub(super) async fn pause(&self, queue: &str, paused: bool) {
        let verb = if paused { "pause" } else { "resume" };
        self.ask(reqwest::Method::POST, &format!("v2/{LOCATION}/queues/{queue}:{verb}"), json!({})).await;
    }

    /// Returns the tasks that wait in a queue, by their ids, as what the receiver will see: without times.
    pub(super) async fn stored(&self, queue: &str) -> BTreeMap<String, Value> {
        let listed = self.get(&format!("v2/{LOCATION}/queues/{queue}/tasks?responseView=FULL")).await;
        let tasks = listed["tasks"].as_array().cloned().unwrap_or_default();
        tasks.iter().map(|task| (task["name"].as_str().unwrap().rsplit('/').next().unwrap().to_owned(), plain(task))).collect()
    }

    /// Makes a subscription that pushes to the Django service, as its own command would where it was the receiver.
    pub(super) async fn push_to_django(&self, topic: &str, subscription: &str, path: &str) {
        let url = format!("{}{path}", self.django.url);
        self.push(topic, subscription, &url, &url).await;
    }

    /// Makes a subscription that pushes somewhere.
    pub(super) async fn push(&self, topic: &str, subscription: &str, url: &str, audience: &str) {
        let push = json!({"pushEndpoint": url, "oidcToken": {"serviceAccountEmail": self.account, "audience": audience}});
        let body = json!({"topic": format!("projects/demo/topics/{topic}"), "pushConfig": push});
        self.ask(reqwest::Method::PUT, &format!("v1/projects/demo/subscriptions/{subscription}"), body).await;
    }

    /// Begins to keep what is published to a topic.
    pub(super) async fn hold(&self, topic: &str) {
        let body = json!({"topic": format!("projects/demo/topics/{topic}")});
        self.ask(reqwest::Method::PUT, &format!("v1/projects/demo/subscriptions/held-{topic}"), body).await;
    }

    /// Returns the two messages that were published since: content and attributes, with the part of a trace's number masked that changes with each step.
    pub(super) async fn held(&self, topic: &str) -> [(String, Value); 2] {
        let path = format!("v1/projects/demo/subscriptions/held-{topic}:pull");
        let mut messages = Vec::new();
        while messages.len() < 2 {
            let pulled = self.ask(reqwest::Method::POST, &path, json!({"maxMessages": 2 - messages.len()})).await;
            messages.extend(pulled["receivedMessages"].as_array().into_iter().flatten().map(|pulled| {
                let data = BASE64.decode(pulled["message"]["data"].as_str().unwrap()).unwrap();
                (masked(&String::from_utf8(data).unwrap()), pulled["message"]["attributes"].clone())
            }));
        }
        messages.try_into().unwrap()
    }

    /// Returns a token as Cloud Tasks would send it.
    pub(super) async fn token(&self, audience: &str) -> String {
        let path = format!("v1/projects/-/serviceAccounts/{}:generateIdToken", self.account);
        let answer = self.ask(reqwest::Method::POST, &path, json!({"audience": audience, "includeEmail": true})).await;
        answer["token"].as_str().unwrap().to_owned()
    }

    /// Sends the same request to both services, and returns both answers; `audience` is of the URL of each, or of its host.
    pub(super) async fn both(&self, path: &str, body: &str, by_url: bool) -> [(u16, String); 2] {
        let mut answers = Vec::new();
        for base in [&self.django.url, &self.rust_url] {
            let url = format!("{base}{path}");
            let token = self.token(if by_url { &url } else { base }).await;
            answers.push(answer_of(&self.http, &url, body, Some(&token)).await);
        }
        answers.try_into().unwrap()
    }

    /// This crate's provisioning finds that the library's command made the job and the subscription as it would itself, and leaves them alone; where they are
    /// gone it makes the same.
    pub(super) async fn provisioned_alike(&self, job: &str, subscription: &str) {
        let paths = [format!("v1/{LOCATION}/jobs/{job}"), format!("v1/projects/demo/subscriptions/{subscription}")];
        let [their_job, their_subscription] = [self.get(&paths[0]).await, self.get(&paths[1]).await];
        let plan = self.worker.plan(false).await.unwrap().to_string();
        assert!(!plan.contains(job), "the job is as it shall be: {plan}");
        for path in &paths {
            self.ask(reqwest::Method::DELETE, path, Value::Null).await;
        }
        self.worker.provision(false).await.unwrap();
        let [our_job, our_subscription] = [self.get(&paths[0]).await, self.get(&paths[1]).await];
        assert_eq!(plain(&our_job), plain(&their_job));
        for field in ["schedule", "timeZone", "attemptDeadline", "retryConfig"] {
            assert_eq!(our_job[field], their_job[field], "{field}");
        }
        for field in ["topic", "pushConfig", "ackDeadlineSeconds", "messageRetentionDuration", "filter", "deadLetterPolicy"] {
            assert_eq!(our_subscription[field], their_subscription[field], "{field}");
        }
    }

    /// Waits until something of this kind arrives at the Rust service: what comes before is of earlier steps.
    pub(super) async fn next_of(&mut self, what: &str) -> Seen {
        loop {
            let seen = self.next().await;
            if seen.what == what {
                return seen;
            }
        }
    }

    /// Waits for the next thing that arrives at the Rust service.
    pub(super) async fn next(&mut self) -> Seen {
        tokio::time::timeout(DEADLINE, self.seen.recv()).await.expect("something arrives at the Rust service").unwrap()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Whose tokens the library has tasks and pushes sent with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Account {
    /// That of the key in `GOOGLE_APPLICATION_CREDENTIALS`.
    OfKey,
    /// What the metadata server says, as on Cloud Run.
    OfMachine,
}

const KEY_ACCOUNT: &str = "worker@demo.iam.gserviceaccount.com";

async fn metadata(http: &reqwest::Client, address: &str, what: &str) -> String {
    let url = format!("http://{address}/computeMetadata/v1/{what}");
    http.get(url).header("Metadata-Flavor", "Google").send().await.unwrap().text().await.unwrap()
}

/// Masks the span in a `traceparent`: each step of a trace has its own.
fn masked(text: &str) -> String {
    let Some(at) = text.find(TRACE_ID).map(|at| at + TRACE_ID.len() + 1) else { return text.to_owned() };
    format!("{}*{}", &text[..at], &text[at + 16..])
}

/// A stored task or job without its name and times, with its body as text; the names of headers are in lower case, for they have none.
pub(super) fn plain(stored: &Value) -> Value {
    let target = if stored["httpRequest"].is_null() { &stored["httpTarget"] } else { &stored["httpRequest"] };
    let body = BASE64.decode(target["body"].as_str().unwrap_or_default()).unwrap();
    let headers: BTreeMap<String, &Value> =
        target["headers"].as_object().unwrap().iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    json!({
        "url": target["url"], "uri": target["uri"], "method": target["httpMethod"], "headers": headers, "token": target["oidcToken"],
        "body": String::from_utf8(body).unwrap(), "deadline": stored["dispatchDeadline"],
    })
}
