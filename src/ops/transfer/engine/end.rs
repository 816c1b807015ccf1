//! When to pull again, and when it is over.
//!
//! The end: everything seen is through, and a pull that began after all leases which could hide a message had run out brought nothing. Where the ids to
//! find are known and all found, those are our own leases; else they are also those of others: two ack deadlines of the subscription without work.

use std::time::Duration;

use super::{Call, Cargo, Elapsed, Engine, Phase, Selection, State, Step};
use crate::cloud::PULL_MESSAGES_MAX;

/// A pull waits so long for the first message: cancelling waits for it too.
const PULL_WAIT: Duration = Duration::from_secs(2);
/// The pause after an empty pull; it doubles …
const EMPTY_PAUSE_MIN: Duration = Duration::from_millis(100);
/// … up to this.
const EMPTY_PAUSE_MAX: Duration = Duration::from_secs(1);
/// A redelivery may come so much later than its lease ended.
const REDELIVERY_GRACE: Duration = Duration::from_secs(1);
/// Payloads in memory at once; a pull asks for no more messages than fit by what was seen so far.
const MEMORY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// With a rate, so many seconds' worth is leased ahead.
const AHEAD_S: usize = 5;
/// So many windows are leased at once: one under way, and one that comes in meanwhile.
const WINDOWS_LEASED: usize = 2;
/// So many pulls in a row that bring what is held already are looked behind.
const AGAIN_MAX: u32 = 100;
/// Marked ids that were not found are named up to so many.
const MISSING_NAMED_MAX: usize = 3;

/// How pulling goes.
#[derive(Debug, Default)]
pub(super) struct Pulls {
    in_flight: Option<Elapsed>,
    /// When the last one that was answered had begun.
    begun: Option<Elapsed>,
    /// So many in a row brought what is held already.
    again: u32,
    pub(super) tries: u32,
    pub(super) not_before: Elapsed,
    pause: Duration,
    last_work: Elapsed,
    /// When the answer of a pull was lost last: what was in it is leased to nobody who knows.
    answer_lost: Option<Elapsed>,
    /// When the last pull began that brought no work, if none did since.
    empty_begun: Option<Elapsed>,
    pub(super) confirming: bool,
    bytes_max: usize,
}

impl Pulls {
    /// Returns when the pull that is answered now was begun.
    pub(super) fn answered(&mut self) -> Elapsed {
        let begun = self.in_flight.take().unwrap_or_default();
        self.begun = Some(begun);
        begun
    }

    pub(super) fn size(&mut self, cargo: &Cargo) {
        self.bytes_max = self.bytes_max.max(cargo.bytes());
    }

    pub(super) fn lost_answer(&mut self, now: Elapsed) {
        self.answer_lost = Some(now);
    }

    pub(super) fn brought_work(&mut self, now: Elapsed) {
        self.last_work = now;
        self.again = 0;
        self.empty_begun = None;
        self.pause = Duration::ZERO;
        self.not_before = now;
    }

    /// Nothing new came. Where what is held came `again`, something new may lie behind it: that tells nothing, unless it goes on and on.
    pub(super) fn was_empty(&mut self, now: Elapsed, begun: Elapsed, again: bool) {
        self.again = if again { self.again.saturating_add(1) } else { 0 };
        if self.again == 0 || self.again > AGAIN_MAX {
            self.empty_begun = Some(begun);
        }
        self.pause = (self.pause * 2).clamp(EMPTY_PAUSE_MIN, EMPTY_PAUSE_MAX);
        self.not_before = now + self.pause;
    }
}

impl Engine {
    /// Asks for more, or ends.
    pub(super) fn pull_or_end(&mut self, now: Elapsed, step: &mut Step) {
        let busy = !self.acks.is_idle() || self.items.values().any(|item| item.is_busy(now));
        self.pulls.confirming = !busy && self.pulls.empty_begun.is_some();
        if self.pulls.in_flight.is_some() || self.watch.holds() {
            return;
        }
        let mut not_before = self.pulls.not_before;
        if !busy {
            let quiet_at = self.quiet_at();
            // Where something is acknowledged, the answer of an extension tells how long an ack that did nothing would hide it.
            let known = self.settings.leave || self.extending.is_empty();
            if known && self.pulls.empty_begun.is_some_and(|begun| begun >= quiet_at) {
                if !self.lasts(now, step) {
                    return self.finish(step);
                }
                not_before = not_before.max(now + EMPTY_PAUSE_MIN);
            }
            if self.is_complete() {
                // There is nothing more to find: only the last look is missing.
                self.pulls.confirming = true;
                // An empty pull before that tells nothing of this one: no pause is due between the two, unless something failed.
                let is_first = self.pulls.tries == 0 && self.pulls.begun.is_some_and(|begun| begun < quiet_at);
                not_before = if is_first { quiet_at } else { not_before.max(quiet_at) };
            } else if self.pulls.empty_begun.is_some() {
                // What the lost answer of a pull had is not seen before: a look meanwhile could only lose more.
                not_before = not_before.max(self.hidden_until());
            }
        }
        // Those whose lease ran out take no room: they come by another pull.
        let room = self.room(self.items.values().filter(|item| item.is_busy(now)).count());
        // A small pull is not worth its call; a rate or large messages may leave no room for more than that.
        if room == 0 || (busy && room < (self.settings.window / 2).min(self.leased_max() / 2)) {
            return;
        }
        if now < not_before {
            return step.wake_at(not_before);
        }
        self.pulls.in_flight = Some(now);
        // What is at hand is asked for first: a wait is short, and large messages take their time to come.
        let at_hand = busy || self.pulls.confirming || self.pulls.empty_begun.is_none();
        let wait = if at_hand { Duration::ZERO } else { PULL_WAIT };
        step.calls.push(Call::Pull { max: room, wait });
    }

