//! Streaming pull: messages come, fail, wait, come back; streams break and fall silent.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use redrive::emulator::Fault;
use redrive::model::message::Draft;
use redrive::runtime::{App, Builder, Context, Outcome, PullFigures, Received, Subscriber, Subscription, Task, discard, done};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::support::{Served, World, eventually};

const SEED: &str = "topics: [{ name: shop--orders }, { name: shop--dead }]
subscriptions:
  - { name: shop--Billing, topic: shop--orders, dead_letter: { topic: shop--dead, max_attempts: 5 } }
  - { name: shop--Ledger, topic: shop--orders, ordered: true }
  - { name: shop--Exact, topic: shop--orders, exactly_once: true }
  - { name: shop--Hasty, topic: shop--orders }
  - { name: shop--Relay, topic: shop--orders }
  - { name: held, topic: shop--dead }";

/// What handlers saw, and what holds them up.
struct Bench {
    log: Mutex<Vec<String>>,
    gate: Semaphore,
    running: AtomicUsize,
    running_max: AtomicUsize,
}

impl Bench {
    /// With so many passes through the gate.
    fn new(passes: usize) -> Self {
        Self { log: Mutex::default(), gate: Semaphore::new(passes), running: AtomicUsize::new(0), running_max: AtomicUsize::new(0) }
    }
}

async fn work(message: &Received<u32>, cx: &Context<Bench>) -> Outcome {
    let bench = cx.state();
    let running = bench.running.fetch_add(1, SeqCst) + 1;
    bench.running_max.fetch_max(running, SeqCst);
    let pass = bench.gate.acquire().await;
    bench.running.fetch_sub(1, SeqCst);
    pass?.forget();
    bench.log.lock().unwrap().push(format!("{} {}", message.content, cx.attempt().number));
    match message.content {
        13 => Err("unlucky".into()),
        99 => discard("too many"),
        n if message.attribute("once").is_some()
            && bench.log.lock().unwrap().iter().filter(|line| line.starts_with(&format!("{n} "))).count() == 1 =>
        {
            Err("not at first".into())
        }
        _ => done(),
    }
}

macro_rules! subscriber {
    ($name:ident, $subscription:expr) => {
        struct $name;

        impl Subscriber<Bench> for $name {
            type Message = u32;
            const NAME: &'static str = stringify!($name);

            fn subscription() -> Subscription {
                $subscription
            }

            async fn run(message: Received<u32>, cx: Context<Bench>) -> Outcome {
                work(&message, &cx).await
            }
        }
    };
}

subscriber!(Billing, Subscription::to("orders").pulled().retries(5).dead_letters("dead").backoff(Duration::ZERO, Duration::ZERO));
subscriber!(Ledger, Subscription::to("orders").pulled().ordered());
subscriber!(Exact, Subscription::to("orders").pulled().exactly_once());
subscriber!(Hasty, Subscription::to("orders").handler_deadline(Duration::from_millis(50)).backoff(Duration::ZERO, Duration::ZERO));

/// Publishes what it gets once more.
struct Relay;

impl Subscriber<Bench> for Relay {
    type Message = u32;
    const NAME: &'static str = "Relay";

    fn subscription() -> Subscription {
        Subscription::to("orders")
    }

    async fn run(message: Received<u32>, cx: Context<Bench>) -> Outcome {
        cx.app().publish_to("dead", &message.content).await?;
        done()
    }
}

/// A task that waits for a pass as well.
#[derive(Serialize, Deserialize)]
struct Chore;

impl Task<Bench> for Chore {
    const NAME: &'static str = "Chore";

    async fn run(self, cx: Context<Bench>) -> Outcome {
        cx.state().running.fetch_add(1, SeqCst);
        cx.state().gate.acquire().await?.forget();
        cx.state().log.lock().unwrap().push("chore".to_owned());
        done()
    }
}

fn bench(world: &World, passes: usize) -> Builder<Bench> {
    let app = world.app(Bench::new(passes), "http://127.0.0.1:9").named("shop");
    app.subscriber::<Billing>().subscriber::<Ledger>().subscriber::<Exact>().subscriber::<Hasty>().subscriber::<Relay>()
}

async fn publish(world: &World, orders: &[u32], key: &str, attributes: &[(&str, &str)]) {
    let attributes =
        attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<std::collections::BTreeMap<_, _>>();
    let drafts: Vec<Draft> = orders
        .iter()
        .map(|order| Draft { data: order.to_string().into(), attributes: attributes.clone(), ordering_key: key.to_owned() })
        .collect();
    world.cloud().publish_once(&"projects/shop/topics/shop--orders".parse().unwrap(), &drafts).await.unwrap();
}

