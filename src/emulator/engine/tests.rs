use std::time::Duration;

use super::*;
use crate::emulator::state::saved::Writer;
use crate::emulator::state::target::HttpTarget;
use crate::emulator::state::{Code, Record, Tick, tasks};

/// A command of which a test says what it does.
struct Do<F>(F);

impl<F: Send + 'static> Record for Do<F> {
    const NUMBER: Option<u16> = None;

    fn write(&self, _to: &mut Writer) {}
}

impl<T: Send + 'static, F: FnOnce(&mut State, Moment, &mut Effects) -> Result<T, Refusal> + Send + 'static> Command for Do<F> {
    type Reply = T;

    fn apply(self, state: &mut State, at: Moment, out: &mut Effects) -> Result<T, Refusal> {
        (self.0)(state, at, out)
    }
}

fn effect(engine: &Engine, effect: Effect) {
    engine
        .run_now(Do(|_: &mut State, _, out: &mut Effects| {
            out.list.push(effect);
            Ok(())
        }))
        .unwrap();
}

#[tokio::test]
async fn a_ring_between_registration_and_wait_is_not_lost() {
    let (engine, _calls) = Engine::start(1);
    let mut waiter = engine.waiter("projects/p/subscriptions/s");
    effect(&engine, Effect::Ready("projects/p/subscriptions/s".into()));
    assert_eq!(waiter.wait().await, Wake::Ready);
    let silent = tokio::time::timeout(Duration::from_millis(20), waiter.wait()).await;
    assert!(silent.is_err(), "one ring wakes once");
}

#[tokio::test]
async fn everyone_who_waits_is_woken_and_nobody_else() {
    let (engine, _calls) = Engine::start(1);
    let (mut one, mut two, mut other) = (engine.waiter("a"), engine.waiter("a"), engine.waiter("b"));
    effect(&engine, Effect::Ready("a".into()));
    assert_eq!((one.wait().await, two.wait().await), (Wake::Ready, Wake::Ready));
    assert!(tokio::time::timeout(Duration::from_millis(20), other.wait()).await.is_err());
}

#[tokio::test]
async fn closing_ends_waits_and_leaves_a_new_subscription_of_the_name_alone() {
    let (engine, _calls) = Engine::start(1);
    let mut old = engine.waiter("a");
    effect(&engine, Effect::Closed("a".into()));
    let mut new = engine.waiter("a");
    assert_eq!(old.wait().await, Wake::Closed);
    drop(old);
    effect(&engine, Effect::Ready("a".into()));
    assert_eq!(new.wait().await, Wake::Ready);
    assert_eq!(engine.waited_on(), 1);
    drop(new);
    assert_eq!(engine.waited_on(), 0, "a subscription nobody waits on costs nothing");
}

#[tokio::test]
async fn shutting_down_ends_waits() {
    let (engine, _calls) = Engine::start(1);
    let mut waiter = engine.waiter("a");
    let task = tokio::spawn(async move { waiter.wait().await });
    engine.shut_down();
    assert_eq!(task.await.unwrap(), Wake::Shutdown);
    engine.shutting_down().await;
}

#[tokio::test]
async fn calls_are_queued_and_refusals_come_back() {
    let (engine, mut calls) = Engine::start(1);
    let call = HttpCall {
        caller: crate::emulator::state::Caller::Job { job: "j".into(), attempt: 1 },
        method: "GET",
        url: "http://localhost/".into(),
        headers: Vec::new(),
        body: bytes::Bytes::new(),
        timeout: Duration::from_secs(1),
        token: None,
    };
    effect(&engine, Effect::Send(call));
    assert_eq!(calls.recv().await.unwrap().1.url, "http://localhost/");
    let refused = engine.run_now(Do(|_: &mut State, _, _: &mut Effects| Err::<(), _>(Refusal::not_found("no"))));
    assert_eq!(refused.unwrap_err().code, Code::NotFound);
}

#[tokio::test]
async fn a_panicking_command_leaves_the_engine_usable() {
    let (engine, _calls) = Engine::start(1);
    let broken = engine.clone();
    let result = tokio::task::spawn_blocking(move || {
        broken.run_now(Do(|_: &mut State, _, _: &mut Effects| -> Result<(), Refusal> { panic!("a defect") }))
    });
    assert!(result.await.is_err());
    engine.run(Tick).await.unwrap();
}

#[tokio::test]
async fn time_never_goes_back_and_can_be_advanced() {
    let (engine, _calls) = Engine::start(1);
    let before = engine.now();
    engine.advance(SignedDuration::from_hours(1));
    let after = engine.now();
    assert!(after.duration_since(before) >= SignedDuration::from_hours(1));
    engine.advance(SignedDuration::from_hours(-1));
    assert!(engine.now() >= after);
}

