//! Places: how many pieces of work are done at once, and how long was waited for one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::runtime::registry::Handler;
use crate::runtime::wire::What;

/// A taken place; it is free again when this is dropped.
pub(crate) type Place = OwnedSemaphorePermit;

/// All gates of an app: a closed table, made of what is registered.
pub(super) struct Gates {
    pub(super) all: Gate,
    pub(super) own: HashMap<What, HashMap<String, Gate>>,
}

/// The places of one thing.
pub(super) struct Gate {
    limit: Option<usize>,
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    admitted: AtomicU64,
    turned_away: AtomicU64,
    waited_us: AtomicU64,
}

/// How full places are, and how it was to get one, since the start of the process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Places {
    /// How many there are; none is no limit.
    pub limit: Option<usize>,
    /// How many are taken now.
    pub in_flight: usize,
    /// How many wait for one now.
    pub waiting: usize,
    /// How many got one.
    pub admitted: u64,
    /// How many got none, and were answered with 429.
    pub turned_away: u64,
    /// How long was waited, by all together.
    pub waited: Duration,
}

impl Gates {
    pub(super) fn new(all: usize, handlers: Vec<Handler>) -> Self {
        let mut own: HashMap<What, HashMap<String, Gate>> = HashMap::new();
        for handler in handlers {
            own.entry(handler.what).or_default().insert(handler.name.to_owned(), Gate::new(handler.concurrent_max));
        }
        Self { all: Gate::new(Some(all)), own }
    }

    /// Returns the places of a handler; none where there is no such handler.
    pub(super) fn own(&self, what: What, name: &str) -> Option<&Gate> {
        self.own.get(&what)?.get(name)
    }
}

impl Gate {
    fn new(limit: Option<usize>) -> Self {
        let limit = limit.map(|limit| limit.clamp(1, Semaphore::MAX_PERMITS));
        Self {
            limit,
            places: Arc::new(Semaphore::new(limit.unwrap_or(Semaphore::MAX_PERMITS))),
            waiting: AtomicUsize::new(0),
            admitted: AtomicU64::new(0),
            turned_away: AtomicU64::new(0),
            waited_us: AtomicU64::new(0),
        }
    }

    /// Takes a place; waits for one no longer than `wait_max`. No more wait than there are places.
    pub(super) async fn enter(&self, wait_max: Duration) -> Option<Place> {
        let place = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => Some(place),
            // In a box: who waits has the time for it, and the others are small without.
            Err(_) => Box::pin(self.wait(wait_max)).await,
        };
        let count = if place.is_some() { &self.admitted } else { &self.turned_away };
        count.fetch_add(1, Relaxed);
        place
    }

    async fn wait(&self, max: Duration) -> Option<Place> {
        let waiting = Waiting::begin(self)?;
        let place = tokio::time::timeout(max, Arc::clone(&self.places).acquire_owned()).await;
        drop(waiting);
        place.ok()?.ok()
    }

    pub(super) fn look(&self) -> Places {
        Places {
            limit: self.limit,
            in_flight: self.limit.unwrap_or(Semaphore::MAX_PERMITS).saturating_sub(self.places.available_permits()),
            waiting: self.waiting.load(Relaxed),
            admitted: self.admitted.load(Relaxed),
            turned_away: self.turned_away.load(Relaxed),
            waited: Duration::from_micros(self.waited_us.load(Relaxed)),
        }
    }
}

/// One that waits; also one that goes away meanwhile is counted.
struct Waiting<'a> {
    gate: &'a Gate,
    begun: Instant,
}

impl<'a> Waiting<'a> {
    fn begin(gate: &'a Gate) -> Option<Self> {
        let before = gate.waiting.fetch_add(1, Relaxed);
        let waiting = Self { gate, begun: Instant::now() };
        gate.limit.is_none_or(|limit| before < limit).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.gate.waiting.fetch_sub(1, Relaxed);
        self.gate.waited_us.fetch_add(u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_place_is_waited_for_and_then_refused() {
        let gate = Gate::new(Some(1));
        let first = gate.enter(Duration::ZERO).await.unwrap();
        assert_eq!(gate.look().in_flight, 1);
        assert!(gate.enter(Duration::from_millis(5)).await.is_none());
        let (second, ()) = tokio::join!(gate.enter(Duration::from_secs(9)), async { drop(first) });
        assert!(second.is_some());
        let look = gate.look();
        assert_eq!((look.limit, look.in_flight, look.waiting, look.admitted, look.turned_away), (Some(1), 1, 0, 2, 1));
    }

    #[tokio::test]
    async fn no_more_wait_than_there_are_places() {
        let gate = Gate::new(Some(1));
        let place = gate.enter(Duration::ZERO).await.unwrap();
        let hour = Duration::from_hours(1);
        let (second, third, ()) = tokio::join!(gate.enter(hour), gate.enter(hour), async { drop(place) });
        assert_eq!((second.is_some(), third.is_some()), (true, false));
        assert!(Gate::new(None).enter(Duration::ZERO).await.is_some());
    }
}
