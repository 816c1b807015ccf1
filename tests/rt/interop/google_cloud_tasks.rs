//! `django-google-cloud-tasks` 2.21 and a Rust service with [`Compat::DjangoGoogleCloudTasks`].

use std::borrow::Cow;
use std::collections::BTreeMap;

use redrive::runtime::{
    Builder, Compat, Context, Entity, Message, Origin, Outcome, Received, Subscriber, Subscription, Task, TaskOptions, discard, done,
    done_with,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::scene::{Account, LOCATION, Scene, Shop, TRACE, TRACE_ID, note, plain};
use crate::support::eventually;

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

#[derive(Serialize, Deserialize)]
struct OnlyOne {}

impl Task<Shop> for OnlyOne {
    const NAME: &'static str = "OnlyOne";

    fn options() -> TaskOptions {
        TaskOptions::new().only_once()
    }

    async fn run(self, cx: Context<Shop>) -> Outcome {
        note(&cx, Self::NAME, Value::Null);
        done()
    }
}

#[derive(Serialize, Deserialize)]
struct Discards {}

impl Task<Shop> for Discards {
    const NAME: &'static str = "Discards";

    async fn run(self, _: Context<Shop>) -> Outcome {
        discard("never")
    }
}

#[derive(Serialize, Deserialize)]
struct Fails {}

impl Task<Shop> for Fails {
    const NAME: &'static str = "Fails";

    async fn run(self, _: Context<Shop>) -> Outcome {
        Err("broken")?
    }
}

/// Enqueues another task, from within its work: what came with it goes on with that.
#[derive(Serialize, Deserialize)]
struct Passes {
    price: u32,
    /// Whether the message goes by way of Cloud Tasks.
    #[serde(default)]
    later: bool,
}

impl Task<Shop> for Passes {
    const NAME: &'static str = "Passes";

    async fn run(self, cx: Context<Shop>) -> Outcome {
        Price { price: self.price, quantity: 1, label: "passed".to_owned() }.asap(cx.app()).await?;
        let placed = cx.app().publisher::<Placed>().publish(Placed { order: self.price }).attribute("kind", "passed");
        if self.later {
            placed.asap().await?;
        } else {
            placed.await?;
        }
        done()
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
}

impl Message for Placed {
    const TOPIC: &'static str = "Placed";
}

struct Order(u32);

impl Entity for Order {
    type Content = Placed;
    const PUBLISHER: &'static str = "OrderSaved";

    fn topic(&self) -> Cow<'_, str> {
        "sales-order".into()
    }

    fn content(&self) -> Placed {
        Placed { order: self.0 }
    }

    fn attributes(&self) -> BTreeMap<String, String> {
        [("kind".to_owned(), "saved".to_owned())].into()
    }
}

struct Billing;

impl Subscriber<Shop> for Billing {
    type Message = Placed;
    const NAME: &'static str = "Billing";

    fn subscription() -> Subscription {
        Subscription::to("Placed")
    }

    async fn run(message: Received<Placed>, cx: Context<Shop>) -> Outcome {
        note(&cx, Self::NAME, json!({"content": message.content, "attributes": message.attributes()}));
        done()
    }
}

fn configure(app: Builder<Shop>) -> Builder<Shop> {
    app.named("shop")
        .compat(Compat::DjangoGoogleCloudTasks)
        .propagates("X-Tenant")
        .task::<Price>()
        .task::<OnlyOne>()
        .task::<Discards>()
        .task::<Fails>()
        .task::<Passes>()
        .periodic::<Nightly>("0 3 * * *", "")
        .subscriber::<Billing>()
        .publishes::<Placed>()
        .publishes_records::<Order>()
        .publishes_by_tasks()
}

#[tokio::test]
async fn tasks_and_messages_go_both_ways() {
    let Some(mut scene) = Scene::start("django_a", Account::OfKey, configure).await else { return };
    scene.queue("shop").await;
    stored_tasks_are_the_same(&scene).await;
    django_is_served(&mut scene).await;
    rust_is_served(&mut scene).await;
    answers_are_the_same(&scene).await;
    messages_reach_rust(&mut scene).await;
    what_work_passes_on_reaches_django(&scene).await;
    records_are_published_the_same(&scene).await;
    messages_by_tasks_go_both_ways(&scene).await;
    jobs_run_in_rust(&mut scene).await;
}

/// What the library stores, and what this crate does: the same request, to the byte.
async fn stored_tasks_are_the_same(scene: &Scene) {
    let price = Price { price: 3, quantity: 4, label: "é \"\u{1f600}".to_owned() };
    let context = [("traceparent", TRACE), ("x-tenant", "t-1")];
    let id = scene.django.act_with("enqueue", json!({"task": "Price", "kwargs": price}), &context).await;
    let task = price.enqueue(&scene.worker).header("traceparent", TRACE).header("x-tenant", "t-1").send().await.unwrap();
    let stored = scene.stored("shop").await;
    let theirs = &stored[id.as_str().unwrap()];
    assert_eq!(theirs, &stored[&task.id]);
    assert_eq!(theirs["body"], r#"{"price": 3, "quantity": 4, "label": "\u00e9 \"\ud83d\ude00"}"#);
    assert_eq!((&theirs["headers"]["traceparent"], &theirs["headers"]["x-tenant"]), (&json!(TRACE), &json!("t-1")));
    assert_eq!(theirs["token"]["audience"], format!("{}/tasks/Price", scene.rust_url));

    // One of its type, whoever was first.
    assert_eq!(scene.django.act("enqueue_once", json!({"task": "OnlyOne"})).await, "AlreadyExists");
    assert!(OnlyOne {}.asap(&scene.worker).await.unwrap_err().is_already_exists());
    let theirs = scene.stored("shop").await["OnlyOne"].clone();
    scene.ask(reqwest::Method::POST, &format!("v2/{LOCATION}/queues"), json!({"name": format!("{LOCATION}/queues/ours")})).await;
    scene.pause("ours", true).await;
    OnlyOne {}.enqueue(&scene.worker).queue("ours".parse().unwrap()).send().await.unwrap();
    assert_eq!(scene.stored("ours").await["OnlyOne"], theirs);
}

/// What Django enqueued is worked off by the Rust service.
async fn django_is_served(scene: &mut Scene) {
    scene.pause("shop", false).await;
    let mut seen = [scene.next().await, scene.next().await, scene.next().await];
    seen.sort_by_key(|seen| seen.what);
    assert_eq!(seen.iter().map(|seen| seen.what).collect::<Vec<_>>(), ["OnlyOne", "Price", "Price"]);
    for price in &seen[1..] {
        assert_eq!(price.said, json!({"price": 3, "quantity": 4, "label": "é \"\u{1f600}"}));
        assert_eq!((price.headers["traceparent"].contains(TRACE_ID), price.headers["x-tenant"].as_str()), (true, "t-1"));
        let Origin::Task(task) = &price.origin else { panic!("{price:?}") };
        assert_eq!(task.queue.as_ref().map(ToString::to_string), Some(format!("{LOCATION}/queues/shop")));
    }
    eventually("the queue is empty", async || scene.stored("shop").await.is_empty().then_some(())).await;
    scene.pause("shop", true).await;
    let id = scene.django.act("later", json!({"task": "Price", "kwargs": {"price": 5, "quantity": 1}, "seconds": 3600})).await;
    let name = format!("{LOCATION}/queues/shop/tasks/{}", id.as_str().unwrap()).parse().unwrap();
    // The library runs and discards stored tasks in its own process, and so does this crate: of each other's, too.
    assert_eq!(scene.worker.debug_task(&name).await.unwrap().result, json!({"total": 5, "label": ""}));
    assert_eq!(scene.next().await.said, json!({"price": 5, "quantity": 1, "label": ""}));
    assert_eq!(scene.django.act("debug", json!({"task": "Price", "id": id})).await, json!({"total": 5, "label": ""}));
    assert_eq!(scene.worker.discard_tasks::<Price>(0).await.unwrap().deleted, [name]);
    Price { price: 6, quantity: 1, label: String::new() }.asap(&scene.worker).await.unwrap();
    assert_eq!(scene.django.act("discard", json!({"task": "Price"})).await, 1);
    assert!(scene.stored("shop").await.is_empty());
    scene.pause("shop", false).await;
}

/// What Rust enqueues is worked off by Django, with its metadata and headers.
async fn rust_is_served(scene: &mut Scene) {
    let before = scene.django.received("Price", 0).await.len();
    let price = Price { price: 7, quantity: 2, label: "ü".to_owned() };
    let task = price.enqueue(&scene.sender).header("traceparent", TRACE).header("x-tenant", "t-2").send().await.unwrap();
    let call = scene.django.received("Price", before + 1).await.pop().unwrap();
    assert_eq!(call["said"], json!({"price": 7, "quantity": 2, "label": "ü"}));
    assert_eq!(
        (call["task"].as_str(), call["queue"].as_str(), call["first"].as_bool()),
        (Some(task.id.as_str()), Some("shop"), Some(true))
    );
    assert_eq!(call["headers"], json!({"traceparent": TRACE, "x-tenant": "t-2"}));
}

/// The same request to both gets the same answer.
async fn answers_are_the_same(scene: &Scene) {
    let bodies = [("Price", r#"{"price": 3, "quantity": 4, "label": "\u00e9"}"#, 200), ("Discards", "{}", 202), ("Nobody", "{}", 404)];
    for (task, body, status) in bodies {
        let [theirs, ours] = scene.both(&format!("/tasks/{task}"), body, true).await;
        assert_eq!((theirs.0, &theirs), (status, &ours), "{task}");
    }
    let [theirs, ours] = scene.both("/tasks/Fails", "{}", true).await;
    assert_eq!((theirs.0, ours.0), (500, 500));
    assert!(!ours.1.contains("broken"));
    assert_eq!(scene.django.post("/subscriptions/Nobody", "{}", None).await.0, 500, "the library reads the message first");
}

/// The library's own command subscribes the Rust service, and its publishers reach it.
async fn messages_reach_rust(scene: &mut Scene) {
    assert_eq!(scene.django.act("set_up", json!({})).await, json!({"jobs": ["Nightly"], "subscriptions": ["Billing"]}));
    let subscription = scene.get("v1/projects/demo/subscriptions/shop--Billing").await;
    assert_eq!(subscription["topic"], "projects/demo/topics/shop--Placed");
    let url = format!("{}/subscriptions/Billing", scene.rust_url);
    assert_eq!(
        (&subscription["pushConfig"]["pushEndpoint"], &subscription["pushConfig"]["oidcToken"]["audience"]),
        (&json!(url), &json!(url))
    );
    let context = [("traceparent", TRACE), ("x-tenant", "t-3")];
    scene.django.act_with("publish", json!({"message": {"order": 8}, "attributes": {"kind": "order"}}), &context).await;
    let seen = scene.next_of("Billing").await;
    assert_eq!(seen.said, json!({"content": {"order": 8}, "attributes": {"kind": "order"}}));
    assert_eq!((seen.headers["traceparent"].contains(TRACE_ID), seen.headers["x-tenant"].as_str()), (true, "t-3"));
    let Origin::Message(info) = &seen.origin else { panic!("{seen:?}") };
    assert_eq!(info.subscription.as_ref().map(ToString::to_string).as_deref(), Some("projects/demo/subscriptions/shop--Billing"));
}

/// What both publish is the same to the byte; what is enqueued and published from within work has its headers, and reaches Django.
async fn what_work_passes_on_reaches_django(scene: &Scene) {
    scene.hold("shop--Placed").await;
    scene.push_to_django("shop--Placed", "placed-of-django", "/subscriptions/Billing").await;
    let prices = scene.django.received("Price", 0).await.len();
    let context = [("traceparent", TRACE), ("x-tenant", "t-4")];
    let theirs = json!({"message": {"order": 9}, "attributes": {"kind": "passed"}});
    scene.django.act_with("publish", theirs, &context).await;
    let passes = Passes { price: 9, later: false }.enqueue(&scene.sender).header("traceparent", TRACE).header("x-tenant", "t-4");
    passes.here().await.unwrap();
    let [theirs, ours] = scene.held("shop--Placed").await;
    assert_eq!(theirs, ours);
    assert_eq!(theirs.0, format!(r#"{{"order": 9, "_http_headers": {{"Traceparent": "00-{TRACE_ID}-*-01", "X-Tenant": "t-4"}}}}"#));
    for call in scene.django.received("Billing", 2).await {
        assert_eq!((&call["said"]["content"]["order"], &call["said"]["attributes"]), (&json!(9), &json!({"kind": "passed"})));
        assert!(call["headers"]["traceparent"].as_str().unwrap().contains(TRACE_ID), "{call}");
        assert_eq!(call["headers"]["x-tenant"], "t-4");
    }
    let call = scene.django.received("Price", prices + 1).await.pop().unwrap();
    assert_eq!(call["said"], json!({"price": 9, "quantity": 1, "label": "passed"}));
    assert!(call["headers"]["traceparent"].as_str().unwrap().contains(TRACE_ID), "{call}");
    assert_eq!(call["headers"]["x-tenant"], "t-4");
}

/// A record is published to the same topic, as the same content with the same attributes.
async fn records_are_published_the_same(scene: &Scene) {
    scene.django.act("save", json!({"order": 11})).await;
    scene.hold("shop--sales-order").await;
    scene.django.act("save", json!({"order": 12})).await;
    scene.sender.publish_entity(&Order(12)).await.unwrap();
    let [theirs, ours] = scene.held("shop--sales-order").await;
    assert_eq!(theirs, (r#"{"order": 12}"#.to_owned(), json!({"kind": "saved"})));
    assert_eq!(theirs, ours);
}

/// Messages by way of Cloud Tasks: both store the same task, and each does the other's.
async fn messages_by_tasks_go_both_ways(scene: &Scene) {
    // What Django stored is done by Rust, and what Rust stored for itself, too: the messages are the same.
    scene.pause("shop", true).await;
    let id = scene.django.act("publish_asap", json!({"message": {"order": 21}, "attributes": {"kind": "later"}})).await;
    let ours = scene.worker.publisher::<Placed>().publish(Placed { order: 21 }).attribute("kind", "later").asap().await.unwrap();
    let bare = scene.django.act("publish_asap", json!({"message": {"order": 22}, "attributes": null})).await;
    let our_bare = scene.worker.publisher::<Placed>().publish(Placed { order: 22 }).asap().await.unwrap();
    let saved = scene.django.act("save_asap", json!({"order": 23})).await;
    let our_saved = scene.worker.publish_entity(&Order(23)).asap().await.unwrap();
    let stored = scene.stored("shop").await;
    for (theirs, ours) in [(&id, &ours), (&bare, &our_bare), (&saved, &our_saved)] {
        assert_eq!(stored[theirs.as_str().unwrap()], stored[&ours.id]);
    }
    assert_eq!(stored[&ours.id]["body"], r#"{"message": {"order": 21}, "attributes": {"kind": "later"}}"#);
    assert_eq!(stored[&our_bare.id]["body"], r#"{"message": {"order": 22}, "attributes": null}"#);
    let record = r#"{"message": {"order": 23}, "attributes": {"kind": "saved"}, "topic_name": "shop--sales-order"}"#;
    assert_eq!(
        (&stored[&our_saved.id]["body"], &stored[&our_saved.id]["url"]),
        (&json!(record), &json!(format!("{}/tasks/OrderSaved", scene.rust_url)))
    );
    scene.pause("shop", false).await;
    assert_eq!(scene.held("shop--sales-order").await, [(); 2].map(|()| (r#"{"order": 23}"#.to_owned(), json!({"kind": "saved"}))));
    let mut messages = [scene.held("shop--Placed").await, scene.held("shop--Placed").await].concat();
    messages.sort_by_key(|(data, _)| data.clone());
    let (later, bare) = ((r#"{"order": 21}"#.to_owned(), json!({"kind": "later"})), (r#"{"order": 22}"#.to_owned(), Value::Null));
    assert_eq!(messages, [later.clone(), later, bare.clone(), bare]);

    // What Rust stored for Django is done there, with its headers; beside it what Django publishes itself.
    let context = [("traceparent", TRACE), ("x-tenant", "t-5")];
    scene.django.act_with("publish", json!({"message": {"order": 24}, "attributes": {"kind": "passed"}}), &context).await;
    let passes = Passes { price: 24, later: true }.enqueue(&scene.sender).header("traceparent", TRACE).header("x-tenant", "t-5");
    passes.here().await.unwrap();
    let [theirs, ours] = scene.held("shop--Placed").await;
    assert_eq!(theirs, ours);
    assert!(ours.0.starts_with(r#"{"order": 24, "_http_headers": {"#), "{ours:?}");
    scene.sender.publish_entity(&Order(25)).asap().await.unwrap();
    scene.django.act("save", json!({"order": 25})).await;
    let [theirs, ours] = scene.held("shop--sales-order").await;
    assert_eq!((&theirs, theirs.0.as_str()), (&ours, r#"{"order": 25}"#));
}

/// The job that the library's command makes runs the Rust task of its name, and this crate's provisioning makes the same.
async fn jobs_run_in_rust(scene: &mut Scene) {
    let name = format!("v1/{LOCATION}/jobs/shop--Nightly");
    let theirs = scene.get(&name).await;
    assert_eq!(
        (&theirs["schedule"], &theirs["timeZone"], &theirs["attemptDeadline"]),
        (&json!("0 3 * * *"), &json!("Etc/UTC"), &json!("1800s"))
    );
    assert_eq!(plain(&theirs)["uri"], format!("{}/tasks/Nightly", scene.rust_url));
    scene.ask(reqwest::Method::POST, &format!("{name}:run"), json!({})).await;
    let seen = scene.next_of("Nightly").await;
    let Origin::Task(task) = &seen.origin else { panic!("{seen:?}") };
    assert_eq!(task.job.as_ref().and_then(|job| job.name.as_deref()), Some("shop--Nightly"));
    scene.provisioned_alike("shop--Nightly", "shop--Billing").await;
}
