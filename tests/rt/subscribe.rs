//! Messages reach their subscribers: pushed, handed to tasks, once.

use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use redrive::runtime::{
    App, Builder, Compat, Content, Context, Failure, Idempotency, MemoryStore, Message, Outcome, Received, Subscriber, Subscription, Task,
    done,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::support::{Served, World, eventually};

/// What handlers saw.
struct Shop {
    log: Mutex<Vec<String>>,
    once: Idempotency<MemoryStore>,
}

impl Shop {
    fn new() -> Self {
        Self { log: Mutex::default(), once: Idempotency::new(MemoryStore::new(100)) }
    }
}

fn note(cx: &Context<Shop>, line: String) {
    cx.state().log.lock().unwrap().push(line);
}

#[derive(Serialize, Deserialize)]
struct OrderPlaced {
    order: u64,
}

impl Message for OrderPlaced {
    const TOPIC: &'static str = "orders";
}

#[derive(Serialize, Deserialize)]
struct Checkout {
    order: u64,
}

impl Task<Shop> for Checkout {
    const NAME: &'static str = "Checkout";

    async fn run(self, cx: Context<Shop>) -> Outcome {
        cx.app().publisher::<OrderPlaced>().publish(OrderPlaced { order: self.order }).attribute("kind", "order").await?;
        done()
    }
}

struct Billing;

impl Subscriber<Shop> for Billing {
    type Message = OrderPlaced;
    const NAME: &'static str = "Billing";

    fn subscription() -> Subscription {
        Subscription::to("orders").filter("attributes:kind").ack_deadline(Duration::from_secs(30)).addressed()
    }

    async fn run(message: Received<OrderPlaced>, cx: Context<Shop>) -> Outcome {
        let by = message.subscription().map(|name| name.id().to_owned()).unwrap_or_default();
        note(&cx, format!("{} {by} {}", message.order, cx.header("traceparent").unwrap_or("-")));
        done()
    }
}

/// A reading as its sensor writes it: two bytes.
struct Reading(u16);

impl Content for Reading {
    fn encode(&self) -> Result<Bytes, Failure> {
        Ok(Bytes::copy_from_slice(&self.0.to_be_bytes()))
    }

    fn decode(data: &[u8]) -> Result<Self, Failure> {
        Ok(Self(u16::from_be_bytes(data.try_into()?)))
    }
}

impl Message for Reading {
    const TOPIC: &'static str = "readings";
}

struct Gauge;

impl Subscriber<Shop> for Gauge {
    type Message = Reading;
    const NAME: &'static str = "Gauge";

    fn subscription() -> Subscription {
        Subscription::to("readings")
    }

    async fn run(reading: Received<Reading>, cx: Context<Shop>) -> Outcome {
        let value = reading.content.0;
        cx.state()
            .once
            .run(&cx, async {
                note(&cx, format!("reading {value}"));
                done()
            })
            .await
    }
}

struct Slow;

impl Subscriber<Shop> for Slow {
    type Message = String;
    const NAME: &'static str = "Slow";

    fn subscription() -> Subscription {
        Subscription::to("texts").via_tasks()
    }

    async fn run(text: Received<String>, cx: Context<Shop>) -> Outcome {
        note(&cx, format!("text {} {} {}", text.len(), text.id(), text.attribute("origin").unwrap_or("-")));
        done()
    }
}

/// Fails each time, and says which attempt that was.
struct Frail;

impl Subscriber<Shop> for Frail {
    type Message = String;
    const NAME: &'static str = "Frail";

    fn subscription() -> Subscription {
        Subscription::to("texts").via_tasks().retries(5).dead_letters("texts-dead")
    }

    async fn run(text: Received<String>, cx: Context<Shop>) -> Outcome {
        note(&cx, format!("{} {} {}", text.content, cx.attempt().number, cx.attempt().is_last()));
        Err("cannot".into())
    }
}

fn shop(world: &World, url: &str) -> Builder<Shop> {
    let app = world.app(Shop::new(), url).named("shop").unauthenticated();
    app.task::<Checkout>().subscriber::<Billing>().subscriber::<Gauge>().subscriber::<Slow>().subscriber::<Frail>()
}

async fn lines(app: &App<Shop>, count: usize) -> Vec<String> {
    eventually("lines in the log", async || Some(app.state().log.lock().unwrap().clone()).filter(|log| log.len() >= count)).await
}

/// Delivers a message as Pub/Sub does.
async fn push(served: &Served, subscriber: &str, id: &str, data: &[u8]) -> u16 {
    let message = json!({ "messageId": id, "message_id": id, "data": STANDARD.encode(data), "attributes": { "origin": "web" } });
    let body = json!({ "message": message, "subscription": format!("projects/shop/subscriptions/shop--{subscriber}") });
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    http.post(format!("{}/subscriptions/{subscriber}", served.url)).json(&body).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn what_is_published_is_pushed_to_its_subscriber_with_its_headers() {
    for compat in [Compat::Native, Compat::DjangoGoogleCloudTasks] {
        let world = World::start("").await;
        let (app, served) = Served::start(|url| shop(&world, url).compat(compat)).await;
        app.provision(false).await.unwrap();
        Checkout { order: 7 }.enqueue(&app).header("traceparent", "00-a-b-01").here().await.unwrap();
        assert_eq!(lines(&app, 1).await, ["7 shop--Billing 00-a-b-01"], "{compat:?}");
        // For another, by its filter not, and at last for everybody.
        let publish = |order| app.publisher::<OrderPlaced>().publish(OrderPlaced { order });
        publish(1).attribute("kind", "order").attribute("redrive-to", "shop--Mail").await.unwrap();
        publish(2).await.unwrap();
        publish(3).attribute("kind", "order").attribute("redrive-to", "shop--Billing").await.unwrap();
        assert_eq!(lines(&app, 2).await[1], "3 shop--Billing -");
        served.stop().await;
    }
}

#[tokio::test]
async fn a_message_for_another_subscription_is_acknowledged_without_work() {
    let world = World::start("").await;
    let (app, served) = Served::start(|url| shop(&world, url)).await;
    let to = |to: &str| json!({ "message": { "messageId": "1", "data": STANDARD.encode(r#"{"order":1}"#), "attributes": { "redrive-to": to } }, "subscription": "projects/shop/subscriptions/shop--Billing" });
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = async |body| http.post(format!("{}/subscriptions/Billing", served.url)).json(&body).send().await.unwrap().status().as_u16();
    assert_eq!(post(to("shop--Mail")).await, 204);
    assert!(app.state().log.lock().unwrap().is_empty());
    assert_eq!(post(to("shop--Billing")).await, 200);
    assert_eq!(lines(&app, 1).await.len(), 1);
    served.stop().await;
}

#[tokio::test]
async fn content_has_a_format_of_its_own_and_copies_of_one_message_are_worked_on_once() {
    let world = World::start("").await;
    let (app, served) = Served::start(|url| shop(&world, url)).await;
    app.provision(false).await.unwrap();
    let publish = |value, source: &str| app.publisher::<Reading>().publish(Reading(value)).attribute("redrive-source", source).send();
    for _ in 0..3 {
        publish(513, "projects/shop/subscriptions/held/messages/1").await.unwrap();
    }
    publish(7, "projects/shop/subscriptions/held/messages/2").await.unwrap();
    let mut seen = lines(&app, 2).await;
    seen.sort();
    assert_eq!(seen, ["reading 513", "reading 7"]);
    assert_eq!(push(&served, "Gauge", "9", b"three").await, 400, "that is no reading");
    assert_eq!(push(&served, "Gauge", "10", b"ab").await, 200);
    assert_eq!(push(&served, "Gauge", "10", b"ab").await, 200);
    assert_eq!(lines(&app, 3).await.len(), 3, "a message that is delivered twice is worked on once");
    served.stop().await;
}

#[tokio::test]
async fn work_handed_to_cloud_tasks_is_one_task_for_each_message() {
    let world = World::start("queues: [{ name: shop, paused: true }]").await;
    let (app, served) = Served::start(|url| shop(&world, url)).await;
    for _ in 0..2 {
        assert_eq!(push(&served, "Slow", "42", br#""hello""#).await, 200);
    }
    let mut waiting = world.tasks("shop").await;
    assert_eq!(waiting.len(), 1, "delivered twice, it is one task");
    assert!(app.state().log.lock().unwrap().is_empty());
    world.ops.resume_queue(&crate::support::queue_name("shop")).await.unwrap();
    assert_eq!(lines(&app, 1).await, ["text 5 42 web"]);
    assert_eq!(waiting.remove(0).request.url, format!("{}/tasks/redrive.message", served.url));

    // What is too large for a task is worked on at once.
    let long = format!("\"{}\"", "x".repeat(800 * 1024));
    assert_eq!(push(&served, "Slow", "43", long.as_bytes()).await, 200);
    assert_eq!(lines(&app, 2).await[1], format!("text {} 43 web", 800 * 1024));
    served.stop().await;
}

/// Messages without an envelope have no id: each is work of its own.
#[tokio::test]
async fn bare_messages_are_handed_over_one_by_one() {
    let world = World::start("queues: [{ name: shop, paused: true }]").await;
    let (_app, served) = Served::start(|url| shop(&world, url).unwrapped("Slow")).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for text in ["one", "two", "three"] {
        let sent = http.post(format!("{}/subscriptions/Slow", served.url)).body(format!("\"{text}\"")).send().await.unwrap();
        assert_eq!(sent.status().as_u16(), 200, "{text}");
    }
    assert_eq!(world.tasks("shop").await.len(), 3);
    served.stop().await;
}

/// Pub/Sub has its acknowledgement and counts no more: the runtime does.
#[tokio::test]
async fn what_was_handed_over_and_fails_too_often_is_a_dead_letter() {
    let seed = "topics: [{ name: shop--texts-dead }]\nsubscriptions: [{ name: held, topic: shop--texts-dead }]\nqueues: [{ name: shop }]";
    let world = World::start(seed).await;
    let (app, served) = Served::start(|url| shop(&world, url)).await;
    assert_eq!(push(&served, "Frail", "42", br#""hello""#).await, 200);
    let held = "projects/shop/subscriptions/held".parse().unwrap();
    let letter = eventually("the dead letter", async || world.cloud().pull(&held, 1, Duration::ZERO).await.unwrap().messages.pop()).await;
    let letter = letter.message;
    let from = letter.provenance().expect("it says where it is from");
    assert_eq!(from.subscription.unwrap().to_string(), "projects/shop/subscriptions/shop--Frail");
    assert_eq!((from.delivery_count, &letter.data[..]), (Some(5), &br#""hello""#[..]));
    assert_eq!(letter.attributes["origin"], "web");
    let attempts = [1, 2, 3, 4, 5].map(|attempt| format!("hello {attempt} {}", attempt == 5));
    assert_eq!(lines(&app, 5).await, attempts);
    eventually("the task is done", async || world.tasks("shop").await.is_empty().then_some(())).await;
    served.stop().await;
}

/// A dead letter that cannot be published is not lost: the task stays, and is tried again.
#[tokio::test]
async fn a_message_stays_a_task_until_its_dead_letter_is_published() {
    let world = World::start("queues: [{ name: shop }]").await;
    let (app, served) = Served::start(|url| shop(&world, url)).await;
    assert_eq!(push(&served, "Frail", "42", br#""hello""#).await, 200);
    lines(&app, 6).await;
    assert_eq!(world.tasks("shop").await.len(), 1, "without a topic it is nowhere else");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let made = http
        .put(format!("http://{}/v1/projects/shop/topics/shop--texts-dead", world.emulator.address()))
        .json(&json!({}))
        .send()
        .await
        .unwrap();
    assert!(made.status().is_success());
    eventually("the task is done", async || world.tasks("shop").await.is_empty().then_some(())).await;
    served.stop().await;
}

/// The limit of a subscriber holds also where its messages come by tasks.
#[tokio::test]
async fn what_was_handed_over_takes_a_place_of_its_subscriber() {
    let world = World::start("queues: [{ name: shop, paused: true }]").await;
    let (app, served) = Served::start(|url| shop(&world, url)).await;
    assert_eq!(push(&served, "Frail", "1", br#""a""#).await, 200);
    let before = app.metrics().handlers["subscriber Frail"].admitted;
    let stored = world.tasks("shop").await.remove(0);
    assert_eq!(stored.dispatch_deadline, Some(Duration::from_mins(30)));
    app.debug_task(&stored.name).await.unwrap();
    assert_eq!(app.metrics().handlers["subscriber Frail"].admitted, before + 1);
    served.stop().await;
}
