//! Pub/Sub topics.

use std::time::Duration;

use serde_json::Value;

use crate::names::TopicName;

/// A topic as the service describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Topic {
    /// Full name.
    pub name: TopicName,
    /// How long the topic itself keeps messages; `None` is not at all.
    pub retention: Option<Duration>,
    /// Full name of the schema its messages must fit.
    pub schema: Option<String>,
    /// Google's own JSON of the resource.
    pub raw: Value,
}
