//! Pub/Sub's messages as they are on the wire: numbers and types of its published interface, as far as transfers need them.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;

use crate::cloud::messages::Received;
use crate::model::message::{Draft, Message};

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Time {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PubsubMessage {
    #[prost(bytes = "bytes", tag = "1")]
    data: Bytes,
    #[prost(btree_map = "string, string", tag = "2")]
    attributes: BTreeMap<String, String>,
    #[prost(string, tag = "3")]
    message_id: String,
    #[prost(message, optional, tag = "4")]
    publish_time: Option<Time>,
    #[prost(string, tag = "5")]
    ordering_key: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ReceivedMessage {
    #[prost(string, tag = "1")]
    ack_id: String,
    #[prost(message, optional, tag = "2")]
    message: Option<PubsubMessage>,
    #[prost(int32, tag = "3")]
    delivery_attempt: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PullRequest {
    #[prost(string, tag = "1")]
    pub(super) subscription: String,
    #[prost(bool, tag = "2")]
    pub(super) return_immediately: bool,
    #[prost(int32, tag = "3")]
    pub(super) max_messages: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PullResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) received_messages: Vec<ReceivedMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PublishRequest {
    #[prost(string, tag = "1")]
    pub(super) topic: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) messages: Vec<PubsubMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PublishResponse {
    #[prost(string, repeated, tag = "1")]
    pub(super) message_ids: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AcknowledgeRequest {
    #[prost(string, tag = "1")]
    pub(super) subscription: String,
    #[prost(string, repeated, tag = "2")]
    pub(super) ack_ids: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ModifyAckDeadlineRequest {
    #[prost(string, tag = "1")]
    pub(super) subscription: String,
    #[prost(int32, tag = "3")]
    pub(super) ack_deadline_seconds: i32,
    #[prost(string, repeated, tag = "4")]
    pub(super) ack_ids: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Nothing {}

impl From<Draft> for PubsubMessage {
    fn from(draft: Draft) -> Self {
        let Draft { data, attributes, ordering_key } = draft;
        Self { data, attributes, message_id: String::new(), publish_time: None, ordering_key }
    }
}

impl From<ReceivedMessage> for Received {
    fn from(received: ReceivedMessage) -> Self {
        let PubsubMessage { data, attributes, message_id, publish_time, ordering_key } = received.message.unwrap_or_default();
        let message = Message {
            id: message_id,
            data,
            attributes,
            ordering_key,
            publish_time: publish_time.and_then(|time| Timestamp::new(time.seconds, time.nanos).ok()),
            delivery_attempt: u32::try_from(received.delivery_attempt).ok().filter(|attempt| *attempt > 0),
        };
        Self { ack_id: received.ack_id, message }
    }
}
