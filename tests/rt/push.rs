//! The endpoint that Cloud Tasks, Pub/Sub and Cloud Scheduler call.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use redrive::runtime::{
    App, Builder, Compat, Context, Outcome, Received, Subscriber, Subscription, Task, TaskOptions, discard, done, done_with, retry_after,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};
use tower::ServiceExt as _;

use crate::support::{Served, World, alone, eventually};

const ACCOUNT: &str = "worker@shop.iam.gserviceaccount.com";

/// What handlers did, and what holds them.
#[derive(Clone)]
struct State {
    log: Arc<Mutex<Vec<String>>>,
    begun: mpsc::UnboundedSender<()>,
    go: Arc<Semaphore>,
}

impl State {
    fn new() -> (Self, mpsc::UnboundedReceiver<()>) {
        let (begun, begins) = mpsc::unbounded_channel();
        (Self { log: Arc::default(), begun, go: Arc::new(Semaphore::new(0)) }, begins)
    }

    fn lines(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

#[derive(Serialize, Deserialize)]
struct Do {
    what: String,
}

impl Task<State> for Do {
    const NAME: &'static str = "Do";

    fn options() -> TaskOptions {
        TaskOptions::new().handler_deadline(Duration::from_secs(20))
    }

    async fn run(self, cx: Context<State>) -> Outcome {
        if self.what == "quiet" {
            return done();
        }
        let queue = cx.task().and_then(|task| task.queue.as_ref()).map(|queue| queue.id().to_owned()).unwrap_or_default();
        cx.state().log.lock().unwrap().push(format!("{} {queue}", self.what));
        match self.what.as_str() {
            "discard" => discard("a secret reason"),
            "later" => retry_after(Duration::from_millis(1500), "a secret reason"),
            "fail" => Err("a secret reason".into()),
            "panic" => panic!("a secret reason"),
            "number" => done_with(7),
            _ => done(),
        }
    }
}

/// Waits until it is let go.
#[derive(Serialize, Deserialize)]
struct Hold;

impl Task<State> for Hold {
    const NAME: &'static str = "Hold";

    fn options() -> TaskOptions {
        TaskOptions::new().concurrent(1)
    }

    async fn run(self, cx: Context<State>) -> Outcome {
        cx.state().begun.send(())?;
        cx.state().go.acquire().await?.forget();
        done()
    }
}

/// Takes longer than it may.
#[derive(Serialize, Deserialize)]
struct Long;

impl Task<State> for Long {
    const NAME: &'static str = "Long";

    fn options() -> TaskOptions {
        TaskOptions::new().handler_deadline(Duration::from_millis(10))
    }

    async fn run(self, _: Context<State>) -> Outcome {
        std::future::pending().await
    }
}

struct Billing;

impl Subscriber<State> for Billing {
    type Message = Value;
    const NAME: &'static str = "Billing";

    fn subscription() -> Subscription {
        Subscription::to("orders")
    }

    async fn run(message: Received<Value>, cx: Context<State>) -> Outcome {
        let info = cx.message().unwrap();
        let said = format!("{} {} {} {:?}", message.content, info.id, info.ordering_key, info.attributes);
        cx.state().log.lock().unwrap().push(said);
        done()
    }
}

fn registered(builder: Builder<State>) -> Builder<State> {
    builder.task::<Do>().task::<Hold>().task::<Long>().subscriber::<Billing>()
}

fn open(state: &State) -> App<State> {
    registered(alone(state.clone(), "https://shop.example", None)).build().unwrap()
}

async fn post(app: &App<State>, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> (StatusCode, Value, http::HeaderMap) {
    let request = headers.iter().fold(Request::post(path), |request, (name, value)| request.header(*name, *value));
    let answer = app.push().oneshot(request.body(Full::new(body.into())).unwrap()).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, serde_json::from_slice(&body).unwrap_or_default(), parts.headers)
}

async fn post_task(app: &App<State>, what: &str) -> (StatusCode, Value) {
    let (status, body, _) = post(app, "/tasks/Do", &[], json!({ "what": what }).to_string()).await;
    (status, body)
}

/// Cloud Tasks sends it with a token, which is verified with the emulator's keys.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_comes_from_cloud_tasks_with_its_token() {
    let world = World::start("queues: [{ name: shop }]").await;
    let (state, _begins) = State::new();
    let account = |url: &str| {
        let mut builder = registered(world.app(state.clone(), url)).named("shop");
        builder = builder.host(redrive::runtime::Host {
            location: "europe-west1".parse().unwrap(),
            url: url.to_owned(),
            account: Some(ACCOUNT.to_owned()),
        });
        builder
    };
    let (app, served) = Served::start(account).await;
    for number in 0..3 {
        Do { what: number.to_string() }.asap(&app).await.unwrap();
    }
    eventually("three tasks", async || (state.lines().len() == 3).then_some(())).await;
    assert!(state.lines().contains(&"2 shop".to_owned()), "{:?}", state.lines());
    let metrics = app.metrics();
    assert_eq!(metrics.tokens.verified + metrics.tokens.remembered, 3);
    assert_eq!((metrics.tokens.refused, metrics.handlers["task Do"].admitted, metrics.all.limit), (0, 3, Some(1000)));
    let refused = reqwest::Client::new().post(format!("{}/tasks/Do", served.url)).body("{}").send().await.unwrap();
    assert_eq!(refused.status(), 401);
    assert_eq!(served.stop().await.cut_off, 0);
}

#[tokio::test]
async fn answers_are_those_of_the_table_without_the_cause() {
    let (state, _begins) = State::new();
    let app = open(&state);
    assert_eq!(post_task(&app, "number").await, (StatusCode::OK, json!({ "result": 7, "status": "executed" })));
    for (what, status) in [("discard", 202), ("later", 503), ("fail", 500), ("panic", 500)] {
        let (found, body) = post_task(&app, what).await;
        assert_eq!(found, status, "{what}");
        assert!(!body.to_string().contains("secret"), "{what}: {body}");
    }
    let (_, _, headers) = post(&app, "/tasks/Do", &[], r#"{"what":"later"}"#).await;
    assert_eq!(headers["retry-after"], "2", "whole seconds, none too short");
    assert_eq!(post(&app, "/tasks/Long", &[], "").await.0, 504);
    assert_eq!(post(&app, "/tasks/Nobody", &[], "{}").await.0, 404);
    assert_eq!(post(&app, "/tasks/Do", &[], r#"{"what":7}"#).await.0, 400);
}

#[tokio::test]
async fn paths_and_methods() {
    let (state, _begins) = State::new();
    let app = registered(alone(state, "https://shop.example", None)).mount("/internal").health("/healthz").build().unwrap();
    let ask = async |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(path).body(Full::<Bytes>::default()).unwrap();
        app.push().oneshot(request).await.unwrap()
    };
    for path in ["/", "/tasks/Do", "/internal/tasks/", "/internal/tasks/Do/x", "/internal/other"] {
        assert_eq!(ask("POST", path).await.status(), 404, "{path}");
    }
    for method in ["GET", "PUT", "DELETE", "HEAD"] {
        let answer = ask(method, "/internal/tasks/Do").await;
        assert_eq!((answer.status(), answer.headers()["allow"].to_str().unwrap()), (StatusCode::METHOD_NOT_ALLOWED, "POST"));
    }
    assert_eq!(ask("GET", "/healthz").await.status(), 200);
    assert_eq!(ask("POST", "/healthz").await.status(), 404);
}

#[tokio::test]
async fn a_message_in_an_envelope_in_headers_and_bare() {
    let (state, _begins) = State::new();
    let app = registered(alone(state.clone(), "https://shop.example", None)).build().unwrap();
    let envelope = json!({
        "message": { "data": STANDARD.encode(r#"{"n":1}"#), "attributes": { "kind": "order" }, "messageId": "5", "message_id": "5", "orderingKey": "k" },
        "subscription": "projects/shop/subscriptions/Billing",
    });
    assert_eq!(post(&app, "/subscriptions/Billing", &[], envelope.to_string()).await.0, 200);
    let metadata = [
        ("x-goog-pubsub-subscription-name", "projects/shop/subscriptions/Billing"),
        ("x-goog-pubsub-message-id", "6"),
        ("x-goog-pubsub-ordering-key", "k"),
        ("kind", "order"),
        ("user-agent", "Google"),
    ];
    assert_eq!(post(&app, "/subscriptions/Billing", &metadata, r#"{"n":2}"#).await.0, 200);
    assert_eq!(state.lines(), [r#"{"n":1} 5 k {"kind": "order"}"#, r#"{"n":2} 6 k {"kind": "order"}"#]);
    assert_eq!(post(&app, "/subscriptions/Billing", &[], r#"{"n":3}"#).await.0, 400, "bare, which nobody said");
    let app = registered(alone(state.clone(), "https://shop.example", None)).unwrapped("Billing").build().unwrap();
    assert_eq!(post(&app, "/subscriptions/Billing", &[("kind", "order")], r#"{"n":3}"#).await.0, 200);
    assert_eq!(state.lines().last().unwrap(), r#"{"n":3}   {}"#);
    assert_eq!(post(&app, "/subscriptions/Nobody", &[], envelope.to_string()).await.0, 404);
}

/// Pub/Sub itself, with each kind of packing.
#[tokio::test(flavor = "multi_thread")]
async fn pubsub_pushes_wrapped_and_unwrapped() {
    let world = World::start("topics: [{ name: orders }]").await;
    let (state, _begins) = State::new();
    let (_app, served) = Served::start(|url| registered(world.app(state.clone(), url))).await;
    let base = format!("http://{}/v1/projects/shop", world.emulator.address());
    let client = reqwest::Client::new();
    let topic = "projects/shop/topics/orders";
    for (name, wrapper) in [("wrapped", Value::Null), ("metadata", json!({ "writeMetadata": true }))] {
        let mut push = json!({ "pushEndpoint": format!("{}/subscriptions/Billing", served.url) });
        if !wrapper.is_null() {
            push["noWrapper"] = wrapper;
        }
        let body = json!({ "topic": topic, "pushConfig": push });
        let made = client.put(format!("{base}/subscriptions/{name}")).json(&body).send().await.unwrap();
        assert_eq!(made.status(), 200, "{}", made.text().await.unwrap());
    }
    let message = json!({ "messages": [{ "data": STANDARD.encode(r#"{"n":1}"#), "attributes": { "kind": "order" } }] });
    client.post(format!("{base}/topics/orders:publish")).json(&message).send().await.unwrap();
    let lines = eventually("both arrive", async || Some(state.lines()).filter(|lines| lines.len() == 2)).await;
    assert_eq!(lines[0], lines[1], "the same is said either way");
    assert!(lines[0].starts_with(r#"{"n":1} "#) && lines[0].ends_with(r#"{"kind": "order"}"#), "{lines:?}");
}

#[tokio::test]
async fn beyond_the_places_of_a_handler_it_is_429_and_counted() {
    let (state, mut begins) = State::new();
    let app = registered(alone(state.clone(), "https://shop.example", None)).waits(Duration::from_millis(30)).build().unwrap();
    let first = tokio::spawn({
        let app = app.clone();
        async move { post(&app, "/tasks/Hold", &[], "").await.0 }
    });
    begins.recv().await.unwrap();
    let (status, body, _) = post(&app, "/tasks/Hold", &[], "").await;
    assert_eq!((status, body), (StatusCode::TOO_MANY_REQUESTS, json!({ "error": "all places are taken" })));
    let places = app.metrics().handlers["task Hold"];
    assert_eq!((places.limit, places.in_flight, places.admitted, places.turned_away), (Some(1), 1, 1, 1));
    assert!(places.waited >= Duration::from_millis(25), "{places:?}");
    assert_eq!(post_task(&app, "x").await.0, 200, "others go on");
    state.go.add_permits(1);
    assert_eq!(first.await.unwrap(), 200);
    state.go.add_permits(1);
    assert_eq!(post(&app, "/tasks/Hold", &[], "").await.0, 200);
    let places = app.metrics().handlers["task Hold"];
    assert_eq!((places.in_flight, places.admitted), (0, 2));
}

#[tokio::test]
async fn beyond_all_places_it_is_429_before_the_body_is_read() {
    let (state, mut begins) = State::new();
    let app = registered(alone(state.clone(), "https://shop.example", None)).concurrent(1).waits(Duration::ZERO).build().unwrap();
    let first = tokio::spawn({
        let app = app.clone();
        async move { post(&app, "/tasks/Hold", &[], "").await.0 }
    });
    begins.recv().await.unwrap();
    assert_eq!(post_task(&app, "x").await.0, 429);
    assert_eq!((app.metrics().all.in_flight, app.metrics().all.turned_away), (1, 1));
    state.go.add_permits(1);
    assert_eq!(first.await.unwrap(), 200);
    assert_eq!(post_task(&app, "x").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_router_nests_in_any_other() {
    let (state, _begins) = State::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = registered(alone(state.clone(), &url, None)).mount("/internal").build().unwrap();
    let router = Router::new().route("/", get(async || "shop")).nest("/internal", app.router());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = app.clone();
    let ended = tokio::spawn(async move { server.serve_router(router, listener, async { drop(stopped.await) }).await });
    let client = reqwest::Client::new();
    assert_eq!(client.get(&url).send().await.unwrap().text().await.unwrap(), "shop");
    let call = async |path: &str| client.post(format!("{url}{path}")).body(r#"{"what":"x"}"#).send().await.unwrap().status();
    assert_eq!(call("/internal/tasks/Do").await, 200);
    assert_eq!(call("/tasks/Do").await, 404);
    stop.send(()).unwrap();
    assert_eq!(ended.await.unwrap().unwrap().cut_off, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_requests_end_and_cuts_off_what_hangs() {
    let (state, mut begins) = State::new();
    let (app, served) = Served::start(|url| registered(alone(state.clone(), url, None)).drain_time(Duration::from_millis(200))).await;
    let client = reqwest::Client::new();
    let hold = |url: String| {
        let client = client.clone();
        tokio::spawn(async move { client.post(url).send().await.map(|answer| answer.status().as_u16()) })
    };
    let first = hold(format!("{}/tasks/Hold", served.url));
    begins.recv().await.unwrap();
    let (stopped, ()) = tokio::join!(served.stop(), async { state.go.add_permits(1) });
    assert_eq!((stopped.cut_off, first.await.unwrap().unwrap()), (0, 200));
    drop(app);

    let (_app, served) = Served::start(|url| registered(alone(state.clone(), url, None)).drain_time(Duration::from_millis(200))).await;
    let url = served.url.clone();
    let hanging = hold(format!("{url}/tasks/Hold"));
    begins.recv().await.unwrap();
    assert_eq!(served.stop().await.cut_off, 1);
    assert!(hanging.await.unwrap().is_err());
    assert!(client.post(url).send().await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn each_format_has_its_paths_and_answers() {
    let (state, _begins) = State::new();
    let of = |compat| registered(alone(state.clone(), "https://shop.example", None)).compat(compat).build().unwrap();
    let body = r#"{"what": "number"}"#;
    let text = async |app: &App<State>, path: &str, body: &'static str| {
        let request = Request::post(path).body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap();
        // Through the router, which has to know the paths as well.
        let answer = app.router().oneshot(request.map(axum::body::Body::new)).await.unwrap();
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    };
    let a = text(&of(Compat::DjangoGoogleCloudTasks), "/tasks/Do", body).await;
    assert_eq!(a, (200, r#"{"result": 7, "status": "executed"}"#.to_owned()));
    assert_eq!(text(&of(Compat::DjangoGcp), "/tasks/Do", body).await, (200, r#"{"result": 7}"#.to_owned()));
    let c =
        r#"{"task_id": "0a", "task_path": "Do", "args": [], "kwargs": {"what": "number"}, "queue_name": "default", "backend": "default"}"#;
    let answer = text(&of(Compat::DjangoTasksCloudTasks), "/cloudtasks/execute/", c).await;
    assert_eq!(answer, (200, r#"{"status": "success", "task_id": "0a"}"#.to_owned()));
    let d = r#"{"message": {"data": "eyJ0YXNrX25hbWUiOiAiRG8iLCAia3dhcmdzIjogeyJ3aGF0IjogIngifX0=", "messageId": "1"}, "subscription": "projects/p/subscriptions/sub"}"#;
    assert_eq!(text(&of(Compat::SingleEndpoint), "/tasks/pubsub/", d).await, (204, String::new()));
    assert_eq!(text(&of(Compat::SingleEndpoint), "/tasks/pubsub/", "{}").await.0, 400);
}

/// Requests leave nothing behind: what is allocated after many of them is what was allocated after a few.
#[test]
fn memory_is_flat_over_200_000_requests() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (state, _begins) = State::new();
    let app = open(&state);
    let requests = |count: usize| {
        runtime.block_on(async {
            for number in 0..count {
                let (path, body): (_, &'static [u8]) = match number % 4 {
                    0 => ("/tasks/Do", b"{\"what\":\"quiet\"}"),
                    1 => ("/tasks/Do", b"{\"what\":7}"),
                    2 => ("/subscriptions/Billing", b"{\"message\":{\"data\":\"%\"}}"),
                    _ => ("/tasks/Long/x", b""),
                };
                let request = Request::post(path).body(Full::new(Bytes::from_static(body))).unwrap();
                let status = app.push().oneshot(request).await.unwrap().status();
                assert!(if number % 4 == 0 { status.is_success() } else { status.is_client_error() }, "{path}: {status}");
            }
        });
    };
    requests(1000);
    let grown = allocation_counter::measure(|| requests(200_000)).bytes_current;
    assert!(grown < 16 * 1024, "{grown} bytes are left");
}
