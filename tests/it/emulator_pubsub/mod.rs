//! Pub/Sub under the official Rust clients: JSON for administration and single pulls, gRPC for publishing and streams.
//!
//! Each test has an emulator of its own; `REDRIVE_CONFORMANCE_SERVER` (host:port) names another server for all of them.

mod admin;
mod delivery;
mod push;
mod seek;

use std::time::Duration;

use google_cloud_auth::credentials::{Credentials, anonymous};
use google_cloud_pubsub::client::{Publisher, Subscriber, SubscriptionAdmin, TopicAdmin};
use google_cloud_pubsub::model::{Message, Subscription};
use google_cloud_pubsub::subscriber::MessageStream;
use google_cloud_pubsub::subscriber::handler::Handler;
use google_cloud_wkt::Duration as PbDuration;
use redrive::emulator::Emulator;
use serde_json::{Value, json};

/// Nothing on one machine takes this long; what does has hung.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server, and the official clients on it.
struct Shop {
    address: String,
    _emulator: Option<Emulator>,
    topics: TopicAdmin,
    subscriptions: SubscriptionAdmin,
    http: reqwest::Client,
}

fn nobody() -> Credentials {
    anonymous::Builder::new().build()
}

/// The server that all tests share, if one is named.
fn elsewhere() -> Option<String> {
    std::env::var("REDRIVE_CONFORMANCE_SERVER").ok().filter(|address| !address.is_empty())
}

/// What an error said, for comparing with Google's words where those are known. No document has them: another server is not held to them.
fn words<'a>(said: &'a str, expected: &'a str) -> &'a str {
    if elsewhere().is_some() { expected } else { said }
}

/// The test's project: `shop`, or one of its own on a server that it shares with others.
fn project() -> String {
    if elsewhere().is_none() {
        return "projects/shop".to_owned();
    }
    let test = std::thread::current().name().unwrap_or_default().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    format!("projects/rust-{}-{test}", std::process::id())
}

fn topic(id: &str) -> String {
    format!("{}/topics/{id}", project())
}

fn subscription(id: &str) -> String {
    format!("{}/subscriptions/{id}", project())
}

fn seconds(seconds: i64) -> PbDuration {
    PbDuration::clamp(seconds, 0)
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("nothing happened in time")
}

impl Shop {
    async fn open() -> Self {
        let (address, emulator) = if let Some(address) = elsewhere() {
            (address, None)
        } else {
            let emulator = Emulator::builder().project("shop".parse().unwrap()).start().await.unwrap();
            (emulator.address().to_string(), Some(emulator))
        };
        let url = format!("http://{address}");
        let topics = TopicAdmin::builder().with_endpoint(&url).with_credentials(nobody()).build().await.unwrap();
        let subscriptions = SubscriptionAdmin::builder().with_endpoint(&url).with_credentials(nobody()).build().await.unwrap();
        Self { address, _emulator: emulator, topics, subscriptions, http: reqwest::Client::new() }
    }

    /// A shop with the topic `orders` and its subscription `billing`, set up as told.
    async fn with_billing(set: impl FnOnce(Subscription) -> Subscription) -> Self {
        let shop = Self::open().await;
        shop.add_topic("orders").await;
        shop.add_subscription("billing", "orders", set).await;
        shop
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    async fn add_topic(&self, id: &str) {
        let made = self.topics.create_topic().set_name(topic(id)).send().await.unwrap();
        assert_eq!(made.name, topic(id));
    }

    async fn add_subscription(&self, id: &str, of: &str, set: impl FnOnce(Subscription) -> Subscription) -> Subscription {
        let settings = set(Subscription::new().set_name(subscription(id)).set_topic(topic(of)));
        let made = self.subscriptions.create_subscription().with_request(settings).send().await.unwrap();
        assert_eq!((&made.name, &made.topic), (&subscription(id), &topic(of)));
        made
    }

    async fn publisher(&self, id: &str) -> Publisher {
        let builder = Publisher::builder(topic(id)).with_endpoint(self.url()).with_credentials(nobody());
        builder.build().await.unwrap()
    }

    async fn publish(&self, id: &str, messages: Vec<Message>) -> Vec<String> {
        let publisher = self.publisher(id).await;
        let sent: Vec<_> = messages.into_iter().map(|message| publisher.publish(message)).collect();
        let mut ids = Vec::new();
        for sent in sent {
            ids.push(in_time(sent).await.unwrap());
        }
        ids
    }

    async fn subscribe(&self, id: &str) -> MessageStream {
        let client = Subscriber::builder().with_endpoint(self.url()).with_credentials(nobody()).build().await.unwrap();
        client.subscribe(subscription(id)).build()
    }

    /// Calls a custom verb of a subscription over REST, and returns the answer.
    async fn call(&self, id: &str, verb: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/v1/{}:{verb}", self.url(), subscription(id));
        let response = in_time(self.http.post(url).json(&body).send()).await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// Pulls without waiting.
    async fn pull(&self, id: &str, max: u32) -> Vec<Value> {
        let (status, answer) = self.call(id, "pull", json!({"maxMessages": max, "returnImmediately": true})).await;
        assert_eq!(status, 200, "{answer}");
        answer.get("receivedMessages").and_then(Value::as_array).cloned().unwrap_or_default()
    }
}

async fn next(stream: &mut MessageStream) -> (Message, Handler) {
    in_time(stream.next()).await.expect("the stream ended").unwrap()
}

fn text(message: &Message) -> &str {
    std::str::from_utf8(&message.data).unwrap()
}

fn message(data: &str, attributes: &[(&str, &str)]) -> Message {
    Message::new().set_data(data.to_owned()).set_attributes(attributes.iter().copied())
}
