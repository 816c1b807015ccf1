//! What is asked for: which messages or tasks, from where, to where.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cargo::Cargo;
use super::{Options, TransferId};
use crate::error::{Error, Result};
use crate::model::cause::CauseId;
use crate::model::query::{MessageSubject, Query, TaskSubject};
use crate::names::{QueueName, SubscriptionName, TopicName};
use crate::ops::PeekMode;

/// The largest window: what one pull returns at most.
pub const WINDOW_MAX: u32 = 1000;

/// Messages under way at once where nothing else is asked for.
const WINDOW_DEFAULT: u32 = 100;

/// What a transfer does with each message or task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Delivers it again; what is delivered leaves the source.
    Redrive,
    /// Keeps a copy on disk and takes it away.
    Discard,
    /// Sends it to a handler; it stays where it is, unless asked otherwise.
    Replay,
    /// Writes it to a file; it stays where it is.
    Export,
    /// Puts what a discard took away back where it was.
    Undo,
    /// Has Cloud Tasks dispatch it now.
    Run,
}

impl Kind {
    /// Returns its name in the activity log, in commands and in words for people.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Redrive => "redrive",
            Self::Discard => "discard",
            Self::Replay => "replay",
            Self::Export => "export",
            Self::Undo => "undo",
            Self::Run => "run",
        }
    }
}

/// Where messages or tasks are taken from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Source {
    /// A subscription, of dead letters or any other.
    Subscription(SubscriptionName),
    /// The tasks of a queue, or of its dead set (`QUEUE-dead`).
    Queue(QueueName),
    /// A file written earlier by a discard or an export.
    File(PathBuf),
    /// The kept copies of a discard on this machine.
    Kept(TransferId),
}

impl Source {
    /// Returns the short name for people.
    pub fn id(&self) -> String {
        match self {
            Self::Subscription(name) => name.id().to_owned(),
            Self::Queue(name) => name.id().to_owned(),
            Self::File(path) => path.display().to_string(),
            Self::Kept(id) => format!("the copies of {id}"),
        }
    }

    /// Returns the subscription, where it is one.
    pub fn subscription(&self) -> Option<&SubscriptionName> {
        match self {
            Self::Subscription(name) => Some(name),
            _ => None,
        }
    }

    /// Returns the queue, where it is one.
    pub fn queue(&self) -> Option<&QueueName> {
        match self {
            Self::Queue(name) => Some(name),
            _ => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subscription(name) => name.fmt(f),
            Self::Queue(name) => name.fmt(f),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Kept(id) => write!(f, "transfer:{id}"),
        }
    }
}

impl FromStr for Source {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some(path) = text.strip_prefix("file:") {
            return Ok(Self::File(path.into()));
        }
        if let Some(id) = text.strip_prefix("transfer:") {
            return Ok(Self::Kept(TransferId(id.to_owned())));
        }
        if text.contains("/queues/") { Ok(Self::Queue(text.parse()?)) } else { Ok(Self::Subscription(text.parse()?)) }
    }
}

impl TryFrom<String> for Source {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Source> for String {
    fn from(source: Source) -> Self {
        source.to_string()
    }
}

/// Which messages of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Selection {
    /// All that entered it before the transfer began.
    All,
    /// Those with these message ids, or full task names.
    Messages(BTreeSet<String>),
    /// Those that an expression selects; ages are measured at the plan's cutoff, so that a resumed run selects the same.
    Matching(Query),
    /// Those that failed for this reason.
    Cause(CauseId),
}

impl Selection {
    /// Tells whether messages may have to be passed over to reach others.
    pub(super) fn passes_over(&self) -> bool {
        *self != Self::All
    }

    /// Tells whether a message or task is selected; `cutoff` is the transfer's.
    pub(super) fn selects(&self, cargo: &Cargo, cutoff: Timestamp) -> bool {
        match (self, cargo) {
            (Self::All, _) => true,
            (Self::Messages(ids), _) => ids.contains(cargo.id().as_ref()),
            (Self::Matching(query), Cargo::Message(message)) => query.matches(&MessageSubject::new(message), cutoff),
            (Self::Matching(query), Cargo::Task(task)) => query.matches(&TaskSubject::new(task), cutoff),
            (Self::Cause(id), Cargo::Message(message)) => id.matches(message),
            (Self::Cause(_), Cargo::Task(_)) => false,
        }
    }

    /// Returns how many messages are selected, where the selection itself says so.
    pub fn count(&self) -> Option<u64> {
        match self {
            Self::Messages(ids) => Some(ids.len() as u64),
            _ => None,
        }
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Messages(ids) => write!(f, "{} chosen", ids.len()),
            Self::Matching(query) => write!(f, "the messages that match `{query}`"),
            Self::Cause(id) => write!(f, "the messages of cause `{id}`"),
        }
    }
}

