//! `CloudEvents` 1.0 over HTTP, which is what Eventarc sends: attributes in headers (binary mode), or all in one JSON (structured mode).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::runtime::EventInfo;
use crate::runtime::events::handler::not_a;
use crate::runtime::events::{EventBody, percent_encoded};

/// The media type of the structured mode; batches are another.
const STRUCTURED: &str = "application/cloudevents+json";
const VERSION: &str = "1.0";

/// An event with its data.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CloudEvent<T> {
    /// Its id: with the source, the same for the same event.
    pub id: String,
    /// Where it happened, such as `//storage.googleapis.com/projects/_/buckets/pictures`.
    pub source: String,
    /// What happened, such as `google.cloud.storage.object.v1.finalized`.
    pub kind: String,
    /// What it happened to, such as `objects/cat.png`.
    pub subject: Option<String>,
    /// When it happened.
    pub time: Option<Timestamp>,
    /// All other attributes.
    pub attributes: BTreeMap<String, String>,
    /// What is said about it.
    pub data: T,
}

/// Makes a `CloudEvent` for tests and for endpoints of others.
///
/// ```
/// use redrive::runtime::EventInfo;
/// use redrive::runtime::events::{CloudEvent, CloudEventBuilder, EventBody};
///
/// let made = CloudEventBuilder::new("1", "//shop", "order.placed").subject("orders/7").data(&serde_json::json!({"total": 3}))?;
/// let (headers, body) = made.binary();
/// assert!(headers.contains(&("ce-type".to_owned(), "order.placed".to_owned())));
/// assert_eq!(body, r#"{"total":3}"#);
/// # Ok::<(), redrive::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct CloudEventBuilder {
    attributes: BTreeMap<String, String>,
    data: Value,
}

impl CloudEventBuilder {
    /// Begins an event: its id, its source and its type.
    pub fn new(id: impl Into<String>, source: impl Into<String>, kind: impl Into<String>) -> Self {
        let attributes = [("id", id.into()), ("source", source.into()), ("type", kind.into()), ("specversion", VERSION.to_owned())];
        Self { attributes: attributes.map(|(name, value)| (name.to_owned(), value)).into(), data: Value::Null }
    }

    /// Sets what it happened to.
    #[must_use]
    pub fn subject(self, subject: impl Into<String>) -> Self {
        self.attribute("subject", subject)
    }

    /// Sets when it happened.
    #[must_use]
    pub fn time(self, time: Timestamp) -> Self {
        self.attribute("time", time.to_string())
    }

    /// Sets any other attribute; names are lower-case letters and digits.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// Sets the data.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be written as JSON.
    pub fn data(mut self, data: &impl Serialize) -> Result<Self> {
        self.data = serde_json::to_value(data).map_err(|error| not_a("JSON", &error))?;
        Ok(self)
    }

    /// Writes it in binary mode: headers, and the data as the body.
    pub fn binary(&self) -> (Vec<(String, String)>, Bytes) {
        let plain = |value: &str| value.bytes().all(|byte| (0x21..0x7f).contains(&byte) && byte != b'%' && byte != b'"');
        let written = |value: &str| if plain(value) { value.to_owned() } else { percent_encoded(value) };
        let attributes = self.attributes.iter().map(|(name, value)| (format!("ce-{name}"), written(value)));
        let headers = attributes.chain([("content-type".to_owned(), "application/json".to_owned())]).collect();
        (headers, self.data.to_string().into())
    }

    /// Writes it in structured mode: the headers, and all in the body.
    pub fn structured(&self) -> (Vec<(String, String)>, Bytes) {
        let mut all: Map<String, Value> = self.attributes.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        all.insert("datacontenttype".to_owned(), "application/json".into());
        all.insert("data".to_owned(), self.data.clone());
        (vec![("content-type".to_owned(), STRUCTURED.to_owned())], Value::Object(all).to_string().into())
    }
}

/// Tells whether a request is a `CloudEvent`, of either mode.
pub(super) fn is_structured(info: &EventInfo) -> bool {
    info.cloud_event.contains_key("specversion") || has_media_type(info, STRUCTURED)
}

fn has_media_type(info: &EventInfo, wanted: &str) -> bool {
    let media_type = info.content_type.as_deref().unwrap_or_default();
    media_type.split(';').next().is_some_and(|found| found.trim().eq_ignore_ascii_case(wanted))
}

