//! Pub/Sub as a pure state.

use jiff::Timestamp;

use super::{Answer, Effects, Moment, Refusal};

/// Topics, subscriptions, messages and leases.
#[derive(Debug, Default)]
pub(crate) struct PubSub {}

/// A message as a client gave it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    pub(crate) data: bytes::Bytes,
    pub(crate) attributes: std::collections::BTreeMap<String, String>,
    pub(crate) ordering_key: String,
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
