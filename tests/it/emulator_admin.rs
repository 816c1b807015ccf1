//! What the emulator offers to tests of other people's services: reset, a clock that can be moved, failures on purpose.

mod faults;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use google_cloud_auth::credentials::{Credentials, anonymous};
use google_cloud_gax::error::rpc::Code;
use google_cloud_pubsub::client::{Publisher, Subscriber, TopicAdmin};
use google_cloud_pubsub::model::Message;
use google_cloud_pubsub::subscriber::MessageStream;
use google_cloud_scheduler_v1::client::CloudScheduler;
use google_cloud_scheduler_v1::model::{HttpTarget, Job};
use google_cloud_tasks_v2::client::CloudTasks;
use google_cloud_tasks_v2::model::{HttpRequest, Queue, Task};
use google_cloud_wkt::Timestamp;
use redrive::emulator::{Emulator, Fault};
use reqwest::Method;
use serde_json::{Value, json};

/// Nothing on one machine takes this long; what does has hung.
const PATIENCE: Duration = Duration::from_secs(30);
const HOUR: Duration = Duration::from_hours(1);

const TOPIC: &str = "projects/p/topics/orders";
const SUBSCRIPTION: &str = "projects/p/subscriptions/billing";
const LOCATION: &str = "projects/p/locations/l";
const QUEUE: &str = "projects/p/locations/l/queues/emails";

struct Shop {
    emulator: Emulator,
    http: reqwest::Client,
}

fn nobody() -> Credentials {
    anonymous::Builder::new().build()
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("nothing happened in time")
}