/// Returns what waits in a subscription, and leaves it there.
async fn waiting(world: &World, subscription: &str) -> usize {
    let name = format!("projects/shop/subscriptions/{subscription}").parse().unwrap();
    let pulled = world.cloud().pull(&name, 1000, Duration::ZERO).await.unwrap().messages;
    let ids: Vec<String> = pulled.into_iter().map(|received| received.ack_id).collect();
    world.cloud().modify_ack_deadline(&name, &ids, Duration::ZERO).await.unwrap();
    ids.len()
}

/// Waits until the figures of the only lane are as wanted.
async fn until(app: &App<Bench>, what: &str, wanted: impl Fn(&PullFigures) -> bool) -> PullFigures {
    eventually(what, async || app.pull_figures().into_values().next().filter(|figures| wanted(figures))).await
}

fn log(app: &App<Bench>) -> Vec<String> {
    app.state().log.lock().unwrap().clone()
}

#[tokio::test]
async fn messages_are_worked_on_and_acknowledged() {
    let world = World::start(SEED).await;
    let app = bench(&world, 1000).build().unwrap();
    let pulling = app.pull().only("Billing").start().unwrap();
    publish(&world, &[1, 2, 99], "", &[]).await;
    until(&app, "three acks", |figures| figures.acked == 3).await;
    publish(&world, &[3], "", &[("redrive-to", "shop--Ledger")]).await;
    publish(&world, &[4], "", &[("redrive-to", "shop--Billing")]).await;
    let figures = until(&app, "five acks", |figures| figures.acked == 5).await;
    assert_eq!((figures.nacked, figures.running, figures.stalls, figures.stuck), (0, 0, 0, 0));
    pulling.stop().await;
    let mut seen = log(&app);
    seen.sort();
    assert_eq!(seen, ["1 1", "2 1", "4 1", "99 1"], "3 is for another, and acknowledged without work");
    assert_eq!(waiting(&world, "shop--Billing").await, 0);
    assert!(app.pull().only("Nobody").start().is_err_and(|error| error.is_invalid_input()));
}

#[tokio::test]
async fn what_fails_comes_again_and_ends_as_a_dead_letter() {
    let world = World::start(SEED).await;
    let app = bench(&world, 1000).build().unwrap();
    let pulling = app.pull().only("Billing").start().unwrap();
    publish(&world, &[13], "", &[]).await;
    let topic = "projects/shop/topics/shop--orders".parse().unwrap();
    let broken = Draft { data: "no number".into(), ..Draft::default() };
    world.cloud().publish_once(&topic, &[broken]).await.unwrap();
    eventually("two dead letters", async || (waiting(&world, "held").await == 2).then_some(())).await;
    pulling.stop().await;
    assert_eq!(log(&app), ["13 1", "13 2", "13 3", "13 4", "13 5"], "what cannot be read reaches no handler");
}

#[tokio::test]
async fn no_more_is_under_way_than_there_are_places() {
    let world = World::start(SEED).await;
    let app = bench(&world, 0).build().unwrap();
    let pulling = app.pull().only("Billing").messages(3).stall_after(Duration::from_millis(200)).start().unwrap();
    publish(&world, &(100..120).collect::<Vec<_>>(), "", &[]).await;
    // The watchdog has spoken: all places have been taken for a while, and no more than these.
    let figures = until(&app, "the watchdog", |figures| figures.stuck >= 2).await;
    assert_eq!((figures.running, figures.stalls), (3, 0));
    app.state().gate.add_permits(1000);
    until(&app, "all acks", |figures| figures.acked == 20).await;
    pulling.stop().await;
    assert_eq!(app.state().running_max.load(SeqCst), 3);
}

#[tokio::test]
async fn at_the_end_handlers_may_finish_and_the_rest_is_given_back() {
    let world = World::start(SEED).await;
    let app = bench(&world, 0).build().unwrap();
    let pulling = app.pull().only("Billing").messages(2).start().unwrap();
    publish(&world, &[1, 2, 3], "", &[]).await;
    until(&app, "two handlers", |figures| figures.running == 2).await;
    let stopping = tokio::spawn(pulling.stop());
    app.state().gate.add_permits(2);
    stopping.await.unwrap();
    assert_eq!(log(&app).len(), 2, "what ran went to its end, and nothing new began");
    eventually("the third is given back", async || (waiting(&world, "shop--Billing").await == 1).then_some(())).await;

    let pulling = app.pull().only("Billing").drain(Duration::from_millis(100)).start().unwrap();
    until(&app, "a handler", |figures| figures.running == 1).await;
    pulling.stop().await;
    eventually("what did not end is given back", async || (waiting(&world, "shop--Billing").await == 1).then_some(())).await;
    assert_eq!(log(&app).len(), 2);
}

