//! The history behind the Monitoring answers: what the services' counters and gauges were, every ten seconds of the last hour.
//!
//! Kept as changes only, so that what rests costs one entry. Must not know Monitoring's wire format.

mod catalog;
mod filter;
mod history;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::engine::{Engine, Epoch};
use super::state::Refusal;

pub(crate) use catalog::{Kind, Metric};
pub(crate) use history::{Point, Series, Window};

use filter::Filter;
use history::History;

/// The time between two samples.
const SAMPLE_SECONDS: u64 = 10;

/// The history of one engine. Clones are handles to the same one.
#[derive(Debug, Clone)]
pub(crate) struct Metrics(Arc<Mutex<(Epoch, History)>>);

impl Metrics {
    /// Samples the engine from now on, by a task of the current tokio runtime, until it shuts down.
    pub(crate) fn start(engine: &Engine) -> Self {
        let metrics = Self(Arc::default());
        tokio::spawn(metrics.clone().run(engine.clone()));
        metrics
    }

    async fn run(self, engine: Engine) {
        let period = Duration::from_secs(SAMPLE_SECONDS);
        let mut timer = interval_at(Instant::now(), period);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = timer.tick() => drop(self.sample(&engine)),
                () = engine.shutting_down() => return,
            }
        }
    }

    /// Takes a sample; returns the history with it, and when that was. The lock is held throughout, so that samples go in in their order.
    fn sample(&self, engine: &Engine) -> (MutexGuard<'_, (Epoch, History)>, Timestamp) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (readings, now) = engine.read(|state, now| (catalog::read(state), now));
        let (epoch, history) = &mut *kept;
        if std::mem::replace(epoch, engine.epoch()) != *epoch {
            *history = History::default();
        }
        history.record(readings, now);
        (kept, now)
    }

    /// Returns the one metric that `filter` names, and its series in `project` that match the rest of it, in a steady order; the newest
    /// point is of this moment.
    pub(crate) fn query(
        &self,
        engine: &Engine,
        project: &str,
        filter: &str,
        window: Window,
    ) -> Result<(&'static Metric, Vec<Series>), Refusal> {
        let filter = Filter::parse(filter)?;
        let (index, metric) = filter.metric()?;
        let (kept, now) = self.sample(engine);
        let mut series = kept.1.series(index, metric, &format!("projects/{project}/"), window, now);
        drop(kept);
        series.retain(|series| filter.matches(metric, series));
        Ok((metric, series))
    }
}

#[cfg(test)]
mod tests;