impl Shop {
    async fn open() -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { emulator: Emulator::builder().start().await.unwrap(), http }
    }

    /// With a topic and its subscription.
    async fn with_billing() -> Self {
        let shop = Self::open().await;
        shop.add_billing().await;
        shop
    }

    async fn add_billing(&self) {
        self.ok(Method::PUT, &format!("/v1/{TOPIC}"), json!({})).await;
        self.ok(Method::PUT, &format!("/v1/{SUBSCRIPTION}"), json!({"topic": TOPIC})).await;
    }

    fn url(&self) -> String {
        format!("http://{}", self.emulator.address())
    }

    async fn call(&self, method: Method, path: &str, body: &str) -> (u16, Value) {
        let answer = in_time(self.http.request(method, format!("{}{path}", self.url())).body(body.to_owned()).send()).await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn ok(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(method, path, &body.to_string()).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    async fn publish(&self, text: &str) -> (u16, Value) {
        // `data` is base64: the texts here are their own.
        self.call(Method::POST, &format!("/v1/{TOPIC}:publish"), &json!({"messages": [{"data": text}]}).to_string()).await
    }

    async fn pull(&self) -> Vec<Value> {
        let answer =
            self.ok(Method::POST, &format!("/v1/{SUBSCRIPTION}:pull"), json!({"maxMessages": 10, "returnImmediately": true})).await;
        answer["receivedMessages"].as_array().cloned().unwrap_or_default()
    }

    async fn subscribe(&self) -> MessageStream {
        let client = Subscriber::builder().with_endpoint(self.url()).with_credentials(nobody()).build().await.unwrap();
        client.subscribe(SUBSCRIPTION).build()
    }

    async fn publisher(&self) -> Publisher {
        Publisher::builder(TOPIC).with_endpoint(self.url()).with_credentials(nobody()).build().await.unwrap()
    }

    async fn topics(&self) -> TopicAdmin {
        TopicAdmin::builder().with_endpoint(self.url()).with_credentials(nobody()).build().await.unwrap()
    }

    async fn tasks(&self) -> CloudTasks {
        let client = CloudTasks::builder().with_endpoint(self.url()).with_credentials(nobody()).build().await.unwrap();
        client.create_queue().set_parent(LOCATION).set_queue(Queue::new().set_name(QUEUE)).send().await.unwrap();
        client
    }

    /// Creates a task that is due `after` from the emulator's time.
    async fn task_due(&self, client: &CloudTasks, url: String, after: Duration) {
        let due = self.emulator.now() + after;
        let task = Task::new().set_http_request(HttpRequest::new().set_url(url)).set_schedule_time(Timestamp::clamp(due.as_second(), 0));
        client.create_task().set_parent(QUEUE).set_task(task).send().await.unwrap();
    }
}

/// A handler that counts.
async fn handler() -> (String, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let router = Router::new().fallback(async move || {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    (format!("http://{}/", serve(router).await), count)
}

async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// The code that a stream ended with.
async fn end_of(stream: &mut MessageStream) -> Code {
    loop {
        match in_time(stream.next()).await.expect("an error ends the stream") {
            Ok(_) => {}
            Err(error) => return error.status().unwrap_or_else(|| panic!("no status: {error:?}")).code,
        }
    }
}

#[tokio::test]
async fn a_reset_leaves_nothing_and_ends_open_streams() {
    let shop = Shop::with_billing().await;
    let tasks = shop.tasks().await;
    shop.task_due(&tasks, "http://127.0.0.1:1/".into(), HOUR).await;
    shop.emulator.inject(Fault::status("GetTopic", "INTERNAL")).unwrap();
    shop.emulator.advance(Duration::from_secs(5)).await.unwrap();
    let mut stream = shop.subscribe().await;
    shop.publish("AAAA").await;
    let (message, ack) = in_time(stream.next()).await.unwrap().unwrap();
    assert_eq!(message.data.len(), 3);
    assert_eq!(shop.ok(Method::POST, "/reset", json!({})).await, json!({}));
    // There again before the stream may have noticed: it ends nevertheless.
    shop.add_billing().await;
    shop.publish("BBBB").await;
    assert_eq!(end_of(&mut stream).await, Code::NotFound);
    drop(ack);
    assert_eq!(shop.pull().await.len(), 1, "what is new is not leased to what is old, and what was old is gone");
    assert_eq!(shop.ok(Method::GET, "/faults", json!({})).await, json!([]));
    assert_eq!(shop.ok(Method::GET, "/clock", json!({})).await["ahead"], "0s");
    let gone = tasks.get_queue().set_name(QUEUE).send().await.unwrap_err();
    assert_eq!(gone.status().unwrap().code, Code::NotFound);
    shop.emulator.reset().await.unwrap();
    assert_eq!(shop.ok(Method::GET, "/v1/projects/p/topics", json!({})).await, json!({}));
    // A name used again at once: the state does not remember the queue.
    shop.tasks().await;
}

#[tokio::test]
async fn a_reset_cuts_off_calls_under_way() {
    let shop = Shop::open().await;
    let begun = Arc::new(tokio::sync::Notify::new());
    let begins = Arc::clone(&begun);
    let router = Router::new().fallback(async move || {
        begins.notify_one();
        std::future::pending::<()>().await;
    });
    let tasks = shop.tasks().await;
    shop.task_due(&tasks, format!("http://{}/", serve(router).await), Duration::ZERO).await;
    in_time(begun.notified()).await;
    let start = Instant::now();
    let (status, stuck) = shop.call(Method::POST, "/clock/advance?by=1s&within=50ms", "").await;
    let said = stuck["error"]["message"].as_str().unwrap();
    assert!(status == 504 && said.starts_with("1 still under way") && said.contains("POST http://127.0.0.1:"), "{stuck}");
    shop.emulator.reset().await.unwrap();
    in_time(shop.emulator.advance(HOUR)).await.unwrap();
    assert!(start.elapsed() < PATIENCE);
}

#[tokio::test]
async fn the_clock_is_told_and_moved() {
    let shop = Shop::with_billing().await;
    let before = shop.emulator.now();
    let clock = shop.ok(Method::POST, "/clock/advance", json!({"by": "3600s"})).await;
    let now: jiff::Timestamp = clock["now"].as_str().unwrap().parse().unwrap();
    assert!(now >= before + HOUR && now < before + HOUR + PATIENCE, "{clock}");
    assert_eq!(shop.call(Method::POST, "/clock/advance?by=1h", "").await.0, 200);
    let answer = shop.http.get(format!("{}/healthz", shop.url())).send().await.unwrap();
    let date = jiff::fmt::rfc2822::parse(answer.headers()["date"].to_str().unwrap()).unwrap().timestamp();
    assert!(date + Duration::from_secs(1) >= before + 2 * HOUR, "{date}");
    shop.publish("AAAA").await;
    let published: jiff::Timestamp = shop.pull().await[0]["message"]["publishTime"].as_str().unwrap().parse().unwrap();
    assert!(published >= before + 2 * HOUR);
}

#[tokio::test]
async fn an_hour_dispatches_a_task_and_runs_a_job_sixty_times() {
    let shop = Shop::open().await;
    let (url, count) = handler().await;
    let tasks = shop.tasks().await;
    shop.task_due(&tasks, format!("{url}task"), HOUR).await;
    shop.emulator.advance(Duration::from_mins(59)).await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 0);
    shop.emulator.advance(Duration::from_mins(1)).await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 1);
    let left = tasks.list_tasks().set_parent(QUEUE).send().await.unwrap().tasks;
    assert!(left.is_empty(), "its answer was taken: {left:?}");

    let scheduler = CloudScheduler::builder().with_endpoint(shop.url()).with_credentials(nobody()).build().await.unwrap();
    let target = HttpTarget::new().set_uri(url);
    let job =
        Job::new().set_name(format!("{LOCATION}/jobs/minutely")).set_schedule("* * * * *").set_time_zone("UTC").set_http_target(target);
    scheduler.create_job().set_parent(LOCATION).set_job(job).send().await.unwrap();
    let minute = |at: jiff::Timestamp| at.as_second().div_euclid(60);
    let from = minute(shop.emulator.now());
    in_time(shop.emulator.advance(HOUR)).await.unwrap();
    let due = minute(shop.emulator.now()) - from;
    assert!((60..=61).contains(&due));
    assert_eq!(i64::try_from(count.load(Ordering::SeqCst)).unwrap(), 1 + due, "once for each minute");
}

#[tokio::test]
async fn failed_pushes_are_tried_again_and_leases_expire() {
    let shop = Shop::with_billing().await;
    shop.publish("AAAA").await;
    assert_eq!(shop.pull().await.len(), 1);
    assert_eq!(shop.pull().await.len(), 0, "leased");
    shop.emulator.advance(Duration::from_secs(11)).await.unwrap();
    assert_eq!(shop.pull().await.len(), 1, "the lease has expired");

    let failures = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&failures);
    let router = Router::new().fallback(async move || match counted.fetch_add(1, Ordering::SeqCst) {
        0..3 => axum::http::StatusCode::INTERNAL_SERVER_ERROR,
        _ => axum::http::StatusCode::OK,
    });
    let endpoint = format!("http://{}/", serve(router).await);
    let push = json!({"topic": TOPIC, "pushConfig": {"pushEndpoint": endpoint}, "retryPolicy": {"minimumBackoff": "60s"}});
    shop.ok(Method::PUT, "/v1/projects/p/subscriptions/pushed", push).await;
    shop.publish("BBBB").await;
    shop.emulator.advance(Duration::from_secs(1)).await.unwrap();
    assert_eq!(failures.load(Ordering::SeqCst), 1);
    shop.emulator.advance(2 * HOUR).await.unwrap();
    assert_eq!(failures.load(Ordering::SeqCst), 4, "three failures and a success, each after its pause");
}

