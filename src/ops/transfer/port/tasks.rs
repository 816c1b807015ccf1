//! Tasks as a source and as a destination: listed, read in full, created again under a name that is theirs alone, deleted.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::super::cargo::Cargo;
use super::super::draft::{GENERATION_HEADER, TRANSFER_HEADER, task_generation};
use super::super::engine::Arrival;
use super::super::{Kind, Request, Selection, TaskChange, TransferId};
use crate::cloud::FULL_VIEW;
use crate::error::{self, Error, Result};
use crate::model::task::Task;
use crate::names::{QueueName, TaskId, TaskName};
use crate::ops::Ops;

/// Tasks of a queue that one transfer sees, at most: their names are in memory.
pub(in crate::ops::transfer) const LISTED_MAX: usize = 100_000;
/// Calls under way at once.
const CALLS_AT_ONCE: usize = 16;
/// A task's id is at most this long (Google's limit).
const ID_CHARS_MAX: usize = 500;
/// Ends the name of a queue that is another's dead set.
const DEAD_SUFFIX: &str = "-dead";

/// The tasks that are left to be read.
pub(super) struct Cursor {
    queue: QueueName,
    /// `None` until the queue was listed.
    names: Option<VecDeque<TaskName>>,
}

impl Cursor {
    pub(super) fn new(queue: QueueName, selection: &Selection) -> Result<Self> {
        Ok(Self { queue, names: super::chosen(selection)?.map(VecDeque::from) })
    }

    /// Reads some tasks in full; those that are gone meanwhile are left out. None is the end.
    pub(super) async fn next(&mut self, ops: &Ops, max: usize) -> Result<Vec<Arrival>> {
        if self.names.is_none() {
            let rows = ops.cloud().list_tasks(&self.queue, false, LISTED_MAX).await?;
            let mut names: Vec<TaskName> = rows.items.into_iter().map(|task| task.name).collect();
            names.sort();
            self.names = Some(names.into());
        }
        let names = self.names.get_or_insert_default();
        while !names.is_empty() {
            let some: Vec<TaskName> = names.iter().take(max).cloned().collect();
            let read: Vec<Option<Task>> =
                stream::iter(some.clone()).map(|name| async move { read(ops, &name).await }).buffered(CALLS_AT_ONCE).try_collect().await?;
            // Only now: after an error they are read again.
            names.drain(..some.len());
            let arrivals: Vec<Arrival> = read
                .into_iter()
                .flatten()
                .map(|task| Arrival { ack_id: task.name.to_string(), cargo: Cargo::Task(Box::new(task)) })
                .collect();
            if !arrivals.is_empty() {
                return Ok(arrivals);
            }
        }
        Ok(Vec::new())
    }
}

