//! What a lane has done, and does.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What was pulled from one subscription so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PullFigures {
    /// Messages that came.
    pub received: u64,
    /// Those acknowledged.
    pub acked: u64,
    /// Those given back, to be delivered again.
    pub nacked: u64,
    /// Acknowledgements that Pub/Sub did not confirm (exactly-once only): these messages come again.
    pub unconfirmed: u64,
    /// Handlers that run now.
    pub running: u64,
    /// How often the stream was opened anew.
    pub reconnects: u64,
    /// How often the watchdog found that messages wait and none came.
    pub stalls: u64,
    /// How often the watchdog found all places taken and none coming free.
    pub stuck: u64,
}

/// The same, while it is counted.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(super) received: AtomicU64,
    pub(super) acked: AtomicU64,
    pub(super) nacked: AtomicU64,
    pub(super) unconfirmed: AtomicU64,
    pub(super) running: AtomicU64,
    pub(super) reconnects: AtomicU64,
    pub(super) stalls: AtomicU64,
    pub(super) stuck: AtomicU64,
    /// Of messages that are under way.
    pub(super) bytes: AtomicU64,
    /// When a handler last ended.
    ended: Mutex<Option<Instant>>,
}

/// The counters of all that an app pulls, by subscriber: they go on when pulling is started anew.
#[derive(Debug, Default)]
pub(crate) struct Pulls(Mutex<BTreeMap<&'static str, Arc<Counters>>>);

impl Pulls {
    pub(super) fn of(&self, subscriber: &'static str) -> Arc<Counters> {
        Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(subscriber).or_default())
    }

    pub(super) fn figures(&self) -> BTreeMap<&'static str, PullFigures> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(name, counters)| (*name, counters.figures())).collect()
    }
}

/// A handler that runs, for the counters; dropped, it has ended.
pub(super) struct Running<'a>(&'a Counters);

impl Counters {
    pub(super) fn figures(&self) -> PullFigures {
        PullFigures {
            received: self.received.load(Relaxed),
            acked: self.acked.load(Relaxed),
            nacked: self.nacked.load(Relaxed),
            unconfirmed: self.unconfirmed.load(Relaxed),
            running: self.running.load(Relaxed),
            reconnects: self.reconnects.load(Relaxed),
            stalls: self.stalls.load(Relaxed),
            stuck: self.stuck.load(Relaxed),
        }
    }

    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    /// Notes that a handler begins.
    pub(super) fn begin(&self) -> Running<'_> {
        Self::count(&self.running);
        Running(self)
    }

    /// Returns for how long no handler has ended; `since` is when that began to count.
    pub(super) fn idle_for(&self, since: Instant) -> Duration {
        let ended = *self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.map_or(since, |ended| ended.max(since)).elapsed()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Relaxed);
        *self.0.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}