    /// Returns how many messages are leased at once, at most.
    fn leased_max(&self) -> usize {
        let by_bytes = MEMORY_BYTES_MAX / self.pulls.bytes_max.max(1);
        let by_rate = self.settings.rate_max.map_or(usize::MAX, |rate| (rate as usize).saturating_mul(AHEAD_S).max(1));
        (self.settings.window * WINDOWS_LEASED).min(by_bytes.max(1)).min(by_rate)
    }

    /// Returns how many messages there is room for.
    fn room(&self, waiting: usize) -> usize {
        let room = self.leased_max().saturating_sub(waiting);
        let by_max = match self.limit() {
            Some(max) if !self.is_complete() => usize::try_from(max.saturating_sub(self.taken())).unwrap_or(usize::MAX),
            _ => usize::MAX,
        };
        room.min(by_max).min(PULL_MESSAGES_MAX as usize)
    }

    /// Tells whether all that was to be found is found and through.
    pub(super) fn is_complete(&self) -> bool {
        if self.settings.max.is_some_and(|max| self.taken() >= max) {
            return true;
        }
        self.settings.selection.count().is_some_and(|count| self.taken() >= count)
    }

    /// Returns until when the lost answer of a pull may hide messages.
    fn hidden_until(&self) -> Elapsed {
        self.pulls.answer_lost.map_or(Elapsed::ZERO, |at| at + self.settings.ack_deadline + REDELIVERY_GRACE)
    }

    /// Returns when a pull that brings nothing is the end.
    fn quiet_at(&self) -> Elapsed {
        let hidden = self.hidden_until();
        // An ack that does not take costs a copy no more than another delivery.
        let settled =
            if self.settings.drains { self.settings.late } else { self.acks.settled_at(self.settings.exactly_once, REDELIVERY_GRACE) };
        let ours = settled.max(hidden);
        // What ran out is looked for as long from then on.
        let lapsed = self.items.values().filter_map(|item| Some(item.lease.as_ref()?.ends)).max();
        match lapsed {
            None if self.items.is_empty() && self.is_complete() => ours,
            lapsed => ours.max(self.pulls.last_work.max(lapsed.unwrap_or_default()) + 2 * self.settings.ack_deadline),
        }
    }

    fn finish(&mut self, step: &mut Step) {
        let left: Vec<(u64, Phase)> = self.items.iter().map(|(id, item)| (*id, item.phase)).collect();
        for (id, phase) in left {
            if phase == Phase::Safe {
                self.settle(id, self.safe_place());
            } else {
                self.fail(id, "its lease ran out and it did not come back: another consumer may have it", step);
            }
        }
        let missing = self.missing();
        let all = self.counts.failed == 0 && missing == 0;
        self.stop(if all { State::Done } else { State::DoneInPart }, None);
    }

    /// Returns how many of the marked messages were never seen.
    fn missing(&mut self) -> usize {
        let Selection::Messages(ids) = &self.settings.selection else { return 0 };
        let seen: std::collections::HashSet<std::borrow::Cow<'_, str>> = self.places.keys().map(super::Identity::id).collect();
        let missing: Vec<&str> = ids.iter().map(String::as_str).filter(|id| !seen.contains(*id)).collect();
        let count = missing.len();
        if count > 0 && self.settings.max.is_none_or(|max| self.taken() < max) {
            let names = missing.iter().take(MISSING_NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
            let more = if count > MISSING_NAMED_MAX { ", …" } else { "" };
            self.error(format!("{count} of the marked messages were not found: {names}{more}"));
            return count;
        }
        0
    }

    /// Gives leases back, waits for what is under way, and ends.
    pub(super) fn wind_up(&mut self, state: State, step: &mut Step) {
        self.pulls.confirming = false;
        // A late extension would undo a release.
        if !self.extending.is_empty() {
            return;
        }
        self.release_all(step);
        // What the end itself gave up of a copy.
        if self.acks.is_waiting() {
            step.wake_at(Elapsed::ZERO);
        }
        if self.publishing.is_empty() && self.left.is_empty() && self.acks.is_idle() && self.pulls.in_flight.is_none() {
            self.ended = true;
            step.end = Some(state);
        }
    }
}

impl super::Item {
    /// Tells whether something is going to happen with it without another delivery.
    pub(super) fn is_busy(&self, now: Elapsed) -> bool {
        match self.phase {
            Phase::Publishing => true,
            Phase::Ready => self.lease.as_ref().is_some_and(|lease| lease.ends > now),
            Phase::Safe => false,
        }
    }
}
