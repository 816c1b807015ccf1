//! What the body of a request says, as JSON: most bodies are JSON, and some are what a message carries, as it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use prost_reflect::{FieldDescriptor, Kind};
use serde_json::{Value as Json, json};

use super::Failure;
use super::json::field_of;
use super::routes::BodyRule;

/// Reads a body as the rule has it; an empty one is `None`.
pub(super) fn parse(rule: &BodyRule, headers: &HeaderMap, bytes: &[u8]) -> Result<Option<Json>, Failure> {
    if bytes.is_empty() {
        return Ok(None);
    }
    if let BodyRule::Payload(field) = rule {
        return Ok(Some(message(field, headers, bytes)));
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    serde_json::from_slice(bytes).map(Some).map_err(|error| Failure::invalid(format!("Invalid JSON payload received. {error}")))
}

/// The message with the payload in `field`: as the body has it, or made of the body, whatever that is.
fn message(field: &FieldDescriptor, headers: &HeaderMap, bytes: &[u8]) -> Json {
    if let Ok(json) = serde_json::from_slice(bytes)
        && is_message(field, &json)
    {
        return json;
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    json!({(field.name()): {"contentType": kind, "data": STANDARD.encode(bytes)}})
}

/// Tells whether it has `field` and no other, and in it nothing but what a payload is made of; or nothing at all, as gcloud says that there is none.
fn is_message(field: &FieldDescriptor, json: &Json) -> bool {
    let (Kind::Message(desc), Some(members)) = (field.kind(), json.as_object()) else { return false };
    let is_payload = |json: &Json| json.as_object().is_some_and(|payload| payload.keys().all(|name| field_of(&desc, name).is_some()));
    members.len() <= 1 && members.iter().all(|(name, payload)| name == field.name() && is_payload(payload))
}
