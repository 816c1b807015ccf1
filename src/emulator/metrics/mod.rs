//! The history behind the Monitoring answers: what the services' counters and gauges were, every ten seconds of the last hour.
//!
//! Kept as changes only, so that what rests costs one entry. Must not know Monitoring's wire format.

mod aggregate;
mod catalog;
mod filter;
mod history;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::engine::{Engine, Epoch};
use super::state::{Refusal, Touched};

pub(crate) use aggregate::{Aggregation, Aligner, Statistic, Value};
pub(crate) use catalog::{Kind, Metric};
pub(crate) use history::{Point, Series, Window};

use filter::Filter;
use history::History;

/// The time between two samples.
const SAMPLE_SECONDS: u64 = 10;

/// The history of one engine. Clones are handles to the same one.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    kept: Arc<Mutex<(Epoch, History)>>,
    /// How old the newest point is that is shown.
    delay: SignedDuration,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Query<'a> {
    pub(crate) project: &'a str,
    pub(crate) filter: &'a str,
    pub(crate) window: Window,
    /// Applied one after the other.
    pub(crate) aggregations: Vec<Aggregation>,
}

/// What is answered: the metric, of which kind its points are after all, and the series in a steady order.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) metric: &'static Metric,
    pub(crate) kind: Kind,
    pub(crate) series: Vec<Series>,
}

impl Metrics {
    /// Samples the engine from now on, by a task of the current tokio runtime, until it shuts down; shows what is older than `delay`.
    pub(crate) fn start(engine: &Engine, delay: SignedDuration) -> Self {
        let metrics = Self { kept: Arc::default(), delay };
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

    /// Takes a sample of what has changed since the last one; returns the history with it, and when that was. The lock is held throughout, so
    /// that samples go in in their order.
    fn sample(&self, engine: &Engine) -> (MutexGuard<'_, (Epoch, History)>, Timestamp) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (touched, readings, now) = engine.look_at_touched(|state, touched, now| {
            let readings = catalog::read(state, &touched);
            (touched, readings, now)
        });
        let (epoch, history) = &mut *kept;
        if std::mem::replace(epoch, engine.epoch()) != *epoch {
            *history = History::default();
        }
        match touched {
            Touched::Everything => history.record_all(readings, now),
            Touched::These(_) => history.record(readings, now),
        }
        (kept, now)
    }

    /// Returns the one metric that the filter names, and its series in the project that match the rest of it; the newest point is of this
    /// moment, less the delay.
    pub(crate) fn query(&self, engine: &Engine, query: &Query<'_>) -> Result<Found, Refusal> {
        let filter = Filter::parse(query.filter)?;
        let (index, metric) = filter.metric()?;
        let (kept, now) = self.sample(engine);
        let seen = now.checked_sub(self.delay).unwrap_or(now);
        let mut series = kept.1.series(index, metric, &format!("projects/{}/", query.project), query.window, seen);
        drop(kept);
        series.retain(|series| filter.matches(metric, series));
        let mut found = (metric.kind, series);
        for aggregation in &query.aggregations {
            found = aggregate::apply(found, metric, query.window, aggregation)?;
        }
        let (kind, series) = found;
        Ok(Found { metric, kind, series })
    }
}

#[cfg(test)]
mod tests;
