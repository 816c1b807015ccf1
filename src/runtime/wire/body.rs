//! The bodies of tasks, both ways.

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::error::Error;
use crate::runtime::Compat;
use crate::runtime::propagation::Headers;
use crate::runtime::registry::Malformed;
use crate::runtime::wire::python::dumps;
use crate::runtime::wire::{Layout, arguments};

/// The id of a task in `django-tasks-cloud-tasks` has so many letters and digits.
const TASK_ID_CHARS: usize = 32;

/// A task on its way out.
pub(crate) struct Outgoing<'a> {
    pub(crate) name: &'a str,
    pub(crate) payload: Value,
    pub(crate) queue: &'a str,
    pub(crate) project: &'a str,
    pub(crate) priority: i32,
    pub(crate) takes_context: bool,
    pub(crate) headers: &'a Headers,
    pub(crate) now: Timestamp,
}

/// The request that a task makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

/// A task whose name is in its payload: `django-tasks-cloud-tasks`.
#[derive(Deserialize)]
struct ByPath {
    task_path: String,
    #[serde(default)]
    args: Vec<Value>,
    #[serde(default)]
    kwargs: Map<String, Value>,
    #[serde(default)]
    task_id: String,
}

/// The same over Pub/Sub.
#[derive(Deserialize)]
struct ByName {
    task_name: String,
    #[serde(default)]
    args: Vec<Value>,
    #[serde(default)]
    kwargs: Map<String, Value>,
}

/// A task as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Incoming {
    pub(crate) name: String,
    pub(crate) payload: Bytes,
    /// The sender's own id of it, for the answer.
    pub(crate) id: Option<String>,
}

impl Layout {
    /// Writes a task.
    pub(crate) fn encode(&self, task: Outgoing<'_>) -> Call {
        let path = self.task_path(task.name);
        let mut headers: Vec<(String, String)> = task.headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let body = match self.compat {
            Compat::Native => {
                headers.push(("content-type".to_owned(), "application/json".to_owned()));
                serde_json::to_vec(&task.payload).unwrap_or_default()
            }
            Compat::DjangoGoogleCloudTasks => {
                headers.push(("X-CloudTasks-Projectname".to_owned(), task.project.to_owned()));
                dumps(&Value::Object(arguments_of(task.payload).1))
            }
            Compat::DjangoGcp => dumps(&Value::Object(arguments_of(task.payload).1)),
            Compat::DjangoTasksCloudTasks => {
                headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
                dumps(&by_path(task))
            }
            Compat::SingleEndpoint => dumps(&by_name(task)),
        };
        Call { path, headers, body: body.into() }
    }

    /// Writes the request of a scheduled job: the same each time, so that it differs only where the task does. What is there for each run anew (an id, a
    /// time) is made of the job's name.
    pub(crate) fn encode_job(&self, task: Outgoing<'_>, job: &str) -> Call {
        let mut call = self.encode(task);
        call.headers.retain(|(name, _)| !name.to_ascii_lowercase().starts_with("x-cloudtasks-"));
        if self.compat == Compat::DjangoTasksCloudTasks
            && let Ok(Value::Object(mut fields)) = serde_json::from_slice(&call.body)
        {
            let id: String = job.chars().filter(char::is_ascii_alphanumeric).chain(std::iter::repeat('0')).take(TASK_ID_CHARS).collect();
            fields.insert("task_id".to_owned(), id.into());
            call.body = dumps(&Value::Object(fields)).into();
        }
        call
    }

    /// Returns the payload as its hash is made of it.
    pub(crate) fn canonical(&self, payload: &Value) -> Vec<u8> {
        match self.compat {
            // A map has no order of its own, and a hash must not depend on it.
            Compat::Native => serde_json::to_vec(&sorted(payload)).unwrap_or_default(),
            _ => dumps(&Value::Object(arguments_of(payload.clone()).1)),
        }
    }

    /// Refuses a payload that this format cannot carry: some know named arguments only.
    pub(crate) fn check_payload(&self, task: &str, payload: &Value) -> Result<(), Error> {
        let is_named = matches!(payload, Value::Object(_) | Value::Null);
        match self.compat {
            Compat::DjangoGoogleCloudTasks | Compat::DjangoGcp if !is_named => {
                Err(Error::invalid(format!("task `{task}` has no named fields, and the format of this app knows no other payloads"))
                    .with_hint("make it a struct with named fields"))
            }
            _ => Ok(()),
        }
    }

    /// Reads a task; `name` is what its path says.
    pub(crate) fn decode(&self, name: Option<String>, body: Bytes) -> Result<Incoming, Malformed> {
        match (name, self.compat) {
            (Some(name), _) => Ok(Incoming { name, payload: body, id: None }),
            (None, Compat::SingleEndpoint) => {
                let ByName { task_name, args, kwargs } = serde_json::from_slice(&body)?;
                Ok(Incoming { name: task_name, payload: arguments::payload(args, kwargs)?, id: None })
            }
            (None, _) => {
                let ByPath { task_path, args, kwargs, task_id } = serde_json::from_slice(&body)?;
                Ok(Incoming { name: task_path, payload: arguments::payload(args, kwargs)?, id: Some(task_id) })
            }
        }
    }
}

