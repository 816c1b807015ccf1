//! Publishing: limits, fan-out to the subscriptions of a topic, and dead letters.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use super::message::{Message, size};
use super::subscription::Dead;
use super::topic::Topic;
use super::{Around, Draft, PubSub, names, settle};
use crate::emulator::pb::google::pubsub::v1 as pb;
use crate::emulator::state::saved::{Reader, Saved, Writer};
use crate::emulator::state::{Command, Effects, Moment, Refusal, State, kept};
use crate::error;
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

/// The ids of what was published. They become texts where they are sent, not while the state is held.
#[derive(Debug)]
pub(crate) struct Published(Vec<u64>);

impl Published {
    pub(crate) fn into_texts(self) -> Vec<String> {
        self.0.into_iter().map(|id| id.to_string()).collect()
    }
}

impl Command for pb::PublishRequest {
    type Reply = Published;

    fn work(&self) -> u64 {
        work_of(self.messages.len())
    }

    fn detach(&mut self) {
        for message in &mut self.messages {
            message.data = kept(std::mem::take(&mut message.data));
        }
    }

    fn apply(self, state: &mut State, at: Moment, out: &mut Effects) -> Result<Published, Refusal> {
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
        Ok(pubsub.publish(&self.topic, drafts, at, out))
    }
}

/// See [`Command::work`]: ten messages more are as much as the creation of a task.
pub(super) fn work_of(messages: usize) -> u64 {
    1 + messages as u64 / 10
}

/// Whether a request has to be measured: to look at each part of each message is felt where many are published.
fn may_be_large(request: &pb::PublishRequest) -> bool {
    bytes_if_plain(request) as u64 > BYTES_MAX || !request.messages.iter().all(is_plain)
}

/// Whether a message has no more than a payload and an ordering key.
fn is_plain(message: &pb::PubsubMessage) -> bool {
    message.attributes.is_empty() && message.message_id.is_empty() && message.publish_time.is_none()
}

/// How many bytes a request has at most if its messages are plain.
fn bytes_if_plain(request: &pb::PublishRequest) -> usize {
    const FRAMES_BYTES_MAX: usize = 64;
    let bytes = |message: &pb::PubsubMessage| FRAMES_BYTES_MAX + message.data.len() + message.ordering_key.len();
    FRAMES_BYTES_MAX + request.topic.len() + request.messages.iter().map(bytes).sum::<usize>()
}

/// The bytes of `saved!(message pb::PublishRequest)`. Of many messages `prost` would clone each payload, and measure each of their maps, twice.
impl Saved for pb::PublishRequest {
    fn save(&self, to: &mut Writer) {
        let begin = to.bytes.len();
        to.bytes.reserve(bytes_if_plain(self));
        0_usize.save(to);
        field(1, self.topic.as_bytes(), &mut to.bytes);
        for message in &self.messages {
            encode_key(2, WireType::LengthDelimited, &mut to.bytes);
            if is_plain(message) {
                let bytes = field_bytes(&message.data) + field_bytes(message.ordering_key.as_bytes());
                encode_varint(bytes as u64, &mut to.bytes);
                field(1, &message.data, &mut to.bytes);
                field(5, message.ordering_key.as_bytes(), &mut to.bytes);
            } else {
                encode_varint(message.encoded_len() as u64, &mut to.bytes);
                message.encode_raw(&mut to.bytes);
            }
        }
        let bytes = to.bytes.len() - begin - size_of::<u64>();
        to.bytes[begin..begin + size_of::<u64>()].copy_from_slice(&(bytes as u64).to_le_bytes());
    }

    fn load(from: &mut Reader<'_>) -> error::Result<Self> {
        from.decode()
    }
}

/// A field with a number below 16; none if it is empty.
fn field(number: u32, bytes: &[u8], to: &mut Vec<u8>) {
    if !bytes.is_empty() {
        encode_key(number, WireType::LengthDelimited, to);
        encode_varint(bytes.len() as u64, to);
        to.extend_from_slice(bytes);
    }
}

/// How many bytes a [`field`] has.
fn field_bytes(bytes: &[u8]) -> usize {
    if bytes.is_empty() { 0 } else { 1 + encoded_len_varint(bytes.len() as u64) + bytes.len() }
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
        Ok(self.publish(topic, drafts, at, out).into_texts().concat())
    }

    /// Gives checked messages to all subscriptions of a topic, which must exist. Each message is stored once, however many receive it.
    fn publish(&mut self, topic: &str, drafts: Vec<Draft>, at: Moment, out: &mut Effects) -> Published {
        self.touched.touch(topic);
        let Some(topic) = self.topics.get_mut(topic) else { return Published(Vec::new()) };
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
        Published(messages.iter().map(|message| message.id).collect())
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
