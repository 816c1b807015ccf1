//! Starting publishes (or keeping copies), and what comes of them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::super::draft;
use super::target::FAILURES_IN_A_ROW_MAX;
use super::{
    Call, Cargo, Delivery, Elapsed, Engine, Fault, FaultKind, Identity, Item, Kind, Phase, Record, Route, Settings, State, Step,
    SubscriptionName, TRIES_MAX, Target, TopicName, backoff,
};
use crate::model::message::Draft;

/// Messages of one publish (Google's limit).
pub(super) const BATCH_MESSAGES_MAX: usize = 1000;
/// Bytes of one publish, well below Google's 10 MB for the request; a larger message goes alone.
const BATCH_BYTES_MAX: usize = 8_000_000;
/// What a message costs beside its own bytes.
const MESSAGE_BYTES_EXTRA: usize = 256;
/// From this try on a batch is halved before it is tried again: one message may be what the server chokes on.
const HALVE_FROM_TRY: u32 = 3;

/// A window goes in so many publishes at least: while one is under way the next is made ready, and another written down.
const PUBLISHES_OF_WINDOW: usize = 4;

/// Messages that can be published by one request.
struct Batch {
    to: Arc<Target>,
    key: String,
    items: Vec<u64>,
    bytes: usize,
    messages_max: usize,
}

/// The batches of a step, in the order in which they were begun, and those of them that still take messages.
#[derive(Default)]
struct Batches {
    all: Vec<Batch>,
    open: BTreeMap<(Arc<Target>, String), usize>,
    /// The open one that took a message last: most often it takes the next.
    last: Option<usize>,
}

impl Batches {
    /// Finds the open batch of a destination and key.
    fn find(&self, to: &Arc<Target>, key: &str) -> Option<usize> {
        let last = self.last.filter(|last| Arc::ptr_eq(&self.all[*last].to, to) && self.all[*last].key == key);
        last.or_else(|| self.open.get(&(to.clone(), key.to_owned())).copied())
    }

    /// Begins a batch; one that was open there takes no more.
    fn begin(&mut self, to: Arc<Target>, key: String, messages_max: usize) -> usize {
        let number = self.all.len();
        self.open.insert((to.clone(), key.clone()), number);
        self.all.push(Batch { to, key, items: Vec::new(), bytes: 0, messages_max });
        number
    }

    /// Lets go of the open batches of a key.
    fn forget(&mut self, key: &str) {
        let gone: BTreeSet<usize> = self.open.iter().filter(|((_, of), _)| of == key).map(|(_, number)| *number).collect();
        let mut number = 0;
        self.all.retain(|_| {
            number += 1;
            !gone.contains(&(number - 1))
        });
        self.open.retain(|_, number| !gone.contains(number));
        for number in self.open.values_mut() {
            *number -= gone.range(..*number).count();
        }
        self.last = None;
    }
}

/// What can be done with a message now.
enum Next {
    To(Arc<Target>),
    Wait,
    Fail(String),
}

impl Engine {
    /// Begins what can begin now.
    pub(super) fn start_work(&mut self, now: Elapsed, step: &mut Step) {
        match self.settings.kind {
            Kind::Discard | Kind::Export => self.keep(now, step),
            _ => {
                for batch in self.batches(now, step) {
                    self.publish(now, batch, step);
                }
            }
        }
    }

    /// Copies go to disk, and are acknowledged after that.
    fn keep(&mut self, now: Elapsed, step: &mut Step) {
        let ready: Vec<u64> = self.items.iter().filter(|(_, item)| item.can_start(now)).map(|(id, _)| *id).collect();
        let allowed = self.allowed(now, ready.len(), step);
        for id in ready.into_iter().take(allowed) {
            let Some(item) = self.items.get_mut(&id) else { continue };
            if let Some(cargo) = item.cargo.take() {
                step.copies.push((item.identity.clone(), cargo));
            }
            self.rate_started += 1;
            self.make_safe(id, step);
        }
    }

