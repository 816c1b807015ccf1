//! The sample shop, on an emulator of its own: what it promises to show is there within seconds, and a redrive is worth while.

use std::time::Duration;

use redrive::demo;
use redrive::emulator::Emulator;
use serde_json::{Value, json};
use tokio::time::Instant;

/// What the shop shows first is there within this time, also on a busy machine.
const SOON: Duration = Duration::from_secs(40);

struct Shop {
    emulator: Emulator,
    http: reqwest::Client,
}

impl Shop {
    async fn open() -> Self {
        let emulator = Emulator::builder().project("demo".parse().unwrap()).start().await.unwrap();
        Self { emulator, http: reqwest::Client::new() }
    }

    /// Runs the shop until `done`.
    async fn until(&self, done: impl Future<Output = ()>) {
        demo::run(&self.emulator.address().to_string(), self.emulator.project(), done).await.unwrap();
    }

    async fn get(&self, path: &str) -> Value {
        self.http.get(format!("http://{}{path}", self.emulator.address())).send().await.unwrap().json().await.unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.http.post(format!("http://{}{path}", self.emulator.address())).json(&body).send().await.unwrap().json().await.unwrap()
    }

    /// Takes messages of a subscription until there are `count`, without acknowledging.
    async fn pull(&self, subscription: &str, count: usize) -> Vec<Value> {
        let deadline = Instant::now() + SOON;
        let mut all = Vec::new();
        while all.len() < count {
            assert!(Instant::now() < deadline, "{subscription}: {} of {count}", all.len());
            let pulled = self.post(&format!("/v1/projects/demo/subscriptions/{subscription}:pull"), json!({ "maxMessages": 100 })).await;
            all.extend(pulled["receivedMessages"].as_array().cloned().unwrap_or_default());
        }
        all
    }

    async fn publish_again(&self, topic: &str, received: &[Value]) {
        let message = |received: &Value| {
            let error = received["message"]["attributes"]["error"].as_str().unwrap_or_default();
            json!({ "data": received["message"]["data"], "attributes": { "kind": "order", "error": error, "redrive-generation": "1" } })
        };
        let messages: Vec<_> = received.iter().map(message).collect();
        self.post(&format!("/v1/projects/demo/topics/{topic}:publish"), json!({ "messages": messages })).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_there_soon_with_three_causes_and_mostly_work_when_redriven() {
    let shop = Shop::open().await;
    shop.until(async {
        let held = shop.pull("orders-hold", 35).await;
        let count = |source: &str, error: &Value| {
            let of = |received: &&Value| {
                let attributes = &received["message"]["attributes"];
                attributes["CloudPubSubDeadLetterSourceSubscription"] == source && attributes["error"] == *error
            };
            held.iter().filter(of).count()
        };
        assert!(count("billing", &json!("missing field `customer.vat_id`")) >= 20);
        assert!(count("billing", &json!("card_declined")) >= 10);
        assert!(count("audit", &Value::Null) >= 5);

        // All of them once more: only some of the declined cards come back.
        shop.publish_again("orders", &held).await;
        let back = shop.pull("orders-hold", 1).await;
        for received in &back {
            let attributes = &received["message"]["attributes"];
            if attributes["redrive-generation"] == "1" {
                assert_eq!(attributes["error"], "card_declined");
            }
        }
        let mails = shop.pull("mail-hold", 12).await;
        assert_eq!(mails[0]["message"]["attributes"]["error"], "template `welcome-1` does not exist");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues_are_stuck_and_paused_and_jobs_fail_and_a_second_start_goes_on() {
    let shop = Shop::open().await;
    let look = async {
        let deadline = Instant::now() + SOON;
        loop {
            let queues = "/v2/projects/demo/locations/europe-west1/queues";
            let waiting = shop.get(&format!("{queues}/newsletters/tasks?pageSize=1000")).await["tasks"].as_array().map_or(0, Vec::len);
            let stuck = shop.get(&format!("{queues}/exports/tasks")).await;
            let tried = |task: &Value| task["lastAttempt"]["responseTime"].is_string();
            let tried = stuck["tasks"].as_array().is_some_and(|tasks| tasks.iter().any(tried));
            let job = shop.get("/v1/projects/demo/locations/europe-west1/jobs/inventory-sync").await;
            if waiting == 25 && tried && job["status"]["code"].as_i64() > Some(0) {
                assert_eq!(shop.get(&format!("{queues}/newsletters")).await["state"], "PAUSED");
                break;
            }
            assert!(Instant::now() < deadline, "{waiting} {stuck} {job}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    shop.until(look).await;
    let endpoint = async || {
        let billing = shop.get("/v1/projects/demo/subscriptions/billing").await;
        billing["pushConfig"]["pushEndpoint"].as_str().unwrap_or_default().to_owned()
    };
    let first = endpoint().await;
    let redirected = async {
        let deadline = Instant::now() + SOON;
        while endpoint().await == first {
            assert!(Instant::now() < deadline, "still {first}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    shop.until(redirected).await;
    assert!(first.starts_with("http://127.0.0.1:"), "{first}");
}

#[tokio::test]
async fn nobody_at_the_address_is_an_error() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let error = demo::run(&free, &"demo".parse().unwrap(), std::future::pending()).await.unwrap_err();
    assert!(error.to_string().starts_with("the sample shop cannot make topic `orders`: "), "{error}");
}
