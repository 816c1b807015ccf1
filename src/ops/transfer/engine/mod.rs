//! The transfer as a pure state machine: events and the time go in; copies, records and calls come out.
//!
//! Whoever runs it makes each [`Step`] happen in this order: copies durable, records durable, calls begun. That barrier is the whole order of work of the
//! contract: an intent is durable before its publish, an outcome or a copy before its ack. Must not know disk, network or clock: time is what has passed
//! since the run began, so that no jump of a clock moves a lease.

mod acks;
mod end;
mod leases;
mod publish;
mod receive;
mod target;
#[cfg(test)]
mod tests;
mod watch;

pub(super) use publish::Load;
pub(super) use receive::HELD_MAX;
pub(super) use target::Target;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::cargo::{ByIdentity, Cargo, Identities, Identity};
use super::draft::Marks;
use super::edit::edited;
use super::record::{Record, Story};
use super::{Counts, Delivery, Kind, Options, Selection, Source, State, TransferId};
use crate::error::{self, Error};
use crate::model::message::Message;
use crate::names::{SubscriptionName, TopicName};

/// Time since the run began.
pub(super) type Elapsed = Duration;

/// Attempts of one call or message before the transfer stops, or gives the message up when others get through.
const TRIES_MAX: u32 = 10;
/// The pause before the second attempt; it doubles …
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// … up to this.
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// The last errors that are kept for the operator.
const ERRORS_MAX: usize = 20;

/// What the engine is told at the start.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts of the source")]
pub(super) struct Settings {
    pub(super) id: TransferId,
    pub(super) kind: Kind,
    pub(super) source: Source,
    /// What is redriven bears these.
    pub(super) marks: Marks,
    pub(super) selection: Selection,
    pub(super) delivery: Delivery,
    pub(super) rate_max: Option<u32>,
    pub(super) window: usize,
    pub(super) max: Option<u64>,
    pub(super) cutoff: Timestamp,
    /// Topics of the sources that the plan knows.
    pub(super) routes: Vec<(SubscriptionName, TopicName)>,
    /// Whether what is taken from the source is leased for a while, and comes again; else it is read once, and an empty pull is the end of it.
    pub(super) leased: bool,
    /// Whether what was delivered stays in the source: nothing is acknowledged.
    pub(super) leave: bool,
    /// Whether the source is read from a copy made for this run alone: what is delivered, passed over or given up is acknowledged there.
    pub(super) drains: bool,
    /// How long after the begin that copy may still seem empty.
    pub(super) late: Duration,
    /// The subscription's own.
    pub(super) ack_deadline: Duration,
    pub(super) ordered: bool,
    pub(super) exactly_once: bool,
    pub(super) options: Options,
    /// Whether there is a subscription that tells what comes back.
    pub(super) watched: bool,
}

/// What other transfers did with messages of this subscription.
#[derive(Debug, Default)]
pub(super) struct Past {
    pub(super) published: Identities,
    pub(super) kept: Identities,
}

/// Why a call failed, as far as the engine cares.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    pub(super) words: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// It may have taken effect.
    Lost,
    /// It took no effect, and may work later.
    Later,
    /// It took no effect and never will, as it was asked.
    Bad,
    /// What it was asked of does not exist.
    Gone,
    /// Nothing will work: permission missing, API off.
    Access,
}

impl From<&Error> for Fault {
    fn from(error: &Error) -> Self {
        let kind = match error.kind() {
            // A token may just have run out: the next attempt has a new one.
            error::Kind::Exhausted | error::Kind::Unauthenticated => FaultKind::Later,
            _ if error.is_access() => FaultKind::Access,
            _ if error.is_ambiguous() => FaultKind::Lost,
            _ if error.is_not_found() => FaultKind::Gone,
            _ => FaultKind::Bad,
        };
        Self { kind, words: error.to_string() }
    }
}

/// One delivery of the source.
#[derive(Debug)]
pub(super) struct Arrival {
    /// By which it is acknowledged.
    pub(super) ack_id: String,
    pub(super) cargo: Cargo,
}

/// What happened. Answers may come in any order.
#[derive(Debug)]
pub(super) enum Event {
    Pulled(Result<Vec<Arrival>, Fault>),
    /// The topic of a source that the plan did not know; an error in words is final.
    Found(SubscriptionName, Result<TopicName, Fault>),
    Published(u64, Result<Vec<String>, Fault>),
    Acked(u64, Result<(), Fault>),
    Extended(u64, Result<(), Fault>),
    /// What came back, as the subscription made for that has it.
    Looked(Result<Vec<Message>, Fault>),
    /// Something to be told to the operator.
    Noticed(String),
    /// The rest may follow the canary.
    Proceed,
    Cancel,
}

/// What to ask of the service. Each is one attempt; those with a number are answered under it.
#[derive(Debug)]
pub(super) enum Call {
    Pull {
        max: usize,
        wait: Duration,
    },
    Find(SubscriptionName),
    Publish {
        call: u64,
        topic: TopicName,
        load: Load,
    },
    /// Delivers one message or task where only one goes by a call; answered as a publish is.
    Send {
        call: u64,
        to: Target,
        cargo: Box<Cargo>,
    },
    Ack {
        call: u64,
        ack_ids: Vec<String>,
    },
    Extend {
        call: u64,
        ack_ids: Vec<String>,
        deadline: Duration,
    },
    /// Looks for what came back.
    Look,
    /// Not answered.
    Release {
        ack_ids: Vec<String>,
    },
}

