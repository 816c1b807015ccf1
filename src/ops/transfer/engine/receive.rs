//! What a pull brings: which of it is in scope, and what is known of it already.

use std::sync::Arc;

use super::super::draft::GENERATION_MAX;
use super::acks::chunks;
use super::edited;
use super::{
    Arrival, Call, Cargo, Delivery, Elapsed, Engine, Fault, FaultKind, Identity, Item, Kind, Lease, Phase, Place, Route, Source, State,
    Step, SubscriptionName, TopicName,
};

/// Skipped and failed messages that are leased at once, at most; beyond, the transfer stops and says so.
pub(in crate::ops::transfer) const HELD_MAX: usize = 10_000;

/// What a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    /// Work to do, or a sign that there is more.
    Work,
    /// One that is held already, and is to stay.
    Again,
    /// One that came after the begin, or is not looked for any more.
    Late,
}

impl Engine {
    pub(super) fn pulled(&mut self, now: Elapsed, result: Result<Vec<Arrival>, Fault>, step: &mut Step) {
        let begun = self.pulls.answered();
        let received = match result {
            Ok(received) => received,
            Err(fault) => return self.pull_failed(now, fault),
        };
        self.pulls.tries = 0;
        let (mut work, mut again) = (false, false);
        let read_on = !self.settings.leased && !received.is_empty();
        let mut unwanted = Vec::new();
        for Arrival { ack_id, cargo } in received {
            self.pulls.size(&cargo);
            let ends = if self.settings.leased { now + self.settings.ack_deadline } else { Elapsed::MAX };
            let lease = Lease { ack_id, ends, asked: None, pending: false };
            self.extend_at = self.extend_at.min(now);
            if self.stopping.is_some() {
                unwanted.push(lease.ack_id);
                continue;
            }
            match self.receive(now, cargo, lease, step) {
                Came::Work => work = true,
                Came::Again => again = true,
                Came::Late => {}
            }
        }
        step.calls.extend(chunks(unwanted, String::len).into_iter().map(|ack_ids| Call::Release { ack_ids }));
        // What is read once is at its end when nothing came, not when nothing new did.
        if work || read_on {
            self.pulls.brought_work(now);
        } else {
            self.pulls.was_empty(now, begun, again && !self.is_complete());
        }
        if self.held.len() > HELD_MAX {
            self.stop(
                State::Stopped,
                Some(format!("more than {HELD_MAX} messages that are not to be moved are leased to reach the others")),
            );
        }
    }

    fn pull_failed(&mut self, now: Elapsed, fault: Fault) {
        self.pulls.tries += 1;
        if fault.kind == FaultKind::Lost {
            self.pulls.lost_answer(now);
        }
        self.pulls.not_before = now + super::backoff(self.pulls.tries);
        if self.pulls.tries >= super::TRIES_MAX || !matches!(fault.kind, FaultKind::Lost | FaultKind::Later) {
            self.stop(State::Stopped, Some(fault.words));
        }
    }

    /// Takes a delivery in.
    fn receive(&mut self, now: Elapsed, cargo: Cargo, lease: Lease, step: &mut Step) -> Came {
        let identity = Identity::of(&cargo);
        match self.places.get(&identity).copied() {
            Some(Place::Active(id)) => {
                if let Some(item) = self.items.get_mut(&id) {
                    if item.phase == Phase::Safe {
                        self.acks.add(identity, lease.ack_id.clone());
                    }
                    item.lease = Some(lease);
                }
                Came::Work
            }
            Some(Place::Moved | Place::Discarded) if self.settings.leave => {
                self.hold(identity, lease);
                Came::Again
            }
            // Its ack did not take: it is safe already, so it is acknowledged again.
            Some(Place::Moved | Place::Discarded) => {
                self.acks.lease_until(lease.ends);
                self.acks.add(identity, lease.ack_id);
                Came::Work
            }
            Some(Place::Skipped | Place::Failed) => {
                self.hold(identity, lease);
                Came::Again
            }
            None => {
                let awaited = self.is_awaited(&cargo);
                let in_scope = awaited && self.settings.selection.selects(&cargo, self.settings.cutoff);
                self.counts.seen += 1;
                if in_scope {
                    self.take(now, identity, cargo, lease, step);
                    Came::Work
                } else {
                    self.came_back(&cargo, step);
                    self.counts.skipped += 1;
                    self.places.insert(identity.clone(), Place::Skipped);
                    self.hold(identity, lease);
                    // One passed over says that there is more of the backlog behind it.
                    if awaited { Came::Work } else { Came::Late }
                }
            }
        }
    }

