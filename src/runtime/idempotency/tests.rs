//! Work that is asked for twice, crashes, and stores that forget.

use std::cell::Cell;

use super::*;
use crate::runtime::discard;

const LONG: Duration = Duration::from_hours(1);

fn once() -> Idempotency<MemoryStore> {
    Idempotency::new(MemoryStore::new(10))
}

#[tokio::test]
async fn what_is_done_is_not_done_again() {
    let (once, done_times) = (once(), Cell::new(0));
    let work = async |key: &str, outcome: fn() -> Outcome| {
        once.run_as(key, async {
            done_times.set(done_times.get() + 1);
            outcome()
        })
        .await
    };
    for _ in 0..3 {
        assert!(matches!(work("a", done).await, Ok(Verdict::Done(_))));
        assert!(matches!(work("b", || discard("never")).await, Ok(Verdict::Discard(_) | Verdict::Done(_))));
    }
    assert_eq!(done_times.get(), 2);
    assert!(work("c", || Err("no".into())).await.is_err());
    assert!(matches!(work("c", || retry("not yet")).await, Ok(Verdict::Retry { .. })));
    assert!(matches!(work("c", done).await, Ok(Verdict::Done(_))));
    assert_eq!(done_times.get(), 5, "what failed is tried again at once");
}

#[tokio::test]
async fn a_second_waits_for_the_first_and_takes_over_when_that_died() {
    let once = once().lease(LONG);
    let inner = once.run_as("a", async { once.run_as("a", async { unreachable!("the first is at it") }).await }).await;
    assert!(matches!(inner, Ok(Verdict::Retry { .. })), "{inner:?}");

    let short = Idempotency::new(MemoryStore::new(10)).lease(Duration::ZERO);
    let taken_over = short.run_as("a", async { short.run_as("a", async { discard("the second") }).await }).await;
    assert!(matches!(taken_over, Ok(Verdict::Discard(_))), "{taken_over:?}");
}

/// Between beginning and being done the process dies: the lease ends, and the work is done after all.
#[tokio::test]
async fn a_crash_in_between_is_made_good() {
    let store = MemoryStore::new(10);
    assert_eq!(store.begin("a", "dead", Duration::ZERO).await.unwrap(), Begun::First);
    assert_eq!(store.begin("a", "alive", LONG).await.unwrap(), Begun::First);
    store.done("a", "dead", LONG).await.unwrap();
    store.abandon("a", "dead").await.unwrap();
    assert_eq!(store.begin("a", "third", LONG).await.unwrap(), Begun::Running, "who comes back late changes nothing");
    store.done("a", "alive", LONG).await.unwrap();
    assert_eq!(store.begin("a", "third", LONG).await.unwrap(), Begun::Done);
    store.abandon("a", "alive").await.unwrap();
    assert_eq!(store.begin("a", "third", LONG).await.unwrap(), Begun::Done);
}

#[tokio::test]
async fn a_panic_gives_the_work_free() {
    let once = once();
    let panicked = AssertUnwindSafe(once.run_as("a", async { panic!("a defect") })).catch_unwind().await;
    assert!(panicked.is_err());
    assert!(matches!(once.run_as("a", async { done() }).await, Ok(Verdict::Done(_))));
    assert_eq!(once.store().begin("a", "x", LONG).await.unwrap(), Begun::Done);
}

#[tokio::test]
async fn memory_is_bounded_and_forgets_the_oldest_that_nobody_works_on() {
    let store = MemoryStore::new(3);
    store.begin("running", "t", LONG).await.unwrap();
    for key in ["a", "b", "c", "d"] {
        store.begin(key, "t", LONG).await.unwrap();
        store.done(key, "t", LONG).await.unwrap();
    }
    let mut states = Vec::new();
    for key in ["running", "c", "d"] {
        states.push(store.begin(key, "u", LONG).await.unwrap());
    }
    assert_eq!(states, [Begun::Running, Begun::Done, Begun::Done]);
    assert_eq!(store.begin("a", "u", LONG).await.unwrap(), Begun::First);
}

/// A deadline or a caller that hangs up drops the work: the next attempt may begin it, and need not wait for the lease.
#[tokio::test]
async fn work_that_is_cut_off_gives_the_key_free() {
    let once = once().lease(LONG);
    let endless = once.run_as("a", std::future::pending());
    assert!(tokio::time::timeout(Duration::from_millis(1), endless).await.is_err());
    let again = async {
        loop {
            match once.run_as("a", async { done() }).await {
                Ok(Verdict::Done(_)) => break,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(1), again).await.expect("the key is free long before its lease is over");
}
