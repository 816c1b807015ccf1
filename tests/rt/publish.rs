//! Messages are published, later, after a commit, or not at all.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use redrive::cloud::Pulled;
use redrive::emulator::Fault;
use redrive::error::Kind;
use redrive::runtime::{Builder, Compat, Context, Entity, Message, Mode, Outcome, Received, Subscriber, Subscription, Task, done};
use serde::{Deserialize, Serialize};

use crate::support::World;

const URL: &str = "http://127.0.0.1:9";
const SEED: &str = "topics: [{ name: shop--orders }, { name: shop--customers-fr }, { name: shop--customers-de }]
subscriptions: [{ name: held, topic: shop--orders, ordered: true }, { name: to-fr, topic: shop--customers-fr }, { name: to-de, topic: shop--customers-de }]
queues: [{ name: shop, paused: true }]";

type Log = Mutex<Vec<String>>;

#[derive(Serialize, Deserialize)]
struct OrderPlaced {
    order: u64,
}

impl Message for OrderPlaced {
    const TOPIC: &'static str = "orders";

    fn attributes(&self) -> BTreeMap<String, String> {
        [("kind".to_owned(), "order".to_owned())].into()
    }
}

/// Publishes from within a handler, where headers are propagated.
#[derive(Serialize, Deserialize)]
struct Checkout;

impl Task<Log> for Checkout {
    const NAME: &'static str = "Checkout";

    async fn run(self, cx: Context<Log>) -> Outcome {
        cx.app().publisher::<OrderPlaced>().publish(OrderPlaced { order: 1 }).await?;
        done()
    }
}

struct Customer {
    country: &'static str,
}

#[derive(Serialize, Deserialize)]
struct Published {
    country: String,
}

impl Entity for Customer {
    type Content = Published;

    fn topic(&self) -> Cow<'_, str> {
        format!("customers-{}", self.country).into()
    }

    fn content(&self) -> Published {
        Published { country: self.country.to_owned() }
    }

    fn ordering_key(&self) -> String {
        self.country.to_owned()
    }
}

struct Billing;

impl Subscriber<Log> for Billing {
    type Message = OrderPlaced;
    const NAME: &'static str = "Billing";

