//! `django-gcp` 0.26.4 and a Rust service with [`Compat::DjangoGcp`], both with their endpoints below `/shop`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use redrive::runtime::events::{Event, PubsubMessage};
use redrive::runtime::{
    App, Builder, Compat, Context, Message, Origin, Outcome, Received, Subscriber, Subscription, Task, TaskOptions, done, done_with,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::scene::{Account, LOCATION, Scene, Shop, note, plain};

#[derive(Serialize, Deserialize, Clone)]
#[expect(clippy::struct_field_names, reason = "the names are those on the wire")]
struct Price {
    price: u32,
    quantity: u32,
    #[serde(default)]
    label: String,
}

impl Task<Shop> for Price {
    const NAME: &'static str = "Price";

    async fn run(self, cx: Context<Shop>) -> Outcome {
        note(&cx, Self::NAME, json!(self));
        done_with(json!({"total": self.price * self.quantity, "label": self.label}))
    }
}

/// Arguments in any order and of any kind: the name of a task is made of how they are written.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct MyDedup(Map<String, Value>);

impl Task<Shop> for MyDedup {
    const NAME: &'static str = "MyDedup";

    fn options() -> TaskOptions {
        TaskOptions::new().deduplicated()
    }

    async fn run(self, cx: Context<Shop>) -> Outcome {
        note(&cx, Self::NAME, self.0.into());
        done()
    }
}

#[derive(Serialize, Deserialize)]
struct Fails {}

impl Task<Shop> for Fails {
    const NAME: &'static str = "Fails";

    async fn run(self, _: Context<Shop>) -> Outcome {
        Err("secret cause")?
    }
}

#[derive(Serialize, Deserialize)]
struct Nightly {}

impl Task<Shop> for Nightly {
    const NAME: &'static str = "Nightly";

    async fn run(self, cx: Context<Shop>) -> Outcome {
        note(&cx, Self::NAME, Value::Null);
        done()
    }
}

#[derive(Serialize, Deserialize)]
struct Placed {
    order: u32,
    label: String,
}

impl Message for Placed {
    const TOPIC: &'static str = "placed";
}

struct OnPlaced;

impl Subscriber<Shop> for OnPlaced {
    type Message = Placed;
    const NAME: &'static str = "OnPlaced";

    fn subscription() -> Subscription {
        Subscription::to("placed")
    }

    async fn run(message: Received<Placed>, cx: Context<Shop>) -> Outcome {
        note(&cx, Self::NAME, json!({"data": message.content, "attributes": message.attributes()}));
        done()
    }
}

struct Uploaded;

impl Event<Shop> for Uploaded {
    const KIND: &'static str = "uploaded";
    type Body = PubsubMessage;

    async fn run(message: PubsubMessage, cx: Context<Shop>) -> Outcome {
        let mut said: Value = message.decoded()?;
        said["attributes"] = json!(message.info.attributes);
        note(&cx, Self::KIND, said);
        done()
    }
}

fn configure(app: Builder<Shop>) -> Builder<Shop> {
    app.named("shop")
        .compat(Compat::DjangoGcp)
        .mount("/shop")
        .queue(&"shop-queue".parse().unwrap())
        .task::<Price>()
        .task::<MyDedup>()
        .task::<Fails>()
        .periodic::<Nightly>("0 3 * * *", "Europe/London")
        .event::<Uploaded>()
        .subscriber::<OnPlaced>()
}

#[tokio::test]
async fn tasks_messages_and_events_go_both_ways() {
    let Some(mut scene) = Scene::start("django_b", Account::OfKey, configure).await else { return };
    scene.queue("shop-queue").await;
    stored_tasks_are_the_same(&scene).await;
    names_of_duplicates_are_the_same(&scene).await;
    django_is_served(&mut scene).await;
    rust_is_served(&scene).await;
    answers_are_the_same(&scene).await;
    messages_reach_rust(&mut scene).await;
    messages_reach_django(&scene).await;
    events_go_both_ways(&mut scene).await;
    messages_for_tests_are_read(&scene).await;
    jobs_run_in_rust(&mut scene).await;
}

/// What the library stores, and what this crate does: the same request, to the byte.
async fn stored_tasks_are_the_same(scene: &Scene) {
    let price = Price { price: 3, quantity: 4, label: "é \"\u{1f600}".to_owned() };
    let id = scene.django.act("enqueue", json!({"task": "Price", "kwargs": price})).await;
    let task = price.asap(&scene.worker).await.unwrap();
    let stored = scene.stored("shop-queue").await;
    let theirs = &stored[id.as_str().unwrap()];
    assert_eq!(theirs, &stored[&task.id]);
    assert_eq!(theirs["body"], r#"{"price": 3, "quantity": 4, "label": "\u00e9 \"\ud83d\ude00"}"#);
    assert_eq!(theirs["token"]["audience"], format!("{}/shop/tasks/Price", scene.rust_url));
}

/// Whoever is second with the same arguments is refused, on either side.
async fn names_of_duplicates_are_the_same(scene: &Scene) {
    let arguments = [
        json!({}),
        json!({"a": 1}),
        json!({"b": [1, 2.5, 1e22, 1e-7, -0.0, null, true], "a": {"nested": {}}}),
        json!({"text": "é \u{1f600} \u{7f} \n \" \\ /", "empty": []}),
        json!({"large": u64::MAX, "small": i64::MIN}),
    ];
    for (number, arguments) in arguments.into_iter().enumerate() {
        let named = |arguments: &Value| MyDedup(arguments.as_object().unwrap().clone());
        let django = scene.django.act("enqueue", json!({"task": "MyDedup", "kwargs": arguments})).await;
        assert!(django.as_str().unwrap().ends_with("--mydedup--shop"), "{django}");
        let error = named(&arguments).asap(&scene.worker).await.expect_err(&format!("{number}: has another name here: {arguments}"));
        assert!(error.is_already_exists(), "{error}");
        let mut other = arguments.clone();
        other["other"] = number.into();
        let ours = named(&other).asap(&scene.worker).await.unwrap();
        assert_eq!(scene.django.act("enqueue", json!({"task": "MyDedup", "kwargs": other})).await, "DuplicateTaskError", "{}", ours.id);
    }
    assert_eq!(scene.stored("shop-queue").await.keys().filter(|id| id.ends_with("--mydedup--shop")).count(), 10);
}

/// What Django enqueued is worked off by the Rust service.
async fn django_is_served(scene: &mut Scene) {
    scene.pause("shop-queue", false).await;
    let mut prices = 0;
    for _ in 0..12 {
        let seen = scene.next().await;
        if seen.what == "Price" {
            prices += 1;
            assert_eq!(seen.said, json!({"price": 3, "quantity": 4, "label": "é \"\u{1f600}"}));
        }
    }
    assert_eq!(prices, 2);
    let id = scene.django.act("later", json!({"task": "Price", "kwargs": {"price": 5, "quantity": 1}, "seconds": 3600})).await;
    assert!(scene.stored("shop-queue").await.contains_key(id.as_str().unwrap()));
    scene.emulator.advance(std::time::Duration::from_secs(3601)).await.unwrap();
    assert_eq!(scene.next().await.said, json!({"price": 5, "quantity": 1, "label": ""}));
}

/// What Rust enqueues is worked off by Django.
async fn rust_is_served(scene: &Scene) {
    let before = scene.django.received("Price", 0).await.len();
    Price { price: 7, quantity: 2, label: "ü".to_owned() }.asap(&scene.sender).await.unwrap();
    let call = scene.django.received("Price", before + 1).await.pop().unwrap();
    assert_eq!(call["said"], json!({"price": 7, "quantity": 2, "label": "ü"}));
}

/// The same request to both gets the same answer, but for what tells strangers more than they need.
async fn answers_are_the_same(scene: &Scene) {
    let [theirs, ours] = scene.both("/shop/tasks/Price", r#"{"price": 3, "quantity": 4, "label": "\u00e9"}"#, true).await;
    assert_eq!((theirs.0, &theirs), (200, &ours));
    for (task, body, status) in [("Nobody", "{}", 404), ("Price", "{", 400), ("Fails", "{}", 500)] {
        let [theirs, ours] = scene.both(&format!("/shop/tasks/{task}"), body, true).await;
        assert_eq!((theirs.0, ours.0), (status, status), "{task} {body}: {ours:?}");
        assert!(serde_json::from_str::<Value>(&ours.1).unwrap()["error"].is_string(), "{ours:?}");
        assert!(!ours.1.contains("secret") && !ours.1.contains("available_tasks"), "{ours:?}");
    }
}

/// The library's own command subscribes the Rust service, and its publisher reaches it.
async fn messages_reach_rust(scene: &mut Scene) {
    assert_eq!(scene.django.act("set_up", json!({})).await, json!({"jobs": ["shop--nightly"], "subscriptions": ["OnPlaced"]}));
    let subscription = scene.get("v1/projects/demo/subscriptions/shop--placed--onplaced").await;
    assert_eq!(subscription["topic"], "projects/demo/topics/placed");
    let url = format!("{}/shop/subscriber-tasks/OnPlaced", scene.rust_url);
    assert_eq!(
        (&subscription["pushConfig"]["pushEndpoint"], &subscription["pushConfig"]["oidcToken"]["audience"]),
        (&json!(url), &json!(url))
    );
    let message = json!({"data": {"order": 8, "label": "é"}, "attributes": {"kind": "order"}});
    scene.django.act("publish", message.clone()).await;
    let seen = scene.next_of("OnPlaced").await;
    assert_eq!(seen.said, message);
    let Origin::Message(info) = &seen.origin else { panic!("{seen:?}") };
    assert_eq!(info.subscription.as_ref().map(ToString::to_string).as_deref(), Some("projects/demo/subscriptions/shop--placed--onplaced"));
}

/// What both publish is the same to the byte, and what Rust publishes reaches Django's subscriber.
async fn messages_reach_django(scene: &Scene) {
    scene.hold("placed").await;
    scene.push_to_django("placed", "placed-of-django", "/shop/subscriber-tasks/OnPlaced").await;
    scene.django.act("publish", json!({"data": {"order": 9, "label": "é"}, "attributes": {"kind": "order"}})).await;
    let publish = scene.sender.publisher::<Placed>().publish(Placed { order: 9, label: "é".to_owned() }).attribute("kind", "order");
    let id = publish.await.unwrap();
    let [theirs, ours] = scene.held("placed").await;
    assert_eq!((&theirs.0, &theirs), (&r#"{"order": 9, "label": "\u00e9"}"#.to_owned(), &ours));
    let calls = scene.django.received("OnPlaced", 2).await;
    assert!(
        calls.iter().all(|call| call["said"] == json!({"data": {"order": 9, "label": "é"}, "attributes": {"kind": "order"}})),
        "{calls:?}"
    );
    let call = calls.iter().find(|call| call["id"] == id).unwrap();
    assert_eq!((&call["subscription"], &call["key"]), (&json!("projects/demo/subscriptions/placed-of-django"), &Value::Null));
}

/// The job that the library's command makes runs the Rust task of its name.
async fn jobs_run_in_rust(scene: &mut Scene) {
    let name = format!("v1/{LOCATION}/jobs/shop--nightly");
    let theirs = scene.get(&name).await;
    assert_eq!((&theirs["schedule"], &theirs["attemptDeadline"]), (&json!("0 3 * * *"), &json!("1800s")));
    assert_eq!(plain(&theirs)["uri"], format!("{}/shop/tasks/Nightly", scene.rust_url));
    scene.ask(reqwest::Method::POST, &format!("{name}:run"), json!({})).await;
    let seen = scene.next_of("Nightly").await;
    let Origin::Task(task) = &seen.origin else { panic!("{seen:?}") };
    assert_eq!(task.job.as_ref().and_then(|job| job.name.as_deref()), Some("shop--nightly"));
    scene.provisioned_alike("shop--nightly", "shop--placed--onplaced").await;
}

/// A message that is pushed to the endpoint for events, by a URL of either's making, with parameters.
async fn events_go_both_ways(scene: &mut Scene) {
    let parameters = json!({"token": "a b&c=é/+%", "size": "7"});
    let about = json!({"kind": "uploaded", "reference": "file-7", "parameters": parameters});
    let their_url = scene.django.act("event_url", about).await.as_str().unwrap().to_owned();
    let url = |app: &App<Shop>| app.event_url("uploaded", "file-7").parameter("token", "a b&c=é/+%").parameter("size", 7).build().unwrap();
    let (before, _) = their_url.split_once('?').unwrap();
    assert!(url(&scene.worker).starts_with(before), "{their_url} {}", url(&scene.worker));
    scene.ask(reqwest::Method::PUT, "v1/projects/demo/topics/uploads", json!({})).await;
    scene.push("uploads", "to-rust", &their_url, before).await;
    scene.push("uploads", "to-rust-by-us", &url(&scene.worker), before).await;
    scene.push("uploads", "to-django", &url(&scene.sender), "https://example.com").await;
    let message = json!({"data": BASE64.encode(r#"{"name": "é"}"#), "attributes": {"kind": "image"}});
    scene.ask(reqwest::Method::POST, "v1/projects/demo/topics/uploads:publish", json!({"messages": [message]})).await;
    for _ in 0..2 {
        let seen = scene.next_of("uploaded").await;
        assert_eq!(seen.said, json!({"name": "é", "attributes": {"kind": "image"}}));
        let Origin::Event(info) = &seen.origin else { panic!("{seen:?}") };
        assert_eq!((info.reference.as_str(), json!(info.parameters)), ("file-7", parameters.clone()));
    }
    let call = scene.django.received("event", 1).await.pop().unwrap();
    assert_eq!((&call["kind"], &call["reference"], &call["parameters"]), (&json!("uploaded"), &json!("file-7"), &parameters));
    assert_eq!(call["payload"]["message"]["attributes"], json!({"kind": "image"}));
    let body = json!({"message": message, "subscription": "projects/demo/subscriptions/of-a-test"}).to_string();
    let [theirs, ours] = scene.both("/shop/events/uploaded/file-7", &body, true).await;
    assert_eq!((theirs.0, &theirs), (201, &ours));
}

/// Each reads the messages that the other makes for tests.
async fn messages_for_tests_are_read(scene: &Scene) {
    let subscription = "projects/demo/subscriptions/of-a-test";
    let said = json!({"data": {"a": 1}, "subscription": subscription, "attributes": {"k": "v"}, "message_id": "m-1", "ordering_key": "o"});
    let theirs = PubsubMessage::decode(scene.django.act("message", said).await.to_string().as_bytes()).unwrap();
    let ours = PubsubMessage::json(&json!({"a": 1})).unwrap().attribute("k", "v").id("m-1").ordering_key("o");
    let ours = ours.subscription(subscription.parse().unwrap());
    assert_eq!(theirs.decoded::<Value>().unwrap(), json!({"a": 1}));
    assert_eq!(theirs.info, ours.info);
    for (message, data) in
        [(ours, json!({"a": 1})), (PubsubMessage::new("text").subscription(subscription.parse().unwrap()), json!("text"))]
    {
        let envelope: Value = serde_json::from_slice(&message.envelope()).unwrap();
        let read = scene.django.act("decode", json!({"body": envelope})).await;
        assert_eq!((&read["data"], &read["subscription"]), (&data, &json!(subscription)));
        assert_eq!(read["message_id"].as_str().unwrap_or_default(), message.info.id);
    }
}
