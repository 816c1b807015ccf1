//! The emulator's clock: moved forward from one due moment to the next, so that an hour of retries and cron runs happens as it would have; and
//! the way back to the beginning.

use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, timeout_at};

use super::{Core, Engine, Epoch};
use crate::emulator::state::{Refusal, Reset, Tick};

/// So many open calls are named when the clock could not be moved in time.
const NAMED_MAX: usize = 5;

/// Why the clock did not get where it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stuck {
    /// The time would be later than a timestamp can be.
    TooFar,
    /// Not all that fell due was answered in time: some of the calls under way, how many there are, and where the clock stands.
    UnderWay { calls: Vec<String>, count: usize, now: Timestamp },
    /// The state was emptied meanwhile.
    Reset,
}

impl Engine {
    /// Moves the clock by `by`, stopping at each moment at which something falls due until all that it caused has been answered; waits for that
    /// no longer than `within` in real time. Then the clock stays where it has got.
    pub(crate) async fn fast_forward(&self, by: SignedDuration, within: Duration) -> Result<Timestamp, Stuck> {
        let until = Instant::now() + within;
        let Ok(_alone) = timeout_at(until, self.0.advancing.lock()).await else { return Err(self.under_way()) };
        let epoch = self.epoch();
        let target = self.now().checked_add(by).map_err(|_| Stuck::TooFar)?;
        loop {
            if timeout_at(until, self.0.open.none()).await.is_err() || Instant::now() > until {
                return Err(self.under_way());
            }
            let (due, now) = self.read(|state, now| (state.next_due().filter(|due| *due <= target), now));
            match due {
                None if now >= target => return Ok(now),
                _ => self.move_to(due.unwrap_or(target), epoch)?,
            }
            if !matches!(timeout_at(until, self.insist(Tick)).await, Ok(Some(_))) {
                return Err(self.under_way());
            }
            // Those whom it woke get their turn; and without anything to wait for, this loop must not keep the thread.
            tokio::task::yield_now().await;
        }
    }

    /// Empties the state, puts the clock back to the wall clock, cuts off the calls under way and ends open streams.
    pub(crate) async fn reset(&self) -> Result<(), Refusal> {
        self.run_and(Reset, Some(Self::after_reset)).await
    }

    fn after_reset(&self, core: &mut Core) {
        core.epoch += 1;
        self.0.clock_ahead_ns.store(0, Ordering::Relaxed);
        core.latest = self.clock();
        self.0.open.clear();
        self.0.epoch.send_replace(core.epoch);
        self.0.rearm.notify_one();
    }

    /// Returns how often the state has been emptied.
    pub(crate) fn epoch(&self) -> Epoch {
        *self.0.epoch.borrow()
    }

    /// Returns by how much the clock is ahead of the wall clock.
    pub(crate) fn ahead(&self) -> SignedDuration {
        SignedDuration::from_nanos(self.0.clock_ahead_ns.load(Ordering::Relaxed))
    }

    fn move_to(&self, moment: Timestamp, epoch: Epoch) -> Result<(), Stuck> {
        let core = self.lock();
        if core.epoch != epoch {
            return Err(Stuck::Reset);
        }
        let ahead = moment.duration_since(Timestamp::now());
        let ahead_ns = i64::try_from(ahead.as_nanos()).map_err(|_| Stuck::TooFar)?;
        self.0.clock_ahead_ns.fetch_max(ahead_ns, Ordering::Relaxed);
        drop(core);
        self.0.rearm.notify_one();
        Ok(())
    }

    fn under_way(&self) -> Stuck {
        let (calls, count) = self.0.open.list(NAMED_MAX);
        Stuck::UnderWay { calls, count, now: self.now() }
    }
}
