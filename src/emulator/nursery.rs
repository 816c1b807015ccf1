//! Futures that run within the task of their owner, as the streams of a connection do: none of them is a task of its own to be made, queued,
//! woken on another thread and freed, and what they answer together goes out together.
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
        if std::env::var("SIZES").is_ok() { eprintln!("SIZE {} {}", std::mem::size_of::<F>(), std::any::type_name::<F>().len()); }
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

static GROUP: std::sync::LazyLock<usize> = std::sync::LazyLock::new(|| std::env::var("GROUP").map_or(1000, |v| v.parse().unwrap_or(1000)));
static SPREAD: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| std::env::var("SPREAD").is_ok());
/// Does `work`, and runs what is given to the nursery meanwhile; ends with `work`, and the others with it.
pub(super) async fn run(nursery: Nursery, work: impl Future<Output = ()> + Send + 'static) {
    let mut running = FuturesUnordered::new();
    let mut helpers = tokio::task::JoinSet::new();
    let own: Child = Box::pin(work.map(|()| true));
    running.push(own);
    std::future::poll_fn(|cx| {
        nursery.lock().waiting = None;
        loop {
            let mut waiting = nursery.lock();
            let newborn = &mut waiting.children;
            let group = newborn.len().min(*GROUP);
            if *SPREAD && newborn.len() > group {
                let mut rest = newborn.split_off(group).into_iter();
                loop {
                    let chunk: FuturesUnordered<Child> = rest.by_ref().take(*GROUP).collect();
                    if chunk.is_empty() { break }
                    helpers.spawn(chunk.for_each(|_| std::future::ready(())));
                }
                if std::env::var("SPREAD").is_ok_and(|v| v == "2") { drop(tokio::spawn(std::future::ready(()))); }
                while helpers.try_join_next().is_some() {}
            }
            running.extend(newborn.drain(..group));
            drop(waiting);
            match running.poll_next_unpin(cx) {
                Poll::Ready(Some(false)) => {}
                Poll::Ready(Some(true) | None) => return Poll::Ready(()),
                Poll::Pending => {
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
    use tokio::sync::{mpsc, oneshot};

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