#[tokio::test]
async fn seeds_differ_and_replay_from_the_start_seed() {
    let seeds = |start| {
        let (engine, _calls) = Engine::start(start);
        (0..100).map(|_| engine.run_now(Do(|_: &mut State, at: Moment, _: &mut Effects| Ok(at.seed))).unwrap()).collect::<Vec<_>>()
    };
    let (one, again, two) = (seeds(1), seeds(1), seeds(1 << 40));
    assert_eq!(one, again);
    let all: std::collections::HashSet<_> = one.iter().chain(&two).collect();
    assert_eq!(all.len(), 200);
}

const QUEUE: &str = "projects/p/locations/l/queues/q";

fn task_in(engine: &Engine, delay: SignedDuration) {
    let target = tasks::Target::Http(HttpTarget { url: "http://localhost/".into(), ..HttpTarget::default() });
    let draft = tasks::TaskDraft { target: Some(target), schedule_time: Some(engine.now() + delay), ..Default::default() };
    engine.run_now(tasks::CreateTask { queue: QUEUE.parse().unwrap(), draft }).unwrap();
}

#[tokio::test]
async fn the_timer_wakes_when_something_falls_due_and_not_before() {
    let (engine, mut calls) = Engine::start(1);
    engine.run(tasks::CreateQueue { name: QUEUE.parse().unwrap(), draft: tasks::QueueDraft::default() }).await.unwrap();
    task_in(&engine, SignedDuration::from_hours(1));
    let quiet = engine.0.commands.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(engine.0.commands.load(Ordering::Relaxed), quiet, "the timer does not poll");
    // Due earlier than what the timer waits for: it is armed anew.
    task_in(&engine, SignedDuration::from_millis(50));
    let due = engine.now() + SignedDuration::from_millis(40);
    tokio::time::timeout(Duration::from_secs(5), calls.recv()).await.expect("the task falls due").unwrap();
    assert!(engine.now() >= due);
    assert!(calls.try_recv().is_err());
    let ticks = engine.0.commands.load(Ordering::Relaxed) - quiet;
    assert!(ticks < 10, "one command and a tick or two, not {ticks}");
    engine.advance(SignedDuration::from_hours(2));
    tokio::time::timeout(Duration::from_secs(5), calls.recv()).await.expect("the clock was moved").unwrap();
}

#[tokio::test]
async fn moving_the_clock_waits_for_calls_and_says_which() {
    let (engine, mut calls) = Engine::start(1);
    engine.run(tasks::CreateQueue { name: QUEUE.parse().unwrap(), draft: tasks::QueueDraft::default() }).await.unwrap();
    task_in(&engine, SignedDuration::from_hours(1));
    let before = engine.now();
    let stuck = engine.fast_forward(SignedDuration::from_hours(2), Duration::from_millis(50)).await.unwrap_err();
    let Stuck::UnderWay { calls: open, count: 1, now } = stuck else { panic!("{stuck:?}") };
    assert_eq!(open, ["POST http://localhost/"]);
    assert!(now < before + SignedDuration::from_hours(2), "it stays where it has got");
    let (_, call) = calls.recv().await.unwrap();
    let moving = tokio::spawn({
        let engine = engine.clone();
        async move { engine.fast_forward(SignedDuration::from_hours(1), Duration::from_secs(10)).await }
    });
    let open = engine.begin(&call.caller);
    engine
        .run(crate::emulator::state::Answered { caller: call.caller, answer: crate::emulator::state::Answer::Status(200) })
        .await
        .unwrap();
    drop(open);
    assert!(moving.await.unwrap().unwrap() >= before + SignedDuration::from_hours(2));
}

#[tokio::test]
async fn a_reset_ends_waits_outdates_calls_and_puts_the_clock_back() {
    let (engine, mut calls) = Engine::start(1);
    let before = engine.now();
    engine.run(tasks::CreateQueue { name: QUEUE.parse().unwrap(), draft: tasks::QueueDraft::default() }).await.unwrap();
    task_in(&engine, SignedDuration::from_hours(1));
    let moving = tokio::spawn({
        let engine = engine.clone();
        async move { engine.fast_forward(SignedDuration::from_hours(2), Duration::from_secs(10)).await }
    });
    let (epoch, _) = tokio::time::timeout(Duration::from_secs(5), calls.recv()).await.unwrap().unwrap();
    let mut waiter = engine.waiter("a");
    assert!(!waiter.is_outdated());
    engine.reset().await.unwrap();
    assert!(waiter.is_outdated());
    assert_eq!(waiter.wait().await, Wake::Reset);
    engine.reset_since(epoch).await;
    assert_eq!(moving.await.unwrap(), Err(Stuck::Reset));
    assert!(engine.now() < before + SignedDuration::from_hours(1) && engine.ahead().is_zero());
    assert_eq!(engine.read(|state, _| state.next_due()), None);
    let far = engine.fast_forward(SignedDuration::MAX, Duration::from_secs(1)).await;
    assert_eq!(far, Err(Stuck::TooFar));
}