async fn read(ops: &Ops, name: &TaskName) -> Result<Option<Task>> {
    match ops.cloud().get_task(name, true).await {
        Ok(task) if task.full => Ok(Some(task)),
        Ok(_) => Err(Error::new(
            error::Kind::PermissionDenied,
            format!("headers and body of `{name}` may not be read: permission `{FULL_VIEW}` is missing"),
        )),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Deletes tasks; one that is gone is deleted.
pub(super) async fn delete(ops: &Ops, names: &[String]) -> Result<()> {
    let names: Vec<TaskName> = names.iter().map(|name| name.parse()).collect::<Result<_>>()?;
    stream::iter(names)
        .map(|name| async move {
            match ops.cloud().delete_task(&name).await {
                Err(error) if !error.is_not_found() => Err(error),
                _ => Ok(()),
            }
        })
        .buffer_unordered(CALLS_AT_ONCE)
        .try_collect()
        .await
}

/// Creates a task again; returns its new name.
///
/// In another queue it keeps its id where that is free. An id that is taken (in its own queue, or within the time that names of deleted tasks are
/// remembered) is followed by the transfer's: that one is free, or taken by this very task, whose creation was not heard of.
pub(super) async fn create(ops: &Ops, transfer: &TransferId, request: &Request, change: &TaskChange, task: &Task) -> Result<String> {
    let queue = destination(request.kind, change, task.name.queue());
    let raw = changed(request.kind, change, transfer, task, Timestamp::now());
    if queue != *task.name.queue() {
        let name = TaskName::new(queue.clone(), task.name.id().parse()?);
        match ops.cloud().create_task_once(&named(&raw, &name), &queue).await {
            Ok(()) => return Ok(name.to_string()),
            Err(error) if !error.is_already_exists() => return Err(error),
            Err(_) if is_there(ops, &name, &raw).await? => return Ok(name.to_string()),
            Err(_) => {}
        }
    }
    let name = TaskName::new(queue.clone(), fresh(task.name.id(), transfer)?);
    match ops.cloud().create_task_once(&named(&raw, &name), &queue).await {
        Err(error) if !error.is_already_exists() => Err(error),
        _ => Ok(name.to_string()),
    }
}

/// Tells whether a task of this name makes the same request: then it is the one, its creation was not heard of.
async fn is_there(ops: &Ops, name: &TaskName, raw: &Value) -> Result<bool> {
    match ops.cloud().get_task(name, true).await {
        Ok(there) => Ok(["httpRequest", "appEngineHttpRequest"].iter().all(|key| same(&there.raw[*key], &raw[*key]))),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Tells whether all that was asked for is there; what the service adds (its own `User-Agent`) does not count.
fn same(there: &Value, asked: &Value) -> bool {
    match (there, asked) {
        (Value::Object(there), Value::Object(asked)) => {
            asked.iter().all(|(key, value)| there.get(key).is_some_and(|other| same(other, value)))
        }
        _ => there == asked,
    }
}

/// Returns the queue of which another is the dead set.
pub(in crate::ops::transfer) fn alive(queue: &QueueName) -> Option<QueueName> {
    let id = queue.id().strip_suffix(DEAD_SUFFIX)?.parse().ok()?;
    Some(QueueName::new(queue.location().clone(), id))
}

fn destination(kind: Kind, change: &TaskChange, queue: &QueueName) -> QueueName {
    match &change.queue {
        Some(queue) => queue.clone(),
        None if kind == Kind::Redrive => alive(queue).unwrap_or_else(|| queue.clone()),
        None => queue.clone(),
    }
}

/// Makes an id of the old one and the transfer's, the same each time.
fn fresh(id: &str, transfer: &TransferId) -> Result<TaskId> {
    let whole = format!("{id}-{transfer}");
    if whole.len() <= ID_CHARS_MAX {
        return whole.parse();
    }
    let hash = format!("{:x}", Sha256::digest(id));
    format!("{}-{transfer}", &hash[..32]).parse()
}

fn named(raw: &Value, name: &TaskName) -> Value {
    let mut raw = raw.clone();
    raw["name"] = json!(name);
    raw
}

/// Makes the task to create: the request as it was but for the change, and none of what the service counted.
fn changed(kind: Kind, change: &TaskChange, transfer: &TransferId, task: &Task, now: Timestamp) -> Value {
    let mut raw = Map::new();
    for key in ["httpRequest", "appEngineHttpRequest", "dispatchDeadline"] {
        if let Some(value) = task.raw.get(key) {
            raw.insert(key.to_owned(), value.clone());
        }
    }
    let at = change.at.or(task.schedule_time.filter(|time| *time > now));
    if let Some(at) = at.filter(|at| *at > now) {
        raw.insert("scheduleTime".to_owned(), json!(at));
    }
    let (key, url) = if task.request.app_engine { ("appEngineHttpRequest", "relativeUri") } else { ("httpRequest", "url") };
    let request = raw.entry(key).or_insert_with(|| json!({}));
    for (name, value) in [(url, &change.url), ("httpMethod", &change.method)] {
        if let Some(value) = value {
            request[name] = json!(value);
        }
    }
    if let Some(body) = &change.body {
        request["body"] = json!(BASE64.encode(body));
    }
    let mut headers: Map<String, Value> = request.get("headers").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut set = |name: &str, value: &str| {
        headers.retain(|key, _| !key.eq_ignore_ascii_case(name));
        if !value.is_empty() {
            headers.insert(name.to_owned(), json!(value));
        }
    };
    if kind != Kind::Undo {
        set(TRANSFER_HEADER, &transfer.0);
        set(GENERATION_HEADER, &task_generation(task).saturating_add(1).to_string());
    }
    change.headers.iter().for_each(|(name, value)| set(name, value));
    if !headers.is_empty() {
        request["headers"] = Value::Object(headers);
    }
    Value::Object(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task() -> Task {
        crate::cloud::task_of(json!({
            "name": "projects/p1/locations/l1/queues/emails-dead/tasks/t1",
            "httpRequest": { "url": "https://shop/x", "httpMethod": "PUT", "headers": { "A": "b", "x-redrive-generation": "2" }, "body": "AP8=" },
            "scheduleTime": "2026-11-21T06:00:00Z", "createTime": "2026-11-21T06:00:00Z", "dispatchDeadline": "30s", "dispatchCount": 3,
        }))
        .unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_task_created_again_is_the_same_but_for_what_was_counted() {
        let id = TransferId("t9".into());
        let raw = changed(Kind::Redrive, &TaskChange::default(), &id, &task(), at("2026-11-21T05:00:00Z"));
        let expected = json!({
            "httpRequest": {
                "url": "https://shop/x", "httpMethod": "PUT", "body": "AP8=",
                "headers": { "A": "b", "X-Redrive-Transfer": "t9", "X-Redrive-Generation": "3" },
            },
            "dispatchDeadline": "30s", "scheduleTime": "2026-11-21T06:00:00Z",
        });
        assert_eq!(raw, expected);
        let raw = changed(Kind::Undo, &TaskChange::default(), &id, &task(), at("2026-11-21T07:00:00Z"));
        assert_eq!((raw.get("scheduleTime"), &raw["httpRequest"]["headers"]["A"]), (None, &json!("b")));
        let change = TaskChange {
            at: Some(at("2026-11-22T00:00:00Z")),
            url: Some("https://shop/y".into()),
            headers: [("a".to_owned(), String::new()), ("B".to_owned(), "c".to_owned())].into(),
            body: Some(b"{}".to_vec()),
            ..TaskChange::default()
        };
        let raw = changed(Kind::Undo, &change, &id, &task(), at("2026-11-21T07:00:00Z"));
        let request = &raw["httpRequest"];
        assert_eq!(
            (&request["url"], &request["body"], &raw["scheduleTime"]),
            (&json!("https://shop/y"), &json!("e30="), &json!("2026-11-22T00:00:00Z"))
        );
        assert_eq!(request["headers"], json!({ "x-redrive-generation": "2", "B": "c" }));
    }

    #[test]
    fn the_dead_are_redriven_where_they_failed_and_put_back_where_they_lay() {
        let queue = |id: &str| format!("projects/p1/locations/l1/queues/{id}").parse::<QueueName>().unwrap();
        let none = TaskChange::default();
        assert_eq!(destination(Kind::Redrive, &none, &queue("emails-dead")), queue("emails"));
        assert_eq!(destination(Kind::Redrive, &none, &queue("emails")), queue("emails"));
        assert_eq!(destination(Kind::Undo, &none, &queue("emails-dead")), queue("emails-dead"));
        let change = TaskChange { queue: Some(queue("other")), ..none };
        assert_eq!(destination(Kind::Redrive, &change, &queue("emails-dead")), queue("other"));
    }

    #[test]
    fn fresh_ids_are_valid_and_tell_long_ones_apart() {
        let id = TransferId("0abcdefgh".into());
        assert_eq!(fresh("t1", &id).unwrap().to_string(), "t1-0abcdefgh");
        let long = |end: &str| fresh(&format!("{}{end}", "x".repeat(499)), &id).unwrap();
        assert_ne!(long("a"), long("b"));
    }
}
