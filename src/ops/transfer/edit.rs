//! Messages as documents that can be edited and patched: payload as JSON, text or base64, attributes, ordering key. Pure.
//!
//! A payload that an edit leaves alone keeps its very bytes. One that it changes is written anew as JSON; where that would alter a number that was
//! not meant, the edit is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use json_patch::Patch;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::model::message::{DEAD_LETTER_PREFIX, Message};

/// The payload, where it is JSON.
const PAYLOAD: &str = "payload";
/// The payload, where it is text and not JSON.
const TEXT: &str = "payloadText";
/// The payload, where it is neither.
const BYTES: &str = "payloadBase64";
/// The attributes, without those that tell of the dead letter's way.
const ATTRIBUTES: &str = "attributes";
/// The ordering key; left out is none.
const KEY: &str = "orderingKey";
/// A number of JSON keeps so many significant digits when it is read and written.
const DIGITS_MAX: usize = 15;

/// Writes a message as the document that is edited.
///
/// ```
/// use redrive::model::message::Message;
/// use redrive::ops::transfer::document;
///
/// let message = Message {
///     id: "1".into(),
///     data: r#"{"order":8812}"#.into(),
///     attributes: [("kind".to_owned(), "order".to_owned())].into(),
///     ordering_key: String::new(),
///     publish_time: None,
///     delivery_attempt: None,
/// };
/// assert_eq!(document(&message), serde_json::json!({"payload": {"order": 8812}, "attributes": {"kind": "order"}}));
/// ```
pub fn document(message: &Message) -> Value {
    let mut map = Map::new();
    match (serde_json::from_slice::<Value>(&message.data), std::str::from_utf8(&message.data)) {
        (Ok(value), _) => map.insert(PAYLOAD.to_owned(), value),
        (Err(_), Ok(text)) => map.insert(TEXT.to_owned(), text.into()),
        (Err(_), Err(_)) => map.insert(BYTES.to_owned(), BASE64.encode(&message.data).into()),
    };
    let own = message.attributes.iter().filter(|(key, _)| !key.starts_with(DEAD_LETTER_PREFIX));
    let own: Map<String, Value> = own.map(|(key, value)| (key.clone(), value.as_str().into())).collect();
    map.insert(ATTRIBUTES.to_owned(), Value::Object(own));
    if !message.ordering_key.is_empty() {
        map.insert(KEY.to_owned(), message.ordering_key.as_str().into());
    }
    Value::Object(map)
}

/// Tells what turns one document into another, as a patch that may be applied to more of them.
pub fn difference(before: &Value, after: &Value) -> Patch {
    json_patch::diff(before, after)
}

/// Reads a patch as a file holds it.
pub fn read_patch(text: &str) -> Result<Patch> {
    serde_json::from_str(text).map_err(|error| {
        Error::invalid(format!("this is no JSON patch: {error}"))
            .with_hint("write it as RFC 6902 has it: `[{\"op\": \"replace\", \"path\": \"/payload/customer/vat_id\", \"value\": \"DE1\"}]`")
    })
}

/// Changes a message as a patch says. Identity, times and the attributes of the dead letter stay.
///
/// # Errors
///
/// Fails with an invalid-input error where the patch does not fit the message, or what comes out is none.
pub fn edited(message: &Message, patch: &Patch) -> Result<Message> {
    let before = document(message);
    let mut after = before.clone();
    json_patch::patch(&mut after, patch).map_err(|error| Error::invalid(format!("the patch does not fit it: {error}")))?;
    replaced(message, &before, &after)
}

/// Makes a message of an edited document.
///
/// # Errors
///
/// Fails with an invalid-input error that says what of the document is none of a message.
pub fn replaced(message: &Message, before: &Value, after: &Value) -> Result<Message> {
    let Value::Object(map) = after else { return Err(Error::invalid("the document is no JSON object")) };
    if let Some(other) = map.keys().find(|key| ![PAYLOAD, TEXT, BYTES, ATTRIBUTES, KEY].contains(&key.as_str())) {
        return Err(Error::invalid(format!("`{}` is no part of a message", other.escape_debug()))
            .with_hint("known are `payload`, `payloadText` or `payloadBase64`, `attributes` and `orderingKey`"));
    }
    let data = payload(message, before, map)?;
    let mut attributes = match map.get(ATTRIBUTES) {
        None => std::collections::BTreeMap::new(),
        Some(Value::Object(attributes)) => {
            attributes.iter().map(|(key, value)| Ok((key.clone(), string(ATTRIBUTES, value)?))).collect::<Result<_>>()?
        }
        Some(_) => return Err(Error::invalid("`attributes` is no JSON object")),
    };
    let way = message.attributes.iter().filter(|(key, _)| key.starts_with(DEAD_LETTER_PREFIX));
    attributes.extend(way.map(|(key, value)| (key.clone(), value.clone())));
    let ordering_key = map.get(KEY).map(|key| string(KEY, key)).transpose()?.unwrap_or_default();
    Ok(Message { data, attributes, ordering_key, ..message.clone() })
}

