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

use super::engine::Engine;
use super::state::Refusal;

pub(crate) use catalog::{Kind, Metric};
pub(crate) use history::{Point, Series, Window};

use filter::Filter;
use history::History;

/// The time between two samples.
const SAMPLE_SECONDS: u64 = 10;

/// The history of one engine. Clones are handles to the same one.
#[derive(Debug, Clone)]
pub(crate) struct Metrics(Arc<Mutex<History>>);

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

    /// Takes a sample now and returns when that was.
    fn sample(&self, engine: &Engine) -> Timestamp {
        let (readings, now) = engine.read(|state, now| (catalog::read(state), now));
        self.lock().record(readings, now);
        now
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
        let now = self.sample(engine);
        let prefix = format!("projects/{project}/");
        let mut series = self.lock().series(index, metric, &prefix, window, now);
        series.retain(|series| filter.matches(metric, series));
        Ok((metric, series))
    }

    fn lock(&self) -> MutexGuard<'_, History> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
