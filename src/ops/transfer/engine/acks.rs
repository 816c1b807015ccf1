//! Acknowledging what is safe. An accepted ack proves nothing outside exactly-once, so it is remembered how long its lease could hide the message.

use std::collections::HashMap;
use std::time::Duration;

use super::{Call, Elapsed, Engine, Fault, FaultKind, Identity, Kind, Phase, Place, State, Step, TRIES_MAX, backoff};
use crate::cloud::ACK_IDS_BYTES_MAX;

/// Deliveries to acknowledge.
#[derive(Debug, Default)]
pub(super) struct Acks {
    queue: Vec<(Identity, String)>,
    in_flight: HashMap<u64, Vec<(Identity, String)>>,
    tries: u32,
    not_before: Elapsed,
    /// The last lease of anything acknowledged ends by then.
    lease_end: Elapsed,
    last: Elapsed,
    /// Leases of an earlier run end by then.
    earlier_end: Elapsed,
}

impl Acks {
    pub(super) fn add(&mut self, identity: Identity, ack_id: String) {
        self.queue.push((identity, ack_id));
    }

    /// Begins where an earlier run left off.
    pub(super) fn after(earlier_end: Elapsed) -> Self {
        Self { earlier_end, ..Self::default() }
    }

    /// Remembers how long a lease may hide a message whose ack does not take.
    pub(super) fn lease_until(&mut self, ends: Elapsed) {
        self.lease_end = self.lease_end.max(ends);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.in_flight.is_empty()
    }

    /// Tells whether something is still to be sent.
    pub(super) fn is_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Returns when the last look is worth something: no lease hides anything any more.
    pub(super) fn settled_at(&self, exactly_once: bool, grace: Duration) -> Elapsed {
        let ours = if exactly_once { Elapsed::ZERO } else { self.lease_end };
        let hidden = ours.max(self.earlier_end);
        if hidden.is_zero() { self.last } else { self.last.max(hidden + grace) }
    }
}

impl Engine {
    /// Sends what is queued.
    pub(super) fn flush_acks(&mut self, now: Elapsed, step: &mut Step) {
        if self.acks.queue.is_empty() {
            return;
        }
        if self.acks.not_before > now && self.stopping.is_none() {
            return step.wake_at(self.acks.not_before);
        }
        for chunk in chunks(std::mem::take(&mut self.acks.queue), |(_, ack_id)| ack_id.len()) {
            let call = self.call();
            step.calls.push(Call::Ack { call, ack_ids: chunk.iter().map(|(_, ack_id)| ack_id.clone()).collect() });
            self.acks.in_flight.insert(call, chunk);
        }
    }

    /// Takes in how an ack went.
    pub(super) fn acked(&mut self, now: Elapsed, call: u64, result: Result<(), Fault>) {
        let Some(acked) = self.acks.in_flight.remove(&call) else { return };
        self.acks.last = now;
        match result {
            Ok(()) => {
                self.acks.tries = 0;
                for (identity, _) in &acked {
                    self.acked_one(identity);
                }
            }
            Err(fault) => self.ack_failed(now, acked, fault),
        }
    }

    fn acked_one(&mut self, identity: &Identity) {
        if let Some(Place::Active(id)) = self.places.get(identity)
            && self.items.get(id).is_some_and(|item| item.phase == Phase::Safe)
        {
            self.settle(*id, self.safe_place());
        }
    }

    /// Returns what becomes of messages that are safe.
    pub(super) fn safe_place(&self) -> Place {
        match self.settings.kind {
            Kind::Discard => Place::Discarded,
            _ => Place::Moved,
        }
    }

    fn ack_failed(&mut self, now: Elapsed, acked: Vec<(Identity, String)>, fault: Fault) {
        self.acks.tries += 1;
        let hopeless = self.acks.tries >= TRIES_MAX || matches!(fault.kind, FaultKind::Access | FaultKind::Gone);
        match fault.kind {
            _ if hopeless => self.stop(State::Stopped, Some(fault.words)),
            FaultKind::Lost | FaultKind::Later if self.stopping.is_none() => {
                self.acks.not_before = now + backoff(self.acks.tries);
                self.acks.queue.extend(acked);
                self.error(fault.words);
            }
            // The ids are of no use any more: the messages come again, are known, and are acknowledged then.
            _ => {
                for (identity, ack_id) in acked {
                    if let Some(Place::Active(id)) = self.places.get(&identity)
                        && let Some(item) = self.items.get_mut(id)
                        && item.lease.as_ref().is_some_and(|lease| lease.ack_id == ack_id)
                    {
                        item.lease = None;
                    }
                }
                self.error(fault.words);
            }
        }
    }
}

/// Cuts a list into requests of the size that the service takes.
pub(super) fn chunks<T>(all: Vec<T>, bytes: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut chunks: Vec<Vec<T>> = Vec::new();
    let mut room = 0;
    for one in all {
        let need = bytes(&one);
        match chunks.last_mut() {
            Some(last) if need <= room => {
                last.push(one);
                room -= need;
            }
            _ => {
                chunks.push(vec![one]);
                room = ACK_IDS_BYTES_MAX.saturating_sub(need);
            }
        }
    }
    chunks
}
