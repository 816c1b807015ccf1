//! The unacknowledged messages of one subscription: who may be delivered next, what is leased until when, what waits for its back-off.
//!
//! Each operation costs O(log n) per message touched; nothing walks the backlog. Knows neither topics nor requests nor policies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::ascending::Ascending;
use super::convert::later;
use super::message::Message;
use super::mutation::{Mutation, strikes};
use super::serial::Serial;
use crate::emulator::state::saved::{Reader, Saved, Writer, damaged, saved};
use crate::error::Result;

/// The messages, each in exactly one [`Place`].
#[derive(Debug, Default)]
pub(super) struct Backlog {
    unacked: Ascending<Entry>,
    bytes: u64,
    /// What can be delivered, first come first served; a message that comes back goes to the end.
    ready: BTreeMap<u64, Turn>,
    turns: u64,
    delayed: BTreeSet<(Timestamp, u64)>,
    leased: BTreeSet<(Timestamp, u64)>,
    /// The messages of each ordering key; empty unless the subscription is ordered.
    lines: BTreeMap<String, Line>,
    ordered: bool,
    /// What each stream holds; leases of plain pulls and pushes have no holder.
    held: BTreeMap<u64, Held>,
    stirred: bool,
}

saved!(struct Backlog { unacked, bytes, ready, turns, delayed, leased, lines, ordered, held, stirred });

/// Small, for there can be millions of them.
#[derive(Debug)]
struct Entry {
    message: Arc<Message>,
    place: Place,
    /// Only of a message that was delivered once.
    past: Option<Box<Past>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In `ready`, under this turn.
    Ready(u64),
    /// In the line of its ordering key.
    InLine,
    /// In `delayed` (and in its line, if it has one).
    Delayed,
    Leased,
}

#[derive(Debug, Clone, Copy, Default)]
struct Past {
    /// Refusals and expired leases so far.
    failures: u32,
    /// The latest lease; it counts only while the message is leased.
    lease: u64,
    /// When the lease, or the delay, ends.
    until: Timestamp,
    holder: Option<u64>,
}

impl Entry {
    fn past(&self) -> Past {
        self.past.as_deref().copied().unwrap_or_default()
    }

    fn past_mut(&mut self) -> &mut Past {
        self.past.get_or_insert_default()
    }
}