#[tokio::test]
async fn messages_of_a_key_keep_their_order_also_when_one_fails() {
    let world = World::start(SEED).await;
    let app = bench(&world, 1000).build().unwrap();
    publish(&world, &[1], "a", &[]).await;
    publish(&world, &[2], "a", &[("once", "")]).await;
    publish(&world, &[3, 4, 5], "a", &[]).await;
    publish(&world, &[7], "b", &[]).await;
    let pulling = app.pull().only("Ledger").start().unwrap();
    until(&app, "all acks", |figures| figures.acked == 6).await;
    pulling.stop().await;
    let of_a: Vec<String> = log(&app).into_iter().map(|line| line.split(' ').next().unwrap().to_owned()).filter(|n| n != "7").collect();
    assert_eq!(of_a, ["1", "2", "2", "3", "4", "5"], "nothing overtakes what failed");
}

#[tokio::test]
async fn exactly_once_is_confirmed() {
    let world = World::start(SEED).await;
    let app = bench(&world, 1000).build().unwrap();
    let pulling = app.pull().only("Exact").start().unwrap();
    publish(&world, &[1, 2, 3], "", &[]).await;
    let figures = until(&app, "all acks", |figures| figures.acked == 3).await;
    assert_eq!((figures.unconfirmed, figures.received), (0, 3));
    pulling.stop().await;
    assert_eq!(waiting(&world, "shop--Exact").await, 0);
}

#[tokio::test]
async fn a_silent_stream_with_a_backlog_is_noticed_and_replaced() {
    let world = World::start(SEED).await;
    let app = bench(&world, 1000).build().unwrap();
    // The first stream opens, and nothing comes.
    world.emulator.inject(Fault::delay("StreamingPull", Duration::from_mins(5)).times(1)).unwrap();
    publish(&world, &[1, 2], "", &[]).await;
    let pulling = app.pull().only("Billing").stall_after(Duration::from_millis(1500)).start().unwrap();
    let figures = until(&app, "acks in spite of the silence", |figures| figures.acked == 2).await;
    assert!(figures.stalls >= 1 && figures.reconnects >= 1, "{figures:?}");
    // Silence without a backlog is peace.
    let before = app.pull_figures()["Billing"].stalls;
    publish(&world, &[3], "", &[]).await;
    until(&app, "one more", |figures| figures.acked == 3).await;
    assert_eq!(app.pull_figures()["Billing"].stalls, before);
    pulling.stop().await;
}

#[tokio::test]
async fn a_stream_that_breaks_or_cannot_be_opened_yet_is_opened_anew() {
    let world = World::start("topics: [{ name: shop--orders }, { name: shop--dead }]").await;
    let app = bench(&world, 1000).build().unwrap();
    let pulling = app.pull().only("Billing").start().unwrap();
    until(&app, "an attempt without subscription", |figures| figures.reconnects >= 1).await;
    app.provision(false).await.unwrap();
    publish(&world, &[1], "", &[]).await;
    until(&app, "the first", |figures| figures.acked == 1).await;
    world.emulator.inject(Fault::close_stream("UNAVAILABLE").times(1)).unwrap();
    world.emulator.inject(Fault::close_stream("PERMISSION_DENIED").times(1)).unwrap();
    publish(&world, &[2], "", &[]).await;
    until(&app, "the second", |figures| figures.acked == 2).await;
    pulling.stop().await;
}

/// What is under way may fill the bytes before the places: that is no dead stream either.
#[tokio::test]
async fn at_the_limit_of_bytes_the_watchdog_speaks_up_and_lets_handlers_be() {
    let world = World::start(SEED).await;
    let app = bench(&world, 0).build().unwrap();
    let pulling = app.pull().only("Billing").bytes(3).stall_after(Duration::from_millis(200)).start().unwrap();
    publish(&world, &[111, 112, 113], "", &[]).await;
    let figures = until(&app, "the watchdog", |figures| figures.stuck >= 2).await;
    assert_eq!((figures.stalls, figures.reconnects), (0, 0));
    app.state().gate.add_permits(1000);
    until(&app, "all acks", |figures| figures.acked == 3).await;
    pulling.stop().await;
    let mut seen = log(&app);
    seen.sort();
    assert_eq!(seen, ["111 1", "112 1", "113 1"], "each once");
}

/// A stream may break under a handler; the handler knows nothing of it, and what it did counts.
#[tokio::test]
async fn handlers_outlive_their_stream() {
    let world = World::start(SEED).await;
    let app = bench(&world, 0).build().unwrap();
    let pulling = app.pull().only("Billing").drain(Duration::from_millis(50)).start().unwrap();
    publish(&world, &[1], "", &[]).await;
    until(&app, "a handler", |figures| figures.running == 1).await;
    world.emulator.inject(Fault::close_stream("PERMISSION_DENIED").times(1)).unwrap();
    publish(&world, &[2], "", &[]).await;
    until(&app, "another on a new stream", |figures| figures.reconnects == 1 && figures.running == 2).await;
    app.state().gate.add_permits(1000);
    until(&app, "both acks", |figures| figures.acked == 2).await;
    pulling.stop().await;
    let mut seen = log(&app);
    seen.sort();
    assert_eq!(seen, ["1 1", "2 1"]);
    assert_eq!(waiting(&world, "shop--Billing").await, 0);
}

