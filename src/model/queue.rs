//! Cloud Tasks queues.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::names::QueueName;

/// A queue as the service describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    /// Full name.
    pub name: QueueName,
    /// Whether it dispatches.
    pub state: QueueState,
    /// Rate limit, dispatches a second (0–500).
    pub dispatches_per_second_max: f64,
    /// Tokens the rate limit may save up.
    pub burst_max: u32,
    /// Dispatches under way at once, at most.
    pub concurrent_max: u32,
    /// When a failed task is tried again.
    pub retry: TaskRetry,
    /// When it was last purged.
    pub purge_time: Option<Timestamp>,
    /// Google's own JSON of the resource.
    pub raw: Value,
}

/// Whether a queue dispatches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QueueState {
    /// Dispatches.
    Running,
    /// Paused by an operator.
    Paused,
    /// Disabled by the service.
    Disabled,
    /// A state this version does not know.
    Unknown,
}

/// A queue's retry settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskRetry {
    /// Attempts at most; `None` is unlimited (-1 in the API).
    pub attempts_max: Option<u32>,
    /// Time since the first attempt at most; `None` is unlimited.
    pub duration_max: Option<Duration>,
    /// First back-off.
    pub backoff_min: Duration,
    /// Longest back-off.
    pub backoff_max: Duration,
    /// How often the back-off doubles before it grows linearly.
    pub doublings_max: u32,
}
