//! Numbers with their source and age: a backlog that Monitoring told three minutes ago is not one that was counted now.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::names::{QueueName, SubscriptionName, TopicName};

/// Where a number comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Cloud Monitoring: lags by minutes on Google, not on the emulator.
    Monitoring,
    /// The service's own statistics (`stats` of Cloud Tasks v2beta3): estimates, nearly fresh.
    Stats,
    /// Counted by us.
    Counted,
}

/// A number, where it comes from and when it was true.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured<T> {
    /// The number.
    pub value: T,
    /// Where it comes from.
    pub source: Source,
    /// When it was true, by the source's clock.
    pub as_of: Timestamp,
}

/// One metric of one resource over time, oldest first; the last point is the newest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// (end of the interval, value); for DELTA metrics the value is the count within the interval.
    pub points: Vec<(Timestamp, f64)>,
}

impl Series {
    /// Returns the newest point.
    pub fn latest(&self) -> Option<(Timestamp, f64)> {
        self.points.last().copied()
    }

    /// Returns the values only, for a sparkline.
    pub fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.points.iter().map(|(_, value)| *value)
    }

    /// Returns the change a minute over the last `span`, from cumulative or gauge points; `None` with fewer than two points in it.
    pub fn per_minute(&self, span: Duration) -> Option<f64> {
        let (end, last) = self.latest()?;
        let (start, first) = self.points.iter().copied().find(|(time, _)| end.duration_since(*time).unsigned_abs() <= span)?;
        let seconds = end.duration_since(start).as_secs_f64();
        (seconds > 0.0).then(|| (last - first) * 60.0 / seconds)
    }

    /// Returns the sum of DELTA points of the last `span`, a minute.
    pub fn sum_per_minute(&self, span: Duration) -> Option<f64> {
        let (end, _) = self.latest()?;
        let sum: f64 = self.points.iter().filter(|(time, _)| end.duration_since(*time).unsigned_abs() < span).map(|(_, value)| value).sum();
        Some(sum * 60.0 / span.as_secs_f64())
    }
}

/// All numbers of a project at one moment. A missing entry is "not known", never zero.
#[derive(Debug, Clone, Default)]
pub struct Numbers {
    /// By queue.
    pub queues: HashMap<QueueName, QueueNumbers>,
    /// By subscription.
    pub subscriptions: HashMap<SubscriptionName, SubscriptionNumbers>,
    /// By topic: messages published (DELTA).
    pub topics: HashMap<TopicName, Series>,
    /// Why some numbers are missing, in words for people (`Monitoring: permission monitoring.timeSeries.list missing`).
    pub problems: Vec<String>,
    /// When this was asked for, by this machine's clock.
    pub as_of: Option<Timestamp>,
}

/// What is known of a queue.
#[derive(Debug, Clone, Default)]
pub struct QueueNumbers {
    /// Tasks in it.
    pub depth: Option<Measured<u64>>,
    /// Depth over time.
    pub depth_series: Series,
    /// When the oldest task was due; absent when the queue is empty or it is not known.
    pub oldest: Option<Measured<Timestamp>>,
    /// Attempts in the last minute.
    pub executed_last_minute: Option<Measured<u64>>,
    /// Dispatches under way.
    pub concurrent: Option<Measured<u64>>,
    /// What the service allows at the moment, dispatches a second.
    pub effective_rate: Option<Measured<f64>>,
}

/// What is known of a subscription.
#[derive(Debug, Clone, Default)]
pub struct SubscriptionNumbers {
    /// Messages not yet acknowledged.
    pub backlog: Option<Measured<u64>>,
    /// Backlog over time.
    pub backlog_series: Series,
    /// Age of the oldest message not yet acknowledged.
    pub oldest_age: Option<Measured<Duration>>,
    /// Bytes not yet acknowledged.
    pub backlog_bytes: Option<Measured<u64>>,
    /// Messages given up to the dead-letter topic (DELTA); of the source subscription.
    pub dead_lettered: Series,
    /// Messages acknowledged (DELTA).
    pub acked: Series,
    /// Pushes in the last minutes by class or code of the answer (`200`, `503`, `timeout`), most first.
    pub pushes: Vec<(String, u64)>,
}
