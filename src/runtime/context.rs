//! What a handler is told besides its payload: the app, how the work came, which attempt this is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::names::{QueueName, SubscriptionName, TaskName};
use crate::runtime::App;
use crate::runtime::propagation::Headers;

/// What a handler is given: the app with its state, and where the work came from. Cheap to clone.
pub struct Context<S>(Arc<Inner<S>>);

struct Inner<S> {
    app: App<S>,
    origin: Origin,
    attempt: Attempt,
    headers: Headers,
}

/// How work came to its handler.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Origin {
    /// In this process: `sync` or eager mode.
    Direct,
    /// As a task of Cloud Tasks, or a run of Cloud Scheduler.
    Task(TaskInfo),
    /// As a message of Pub/Sub.
    Message(MessageInfo),
    /// At the endpoint for events.
    Event(EventInfo),
}

/// What Cloud Tasks and Cloud Scheduler say of a task. Whoever can call the endpoint can say this: it is worth what the caller's token is worth.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskInfo {
    /// Its queue, where a task of Cloud Tasks it is.
    pub queue: Option<QueueName>,
    /// Its full name.
    pub name: Option<TaskName>,
    /// Attempts before this one, also those that never reached a handler.
    pub retry_count: u32,
    /// Attempts before this one that were answered, without those answered 5xx.
    pub execution_count: u32,
    /// When it was due.
    pub eta: Option<Timestamp>,
    /// The status of the attempt before.
    pub previous_response: Option<u16>,
    /// Why it was tried again.
    pub retry_reason: Option<String>,
    /// How long the attempt may take, where the task was enqueued by this runtime with a deadline of its own.
    pub dispatch_deadline: Option<Duration>,
    /// The run of a scheduled job that this is.
    pub job: Option<JobInfo>,
}

/// The run of a scheduled job.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobInfo {
    /// The job's short name.
    pub name: Option<String>,
    /// When the run was due (unix-cron jobs only).
    pub schedule_time: Option<Timestamp>,
}

/// What Pub/Sub says of a message.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct MessageInfo {
    /// The id Pub/Sub gave it: the same in all subscriptions of its topic.
    pub id: String,
    /// The subscription that delivers it.
    pub subscription: Option<SubscriptionName>,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
    /// Its ordering key; empty where it has none.
    pub ordering_key: String,
    /// When it was published.
    pub publish_time: Option<Timestamp>,
    /// Which delivery this is, from 1; only with a dead-letter policy.
    pub delivery_attempt: Option<u32>,
}

/// What came with an event.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventInfo {
    /// Its kind: which handler it is for.
    pub kind: String,
    /// What it is about.
    pub reference: String,
    /// Parameters of its URL.
    pub parameters: BTreeMap<String, String>,
    /// The media type of its body.
    pub content_type: Option<String>,
    /// The attributes of a `CloudEvent` that came in headers (`ce-id` and so on), without their prefix.
    pub cloud_event: BTreeMap<String, String>,
}

/// Which attempt this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// How many there are, where a limit is known.
    pub max: Option<u32>,
}

impl Origin {
    fn attempt(&self) -> u32 {
        match self {
            Self::Direct | Self::Event(_) => 1,
            Self::Task(info) => info.retry_count.saturating_add(1),
            Self::Message(info) => info.delivery_attempt.unwrap_or(1),
        }
    }
}

impl Attempt {
    /// Tells whether it is the first.
    pub fn is_first(self) -> bool {
        self.number <= 1
    }

    /// Tells whether none comes after it, as far as a limit is known.
    pub fn is_last(self) -> bool {
        self.max.is_some_and(|max| self.number >= max)
    }
}

impl<S> Context<S> {
    /// `attempts_max` is what the handler declares, or its subscription's policy gives.
    pub(crate) fn new(app: App<S>, origin: Origin, attempts_max: Option<u32>, headers: Headers) -> Self {
        let attempt = Attempt { number: origin.attempt(), max: attempts_max };
        Self(Arc::new(Inner { app, origin, attempt, headers }))
    }

    /// Returns the app.
    pub fn app(&self) -> &App<S> {
        &self.0.app
    }

    /// Returns the app's state.
    pub fn state(&self) -> &S {
        self.0.app.state()
    }

    /// Returns how the work came.
    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// Returns what is said of the task, where it is one.
    pub fn task(&self) -> Option<&TaskInfo> {
        match &self.0.origin {
            Origin::Task(info) => Some(info),
            _ => None,
        }
    }

    /// Returns what is said of the message, where it is one.
    pub fn message(&self) -> Option<&MessageInfo> {
        match &self.0.origin {
            Origin::Message(info) => Some(info),
            _ => None,
        }
    }

    /// Returns what came with the event, where it is one.
    pub fn event(&self) -> Option<&EventInfo> {
        match &self.0.origin {
            Origin::Event(info) => Some(info),
            _ => None,
        }
    }

    /// Returns a header that was propagated from where the work was asked for, such as `traceparent`.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.headers.get(name)
    }

    /// Returns all headers that were propagated.
    pub fn headers(&self) -> &Headers {
        &self.0.headers
    }

    /// Returns which attempt this is; the limit is what the task or the subscription declares.
    pub fn attempt(&self) -> Attempt {
        self.0.attempt
    }
}

impl<S> Clone for Context<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
