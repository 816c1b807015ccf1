//! What users write their own tests with.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use redrive::runtime::{Context, Message, Outcome, Received, Subscriber, Subscription, Task, done};
use serde::{Deserialize, Serialize};

#[derive(Default)]
struct Shop {
    mails: AtomicU32,
    bills: AtomicU32,
    nights: AtomicU32,
}

#[derive(Serialize, Deserialize)]
struct Welcome {
    user_id: u64,
}

impl Task<Shop> for Welcome {
    const NAME: &'static str = "Welcome";

    async fn run(self, cx: Context<Shop>) -> Outcome {
        cx.state().mails.fetch_add(1, SeqCst);
        cx.app().publisher::<OrderPlaced>().publish(OrderPlaced { order: self.user_id }).attribute("kind", "order").await?;
        done()
    }
}

#[derive(Serialize, Deserialize)]
struct Nightly;

impl Task<Shop> for Nightly {
    const NAME: &'static str = "Nightly";

    async fn run(self, cx: Context<Shop>) -> Outcome {
        assert!(cx.task().is_some_and(|task| task.job.is_some()), "{:?}", cx.origin());
        cx.state().nights.fetch_add(1, SeqCst);
        done()
    }
}

#[derive(Serialize, Deserialize)]
struct OrderPlaced {
    order: u64,
}

impl Message for OrderPlaced {
    const TOPIC: &'static str = "orders";
}

struct Billing;

impl Subscriber<Shop> for Billing {
    type Message = OrderPlaced;
    const NAME: &'static str = "Billing";

    fn subscription() -> Subscription {
        Subscription::to("orders").filter(r#"attributes.kind = "order""#)
    }

    async fn run(message: Received<OrderPlaced>, cx: Context<Shop>) -> Outcome {
        assert_eq!(message.order, 7);
        cx.state().bills.fetch_add(1, SeqCst);
        done()
    }
}

#[tokio::test]
async fn tasks_wait_until_the_test_lets_them_run() {
    let app = redrive::testing::app(Shop::default()).named("shop").task::<Welcome>().subscriber::<Billing>().start().await.unwrap();
    let user = |id| move |task: &Welcome| task.user_id == id;
    Welcome { user_id: 7 }.asap(&app).await.unwrap();
    Welcome { user_id: 8 }.later(&app, Duration::from_hours(1)).await.unwrap();
    let enqueued = app.enqueued::<Welcome>().await.unwrap();
    enqueued.expect(2);
    assert_eq!(enqueued.iter().next().unwrap().id, enqueued.expect_one(user(7)).id, "by when they are due");
    app.published::<OrderPlaced>().await.unwrap().expect_none();

    app.deliver().await.unwrap();
    app.enqueued::<Welcome>().await.unwrap().expect_one(user(8));
    let published = app.published::<OrderPlaced>().await.unwrap();
    assert_eq!(published.expect_one(|message| message.order == 7).attributes["kind"], "order");
    assert_eq!((app.state().mails.load(SeqCst), app.state().bills.load(SeqCst)), (1, 1));

    Welcome { user_id: 7 }.asap(&app).await.unwrap();
    app.enqueued::<Welcome>().await.unwrap().expect(2);
    app.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_clock_is_the_tests() {
    let app = redrive::testing::app(Shop::default())
        .named("shop")
        .task::<Nightly>()
        .periodic::<Nightly>("0 3 * * *", "Europe/Paris")
        .start()
        .await
        .unwrap();
    app.advance(Duration::from_hours(72)).await.unwrap();
    assert_eq!(app.state().nights.load(SeqCst), 3);
    assert!(app.enqueued::<Welcome>().await.err().unwrap().is_invalid_input(), "it is not registered");
    assert!(app.published::<OrderPlaced>().await.err().unwrap().hint().unwrap().contains("publishes"));
}