#[tokio::test]
async fn a_status_comes_before_the_command_over_grpc_and_rest() {
    let shop = Shop::with_billing().await;
    let fault = json!([{"method": "GetTopic", "kind": "status", "code": "PERMISSION_DENIED", "message": "not you", "times": 1}]);
    assert_eq!(shop.ok(Method::POST, "/faults", fault).await[0]["hits"], 0);
    let (status, refused) = shop.call(Method::GET, &format!("/v1/{TOPIC}"), "").await;
    assert_eq!((status, &refused["error"]["message"]), (403, &json!("not you")));
    assert_eq!(shop.call(Method::GET, &format!("/v1/{TOPIC}"), "").await.0, 200, "once");
    shop.emulator.inject(Fault::status("google.pubsub.v1.Publisher/Publish", "PERMISSION_DENIED").on(TOPIC)).unwrap();
    let error = in_time(shop.publisher().await.publish(Message::new().set_data("x"))).await.unwrap_err();
    assert!(format!("{error:?}").contains("An injected fault"), "{error:?}");
    assert_eq!(shop.pull().await.len(), 0);
    assert_eq!(shop.ok(Method::GET, "/faults", json!({})).await[1]["hits"], 1);
    shop.ok(Method::DELETE, "/faults", json!({})).await;
    in_time(shop.publisher().await.publish(Message::new().set_data("x"))).await.unwrap();
    assert_eq!(shop.pull().await.len(), 1);
}

