//! What an operator can do, one file per use case; shared by command line and console, and knowing neither.
//!
//! Every call is bounded in time, says what failed and what to do, and is refused in a read-only context.

pub mod transfer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

pub use crate::cloud::{Cloud, EMULATOR_PROJECT, Found, Place, Settings};
use crate::error::Result;
use crate::model::dead_letter::DeadLetterRelation;
use crate::model::job::Job;
use crate::model::listing::Listing;
use crate::model::message::{Draft, Message};
use crate::model::numbers::Numbers;
use crate::model::queue::Queue;
use crate::model::subscription::Subscription;
use crate::model::task::Task;
use crate::model::topic::Topic;
use crate::names::{JobName, LocationId, QueueName, SubscriptionName, TaskName, TopicName};

/// The operations of one project. Cheap to clone; safe to use from several tasks at once.
#[derive(Clone)]
pub struct Ops(Arc<Inner>);

struct Inner {
    cloud: Cloud,
    home: PathBuf,
    read_only: bool,
    transfers: transfer::Live,
}

/// How messages are looked at without being taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeekMode {
    /// Leases and releases them: a sample; under a dead-letter policy each release counts as a delivery attempt.
    Leased,
    /// A snapshot and a short-lived subscription: everything, and the original is untouched.
    Snapshot,
}

/// What a look at a subscription's messages found.
#[derive(Debug)]
pub struct Peek {
    /// The messages, oldest first.
    pub messages: Vec<Message>,
    /// How they were had.
    pub mode: PeekMode,
    /// Whether there may be more.
    pub truncated: bool,
    /// What it cost or leaves behind, in words for people.
    pub note: Option<String>,
    /// When it was begun, by this machine's clock.
    pub as_of: Timestamp,
}

/// How an action on several items ended.
#[derive(Debug, Default)]
pub struct Report {
    /// Items done.
    pub done: u64,
    /// Items that were gone already.
    pub gone: u64,
    /// Items that failed: name and reason.
    pub failed: Vec<(String, crate::error::Error)>,
    /// Where the kept copy lies, for actions that keep one.
    pub copy: Option<PathBuf>,
}

/// What a local handler answered to a task that was sent to it.
#[derive(Debug, Clone)]
pub struct HandlerAnswer {
    /// HTTP status.
    pub status: u16,
    /// Headers in the order received; not escaped.
    pub headers: Vec<(String, String)>,
    /// Body, cut at [`HANDLER_BODY_BYTES_MAX`].
    pub body: bytes::Bytes,
    /// From the first byte sent to the last one read.
    pub took: Duration,
}

/// A local handler's answer is read to this size; more is cut.
pub const HANDLER_BODY_BYTES_MAX: usize = 256 * 1024;

/// One entry of the activity log.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Activity {
    /// When it was asked for.
    pub at: Timestamp,
    /// Project.
    pub project: String,
    /// What was asked: `queue.pause`, `task.run`, `dlq.redrive` …
    pub action: String,
    /// On what: a full resource name, or `12 tasks of …`.
    pub target: String,
    /// `ok`, or the error.
    pub result: String,
}

impl Ops {
    /// Makes the operations of `cloud`'s project; journals, kept copies and the activity log live in `home` (created with mode 0700).
    pub fn new(cloud: Cloud, home: PathBuf, read_only: bool) -> Result<Self> {
        todo!()
    }

    /// Returns where calls go.
    pub fn cloud(&self) -> &Cloud {
        &self.0.cloud
    }

    /// Lists the locations that may hold queues or jobs (narrowed by `--location`).
    pub async fn locations(&self) -> Result<Vec<LocationId>> {
        todo!()
    }

    /// Lists the queues of all locations.
    pub async fn queues(&self) -> Result<Listing<Queue>> {
        todo!()
    }

    /// Lists at most `max` tasks of a queue with view BASIC, or FULL where `full` (needs `cloudtasks.tasks.fullView`).
    pub async fn tasks(&self, queue: &QueueName, full: bool, max: usize) -> Result<Listing<Task>> {
        todo!()
    }

    /// Gets a task with headers and body.
    pub async fn task(&self, task: &TaskName) -> Result<Task> {
        todo!()
    }

    /// Lists the topics.
    pub async fn topics(&self) -> Result<Listing<Topic>> {
        todo!()
    }

    /// Lists the subscriptions.
    pub async fn subscriptions(&self) -> Result<Listing<Subscription>> {
        todo!()
    }

    /// Lists the dead-letter relations.
    pub async fn dead_letters(&self) -> Result<Listing<DeadLetterRelation>> {
        todo!()
    }

    /// Lists the scheduled jobs of all locations.
    pub async fn jobs(&self) -> Result<Listing<Job>> {
        todo!()
    }

    /// Gathers all numbers of the project, from Monitoring and from the queues' statistics.
    pub async fn numbers(&self) -> Result<Numbers> {
        todo!()
    }

    /// Looks at at most `max` messages of a subscription.
    pub async fn peek(&self, subscription: &SubscriptionName, mode: PeekMode, max: usize) -> Result<Peek> {
        todo!()
    }

    /// Publishes one message and returns its id.
    pub async fn publish(&self, topic: &TopicName, draft: Draft) -> Result<String> {
        todo!()
    }

    /// Runs a task now, also in a paused queue; returns it as it is after the dispatch was asked for.
    pub async fn run_task(&self, task: &TaskName) -> Result<Task> {
        todo!()
    }

    /// Deletes tasks, several at once, keeping a copy of each on disk first; `progress` is told how many are through.
    pub async fn discard_tasks(&self, tasks: Vec<TaskName>, progress: impl Fn(u64) + Send + Sync) -> Result<Report> {
        todo!()
    }

    /// Sends a task's request to a local handler as Cloud Tasks would, credentials stripped; only loopback addresses, no redirects.
    ///
    /// `base` replaces scheme, host and port of the task's URL; path and query stay.
    pub async fn debug_task(&self, task: &TaskName, base: &str) -> Result<HandlerAnswer> {
        todo!()
    }

    /// Pauses a queue.
    pub async fn pause_queue(&self, queue: &QueueName) -> Result<Queue> {
        todo!()
    }

    /// Resumes a queue.
    pub async fn resume_queue(&self, queue: &QueueName) -> Result<Queue> {
        todo!()
    }

    /// Deletes all tasks of a queue; takes up to a minute and cannot be undone.
    pub async fn purge_queue(&self, queue: &QueueName) -> Result<Queue> {
        todo!()
    }

    /// Runs a job now.
    pub async fn run_job(&self, job: &JobName) -> Result<Job> {
        todo!()
    }

    /// Pauses a job.
    pub async fn pause_job(&self, job: &JobName) -> Result<Job> {
        todo!()
    }

    /// Resumes a job.
    pub async fn resume_job(&self, job: &JobName) -> Result<Job> {
        todo!()
    }

    /// Reads the newest `max` entries of the activity log, newest first.
    pub fn activity(&self, max: usize) -> Result<Vec<Activity>> {
        todo!()
    }
}

/// Renders a task's request as a `curl` command that can be pasted into a POSIX shell; no character of the task can leave its quotes.
pub fn curl(task: &Task) -> String {
    todo!()
}