fn by_path(task: Outgoing<'_>) -> Value {
    let (args, kwargs) = arguments_of(task.payload);
    json!({
        "task_id": Uuid::new_v4().simple().to_string(), "task_path": task.name, "args": args, "kwargs": kwargs, "queue_name": task.queue, "backend": "default",
        "priority": task.priority, "takes_context": task.takes_context, "enqueued_at": iso_format(task.now),
    })
}

fn by_name(task: Outgoing<'_>) -> Value {
    let (args, kwargs) = arguments_of(task.payload);
    json!({ "task_id": Uuid::new_v4().to_string(), "task_name": task.name, "args": args, "kwargs": kwargs, "enqueued_at": iso_format(task.now) })
}

/// A payload as arguments of a function: the fields of a struct are named ones, those of a tuple are positional, and anything else is the only one.
fn arguments_of(payload: Value) -> (Vec<Value>, Map<String, Value>) {
    match payload {
        Value::Object(named) => (Vec::new(), named),
        Value::Array(positional) => (positional, Map::new()),
        Value::Null => (Vec::new(), Map::new()),
        single => (vec![single], Map::new()),
    }
}

/// The same value with the keys of its objects in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(fields) => {
            let mut fields: Vec<(&String, Value)> = fields.iter().map(|(key, value)| (key, sorted(value))).collect();
            fields.sort_by_key(|(key, _)| *key);
            fields.into_iter().map(|(key, value)| (key.clone(), value)).collect()
        }
        plain => plain.clone(),
    }
}

/// A time as Python's `isoformat` writes it in UTC.
pub(crate) fn iso_format(time: Timestamp) -> String {
    let format = if time.subsec_nanosecond() < 1000 { "%Y-%m-%dT%H:%M:%S+00:00" } else { "%Y-%m-%dT%H:%M:%S.%6f+00:00" };
    time.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Host;
    use crate::runtime::config::Config;

    fn layout(compat: Compat) -> Layout {
        let config = Config { name: Some("aff".to_owned()), compat, ..Config::default() };
        Layout::new(&config, &Host { location: "l".parse().unwrap(), url: "https://s".to_owned(), account: None })
    }

    fn encode(compat: Compat, payload: Value) -> Call {
        let mut headers = Headers::default();
        headers.set("traceparent", "00-a-b-01");
        let now = "2026-11-21T04:43:35.843453Z".parse().unwrap();
        layout(compat).encode(Outgoing {
            name: "m.f",
            payload,
            queue: "default",
            project: "p",
            priority: 0,
            takes_context: false,
            headers: &headers,
            now,
        })
    }

    #[derive(Deserialize, Debug, PartialEq)]
    struct Pair {
        a: u8,
        b: u8,
    }

    fn text(call: &Call) -> &str {
        std::str::from_utf8(&call.body).unwrap()
    }

    /// The bodies of `facts/predecessors.md`, taken off the wire.
    #[test]
    fn bodies_are_those_of_each_system() {
        let payload = json!({"price": 3, "quantity": 4});
        let a = encode(Compat::DjangoGoogleCloudTasks, payload.clone());
        assert_eq!((a.path.as_str(), text(&a)), ("/tasks/m.f", r#"{"price": 3, "quantity": 4}"#));
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(a.headers, [header("traceparent", "00-a-b-01"), header("X-CloudTasks-Projectname", "p")]);
        assert_eq!(text(&encode(Compat::DjangoGcp, Value::Null)), "{}");
        let c = encode(Compat::DjangoTasksCloudTasks, json!([1]));
        let (before, after) = text(&c).split_at(13);
        assert_eq!(before, r#"{"task_id": ""#);
        assert!(after[..32].bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!(
            &after[32..],
            r#"", "task_path": "m.f", "args": [1], "kwargs": {}, "queue_name": "default", "backend": "default", "priority": 0, "takes_context": false, "enqueued_at": "2026-11-21T04:43:35.843453+00:00"}"#
        );
        let d: Value = serde_json::from_slice(&encode(Compat::SingleEndpoint, payload).body).unwrap();
        assert_eq!((&d["task_name"], &d["kwargs"]), (&json!("m.f"), &json!({"price": 3, "quantity": 4})));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for compat in [Compat::DjangoTasksCloudTasks, Compat::SingleEndpoint] {
            for payload in [json!({"b": 2}), json!([1, "x"])] {
                let read = layout(compat).decode(None, encode(compat, payload.clone()).body).unwrap();
                assert_eq!((read.name.as_str(), serde_json::from_slice::<Value>(&read.payload).unwrap()), ("m.f", payload));
            }
            let mixed = br#"{"task_path": "m.f", "task_name": "m.f", "args": [1], "kwargs": {"b": 2}}"#;
            let read = layout(compat).decode(None, Bytes::from_static(mixed)).unwrap();
            assert_eq!(arguments::read::<Pair>(&read.payload).unwrap(), Pair { a: 1, b: 2 });
        }
    }

    /// Made by `django-gcp` of the same arguments.
    #[test]
    fn names_of_deduplicated_tasks() {
        let layout = layout(Compat::DjangoGcp);
        let name = layout.deduplicated("MyDedup", &layout.canonical(&json!({"a": 1})));
        assert_eq!(name, "f9d86028--mydedup--aff");
        assert_eq!(name, layout.deduplicated("MyDedup", br#"{"a": 1}"#));
    }

    #[test]
    fn times_are_pythons() {
        assert_eq!(iso_format("2026-01-01T00:00:00Z".parse().unwrap()), "2026-01-01T00:00:00+00:00");
    }
}