/// Where messages or tasks go; not used by discard, which keeps a copy on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Delivery {
    /// To the topic of the subscription that gave each one up; an undo, to the topic of the subscription they were discarded from.
    SourceTopic,
    /// To this topic.
    Topic(TopicName),
    /// To the topic of the subscription that gave each one up, marked as meant for that subscription alone (`redrive-to`).
    Addressed,
    /// To the endpoint of the push subscription that gave each one up, past its topic.
    Direct {
        /// Whether the endpoint may have a private address.
        private: bool,
    },
    /// To this handler, as a push subscription (or Cloud Tasks) would send it, without credentials.
    Handler {
        /// Where it listens.
        url: String,
        /// Whether it may be on another machine.
        anywhere: bool,
    },
    /// To this file, as lines of JSON that can be read in again.
    File(PathBuf),
    /// As a new task in a queue.
    Task(Box<TaskChange>),
    /// Nowhere: Cloud Tasks is asked to dispatch the task now.
    Run,
}

/// What is different about a task that is created again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskChange {
    /// The queue it is created in; `None` is its own, and for a task of a dead set the queue that it failed in.
    pub queue: Option<QueueName>,
    /// When it is due; `None` keeps a time to come, and else is at once.
    pub at: Option<Timestamp>,
    /// Another URL.
    pub url: Option<String>,
    /// Another method.
    pub method: Option<String>,
    /// Headers to set; an empty value takes one off.
    pub headers: std::collections::BTreeMap<String, String>,
    /// Another body.
    pub body: Option<Vec<u8>>,
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SourceTopic => f.write_str("source"),
            Self::Topic(topic) => f.write_str(topic.id()),
            Self::Addressed => f.write_str("source, addressed"),
            Self::Direct { .. } => f.write_str("endpoint"),
            Self::Handler { url, .. } => f.write_str(url),
            Self::File(path) => path.display().fmt(f),
            Self::Task(change) => match &change.queue {
                Some(queue) => f.write_str(queue.id()),
                None => f.write_str("its queue"),
            },
            Self::Run => f.write_str("run now"),
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What to do.
    pub kind: Kind,
    /// What holds the messages or tasks.
    #[serde(alias = "subscription")]
    pub source: Source,
    /// Which of them.
    pub selection: Selection,
    /// Where to; not used by discard.
    pub delivery: Delivery,
    /// Whether what was delivered stays in the source, too.
    #[serde(default)]
    pub leave: bool,
    /// How what stays in a subscription is read: leased until the end, or from a snapshot, which leases nothing there. `None` lets the plan choose.
    #[serde(default)]
    pub reading: Option<PeekMode>,
    /// Messages a second at most; `None` is as fast as it goes.
    pub rate_max: Option<u32>,
    /// Messages under way at once (1–1000): also the bound of duplicates per crash.
    pub window: u32,
    /// Messages at most.
    pub max: Option<u64>,
    /// What else is asked for.
    #[serde(default)]
    pub options: Options,
}

impl Request {
    /// Asks for everything that is in the source, to the source's topic, as fast as it goes; what is replayed or exported stays.
    pub fn new(kind: Kind, source: Source) -> Self {
        Self {
            kind,
            source,
            selection: Selection::All,
            delivery: Delivery::SourceTopic,
            leave: matches!(kind, Kind::Replay | Kind::Export),
            reading: None,
            rate_max: None,
            window: WINDOW_DEFAULT,
            max: None,
            options: Options::default(),
        }
    }

    /// Returns the name of the action in the activity log.
    pub(super) fn action(&self) -> String {
        let group = match self.source {
            Source::Subscription(_) => "dlq",
            Source::Queue(_) => "tasks",
            Source::File(_) | Source::Kept(_) => "transfer",
        };
        format!("{group}.{}", self.kind.verb())
    }

    /// Tells whether what was done with a message or task must not be done with it again: not where it stays in the source to be used again.
    pub(super) fn takes(&self) -> bool {
        !self.leave && self.delivery != Delivery::Run
    }

    /// Tells whether the messages are read from a snapshot: nothing happens to the subscription itself.
    pub(super) fn reads_snapshot(&self) -> bool {
        self.leave && self.reading == Some(PeekMode::Snapshot)
    }

    /// Tells whether nothing is acknowledged or deleted after the delivery.
    pub(super) fn leaves(&self) -> bool {
        !self.takes() || matches!(self.source, Source::File(_) | Source::Kept(_))
    }

    /// Says in a few words what is done: `redrive hold → source`.
    pub fn words(&self) -> String {
        let (verb, from) = (self.kind.verb(), self.source.id());
        match self.kind {
            Kind::Discard | Kind::Run => format!("{verb} {from}"),
            _ => format!("{verb} {from} → {}", self.delivery),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_as_they_are_written() {
        for text in ["projects/p1/subscriptions/hold", "projects/p1/locations/l/queues/emails", "file:/tmp/a b.jsonl", "transfer:0abc"] {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
        assert!("hold".parse::<Source>().is_err());
    }

    #[test]
    fn requests_of_earlier_journals_are_read() {
        let text = r#"{"kind":"redrive","subscription":"projects/p1/subscriptions/hold","selection":"all","delivery":"sourcetopic","rate_max":null,"window":100,"max":null}"#;
        let request: Request = serde_json::from_str(text).unwrap();
        assert_eq!(request, Request::new(Kind::Redrive, "projects/p1/subscriptions/hold".parse().unwrap()));
        assert_eq!(request.words(), "redrive hold → source");
    }
}
