//! Looking after what was sent: a few first, the canary, and what comes back of all. Returns are known by the transfer's own id in their attributes.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Call, Cargo, Elapsed, Engine, Fault, Identities, Identity, Phase, Record, State, Step, Story};
use crate::model::cause::{Cause, CauseId};
use crate::model::message::Message;

/// What came back is asked for this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Where the canary is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Canary {
    /// There is none, or it was let through: everything goes.
    #[default]
    Free,
    /// The first few are being sent.
    Sending,
    /// They are out, until then.
    Waiting(Elapsed),
    /// The operator is asked.
    Asking,
}

/// What is known of returns.
#[derive(Debug, Default)]
pub(super) struct Watch {
    canary: Canary,
    in_flight: bool,
    not_before: Elapsed,
    returned: Identities,
    causes: BTreeMap<CauseId, (String, u64)>,
    /// Everything is through, and only returns are waited for.
    lasting: bool,
}

impl Watch {
    pub(super) fn new(canary: Option<u64>, story: &Story) -> Self {
        // A transfer that is resumed after its canary was out goes on: resuming it is the answer.
        let canary = if canary.is_some_and(|count| (story.published.len() as u64) < count) { Canary::Sending } else { Canary::Free };
        Self { canary, returned: story.returned.clone(), causes: story.causes.clone(), ..Self::default() }
    }

    /// Tells whether nothing more is taken for now.
    pub(super) fn holds(&self) -> bool {
        matches!(self.canary, Canary::Waiting(_) | Canary::Asking)
    }
}

impl Engine {
    /// Returns how many came back, and why.
    pub(in crate::ops::transfer) fn returned(&self) -> (u64, &BTreeMap<CauseId, (String, u64)>) {
        (self.watch.returned.len() as u64, &self.watch.causes)
    }

    /// Tells where the transfer stands.
    pub(in crate::ops::transfer) fn state(&self) -> State {
        match self.watch.canary {
            _ if self.stopping.is_some() => State::Running,
            Canary::Asking => State::Asking,
            Canary::Waiting(_) => State::Watching,
            _ if self.watch.lasting => State::Watching,
            _ if self.is_confirming() => State::Confirming,
            _ => State::Running,
        }
    }

    /// Lets the rest follow the canary.
    pub(super) fn proceed(&mut self) {
        if self.watch.holds() {
            self.watch.canary = Canary::Free;
        }
    }

    /// Returns how many may be taken for now.
    pub(super) fn limit(&self) -> Option<u64> {
        let canary = self.settings.options.canary.filter(|_| self.watch.canary != Canary::Free).map(|canary| canary.count);
        [self.settings.max, canary].into_iter().flatten().min()
    }

    /// Returns how many are at the destination.
    fn sent(&self) -> u64 {
        self.counts.moved + self.items.values().filter(|item| item.phase == Phase::Safe).count() as u64
    }

    /// Takes in what came back, as the subscription made for that tells.
    pub(super) fn looked(&mut self, now: Elapsed, result: Result<Vec<Message>, Fault>, step: &mut Step) {
        self.watch.in_flight = false;
        self.watch.not_before = now + LOOK_EVERY;
        match result {
            Ok(messages) => messages.into_iter().for_each(|message| self.came_back(&Cargo::Message(message), step)),
            Err(fault) => self.error(format!("returns cannot be looked for: {}", fault.words)),
        }
    }

    /// Counts what this transfer sent and somebody gave up again, each once, whichever way it is met.
    pub(super) fn came_back(&mut self, cargo: &Cargo, step: &mut Step) {
        let Cargo::Message(message) = cargo else { return };
        let identity = Identity::of(cargo);
        if cargo.carrier() != Some(self.settings.id.0.as_str()) || self.watch.returned.contains(&identity) {
            return;
        }
        let cause = Cause::of(message);
        let (id, words) = (cause.id(), cause.to_string());
        self.watch.returned.insert(identity.clone());
        self.watch.causes.entry(id.clone()).or_insert_with(|| (words.clone(), 0)).1 += 1;
        step.records.push(Record::Returned { id: identity, cause: id, words });
        let (returned, sent) = (self.watch.returned.len() as u64, self.sent());
        if let Some(percent) = self.settings.options.stop_on_return
            && returned * 100 > u64::from(percent) * sent
            && self.stopping.is_none()
        {
            self.stop(State::Cancelled, Some(format!("{returned} of {sent} came back, more than {percent} %: the rest stays where it is")));
        }
    }

    /// Goes on with the canary, and looks for returns.
    pub(super) fn look_after(&mut self, now: Elapsed, step: &mut Step) {
        if let Some(canary) = self.settings.options.canary {
            // What lost its lease before it was through comes again when the rest does: it is not waited for.
            let under_way = !self.acks.is_idle() || self.items.values().any(|item| item.is_busy(now));
            if self.watch.canary == Canary::Sending && self.taken() >= canary.count && !under_way {
                self.watch.canary = Canary::Waiting(now + canary.wait);
            }
            if let Canary::Waiting(until) = self.watch.canary {
                let returned = self.watch.returned.len() as u64;
                if now < until && returned < canary.count {
                    step.wake_at(until);
                } else if !canary.go_on || self.sent() == 0 {
                    self.watch.canary = Canary::Asking;
                } else if returned == 0 {
                    self.watch.canary = Canary::Free;
                } else {
                    let words = format!("{returned} of the first {} came back: the rest stays where it is", canary.count);
                    self.stop(State::Cancelled, Some(words));
                }
            }
        }
        if !self.settings.watched || self.watch.in_flight || self.sent() == 0 {
            return;
        }
        if now < self.watch.not_before {
            return step.wake_at(self.watch.not_before);
        }
        self.watch.in_flight = true;
        step.calls.push(Call::Look);
    }

    /// Tells whether returns are still waited for though everything is through.
    pub(super) fn lasts(&mut self, now: Elapsed, step: &mut Step) -> bool {
        let until = self.last_success.zip(self.settings.options.watch).map(|(last, watch)| last + watch);
        let Some(until) = until.filter(|until| now < *until) else { return false };
        self.watch.lasting = true;
        step.wake_at(until);
        true
    }
}
