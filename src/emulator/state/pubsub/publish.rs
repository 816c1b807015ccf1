//! Publishing: limits, fan-out to the subscriptions of a topic, and dead letters.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message as _;

use super::message::{Message, size};
use super::subscription::Dead;
use super::topic::Topic;
use super::{Around, Draft, PubSub, names, settle};
use crate::emulator::pb::google::pubsub::v1 as pb;
use crate::emulator::state::{Command, Effects, Moment, Refusal, State, kept};
use crate::model::message::{DEAD_LETTER_PREFIX, RESERVED_PREFIX};

/// Messages in a request at most.
const MESSAGES_MAX: usize = 1000;
/// Bytes of a message, and of a request, at most.
const BYTES_MAX: u64 = 10_000_000;
/// Attributes of a message at most.
const ATTRIBUTES_MAX: usize = 100;
/// Bytes of an attribute's key at most.
const KEY_BYTES_MAX: usize = 256;
/// Bytes of an attribute's value at most.
const VALUE_BYTES_MAX: usize = 1024;
/// Bytes of an ordering key at most.
const ORDERING_KEY_BYTES_MAX: usize = 1024;

impl Command for pb::PublishRequest {
    type Reply = pb::PublishResponse;

    fn detach(&mut self) {
        for message in &mut self.messages {
            message.data = kept(std::mem::take(&mut message.data));
        }
    }

    fn apply(self, state: &mut State, at: Moment, out: &mut Effects) -> Result<pb::PublishResponse, Refusal> {
        let pubsub = &mut state.pubsub;
        pubsub.topic(&self.topic)?;
        if self.messages.is_empty() {
            return Err(Refusal::invalid(
                "The value for message_count is too small. You passed 0 in the request, but the minimum value is 1.",
            ));
        }
        not_above("message_count", self.messages.len() as u64, MESSAGES_MAX as u64)?;
        if may_be_large(&self) {
            not_above("request_size", self.encoded_len() as u64, BYTES_MAX)?;
        }
        let mut drafts = self.messages.into_iter().map(draft).collect::<Result<Vec<_>, _>>()?;
        pubsub.stamp(&self.topic, &mut drafts)?;
        let ids = pubsub.publish(&self.topic, drafts, at, out);
        Ok(pb::PublishResponse { message_ids: ids.into_iter().map(|id| id.to_string()).collect() })
    }
}

/// Whether a request has to be measured: to look at each part of each message is felt where many are published.
fn may_be_large(request: &pb::PublishRequest) -> bool {
    const FRAMES_BYTES_MAX: usize = 64;
    let bytes = request.messages.iter().map(|message| (FRAMES_BYTES_MAX + message.data.len() + message.ordering_key.len()) as u64);
    let is_plain = |message: &pb::PubsubMessage| message.attributes.is_empty() && message.message_id.is_empty();
    bytes.sum::<u64>() + request.topic.len() as u64 > BYTES_MAX || !request.messages.iter().all(is_plain)
}

fn draft(message: pb::PubsubMessage) -> Result<Draft, Refusal> {
    let draft = Draft { data: message.data, attributes: message.attributes, ordering_key: message.ordering_key };
    check(&draft)?;
    Ok(draft)
}

/// Refuses a message that Pub/Sub refuses.
fn check(draft: &Draft) -> Result<(), Refusal> {
    if draft.data.is_empty() && draft.attributes.is_empty() {
        return Err(Refusal::invalid(
            "One or more messages in the publish request is empty. Each message must contain either non-empty data, or at least one attribute.",
        ));
    }
    not_above("message_size", size(draft), BYTES_MAX)?;
    not_above("attribute_count", draft.attributes.len() as u64, ATTRIBUTES_MAX as u64)?;
    not_above("ordering_key_size", draft.ordering_key.len() as u64, ORDERING_KEY_BYTES_MAX as u64)?;
    for (key, value) in &draft.attributes {
        if key.is_empty() {
            return Err(Refusal::invalid("One or more attribute keys in the publish request is empty."));
        }
        if key.starts_with(RESERVED_PREFIX) {
            return Err(Refusal::invalid(format!("Attribute keys must not begin with '{RESERVED_PREFIX}' (key={key}).")));
        }
        not_above("attribute_key_size", key.len() as u64, KEY_BYTES_MAX as u64)?;
        not_above("attribute_value_size", value.len() as u64, VALUE_BYTES_MAX as u64)?;
    }
    Ok(())
}

