//! A task as a document that can be edited: when it is due, URL, method, headers, body. Pure.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::TaskChange;
use crate::error::{Error, Result};
use crate::model::task::Task;

/// When it is due.
const TIME: &str = "scheduleTime";
const URL: &str = "url";
const METHOD: &str = "method";
const HEADERS: &str = "headers";
/// The body, where it is JSON.
const BODY: &str = "body";
/// The body, where it is text and not JSON.
const TEXT: &str = "bodyText";
/// The body, where it is neither.
const BYTES: &str = "bodyBase64";

/// Writes a task, of which all is known, as the document that is edited.
pub fn task_document(task: &Task) -> Value {
    let request = &task.request;
    let mut map = Map::new();
    map.insert(TIME.to_owned(), task.schedule_time.map_or(Value::Null, |time| time.to_string().into()));
    map.insert(METHOD.to_owned(), request.method.as_str().into());
    map.insert(URL.to_owned(), request.url.as_str().into());
    map.insert(HEADERS.to_owned(), request.headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect());
    match (serde_json::from_slice::<Value>(&request.body), std::str::from_utf8(&request.body)) {
        (Ok(value), _) => map.insert(BODY.to_owned(), value),
        (Err(_), Ok(text)) => map.insert(TEXT.to_owned(), text.into()),
        (Err(_), Err(_)) => map.insert(BYTES.to_owned(), BASE64.encode(&request.body).into()),
    };
    Value::Object(map)
}

/// Tells what is different about an edited document; what was left alone stays as it is. `None` where all was.
///
/// # Errors
///
/// Fails with an invalid-input error that says what of the document is none of a task.
pub fn task_change(before: &Value, after: &Value) -> Result<Option<TaskChange>> {
    let Value::Object(map) = after else { return Err(Error::invalid("the document is no JSON object")) };
    if let Some(other) = map.keys().find(|key| ![TIME, URL, METHOD, HEADERS, BODY, TEXT, BYTES].contains(&key.as_str())) {
        return Err(Error::invalid(format!("`{}` is no part of a task", other.escape_debug()))
            .with_hint("known are `scheduleTime`, `url`, `method`, `headers` and `body`, `bodyText` or `bodyBase64`"));
    }
    let changed = |name: &str| map.get(name).filter(|value| before.get(name) != Some(value));
    let mut change = TaskChange {
        at: changed(TIME).map(time).transpose()?,
        url: changed(URL).map(|value| string(URL, value)).transpose()?,
        method: changed(METHOD).map(|value| string(METHOD, value)).transpose()?,
        ..TaskChange::default()
    };
    if let Some(headers) = changed(HEADERS) {
        change.headers = header_changes(&before[HEADERS], headers)?;
    }
    let mut bodies = [BODY, TEXT, BYTES].into_iter().filter_map(|name| Some((name, map.get(name)?)));
    match (bodies.next(), bodies.next()) {
        (_, Some(_)) => return Err(Error::invalid("there are two bodies: leave one of `body`, `bodyText` and `bodyBase64`")),
        (Some((name, value)), None) if before.get(name) != Some(value) => change.body = Some(body(name, value)?),
        (Some(_), None) => {}
        (None, None) => change.body = Some(Vec::new()),
    }
    Ok((change != TaskChange::default()).then_some(change))
}

fn time(value: &Value) -> Result<Timestamp> {
    if value.is_null() {
        return Ok(Timestamp::UNIX_EPOCH);
    }
    let text = string(TIME, value)?;
    text.parse().map_err(|_| Error::invalid(format!("`{TIME}` is no time such as `2026-12-01T08:00:00Z`, nor null for at once")))
}

/// What is set to something else, and, as empty, what is taken off.
fn header_changes(before: &Value, after: &Value) -> Result<BTreeMap<String, String>> {
    let Value::Object(after) = after else { return Err(Error::invalid("`headers` is no JSON object")) };
    let mut changes = BTreeMap::new();
    for (name, value) in after.iter().filter(|(name, value)| before.get(name.as_str()) != Some(value)) {
        changes.insert(name.clone(), string(HEADERS, value)?);
    }
    let gone = before.as_object().into_iter().flat_map(Map::keys).filter(|name| !after.contains_key(name.as_str()));
    changes.extend(gone.map(|name| (name.clone(), String::new())));
    Ok(changes)
}

fn body(name: &str, value: &Value) -> Result<Vec<u8>> {
    match name {
        BODY => serde_json::to_vec(value).map_err(|error| Error::invalid(error.to_string())),
        TEXT => Ok(string(TEXT, value)?.into_bytes()),
        _ => BASE64.decode(string(BYTES, value)?).map_err(|error| Error::invalid(format!("`{BYTES}` is no base64: {error}"))),
    }
}

fn string(name: &str, value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).ok_or_else(|| Error::invalid(format!("`{name}` holds `{value}`, which is no string")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(body: &str) -> Value {
        let raw = json!({
            "name": "projects/p/locations/l/queues/q/tasks/t",
            "scheduleTime": "2026-12-01T08:00:00Z",
            "httpRequest": { "url": "https://shop/x", "httpMethod": "POST", "headers": { "A": "1", "B": "2" }, "body": BASE64.encode(body) },
            "view": "FULL",
        });
        task_document(&crate::cloud::task_of(raw).unwrap())
    }

    #[test]
    fn only_what_was_changed_is_a_change() {
        let before = document(r#"{"n":1}"#);
        assert_eq!(task_change(&before, &before).unwrap(), None);
        let mut after = before.clone();
        after[TIME] = Value::Null;
        after[HEADERS] = json!({ "A": "1", "C": "3" });
        after[BODY]["n"] = json!(2);
        let change = task_change(&before, &after).unwrap().unwrap();
        let headers = BTreeMap::from([("B".to_owned(), String::new()), ("C".to_owned(), "3".to_owned())]);
        let body = Some(br#"{"n":2}"#.to_vec());
        assert_eq!(change, TaskChange { at: Some(Timestamp::UNIX_EPOCH), headers, body, ..TaskChange::default() });
        let mut text = document("plain");
        assert_eq!(text[TEXT], "plain");
        text.as_object_mut().unwrap().remove(TEXT);
        assert_eq!(task_change(&document("plain"), &text).unwrap().unwrap().body, Some(Vec::new()));
    }

    #[test]
    fn what_is_no_task_is_refused() {
        let before = document("{}");
        for (pointer, value, words) in [
            ("/scheduleTime", json!("soon"), "is no time"),
            ("/url", json!(7), "`url` holds `7`"),
            ("/headers", json!([]), "no JSON object"),
            ("/headers/A", json!(1), "no string"),
        ] {
            let mut after = before.clone();
            *after.pointer_mut(pointer).unwrap() = value;
            let error = task_change(&before, &after).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        for (name, words) in [("bodyText", "two bodies"), ("name", "no part of a task")] {
            let mut after = before.clone();
            after[name] = json!("x");
            let error = task_change(&before, &after).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        assert!(task_change(&before, &json!([])).is_err());
    }
}