/// What has to be done now, in the order of the fields.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// To the file of copies, durable before the records. Their [`Record::Kept`] is written by the journal, which knows the length.
    pub(super) copies: Vec<(Identity, Arc<Cargo>)>,
    /// To the same file, before the records: what was edited, as it was. The journal writes their [`Record::Original`].
    pub(super) originals: Vec<(Identity, Arc<Cargo>)>,
    /// To the journal, durable before the calls.
    pub(super) records: Vec<Record>,
    pub(super) calls: Vec<Call>,
    /// When to step again though nothing happened.
    pub(super) wake: Option<Elapsed>,
    /// It is over: nothing is under way or leased any more.
    pub(super) end: Option<State>,
}

impl Step {
    fn wake_at(&mut self, at: Elapsed) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }
}

/// A message in scope that is not through yet.
#[derive(Debug)]
struct Item {
    identity: Identity,
    /// Dropped once it is published or kept.
    cargo: Option<Arc<Cargo>>,
    lease: Option<Lease>,
    phase: Phase,
    tries: u32,
    first_try: Option<Elapsed>,
    not_before: Elapsed,
    /// Halved when a batch with it is refused, to find the bad one.
    batch_max: usize,
    /// Who gave it up, where the delivery depends on it.
    source: Option<SubscriptionName>,
    /// Where it goes, once that is known.
    to: Option<Arc<Target>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Ready,
    Publishing,
    /// At the destination or in the kept copy, durably recorded by the end of the step: only the ack is missing.
    Safe,
}

/// A delivery that we hold.
#[derive(Debug, Clone)]
struct Lease {
    ack_id: String,
    /// At the latest, then it is open to others.
    ends: Elapsed,
    /// When another end was asked for.
    asked: Option<Elapsed>,
    /// That was not answered yet.
    pending: bool,
}

/// Where a message that was seen stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Active(u64),
    Moved,
    Discarded,
    Skipped,
    Failed,
}

/// How a source's topic is known.
#[derive(Debug)]
enum Route {
    To(TopicName),
    Asking { tries: u32 },
    Ask { tries: u32, not_before: Elapsed },
    Nowhere(String),
}

/// The machine.
#[derive(Debug)]
pub(super) struct Engine {
    settings: Arc<Settings>,
    past: Past,
    places: ByIdentity<Place>,
    items: BTreeMap<u64, Item>,
    item_next: u64,
    call_next: u64,
    /// Of the last message that named one.
    last_source: Option<SubscriptionName>,
    counts: Counts,
    /// Bound of the duplicates.
    unsure: u64,
    errors: VecDeque<String>,
    routes: HashMap<SubscriptionName, Route>,
    /// The destinations that are known, by who gave messages up; `None` is the one for all.
    targets: HashMap<Option<SubscriptionName>, Arc<Target>>,
    targets_gone: HashMap<Arc<Target>, String>,
    /// Ordering keys of which a message failed.
    keys_paused: BTreeSet<String>,
    publishing: HashMap<u64, (Arc<Target>, Vec<u64>)>,
    pace: target::Pace,
    /// Delivered by the last step, to be left in the source now that this is durable.
    left: Vec<u64>,
    last_success: Option<Elapsed>,
    watch: watch::Watch,
    /// Whose originals are kept.
    originals: Identities,
    rate_begun: Elapsed,
    rate_started: u64,
    acks: acks::Acks,
    /// Skipped and failed: leased until the end, so that they do not come straight back.
    held: ByIdentity<Lease>,
    extending: HashMap<u64, (Vec<leases::Asked>, Duration)>,
    extend_at: Elapsed,
    pulls: end::Pulls,
    stopping: Option<State>,
    ended: bool,
}

impl Engine {
    /// Makes the engine of a transfer, new or resumed: `story` is what its own journal tells.
    pub(super) fn new(settings: Settings, past: Past, story: &Story) -> Self {
        let mut places = ByIdentity::default();
        places.extend(story.published.iter().map(|id| (id.clone(), Place::Moved)));
        let kept = if settings.kind == Kind::Export { Place::Moved } else { Place::Discarded };
        places.extend(story.kept.iter().map(|id| (id.clone(), kept)));
        let (moved, discarded) = story.delivered();
        let earlier_end = if places.is_empty() { Elapsed::ZERO } else { Self::hidden_by_earlier_run(&settings, story) };
        let routes = settings.routes.iter().map(|(source, topic)| (source.clone(), Route::To(topic.clone()))).collect();
        let settings_canary = settings.options.canary.map(|canary| canary.count);
        Self {
            settings: Arc::new(settings),
            past,
            places,
            items: BTreeMap::new(),
            item_next: 0,
            call_next: 0,
            last_source: None,
            counts: Counts { seen: moved + discarded, moved, discarded, ..Counts::default() },
            unsure: story.unsure_max(),
            errors: VecDeque::new(),
            routes,
            targets: HashMap::new(),
            targets_gone: HashMap::new(),
            keys_paused: BTreeSet::new(),
            publishing: HashMap::new(),
            pace: target::Pace::default(),
            left: Vec::new(),
            last_success: None,
            watch: watch::Watch::new(settings_canary, story),
            originals: story.originals.clone(),
            rate_begun: Elapsed::ZERO,
            rate_started: 0,
            acks: acks::Acks::after(earlier_end),
            held: ByIdentity::default(),
            extending: HashMap::new(),
            extend_at: Elapsed::MAX,
            pulls: end::Pulls::default(),
            stopping: None,
            ended: false,
        }
    }

