//! What there shall be, as plain values.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use crate::names::{JobName, Location, QueueName, SubscriptionName, TopicName};

/// All that an app needs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Desired {
    /// What every name of the app begins with; with an empty one nothing is ever deleted.
    pub(crate) prefix: String,
    /// The app, as its topics and subscriptions are labelled: by it, and the prefix, what it made is known.
    pub(crate) owner: String,
    /// The base URL of the service: a job that calls another is not this app's.
    pub(crate) url: String,
    /// Where its queues and jobs are.
    pub(crate) location: Location,
    /// The number of the project, where it was said; else it is asked for.
    pub(crate) project_number: Option<String>,
    pub(crate) topics: Vec<TopicName>,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) queues: Vec<Queue>,
    pub(crate) jobs: Vec<Job>,
    /// What will not work well: kind and name of what it is about, and words.
    pub(crate) warnings: Vec<(&'static str, String, String)>,
}

/// A subscription.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Subscription {
    pub(crate) name: SubscriptionName,
    /// `None` (found only): its topic is deleted.
    pub(crate) topic: Option<TopicName>,
    pub(crate) push: Option<Push>,
    pub(crate) ack_deadline: Duration,
    pub(crate) filter: String,
    pub(crate) ordered: bool,
    pub(crate) exactly_once: bool,
    pub(crate) backoff: Option<(Duration, Duration)>,
    pub(crate) dead_letters: Option<DeadLetterPolicy>,
    /// `None` (desired only): whatever it is.
    pub(crate) retention: Option<Duration>,
    /// When it is deleted if nobody uses it; `None` is never.
    pub(crate) expires: Option<Duration>,
    /// Whether it holds dead letters for people to look at: such a one is never deleted.
    pub(crate) holds: bool,
}

/// Where pushes go.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Push {
    pub(crate) endpoint: String,
    /// The account whose token comes with them, and the audience it is for.
    pub(crate) token: Option<(String, String)>,
    pub(crate) wrapping: Wrapping,
}

/// How a pushed message is packed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Wrapping {
    /// In an envelope.
    #[default]
    Wrapped,
    /// The payload is the body; what is said of it is in headers.
    WithMetadata,
    /// The payload is the body, and there is nothing else.
    Bare,
}

/// Where messages go that fail too often.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DeadLetterPolicy {
    pub(crate) topic: TopicName,
    pub(crate) attempts_max: u32,
}

/// A queue.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Queue {
    pub(crate) name: QueueName,
    /// Never gives a task up: the runtime counts attempts itself.
    pub(crate) endless: bool,
    /// Dispatches nothing by itself: a dead set.
    pub(crate) paused: bool,
    /// So many attempts it has to give at least: the runtime counts to this.
    pub(crate) attempts_min: Option<u32>,
}

/// A scheduled job.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Job {
    pub(crate) name: JobName,
    pub(crate) description: String,
    pub(crate) schedule: String,
    pub(crate) time_zone: String,
    pub(crate) url: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Bytes,
    pub(crate) token: Option<(String, String)>,
    pub(crate) retries: u32,
    pub(crate) attempt_deadline: Duration,
}
