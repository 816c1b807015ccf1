//! Pub/Sub subscriptions.

use std::time::Duration;

use serde_json::Value;

use crate::names::{SubscriptionName, TopicName};

/// A subscription as the service describes it.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "the resource's own fields")]
pub struct Subscription {
    /// Full name.
    pub name: SubscriptionName,
    /// Its topic; `None` once that is deleted (`_deleted-topic_`).
    pub topic: Option<TopicName>,
    /// Who gets the messages.
    pub delivery: Delivery,
    /// How long a receiver has to acknowledge, 10–600 s.
    pub ack_deadline: Duration,
    /// How long unacknowledged messages are kept.
    pub retention: Duration,
    /// Whether acknowledged messages are kept too.
    pub retain_acked: bool,
    /// Filter on attributes; empty is none.
    pub filter: String,
    /// Whether messages of one ordering key come in order.
    pub ordered: bool,
    /// Whether acknowledgements are exactly-once.
    pub exactly_once: bool,
    /// Where messages go that fail too often.
    pub dead_letters: Option<DeadLetterPolicy>,
    /// Back-off between deliveries, (minimum, maximum).
    pub backoff: Option<(Duration, Duration)>,
    /// Whether it is detached from its topic.
    pub detached: bool,
    /// Google's own JSON of the resource.
    pub raw: Value,
}

/// How a subscription delivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// Receivers pull.
    Pull,
    /// The service posts to an endpoint.
    Push {
        /// URL.
        endpoint: String,
        /// Whether the body is the bare payload.
        unwrapped: bool,
        /// The account whose OIDC token is sent.
        account: Option<String>,
    },
    /// The service writes elsewhere (`BigQuery`, Cloud Storage …); cannot be pulled.
    Export(String),
}

/// Where messages go that fail too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterPolicy {
    /// The dead-letter topic; `None` once that is deleted.
    pub topic: Option<TopicName>,
    /// Deliveries tried, 5–100.
    pub attempts_max: u32,
}
