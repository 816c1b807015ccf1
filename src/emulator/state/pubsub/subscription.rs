//! One subscription: its settings, its backlog, and what happens to a message that is delivered, settled or forgotten.
//!
//! Must not know topics: what has to be published (dead letters) is handed out through [`Cx`].

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::backlog::{Backlog, Delivery, Want};
use super::convert::{duration, later};
use super::message::Message;
use super::mutation::{Mutation, strikes};
use super::push::Push;
use super::schema::Schemas;
use super::serial::Serial;
use super::stats::{Counters, SubscriptionStats};
use super::stream::Stream;
use crate::emulator::pb::google::pubsub::v1 as pb;
use crate::emulator::state::saved::saved;
use crate::model::filter::Filter;

/// A subscription and all it holds.
#[derive(Debug)]
pub(super) struct Subscription {
    /// Complete and checked: see `settings`.
    pub(super) settings: pb::Subscription,
    filter: Option<Filter>,
    pub(super) backlog: Backlog,
    /// Acknowledged messages, kept for a seek into the past.
    pub(super) acked: BTreeMap<u64, Arc<Message>>,
    pub(super) streams: BTreeMap<u64, Stream>,
    pub(super) push: Push,
    pub(super) counters: Counters,
    /// When the agenda has this subscription next.
    pub(super) scheduled: Option<Timestamp>,
    /// When a client last did something with it, or took a push: see `expire`.
    pub(super) last_used: Timestamp,
    /// When the agenda looks whether it has expired.
    pub(super) expiry: Option<Timestamp>,
    /// How long the topic keeps its messages for all subscriptions.
    pub(super) topic_retention: Option<SignedDuration>,
    /// Tells its topic, once that is deleted, from others: `settings` has the same text for all.
    pub(super) orphan_of: Option<u64>,
}

saved!(struct Subscription { settings, filter, backlog, acked, streams, push, counters, scheduled, last_used, expiry, topic_retention; orphan_of });

/// The circumstances of an operation on a subscription.
#[derive(Debug)]
pub(super) struct Cx<'a> {
    pub(super) now: Timestamp,
    pub(super) serial: &'a mut Serial,
    pub(super) schemas: &'a Schemas,
    /// Whether messages can go to the dead-letter topic.
    pub(super) dead_letters_work: bool,
    /// Messages that have to be published to the dead-letter topic.
    pub(super) dead: Vec<Dead>,
}

/// A message given up after so many deliveries.
#[derive(Debug)]
pub(super) struct Dead {
    pub(super) topic: String,
    pub(super) message: Arc<Message>,
    pub(super) deliveries: u32,
}

impl Subscription {
    pub(super) fn new(settings: pb::Subscription, filter: Option<Filter>, now: Timestamp) -> Self {
        Self {
            backlog: Backlog::new(settings.enable_message_ordering),
            settings,
            filter,
            acked: BTreeMap::new(),
            streams: BTreeMap::new(),
            push: Push::default(),
            counters: Counters::default(),
            scheduled: None,
            last_used: now,
            expiry: None,
            topic_retention: None,
            orphan_of: None,
        }
    }

    pub(super) fn ack_deadline(&self) -> SignedDuration {
        SignedDuration::from_secs(self.settings.ack_deadline_seconds.into())
    }

    /// Returns the dead-letter topic and how many deliveries go before it.
    pub(super) fn dead_letters(&self) -> Option<(&str, u32)> {
        let policy = self.settings.dead_letter_policy.as_ref()?;
        Some((&policy.dead_letter_topic, u32::try_from(policy.max_delivery_attempts).unwrap_or(u32::MAX)))
    }

    /// What a receiver is told about the number of deliveries; nothing without a dead-letter policy.
    pub(super) fn told_attempt(&self, attempt: u32) -> Option<u32> {
        self.settings.dead_letter_policy.as_ref().map(|_| attempt)
    }

