//! Events: by kind and reference, with signed URLs, in the forms of Eventarc and Cloud Storage.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use redrive::runtime::events::{
    CloudEvent, CloudEventBuilder, Event, EventOptions, InMemory, Json, PubsubMessage, Replay, StorageChange, StorageEvent, StorageObject,
};
use redrive::runtime::{App, Builder, Compat, Context, Outcome, discard, done};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{Served, alone};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const HOUR: Duration = Duration::from_hours(1);

type Log = Arc<Mutex<Vec<String>>>;

fn log(cx: &Context<Log>, line: impl Into<String>) {
    cx.state().lock().unwrap().push(line.into());
}

/// A callback with parameters.
struct Rendered;

#[derive(Deserialize)]
struct Size {
    width: u32,
    #[serde(default)]
    large: bool,
}

impl Event<Log> for Rendered {
    const KIND: &'static str = "rendered";
    type Body = Json<Value>;

    fn options() -> EventOptions {
        EventOptions::default().deadline(Duration::from_secs(20))
    }

    async fn run(Json(body): Json<Value>, cx: Context<Log>) -> Outcome {
        let event = cx.event().unwrap();
        let Size { width, large } = event.parameters_as()?;
        log(&cx, format!("{} {width} {large} {body}", event.reference));
        match body.as_str() {
            Some("fail") => Err("not yet".into()),
            Some("discard") => discard("no"),
            _ => done(),
        }
    }
}

struct Uploaded;

impl Event<Log> for Uploaded {
    const KIND: &'static str = "uploaded";
    type Body = StorageEvent;

    async fn run(event: StorageEvent, cx: Context<Log>) -> Outcome {
        assert_eq!(event.change, StorageChange::Finalized);
        log(&cx, format!("{}/{} {:?}", event.object.bucket, event.object.name, event.object.size));
        done()
    }
}

struct Placed;

impl Event<Log> for Placed {
    const KIND: &'static str = "placed";
    type Body = CloudEvent<Value>;

    async fn run(event: CloudEvent<Value>, cx: Context<Log>) -> Outcome {
        log(&cx, format!("{} {} {:?} {}", event.id, event.kind, event.subject, event.data));
        done()
    }
}

/// A message, whether Pub/Sub pushes it or Eventarc brings it.
struct Told;

impl Event<Log> for Told {
    const KIND: &'static str = "told";
    type Body = PubsubMessage;

    async fn run(message: PubsubMessage, cx: Context<Log>) -> Outcome {
        log(&cx, format!("{} {}", message.info.id, message.decoded::<Value>()?));
        done()
    }
}

fn registered(builder: Builder<Log>) -> Builder<Log> {
    builder.event::<Rendered>().event::<Uploaded>().event::<Placed>().event::<Told>()
}

/// A service that has an account, so that who has no signed URL needs a token.
async fn serve(state: &Log, change: impl FnOnce(Builder<Log>) -> Builder<Log>) -> (App<Log>, Served) {
    let make = |url: &str| {
        let builder = alone(Arc::clone(state), url, Some("a@x")).token_keys("http://127.0.0.1:9/certs");
        change(registered(builder).event_secret(SECRET).mount("/hooks"))
    };
    Served::start(make).await
}