    /// It is at the destination or on disk: the ack may follow.
    fn make_safe(&mut self, id: u64, step: &mut Step) {
        let Some(item) = self.items.get_mut(&id) else { return };
        item.phase = Phase::Safe;
        item.cargo = None;
        if self.settings.leave {
            self.left.push(id);
            return step.wake_at(Elapsed::ZERO);
        }
        if let Some(lease) = &item.lease {
            // Else the answer tells how long it is leased.
            if !lease.pending {
                self.acks.lease_until(lease.ends);
            }
            self.acks.add(item.identity.clone(), lease.ack_id.clone());
        }
    }

    /// Returns how many of `wanted` the rate allows now.
    fn allowed(&mut self, now: Elapsed, wanted: usize, step: &mut Step) -> usize {
        let Some(rate) = self.settings.rate_max.map(|rate| f64::from(rate.max(1))) else { return wanted };
        let due = |elapsed: Elapsed| elapsed.as_secs_f64() * rate + 1.0;
        // What was not used in the last second is lost: the rate is a limit, no average.
        let behind = due(now.saturating_sub(self.rate_begun)) - rate.max(1.0) - to_f64(self.rate_started);
        if behind > 0.0 {
            self.rate_begun = now;
            self.rate_started = 0;
        }
        let free = due(now.saturating_sub(self.rate_begun)) - to_f64(self.rate_started);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "is between zero and the window")]
        let allowed = free.floor().clamp(0.0, 1e6) as usize;
        if allowed < wanted {
            let next = (to_f64(self.rate_started) + free.floor().max(0.0)) / rate;
            step.wake_at(self.rate_begun + Elapsed::from_secs_f64(next) + Elapsed::from_millis(1));
        }
        allowed.min(wanted)
    }

    /// Groups what can go now by topic and ordering key.
    fn batches(&mut self, now: Elapsed, step: &mut Step) -> Vec<Batch> {
        let under_way: usize = self.publishing.values().map(|(_, items)| items.len()).sum();
        let room = self.settings.window.saturating_sub(under_way);
        // Where no more can go and nothing has an order, nothing needs to be looked at before something is through.
        if room == 0 && !self.settings.ordered {
            return Vec::new();
        }
        let ready = self.items.values().filter(|item| item.can_start(now)).count();
        let mut allowed = self.allowed(now, room.min(ready), step);
        let mut busy_keys: HashSet<String> = HashSet::new();
        let mut batches = Batches::default();
        let mut failed: Vec<(u64, String)> = Vec::new();
        // Without an order, what is under way or through stands in nobody's way.
        let candidates = self.items.iter().filter(|(_, item)| self.settings.ordered || item.phase == Phase::Ready);
        for id in candidates.map(|(id, _)| *id).collect::<Vec<_>>() {
            let Some(key) = self.order(id) else { continue };
            if busy_keys.contains(&key) {
                continue;
            }
            let sequenced = self.settings.ordered && !key.is_empty();
            match self.next(now, id, &key, step) {
                Next::Fail(why) => {
                    failed.push((id, why));
                    if sequenced {
                        // What follows must not overtake it; it is failed in the next step, which comes at once.
                        busy_keys.insert(key);
                        step.wake_at(now);
                    }
                }
                Next::To(to) if allowed > 0 && self.has_room(&batches, &to, &key) => {
                    // Behind a full batch, the rest of a key waits until that is through.
                    if self.join(&mut batches, to, &key, id) && sequenced {
                        batches.forget(&key);
                        busy_keys.insert(key);
                        continue;
                    }
                    allowed -= 1;
                }
                Next::To(_) | Next::Wait => {
                    if sequenced {
                        busy_keys.insert(key);
                    }
                }
            }
        }
        for (id, why) in failed {
            self.fail(id, &why, step);
        }
        batches.all
    }

    /// Returns the ordering key of a message that is not published yet; one whose key is under way or paused is dealt with by [`Engine::next`].
    fn order(&self, id: u64) -> Option<String> {
        let item = self.items.get(&id)?;
        Some(item.cargo.as_ref()?.key().to_owned())
    }

    /// Tells whether a message can go: with the open batch of its target and key, or by one call more.
    fn has_room(&self, batches: &Batches, to: &Arc<Target>, key: &str) -> bool {
        let joins = to.is_batched() && batches.find(to, key).is_some();
        joins || self.publishing.len() + batches.all.len() < self.pace.calls_max(to)
    }

    /// Puts a message into the open batch of its target and key, or begins one; tells whether that is because it did not fit into the open one.
    fn join(&self, batches: &mut Batches, to: Arc<Target>, key: &str, id: u64) -> bool {
        let item = &self.items[&id];
        let bytes = item.cargo.as_ref().map_or(0, |cargo| cargo.bytes() + MESSAGE_BYTES_EXTRA);
        let open = batches.find(&to, key);
        let fitting = open.filter(|number| {
            let batch = &batches.all[*number];
            batch.items.len() < batch.messages_max.min(item.batch_max) && batch.bytes + bytes <= BATCH_BYTES_MAX
        });
        let number = fitting.unwrap_or_else(|| {
            let messages_max = to.batch_max().min(self.settings.window.div_ceil(PUBLISHES_OF_WINDOW));
            batches.begin(to, key.to_owned(), messages_max)
        });
        let batch = &mut batches.all[number];
        batch.items.push(id);
        batch.bytes += bytes;
        batch.messages_max = batch.messages_max.min(item.batch_max);
        batches.last = Some(number);
        fitting.is_none() && open.is_some()
    }

    /// Tells what can be done with a message now.
    fn next(&mut self, now: Elapsed, id: u64, key: &str, step: &mut Step) -> Next {
        let item = &self.items[&id];
        if item.phase != Phase::Ready {
            return Next::Wait;
        }
        if self.keys_paused.contains(key) {
            return Next::Fail("an earlier message of its ordering key failed".to_owned());
        }
        if !item.can_start(now) {
            if item.not_before > now {
                step.wake_at(item.not_before);
            }
            return Next::Wait;
        }
        if item.cargo.as_ref().is_some_and(|cargo| !draft::has_room_for_address(cargo, &self.settings.delivery)) {
            return Next::Fail("bears 100 attributes of its own: there is no room to say for whom it is meant".to_owned());
        }
        let to = match &item.to {
            Some(to) => to.clone(),
            None => match self.destination(now, id, step) {
                Next::To(to) => to,
                other => return other,
            },
        };
        if let Some(item) = self.items.get_mut(&id) {
            item.to = Some(to.clone());
        }
        match self.targets_gone.get(&to) {
            Some(why) => Next::Fail(why.clone()),
            None => Next::To(to),
        }
    }

    /// Says where a message goes, or has it looked up.
    fn destination(&mut self, now: Elapsed, id: u64, step: &mut Step) -> Next {
        let source = self.items[&id].source.clone();
        if let Some(to) = self.targets.get(&source) {
            return Next::To(to.clone());
        }
        let to = match (&self.settings.delivery, &source) {
            (Delivery::Topic(topic), _) => Target::Topic(topic.clone()),
            (Delivery::Handler { .. }, _) => Target::Handler,
            (Delivery::Task(change), _) => Target::Queue(change.queue.clone()),
            (Delivery::Run, _) => Target::Run,
            (Delivery::Direct { .. }, Some(source)) => Target::Endpoint(source.clone()),
            (Delivery::SourceTopic | Delivery::Addressed, Some(source)) => match self.route(now, source.clone(), step) {
                Ok(topic) if self.settings.delivery == Delivery::Addressed => Target::Addressed(topic, source.clone()),
                Ok(topic) => Target::Topic(topic),
                Err(other) => return other,
            },
            // A copy is kept, without asking here; and who does not say whence it came was failed.
            (Delivery::File(_) | Delivery::SourceTopic | Delivery::Addressed | Delivery::Direct { .. }, _) => return Next::Wait,
        };
        let to = Arc::new(to);
        self.targets.insert(source, to.clone());
        Next::To(to)
    }

    /// Looks the way to the source up, or has its topic looked up.
    fn route(&mut self, now: Elapsed, source: SubscriptionName, step: &mut Step) -> Result<TopicName, Next> {
        let tries = match self.routes.get(&source) {
            Some(Route::To(topic)) => return Ok(topic.clone()),
            Some(Route::Nowhere(why)) => return Err(Next::Fail(why.clone())),
            Some(Route::Asking { .. }) => return Err(Next::Wait),
            Some(Route::Ask { not_before, .. }) if *not_before > now => {
                step.wake_at(*not_before);
                return Err(Next::Wait);
            }
            Some(Route::Ask { tries, .. }) => *tries,
            None => 0,
        };
        self.routes.insert(source.clone(), Route::Asking { tries });
        step.calls.push(Call::Find(source));
        Err(Next::Wait)
    }

    fn publish(&mut self, now: Elapsed, batch: Batch, step: &mut Step) {
        let mut cargos = Vec::with_capacity(batch.items.len());
        let mut ids = Vec::with_capacity(batch.items.len());
        for id in &batch.items {
            let Some(item) = self.items.get_mut(id) else { continue };
            item.phase = Phase::Publishing;
            item.first_try.get_or_insert(now);
        }
        for id in &batch.items {
            let Some(item) = self.items.get(id) else { continue };
            let Some(cargo) = &item.cargo else { continue };
            ids.push(item.identity.clone());
            cargos.push((cargo.clone(), item.identity.clone()));
        }
        self.rate_started += ids.len() as u64;
        self.call_next += 1;
        let call = self.call_next;
        let load = Load { cargos, to: batch.to.clone(), settings: self.settings.clone() };
        if load.is_incomplete() {
            self.error("a message has no room for all `redrive-…` attributes, by its number of attributes or its size: what does not fit is left out".to_owned());
        }
        step.records.push(Record::Intent { to: batch.to.to_string(), ids });
        step.calls.push(load.into_call(call));
        self.publishing.insert(call, (batch.to, batch.items));
    }

    /// Takes in how a publish went.
    pub(super) fn published(&mut self, now: Elapsed, call: u64, result: Result<Vec<String>, Fault>, step: &mut Step) {
        let Some((to, items)) = self.publishing.remove(&call) else { return };
        let ids: Vec<_> = items.iter().filter_map(|id| Some(self.items.get(id)?.identity.clone())).collect();
        match result {
            Ok(new) => {
                self.last_success = Some(now);
                self.pace.went_well();
                step.records.push(Record::Published { ids, new });
                for id in &items {
                    self.make_safe(*id, step);
                }
            }
            Err(fault) => {
                let why = fault.words.clone();
                if fault.kind == FaultKind::Lost {
                    self.unsure += ids.len() as u64;
                    step.records.push(Record::Lost { ids, why });
                } else {
                    step.records.push(Record::Refused { ids, why });
                }
                if self.pace.went_wrong() && to.is_endpoint() {
                    self.stop(State::Stopped, Some(format!("{FAILURES_IN_A_ROW_MAX} failures in a row: {}", fault.words)));
                }
                self.publish_failed(now, &to, &items, &fault, step);
            }
        }
    }

    /// What the last step delivered is durably recorded now: it stays in the source, leased until the end.
    pub(super) fn settle_left(&mut self) {
        for id in std::mem::take(&mut self.left) {
            let lease = self.items.get_mut(&id).and_then(|item| Some((item.identity.clone(), item.lease.take()?)));
            self.settle(id, self.safe_place());
            if let Some((identity, lease)) = lease {
                self.hold(identity, lease);
            }
        }
    }

    fn publish_failed(&mut self, now: Elapsed, to: &Arc<Target>, items: &[u64], fault: &Fault, step: &mut Step) {
        for id in items {
            if let Some(item) = self.items.get_mut(id) {
                item.phase = Phase::Ready;
            }
        }
        match fault.kind {
            FaultKind::Access => self.stop(State::Stopped, Some(fault.words.clone())),
            FaultKind::Gone => {
                self.targets_gone.insert(to.clone(), fault.words.clone());
            }
            FaultKind::Bad if items.len() == 1 => self.fail(items[0], &fault.words, step),
            FaultKind::Bad => self.halve(items),
            FaultKind::Lost | FaultKind::Later => self.retry(now, items, fault, step),
        }
    }

    fn halve(&mut self, items: &[u64]) {
        for id in items {
            if let Some(item) = self.items.get_mut(id) {
                item.batch_max = items.len().div_ceil(2);
            }
        }
    }

    fn retry(&mut self, now: Elapsed, items: &[u64], fault: &Fault, step: &mut Step) {
        self.error(fault.words.clone());
        let mut tries = 0;
        for id in items {
            if let Some(item) = self.items.get_mut(id) {
                item.tries += 1;
                item.not_before = now + backoff(item.tries);
                tries = tries.max(item.tries);
            }
        }
        if tries >= HALVE_FROM_TRY {
            self.halve(items);
        }
        if tries >= TRIES_MAX {
            let first_try = items.iter().filter_map(|id| self.items.get(id)?.first_try).min();
            if items.len() == 1 && self.last_success > first_try {
                // Others got through meanwhile: it is this message.
                self.fail(items[0], &fault.words, step);
            } else {
                self.stop(State::Stopped, Some(fault.words.clone()));
            }
        }
    }
}