    pub(super) fn passes(&self, message: &Message) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.matches(message.attributes()))
    }

    /// Takes a published message, unless the filter keeps it away or the subscription is detached.
    pub(super) fn accept(&mut self, message: &Arc<Message>) {
        if !self.settings.detached && self.passes(message) {
            self.backlog.add(message.clone());
        }
    }

    /// Leases messages and counts them as sent.
    pub(super) fn deliver(&mut self, want: &Want, now: Timestamp, serial: &mut Serial) -> Vec<Delivery> {
        let deliveries = self.backlog.lease(want, now, serial);
        self.counters.sent += deliveries.len() as u64;
        deliveries
    }

    /// Acknowledges a message.
    pub(super) fn ack(&mut self, id: u64) {
        if strikes(Mutation::AckForgotten) {
            return;
        }
        if let Some(message) = self.backlog.remove(id) {
            self.counters.acked += 1;
            self.keep_acked(message);
        }
    }

    /// Keeps an acknowledged message where the settings say so.
    pub(super) fn keep_acked(&mut self, message: Arc<Message>) {
        if self.settings.retain_acked_messages {
            self.acked.insert(message.id, message);
        }
    }

    /// Settles a delivery that failed: the message goes to the dead letters when it has had its deliveries, else it comes again.
    pub(super) fn fail(&mut self, id: u64, cx: &mut Cx<'_>) {
        let deliveries = self.backlog.failures(id) + 1 - u32::from(strikes(Mutation::DeadLetterLate));
        let grave = self.dead_letters().filter(|(_, max)| cx.dead_letters_work && deliveries >= *max).map(|(topic, _)| topic.to_owned());
        if let Some(topic) = grave {
            if let Some(message) = self.backlog.remove(id) {
                self.counters.dead_lettered += 1;
                self.keep_acked(message.clone());
                cx.dead.push(Dead { topic, message, deliveries });
            }
            return;
        }
        let until = self.backoff(deliveries).filter(SignedDuration::is_positive).map(|backoff| later(cx.now, backoff));
        self.backlog.fail(id, until);
    }

    /// How long a message waits after so many failures; `None` without a retry policy.
    fn backoff(&self, failures: u32) -> Option<SignedDuration> {
        let policy = self.settings.retry_policy.as_ref()?;
        let (min, max) = (policy.minimum_backoff.as_ref()?, policy.maximum_backoff.as_ref()?);
        let first = u32::from(!strikes(Mutation::BackoffTooLong));
        let doublings = failures.saturating_sub(first).min(30);
        Some(duration(min).saturating_mul(1 << doublings).min(duration(max)))
    }

    /// Lets all happen that fell due by `cx.now`: leases and back-offs that end, messages past their retention.
    pub(super) fn pass_time(&mut self, cx: &mut Cx<'_>) {
        while let Some(id) = self.backlog.expired(cx.now) {
            self.counters.expired += 1;
            self.push_lost(id, cx.now);
            if strikes(Mutation::ExpiredLost) {
                self.backlog.remove(id);
            }
            self.fail(id, cx);
        }
        self.backlog.end_backoffs(cx.now);
        let Some(begin) = cx.now.checked_sub(self.retention()).ok() else { return };
        while let Some(id) = self.backlog.oldest().filter(|message| message.publish_time() <= begin).map(|message| message.id) {
            self.backlog.remove(id);
        }
        while self.acked.first_key_value().is_some_and(|(_, message)| message.publish_time() <= begin) {
            self.acked.pop_first();
        }
    }

    /// When something next happens by itself.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let oldest = [self.backlog.oldest(), self.acked.first_key_value().map(|(_, message)| message)];
        let forgotten = oldest.into_iter().flatten().map(|message| later(message.publish_time(), self.retention())).min();
        let resumed = self.push.paused_until().filter(|_| self.push_endpoint().is_some() && self.backlog.has_ready());
        [self.backlog.next_due(), forgotten, resumed].into_iter().flatten().min()
    }

    /// The longer of its own and the topic's.
    fn retention(&self) -> SignedDuration {
        let own = self.settings.message_retention_duration.as_ref().map_or(SignedDuration::MAX, duration);
        self.topic_retention.map_or(own, |topic| own.max(topic))
    }

    pub(super) fn stats(&self) -> SubscriptionStats<'_> {
        SubscriptionStats {
            undelivered: self.backlog.len() as u64,
            backlog_bytes: self.backlog.bytes(),
            oldest_unacked: self.backlog.oldest().map(|message| message.publish_time()),
            counters: &self.counters,
        }
    }
}
