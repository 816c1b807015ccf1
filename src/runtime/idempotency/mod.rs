//! Work that is done once although it is asked for several times: Pub/Sub and Cloud Tasks deliver at least once, and a transfer may redrive a dead letter twice.

mod claim;
mod memory;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use crate::model::message::REDRIVE_SOURCE;
use crate::runtime::{Context, Failure, Origin, Outcome, Verdict, done, retry};

pub use memory::MemoryStore;

use claim::Claim;

/// Who began has this long, unless told otherwise: what Cloud Tasks gives an attempt by default.
const LEASE: Duration = Duration::from_mins(10);
/// What was done is remembered for as long as Pub/Sub keeps messages by default.
const KEEP: Duration = Duration::from_hours(7 * 24);

/// Remembers what was begun and what is done. The two are different, so that work whose process died in between is done after all.
///
/// With a database it is a table, best the one of the same database as the work itself (in one transaction with it, work is done exactly once):
///
/// ```sql
/// CREATE TABLE idempotency (key text PRIMARY KEY, token text NOT NULL, done boolean NOT NULL, until timestamptz NOT NULL);
/// -- begin: one row came back → `Begun::First`; none → look: `done` → `Begun::Done`, else `Begun::Running`
/// INSERT INTO idempotency VALUES ($key, $token, false, now() + $lease)
///   ON CONFLICT (key) DO UPDATE SET token = $token, done = false, until = now() + $lease WHERE idempotency.until < now()
///   RETURNING key;
/// -- done
/// UPDATE idempotency SET done = true, until = now() + $keep WHERE key = $key AND token = $token;
/// -- abandon
/// DELETE FROM idempotency WHERE key = $key AND token = $token AND NOT done;
/// -- now and then
/// DELETE FROM idempotency WHERE until < now();
/// ```
pub trait IdempotencyStore: Send + Sync + 'static {
    /// Begins work on a key for the holder of `token`, unless another has begun it within its lease, or it is done. Must be one atomic step.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be asked: the work is then not done, and tried again.
    fn begin(&self, key: &str, token: &str, lease: Duration) -> impl Future<Output = Result<Begun, Failure>> + Send;

    /// Notes that the holder of `token` has done the work; remembers that for `keep` at least. Does nothing when another has begun it meanwhile.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be asked: the work counts as begun until the lease is over, and is then done again.
    fn done(&self, key: &str, token: &str, keep: Duration) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Notes that the holder of `token` did not do the work, so that it may be begun at once. Does nothing when another has begun it meanwhile.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be asked: the work is then begun again only after the lease.
    fn abandon(&self, key: &str, token: &str) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// What came of beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// The work is the caller's.
    First,
    /// Another is at it, and its lease is not over.
    Running,
    /// It is done.
    Done,
}

/// Does work once for each message or task; kept in the app's state.
///
/// The key is what makes two deliveries the same: of a message its `redrive-source` (all copies of one dead letter carry the same), else its id, within its
/// subscription; of a task its id, within its queue.
///
/// ```
/// use redrive::runtime::{Context, Idempotency, MemoryStore, Outcome, Received, Subscriber, Subscription, done};
///
/// struct Shop { once: Idempotency<MemoryStore> }
///
/// struct Billing;
///
/// impl Subscriber<Shop> for Billing {
///     type Message = u64;
///     const NAME: &'static str = "Billing";
///
///     fn subscription() -> Subscription {
///         Subscription::to("orders")
///     }
///
///     async fn run(order: Received<u64>, cx: Context<Shop>) -> Outcome {
///         cx.state().once.run(&cx, async {
///             println!("charging for order {}", order.content);
///             done()
///         }).await
///     }
/// }
/// # let _ = Shop { once: Idempotency::new(MemoryStore::new(1000)) };
/// ```
#[derive(Debug)]
pub struct Idempotency<St> {
    store: Arc<St>,
    lease: Duration,
    keep: Duration,
}

impl<St: IdempotencyStore> Idempotency<St> {
    /// Begins with a store; who begins has ten minutes, and what is done is remembered for seven days.
    pub fn new(store: St) -> Self {
        Self { store: Arc::new(store), lease: LEASE, keep: KEEP }
    }

    /// Sets how long the work may take before another may begin it: longer than its handler's deadline. So long work waits whose process has died, and each
    /// delivery meanwhile is a failed attempt: all attempts with their back-offs together must take longer than this, else the work is given up (or a dead
    /// letter) while nobody does it.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets how long it is remembered that work is done: longer than messages are kept that could come again.
    #[must_use]
    pub fn keep(mut self, keep: Duration) -> Self {
        self.keep = keep;
        self
    }

    /// Returns the store.
    pub fn store(&self) -> &St {
        &self.store
    }

    /// Does the work, unless it is done. What is done already is acknowledged; what another is at is tried again. Work that fails or asks for another attempt
    /// is not done; what is discarded is. Work that is cut off (its deadline is over, or its caller hung up) is given up at once, and may be begun again. Work
    /// that came without a key (`sync`, events) is simply done.
    ///
    /// # Errors
    ///
    /// Fails as the work does, and when the store cannot be asked.
    pub async fn run<S>(&self, cx: &Context<S>, work: impl Future<Output = Outcome>) -> Outcome {
        match cx.idempotency_key() {
            Some(key) => self.run_as(&key, work).await,
            None => work.await,
        }
    }

    /// The same under a key of the caller's own, such as the number of an order.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub async fn run_as(&self, key: &str, work: impl Future<Output = Outcome>) -> Outcome {
        let claim = Claim::new(&self.store, key);
        match self.store.begin(key, claim.token(), self.lease).await? {
            Begun::Done => {
                claim.keep();
                return done();
            }
            Begun::Running => {
                claim.keep();
                return retry("another attempt is at the same work");
            }
            Begun::First => {}
        }
        let outcome = match AssertUnwindSafe(work).catch_unwind().await {
            Ok(outcome) => outcome,
            Err(panic) => {
                claim.give_up().await;
                std::panic::resume_unwind(panic);
            }
        };
        match &outcome {
            Ok(Verdict::Done(_) | Verdict::Discard(_)) => self.store.done(key, &claim.keep(), self.keep).await?,
            Ok(Verdict::Retry { .. }) | Err(_) => claim.give_up().await,
        }
        outcome
    }
}

impl<S> Context<S> {
    /// Returns what is the same in all deliveries of the same message or task; nothing where the work came in this process or as an event.
    pub fn idempotency_key(&self) -> Option<String> {
        match self.origin() {
            Origin::Message(info) => {
                let subscription = info.subscription.as_ref().map(ToString::to_string).unwrap_or_default();
                let id = info.attributes.get(REDRIVE_SOURCE).unwrap_or(&info.id);
                (!id.is_empty()).then(|| format!("{subscription}#{id}"))
            }
            Origin::Task(info) => info.name.as_ref().map(ToString::to_string),
            Origin::Direct | Origin::Event(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
