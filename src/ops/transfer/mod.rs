//! Transfers: a bounded set of messages moved (redrive) or put away with a kept copy (discard), so that nothing is lost.
//!
//! The contract: receive → intent recorded → publish → confirmed → outcome recorded, durable → acknowledge. The engine is a pure state machine; the IO is outside.

mod calls;
mod cargo;
mod copy;
mod delivery;
mod draft;
mod edit;
mod edit_task;
mod engine;
mod escort;
mod journal;
mod live;
mod look;
mod mark;
mod options;
mod plan;
mod port;
mod prune;
mod quick;
mod record;
mod request;
mod runner;
mod sample;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{self, Error};
use crate::model::cause::CauseId;
use crate::model::numbers::Measured;
use crate::model::subscription::Subscription;
use crate::model::text;
use crate::names::{SubscriptionName, TopicName};
use crate::provision;

pub use edit::{difference, document, edited, read_patch, replaced};
pub use edit_task::{task_change, task_document};
pub(super) use live::Live;
pub use look::RUN_TASKS_MAX;
pub use options::{Canary, Options};
pub(in crate::ops) use port::addresses;
pub use prune::Pruned;
pub use request::{Delivery, Kind, Request, Selection, Source, TaskChange, WINDOW_MAX};
pub use sample::{Looked, LookedCause, Problem};

/// Names a transfer: short, unique on this machine, sorted by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TransferId(pub String);

impl TransferId {
    /// Tells whether it can be one of ours, and leads to no other folder.
    fn is_plain(&self) -> bool {
        !self.0.is_empty() && self.0.bytes().all(|byte| byte.is_ascii_alphanumeric())
    }
}

impl std::fmt::Display for TransferId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
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
    /// What the messages themselves tell; `None` where none was looked at.
    pub looked: Option<Looked>,
    /// How long it takes at the rate asked for, where there is one.
    pub takes: Option<Duration>,
    /// One route for each subscription that gave messages up.
    pub routes: Vec<Route>,
    /// Why it will not be done; empty when it can be.
    pub refusals: Vec<String>,
    /// What the operator should know before.
    pub warnings: Vec<String>,
    /// Whether the operator confirmed by name all that [`Plan::fan_out`] names.
    #[serde(skip)]
    pub fan_out_confirmed: bool,
}

impl Plan {
    /// Notes that the operator confirmed by name all that [`Plan::fan_out`] names.
    #[must_use]
    pub fn confirmed(self) -> Self {
        Self { fan_out_confirmed: true, ..self }
    }

    /// Says who would process messages again without having been confirmed by name, if anybody would.
    fn unconfirmed(&self) -> Option<Error> {
        let names: Vec<String> = self.fan_out().into_iter().map(|name| format!("`{}`", name.id())).collect();
        if self.fan_out_confirmed || names.is_empty() {
            return None;
        }
        let words =
            format!("{} would process the messages again though they did not fail, and were not confirmed by name", names.join(", "));
        Some(
            Error::new(error::Kind::Refused, words)
                .with_hint("confirm each with `--fan-out SUBSCRIPTION`, or send them another way (`--delivery`)"),
        )
    }

    /// Names the subscriptions that would process messages again though they did not fail: the operator confirms them by name.
    ///
    /// Those whose filter keeps all messages away do not count, where all were looked at; nor do any where the topic was named outright.
    pub fn fan_out(&self) -> BTreeSet<&SubscriptionName> {
        if !matches!(self.request.delivery, Delivery::SourceTopic | Delivery::Addressed) || self.request.kind == Kind::Undo {
            return BTreeSet::new();
        }
        let complete = self.looked.as_ref().is_some_and(|looked| looked.complete && looked.messages > 0);
        let receivers = self.routes.iter().flat_map(|route| &route.receivers);
        let again = receivers.filter(|receiver| !receiver.failed && (!complete || receiver.matches != Some(0)));
        again.map(|receiver| &receiver.subscription).collect()
    }

    /// Returns the routes without those that, as all messages were looked at, none of them takes.
    pub fn routes_taken(&self) -> impl Iterator<Item = &Route> {
        let complete = self.looked.as_ref().is_some_and(|looked| looked.complete);
        let told = complete && self.routes.iter().any(|route| route.messages > 0);
        self.routes.iter().filter(move |route| !told || route.messages > 0)
    }
}

/// Where the messages of one source go, and who receives them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Route {
    /// The subscription that gave them up; `None` for messages that do not say.
    pub source: Option<SubscriptionName>,
    /// The topic they are published to.
    pub topic: TopicName,
    /// How many of the messages looked at go this way.
    pub messages: u64,
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
    /// How many of the messages looked at its filter lets through; `None` where none was looked at.
    pub matches: Option<u64>,
    /// Whether it is known to skip what is addressed to another.
    pub skips: bool,
}

impl Receiver {
    fn new(subscription: Subscription, source: Option<&SubscriptionName>) -> Self {
        Self {
            failed: source == Some(&subscription.name),
            skips: provision::is_served_by_an_app(&subscription),
            subscription: subscription.name,
            filter: subscription.filter,
            matches: None,
        }
    }
}

/// Where a transfer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Under way in some process.
    Running,
    /// Everything seen is through and the visible backlog is empty; waits out an ack deadline and looks again, because an accepted ack proves nothing.
    Confirming,
    /// What was sent is out, and is watched for coming back.
    Watching,
    /// The canary is out, and the operator is asked whether the rest may follow.
    Asking,
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
    /// How many came back to the dead letters, as far as is known by now.
    pub returned: u64,
    /// Why, the most frequent first.
    pub returned_causes: Vec<LookedCause>,
}

impl Summary {
    /// Tells how long it still takes at the rate of late, where both are known.
    pub fn left(&self) -> Option<Duration> {
        let rate = self.rate.filter(|rate| *rate > 0.0 && self.state == State::Running)?;
        let Counts { seen, moved, discarded, skipped, .. } = self.counts;
        let wanted = self.expected.unwrap_or(0).max(seen.saturating_sub(skipped));
        #[expect(clippy::cast_precision_loss, reason = "an estimate in seconds")]
        let seconds = wanted.saturating_sub(moved + discarded) as f64 / rate;
        Duration::try_from_secs_f64(seconds.ceil()).ok()
    }
}

impl State {
    /// Tells whether it is under way in some process.
    pub fn is_running(self) -> bool {
        matches!(self, Self::Running | Self::Confirming | Self::Watching | Self::Asking)
    }
}

/// Lists causes of returns, the most frequent first.
fn returned_causes<'a>(causes: impl IntoIterator<Item = (&'a CauseId, &'a (String, u64))>) -> Vec<LookedCause> {
    let causes = causes.into_iter();
    let mut causes: Vec<_> =
        causes.map(|(id, (words, count))| LookedCause { id: id.clone(), count: *count, cause: text::line(words).into_owned() }).collect();
    causes.sort_by_key(|one| std::cmp::Reverse(one.count));
    causes
}
