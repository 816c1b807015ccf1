//! The places that a message or task is delivered to, and how many go there at once.

use std::fmt;

use super::publish::BATCH_MESSAGES_MAX;
use crate::names::{QueueName, SubscriptionName, TopicName};

/// Calls of one message each that are under way at once, at most.
const SENDS_MAX: usize = 32;
/// Publishes under way at once.
const PUBLISHES_MAX: usize = 64;
/// So many failures in a row, of whatever messages, stop a transfer to an endpoint.
pub(super) const FAILURES_IN_A_ROW_MAX: u32 = 10;

/// One destination.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::ops::transfer) enum Target {
    Topic(TopicName),
    /// The topic, for this subscription alone.
    Addressed(TopicName, SubscriptionName),
    /// The endpoint of a push subscription.
    Endpoint(SubscriptionName),
    /// The handler that the request names.
    Handler,
    /// A new task; `None` is the queue that the task belongs to.
    Queue(Option<QueueName>),
    /// Cloud Tasks dispatches it.
    Run,
}

impl Target {
    /// Returns how many messages go there by one call.
    pub(super) fn batch_max(&self) -> usize {
        if self.is_batched() { BATCH_MESSAGES_MAX } else { 1 }
    }

    /// Tells whether several messages go there by one call.
    pub(super) fn is_batched(&self) -> bool {
        matches!(self, Self::Topic(_) | Self::Addressed(..))
    }

    /// Tells whether somebody else's server decides there, of which nothing is known: one at first, and more as it goes well.
    pub(super) fn is_endpoint(&self) -> bool {
        matches!(self, Self::Endpoint(_) | Self::Handler)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(topic) => topic.fmt(f),
            Self::Addressed(topic, subscription) => write!(f, "{topic} for {subscription}"),
            Self::Endpoint(subscription) => write!(f, "the endpoint of {subscription}"),
            Self::Handler => f.write_str("the handler"),
            Self::Queue(Some(queue)) => queue.fmt(f),
            Self::Queue(None) => f.write_str("its queue"),
            Self::Run => f.write_str("its handler"),
        }
    }
}

/// How many calls may be under way: to an endpoint one at first, twice as many after each row of successes, and one again after a failure.
#[derive(Debug)]
pub(super) struct Pace {
    lanes: usize,
    successes: usize,
    failures: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { lanes: 1, successes: 0, failures: 0 }
    }
}

impl Pace {
    /// Returns how many calls there may be at once.
    pub(super) fn calls_max(&self, target: &Target) -> usize {
        match target {
            target if target.is_batched() => PUBLISHES_MAX,
            target if target.is_endpoint() => self.lanes,
            _ => SENDS_MAX,
        }
    }

    pub(super) fn went_well(&mut self) {
        self.failures = 0;
        self.successes += 1;
        if self.successes >= self.lanes {
            self.lanes = (self.lanes * 2).min(SENDS_MAX);
            self.successes = 0;
        }
    }

    /// Notes a failure; `true` when there were too many in a row.
    pub(super) fn went_wrong(&mut self) -> bool {
        self.lanes = 1;
        self.successes = 0;
        self.failures += 1;
        self.failures >= FAILURES_IN_A_ROW_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_gets_one_at_first_and_ten_failures_in_a_row_are_enough() {
        let (mut pace, endpoint) = (Pace::default(), Target::Handler);
        assert_eq!(pace.calls_max(&endpoint), 1);
        let lanes: Vec<usize> = (0..16)
            .map(|_| {
                pace.went_well();
                pace.calls_max(&endpoint)
            })
            .collect();
        assert_eq!(lanes, [2, 2, 4, 4, 4, 4, 8, 8, 8, 8, 8, 8, 8, 8, 16, 16]);
        assert!((1..10).all(|_| !pace.went_wrong()) && pace.calls_max(&endpoint) == 1);
        pace.went_well();
        assert!((1..10).all(|_| !pace.went_wrong()) && pace.went_wrong());
    }
}
