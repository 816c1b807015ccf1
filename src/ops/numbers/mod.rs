//! Gathers the numbers of a project: what Monitoring and the queues' own statistics tell, each with its source and age.
//!
//! A figure that cannot be had is a line in [`Numbers::problems`], never an error of the whole, and never a zero.

mod metrics;

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::Timestamp;

use crate::cloud::{QueueStats, TimeSeries};
use crate::error::{Error, Result};
use crate::model::numbers::{Measured, Numbers, Source};
use crate::names::{Location, QueueName};
use crate::ops::Ops;

use metrics::METRICS;

/// Figures are read over this span.
const SPAN: Duration = Duration::from_hours(1);

/// Calls under way at once.
const CALLS_AT_ONCE: usize = 8;

impl Ops {
    /// Gathers all numbers of the project, from Monitoring and from the queues' statistics.
    ///
    /// What is missing, and why, is in [`Numbers::problems`].
    pub async fn numbers(&self) -> Result<Numbers> {
        let now = Timestamp::now();
        let mut numbers = Numbers { as_of: Some(now), ..Numbers::default() };
        let (series, stats) = futures_util::join!(self.all_series(now), self.all_stats());
        for (metric, answer) in series {
            match answer {
                Ok(series) => metrics::put(&mut numbers, self.cloud().project(), metric, series),
                Err(error) => problem(&mut numbers, "Monitoring", &error),
            }
        }
        for answer in stats {
            match answer {
                Ok(stats) => stats.into_iter().for_each(|(queue, stats)| put_stats(&mut numbers, queue, &stats)),
                Err(error) => problem(&mut numbers, "Cloud Tasks", &error),
            }
        }
        Ok(numbers)
    }

    async fn all_series(&self, now: Timestamp) -> Vec<(&'static metrics::Metric, Result<Vec<TimeSeries>>)> {
        let from = now.saturating_sub(SPAN).unwrap_or(now);
        let ask = |index: usize| async move {
            let metric = &METRICS[index];
            (metric, self.cloud().time_series(metric.of, metric.name, from, now).await)
        };
        stream::iter(0..METRICS.len()).map(ask).buffered(CALLS_AT_ONCE).collect().await
    }

    async fn all_stats(&self) -> Vec<Result<Vec<(QueueName, QueueStats)>>> {
        let locations = match self.cloud().queue_locations().await {
            Ok(locations) => locations,
            Err(error) => return vec![Err(error)],
        };
        stream::iter(locations)
            .map(|id| async move { self.cloud().queue_stats(&Location::new(self.cloud().project().clone(), id)).await })
            .buffered(CALLS_AT_ONCE)
            .collect()
            .await
    }
}

/// A queue's own statistics are fresher than Monitoring: they win.
fn put_stats(numbers: &mut Numbers, queue: QueueName, stats: &QueueStats) {
    let entry = numbers.queues.entry(queue).or_default();
    let measured = |value| Some(Measured { value, source: Source::Stats, as_of: stats.as_of });
    entry.depth = measured(stats.tasks);
    entry.oldest = stats.oldest.map(|value| Measured { value, source: Source::Stats, as_of: stats.as_of });
    entry.executed_last_minute = measured(stats.executed_last_minute);
    entry.concurrent = measured(stats.concurrent);
    entry.effective_rate = Some(Measured { value: stats.effective_rate, source: Source::Stats, as_of: stats.as_of });
}

/// Notes why figures are missing; what every call fails with is told once.
fn problem(numbers: &mut Numbers, source: &str, error: &Error) {
    let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
    let line = format!("{source}: {error}{hint}");
    if !numbers.problems.contains(&line) {
        numbers.problems.push(line);
    }
}
