//! The closed set of what can happen to the console, and of what it can ask for.

use std::path::PathBuf;

use crate::console::key::Key;
use crate::error::{Error, Result};
use crate::model::dead_letter::DeadLetterRelation;
use crate::model::job::Job;
use crate::model::listing::Listing;
use crate::model::message::Draft;
use crate::model::numbers::Numbers;
use crate::model::queue::Queue;
use crate::model::subscription::Subscription;
use crate::model::task::Task;
use crate::model::topic::Topic;
use crate::names::{JobName, ProjectId, QueueName, SubscriptionName, TaskName, TopicName};
use crate::ops::Place;
use crate::ops::transfer::{Plan, Request, Summary, TransferId};
use crate::ops::{Activity, Finding, HandlerAnswer, Peek, PeekMode, Report};

/// Names a call, so that late answers of replaced ones can be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct CallId(pub(crate) u64);

/// What is known of the project once there is a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    /// Project id.
    pub(crate) project: String,
    /// What the calls go to.
    pub(crate) place: Place,
    /// The locations it was narrowed to; empty is all.
    pub(crate) locations: Vec<String>,
    /// Whether it is sample data, and nothing of the user's.
    pub(crate) sample: bool,
}

/// What happened.
#[derive(Debug)]
pub(crate) enum Message {
    /// A key was pressed.
    Key(Key),
    /// Text was pasted.
    Paste(String),
    /// The mouse did something at (column, row).
    Mouse(Mouse, u16, u16),
    /// The terminal has this size now.
    Resize(u16, u16),
    /// A second passed.
    Tick,
    /// The connection was made, or cannot be.
    Connected(Result<Session>),
    /// A reading call was answered.
    Fetched(CallId, Box<Fetched>),
    /// A changing call was answered.
    Done(CallId, Result<Outcome>),
    /// A changing call got so far.
    Progress(CallId, u64),
    /// A transfer of this process ended.
    Ended(Box<Summary>),
    /// A file was written, or could not be.
    Saved(Result<PathBuf>),
    /// The editor was left, with this text.
    Edited(Result<String>),
    /// A theme was loaded, or could not be.
    Themed(String, Option<Error>),
}

/// What the mouse does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mouse {
    /// Left button.
    Click,
    /// Wheel.
    ScrollUp,
    /// Wheel.
    ScrollDown,
}

/// A call that changes nothing; a newer one of the same kind replaces an older one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fetch {
    /// All queues.
    Queues,
    /// All topics.
    Topics,
    /// All subscriptions.
    Subscriptions,
    /// All dead-letter relations.
    DeadLetters,
    /// All jobs.
    Jobs,
    /// All numbers.
    Numbers,
    /// Tasks of a queue.
    Tasks(QueueName),
    /// A task with headers and body.
    Task(TaskName),
    /// Messages of a subscription.
    Messages(SubscriptionName, PeekMode),
    /// Transfers.
    Transfers,
    /// The activity log.
    Activity,
    /// What may be wrong.
    Doctor,
    /// What a transfer would do.
    Plan(Box<Request>),
}

/// The answer to a [`Fetch`].
#[derive(Debug)]
pub(crate) enum Fetched {
    /// All queues.
    Queues(Result<Listing<Queue>>),
    /// All topics.
    Topics(Result<Listing<Topic>>),
    /// All subscriptions.
    Subscriptions(Result<Listing<Subscription>>),
    /// All dead-letter relations.
    DeadLetters(Result<Listing<DeadLetterRelation>>),
    /// All jobs.
    Jobs(Result<Listing<Job>>),
    /// All numbers.
    Numbers(Result<Numbers>),
    /// Tasks of a queue.
    Tasks(QueueName, Result<Listing<Task>>),
    /// A task with headers and body.
    Task(TaskName, Result<Task>),
    /// Messages of a subscription.
    Messages(SubscriptionName, Result<Peek>),
    /// Transfers.
    Transfers(Result<Listing<Summary>>),
    /// The activity log.
    Activity(Result<Listing<Activity>>),
    /// What may be wrong.
    Doctor(Result<Listing<Finding>>),
    /// What a transfer would do.
    Plan(Result<Plan>),
}

/// A call that changes something.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    /// Publishes a message.
    Publish(TopicName, Box<Draft>),
    /// Runs tasks now.
    RunTasks(Vec<TaskName>),
    /// Deletes tasks after a copy is kept.
    DiscardTasks(Vec<TaskName>),
    /// Sends a task to a local handler.
    DebugTask(TaskName, String),
    /// Pauses a queue.
    PauseQueue(QueueName),
    /// Resumes a queue.
    ResumeQueue(QueueName),
    /// Deletes all tasks of a queue.
    PurgeQueue(QueueName),
    /// Runs a job now.
    RunJob(JobName),
    /// Pauses a job.
    PauseJob(JobName),
    /// Resumes a job.
    ResumeJob(JobName),
    /// Starts a transfer.
    StartTransfer(Box<Plan>),
    /// Turns a push subscription to pull.
    Hold(SubscriptionName),
    /// Puts a held subscription's configuration back.
    Release(SubscriptionName),
    /// Stops a transfer.
    CancelTransfer(TransferId),
    /// Goes on with a transfer.
    ResumeTransfer(TransferId),
    /// Deletes kept copies.
    PruneTransfers(Vec<TransferId>),
}

/// What an [`Operation`] came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is done.
    Done,
    /// The id of the published message.
    Published(String),
    /// How many, and which failed.
    Report(Report),
    /// What the local handler answered.
    Answered(Box<HandlerAnswer>),
    /// The transfer that was started.
    Transfer(TransferId),
}

/// What the console asks the outside for.
#[derive(Debug, Clone)]
pub(crate) enum Effect {
    /// Reads.
    Fetch(CallId, Fetch),
    /// Changes.
    Do(CallId, Operation),
    /// Puts text into the clipboard, through the terminal.
    Copy(String),
    /// Writes a file only its owner can read.
    Save {
        /// How the file's name begins.
        name: String,
        /// How it ends.
        extension: &'static str,
        /// Its content.
        content: String,
    },
    /// Switches the reporting of the mouse.
    Mouse(bool),
    /// Opens a text in the user's editor.
    Edit(String),
    /// Begins to connect to another project.
    Context(ProjectId),
    /// Loads a theme.
    Theme(String),
    /// Panics in a task of its own, so that a test can see what becomes of the terminal. In debug builds only.
    #[cfg(debug_assertions)]
    Panic,
    /// Ends the program.
    Quit,
}
