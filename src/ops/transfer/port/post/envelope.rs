//! The request of a push subscription, wrapped or raw. Pure.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, TE, TRANSFER_ENCODING, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde::Serialize;

use crate::model::message::Message;
use crate::names::SubscriptionName;

/// Headers that attributes of an unwrapped message may not set: they belong to the connection, or may open something.
const OWN_HEADERS: [HeaderName; 7] = [AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, TE, TRANSFER_ENCODING];

/// How a push subscription sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrapper {
    /// JSON around the message.
    Wrapped,
    /// The bare payload; with the rest in headers, where that is asked for.
    Raw { metadata: bool },
}

/// Google's JSON around a pushed message; names twice, as Google does.
#[derive(Serialize)]
struct Envelope<'a> {
    #[serde(rename = "deliveryAttempt", skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    message: Wrapped<'a>,
    subscription: &'a SubscriptionName,
}

#[derive(Serialize)]
struct Wrapped<'a> {
    attributes: &'a BTreeMap<String, String>,
    data: String,
    #[serde(rename = "messageId")]
    id: &'a str,
    #[serde(rename = "message_id")]
    id_again: &'a str,
    #[serde(rename = "orderingKey", skip_serializing_if = "str::is_empty")]
    ordering_key: &'a str,
    #[serde(rename = "publishTime", skip_serializing_if = "Option::is_none")]
    time: Option<Timestamp>,
    #[serde(rename = "publish_time", skip_serializing_if = "Option::is_none")]
    time_again: Option<Timestamp>,
}

/// Makes headers and body.
pub(super) fn request(message: &Message, subscription: &SubscriptionName, wrapper: Wrapper) -> (HeaderMap, Bytes) {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static("CloudPubSub-Google"));
    match wrapper {
        Wrapper::Wrapped => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            (headers, wrapped(message, subscription))
        }
        Wrapper::Raw { metadata } => {
            if metadata {
                add_metadata(&mut headers, message, subscription);
            }
            (headers, message.data.clone())
        }
    }
}

fn wrapped(message: &Message, subscription: &SubscriptionName) -> Bytes {
    let envelope = Envelope {
        attempt: message.delivery_attempt,
        message: Wrapped {
            attributes: &message.attributes,
            data: BASE64.encode(&message.data),
            id: &message.id,
            id_again: &message.id,
            ordering_key: &message.ordering_key,
            time: message.publish_time,
            time_again: message.publish_time,
        },
        subscription,
    };
    serde_json::to_vec(&envelope).expect("strings, numbers and a map with text keys always serialize").into()
}

/// Adds what the envelope would say; what is no header is left out, as Google does.
fn add_metadata(headers: &mut HeaderMap, message: &Message, subscription: &SubscriptionName) {
    let time = message.publish_time.map(|time| time.to_string()).unwrap_or_default();
    let own = [
        ("x-goog-pubsub-subscription-name", subscription.to_string()),
        ("x-goog-pubsub-message-id", message.id.clone()),
        ("x-goog-pubsub-publish-time", time),
        ("x-goog-pubsub-ordering-key", message.ordering_key.clone()),
    ];
    for (name, value) in own {
        if let (false, Ok(value)) = (value.is_empty(), HeaderValue::from_str(&value)) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    for (key, value) in &message.attributes {
        let name = HeaderName::try_from(key.as_str()).ok().filter(|name| !OWN_HEADERS.contains(name));
        let taken = key.to_ascii_lowercase().starts_with("x-goog-pubsub-");
        if let (Some(name), Ok(value), false) = (name, HeaderValue::from_str(value), taken) {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message {
            id: "77".into(),
            data: vec![0, 255].into(),
            attributes: [("kind", "order"), ("Authorization", "Bearer x"), ("x-goog-pubsub-message-id", "1"), ("ü", "v"), ("n", "a\nb")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            ordering_key: "k".into(),
            publish_time: Some("2026-01-01T00:00:00Z".parse().unwrap()),
            delivery_attempt: Some(6),
        }
    }

    #[test]
    fn wrapped_as_google_wraps() {
        let subscription = "projects/shop/subscriptions/billing".parse().unwrap();
        let (headers, body) = request(&message(), &subscription, Wrapper::Wrapped);
        assert_eq!(headers[CONTENT_TYPE], "application/json");
        assert!(headers.get(AUTHORIZATION).is_none());
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let expected = serde_json::json!({
            "deliveryAttempt": 6,
            "message": {
                "attributes": message().attributes, "data": "AP8=", "messageId": "77", "message_id": "77", "orderingKey": "k",
                "publishTime": "2026-01-01T00:00:00Z", "publish_time": "2026-01-01T00:00:00Z",
            },
            "subscription": "projects/shop/subscriptions/billing",
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn raw_with_what_may_be_a_header() {
        let subscription = "projects/shop/subscriptions/billing".parse().unwrap();
        let (headers, body) = request(&message(), &subscription, Wrapper::Raw { metadata: true });
        assert_eq!(&body[..], [0, 255]);
        let told: Vec<_> = headers.iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap())).collect();
        let expected = [
            "user-agent=CloudPubSub-Google",
            "x-goog-pubsub-subscription-name=projects/shop/subscriptions/billing",
            "x-goog-pubsub-message-id=77",
            "x-goog-pubsub-publish-time=2026-01-01T00:00:00Z",
            "x-goog-pubsub-ordering-key=k",
            "kind=order",
        ];
        assert_eq!(told.iter().collect::<std::collections::BTreeSet<_>>(), expected.map(str::to_owned).iter().collect());
        let (headers, _) = request(&message(), &subscription, Wrapper::Raw { metadata: false });
        assert_eq!(headers.len(), 1);
    }
}
