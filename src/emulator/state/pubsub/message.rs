//! A published message, shared by all subscriptions that hold it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use super::Draft;
use super::convert::pb_timestamp;
use super::schema::Schemas;
use crate::emulator::pb::google::pubsub::v1 as pb;
use crate::emulator::state::saved::{Reader, Saved, Writer, saved};
use crate::error::Result;

/// A message as a topic took it; immutable.
#[derive(Debug, PartialEq)]
pub(crate) struct Message {
    /// Increases in the order of publishing.
    pub(super) id: u64,
    /// Never decreases with the id.
    pub(super) publish_time: Timestamp,
    pub(super) data: Bytes,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) ordering_key: String,
    /// What it counts for in limits and backlogs.
    pub(super) bytes: u64,
}

saved!(struct Message { id, publish_time, data, attributes, ordering_key, bytes });

impl Message {
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn new(id: u64, publish_time: Timestamp, draft: Draft) -> Self {
        let bytes = size(&draft);
        let Draft { data, attributes, ordering_key } = draft;
        Self { id, publish_time, data, attributes, ordering_key, bytes }
    }

    /// The message as receivers get it. The payload is shared, not copied.
    pub(super) fn to_pb(&self, schemas: &Schemas) -> pb::PubsubMessage {
        pb::PubsubMessage {
            data: self.data.clone(),
            attributes: schemas.shown(&self.attributes).into_owned(),
            message_id: self.id.to_string(),
            publish_time: Some(pb_timestamp(self.publish_time)),
            ordering_key: self.ordering_key.clone(),
        }
    }
}

/// Payload, attributes and ordering key, in bytes.
pub(super) fn size(draft: &Draft) -> u64 {
    let attributes: usize = draft.attributes.iter().map(|(key, value)| key.len() + value.len()).sum();
    (draft.data.len() + attributes + draft.ordering_key.len()) as u64
}

/// A reference: the message itself is kept once.
impl Saved for Arc<Message> {
    fn save(&self, to: &mut Writer) {
        self.id.save(to);
        to.messages.entry(self.id).or_insert_with(|| self.clone());
    }

    fn load(from: &mut Reader<'_>) -> Result<Self> {
        from.message()
    }
}