    fn subscription() -> Subscription {
        Subscription::to("orders").filter(r#"attributes.kind = "order""#)
    }

    async fn run(message: Received<OrderPlaced>, cx: Context<Log>) -> Outcome {
        cx.state().lock().unwrap().push(format!("billed {}", message.order));
        done()
    }
}

fn shop(world: &World) -> Builder<Log> {
    world.app(Log::default(), URL).named("shop").task::<Checkout>().subscriber::<Billing>()
}

async fn pull(world: &World, subscription: &str) -> Pulled {
    let name = format!("projects/shop/subscriptions/{subscription}").parse().unwrap();
    let pulled = world.cloud().pull(&name, 100, Duration::ZERO).await.unwrap();
    let ids: Vec<String> = pulled.messages.iter().map(|received| received.ack_id.clone()).collect();
    world.cloud().acknowledge(&name, &ids).await.unwrap();
    pulled
}

#[tokio::test]
async fn a_message_arrives_as_it_was_published() {
    let world = World::start(SEED).await;
    let app = shop(&world).build().unwrap();
    let publisher = app.publisher::<OrderPlaced>();
    assert_eq!(publisher.topic().unwrap().to_string(), "projects/shop/topics/shop--orders");
    let id = publisher.publish(OrderPlaced { order: 7 }).attribute("origin", "web").ordering_key("ada").await.unwrap();
    let message = pull(&world, "held").await.messages.remove(0).message;
    assert_eq!((message.id, &message.data[..], message.ordering_key.as_str()), (id, &br#"{"order":7}"#[..], "ada"));
    let expected = [("kind", "order"), ("origin", "web")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(message.attributes, BTreeMap::from(expected));

    app.publish_entity(&Customer { country: "fr" }).await.unwrap();
    app.publish_entity(&Customer { country: "de" }).await.unwrap();
    for country in ["fr", "de"] {
        let message = pull(&world, &format!("to-{country}")).await.messages.remove(0).message;
        assert_eq!((&message.data[..], message.ordering_key), (format!(r#"{{"country":"{country}"}}"#).as_bytes(), country.to_owned()));
    }
}

#[tokio::test]
async fn headers_go_along_in_each_format() {
    let world = World::start(SEED).await;
    for (compat, data, attribute) in [
        (Compat::Native, r#"{"order":1}"#, Some("00-a-b-01")),
        (Compat::DjangoGoogleCloudTasks, r#"{"order": 1, "_http_headers": {"Traceparent": "00-a-b-01"}}"#, None),
    ] {
        let app = shop(&world).compat(compat).build().unwrap();
        Checkout.enqueue(&app).header("traceparent", "00-a-b-01").here().await.unwrap();
        let message = pull(&world, "held").await.messages.remove(0).message;
        assert_eq!(std::str::from_utf8(&message.data).unwrap(), data);
        assert_eq!(message.attributes.get("traceparent").map(String::as_str), attribute);
    }
}

#[tokio::test]
async fn a_task_publishes_it_later() {
    let world = World::start(SEED).await;
    let declared = |builder: Builder<Log>| builder.build().unwrap();
    let refused = declared(shop(&world)).publisher::<OrderPlaced>().publish(OrderPlaced { order: 7 }).asap().await.unwrap_err();
    assert!(refused.is_invalid_input() && refused.hint().unwrap().contains("publishes_by_tasks"), "{refused}");
    let app = declared(shop(&world).publishes_by_tasks());
    let order = app.publisher::<OrderPlaced>().publish(OrderPlaced { order: 7 }).attribute("origin", "web").ordering_key("ada");
    let taken = order.asap().await.unwrap();
    assert!(pull(&world, "held").await.messages.is_empty(), "the queue is paused");
    let stored = world.tasks("shop").await.remove(0);
    assert_eq!((stored.name.id(), stored.request.url.as_str()), (taken.id.as_str(), "http://127.0.0.1:9/tasks/redrive.publish"));
    let tried = app.debug_task(&stored.name).await.unwrap();
    let message = pull(&world, "held").await.messages.remove(0).message;
    assert_eq!(tried.result, serde_json::json!(message.id));
    assert_eq!(
        (&message.data[..], message.attributes["origin"].as_str(), message.ordering_key.as_str()),
        (&br#"{"order":7}"#[..], "web", "ada")
    );
}

/// A task whose name a topic has.
#[derive(Serialize, Deserialize)]
struct Orders;

impl Task<Log> for Orders {
    const NAME: &'static str = "orders";

    async fn run(self, _: Context<Log>) -> Outcome {
        done()
    }
}

/// Where tasks are called as publishers, who may call them publishes to this app's topics and no others; and no task has such a name.
#[tokio::test]
async fn tasks_that_are_called_as_publishers_publish_to_own_topics_only() {
    let world = World::start(SEED).await;
    let declared = || shop(&world).compat(Compat::DjangoGoogleCloudTasks).publishes::<OrderPlaced>();
    let app = declared().publishes_by_tasks().build().unwrap();
    let post = async |body: &'static str| {
        let request = http::Request::post("/tasks/orders").body(http_body_util::Full::new(bytes::Bytes::from_static(body.as_bytes())));
        tower::ServiceExt::oneshot(app.push(), request.unwrap()).await.unwrap().status().as_u16()
    };
    assert_eq!(post(r#"{"message": {"order": 1}, "attributes": null}"#).await, 200);
    assert_eq!(post(r#"{"message": {"order": 2}, "attributes": {"a": "b"}, "topic_name": "shop--customers-fr"}"#).await, 200);
    for other in [r#"{"message": {}, "topic_name": "other--orders"}"#, r#"{"message": {}, "topic_name": "no topic/"}"#] {
        assert_eq!(post(other).await, 202, "discarded: {other}");
    }
    assert_eq!(post(r#"{"message": 7}"#).await, 400);
    let (orders, french) = (pull(&world, "held").await.messages, pull(&world, "to-fr").await.messages);
    assert_eq!((orders.len(), &orders[0].message.data[..]), (1, &br#"{"order": 1}"#[..]));
    assert_eq!((french.len(), french[0].message.attributes["a"].as_str()), (1, "b"));
    // What the format cannot say goes in this crate's own.
    let ordered = app.publisher::<OrderPlaced>().publish(OrderPlaced { order: 3 }).ordering_key("ada").asap().await.unwrap();
    let stored = world.tasks("shop").await.remove(0);
    assert_eq!((stored.name.id(), stored.request.url.ends_with("/tasks/redrive.publish")), (ordered.id.as_str(), true));

    let error = declared().publishes_by_tasks().task::<Orders>().build().err().unwrap();
    assert!(error.is_invalid_input() && error.to_string().contains("`orders` is a task, and"), "{error}");
    declared().task::<Orders>().build().unwrap();
    let error = declared().publishes_records::<Customer>().build().err().unwrap();
    assert!(error.hint().unwrap().contains("PUBLISHER"), "{error}");
}

#[tokio::test]
async fn an_outbox_sends_after_the_commit_and_not_otherwise() {
    let world = World::start(SEED).await;
    let app = shop(&world).build().unwrap();
    let fill = || {
        let mut outbox = app.outbox();
        assert!(outbox.is_empty());
        outbox.publish(OrderPlaced { order: 1 }).unwrap();
        outbox.add(app.publisher::<OrderPlaced>().publish(OrderPlaced { order: 2 })).unwrap();
        outbox.enqueue(Checkout.enqueue(&app)).unwrap();
        assert_eq!(outbox.len(), 3);
        outbox
    };
    fill().rollback();
    drop(fill());
    // The commit's error may be of any type, and is no other's.
    let failed = fill().after(async { Err::<(), _>("conflict") }).await;
    assert_eq!(failed.unwrap_err(), "conflict");
    assert!(pull(&world, "held").await.messages.is_empty() && world.tasks("shop").await.is_empty());

    let committed = fill().after(async { Ok::<_, &str>(7) }).await.unwrap();
    assert_eq!((committed.value, committed.sent.unwrap().len()), (7, 3));
    let orders: Vec<_> = pull(&world, "held").await.messages.into_iter().map(|received| received.message.data).collect();
    assert_eq!((orders, world.tasks("shop").await.len()), (vec![r#"{"order":1}"#.into(), r#"{"order":2}"#.into()], 1));

    let mut outbox = fill();
    outbox.add(app.publish_to("nowhere", &1)).unwrap();
    outbox.publish(OrderPlaced { order: 3 }).unwrap();
    let committed = outbox.after(async { Ok::<_, &str>("the order") }).await.expect("it is committed, whatever was sent");
    let error = committed.sent.unwrap_err();
    assert_eq!(committed.value, "the order");
    assert!(error.is_not_found() && error.to_string().starts_with("1 of 5 were not sent"), "{error}");
    assert_eq!(pull(&world, "held").await.messages.len(), 3, "one that fails does not hold back the rest");
}

/// After the commit it would be too late to say it.
#[tokio::test]
async fn what_could_never_be_sent_is_not_taken_into_an_outbox() {
    /// Not registered.
    #[derive(Serialize, Deserialize)]
    struct Stranger;

    impl Task<Log> for Stranger {
        const NAME: &'static str = "Stranger";

        async fn run(self, _: Context<Log>) -> Outcome {
            done()
        }
    }

    let world = World::start(SEED).await;
    let app = shop(&world).build().unwrap();
    let mut outbox = app.outbox();
    let message = || app.publisher::<OrderPlaced>().publish(OrderPlaced { order: 1 });
    let wrong = [
        outbox.add(message().attribute("googclient", "x")),
        outbox.add(message().ordering_key("k".repeat(1025))),
        outbox.add(app.publish_to("orders", &"x".repeat(10_000_000))),
        outbox.add(app.publish_to("no topic/", &1)),
        outbox.enqueue(Stranger.enqueue(&app)),
        outbox.enqueue(Checkout.enqueue(&app).at(Duration::from_hours(24 * 365))),
    ];
    for refused in wrong {
        assert!(refused.is_err_and(|error| error.is_invalid_input()));
    }
    assert!(outbox.is_empty());
}

#[tokio::test]
async fn what_pubsub_does_not_take_at_once_is_sent_again_and_what_it_refuses_is_said() {
    let world = World::start(SEED).await;
    let app = shop(&world).build().unwrap();
    let publish = |key: &str| app.publisher::<OrderPlaced>().publish(OrderPlaced { order: 7 }).ordering_key(key);
    world.emulator.inject(Fault::status("Publish", "UNAVAILABLE").times(2)).unwrap();
    publish("").await.unwrap();

    world.emulator.inject(Fault::status("Publish", "PERMISSION_DENIED").times(1)).unwrap();
    let error = publish("ada").await.unwrap_err();
    assert_eq!(error.kind(), Kind::PermissionDenied);
    assert!(error.to_string().starts_with("cannot publish"), "{error}");
    publish("ada").await.expect("a failure does not hold back what is published later with the same key");
    assert_eq!(pull(&world, "held").await.messages.len(), 2);

    let error = app.publish_to("nowhere", &1).await.unwrap_err();
    assert!(error.is_not_found() && error.to_string().contains("shop--nowhere"), "{error}");
    let error = app.publish_to("orders", &1).attribute("googclient", "x").await.unwrap_err();
    assert!(error.is_invalid_input(), "{error}");
}

/// A message that passes through a subscriber gets a span of that subscriber's in its trace, also in this process.
#[tokio::test]
async fn eager_messages_are_hops_of_their_trace() {
    #[derive(Serialize, Deserialize)]
    struct Relayed;

    impl Message for Relayed {
        const TOPIC: &'static str = "relayed";
    }

    struct Relay;

    impl Subscriber<Log> for Relay {
        type Message = OrderPlaced;
        const NAME: &'static str = "Relay";

        fn subscription() -> Subscription {
            Subscription::to("orders")
        }

        async fn run(_: Received<OrderPlaced>, cx: Context<Log>) -> Outcome {
            cx.app().publisher::<Relayed>().publish(Relayed).await?;
            done()
        }
    }

    struct Last;

    impl Subscriber<Log> for Last {
        type Message = Relayed;
        const NAME: &'static str = "Last";

        fn subscription() -> Subscription {
            Subscription::to("relayed")
        }

        async fn run(_: Received<Relayed>, cx: Context<Log>) -> Outcome {
            cx.state().lock().unwrap().extend(cx.header("traceparent").map(str::to_owned));
            done()
        }
    }

    let app =
        crate::support::alone(Log::default(), URL, None).subscriber::<Relay>().subscriber::<Last>().mode(Mode::Eager).build().unwrap();
    let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let order = app.publisher::<OrderPlaced>().publish(OrderPlaced { order: 7 });
    order.attribute("traceparent", format!("00-{trace}-{span}-01")).await.unwrap();
    let seen = app.state().lock().unwrap().clone();
    let [seen] = &seen[..] else { panic!("{seen:?}") };
    assert!(seen.starts_with(&format!("00-{trace}-")) && !seen.contains(span), "{seen}");
}

#[tokio::test]
async fn eager_messages_reach_own_subscribers_and_disabled_ones_nobody() {
    let world = World::start(SEED).await;
    let app = shop(&world).mode(Mode::Eager).build().unwrap();
    assert_eq!(app.publisher::<OrderPlaced>().publish(OrderPlaced { order: 7 }).await.unwrap(), "");
    app.publisher::<OrderPlaced>().publish(OrderPlaced { order: 8 }).attribute("kind", "test").await.unwrap();
    Checkout.asap(&app).await.unwrap();
    assert_eq!(*app.state().lock().unwrap(), ["billed 7", "billed 1"], "what the filter keeps away does not come");

    let app = shop(&world).mode(Mode::Disabled).build().unwrap();
    assert_eq!(app.publisher::<OrderPlaced>().publish(OrderPlaced { order: 7 }).await.unwrap(), "");
    assert!(app.publish_to("orders", &1).attribute("", "x").await.is_err(), "what could not be published is said all the same");
    assert!(app.state().lock().unwrap().is_empty());
    assert!(pull(&world, "held").await.messages.is_empty());
}