#[tokio::test]
async fn a_fault_of_one_resource_spares_the_others() {
    let shop = Shop::with_billing().await;
    shop.emulator.inject(Fault::status("*", "INTERNAL").on("projects/p/topics/oth")).unwrap();
    let topics = shop.topics().await;
    topics.get_topic().set_topic(TOPIC).send().await.unwrap();
    let refused = topics.create_topic().set_name("projects/p/topics/other").send().await.unwrap_err();
    assert_eq!(refused.http_status_code(), Some(500));
    shop.emulator.clear_faults();
    topics.create_topic().set_name("projects/p/topics/other").send().await.unwrap();
}

#[tokio::test]
async fn a_delay_holds_requests_back() {
    let shop = Shop::with_billing().await;
    let delay = Duration::from_millis(300);
    shop.emulator.inject(Fault::delay("Publish", delay).times(1)).unwrap();
    let start = Instant::now();
    assert_eq!(shop.publish("AAAA").await.0, 200);
    assert!(start.elapsed() >= delay);
    assert_eq!(shop.pull().await.len(), 1);
}

#[tokio::test]
async fn a_dropped_answer_is_of_a_request_that_took_effect() {
    let shop = Shop::with_billing().await;
    shop.emulator.inject(Fault::drop_after_commit("Publish").times(1)).unwrap();
    let (status, dropped) = shop.publish("AAAA").await;
    assert_eq!((status, &dropped["error"]["status"]), (503, &json!("UNAVAILABLE")));
    assert_eq!(shop.pull().await.len(), 1, "it was published");
    shop.emulator.inject(Fault::drop_after_commit("Publish").code("DEADLINE_EXCEEDED").times(1)).unwrap();
    let (status, dropped) = shop.publish("AAAA").await;
    assert_eq!((status, &dropped["error"]["status"]), (504, &json!("DEADLINE_EXCEEDED")));
    assert_eq!(shop.pull().await.len(), 1, "it was published too");
    // The official client tries again by itself, and so publishes twice.
    shop.emulator.inject(Fault::drop_after_commit("Publish").times(1)).unwrap();
    in_time(shop.publisher().await.publish(Message::new().set_data("x"))).await.unwrap();
    assert_eq!(shop.pull().await.len(), 2);
}

#[tokio::test]
async fn a_broken_connection_is_of_a_request_that_took_effect() {
    let shop = Shop::with_billing().await;
    shop.emulator.inject(Fault::drop_connection("Publish").times(1)).unwrap();
    let body = json!({"messages": [{"data": "AAAA"}]}).to_string();
    let broken = in_time(shop.http.post(format!("{}/v1/{TOPIC}:publish", shop.url())).body(body).send()).await.unwrap_err();
    assert!(broken.is_request() && broken.status().is_none(), "no answer at all: {broken:?}");
    assert_eq!(shop.pull().await.len(), 1, "it was published");
    // Over gRPC the official client connects again, tries again, and so publishes twice.
    let publisher = shop.publisher().await;
    in_time(publisher.publish(Message::new().set_data("warm"))).await.unwrap();
    assert_eq!(shop.pull().await.len(), 1);
    shop.emulator.inject(Fault::drop_connection("google.pubsub.v1.Publisher/Publish").on(TOPIC).times(1)).unwrap();
    in_time(publisher.publish(Message::new().set_data("x"))).await.unwrap();
    assert_eq!(shop.pull().await.len(), 2);
}

#[tokio::test]
async fn streams_open_and_new_are_closed() {
    let shop = Shop::with_billing().await;
    let mut stream = shop.subscribe().await;
    shop.publish("AAAA").await;
    let (_, ack) = in_time(stream.next()).await.unwrap().unwrap();
    ack.ack();
    let elsewhere = Fault::close_stream("PERMISSION_DENIED").on("projects/p/subscriptions/other");
    shop.emulator.inject(elsewhere).unwrap();
    shop.publish("BBBB").await;
    in_time(stream.next()).await.unwrap().unwrap().1.ack();
    shop.emulator.inject(Fault::close_stream("PERMISSION_DENIED").on(SUBSCRIPTION).times(2)).unwrap();
    assert_eq!(end_of(&mut stream).await, Code::PermissionDenied);
    assert_eq!(end_of(&mut shop.subscribe().await).await, Code::PermissionDenied);
    let mut stream = shop.subscribe().await;
    shop.publish("CCCC").await;
    in_time(stream.next()).await.unwrap().unwrap().1.ack();
}

