//! Pub/Sub messages, and what the attributes of a dead letter tell of its origin.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;

use crate::names::SubscriptionName;

/// The attributes that Pub/Sub adds to a dead letter all begin so.
pub const DEAD_LETTER_PREFIX: &str = "CloudPubSubDeadLetterSource";

/// The subscription that gave it up, and its project.
const SOURCE_SUBSCRIPTION: &str = "CloudPubSubDeadLetterSourceSubscription";
const SOURCE_PROJECT: &str = "CloudPubSubDeadLetterSourceSubscriptionProject";
/// How often it was delivered there.
const SOURCE_DELIVERY_COUNT: &str = "CloudPubSubDeadLetterSourceDeliveryCount";
/// When it was published to the topic of that subscription.
const SOURCE_PUBLISH_TIME: &str = "CloudPubSubDeadLetterSourceTopicPublishTime";

/// Attributes whose keys begin so are Pub/Sub's own (such as those that name a schema): a message that is published must not bear them.
pub const RESERVED_PREFIX: &str = "goog";

/// The attribute that names, by its id, the one subscription that is to process a redriven message; the others acknowledge it without work.
pub const REDRIVE_TO: &str = "redrive-to";

/// The attribute that is the same in every copy of one dead letter (its subscription and message id), so that receivers can tell them.
pub const REDRIVE_SOURCE: &str = "redrive-source";

/// A message as it lies in a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Identity: equal in all subscriptions of a topic.
    pub id: String,
    /// Payload, any bytes.
    pub data: Bytes,
    /// Attributes (at most 100).
    pub attributes: BTreeMap<String, String>,
    /// Ordering key; empty is none.
    pub ordering_key: String,
    /// When the service took it.
    pub publish_time: Option<Timestamp>,
    /// 1 + refusals + expired deadlines; unset without a dead-letter policy.
    pub delivery_attempt: Option<u32>,
}

/// A message to be published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    /// Payload, any bytes.
    pub data: Bytes,
    /// Attributes (at most 100; key ≤ 256 bytes, value ≤ 1024 bytes).
    pub attributes: BTreeMap<String, String>,
    /// Ordering key; empty is none.
    pub ordering_key: String,
}

/// Where a dead letter came from, as its attributes tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// The subscription that gave it up; `None` when the attributes do not name one.
    pub subscription: Option<SubscriptionName>,
    /// How often that subscription delivered it.
    pub delivery_count: Option<u32>,
    /// When it was first published.
    pub publish_time: Option<Timestamp>,
}

impl Message {
    /// Reads the dead-letter attributes; `None` when the message bears none.
    ///
    /// ```
    /// use redrive::model::message::Message;
    ///
    /// let mut message = Message { id: "1".into(), data: "{}".into(), attributes: Default::default(), ordering_key: String::new(), publish_time: None, delivery_attempt: None };
    /// assert_eq!(message.provenance(), None);
    /// for (key, value) in [("Subscription", "billing"), ("SubscriptionProject", "shop"), ("DeliveryCount", "5")] {
    ///     message.attributes.insert(format!("CloudPubSubDeadLetterSource{key}"), value.into());
    /// }
    /// let from = message.provenance().unwrap();
    /// assert_eq!(from.subscription.unwrap().to_string(), "projects/shop/subscriptions/billing");
    /// assert_eq!(from.delivery_count, Some(5));
    /// ```
    pub fn provenance(&self) -> Option<Provenance> {
        let get = |key: &str| self.attributes.get(key);
        let subscription = get(SOURCE_SUBSCRIPTION);
        let (count, time) = (get(SOURCE_DELIVERY_COUNT), get(SOURCE_PUBLISH_TIME));
        if subscription.is_none() && count.is_none() && time.is_none() {
            return None;
        }
        let project = get(SOURCE_PROJECT);
        Some(Provenance {
            subscription: project.zip(subscription).and_then(|(p, s)| format!("projects/{p}/subscriptions/{s}").parse().ok()),
            delivery_count: count.and_then(|text| text.parse().ok()),
            publish_time: self.first_published(),
        })
    }

    /// Tells whether its attributes name this subscription as the one that gave it up.
    #[cfg(feature = "tool")]
    pub(crate) fn was_given_up_by(&self, subscription: &SubscriptionName) -> bool {
        let says = |key: &str, name: &str| self.attributes.get(key).is_some_and(|value| value == name);
        says(SOURCE_SUBSCRIPTION, subscription.id()) && says(SOURCE_PROJECT, subscription.project().id())
    }

    /// Returns when a dead letter was published at first, where it tells.
    pub fn first_published(&self) -> Option<Timestamp> {
        self.attributes.get(SOURCE_PUBLISH_TIME)?.parse().ok()
    }
}