    /// Tells whether a message was there when the transfer began, and there is still one to be found.
    fn is_awaited(&self, cargo: &Cargo) -> bool {
        let settings = &self.settings;
        let was_there = matches!(settings.source, Source::File(_) | Source::Kept(_));
        let late = !was_there && cargo.entered().is_some_and(|time| time > settings.cutoff);
        let came_back = cargo.carrier().is_some_and(|id| *id == settings.id.0);
        !late && !came_back && !self.is_complete()
    }

    /// Returns how many messages were in scope.
    pub(super) fn taken(&self) -> u64 {
        self.counts.seen - self.counts.skipped
    }

    fn take(&mut self, now: Elapsed, identity: Identity, cargo: Cargo, lease: Lease, step: &mut Step) {
        let known = if self.past.published.contains(&identity) {
            Some(Place::Moved)
        } else if self.past.kept.contains(&identity) {
            Some(Place::Discarded)
        } else {
            None
        };
        if let Some(place) = known {
            return self.take_known(identity, lease, place);
        }
        let id = self.item_next;
        self.item_next += 1;
        let looped = self.settings.kind == Kind::Redrive && cargo.generation() >= GENERATION_MAX;
        let goes_back = matches!(self.settings.delivery, Delivery::SourceTopic | Delivery::Addressed | Delivery::Direct { .. });
        let source = if goes_back { self.source_of(&cargo) } else { None };
        let unsourced = self.settings.kind == Kind::Redrive && goes_back && source.is_none();
        self.places.insert(identity.clone(), Place::Active(id));
        let (cargo, unfit) = self.changed(&identity, cargo, step);
        let item = Item {
            identity,
            cargo: Some(Arc::new(cargo)),
            lease: Some(lease),
            phase: Phase::Ready,
            tries: 0,
            first_try: None,
            not_before: now,
            batch_max: usize::MAX,
            source,
            to: None,
        };
        self.items.insert(id, item);
        if looped {
            self.fail(id, &format!("was redriven {GENERATION_MAX} times already: it seems to be in a loop"), step);
        } else if unsourced {
            self.fail(id, "does not say which subscription gave it up: name a topic for it", step);
        } else if let Some(why) = unfit {
            self.fail(id, &format!("cannot be edited: {why}"), step);
        }
    }

    /// Returns who gave it up: most often who gave up the one before, whose name needs no reading.
    fn source_of(&mut self, cargo: &Cargo) -> Option<SubscriptionName> {
        if let (Cargo::Message(message), Some(last)) = (cargo, &self.last_source)
            && message.was_given_up_by(last)
        {
            return self.last_source.clone();
        }
        let source = cargo.source();
        self.last_source.clone_from(&source);
        source
    }

    /// Edits a message as it is asked for, and keeps the original; words say why it does not fit.
    fn changed(&mut self, identity: &Identity, cargo: Cargo, step: &mut Step) -> (Cargo, Option<String>) {
        let (Some(patch), Cargo::Message(message)) = (&self.settings.options.patch, &cargo) else { return (cargo, None) };
        match edited(message, patch) {
            Err(error) => (cargo, Some(error.to_string())),
            Ok(changed) if changed == *message => (cargo, None),
            Ok(changed) => {
                if self.originals.insert(identity.clone()) {
                    step.originals.push((identity.clone(), Arc::new(cargo)));
                }
                (Cargo::Message(changed), None)
            }
        }
    }

    /// An earlier transfer made it safe and its ack did not take: only that is missing.
    fn take_known(&mut self, identity: Identity, lease: Lease, place: Place) {
        match place {
            Place::Discarded => self.counts.discarded += 1,
            _ => self.counts.moved += 1,
        }
        let only = if self.settings.leave || self.settings.drains { "" } else { ", so it is only acknowledged" };
        self.error(format!("{}: was moved by an earlier transfer{only}", identity.shown()));
        if !self.settings.leave {
            self.acks.lease_until(lease.ends);
            self.acks.add(identity.clone(), lease.ack_id);
        }
        self.places.insert(identity, place);
    }

    /// Takes in where messages of a source go.
    pub(super) fn found(&mut self, now: Elapsed, source: SubscriptionName, result: Result<TopicName, Fault>) {
        let tries = match self.routes.get(&source) {
            Some(Route::Asking { tries }) => *tries,
            _ => 0,
        };
        let route = match result {
            Ok(topic) => Route::To(topic),
            Err(fault) if matches!(fault.kind, FaultKind::Lost | FaultKind::Later) && tries + 1 < super::TRIES_MAX => {
                Route::Ask { tries: tries + 1, not_before: now + super::backoff(tries + 1) }
            }
            Err(fault) => Route::Nowhere(fault.words),
        };
        self.routes.insert(source, route);
    }
}