async fn send(url: &str, headers: &[(String, String)], body: impl Into<reqwest::Body>) -> u16 {
    let request = headers.iter().fold(reqwest::Client::new().post(url), |request, (name, value)| request.header(name, value));
    request.body(body).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_signed_url_is_good_once() {
    let state = Log::default();
    let (app, served) = serve(&state, |builder| builder).await;
    let url = || app.event_url("rendered", "video 7/é").parameter("width", 640).parameter("large", true);
    let signed = url().signed(HOUR).build().unwrap();
    assert!(signed.starts_with(&format!("{}/hooks/events/rendered/video%207%2F%C3%A9?width=640&large=true&redrive-expires=", served.url)));
    assert_eq!(send(&signed, &[], "1").await, 200);
    assert_eq!(send(&signed, &[], "1").await, 403, "used");
    assert_eq!(*state.lock().unwrap(), ["video 7/é 640 true 1"]);
    let plain = url().build().unwrap();
    assert_eq!(send(&plain, &[], "1").await, 401, "neither signature nor token");
    let changed = url().signed(HOUR).build().unwrap().replace("width=640", "width=9");
    assert_eq!(send(&changed, &[], "1").await, 401);
    let elsewhere = url().signed(HOUR).build().unwrap().replace("/rendered/", "/placed/");
    assert_eq!(send(&elsewhere, &[], "1").await, 401);
    assert_eq!(state.lock().unwrap().len(), 1);
}

/// Takes nothing but signed URLs.
struct Paid;

impl Event<Log> for Paid {
    const KIND: &'static str = "paid";
    type Body = bytes::Bytes;

    fn options() -> EventOptions {
        EventOptions::default().signed_only()
    }

    async fn run(body: bytes::Bytes, cx: Context<Log>) -> Outcome {
        log(&cx, format!("paid {}", body.len()));
        done()
    }
}

#[tokio::test]
async fn what_takes_signed_urls_only_does_so_also_where_everybody_may_call() {
    let state = Log::default();
    let (app, _served) = serve(&state, |builder| builder.event::<Paid>().unauthenticated()).await;
    let plain = app.event_url("paid", "7").build().unwrap();
    assert_eq!(send(&plain, &[], "12").await, 401);
    assert_eq!(send(&plain.replace("/paid/", "/p%61id/"), &[], "12").await, 401);
    let signed = app.event_url("paid", "7").signed(HOUR).build().unwrap();
    assert_eq!(send(&format!("{signed}&x=1"), &[], "12").await, 401);
    assert_eq!(send(&signed, &[], "12").await, 200);
    assert_eq!(*state.lock().unwrap(), ["paid 2"]);
}

#[tokio::test]
async fn what_was_not_done_may_be_sent_again_with_the_same_url() {
    let state = Log::default();
    let (app, _served) = serve(&state, |builder| builder).await;
    let url = || app.event_url("rendered", "7").parameter("width", 1).signed(HOUR).build().unwrap();
    let signed = url();
    assert_eq!(send(&signed, &[], r#""fail""#).await, 500);
    assert_eq!(send(&signed, &[], "not json").await, 400);
    assert_eq!(send(&signed, &[], "1").await, 200);
    assert_eq!(send(&signed, &[], "1").await, 403);
    let given_up = url();
    assert_eq!(send(&given_up, &[], r#""discard""#).await, 202);
    assert_eq!(send(&given_up, &[], "1").await, 403, "given up for good is done");
}

#[tokio::test]
async fn of_many_at_once_one_is_taken() {
    let state = Log::default();
    let (app, _served) = serve(&state, |builder| builder).await;
    let signed = app.event_url("rendered", "7").parameter("width", 1).signed(HOUR).build().unwrap();
    let calls: Vec<_> = (0..16)
        .map(|_| {
            let signed = signed.clone();
            tokio::spawn(async move { send(&signed, &[], "1").await })
        })
        .collect();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap());
    }
    answers.sort_unstable();
    assert_eq!((answers[0], answers[1], answers[15]), (200, 403, 403));
    assert_eq!(state.lock().unwrap().len(), 1);
}

/// A store of one's own, which every process of a service would share.
struct Shared(Arc<InMemory>);

impl Replay for Shared {
    fn claim<'a>(&'a self, nonce: &'a str, until: Duration, now: Duration) -> BoxFuture<'a, redrive::Result<bool>> {
        self.0.claim(nonce, until, now)
    }

    fn release<'a>(&'a self, nonce: &'a str) -> BoxFuture<'a, ()> {
        self.0.release(nonce).boxed()
    }
}

#[tokio::test]
async fn with_a_shared_store_a_url_is_good_once_for_all_processes() {
    let state = Log::default();
    let store = Arc::new(InMemory::default());
    let (app, first) = serve(&state, |builder| builder.replay(Shared(Arc::clone(&store)))).await;
    let signed = app.event_url("rendered", "7").parameter("width", 1).signed(HOUR).build().unwrap();
    // The other process listens elsewhere, and is the same service by its URL.
    let url = first.url.clone();
    let (_other, second) = serve(&state, |builder| {
        builder.replay(Shared(Arc::clone(&store))).host(redrive::runtime::Host {
            location: "europe-west1".parse().unwrap(),
            url,
            account: None,
        })
    })
    .await;
    assert_eq!(send(&signed.replace(&first.url, &second.url), &[], "1").await, 200);
    assert_eq!(send(&signed, &[], "1").await, 403);
}

#[tokio::test]
async fn what_eventarc_and_cloud_storage_send() {
    let state = Log::default();
    let (app, _served) = serve(&state, Builder::unauthenticated).await;
    let url = |kind: &str| app.event_url(kind, "1").build().unwrap();
    let event = CloudEventBuilder::new("8", "//shop", "order.placed").subject("orders/é").data(&json!({ "n": 1 })).unwrap();
    for (headers, body) in [event.binary(), event.structured()] {
        assert_eq!(send(&url("placed"), &headers, body).await, 200);
    }
    let object = json!({ "bucket": "b", "name": "cat.png", "size": "9" });
    let kind = "google.cloud.storage.object.v1.finalized";
    let (headers, body) = CloudEventBuilder::new("9", "//storage", kind).data(&object).unwrap().binary();
    assert_eq!(send(&url("uploaded"), &headers, body).await, 200);
    let notification = PubsubMessage::json(&object).unwrap().attribute("eventType", "OBJECT_FINALIZE");
    let notification = notification.attribute("bucketId", "b").attribute("objectId", "cat.png");
    assert_eq!(send(&url("uploaded"), &[], notification.envelope()).await, 200);
    let message = PubsubMessage::json(&json!({ "m": 1 })).unwrap().id("5");
    assert_eq!(send(&url("told"), &[], message.envelope()).await, 200);
    let envelope: Value = serde_json::from_slice(&message.envelope()).unwrap();
    let by_eventarc = CloudEventBuilder::new("5", "//pubsub", "google.cloud.pubsub.topic.v1.messagePublished").data(&envelope).unwrap();
    for (headers, body) in [by_eventarc.binary(), by_eventarc.structured()] {
        assert_eq!(send(&url("told"), &headers, body).await, 200);
    }
    let placed = r#"8 order.placed Some("orders/é") {"n":1}"#;
    let (stored, told) = ("b/cat.png Some(9)", r#"5 {"m":1}"#);
    assert_eq!(*state.lock().unwrap(), [placed, placed, stored, stored, told, told, told]);
    let before = state.lock().unwrap().len();
    let (headers, body) = CloudEventBuilder::new("9", "//storage", "google.cloud.storage.object.v1.eaten").data(&object).unwrap().binary();
    for (kind, headers, body) in [("uploaded", headers, body), ("placed", Vec::new(), "{}".into()), ("told", Vec::new(), "{}".into())] {
        assert_eq!(send(&url(kind), &headers, body).await, 400, "{kind}");
    }
    assert_eq!(state.lock().unwrap().len(), before);
    let _typed: CloudEvent<StorageObject>;
}

#[tokio::test]
async fn urls_of_events() {
    let state = Log::default();
    let app = registered(alone(Arc::clone(&state), "https://shop.example", None)).build().unwrap();
    let build = |kind: &str, reference: &str| app.event_url(kind, reference).build();
    assert_eq!(build("rendered", "7").unwrap(), "https://shop.example/events/rendered/7");
    let other = app.event_url("rendered", "7").parameter("a", "b c").base("https://tunnel.example/").build().unwrap();
    assert_eq!(other, "https://tunnel.example/events/rendered/7?a=b%20c");
    assert_eq!(app.event_url("rendered", "7").base("").build().unwrap(), "/events/rendered/7");
    for (kind, reference) in [("", "7"), ("a/b", "7"), ("rendered", "")] {
        assert!(build(kind, reference).unwrap_err().is_invalid_input());
    }
    assert!(app.event_url("rendered", "7").parameter("redrive-expires", 1).build().is_err());
    assert!(app.event_url("rendered", "7").signed(HOUR).build().unwrap_err().hint().unwrap().contains("event_secret"));
    let signing = registered(alone(state, "https://shop.example", None)).event_secret(SECRET).build().unwrap();
    assert!(signing.event_url("rendered", "7").signed(HOUR * 24 * 40).build().is_err());
    assert!(App::new(()).event_secret("short").build().err().unwrap().is_invalid_input());
}

#[tokio::test]
async fn answers_of_django_gcp() {
    let state = Log::default();
    let (app, _served) = serve(&state, |builder| builder.unauthenticated().compat(Compat::DjangoGcp)).await;
    let url = app.event_url("rendered", "7").parameter("width", 1).build().unwrap();
    let answer = reqwest::Client::new().post(url).body("1").send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (201, "{}"));
}
