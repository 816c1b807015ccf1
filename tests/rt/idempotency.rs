//! Work is done once, by a store of the service's own.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use redrive::runtime::{
    App, Begun, Context, Failure, Idempotency, IdempotencyStore, Outcome, Received, Subscriber, Subscription, Task, done,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tower::ServiceExt as _;

use crate::support::alone;

/// Who holds a key, and whether its work is done.
type Rows = HashMap<String, (String, bool)>;

/// A table as a database has it; it can be out of reach.
#[derive(Default)]
struct Table {
    rows: Mutex<Rows>,
    is_down: AtomicBool,
}

impl Table {
    fn rows(&self) -> Result<std::sync::MutexGuard<'_, Rows>, Failure> {
        if self.is_down.load(SeqCst) { Err("no database".into()) } else { Ok(self.rows.lock().unwrap()) }
    }
}

/// Shared by the state and what works once.
#[derive(Clone, Default)]
struct Store(std::sync::Arc<Table>);

impl IdempotencyStore for Store {
    async fn begin(&self, key: &str, token: &str, _: Duration) -> Result<Begun, Failure> {
        let mut rows = self.0.rows()?;
        Ok(match rows.get(key) {
            None => {
                rows.insert(key.to_owned(), (token.to_owned(), false));
                Begun::First
            }
            Some((_, false)) => Begun::Running,
            Some((_, true)) => Begun::Done,
        })
    }

    async fn done(&self, key: &str, token: &str, _: Duration) -> Result<(), Failure> {
        if let Some(row) = self.0.rows()?.get_mut(key).filter(|(of, _)| of == token) {
            row.1 = true;
        }
        Ok(())
    }

    async fn abandon(&self, key: &str, token: &str) -> Result<(), Failure> {
        self.0.rows()?.retain(|of, (by, is_done)| of != key || by != token || *is_done);
        Ok(())
    }
}

struct Shop {
    store: Store,
    once: Idempotency<Store>,
    charged: AtomicU32,
}

async fn charge(cx: &Context<Shop>) -> Outcome {
    let work = async {
        cx.state().charged.fetch_add(1, SeqCst);
        done()
    };
    cx.state().once.run(cx, work).await
}

#[derive(Serialize, Deserialize)]
struct Charge;

impl Task<Shop> for Charge {
    const NAME: &'static str = "Charge";

    async fn run(self, cx: Context<Shop>) -> Outcome {
        charge(&cx).await
    }
}

struct Billing;

impl Subscriber<Shop> for Billing {
    type Message = u64;
    const NAME: &'static str = "Billing";

    fn subscription() -> Subscription {
        Subscription::to("orders")
    }

    async fn run(_: Received<u64>, cx: Context<Shop>) -> Outcome {
        charge(&cx).await
    }
}

fn shop() -> App<Shop> {
    let store = Store::default();
    let state = Shop { once: Idempotency::new(store.clone()), store, charged: AtomicU32::new(0) };
    alone(state, "https://shop.example", None).task::<Charge>().subscriber::<Billing>().build().unwrap()
}

async fn send(app: &App<Shop>, request: Request<Full<Bytes>>) -> u16 {
    app.push().oneshot(request).await.unwrap().status().as_u16()
}

async fn task(app: &App<Shop>, queue: &str, name: &str) -> (u16, u32) {
    let request = Request::post("/tasks/Charge").header("x-cloudtasks-queuename", queue).header("x-cloudtasks-taskname", name);
    (send(app, request.body(Full::new("null".into())).unwrap()).await, app.state().charged.load(SeqCst))
}

async fn message(app: &App<Shop>, subscription: &str, id: &str, source: Option<&str>) -> (u16, u32) {
    let attributes = source.map_or_else(|| json!({}), |source| json!({ "redrive-source": source }));
    let message = json!({ "messageId": id, "data": STANDARD.encode("7"), "attributes": attributes });
    let body = json!({ "message": message, "subscription": format!("projects/shop/subscriptions/{subscription}") }).to_string();
    (send(app, Request::post("/subscriptions/Billing").body(Full::new(body.into())).unwrap()).await, app.state().charged.load(SeqCst))
}

#[tokio::test]
async fn tasks_and_messages_are_known_by_what_makes_two_deliveries_the_same() {
    let app = shop();
    // A task by its name within its queue.
    assert_eq!(task(&app, "q", "7").await, (200, 1));
    assert_eq!(task(&app, "q", "7").await, (200, 1));
    assert_eq!(task(&app, "q", "8").await, (200, 2));
    assert_eq!(task(&app, "other", "7").await, (200, 3));
    // A message by its id within its subscription, or by where it was redriven from.
    assert_eq!(message(&app, "aaa", "1", None).await, (200, 4));
    assert_eq!(message(&app, "aaa", "1", None).await, (200, 4));
    assert_eq!(message(&app, "bbb", "1", None).await, (200, 5));
    assert_eq!(message(&app, "aaa", "2", Some("held/9")).await, (200, 6));
    assert_eq!(message(&app, "aaa", "3", Some("held/9")).await, (200, 6), "a copy of the same dead letter");
    assert_eq!(app.state().store.0.rows().map(|rows| rows.len()).unwrap_or_default(), 6);
}

/// What cannot be remembered is not done: it comes again.
#[tokio::test]
async fn without_its_store_no_work_is_done() {
    let app = shop();
    app.state().store.0.is_down.store(true, SeqCst);
    assert_eq!(task(&app, "q", "7").await, (500, 0));
    app.state().store.0.is_down.store(false, SeqCst);
    assert_eq!(task(&app, "q", "7").await, (200, 1));
}
