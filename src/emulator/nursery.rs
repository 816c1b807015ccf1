//! Futures that run within the task of their owner, as the streams of a connection do: none of them is a task of its own to be made, queued,
//! woken on another thread and freed, and what a group of them answers goes out together.
//!
//! Must not know what they do.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use hyper::rt::Executor;
use tokio::task::JoinSet;

/// So many newborn futures are run before the owner's work has its turn again: what they answer is on its way while the others run, so that neither a client that
/// waits for it nor this thread has to wait for the other. Measured: with 4 the writing costs more than that brings, with 16 too few are on their way.
const GROUP: usize = 8;

/// Whether it was the owner's own work that ended.
type Child = Pin<Box<dyn Future<Output = bool> + Send>>;

/// Where futures are given to, to run beside [`run`]'s. Clones are the same one.
#[derive(Clone, Default)]
pub(super) struct Nursery(Arc<Mutex<Newborn>>);

#[derive(Default)]
struct Newborn {
    children: Vec<Child>,
    /// Set while the owner waits: it has to be woken for what comes from elsewhere.
    waiting: Option<Waker>,
}

impl Nursery {
    fn lock(&self) -> MutexGuard<'_, Newborn> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Nursery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nursery").finish_non_exhaustive()
    }
}

impl<F> Executor<F> for Nursery
where
    F: Future + Send + 'static,
{
    fn execute(&self, future: F) {
        // A panic is its own only, as that of a task would be.
        let child = AssertUnwindSafe(future).catch_unwind().map(|_| false);
        let mut newborn = self.lock();
        newborn.children.push(Box::pin(child));
        let waiting = newborn.waiting.take();
        drop(newborn);
        if let Some(owner) = waiting {
            owner.wake();
        }
    }
}

/// Does `work`, and runs what is given to the nursery meanwhile; ends with `work`, and the others with it.
pub(super) async fn run(nursery: Nursery, work: impl Future<Output = ()> + Send + 'static) {
    let mut running = FuturesUnordered::new();
    // Those beyond a group, in groups of their own: idle threads may take them.
    let mut beside = JoinSet::new();
    let own: Child = Box::pin(work.map(|()| true));
    running.push(own);
    std::future::poll_fn(|cx| {
        nursery.lock().waiting = None;
        loop {
            let mut newborn = std::mem::take(&mut nursery.lock().children).into_iter();
            running.extend(newborn.by_ref().take(GROUP));
            while newborn.len() > 0 {
                let group: FuturesUnordered<Child> = newborn.by_ref().take(GROUP).collect();
                beside.spawn(group.for_each(|_| std::future::ready(())));
            }
            match running.poll_next_unpin(cx) {
                Poll::Ready(Some(false)) => {}
                Poll::Ready(Some(true) | None) => return Poll::Ready(()),
                Poll::Pending => {
                    while beside.try_join_next().is_some() {}
                    let mut newborn = nursery.lock();
                    if newborn.children.is_empty() {
                        newborn.waiting = Some(cx.waker().clone());
                        return Poll::Pending;
                    }
                }
            }
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::{Notify, mpsc, oneshot};

    use super::*;

    #[tokio::test]
    async fn children_run_beside_the_work_and_end_with_it() {
        let nursery = Nursery::default();
        let (said, mut heard) = mpsc::unbounded_channel();
        let (end, ended) = oneshot::channel::<()>();
        let within = nursery.clone();
        let owner = tokio::spawn(run(nursery.clone(), async move {
            for number in 0..100 {
                let said = said.clone();
                within.execute(async move {
                    tokio::task::yield_now().await;
                    said.send(number).unwrap();
                });
            }
            // This one never ends by itself, and holds the channel open.
            within.execute(async move {
                std::future::pending::<()>().await;
                drop(said);
            });
            ended.await.unwrap();
        }));
        let mut numbers: Vec<i32> = Vec::new();
        while numbers.len() < 100 {
            numbers.push(heard.recv().await.unwrap());
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
        end.send(()).unwrap();
        owner.await.unwrap();
        assert_eq!(heard.recv().await, None, "what was left is dropped");
    }

    #[tokio::test]
    async fn the_work_has_its_turn_after_a_group() {
        let (nursery, done, turn) = (Nursery::default(), Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        for _ in 0..3 * GROUP {
            let (done, turn) = (Arc::clone(&done), Arc::clone(&turn));
            nursery.execute(async move {
                done.fetch_add(1, Ordering::Relaxed);
                turn.notify_one();
            });
        }
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&seen);
        let work = async move {
            while notes.lock().unwrap().last() != Some(&(3 * GROUP)) {
                turn.notified().await;
                notes.lock().unwrap().push(done.load(Ordering::Relaxed));
            }
        };
        run(nursery, work).await;
        assert_eq!(seen.lock().unwrap().first(), Some(&GROUP));
    }

    #[tokio::test]
    async fn one_that_panics_ends_alone_and_one_from_elsewhere_wakes_the_owner() {
        let nursery = Nursery::default();
        let (end, ended) = oneshot::channel::<()>();
        let owner = tokio::spawn(run(nursery.clone(), async move { ended.await.unwrap() }));
        while nursery.lock().waiting.is_none() {
            tokio::task::yield_now().await;
        }
        nursery.execute(async { panic!("on purpose") });
        nursery.execute(async move { end.send(()).unwrap() });
        owner.await.unwrap();
    }
}
