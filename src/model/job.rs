//! Cloud Scheduler jobs.

use jiff::Timestamp;
use serde_json::Value;

use crate::names::{JobName, TopicName};

/// A scheduled job as the service describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Full name.
    pub name: JobName,
    /// What a person wrote about it.
    pub description: String,
    /// Unix cron (5 fields) or App Engine's English.
    pub schedule: String,
    /// Name in the tz database; UTC when empty.
    pub time_zone: String,
    /// What a run does.
    pub target: JobTarget,
    /// Whether it runs by itself.
    pub state: JobState,
    /// Canonical code and text of the last attempt; code 0 is success; `None` before the first.
    pub status: Option<(i32, String)>,
    /// When it runs next (may be a retry).
    pub next_run: Option<Timestamp>,
    /// When it last ran.
    pub last_attempt: Option<Timestamp>,
    /// Google's own JSON of the resource.
    pub raw: Value,
}

/// What a run does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobTarget {
    /// Publishes a message.
    PubSub(TopicName),
    /// Sends a request.
    Http {
        /// `POST`, `GET` …
        method: String,
        /// Full URL.
        url: String,
    },
    /// Sends a request to an App Engine app.
    AppEngine {
        /// `POST`, `GET` …
        method: String,
        /// Path and query.
        relative_uri: String,
    },
    /// A target this version does not know.
    Unknown,
}

/// Whether a job runs by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobState {
    /// Runs on its schedule.
    Enabled,
    /// Paused by an operator.
    Paused,
    /// Disabled by an error of the service.
    Disabled,
    /// The last update failed.
    UpdateFailed,
    /// A state this version does not know.
    Unknown,
}
