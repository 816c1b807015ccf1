//! Transfers: a bounded set of messages moved (redrive) or put away with a kept copy (discard), so that nothing is lost.
//!
//! The contract: receive → intent recorded → publish → confirmed → outcome recorded, durable → acknowledge. The engine is a pure state machine; the IO is outside.

mod calls;
mod draft;
mod engine;
mod journal;
mod live;
mod options;
mod plan;
mod record;
mod runner;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::cause::CauseId;
use crate::model::message::Message;
use crate::model::numbers::Measured;
use crate::model::query::{MessageSubject, Query};
use crate::names::{SubscriptionName, TopicName};

pub(super) use live::Live;
pub use options::{Canary, Options};

/// The largest window: what one pull returns at most.
pub const WINDOW_MAX: u32 = 1000;

/// Names a transfer: short, unique on this machine, sorted by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TransferId(pub String);

impl std::fmt::Display for TransferId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a transfer does with each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Publishes it again.
    Redrive,
    /// Keeps a copy on disk and acknowledges it.
    Discard,
}

impl Kind {
    /// Returns the name of the action in the activity log.
    fn action(self) -> &'static str {
        match self {
            Self::Redrive => "dlq.redrive",
            Self::Discard => "dlq.discard",
        }
    }
}

/// Which messages of the subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Selection {
    /// All that entered it before the transfer began.
    All,
    /// Those with these message ids.
    Messages(BTreeSet<String>),
    /// Those that an expression selects; ages are measured at the plan's cutoff, so that a resumed run selects the same.
    Matching(Query),
    /// Those that failed for this reason.
    Cause(CauseId),
}

impl Selection {
    /// Tells whether messages may have to be passed over to reach others.
    fn passes_over(&self) -> bool {
        *self != Self::All
    }

    /// Tells whether a message is selected; `cutoff` is the transfer's.
    fn selects(&self, message: &Message, cutoff: Timestamp) -> bool {
        match self {
            Self::All => true,
            Self::Messages(ids) => ids.contains(&message.id),
            Self::Matching(query) => query.matches(&MessageSubject::new(message), cutoff),
            Self::Cause(id) => id.matches(message),
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

impl std::fmt::Display for Selection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Messages(ids) => write!(f, "{} chosen", ids.len()),
            Self::Matching(query) => write!(f, "the messages that match `{query}`"),
            Self::Cause(id) => write!(f, "the messages of cause `{id}`"),
        }
    }
}

/// Where redriven messages go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Delivery {
    /// To the topic of the subscription that gave each one up.
    SourceTopic,
    /// To this topic.
    Topic(TopicName),
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Redrive or discard.
    pub kind: Kind,
    /// The subscription that holds the messages.
    pub subscription: SubscriptionName,
    /// Which of them.
    pub selection: Selection,
    /// Where to; not used by discard.
    pub delivery: Delivery,
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

/// The look before the leap.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// What was asked for.
    pub request: Request,
    /// Messages that entered later than this (server's clock) stay.
    pub cutoff: Timestamp,
    /// How many there are, where that is known, as (value, source, as of).
    #[serde(skip)]
    pub expected: Option<Measured<u64>>,
    /// One route for each subscription that gave messages up.
    pub routes: Vec<Route>,
    /// Why it will not be done; empty when it can be.
    pub refusals: Vec<String>,
    /// What the operator should know before.
    pub warnings: Vec<String>,
}

/// Where the messages of one source go, and who receives them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Route {
    /// The subscription that gave them up; `None` for messages that do not say.
    pub source: Option<SubscriptionName>,
    /// The topic they are published to.
    pub topic: TopicName,
    /// Every subscription of that topic.
    pub receivers: Vec<Receiver>,
}

/// A subscription that receives what is redriven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Receiver {
    /// Its name.
    pub subscription: SubscriptionName,
    /// Its filter; empty is none.
    pub filter: String,
    /// Whether it is the one that gave the messages up.
    pub failed: bool,
}

/// Where a transfer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Under way in some process.
    Running,
    /// Everything seen is through and the visible backlog is empty; waits out an ack deadline and looks again, because an accepted ack proves nothing.
    Confirming,
    /// All planned messages are through.
    Done,
    /// Ended, some messages failed and stay where they were.
    DoneInPart,
    /// The operator stopped it; can be resumed.
    Cancelled,
    /// An error or a crash stopped it; can be resumed.
    Stopped,
}

/// `moved + discarded + skipped + failed + remaining = seen`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Received and within the selection's scope, each once.
    pub seen: u64,
    /// Published and acknowledged.
    pub moved: u64,
    /// Kept on disk and acknowledged.
    pub discarded: u64,
    /// Not selected, or entered too late: released.
    pub skipped: u64,
    /// Could not be moved; still in the subscription.
    pub failed: u64,
    /// Not yet resolved.
    pub remaining: u64,
}

/// A transfer as it is listed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Its id.
    pub id: TransferId,
    /// What was asked for.
    pub request: Request,
    /// Where it stands.
    pub state: State,
    /// How far it is.
    pub counts: Counts,
    /// How many it is expected to see, where that is known.
    pub expected: Option<u64>,
    /// Messages a second of late.
    pub rate: Option<f64>,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// The last errors, newest last, escaped.
    pub errors: Vec<String>,
    /// Where discarded messages are kept.
    pub copy: Option<std::path::PathBuf>,
    /// Messages that may have been published more than once: their publish was under way at a crash, or its answer was lost.
    pub duplicates_max: u64,
}
