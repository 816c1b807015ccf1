//! Notifications of Cloud Storage: what happened to an object, whether it comes by Eventarc or by Pub/Sub.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use crate::error::{Error, Result};
use crate::runtime::EventInfo;
use crate::runtime::events::cloud_event::is_structured;
use crate::runtime::events::{CloudEvent, EventBody, PubsubMessage};

/// Something happened to an object.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StorageEvent {
    /// What happened.
    pub change: StorageChange,
    /// What it happened to.
    pub object: StorageObject,
    /// The generation that took the place of this one, where it was overwritten (by Pub/Sub only).
    pub overwritten_by: Option<i64>,
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StorageChange {
    /// It was written, or written anew.
    Finalized,
    /// It was deleted for good.
    Deleted,
    /// It is no longer the live version.
    Archived,
    /// Its metadata was changed.
    MetadataUpdated,
}

/// An object of Cloud Storage, as notifications have it. What a notification leaves out is empty.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct StorageObject {
    /// Its bucket.
    pub bucket: String,
    /// Its name.
    pub name: String,
    /// Which version of its content it is.
    #[serde(deserialize_with = "number")]
    pub generation: Option<i64>,
    /// Which version of its metadata it is.
    #[serde(deserialize_with = "number")]
    pub metageneration: Option<i64>,
    /// Its size in bytes.
    #[serde(deserialize_with = "number")]
    pub size: Option<i64>,
    /// Its media type.
    pub content_type: Option<String>,
    /// Its storage class, such as `STANDARD`.
    pub storage_class: Option<String>,
    /// The MD5 of its content, in base64.
    pub md5_hash: Option<String>,
    /// The CRC32C of its content, in base64.
    pub crc32c: Option<String>,
    /// When it was made.
    pub time_created: Option<Timestamp>,
    /// When it was changed last.
    pub updated: Option<Timestamp>,
    /// Metadata of its owner.
    pub metadata: BTreeMap<String, String>,
}

/// Google writes 64-bit numbers as texts; some senders write numbers.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(i64),
        Text(String),
    }
    match Option::<Written>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Written::Number(number)) => Ok(Some(number)),
        Some(Written::Text(text)) => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}

impl StorageChange {
    /// Reads `OBJECT_FINALIZE` and the like (Pub/Sub), or `google.cloud.storage.object.v1.finalized` and the like (Eventarc).
    fn read(text: &str) -> Result<Self> {
        match text.strip_prefix("google.cloud.storage.object.v1.").unwrap_or(text) {
            "OBJECT_FINALIZE" | "finalized" => Ok(Self::Finalized),
            "OBJECT_DELETE" | "deleted" => Ok(Self::Deleted),
            "OBJECT_ARCHIVE" | "archived" => Ok(Self::Archived),
            "OBJECT_METADATA_UPDATE" | "metadataUpdated" => Ok(Self::MetadataUpdated),
            other => Err(Error::invalid(format!("`{}` is no change of an object of Cloud Storage", other.escape_debug()))),
        }
    }
}

impl StorageEvent {
    /// Reads a notification that came by Pub/Sub, in a handler of events or in a subscriber.
    ///
    /// # Errors
    ///
    /// Fails when the message is something else.
    ///
    /// ```
    /// use redrive::runtime::events::{PubsubMessage, StorageChange, StorageEvent};
    ///
    /// let message = PubsubMessage::new("").attribute("eventType", "OBJECT_DELETE").attribute("bucketId", "b").attribute("objectId", "cat.png");
    /// let event = StorageEvent::of_message(&message)?;
    /// assert_eq!((event.change, event.object.name.as_str()), (StorageChange::Deleted, "cat.png"));
    /// # Ok::<(), redrive::Error>(())
    /// ```
    pub fn of_message(message: &PubsubMessage) -> Result<Self> {
        let attribute = |name: &str| message.info.attributes.get(name).map(String::as_str);
        let missing = |name: &str| Error::invalid(format!("the message has no attribute `{name}`, and is none of Cloud Storage"));
        let required = |name: &'static str| attribute(name).ok_or_else(|| missing(name));
        let change = StorageChange::read(required("eventType")?)?;
        let is_empty = message.data.is_empty() || attribute("payloadFormat") == Some("NONE");
        let mut object: StorageObject = if is_empty { StorageObject::default() } else { message.decoded()? };
        required("bucketId")?.clone_into(&mut object.bucket);
        required("objectId")?.clone_into(&mut object.name);
        let generation = |name: &str| attribute(name).and_then(|text| text.parse().ok());
        object.generation = object.generation.or_else(|| generation("objectGeneration"));
        Ok(Self { change, object, overwritten_by: generation("overwrittenByGeneration") })
    }

    /// Reads an event of Eventarc.
    ///
    /// # Errors
    ///
    /// Fails when it is of another type.
    pub fn of_cloud_event(event: CloudEvent<StorageObject>) -> Result<Self> {
        Ok(Self { change: StorageChange::read(&event.kind)?, object: event.data, overwritten_by: None })
    }
}

impl EventBody for StorageEvent {
    /// Reads it whichever way it came.
    fn read(body: Bytes, info: &EventInfo) -> Result<Self> {
        if is_structured(info) {
            Self::of_cloud_event(CloudEvent::read(body, info)?)
        } else {
            Self::of_message(&PubsubMessage::decode(&body)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_by_pubsub() {
        let data = r#"{"kind":"storage#object","name":"x","bucket":"y","generation":"17","size":"5","contentType":"image/png",
            "timeCreated":"2026-01-01T00:00:00.123Z","metadata":{"a":"b"}}"#;
        let message = PubsubMessage::new(data)
            .attribute("eventType", "OBJECT_FINALIZE")
            .attribute("payloadFormat", "JSON_API_V1")
            .attribute("bucketId", "pictures")
            .attribute("objectId", "cat.png")
            .attribute("overwrittenByGeneration", "18");
        let event = StorageEvent::read(message.envelope(), &EventInfo::default()).unwrap();
        assert_eq!((event.change, event.overwritten_by), (StorageChange::Finalized, Some(18)));
        let object = event.object;
        assert_eq!(
            (object.bucket.as_str(), object.name.as_str(), object.generation, object.size),
            ("pictures", "cat.png", Some(17), Some(5))
        );
        assert_eq!(object.metadata["a"], "b");
        let other = PubsubMessage::new("{}").attribute("eventType", "OBJECT_EATEN").attribute("bucketId", "b").attribute("objectId", "o");
        assert!(StorageEvent::of_message(&other).is_err());
        assert!(StorageEvent::of_message(&PubsubMessage::new("{}")).is_err());
    }

    #[test]
    fn an_event_of_eventarc() {
        let attributes =
            [("id", "1"), ("source", "//storage"), ("type", "google.cloud.storage.object.v1.archived"), ("specversion", "1.0")];
        let info =
            EventInfo { cloud_event: attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into(), ..EventInfo::default() };
        let event = StorageEvent::read(Bytes::from_static(br#"{"bucket":"b","name":"o","size":"9"}"#), &info).unwrap();
        assert_eq!((event.change, event.object.size), (StorageChange::Archived, Some(9)));
    }
}
