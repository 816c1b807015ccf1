//! Each kind of failure by each door (the admin endpoint, the Rust API) on each transport (REST, gRPC), with clients that do not try again.

use redrive::emulator::Fault;
use tonic::Code as Grpc;

use super::*;
use crate::stress::rpc_server::{pb, rpc};

const DELAY: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Door {
    Admin,
    Rust,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Transport {
    Rest,
    Grpc,
}

/// What the caller of a request gets.
#[derive(Debug, PartialEq)]
enum Got {
    Ok,
    /// The name of the code, and the text.
    Status(String, String),
    /// No answer: the connection broke.
    Nothing,
}

impl Shop {
    /// Injects the same fault by one door or the other; both list it alike.
    async fn inject(&self, door: Door, json: Value, fault: Fault) {
        match door {
            Door::Admin => drop(self.ok(Method::POST, "/faults", json!([json])).await),
            Door::Rust => self.emulator.inject(fault).unwrap(),
        }
        let listed = self.ok(Method::GET, "/faults", json!({})).await;
        for (field, value) in json.as_object().unwrap().iter().filter(|(field, _)| *field != "delay") {
            assert_eq!(listed[0][field], *value, "{field} of {listed}");
        }
    }

    /// Publishes once.
    async fn publish_by(&self, transport: Transport) -> Got {
        match transport {
            Transport::Rest => {
                let body = json!({"messages": [{"data": "AAAA"}]}).to_string();
                let Ok(answer) = in_time(self.http.post(format!("{}/v1/{TOPIC}:publish", self.url())).body(body).send()).await else {
                    return Got::Nothing;
                };
                let error = answer.json::<Value>().await.unwrap()["error"].take();
                let text = |field: &str| error[field].as_str().unwrap().to_owned();
                if error.is_null() { Got::Ok } else { Got::Status(text("status"), text("message")) }
            }
            Transport::Grpc => {
                let client = rpc::Client::connect(&self.emulator.address().to_string()).await.unwrap();
                let message = pb::PubsubMessage { data: "x".into(), ..Default::default() };
                let request = pb::PublishRequest { topic: TOPIC.into(), messages: vec![message] };
                match in_time(client.call::<_, pb::PublishResponse>("/google.pubsub.v1.Publisher/Publish", request)).await {
                    Ok(_) => Got::Ok,
                    // What the client says of a connection is told apart from what the emulator says by its words.
                    Err(status) if !status.message().starts_with("An injected") && status.code() == Grpc::Unavailable => Got::Nothing,
                    Err(status) => Got::Status(code_name(status.code()), status.message().to_owned()),
                }
            }
        }
    }
}

fn code_name(code: Grpc) -> String {
    match code {
        Grpc::ResourceExhausted => "RESOURCE_EXHAUSTED".to_owned(),
        Grpc::DeadlineExceeded => "DEADLINE_EXCEEDED".to_owned(),
        other => panic!("{other:?} is injected by none of these tests"),
    }
}

/// The kinds for single calls: the fault by each door, what its caller gets, and how many messages are there afterwards.
fn kinds() -> Vec<(Value, Fault, Got, usize)> {
    let status = |code: &str, text: &str| Got::Status(code.to_owned(), text.to_owned());
    vec![
        (
            json!({"method": "Publish", "kind": "status", "code": "RESOURCE_EXHAUSTED", "message": "too much", "times": 1}),
            Fault::status("Publish", "RESOURCE_EXHAUSTED").message("too much").times(1),
            status("RESOURCE_EXHAUSTED", "too much"),
            0,
        ),
        (
            json!({"method": "Publish", "kind": "delay", "delay": format!("{}ms", DELAY.as_millis()), "times": 1}),
            Fault::delay("Publish", DELAY).times(1),
            Got::Ok,
            1,
        ),
        (
            json!({"method": "Publish", "kind": "drop-after-commit", "code": "DEADLINE_EXCEEDED", "times": 1}),
            Fault::drop_after_commit("Publish").code("DEADLINE_EXCEEDED").times(1),
            status("DEADLINE_EXCEEDED", "An injected fault dropped the answer; the request took effect."),
            1,
        ),
        (json!({"method": "Publish", "kind": "drop-connection", "times": 1}), Fault::drop_connection("Publish").times(1), Got::Nothing, 1),
    ]
}

#[tokio::test]
async fn each_kind_strikes_by_each_door_on_each_transport() {
    let shop = Shop::with_billing().await;
    for door in [Door::Admin, Door::Rust] {
        for transport in [Transport::Rest, Transport::Grpc] {
            for (json, fault, expected, effects) in kinds() {
                let case = format!("{door:?} {transport:?} {json}");
                shop.inject(door, json.clone(), fault).await;
                let start = Instant::now();
                assert_eq!(shop.publish_by(transport).await, expected, "{case}");
                let waited = start.elapsed() >= DELAY;
                assert!(waited || json["kind"] != "delay", "{case}");
                assert_eq!(shop.pull().await.len(), effects, "{case}: what took effect");
                assert_eq!(shop.ok(Method::GET, "/faults", json!({})).await[0]["hits"], 1, "{case}");
                assert_eq!(shop.publish_by(transport).await, Got::Ok, "{case}: once");
                assert_eq!(shop.pull().await.len(), 1, "{case}");
                shop.ok(Method::DELETE, "/faults", json!({})).await;
            }
        }
    }
}

#[tokio::test]
async fn streams_are_closed_by_either_door() {
    let shop = Shop::with_billing().await;
    for door in [Door::Admin, Door::Rust] {
        let mut stream = shop.subscribe().await;
        shop.publish("AAAA").await;
        in_time(stream.next()).await.unwrap().unwrap().1.ack();
        let json = json!({"method": "StreamingPull", "kind": "close-stream", "code": "PERMISSION_DENIED", "times": 1});
        shop.inject(door, json, Fault::close_stream("PERMISSION_DENIED").times(1)).await;
        assert_eq!(end_of(&mut stream).await, Code::PermissionDenied, "{door:?}");
        shop.ok(Method::DELETE, "/faults", json!({})).await;
    }
}

#[tokio::test]
async fn every_service_can_be_struck_by_the_name_of_a_method() {
    let shop = Shop::open().await;
    shop.tasks().await;
    let job = json!({"name": format!("{LOCATION}/jobs/j"), "schedule": "0 3 * * *", "httpTarget": {"uri": "http://127.0.0.1:1/"}});
    let schema = json!({"type": "AVRO", "definition": "{\"type\": \"record\", \"name\": \"O\", \"fields\": []}"});
    let due = (shop.emulator.now() + HOUR).to_string();
    let task = json!({"task": {"name": format!("{QUEUE}/tasks/t"), "scheduleTime": due, "httpRequest": {"url": "http://127.0.0.1:1/"}}});
    let calls = [
        ("google.cloud.tasks.v2.CloudTasks/CreateTask", format!("/v2/{QUEUE}/tasks"), task),
        ("google.cloud.scheduler.v1.CloudScheduler/CreateJob", format!("/v1/{LOCATION}/jobs"), job),
        ("google.pubsub.v1.SchemaService/CreateSchema", "/v1/projects/p/schemas?schemaId=order".to_owned(), schema),
    ];
    for (method, path, body) in calls {
        let faults = json!([
            {"method": method, "kind": "status", "code": "UNAVAILABLE", "times": 1},
            {"method": method, "kind": "drop-after-commit", "times": 1},
        ]);
        shop.ok(Method::POST, "/faults", faults).await;
        let body = body.to_string();
        assert_eq!(shop.call(Method::POST, &path, &body).await.0, 503, "{method}: refused, and nothing is made");
        assert_eq!(shop.call(Method::POST, &path, &body).await.0, 503, "{method}: made, and the answer is lost");
        let (status, again) = shop.call(Method::POST, &path, &body).await;
        assert_eq!((status, &again["error"]["status"]), (409, &json!("ALREADY_EXISTS")), "{method}: {again}");
        shop.ok(Method::DELETE, "/faults", json!({})).await;
    }
}

#[tokio::test]
async fn what_falls_due_causes_more_and_all_of_it_is_answered() {
    let shop = Shop::open().await;
    let (dead_url, dead) = handler().await;
    let failures = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&failures);
    let router = Router::new().fallback(async move || {
        counted.fetch_add(1, Ordering::SeqCst);
        axum::http::StatusCode::INTERNAL_SERVER_ERROR
    });
    let url = format!("http://{}/", serve(router).await);
    for id in ["orders", "graves"] {
        shop.ok(Method::PUT, &format!("/v1/projects/p/topics/{id}"), json!({})).await;
    }
    let policy = json!({"deadLetterTopic": "projects/p/topics/graves", "maxDeliveryAttempts": 5});
    let retry = json!({"minimumBackoff": "60s", "maximumBackoff": "60s"});
    let failing = json!({"topic": TOPIC, "pushConfig": {"pushEndpoint": url}, "deadLetterPolicy": policy, "retryPolicy": retry});
    shop.ok(Method::PUT, &format!("/v1/{SUBSCRIPTION}"), failing).await;
    let buried = json!({"topic": "projects/p/topics/graves", "pushConfig": {"pushEndpoint": dead_url}});
    shop.ok(Method::PUT, "/v1/projects/p/subscriptions/buried", buried).await;
    let target = json!({"topicName": TOPIC, "data": "AAAA"});
    let job = json!({"name": format!("{LOCATION}/jobs/daily"), "schedule": "0 0 * * *", "timeZone": "UTC", "pubsubTarget": target});
    shop.ok(Method::POST, &format!("/v1/{LOCATION}/jobs"), job).await;
    // The job publishes, the push fails, is tried again, is given up, and the dead letter is pushed elsewhere: within one call.
    shop.ok(Method::POST, "/clock/advance?by=25h", json!({})).await;
    let runs = dead.load(Ordering::SeqCst);
    assert!((1..=2).contains(&runs), "one midnight, or two: {runs}");
    assert_eq!(failures.load(Ordering::SeqCst), 5 * runs);
}
