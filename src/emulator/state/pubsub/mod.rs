//! Pub/Sub as a pure state.

mod stats;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Answer, Effects, Moment, Refusal};

pub(crate) use crate::model::message::Draft;
pub(crate) use stats::{Counters, NO_ANSWER, SubscriptionStats, TopicStats};

/// Topics, subscriptions, messages and leases.
#[derive(Debug, Default)]
pub(crate) struct PubSub {
    topics: BTreeMap<String, Topic>,
    subscriptions: BTreeMap<Arc<str>, Subscription>,
}

#[derive(Debug, Default)]
struct Topic {
    stats: TopicStats,
}

#[derive(Debug, Default)]
struct Subscription {
    counters: Counters,
}

impl Subscription {
    fn stats(&self) -> SubscriptionStats<'_> {
        SubscriptionStats { undelivered: 0, backlog_bytes: 0, oldest_unacked: None, counters: &self.counters }
    }
}

impl PubSub {
    /// The dispatcher's report on a push.
    pub(crate) fn push_answered(&mut self, _subscription: &str, _lease: u64, _answer: &Answer, _at: Moment, _out: &mut Effects) {}

    /// All that fell due by `at.now`: expired leases, back-offs over, retention, expiry.
    pub(crate) fn tick(&mut self, _at: Moment, _out: &mut Effects) {}

    /// Publishes for Cloud Scheduler; `topic` is a full name.
    pub(crate) fn publish_internal(&mut self, _topic: &str, _draft: Draft, _at: Moment, _out: &mut Effects) -> Result<String, Refusal> {
        Ok(String::new())
    }

    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        None
    }
}