#[tokio::test]
async fn a_handler_is_cut_off_when_its_lease_or_its_own_deadline_is_over() {
    let world = World::start(SEED).await;
    for (name, lease) in [("Ledger", Duration::from_millis(100)), ("Hasty", Duration::from_mins(5))] {
        let app = bench(&world, 0).build().unwrap();
        publish(&world, &[1], "", &[]).await;
        let pulling = app.pull().only(name).lease(lease).start().unwrap();
        until(&app, "two that were cut off", |figures| figures.nacked >= 2).await;
        app.state().gate.add_permits(1000);
        until(&app, "an ack", |figures| figures.acked >= 1).await;
        pulling.stop().await;
    }
}

/// What a lease is extended by is how long a message waits whose process has died, and what keeps it from others while the process is silent.
#[tokio::test]
async fn a_lease_lasts_as_long_as_it_is_extended_by() {
    for (extension, comes_again) in [(Duration::from_secs(10), true), (Duration::from_mins(10), false)] {
        let world = World::start(SEED).await;
        let app = bench(&world, 0).build().unwrap();
        let pulling = app.pull().only("Billing").extension(extension).start().unwrap();
        publish(&world, &[1], "", &[]).await;
        until(&app, "a handler", |figures| figures.running == 1).await;
        // Faster than the client could extend anything.
        world.emulator.advance(Duration::from_mins(1)).await.unwrap();
        publish(&world, &[2], "", &[]).await;
        // What comes again comes no later than what was published after it.
        let figures = until(&app, "the next", |figures| figures.received >= if comes_again { 3 } else { 2 }).await;
        assert_eq!(figures.received > 2, comes_again, "{extension:?}: {figures:?}");
        app.state().gate.add_permits(1000);
        pulling.stop().await;
    }
}

/// Pushed, the same deadline is answered as such.
#[tokio::test]
async fn a_pushed_message_has_its_handlers_deadline() {
    let world = World::start(SEED).await;
    let (_app, served) = Served::start(|url| world.app(Bench::new(0), url).named("shop").unauthenticated().subscriber::<Hasty>()).await;
    let body =
        serde_json::json!({ "message": { "messageId": "1", "data": "MQ==" }, "subscription": "projects/shop/subscriptions/shop--Hasty" });
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = http.post(format!("{}/subscriptions/Hasty", served.url)).json(&body).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 504);
    served.stop().await;
}

/// Ten seconds are for all: pushes and pulled messages come to their ends side by side.
#[tokio::test]
async fn a_stop_drains_pushes_and_pulled_messages_together() {
    let world = World::start(SEED).await;
    let make = |url: &str| world.app(Bench::new(0), url).named("shop").unauthenticated().task::<Chore>().subscriber::<Billing>();
    let (app, served) = Served::start(make).await;
    publish(&world, &[1], "", &[]).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let chore = tokio::spawn(http.post(format!("{}/tasks/Chore", served.url)).body("null").send());
    eventually("both under way", async || (app.state().running.load(SeqCst) == 2).then_some(())).await;
    let stopping = tokio::spawn(served.stop());
    publish(&world, &[2], "", &[]).await;
    app.state().gate.add_permits(2);
    assert_eq!(stopping.await.unwrap().cut_off, 0);
    assert_eq!(chore.await.unwrap().unwrap().status().as_u16(), 200);
    let mut seen = log(&app);
    seen.sort();
    assert!(seen.contains(&"1 1".to_owned()) && seen.contains(&"chore".to_owned()), "{seen:?}");
}

/// What a pulled message asks for has the handler as its parent in the trace.
#[tokio::test]
async fn a_pulled_message_is_a_hop_of_its_trace() {
    let world = World::start(SEED).await;
    let app = bench(&world, 0).build().unwrap();
    let pulling = app.pull().only("Relay").start().unwrap();
    let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    publish(&world, &[1], "", &[("traceparent", &format!("00-{trace}-{span}-01"))]).await;
    let held = "projects/shop/subscriptions/held".parse().unwrap();
    let relayed = eventually("what was relayed", async || world.cloud().pull(&held, 1, Duration::ZERO).await.unwrap().messages.pop()).await;
    let parent = &relayed.message.attributes["traceparent"];
    assert!(parent.starts_with(&format!("00-{trace}-")) && !parent.contains(span), "{parent}");
    pulling.stop().await;
}
