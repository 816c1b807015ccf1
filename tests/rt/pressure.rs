//! Back-pressure: what an overloaded service refuses, and how those who call it slow down.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full, StreamBody};
use redrive::runtime::{App, Builder, Context, Outcome, Received, Subscriber, Subscription, Task, TaskOptions, done};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

use crate::support::{Served, World, alone, eventually};

/// Handlers wait for a pass.
type Gate = Arc<Semaphore>;

async fn pass(cx: &Context<Gate>) -> Outcome {
    cx.state().acquire().await?.forget();
    done()
}

/// One at a time.
#[derive(Serialize, Deserialize)]
struct Hold;

impl Task<Gate> for Hold {
    const NAME: &'static str = "Hold";

    fn options() -> TaskOptions {
        TaskOptions::new().concurrent(1)
    }

    async fn run(self, cx: Context<Gate>) -> Outcome {
        pass(&cx).await
    }
}

#[derive(Serialize, Deserialize)]
struct Fail;

impl Task<Gate> for Fail {
    const NAME: &'static str = "Fail";

    async fn run(self, _: Context<Gate>) -> Outcome {
        Err("broken".into())
    }
}

struct Sink;

impl Subscriber<Gate> for Sink {
    type Message = Value;
    const NAME: &'static str = "Sink";

    fn subscription() -> Subscription {
        Subscription::to("orders")
    }

    async fn run(_: Received<Value>, cx: Context<Gate>) -> Outcome {
        pass(&cx).await
    }
}

fn registered(builder: Builder<Gate>) -> Builder<Gate> {
    builder.task::<Hold>().task::<Fail>().subscriber::<Sink>().waits(Duration::ZERO)
}

/// A push of so many bytes in all.
fn envelope(bytes: usize) -> String {
    let text =
        |data: &str| json!({ "message": { "data": data, "messageId": "1" }, "subscription": "projects/p/subscriptions/sub" }).to_string();
    // `ICAg` is three spaces, and `MTEx` a number behind them.
    let data = "ICAg".repeat((bytes - text("MTEx").len()) / 4) + "MTEx";
    text(&data)
}

/// Sends a push; without its length beforehand it comes in parts.
fn push(app: &App<Gate>, body: String, is_announced: bool) -> tokio::task::JoinHandle<u16> {
    let app = app.clone();
    tokio::spawn(async move {
        let body = if is_announced {
            Full::new(Bytes::from(body)).boxed()
        } else {
            let parts: Vec<_> = body.as_bytes().chunks(1000).map(|part| Ok(http_body::Frame::data(Bytes::copy_from_slice(part)))).collect();
            StreamBody::new(futures_util::stream::iter(parts)).boxed()
        };
        app.push().oneshot(Request::post("/subscriptions/Sink").body(body).unwrap()).await.unwrap().status().as_u16()
    })
}

/// Few requests may be much: what their bodies take is limited beside their number.
#[tokio::test]
async fn beyond_the_memory_for_bodies_it_is_429_until_there_is_room() {
    let gate = Gate::new(Semaphore::new(0));
    let app = registered(alone(Arc::clone(&gate), "https://shop.example", None)).body_memory(10_000).build().unwrap();
    let held = async |bytes: usize| {
        eventually("bodies are held", async || (app.metrics().bodies.held == bytes).then_some(())).await;
    };
    let (large, small) = (envelope(6000), envelope(3000));
    let sum = large.len() + small.len();
    let first = [push(&app, large.clone(), true), push(&app, small.clone(), false)];
    held(sum).await;
    for is_announced in [true, false] {
        assert_eq!(push(&app, small.clone(), is_announced).await.unwrap(), 429);
    }
    let bodies = app.metrics().bodies;
    assert_eq!((bodies.limit, bodies.held, bodies.turned_away), (10_000, sum, 2));
    assert_eq!(app.metrics().all.turned_away, 0, "there are places");
    gate.add_permits(2);
    for answer in first {
        assert_eq!(answer.await.unwrap(), 200);
    }
    held(0).await;
    // One that is larger than all there may be gets through when it is alone.
    let alone = envelope(20_000);
    let bytes = alone.len();
    let answer = push(&app, alone, true);
    held(bytes).await;
    assert_eq!(push(&app, small, true).await.unwrap(), 429);
    gate.add_permits(1);
    assert_eq!(answer.await.unwrap(), 200);
}

/// A queue whose tasks are answered 429 is slowed down, as the runtime's documentation says; one whose tasks fail otherwise goes on at its own rate.
#[tokio::test(flavor = "multi_thread")]
async fn cloud_tasks_slows_a_queue_down_that_is_answered_429() {
    const TASKS: usize = 50;
    let retry = "retry: { max_attempts: -1, min_backoff: 1s, max_backoff: 1s }";
    let world =
        World::start(&format!("queues: [{{ name: busy, paused: true, {retry} }}, {{ name: broken, paused: true, {retry} }}]")).await;
    let gate = Gate::new(Semaphore::new(0));
    let (app, served) = Served::start(|url| registered(world.app(Arc::clone(&gate), url)).drain_time(Duration::from_mins(1))).await;
    // Who is there takes the only place, and goes on.
    let url = format!("{}/tasks/Hold", served.url);
    let holder = tokio::spawn(async move { reqwest::Client::new().post(url).body("null").send().await.unwrap().status().as_u16() });
    eventually("the place is taken", async || (app.metrics().handlers["task Hold"].in_flight == 1).then_some(())).await;
    for _ in 0..TASKS {
        Hold.enqueue(&app).queue("busy".parse().unwrap()).send().await.unwrap();
        Fail.enqueue(&app).queue("broken".parse().unwrap()).send().await.unwrap();
    }
    for queue in ["busy", "broken"] {
        world.ops.resume_queue(&crate::support::queue_name(queue)).await.unwrap();
    }
    world.emulator.advance(Duration::from_secs(30)).await.unwrap();
    let metrics = app.metrics();
    let (refused, failed) = (metrics.handlers["task Hold"].turned_away, metrics.handlers["task Fail"].admitted);
    // Fifty tasks, an attempt a second each, thirty seconds: 1,500, if nothing slows them down.
    assert!(failed >= 1000, "{failed}");
    assert!(refused >= TASKS as u64 && refused * 5 < failed, "{refused} of {failed}");
    world.ops.pause_queue(&crate::support::queue_name("broken")).await.unwrap();
    // None is lost by it: when there is room again all are done.
    gate.add_permits(TASKS + 1);
    assert_eq!(holder.await.unwrap(), 200);
    eventually("all are done", async || {
        world.emulator.advance(Duration::from_mins(1)).await.unwrap();
        world.tasks("busy").await.is_empty().then_some(())
    })
    .await;
    served.stop().await;
}
