//! Tasks over Pub/Sub: a topic for each, one endpoint, the name in the payload. There is no package of this design to work beside: its wire format is looked at.

use std::sync::Mutex;
use std::time::Duration;

use redrive::runtime::{Compat, Context, Outcome, Task, done};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::{Served, World, eventually};

type Log = Mutex<Vec<String>>;

#[derive(Serialize, Deserialize)]
struct SendWelcome {
    user_id: u64,
}

impl Task<Log> for SendWelcome {
    const NAME: &'static str = "send_Welcome";

    async fn run(self, cx: Context<Log>) -> Outcome {
        let parent = cx.header("traceparent").unwrap_or("-").to_owned();
        let mut log = cx.state().lock().unwrap();
        log.push(format!("{} {parent}", self.user_id));
        if self.user_id == 9 && log.len() < 3 { Err("not yet".into()) } else { done() }
    }
}

#[tokio::test]
async fn a_task_goes_through_its_topic_to_the_one_endpoint() {
    let world = World::start("").await;
    let make = |url: &str| {
        let app = world.app(Log::default(), url).named("shop").environment("prod").compat(Compat::SingleEndpoint);
        app.task::<SendWelcome>().provisions_at_start()
    };
    let (app, served) = Served::start(make).await;
    let topic: redrive::names::TopicName = "projects/shop/topics/prod-shop-tasks-send-welcome".parse().unwrap();
    let subscribed = async || (world.ops.subscriptions().await.unwrap().items.len() == 1).then_some(());
    eventually("it is provisioned when it starts", subscribed).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/v1/projects/shop/subscriptions/held", world.emulator.address());
    assert!(http.put(url).json(&json!({ "topic": topic.to_string() })).send().await.unwrap().status().is_success());

    let taken = SendWelcome { user_id: 7 }.enqueue(&app).header("traceparent", "00-a-b-01").send().await.unwrap();
    assert_eq!(taken.queue, None);
    eventually("it is done", async || (*app.state().lock().unwrap() == ["7 00-a-b-01"]).then_some(())).await;
    let held = "projects/shop/subscriptions/held".parse().unwrap();
    let message = world.cloud().pull(&held, 1, Duration::ZERO).await.unwrap().messages.remove(0).message;
    assert_eq!(message.id, taken.id);
    let body: Value = serde_json::from_slice(&message.data).unwrap();
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["task_id", "task_name", "args", "kwargs", "enqueued_at"]);
    assert_eq!((&body["task_name"], &body["args"], &body["kwargs"]), (&json!("send_Welcome"), &json!([]), &json!({ "user_id": 7 })));
    let id: Vec<usize> = body["task_id"].as_str().unwrap().split('-').map(str::len).collect();
    assert_eq!(id, [8, 4, 4, 4, 12], "a UUID: {body}");
    assert!(body["enqueued_at"].as_str().unwrap().ends_with("+00:00"), "{body}");

    // What fails comes again; what can never work is 400, and another path is none.
    SendWelcome { user_id: 9 }.asap(&app).await.unwrap();
    eventually("the first attempt", async || (app.state().lock().unwrap().len() == 2).then_some(())).await;
    world.emulator.advance(Duration::from_mins(1)).await.unwrap();
    eventually("the second", async || (app.state().lock().unwrap().len() == 3).then_some(())).await;
    let post = async |path: &str, data: &str| {
        let data = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, data);
        let body = json!({ "message": { "data": data, "messageId": "1" }, "subscription": "projects/shop/subscriptions/sub" });
        http.post(format!("{}{path}", served.url)).json(&body).send().await.unwrap().status().as_u16()
    };
    assert_eq!(post("/tasks/pubsub/", r#"{"task_name": "send_Welcome", "kwargs": {"user_id": 1}}"#).await, 204);
    for never in [r#"{"task_name": "nobody"}"#, r#"{"task_name": "send_Welcome", "kwargs": {}}"#, "[]", "x"] {
        assert_eq!(post("/tasks/pubsub/", never).await, 400, "{never}");
    }
    assert_eq!(post("/tasks/send_Welcome", "{}").await, 404, "no name is in a URL");
    served.stop().await;
}