impl<T: DeserializeOwned + Send + 'static> EventBody for CloudEvent<T> {
    fn read(body: Bytes, info: &EventInfo) -> Result<Self> {
        if has_media_type(info, STRUCTURED) {
            return structured(&body);
        }
        // What has nothing to say has no body at all.
        let body = if body.is_empty() { b"null" } else { body.as_ref() };
        let data = serde_json::from_slice(body).map_err(|error| not_a("data of this type", &error))?;
        made_of(info.cloud_event.clone(), data)
    }
}

fn structured<T: DeserializeOwned>(body: &[u8]) -> Result<CloudEvent<T>> {
    let mut all: Map<String, Value> = serde_json::from_slice(body).map_err(|error| not_a("CloudEvent", &error))?;
    let data = match (all.remove("data"), all.remove("data_base64")) {
        (Some(data), _) => serde_json::from_value(data),
        (None, Some(Value::String(text))) => {
            let bytes = STANDARD.decode(text).map_err(|error| not_a("base64", &error))?;
            serde_json::from_slice(&bytes)
        }
        (None, _) => serde_json::from_value(Value::Null),
    };
    let attributes = all.into_iter().map(|(name, value)| match value {
        Value::String(text) => (name, text),
        other => (name, other.to_string()),
    });
    made_of(attributes.collect(), data.map_err(|error| not_a("data of this type", &error))?)
}

fn made_of<T>(mut attributes: BTreeMap<String, String>, data: T) -> Result<CloudEvent<T>> {
    let mut required = |name: &str| {
        let value = attributes.remove(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| Error::invalid(format!("the CloudEvent has no `{name}`")))
    };
    let (id, source, kind, version) = (required("id")?, required("source")?, required("type")?, required("specversion")?);
    if version != VERSION {
        return Err(Error::invalid(format!("the CloudEvent is of version `{}`, and this reads `{VERSION}`", version.escape_debug())));
    }
    let time = attributes.remove("time").map(|text| text.parse()).transpose();
    let time = time.map_err(|error| not_a("CloudEvent, for its time", &error))?;
    Ok(CloudEvent { id, source, kind, subject: attributes.remove("subject"), time, attributes, data })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::runtime::events::percent_decoded;

    fn info(headers: &[(String, String)]) -> EventInfo {
        let attribute = |(name, value): &(String, String)| Some((name.strip_prefix("ce-")?.to_owned(), percent_decoded(value)));
        EventInfo {
            cloud_event: headers.iter().filter_map(attribute).collect(),
            content_type: headers.iter().find(|(name, _)| name == "content-type").map(|(_, value)| format!("{value}; charset=utf-8")),
            ..EventInfo::default()
        }
    }

    #[test]
    fn both_modes_say_the_same() {
        let made = CloudEventBuilder::new("1", "//s", "t.v1").subject("ein Bär & 7%").time("2026-01-01T00:00:00Z".parse().unwrap());
        let made = made.attribute("bucket", "b").data(&json!({"n": 1})).unwrap();
        let events = [made.binary(), made.structured()].map(|(headers, body)| CloudEvent::<Value>::read(body, &info(&headers)).unwrap());
        let [binary, mut structured] = events;
        assert_eq!(structured.attributes.remove("datacontenttype").as_deref(), Some("application/json"));
        assert_eq!(binary, structured);
        assert_eq!((binary.subject.as_deref(), binary.attributes["bucket"].as_str()), (Some("ein Bär & 7%"), "b"));
    }

    #[test]
    fn what_is_no_event_is_refused() {
        let read = |body: &Value| {
            let headers = [("content-type".to_owned(), STRUCTURED.to_owned())];
            CloudEvent::<Value>::read(body.to_string().into(), &info(&headers))
        };
        let good = json!({"id": "1", "source": "s", "type": "t", "specversion": "1.0", "data_base64": "eyJuIjoxfQ=="});
        assert_eq!(read(&good).unwrap().data, json!({"n": 1}));
        for (name, value) in [
            ("id", Value::Null),
            ("id", "".into()),
            ("source", Value::Null),
            ("specversion", "0.3".into()),
            ("time", "yesterday".into()),
            ("data_base64", "%".into()),
        ] {
            let mut bad = good.clone();
            if value.is_null() {
                bad.as_object_mut().unwrap().remove(name);
            } else {
                bad[name] = value;
            }
            assert!(read(&bad).unwrap_err().is_invalid_input(), "{bad}");
        }
        assert!(CloudEvent::<Value>::read(Bytes::from_static(b"{}"), &EventInfo::default()).is_err(), "no headers");
    }
}