pub(super) fn not_above(what: &str, given: u64, max: u64) -> Result<(), Refusal> {
    if given <= max {
        return Ok(());
    }
    Err(Refusal::invalid(format!("The value for {what} is too large. You passed {given} in the request, but the maximum value is {max}.")))
}

impl PubSub {
    fn topic(&self, name: &str) -> Result<&Topic, Refusal> {
        self.topics.get(name).ok_or_else(|| names::not_found(name, "topics"))
    }

    /// Checks messages against the topic's schema, and tells their receivers of it.
    fn stamp(&self, topic: &str, drafts: &mut [Draft]) -> Result<(), Refusal> {
        self.schemas.stamp(self.topic(topic)?.settings.schema_settings.as_ref(), drafts)
    }

    /// Publishes for Cloud Scheduler; `topic` is a full name.
    pub(crate) fn publish_internal(&mut self, topic: &str, draft: Draft, at: Moment, out: &mut Effects) -> Result<String, Refusal> {
        check(&draft)?;
        let mut drafts = vec![draft];
        self.stamp(topic, &mut drafts)?;
        let ids = self.publish(topic, drafts, at, out);
        Ok(ids.into_iter().map(|id| id.to_string()).collect())
    }

    /// Gives checked messages to all subscriptions of a topic, which must exist. Each message is stored once, however many receive it.
    fn publish(&mut self, topic: &str, drafts: Vec<Draft>, at: Moment, out: &mut Effects) -> Vec<u64> {
        self.touched.touch(topic);
        let Some(topic) = self.topics.get_mut(topic) else { return Vec::new() };
        let messages: Vec<_> = drafts.into_iter().map(|draft| Arc::new(Message::new(self.serial.next(at.now), at.now, draft))).collect();
        topic.stats.publish_requests += 1;
        topic.stats.published_messages += messages.len() as u64;
        topic.retain(&messages, at.now);
        for name in &topic.subscriptions {
            let Some(subscription) = self.subscriptions.get_mut(name) else { continue };
            for message in &messages {
                subscription.accept(message);
            }
            let around =
                &mut Around { serial: &mut self.serial, agenda: &mut self.agenda, touched: &mut self.touched, schemas: &self.schemas };
            settle(name, subscription, around, at.now, out);
        }
        messages.iter().map(|message| message.id).collect()
    }

    /// Publishes what a subscription gave up to its dead-letter topic.
    pub(super) fn publish_dead(&mut self, source: &str, dead: Vec<Dead>, at: Moment, out: &mut Effects) {
        for dead in dead {
            self.publish(&dead.topic, vec![dead_letter(source, &dead)], at, out);
        }
    }
}

/// The message as it goes to the dead-letter topic: unaltered, with its origin in attributes.
fn dead_letter(source: &str, dead: &Dead) -> Draft {
    let message = &dead.message;
    let mut attributes: BTreeMap<String, String> = message.attributes().clone();
    let origin = [
        ("DeliveryCount", dead.deliveries.to_string()),
        ("Subscription", names::id(source).to_owned()),
        ("SubscriptionProject", names::project_id(source).to_owned()),
        ("TopicPublishTime", message.publish_time().strftime("%Y-%m-%dT%H:%M:%S%.3f+00:00").to_string()),
    ];
    attributes.extend(origin.map(|(key, value)| (format!("{DEAD_LETTER_PREFIX}{key}"), value)));
    Draft { data: message.data.clone(), attributes, ordering_key: message.ordering_key().to_owned() }
}