    /// Takes in what happened, and the time.
    pub(super) fn step(&mut self, now: Elapsed, events: impl IntoIterator<Item = Event>) -> Step {
        let mut step = Step::default();
        self.settle_left();
        for event in events {
            match event {
                Event::Pulled(result) => self.pulled(now, result, &mut step),
                Event::Found(source, result) => self.found(now, source, result),
                Event::Published(call, result) => self.published(now, call, result, &mut step),
                Event::Acked(call, result) => self.acked(now, call, result),
                Event::Extended(call, result) => self.extended(now, call, &result),
                Event::Looked(result) => self.looked(now, result, &mut step),
                Event::Noticed(words) => self.error(words),
                Event::Proceed => self.proceed(),
                Event::Cancel => self.stop(State::Cancelled, None),
            }
        }
        if self.ended {
            return step;
        }
        if self.stopping.is_none() {
            self.look_after(now, &mut step);
        }
        if self.stopping.is_none() {
            self.start_work(now, &mut step);
        }
        self.flush_acks(now, &mut step);
        if self.stopping.is_none() {
            self.extend(now, &mut step);
            self.pull_or_end(now, &mut step);
        }
        // The end rule may have begun to stop.
        if let Some(state) = self.stopping {
            self.wind_up(state, &mut step);
        }
        step
    }

    /// The journal could not be written: nothing of the last step happened. Returns what is to be released; nothing more comes after it.
    pub(super) fn journal_failed(&mut self, words: &str) -> Step {
        self.error(words.to_owned());
        self.ended = true;
        self.stopping = Some(State::Stopped);
        let mut step = Step { end: Some(State::Stopped), ..Step::default() };
        self.release_all(&mut step);
        step
    }

    /// Returns the counts.
    pub(super) fn counts(&self) -> Counts {
        Counts { remaining: self.items.len() as u64, ..self.counts }
    }

    /// Tells whether what was edited is kept as it was.
    pub(super) fn has_originals(&self) -> bool {
        !self.originals.is_empty()
    }

    /// Returns how many messages may have been published more than once.
    pub(super) fn unsure(&self) -> u64 {
        self.unsure
    }

    /// Returns the last errors, newest last, not escaped.
    pub(super) fn errors(&self) -> impl Iterator<Item = &str> {
        self.errors.iter().map(String::as_str)
    }

    /// Tells whether all is through and only the last look is waited for.
    pub(super) fn is_confirming(&self) -> bool {
        self.stopping.is_none() && self.pulls.confirming
    }

    fn error(&mut self, words: String) {
        if self.errors.back() == Some(&words) {
            return;
        }
        if self.errors.len() == ERRORS_MAX {
            self.errors.pop_front();
        }
        self.errors.push_back(words);
    }

    /// Begins to stop; the first reason stays.
    fn stop(&mut self, state: State, why: Option<String>) {
        if let Some(why) = why {
            self.error(why);
        }
        self.stopping.get_or_insert(state);
    }

    fn call(&mut self) -> u64 {
        self.call_next += 1;
        self.call_next
    }

    /// Ends the work on a message.
    fn settle(&mut self, item: u64, place: Place) {
        let Some(item) = self.items.remove(&item) else { return };
        match place {
            Place::Moved => self.counts.moved += 1,
            Place::Discarded => self.counts.discarded += 1,
            Place::Failed => self.counts.failed += 1,
            Place::Skipped | Place::Active(_) => {}
        }
        if place == Place::Failed
            && let Some(lease) = item.lease
        {
            self.hold(item.identity.clone(), lease);
        }
        self.places.insert(item.identity, place);
    }

    /// Gives a message up: it stays in the subscription.
    fn fail(&mut self, id: u64, why: &str, step: &mut Step) {
        let Some(item) = self.items.get(&id) else { return };
        let words = format!("{}: {why}", item.identity.shown());
        step.records.push(Record::Failed { id: item.identity.clone(), why: why.to_owned() });
        if self.settings.ordered
            && let Some(key) = item.cargo.as_ref().map(|cargo| cargo.key()).filter(|key| !key.is_empty())
        {
            self.keys_paused.insert(key.to_owned());
        }
        self.error(words);
        self.settle(id, Place::Failed);
    }
}

/// Returns the pause after so many tries.
fn backoff(tries: u32) -> Duration {
    BACKOFF_MIN.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(BACKOFF_MAX)
}