impl Item {
    /// Tells whether it may be begun: not while its lease is over, for then another may have it.
    fn can_start(&self, now: Elapsed) -> bool {
        self.phase == Phase::Ready && self.not_before <= now && self.lease.as_ref().is_some_and(|lease| lease.ends > now)
    }
}

/// What goes by one call. What is published is made of it only where it is sent, beside the engine's own work.
#[derive(Debug)]
pub(in crate::ops::transfer) struct Load {
    cargos: Vec<(Arc<Cargo>, Identity)>,
    to: Arc<Target>,
    settings: Arc<Settings>,
}

impl Load {
    fn prepared(&self) -> impl Iterator<Item = Cargo> {
        self.cargos.iter().map(|(cargo, identity)| draft::prepare(cargo, identity, &self.to, &self.settings))
    }

    /// Makes the messages to publish.
    pub(in crate::ops::transfer) fn drafts(&self) -> Vec<Draft> {
        self.prepared().filter_map(draft::drafted).collect()
    }

    /// Tells whether attributes of ours have to be left out.
    fn is_incomplete(&self) -> bool {
        let marked = self.to.is_batched() && self.settings.kind != Kind::Undo;
        marked && self.cargos.iter().any(|(cargo, _)| !draft::has_room_for_marks(cargo, &self.to, &self.settings.marks))
    }

    /// Makes the call that delivers it.
    fn into_call(self, call: u64) -> Call {
        match &*self.to {
            Target::Topic(topic) | Target::Addressed(topic, _) => Call::Publish { call, topic: topic.clone(), load: self },
            to => {
                let cargo = self.prepared().next().expect("a call has something to deliver");
                Call::Send { call, to: to.clone(), cargo: Box::new(cargo) }
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of messages are far below 2^52")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

/// Used by tests of the limits.
#[cfg(test)]
pub(super) fn is_within_limits(drafts: &[Draft]) -> bool {
    drafts.len() <= BATCH_MESSAGES_MAX
        && (drafts.len() == 1 || drafts.iter().map(|draft| draft.data.len()).sum::<usize>() <= BATCH_BYTES_MAX)
}