impl Saved for Entry {
    fn save(&self, to: &mut Writer) {
        let Self { message, place, past: _ } = self;
        let Past { failures, lease, until, holder } = self.past();
        FIELDS.save(to);
        message.save(to);
        failures.save(to);
        lease.save(to);
        match place {
            Place::Ready(turn) => (0_u8, *turn).save(to),
            Place::InLine => 1_u8.save(to),
            Place::Delayed => (2_u8, until).save(to),
            Place::Leased => (3_u8, (until, holder)).save(to),
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self> {
        if u8::load(from)? != FIELDS {
            return Err(damaged("not the fields of a message in a backlog"));
        }
        let message = Saved::load(from)?;
        let mut past = Past { failures: Saved::load(from)?, lease: Saved::load(from)?, ..Past::default() };
        let place = match u8::load(from)? {
            0 => Place::Ready(Saved::load(from)?),
            1 => Place::InLine,
            2 => {
                past.until = Saved::load(from)?;
                Place::Delayed
            }
            3 => {
                (past.until, past.holder) = Saved::load(from)?;
                Place::Leased
            }
            _ => return Err(damaged("an unknown place of a message")),
        };
        Ok(Self { message, place, past: (past.lease > 0).then(|| Box::new(past)) })
    }
}

/// So many fields are written of an [`Entry`].
const FIELDS: u8 = 4;

/// Who can be delivered next.
#[derive(Debug)]
enum Turn {
    /// Messages that follow one another in the backlog.
    Run(Run),
    Line(Box<str>),
}

/// Those of `first..=last` whose place is this turn.
#[derive(Debug)]
struct Run {
    first: u64,
    last: u64,
    /// How many they are; none is not kept.
    left: u64,
}

saved!(struct Run { first, last, left });

impl Saved for Turn {
    fn save(&self, to: &mut Writer) {
        match self {
            Self::Line(key) => (1_u8, String::from(&**key)).save(to),
            Self::Run(run) => {
                2_u8.save(to);
                run.save(to);
            }
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self> {
        match u8::load(from)? {
            // Once each message had a turn of its own.
            0 => u64::load(from).map(|id| Self::Run(Run { first: id, last: id, left: 1 })),
            1 => String::load(from).map(|key| Self::Line(key.into())),
            2 => Run::load(from).map(Self::Run),
            _ => Err(damaged("an unknown kind of turn")),
        }
    }
}

/// The messages of one ordering key. One batch is out at a time; until all of it is settled the rest waits.
#[derive(Debug, Default)]
struct Line {
    waiting: BTreeSet<u64>,
    out: BTreeSet<u64>,
    turn: Option<u64>,
}

saved!(struct Line { waiting, out, turn });

#[derive(Debug, Default)]
struct Held {
    messages: BTreeSet<u64>,
    bytes: u64,
}

saved!(struct Held { messages, bytes });

/// How much to lease, for whom and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Want {
    pub(super) messages_max: usize,
    /// No further message is added once this is reached.
    pub(super) bytes_max: u64,
    /// The most of one ordering key.
    pub(super) batch_max: usize,
    pub(super) deadline: SignedDuration,
    pub(super) holder: Option<u64>,
}

/// A leased message.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) message: Arc<Message>,
    pub(super) lease: u64,
    /// 1 at first.
    pub(super) attempt: u32,
}

impl Backlog {
    pub(super) fn new(ordered: bool) -> Self {
        Self { ordered, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.unacked.len()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn oldest(&self) -> Option<&Arc<Message>> {
        self.unacked.first().map(|entry| &entry.message)
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = &Arc<Message>> {
        self.unacked.iter().map(|(_, entry)| &entry.message)
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Tells whether something became deliverable, or a stream got room, since the last time this was asked.
    pub(super) fn take_stirred(&mut self) -> bool {
        std::mem::take(&mut self.stirred)
    }

    /// When a lease or a back-off next ends.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let first = |set: &BTreeSet<(Timestamp, u64)>| set.first().map(|(time, _)| *time);
        [first(&self.leased), first(&self.delayed)].into_iter().flatten().min()
    }

    /// Adds a message unless it is there already.
    pub(super) fn add(&mut self, message: Arc<Message>) {
        let (id, line, bytes) = (message.id, self.line_of(&message), message.bytes);
        // Into its place at once: looking for it again is felt where many are published.
        let before = self.unacked.last_key();
        let turn = match &line {
            None if before.is_none_or(|before| before < id) => Some(self.give_turn_to(id, before)),
            _ => None,
        };
        let place = turn.map_or(Place::InLine, Place::Ready);
        if !self.unacked.add(id, Entry { message, place, past: None }) {
            return;
        }
        self.bytes += bytes;
        match line {
            Some(key) => self.wait_in_line(&key, id),
            None if turn.is_none() => self.make_available(id),
            None => {}
        }
    }

    /// Takes a message out for good, wherever it is.
    pub(super) fn remove(&mut self, id: u64) -> Option<Arc<Message>> {
        let entry = self.unacked.remove(id)?;
        self.leave(id, entry.place, entry.past(), &entry.message);
        self.bytes -= entry.message.bytes;
        if let Some(key) = self.line_of(&entry.message) {
            if let Some(line) = self.lines.get_mut(&key) {
                line.waiting.remove(&id);
            }
            self.line_up(&key);
        }
        Some(entry.message)
    }

    /// Leases what can be delivered, in turn, up to the limits.
    pub(super) fn lease(&mut self, want: &Want, now: Timestamp, serial: &mut Serial) -> Vec<Delivery> {
        let mut taken = Taken { deliveries: Vec::new(), bytes: 0 };
        while taken.has_room(want) {
            let Some(mut next) = self.ready.first_entry() else { break };
            let number = *next.key();
            match next.get_mut() {
                Turn::Run(run) => {
                    let members = self.unacked.range(run.first..=run.last).filter(|(_, entry)| entry.place == Place::Ready(number));
                    let id = members.map(|(id, _)| id).next();
                    match id {
                        Some(id) if run.left > 1 => (run.first, run.left) = (id + 1, run.left - 1),
                        _ => drop(next.remove()),
                    }
                    if let Some(id) = id {
                        self.take(id, want, now, serial, &mut taken);
                    }
                }
                Turn::Line(_) => {
                    if let Turn::Line(key) = next.remove() {
                        self.take_batch(&key, want, now, serial, &mut taken);
                    }
                }
            }
        }
        taken.deliveries
    }

    fn take_batch(&mut self, key: &str, want: &Want, now: Timestamp, serial: &mut Serial, taken: &mut Taken) {
        let mut batch = Vec::new();
        if let Some(line) = self.lines.get_mut(key) {
            line.turn = None;
            let room = want.batch_max.min(want.messages_max - taken.deliveries.len());
            let bytes = taken.bytes;
            let mut sum = bytes;
            for &id in line.waiting.iter().take(room) {
                let Some(entry) = self.unacked.get(id) else { break };
                // The first one was checked when the line got its turn; the limit in bytes bounds those after it.
                if entry.place != Place::InLine || (sum > bytes && sum >= want.bytes_max) {
                    break;
                }
                sum += entry.message.bytes;
                batch.push(id);
            }
            for id in &batch {
                line.waiting.remove(id);
                line.out.insert(*id);
            }
        }
        for id in batch {
            self.take(id, want, now, serial, taken);
        }
    }

    fn take(&mut self, id: u64, want: &Want, now: Timestamp, serial: &mut Serial, taken: &mut Taken) {
        let Some(entry) = self.unacked.get_mut(id) else { return };
        let until = later(now, want.deadline);
        entry.place = Place::Leased;
        let past = entry.past_mut();
        (past.until, past.holder, past.lease) = (until, want.holder, serial.next(now));
        let (lease, attempt) = (past.lease, past.failures + 1);
        self.leased.insert((until, id));
        if let Some(held) = want.holder.map(|holder| self.held.entry(holder).or_default()) {
            held.messages.insert(id);
            held.bytes += entry.message.bytes;
        }
        taken.bytes += entry.message.bytes;
        taken.deliveries.push(Delivery { message: entry.message.clone(), lease, attempt });
    }

    /// Tells whether this very lease holds the message now.
    pub(super) fn is_leased(&self, id: u64, lease: u64) -> bool {
        let is_latest = |entry: &Entry| entry.past().lease == lease || strikes(Mutation::StaleAckTaken);
        self.unacked.get(id).is_some_and(|entry| entry.place == Place::Leased && is_latest(entry))
    }

    /// What this very lease delivered, while it holds.
    pub(super) fn delivery(&self, id: u64, lease: u64) -> Option<Delivery> {
        let entry = self.unacked.get(id).filter(|_| self.is_leased(id, lease))?;
        Some(Delivery { message: entry.message.clone(), lease, attempt: entry.past().failures + 1 })
    }

    /// The number of the lease that holds or last held the message.
    pub(super) fn lease_of(&self, id: u64) -> Option<u64> {
        self.unacked.get(id).map(|entry| entry.past().lease)
    }

    /// Refusals and expired leases of the message so far.
    pub(super) fn failures(&self, id: u64) -> u32 {
        self.unacked.get(id).map_or(0, |entry| entry.past().failures)
    }

    /// Makes the lease of a leased message end at `until`.
    pub(super) fn extend(&mut self, id: u64, until: Timestamp) {
        let Some(entry) = self.unacked.get_mut(id).filter(|entry| entry.place == Place::Leased) else { return };
        let past = entry.past_mut();
        let before = past.until;
        past.until = if strikes(Mutation::ExtensionForgotten) { before } else { until };
        self.leased.remove(&(before, id));
        self.leased.insert((past.until, id));
    }

    /// The leased message whose lease ended first, if it ended by `now`.
    pub(super) fn expired(&self, now: Timestamp) -> Option<u64> {
        self.leased.first().filter(|(until, _)| *until <= now).map(|(_, id)| *id)
    }

    /// Ends the lease of a leased message as a failed delivery: it can be delivered again at once, or from `until` on. What was leased of
    /// the same ordering key after it comes back too, without a failure of its own; what was acknowledged of it stays acknowledged (Google may
    /// deliver that again as well).
    pub(super) fn fail(&mut self, id: u64, until: Option<Timestamp>) {
        let Some(entry) = self.unacked.get_mut(id) else { return };
        let (place, past, message) = (entry.place, entry.past(), entry.message.clone());
        entry.past_mut().failures += u32::from(!strikes(Mutation::AttemptNotCounted));
        if let Some(until) = until {
            entry.place = Place::Delayed;
            entry.past_mut().until = until;
            self.delayed.insert((until, id));
        }
        self.leave(id, place, past, &message);
        if let Some(key) = self.line_of(&message) {
            let later: Vec<u64> = self.lines.get(&key).map(|line| line.out.range(id..).copied().collect()).unwrap_or_default();
            for id in later.into_iter().filter(|_| !strikes(Mutation::BatchNotCalledBack)) {
                self.release(id);
            }
        }
        match until {
            None => self.make_available(id),
            Some(_) => {
                if let Some(key) = self.line_of(&message) {
                    self.lines.entry(key.clone()).or_default().waiting.insert(id);
                    self.line_up(&key);
                }
            }
        }
    }

    /// Ends the lease of a leased message as if it had not been delivered.
    fn release(&mut self, id: u64) {
        let Some(entry) = self.unacked.get(id).filter(|entry| entry.place == Place::Leased) else { return };
        let (past, message) = (entry.past(), entry.message.clone());
        self.leave(id, Place::Leased, past, &message);
        self.make_available(id);
    }

    /// Makes available what waited for a back-off that is over by `now`.
    pub(super) fn end_backoffs(&mut self, now: Timestamp) {
        while let Some(&(until, id)) = self.delayed.first().filter(|(until, _)| *until <= now) {
            self.delayed.remove(&(until, id));
            self.make_available(id);
        }
    }

    /// Messages and bytes that a stream holds.
    pub(super) fn held_by(&self, holder: u64) -> (usize, u64) {
        self.held.get(&holder).map_or((0, 0), |held| (held.messages.len(), held.bytes))
    }

    /// The messages that a stream holds; afterwards their leases belong to nobody.
    pub(super) fn orphan(&mut self, holder: u64) -> Vec<u64> {
        let Some(held) = self.held.remove(&holder) else { return Vec::new() };
        for id in &held.messages {
            if let Some(entry) = self.unacked.get_mut(*id) {
                entry.past_mut().holder = None;
            }
        }
        held.messages.into_iter().collect()
    }

    /// When the lease of a leased message ends.
    pub(super) fn leased_until(&self, id: u64) -> Option<Timestamp> {
        self.unacked.get(id).filter(|entry| entry.place == Place::Leased).map(|entry| entry.past().until)
    }

    /// Puts a message that is in no place into the queue or its line.
    fn make_available(&mut self, id: u64) {
        let Some(line) = self.unacked.get(id).map(|entry| self.line_of(&entry.message)) else { return };
        let turn = if line.is_none() { Some(self.give_turn_to(id, self.unacked.key_before(id))) } else { None };
        if let Some(entry) = self.unacked.get_mut(id) {
            entry.place = turn.map_or(Place::InLine, Place::Ready);
        }
        if let Some(key) = line {
            self.wait_in_line(&key, id);
        }
    }

    fn wait_in_line(&mut self, key: &str, id: u64) {
        self.lines.entry(key.to_owned()).or_default().waiting.insert(id);
        self.line_up(key);
    }

    /// Undoes what belonged to the place of a message. The line of an ordering key is left to the caller, save that nothing of it is out any more.
    fn leave(&mut self, id: u64, place: Place, past: Past, message: &Message) {
        match place {
            Place::Ready(turn) => self.give_up_turn(turn),
            Place::InLine => {}
            Place::Delayed => drop(self.delayed.remove(&(past.until, id))),
            Place::Leased => {
                self.leased.remove(&(past.until, id));
                self.let_go(id, past.holder, message);
            }
        }
    }

    /// Counts one less in a run, wherever in it that one was.
    fn give_up_turn(&mut self, turn: u64) {
        match self.ready.get_mut(&turn) {
            Some(Turn::Run(run)) if run.left > 1 => run.left -= 1,
            _ => drop(self.ready.remove(&turn)),
        }
    }

    fn let_go(&mut self, id: u64, holder: Option<u64>, message: &Message) {
        if let Some(line) = self.line_of(message).and_then(|key| self.lines.get_mut(&key)) {
            line.out.remove(&id);
        }
        if let Some(held) = holder.and_then(|holder| self.held.get_mut(&holder)).filter(|_| !strikes(Mutation::RoomNotFreed)) {
            held.messages.remove(&id);
            held.bytes -= message.bytes;
            self.stirred = true;
        }
    }

    /// Gives a line its turn when its first message can be delivered, takes it back when not, and forgets an empty line.
    fn line_up(&mut self, key: &str) {
        let Some(line) = self.lines.get_mut(key) else { return };
        let first = line.waiting.first().and_then(|id| self.unacked.get(*id));
        let all_settled = line.out.is_empty() || strikes(Mutation::KeyOvertakes);
        let deliverable = all_settled && first.is_some_and(|entry| entry.place == Place::InLine);
        match line.turn {
            Some(turn) if !deliverable => {
                line.turn = None;
                self.ready.remove(&turn);
            }
            None if deliverable => {
                let turn = self.give_turn(Turn::Line(key.into()));
                if let Some(line) = self.lines.get_mut(key) {
                    line.turn = Some(turn);
                }
            }
            _ => {}
        }
        if self.lines.get(key).is_some_and(|line| line.waiting.is_empty() && line.out.is_empty()) {
            self.lines.remove(key);
        }
    }

    /// Gives a message a turn, the last. It is that of the message `before` it in the backlog if that one is the last of it: nobody is between them.
    fn give_turn_to(&mut self, id: u64, before: Option<u64>) -> u64 {
        if let Some(mut latest) = self.ready.last_entry()
            && let Turn::Run(run) = latest.get_mut()
            && Some(run.last) == before
        {
            (run.last, run.left) = (id, run.left + 1);
            self.stirred = true;
            return *latest.key();
        }
        self.give_turn(Turn::Run(Run { first: id, last: id, left: 1 }))
    }

    fn give_turn(&mut self, turn: Turn) -> u64 {
        self.turns += 1;
        self.ready.insert(self.turns, turn);
        self.stirred = true;
        self.turns
    }

    fn line_of(&self, message: &Message) -> Option<String> {
        (self.ordered && !message.ordering_key().is_empty()).then(|| message.ordering_key().to_owned())
    }
}

struct Taken {
    deliveries: Vec<Delivery>,
    bytes: u64,
}

impl Taken {
    fn has_room(&self, want: &Want) -> bool {
        self.deliveries.len() < want.messages_max && (self.bytes < want.bytes_max || self.bytes == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_of_older_data_are_runs_of_one() {
        let mut to = Writer::default();
        // The message with this id.
        (0_u8, 7_u64).save(&mut to);
        let turn = Turn::load(&mut Reader::new(&to.bytes)).unwrap();
        assert!(matches!(turn, Turn::Run(Run { first: 7, last: 7, left: 1 })), "{turn:?}");
    }
}
