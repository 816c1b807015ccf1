//! What the Monitoring answers are made of: gauges read off the backlog, and counters since the resource was made.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::PubSub;
use crate::emulator::state::saved::saved;

/// Stands for "no answer" among the response codes of pushes: time-out or no connection.
pub(crate) const NO_ANSWER: u16 = 0;

/// What has happened on a subscription since it was created. Only grows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Deliveries, by pull, stream or push.
    pub(crate) sent: u64,
    pub(crate) acked: u64,
    /// Ack deadlines that passed.
    pub(crate) expired: u64,
    /// Messages forwarded to the dead-letter topic.
    pub(crate) dead_lettered: u64,
    /// Answers to pushes by HTTP status; [`NO_ANSWER`] for none.
    pub(crate) push_requests: BTreeMap<u16, u64>,
}

saved!(struct Counters { sent, acked, expired, dead_lettered, push_requests });

/// A subscription in numbers. Reading it costs O(log n).
#[derive(Debug, Clone, Copy)]
pub(crate) struct SubscriptionStats<'a> {
    /// Messages neither acknowledged nor expired, leased ones included.
    pub(crate) undelivered: u64,
    pub(crate) backlog_bytes: u64,
    /// Publish time of the oldest of them.
    pub(crate) oldest_unacked: Option<Timestamp>,
    pub(crate) counters: &'a Counters,
}

/// What has been published to a topic since it was created.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TopicStats {
    pub(crate) publish_requests: u64,
    pub(crate) published_messages: u64,
}

saved!(struct TopicStats { publish_requests, published_messages });

impl PubSub {
    /// Returns every subscription of every project by its full name, in order of names.
    pub(crate) fn subscription_stats(&self) -> impl Iterator<Item = (&str, SubscriptionStats<'_>)> {
        self.subscriptions.iter().map(|(name, subscription)| (&**name, subscription.stats()))
    }

    /// Returns a subscription by its full name.
    pub(crate) fn stats_of_subscription(&self, name: &str) -> Option<SubscriptionStats<'_>> {
        self.subscriptions.get(name).map(super::subscription::Subscription::stats)
    }

    /// Returns a topic by its full name.
    pub(crate) fn stats_of_topic(&self, name: &str) -> Option<TopicStats> {
        self.topics.get(name).map(|topic| topic.stats)
    }

    /// Returns every topic of every project by its full name, in order of names.
    pub(crate) fn topic_stats(&self) -> impl Iterator<Item = (&str, TopicStats)> {
        self.topics.iter().map(|(name, topic)| (name.as_str(), topic.stats))
    }
}
