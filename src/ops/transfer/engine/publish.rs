//! Starting publishes (or keeping copies), and what comes of them.

use std::collections::{BTreeMap, HashSet};

use super::super::draft::{GENERATION, draft};
use super::{
    Call, Delivery, Elapsed, Engine, Fault, FaultKind, Item, Kind, Phase, Record, Route, State, Step, TRIES_MAX, TopicName, backoff,
};

/// Messages of one publish (Google's limit).
const BATCH_MESSAGES_MAX: usize = 1000;
/// Bytes of one publish, well below Google's 10 MB for the request; a larger message goes alone.
const BATCH_BYTES_MAX: usize = 8_000_000;
/// What a message costs beside its own bytes.
const MESSAGE_BYTES_EXTRA: usize = 256;
/// Publishes under way at once.
const PUBLISHES_MAX: usize = 64;
/// From this try on a batch is halved before it is tried again: one message may be what the server chokes on.
const HALVE_FROM_TRY: u32 = 3;

/// Messages that can be published by one request.
struct Batch {
    topic: TopicName,
    items: Vec<u64>,
    bytes: usize,
    messages_max: usize,
}

/// What can be done with a message now.
enum Next {
    To(TopicName),
    Wait,
    Fail(String),
}

impl Engine {
    /// Begins what can begin now.
    pub(super) fn start_work(&mut self, now: Elapsed, step: &mut Step) {
        match self.settings.kind {
            Kind::Discard => self.keep(now, step),
            Kind::Redrive => {
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
            if let Some(message) = item.message.take() {
                step.copies.push((item.identity.clone(), message));
            }
            self.rate_started += 1;
            self.make_safe(id);
        }
    }

    /// It is at the destination or on disk: the ack may follow.
    fn make_safe(&mut self, id: u64) {
        let Some(item) = self.items.get_mut(&id) else { return };
        item.phase = Phase::Safe;
        item.message = None;
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
        let ready = self.items.values().filter(|item| item.can_start(now)).count();
        let mut allowed = self.allowed(now, room.min(ready), step);
        let mut busy_keys: HashSet<String> = HashSet::new();
        let mut open: BTreeMap<(TopicName, String), Batch> = BTreeMap::new();
        let mut full: Vec<Batch> = Vec::new();
        let mut failed: Vec<(u64, String)> = Vec::new();
        let calls_free = PUBLISHES_MAX.saturating_sub(self.publishing.len());
        for id in self.items.keys().copied().collect::<Vec<_>>() {
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
                Next::To(topic)
                    if allowed > 0 && (open.contains_key(&(topic.clone(), key.clone())) || full.len() + open.len() < calls_free) =>
                {
                    if let Some(done) = self.join(&mut open, topic, key.clone(), id) {
                        full.push(done);
                        // The rest of the key waits until this batch is through.
                        if sequenced {
                            open.retain(|(_, open_key), _| *open_key != key);
                            busy_keys.insert(key);
                            continue;
                        }
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
        full.extend(open.into_values());
        full
    }

    /// Returns the ordering key of a message that is not published yet; one whose key is under way or paused is dealt with by [`Engine::next`].
    fn order(&self, id: u64) -> Option<String> {
        let item = self.items.get(&id)?;
        Some(item.message.as_ref()?.ordering_key.clone())
    }

    /// Puts a message into the open batch of its topic and key; returns that batch when the message no longer fits.
    fn join(&self, open: &mut BTreeMap<(TopicName, String), Batch>, topic: TopicName, key: String, id: u64) -> Option<Batch> {
        let item = &self.items[&id];
        let bytes = item.message.as_ref().map_or(0, size);
        let place = (topic.clone(), key);
        let fits = open
            .get(&place)
            .is_none_or(|batch| batch.items.len() < batch.messages_max.min(item.batch_max) && batch.bytes + bytes <= BATCH_BYTES_MAX);
        let done = if fits { None } else { open.remove(&place) };
        let batch = open.entry(place).or_insert(Batch { topic, items: Vec::new(), bytes: 0, messages_max: BATCH_MESSAGES_MAX });
        batch.items.push(id);
        batch.bytes += bytes;
        batch.messages_max = batch.messages_max.min(item.batch_max);
        done
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
        let topic = match &self.settings.delivery {
            Delivery::Topic(topic) => topic.clone(),
            Delivery::SourceTopic => match self.route(now, id, step) {
                Next::To(topic) => topic,
                other => return other,
            },
        };
        match self.topics_gone.get(&topic) {
            Some(why) => Next::Fail(why.clone()),
            None => Next::To(topic),
        }
    }

    /// Looks the source's topic up, or has it looked up.
    fn route(&mut self, now: Elapsed, id: u64, step: &mut Step) -> Next {
        let source = self.items[&id].message.as_ref().and_then(|message| message.provenance()?.subscription);
        let Some(source) = source else { return Next::Wait };
        let tries = match self.routes.get(&source) {
            Some(Route::To(topic)) => return Next::To(topic.clone()),
            Some(Route::Nowhere(why)) => return Next::Fail(why.clone()),
            Some(Route::Asking { .. }) => return Next::Wait,
            Some(Route::Ask { not_before, .. }) if *not_before > now => {
                step.wake_at(*not_before);
                return Next::Wait;
            }
            Some(Route::Ask { tries, .. }) => *tries,
            None => 0,
        };
        self.routes.insert(source.clone(), Route::Asking { tries });
        step.calls.push(Call::Find(source));
        Next::Wait
    }

    fn publish(&mut self, now: Elapsed, batch: Batch, step: &mut Step) {
        let mut drafts = Vec::with_capacity(batch.items.len());
        let mut ids = Vec::with_capacity(batch.items.len());
        for id in &batch.items {
            let Some(item) = self.items.get_mut(id) else { continue };
            let Some(message) = &item.message else { continue };
            item.phase = Phase::Publishing;
            item.first_try.get_or_insert(now);
            ids.push(item.identity.clone());
            drafts.push(draft(message, &item.identity, &self.settings.subscription, &self.settings.id));
        }
        if drafts.iter().any(|draft| !draft.attributes.contains_key(GENERATION)) {
            self.error("a message bears 100 attributes of its own: the `redrive-…` attributes are left out of it".to_owned());
        }
        self.rate_started += ids.len() as u64;
        let call = self.call();
        step.records.push(Record::Intent { topic: batch.topic.clone(), ids });
        step.calls.push(Call::Publish { call, topic: batch.topic.clone(), drafts });
        self.publishing.insert(call, (batch.topic, batch.items));
    }

    /// Takes in how a publish went.
    pub(super) fn published(&mut self, now: Elapsed, call: u64, result: Result<Vec<String>, Fault>, step: &mut Step) {
        let Some((topic, items)) = self.publishing.remove(&call) else { return };
        let ids: Vec<_> = items.iter().filter_map(|id| Some(self.items.get(id)?.identity.clone())).collect();
        match result {
            Ok(new) => {
                self.last_success = Some(now);
                step.records.push(Record::Published { ids, new });
                for id in &items {
                    self.make_safe(*id);
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
                self.publish_failed(now, &topic, &items, &fault, step);
            }
        }
    }

    fn publish_failed(&mut self, now: Elapsed, topic: &TopicName, items: &[u64], fault: &Fault, step: &mut Step) {
        for id in items {
            if let Some(item) = self.items.get_mut(id) {
                item.phase = Phase::Ready;
            }
        }
        match fault.kind {
            FaultKind::Access => self.stop(State::Stopped, Some(fault.words.clone())),
            FaultKind::Gone => {
                self.topics_gone.insert(topic.clone(), fault.words.clone());
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

fn size(message: &super::Message) -> usize {
    let attributes: usize = message.attributes.iter().map(|(key, value)| key.len() + value.len() + 8).sum();
    message.data.len() + message.ordering_key.len() + attributes + MESSAGE_BYTES_EXTRA
}

#[expect(clippy::cast_precision_loss, reason = "counts of messages are far below 2^52")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

/// Used by tests of the limits.
#[cfg(test)]
pub(super) fn is_within_limits(drafts: &[super::Draft]) -> bool {
    drafts.len() <= BATCH_MESSAGES_MAX
        && (drafts.len() == 1 || drafts.iter().map(|draft| draft.data.len()).sum::<usize>() <= BATCH_BYTES_MAX)
}
