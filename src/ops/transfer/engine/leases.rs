//! Keeping leases alive, short enough that a crash or a lost ack does not hide messages for long, and giving them back.

use std::time::Duration;

use super::acks::chunks;
use super::{Call, Elapsed, Engine, Fault, Identity, Lease, Phase, Place, Settings, Step, Story};

/// A message that is worked on is leased for so long, whatever the subscription's own deadline: after a crash it is back by then.
const WORK_LEASE: Duration = Duration::from_secs(15);
/// A message that is skipped or failed is leased for so long at a time, at most, until the end.
const HELD_LEASE_MAX: Duration = Duration::from_mins(1);
/// Such a lease is shorter than two ack deadlines by this: after a crash, a transfer that looks for the messages does not end before they are back.
const HELD_LEASE_MARGIN: Duration = Duration::from_secs(2);
/// A lease longer than wanted by this is cut.
const LEASE_SLACK: Duration = Duration::from_secs(5);
/// An extension is asked for again after this.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// A lease is extended once less than this is left of it.
const WORK_LEFT: Duration = Duration::from_secs(6);
/// The same for what is skipped or failed.
const HELD_LEFT: Duration = Duration::from_secs(8);

/// A lease of which another end was asked for.
#[derive(Debug)]
pub(super) struct Asked {
    identity: Identity,
    ack_id: String,
    ends: Elapsed,
}

impl Engine {
    /// Keeps a message that is not to be moved leased, so that it does not come straight back.
    pub(super) fn hold(&mut self, identity: Identity, lease: Lease) {
        if !self.settings.leased {
            return;
        }
        if self.settings.drains {
            return self.acks.add(identity, lease.ack_id);
        }
        self.extend_at = Elapsed::ZERO;
        self.held.insert(identity, lease);
    }

    fn held_lease(&self) -> Duration {
        (2 * self.settings.ack_deadline).saturating_sub(HELD_LEASE_MARGIN).clamp(WORK_LEASE, HELD_LEASE_MAX)
    }

    /// Returns how long after its begin the leases of an earlier run may hide messages.
    pub(super) fn hidden_by_earlier_run(settings: &Settings, story: &Story) -> Elapsed {
        // With confirmed acks, only a run that did not get to its end may have left something safe unacknowledged.
        let hides = if settings.exactly_once { story.crashed } else { story.resumed };
        if hides && !settings.drains { WORK_LEASE.max(settings.ack_deadline) } else { Elapsed::ZERO }
    }

    /// Asks for longer (or shorter) leases where that is due.
    pub(super) fn extend(&mut self, now: Elapsed, step: &mut Step) {
        if !self.settings.leased {
            return;
        }
        if now >= self.extend_at {
            let mut next = Elapsed::MAX;
            let mut work = Vec::new();
            for item in self.items.values_mut().filter(|item| item.phase != Phase::Safe) {
                if let Some(lease) = &mut item.lease
                    && lease.is_due(now, WORK_LEASE, WORK_LEFT, &mut next)
                {
                    work.push(lease.ask(&item.identity, now));
                }
            }
            // What ran out is delivered again and leased anew.
            self.held.retain(|_, lease| lease.ends > now);
            let mut held = Vec::new();
            let held_lease = self.held_lease();
            for (identity, lease) in &mut self.held {
                if lease.is_due(now, held_lease, HELD_LEFT, &mut next) {
                    held.push(lease.ask(identity, now));
                }
            }
            self.extend_at = next;
            self.ask(work, WORK_LEASE, step);
            self.ask(held, held_lease, step);
        }
        if self.extend_at < Elapsed::MAX {
            step.wake_at(self.extend_at);
        }
    }

    fn ask(&mut self, leases: Vec<Asked>, deadline: Duration, step: &mut Step) {
        for chunk in chunks(leases, |asked| asked.ack_id.len()) {
            let call = self.call();
            step.calls.push(Call::Extend { call, ack_ids: chunk.iter().map(|asked| asked.ack_id.clone()).collect(), deadline });
            self.extending.insert(call, (chunk, deadline));
        }
    }

    /// Takes in how an extension went; one that failed is asked for again.
    pub(super) fn extended(&mut self, now: Elapsed, call: u64, result: &Result<(), Fault>) {
        let Some((leases, deadline)) = self.extending.remove(&call) else { return };
        for asked in leases {
            let ends = if result.is_ok() { now + deadline } else { asked.ends };
            let place = self.places.get(&asked.identity).copied();
            let (lease, safe) = match place {
                Some(Place::Active(id)) => {
                    let item = self.items.get_mut(&id);
                    let safe = item.as_ref().is_some_and(|item| item.phase == Phase::Safe);
                    (item.and_then(|item| item.lease.as_mut()), safe)
                }
                Some(Place::Skipped | Place::Failed) => (self.held.get_mut(&asked.identity), false),
                // Delivered and left: held until the end, which does not wait for that.
                Some(Place::Moved | Place::Discarded) if self.settings.leave => (self.held.get_mut(&asked.identity), false),
                _ => (None, true),
            };
            if let Some(lease) = lease.filter(|lease| lease.ack_id == asked.ack_id) {
                lease.ends = ends;
                lease.pending = false;
            }
            // Its ack was sent meanwhile.
            if safe {
                self.acks.lease_until(ends);
            }
        }
        self.extend_at = self.extend_at.min(now);
    }

    /// Gives back all leases but those of messages whose ack is on its way.
    pub(super) fn release_all(&mut self, step: &mut Step) {
        let held = self.held.drain().map(|(_, lease)| lease.ack_id);
        let ready = self.items.values_mut().filter(|item| item.phase == Phase::Ready).filter_map(|item| Some(item.lease.take()?.ack_id));
        let ack_ids: Vec<String> = held.chain(ready).collect();
        if !self.settings.leased {
            return;
        }
        for ack_ids in chunks(ack_ids, String::len) {
            step.calls.push(Call::Release { ack_ids });
        }
    }
}

impl Lease {
    /// Tells whether to ask for a lease of `want` now; else lowers `next` to when.
    fn is_due(&self, now: Elapsed, want: Duration, left: Duration, next: &mut Elapsed) -> bool {
        if self.ends <= now {
            return false;
        }
        let too_long = self.ends > now + want + LEASE_SLACK;
        let due_at = if too_long { now } else { self.ends.saturating_sub(left) };
        let due_at = self.asked.map_or(due_at, |asked| due_at.max(asked + ASK_AGAIN));
        if due_at > now {
            *next = (*next).min(due_at);
            return false;
        }
        *next = (*next).min(now + ASK_AGAIN);
        true
    }

    fn ask(&mut self, identity: &Identity, now: Elapsed) -> Asked {
        self.asked = Some(now);
        self.pending = true;
        Asked { identity: identity.clone(), ack_id: self.ack_id.clone(), ends: self.ends }
    }
}
