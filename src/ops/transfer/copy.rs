//! The line of a file of copies: a message or task with everything needed to put it back. Pure.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Source;
use super::cargo::Cargo;
use crate::cloud;
use crate::error::{Error, Result};
use crate::model::message::Message;

/// A message as it is written; names are Google's own.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageLine<'a> {
    subscription: Option<String>,
    message_id: &'a str,
    publish_time: Option<Timestamp>,
    ordering_key: &'a str,
    attributes: &'a BTreeMap<String, String>,
    data: String,
    delivery_attempt: Option<u32>,
}

/// A task as it is written: Google's own JSON of it.
#[derive(Serialize)]
struct TaskLine<'a> {
    task: &'a Value,
}

/// A line as it is read; of a message only the payload and the like are needed, so that lines made by other tools do.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnyLine {
    task: Option<Value>,
    message_id: Option<String>,
    publish_time: Option<Timestamp>,
    #[serde(default)]
    ordering_key: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    data: Option<String>,
    delivery_attempt: Option<u32>,
}

/// Writes a line with its end.
pub(super) fn write(out: &mut Vec<u8>, cargo: &Cargo, source: &Source) -> serde_json::Result<()> {
    match cargo {
        Cargo::Message(message) => {
            let line = MessageLine {
                subscription: source.subscription().map(ToString::to_string),
                message_id: &message.id,
                publish_time: message.publish_time,
                ordering_key: &message.ordering_key,
                attributes: &message.attributes,
                data: BASE64.encode(&message.data),
                delivery_attempt: message.delivery_attempt,
            };
            serde_json::to_writer(&mut *out, &line)?;
        }
        Cargo::Task(task) => serde_json::to_writer(&mut *out, &TaskLine { task: &task.raw })?,
    }
    out.push(b'\n');
    Ok(())
}

/// Reads a line; `number` counts from 1 and stands for the id of a message that has none.
pub(super) fn read(line: &[u8], number: u64) -> Result<Cargo> {
    let unreadable = |why: String| Error::invalid(format!("line {number} holds no message or task: {why}"));
    let line: AnyLine = serde_json::from_slice(line).map_err(|error| unreadable(error.to_string()))?;
    if let Some(task) = line.task {
        return Ok(Cargo::Task(Box::new(cloud::task_of(task)?)));
    }
    let data = line.data.ok_or_else(|| unreadable("neither `task` nor `data` is there".to_owned()))?;
    let data = BASE64.decode(data).map_err(|error| unreadable(format!("`data` is not base64: {error}")))?;
    Ok(Cargo::Message(Message {
        id: line.message_id.unwrap_or_else(|| format!("line-{number}")),
        data: data.into(),
        attributes: line.attributes,
        ordering_key: line.ordering_key,
        publish_time: line.publish_time,
        delivery_attempt: line.delivery_attempt,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let message = Message {
            id: "7".into(),
            data: vec![0, 255, b'\n', b'"'].into(),
            attributes: BTreeMap::from([("a\u{0}b".to_owned(), "\u{202e}ü".to_owned())]),
            ordering_key: "k".into(),
            publish_time: Some("2026-11-21T06:00:00.123456Z".parse().unwrap()),
            delivery_attempt: Some(5),
        };
        let raw = serde_json::json!({
            "name": "projects/p1/locations/l1/queues/emails/tasks/t1",
            "httpRequest": { "url": "https://shop/x", "httpMethod": "PUT", "headers": { "A": "b" }, "body": "AP8=" },
            "scheduleTime": "2026-11-21T06:00:00.500Z", "dispatchDeadline": "30s", "dispatchCount": 3, "view": "FULL",
        });
        let task = Cargo::Task(Box::new(cloud::task_of(raw).unwrap()));
        let source = "projects/p1/subscriptions/hold".parse().unwrap();
        let mut file = Vec::new();
        for cargo in [Cargo::Message(message.clone()), task.clone()] {
            write(&mut file, &cargo, &source).unwrap();
        }
        let lines: Vec<&[u8]> = file.split(|byte| *byte == b'\n').collect();
        assert_eq!(lines.len(), 3, "a line each, and its end");
        assert_eq!(read(lines[0], 1).unwrap(), Cargo::Message(message));
        let Cargo::Task(read_task) = read(lines[1], 2).unwrap() else { panic!("it is a task") };
        assert_eq!((&*read_task.request.body, read_task.request.method.as_str(), read_task.dispatch_count), (&[0u8, 255][..], "PUT", 3));
        assert_eq!(Cargo::Task(read_task), task);
    }

    #[test]
    fn what_is_no_copy_is_told_by_its_line() {
        for (line, words) in
            [("{}", "neither"), ("x", "expected value"), (r#"{"data":"?"}"#, "not base64"), (r#"{"task":{"name":"x"}}"#, "x")]
        {
            let error = read(line.as_bytes(), 3).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        let Cargo::Message(message) = read(br#"{"data":"e30="}"#, 3).unwrap() else { panic!("it is a message") };
        assert_eq!((message.id.as_str(), &*message.data), ("line-3", &b"{}"[..]));
    }
}