fn payload(message: &Message, before: &Value, map: &Map<String, Value>) -> Result<bytes::Bytes> {
    let mut given = [PAYLOAD, TEXT, BYTES].into_iter().filter_map(|name| Some((name, map.get(name)?)));
    let Some((name, value)) = given.next() else { return Ok(bytes::Bytes::new()) };
    if given.next().is_some() {
        return Err(Error::invalid("there are two payloads: leave one of `payload`, `payloadText` and `payloadBase64`"));
    }
    if before.get(name) == Some(value) {
        return Ok(message.data.clone());
    }
    match name {
        PAYLOAD => {
            if let Some(number) = before.get(PAYLOAD).and_then(|_| unwritable(&message.data)) {
                return Err(Error::invalid(format!("its number `{number}` has more digits than an edit keeps")));
            }
            Ok(serde_json::to_vec(value).map_err(|error| Error::invalid(error.to_string()))?.into())
        }
        TEXT => Ok(string(TEXT, value)?.into()),
        _ => {
            BASE64.decode(string(BYTES, value)?).map(Into::into).map_err(|error| Error::invalid(format!("`{BYTES}` is no base64: {error}")))
        }
    }
}

fn string(name: &str, value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).ok_or_else(|| Error::invalid(format!("`{name}` holds `{value}`, which is no string")))
}

/// Finds a number in JSON that would not be the same when it is read and written.
fn unwritable(json: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(json).ok()?;
    let (mut in_string, mut escaped, mut begin) = (false, false, None);
    // A number at the very end is ended by what is put behind.
    for (at, byte) in text.bytes().chain([b' ']).enumerate() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        let digit = byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
        match begin {
            None if byte == b'-' || byte.is_ascii_digit() => begin = Some(at),
            Some(from) if !digit => {
                begin = None;
                if !is_writable(&text[from..at]) {
                    return Some(&text[from..at]);
                }
            }
            _ => {}
        }
        in_string = byte == b'"';
    }
    None
}

fn is_writable(number: &str) -> bool {
    if number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok() {
        return true;
    }
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_start_matches('0').trim_end_matches('0').len() <= DIGITS_MAX
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(data: &[u8]) -> Message {
        Message {
            id: "7".into(),
            data: data.to_vec().into(),
            attributes: [("kind", "order"), ("CloudPubSubDeadLetterSourceSubscription", "billing")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            ordering_key: "ada".into(),
            publish_time: None,
            delivery_attempt: None,
        }
    }

    fn patch(value: Value) -> Patch {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_patch_changes_what_it_names_and_nothing_else() {
        let before = message(br#"{"b": 1.50, "a": {"vat": null}}"#);
        let after = edited(&before, &patch(json!([{"op": "replace", "path": "/payload/a/vat", "value": "DE1"}]))).unwrap();
        assert_eq!(after.data, br#"{"b":1.5,"a":{"vat":"DE1"}}"#.as_slice());
        assert_eq!((&after.attributes, &after.ordering_key, &after.id), (&before.attributes, &before.ordering_key, &before.id));
        // The payload's bytes stay where only an attribute is changed, white space and all.
        let after = edited(&before, &patch(json!([{"op": "add", "path": "/attributes/fixed", "value": "yes"}]))).unwrap();
        assert_eq!((after.data, after.attributes["fixed"].as_str()), (before.data.clone(), "yes"));
        assert!(after.attributes.contains_key("CloudPubSubDeadLetterSourceSubscription"));
        let error = edited(&before, &patch(json!([{"op": "test", "path": "/payload/b", "value": 2}]))).unwrap_err();
        assert!(error.to_string().starts_with("the patch does not fit it"), "{error}");
    }

    #[test]
    fn text_and_bytes_come_back_as_they_were() {
        for data in [&b"plain \xe6\xbc\xa2"[..], b"\x00\xff", b"", b"\"json\"", b"{}"] {
            let before = message(data);
            let there = document(&before);
            assert_eq!(replaced(&before, &there, &there).unwrap(), before);
            let difference = difference(&there, &there);
            assert_eq!(edited(&before, &difference).unwrap(), before);
        }
        let before = message(b"\x00\xff");
        let bytes = edited(&before, &patch(json!([{"op": "replace", "path": "/payloadBase64", "value": "AAE="}]))).unwrap();
        assert_eq!(bytes.data, b"\x00\x01".as_slice());
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let before = message(b"{}");
        for (after, words) in [
            (json!([]), "no JSON object"),
            (json!({"payload": 1, "payloadText": "x"}), "two payloads"),
            (json!({"payload": 1, "attributes": {"a": 1}}), "no string"),
            (json!({"payload": 1, "attributes": 1}), "`attributes` is no JSON object"),
            (json!({"payloadBase64": "?"}), "no base64"),
            (json!({"id": "8"}), "`id` is no part of a message"),
        ] {
            let error = replaced(&before, &document(&before), &after).unwrap_err().to_string();
            assert!(error.contains(words), "{words}: {error}");
        }
    }

    #[test]
    fn numbers_that_an_edit_would_alter_are_found() {
        let found = |json: &str| unwritable(json.as_bytes()).map(str::to_owned);
        assert_eq!(found(r#"{"a": 12345678901234567890123, "b": "99999999999999999999999"}"#).as_deref(), Some("12345678901234567890123"));
        assert_eq!(found("0.12345678901234567890").as_deref(), Some("0.12345678901234567890"));
        assert_eq!(found(r#"["\"99999999999999999999999", -9007199254740993, 18446744073709551615, 1.5e300, 0.1]"#), None);
        let before = message(br#"{"id": 12345678901234567890123, "a": 1}"#);
        let error = edited(&before, &patch(json!([{"op": "replace", "path": "/payload/a", "value": 2}]))).unwrap_err();
        assert!(error.to_string().contains("more digits than an edit keeps"), "{error}");
    }
}
