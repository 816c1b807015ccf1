//! A published message, shared by all subscriptions that hold it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use super::Draft;
use super::convert::pb_timestamp;
use super::schema::Schemas;
use crate::emulator::pb::google::pubsub::v1 as pb;
use crate::emulator::state::saved::{Reader, Saved, Writer, damaged};
use crate::error::Result;

/// A message as a topic took it; immutable.
#[derive(Debug, PartialEq)]
pub(crate) struct Message {
    /// Increases in the order of publishing.
    pub(super) id: u64,
    /// Never decreases with the id.
    published_us: i64,
    pub(super) data: Bytes,
    /// What most messages have nothing of, for there can be millions of them.
    labels: Option<Box<Labels>>,
    /// What it counts for in limits and backlogs.
    pub(super) bytes: u64,
}

#[derive(Debug, PartialEq)]
struct Labels {
    attributes: BTreeMap<String, String>,
    ordering_key: String,
}

static NO_LABELS: Labels = Labels { attributes: BTreeMap::new(), ordering_key: String::new() };

impl Message {
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What is below a microsecond of the time is cut: it is kept and shown alike.
    pub(super) fn new(id: u64, publish_time: Timestamp, draft: Draft) -> Self {
        let bytes = size(&draft);
        let Draft { data, attributes, ordering_key } = draft;
        let labels = Labels { attributes, ordering_key };
        let labels = (labels != NO_LABELS).then(|| Box::new(labels));
        Self { id, published_us: publish_time.as_microsecond(), data, labels, bytes }
    }

    pub(super) fn publish_time(&self) -> Timestamp {
        Timestamp::from_microsecond(self.published_us).expect("it was a time")
    }

    pub(super) fn attributes(&self) -> &BTreeMap<String, String> {
        &self.labels().attributes
    }

    /// Empty without one.
    pub(super) fn ordering_key(&self) -> &str {
        &self.labels().ordering_key
    }

    fn labels(&self) -> &Labels {
        self.labels.as_deref().unwrap_or(&NO_LABELS)
    }

    /// The message as receivers get it. The payload is shared, not copied.
    pub(super) fn to_pb(&self, schemas: &Schemas) -> pb::PubsubMessage {
        pb::PubsubMessage {
            data: self.data.clone(),
            attributes: schemas.shown(self.attributes()).into_owned(),
            message_id: self.id.to_string(),
            publish_time: Some(pb_timestamp(self.publish_time())),
            ordering_key: self.ordering_key().to_owned(),
        }
    }
}

/// Payload, attributes and ordering key, in bytes.
pub(super) fn size(draft: &Draft) -> u64 {
    let attributes: usize = draft.attributes.iter().map(|(key, value)| key.len() + value.len()).sum();
    (draft.data.len() + attributes + draft.ordering_key.len()) as u64
}

/// So many of them are written.
const FIELDS: u8 = 6;

/// As if it had its labels itself.
impl Saved for Message {
    fn save(&self, to: &mut Writer) {
        FIELDS.save(to);
        self.id.save(to);
        self.publish_time().save(to);
        self.data.save(to);
        let Labels { attributes, ordering_key } = self.labels();
        attributes.save(to);
        ordering_key.save(to);
        self.bytes.save(to);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self> {
        if u8::load(from)? != FIELDS {
            return Err(damaged("not the fields of a message"));
        }
        let (id, publish_time) = Saved::load(from)?;
        let draft = Draft { data: Saved::load(from)?, attributes: Saved::load(from)?, ordering_key: Saved::load(from)? };
        let message = Self::new(id, publish_time, draft);
        Ok(Self { bytes: Saved::load(from)?, ..message })
    }
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
