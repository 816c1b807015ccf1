//! A message that was handed to Cloud Tasks and failed as often as it may: published to its dead-letter topic, with the attributes that Pub/Sub itself gives
//! a dead letter, so that `redrive` and others see no difference.

use bytes::Bytes;

use crate::error::Result;
use crate::model::message::{DEAD_LETTER_PREFIX, Draft, RESERVED_PREFIX};
use crate::names::TopicName;
use crate::runtime::propagation::Headers;
use crate::runtime::publisher::Ready;
use crate::runtime::subscriber::SubscriberEntry;
use crate::runtime::{App, MessageInfo};

impl<S: Send + Sync + 'static> App<S> {
    /// Returns the full name of a topic for dead letters.
    pub(crate) fn dead_letter_topic(&self, topic: &str) -> Result<TopicName> {
        self.topic_name(&self.layout().topic(topic))
    }

    /// Returns where a message goes whose last attempt this was; nothing where it has others, or its subscriber no dead letters.
    pub(super) fn given_up_to(&self, entry: &SubscriberEntry<S>, info: &MessageInfo) -> Result<Option<TopicName>> {
        let is_last = entry.attempts_max().zip(info.delivery_attempt).is_some_and(|(max, attempt)| attempt >= max);
        entry.options.dead_letters.as_ref().filter(|_| is_last).map(|topic| self.dead_letter_topic(topic)).transpose()
    }

    /// Publishes a dead letter and returns its id.
    pub(super) async fn publish_dead(
        &self,
        entry: &SubscriberEntry<S>,
        topic: TopicName,
        data: Bytes,
        info: &MessageInfo,
        headers: &Headers,
    ) -> Result<String> {
        let mut attributes = info.attributes.clone();
        // What Pub/Sub added for this subscription alone nobody may publish.
        attributes.retain(|key, _| !key.starts_with(RESERVED_PREFIX));
        let source = match &info.subscription {
            Some(name) => name.clone(),
            None => self.subscription_name(entry)?,
        };
        let time = info.publish_time.map(|time| time.strftime("%Y-%m-%dT%H:%M:%S%.3f+00:00").to_string());
        let origin = [
            ("Subscription", Some(source.id().to_owned())),
            ("SubscriptionProject", Some(source.project().id().to_owned())),
            ("DeliveryCount", info.delivery_attempt.map(|count| count.to_string())),
            ("TopicPublishTime", time),
        ];
        attributes.extend(origin.into_iter().filter_map(|(key, value)| Some((format!("{DEAD_LETTER_PREFIX}{key}"), value?))));
        let draft = Draft { data: self.layout().message_data(data, headers), attributes, ordering_key: info.ordering_key.clone() };
        self.send_message(Ready { topic, draft }).await
    }
}