#[tokio::test]
async fn bad_input_is_refused_by_its_field() {
    let shop = Shop::open().await;
    let table = [
        ("/clock/advance", "", "`by` is missing"),
        ("/clock/advance", r#"{"by": "soon"}"#, "`by` must be"),
        ("/clock/advance", r#"{"by": 3600}"#, "`by` must be"),
        ("/clock/advance", r#"{"by": "-1h"}"#, "`by` must be"),
        ("/clock/advance", r#"{"by": "1000000h"}"#, "`by` must be"),
        ("/clock/advance?by=1h&within=1h", "", "`within` must be"),
        ("/clock/advance?by=1h&whence=now", "", "`whence` is no field"),
        ("/clock/advance", "[1]", "The body must be an object"),
        ("/clock/advance", "{", "The body is not JSON"),
        ("/faults", "", "The body must be a JSON list"),
        ("/faults", r#"[{"method": "Publish", "kind": "status", "code": "MAYBE"}]"#, "fault 0: `code`"),
        ("/faults", r#"{"kind": "delay", "delay": "1s"}"#, "`method` is missing"),
    ];
    for (path, body, why) in table {
        let (status, answer) = shop.call(Method::POST, path, body).await;
        assert!(status == 400 && answer["error"]["message"].as_str().unwrap().starts_with(why), "{path} {body}: {status} {answer}");
    }
    assert_eq!(shop.call(Method::GET, "/reset", "").await.0, 404);
    assert!(shop.emulator.inject(Fault::status("Publish", "OK")).unwrap_err().is_invalid_input());
    assert!(shop.emulator.inject(Fault::drop_after_commit("Publish").probability(2.0, 1)).unwrap_err().is_invalid_input());
    assert!(shop.emulator.advance(Duration::MAX).await.unwrap_err().is_invalid_input());
    let clock = shop.ok(Method::GET, "/clock", json!({})).await;
    assert_eq!(clock["ahead"], "0s", "what is refused moves nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grants_for_dead_letters_can_be_required() {
    let shop = Shop::open().await;
    for (topic, subscription) in [("orders", "billing"), ("dead", "graves")] {
        let (topic, mut settings) = (format!("projects/p/topics/{topic}"), json!({}));
        shop.ok(Method::PUT, &format!("/v1/{topic}"), json!({})).await;
        settings["topic"] = json!(topic);
        shop.ok(Method::PUT, &format!("/v1/projects/p/subscriptions/{subscription}"), settings).await;
    }
    let policy = json!({"deadLetterTopic": "projects/p/topics/dead", "maxDeliveryAttempts": 5});
    let update = json!({"subscription": {"deadLetterPolicy": policy}, "updateMask": "deadLetterPolicy"});
    shop.ok(Method::PATCH, &format!("/v1/{SUBSCRIPTION}"), update).await;
    assert_eq!(shop.ok(Method::PUT, "/dead-letter-grants", json!({"required": true})).await, json!({"required": true}));
    assert_eq!(shop.publish("AAAA").await.0, 200);
    for attempt in 1..=7 {
        let received = shop.pull().await;
        assert_eq!(received[0]["deliveryAttempt"], attempt, "it comes again and again");
        let nack = json!({"ackIds": [received[0]["ackId"]], "ackDeadlineSeconds": 0});
        shop.ok(Method::POST, &format!("/v1/{SUBSCRIPTION}:modifyAckDeadline"), nack).await;
    }
    for wrong in ["", "{}", "[]", "{\"required\": 1}"] {
        assert_eq!(shop.call(Method::PUT, "/dead-letter-grants", wrong).await.0, 400, "{wrong}");
    }
    shop.emulator.reset().await.unwrap();
    assert_eq!(shop.ok(Method::GET, "/dead-letter-grants", json!(null)).await, json!({"required": false}));
    let strict = Emulator::builder().require_dead_letter_grants().start().await.unwrap();
    strict.reset().await.unwrap();
    let asked = shop.http.get(format!("http://{}/dead-letter-grants", strict.address())).send();
    assert_eq!(
        in_time(asked).await.unwrap().json::<Value>().await.unwrap(),
        json!({"required": true}),
        "from the start, so after a reset too"
    );
}
