//! A message of Pub/Sub as it is pushed: read, and made for tests and for endpoints of others.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bytes::Bytes;
use jiff::Timestamp;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::error::Result;
use crate::names::SubscriptionName;
use crate::runtime::events::EventBody;
use crate::runtime::events::handler::not_a;
use crate::runtime::{EventInfo, MessageInfo};

/// A pushed message.
///
/// ```
/// use redrive::runtime::events::PubsubMessage;
///
/// let message = PubsubMessage::json(&serde_json::json!({"order": 7}))?.attribute("kind", "order").ordering_key("customer-1").id("12");
/// let read = PubsubMessage::decode(&message.envelope())?;
/// assert_eq!(read, message);
/// assert_eq!(read.decoded::<serde_json::Value>()?["order"], 7);
/// # Ok::<(), redrive::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PubsubMessage {
    /// The payload.
    pub data: Bytes,
    /// What Pub/Sub says of it.
    pub info: MessageInfo,
}

/// `messageId` and `message_id` are both sent, and say the same.
#[derive(Deserialize)]
struct Envelope {
    message: Wrapped,
    #[serde(default)]
    subscription: Option<String>,
    #[serde(rename = "deliveryAttempt", default)]
    delivery_attempt: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wrapped {
    #[serde(default)]
    data: Option<String>,
    #[serde(default)]
    attributes: Option<BTreeMap<String, String>>,
    #[serde(default)]
    message_id: Option<String>,
    #[serde(rename = "message_id", default)]
    id_again: Option<String>,
    #[serde(default)]
    ordering_key: Option<String>,
    #[serde(default)]
    publish_time: Option<Timestamp>,
    #[serde(rename = "publish_time", default)]
    time_again: Option<Timestamp>,
}

impl PubsubMessage {
    /// Makes a message of bytes or text.
    pub fn new(data: impl Into<Bytes>) -> Self {
        Self { data: data.into(), info: MessageInfo::default() }
    }

    /// Makes a message of JSON.
    ///
    /// # Errors
    ///
    /// Fails when `value` cannot be written as JSON.
    pub fn json(value: &impl Serialize) -> Result<Self> {
        let data = serde_json::to_vec(value).map_err(|error| not_a("JSON", &error))?;
        Ok(Self::new(data))
    }

    /// Adds an attribute.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.info.attributes.insert(name.into(), value.into());
        self
    }

    /// Sets the ordering key.
    #[must_use]
    pub fn ordering_key(mut self, key: impl Into<String>) -> Self {
        self.info.ordering_key = key.into();
        self
    }

    /// Sets the id.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.info.id = id.into();
        self
    }

    /// Sets when it was published.
    #[must_use]
    pub fn publish_time(mut self, time: Timestamp) -> Self {
        self.info.publish_time = Some(time);
        self
    }

    /// Sets the subscription that delivers it.
    #[must_use]
    pub fn subscription(mut self, name: SubscriptionName) -> Self {
        self.info.subscription = Some(name);
        self
    }

    /// Sets which delivery it is, from 1.
    #[must_use]
    pub fn delivery_attempt(mut self, number: u32) -> Self {
        self.info.delivery_attempt = Some(number);
        self
    }

    /// Reads the payload as JSON.
    ///
    /// # Errors
    ///
    /// Fails when it is something else.
    pub fn decoded<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.data).map_err(|error| not_a("JSON of this type", &error))
    }

    /// Writes the body of a push, as Pub/Sub does.
    pub fn envelope(&self) -> Bytes {
        self.to_value().to_string().into()
    }

    /// Reads the body of a push.
    ///
    /// # Errors
    ///
    /// Fails when it is none.
    pub fn decode(body: &[u8]) -> Result<Self> {
        Self::read(body).map_err(|why| not_a("push of Pub/Sub", &why))
    }

    /// Reads the body of a push; says why where it is none.
    pub(crate) fn read(body: &[u8]) -> Result<Self, String> {
        let envelope: Envelope = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        Self::of(envelope)
    }

    fn of(Envelope { message, subscription, delivery_attempt }: Envelope) -> Result<Self, String> {
        let data = decode_base64(message.data.as_deref().unwrap_or_default())?;
        let subscription = subscription.map(|name| name.parse::<SubscriptionName>()).transpose();
        let info = MessageInfo {
            id: message.message_id.or(message.id_again).unwrap_or_default(),
            subscription: subscription.map_err(|error| error.to_string())?,
            attributes: message.attributes.unwrap_or_default(),
            ordering_key: message.ordering_key.unwrap_or_default(),
            publish_time: message.publish_time.or(message.time_again),
            delivery_attempt,
        };
        Ok(Self { data: data.into(), info })
    }

    fn to_value(&self) -> Value {
        let info = &self.info;
        let mut message =
            json!({ "attributes": info.attributes, "data": STANDARD.encode(&self.data), "messageId": info.id, "message_id": info.id });
        if !info.ordering_key.is_empty() {
            message["orderingKey"] = info.ordering_key.clone().into();
        }
        if let Some(time) = info.publish_time {
            message["publishTime"] = time.to_string().into();
            message["publish_time"] = time.to_string().into();
        }
        let mut envelope = json!({ "message": message });
        if let Some(attempt) = info.delivery_attempt {
            envelope["deliveryAttempt"] = attempt.into();
        }
        if let Some(name) = &info.subscription {
            envelope["subscription"] = name.to_string().into();
        }
        envelope
    }
}

/// Reads either alphabet, as Google's JSON does.
fn decode_base64(text: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).or_else(|error| URL_SAFE.decode(text).map_err(|_| format!("the data is no base64: {error}")))
}

impl<'de> Deserialize<'de> for PubsubMessage {
    /// Reads the envelope of a push, which is also what Eventarc has as the data of its events.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of(Envelope::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl EventBody for PubsubMessage {
    /// Reads a push; also one that comes as an event of Eventarc.
    fn read(body: Bytes, info: &EventInfo) -> Result<Self> {
        if super::cloud_event::is_structured(info) {
            return super::CloudEvent::<Self>::read(body, info).map(|event| event.data);
        }
        Self::decode(&body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pubsub_sends_is_read() {
        let body =
            br#"{"deliveryAttempt":5,"message":{"attributes":{"a":"b"},"data":"aGk=","messageId":"1","message_id":"1","orderingKey":"k",
            "publishTime":"2026-01-01T00:00:00Z","publish_time":"2026-01-01T00:00:00Z"},"subscription":"projects/p/subscriptions/sub"}"#;
        let PubsubMessage { data, info } = PubsubMessage::decode(body).unwrap();
        assert_eq!((data.as_ref(), info.id.as_str(), info.ordering_key.as_str(), info.delivery_attempt), (&b"hi"[..], "1", "k", Some(5)));
        assert_eq!(info.attributes["a"], "b");
        assert_eq!(info.subscription.unwrap().id(), "sub");
    }

    #[test]
    fn what_is_no_push_is_refused() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"message":1}"#,
            r#"{"message":{"data":"%%%"}}"#,
            r#"{"message":{"data":"aGk"}}"#,
            r#"{"message":{"attributes":{"a":1}}}"#,
            r#"{"message":{},"subscription":"s"}"#,
        ] {
            assert!(PubsubMessage::decode(body.as_bytes()).unwrap_err().is_invalid_input(), "{body}");
        }
        assert!(PubsubMessage::decode(br#"{"message":{"attributes":null}}"#).is_ok(), "what is empty may be left out");
    }
}
