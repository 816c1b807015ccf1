//! Subscriptions that nobody uses for as long as their expiration policy allows are deleted.
//!
//! Each has one look on the agenda, not moved by each use: a look that comes too early plans the next.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::convert::{duration, later};
use super::subscription::Subscription;
use super::{Due, PubSub, unplan};
use crate::emulator::state::{Effect, Effects, Moment};

/// Uses are noted this far apart at least, in seconds: an idle pull then changes nothing, and need not be kept on disk.
const USES_APART_S: i64 = 60;

impl Subscription {
    /// Notes that a client uses it.
    pub(super) fn note_use(&mut self, now: Timestamp) {
        if !self.is_use_noted(now) {
            self.last_used = now;
        }
    }

    /// Tells whether a use now would change nothing.
    pub(super) fn is_use_noted(&self, now: Timestamp) -> bool {
        now < later(self.last_used, SignedDuration::from_secs(USES_APART_S))
    }

    /// When it expires unless it is used before; `None` is never. An open stream uses it all the time.
    fn expires(&self, now: Timestamp) -> Option<Timestamp> {
        let ttl = self.settings.expiration_policy.as_ref()?.ttl.as_ref()?;
        let used = if self.streams.is_empty() { self.last_used } else { now };
        Some(later(used, duration(ttl)))
    }
}

impl PubSub {
    /// Plans the look at a subscription that is new, or whose policy may have changed.
    pub(super) fn plan_expiry(&mut self, name: &str, now: Timestamp) {
        let Some((name, _)) = self.subscriptions.get_key_value(name) else { return };
        let name = name.clone();
        let Some(subscription) = self.subscriptions.get_mut(&name) else { return };
        let next = subscription.expires(now);
        if let Some(before) = std::mem::replace(&mut subscription.expiry, next) {
            self.agenda.remove(&(before, Due::Expiry(name.clone())));
        }
        self.agenda.extend(next.map(|time| (time, Due::Expiry(name))));
    }

    /// Deletes the subscription if its time is over.
    pub(super) fn expire(&mut self, name: &str, at: Moment, out: &mut Effects) {
        let over = self.subscriptions.get(name).and_then(|subscription| subscription.expires(at.now)).is_some_and(|time| time <= at.now);
        if over {
            self.remove_subscription(name, out);
        } else {
            self.plan_expiry(name, at.now);
        }
    }

    /// Removes a subscription from wherever it is known; tells whether it was there.
    pub(super) fn remove_subscription(&mut self, name: &str, out: &mut Effects) -> bool {
        let Some((name, mut subscription)) = self.subscriptions.remove_entry(name) else { return false };
        self.touched.touch(&name);
        unplan(&name, &mut subscription, &mut self.agenda);
        if let Some(time) = subscription.expiry {
            self.agenda.remove(&(time, Due::Expiry(Arc::clone(&name))));
        }
        if let Some(topic) = self.topics.get_mut(&subscription.settings.topic) {
            topic.subscriptions.remove(&name);
        }
        self.policies.remove(&*name);
        out.list.push(Effect::Closed(name.to_string()));
        true
    }
}
