//! What can be selected: messages and tasks, seen as fields.

use std::cell::OnceCell;

use jiff::Timestamp;
use serde_json::Value;

use super::{Actual, Field, Number, Step};
use crate::model::message::Message;
use crate::model::task::Task;

/// Something with fields.
pub trait Subject {
    /// Returns what `field` holds; `None` where the subject has no such field.
    fn field(&self, field: &Field, now: Timestamp) -> Option<Actual<'_>>;
}

/// A message, with its payload parsed at most once.
#[derive(Debug)]
pub struct MessageSubject<'a> {
    message: &'a Message,
    json: OnceCell<Option<Value>>,
    source: OnceCell<Option<String>>,
}

/// A task, with its body parsed at most once.
#[derive(Debug)]
pub struct TaskSubject<'a> {
    task: &'a Task,
    json: OnceCell<Option<Value>>,
}

impl<'a> MessageSubject<'a> {
    /// Looks at `message`.
    pub fn new(message: &'a Message) -> Self {
        Self { message, json: OnceCell::new(), source: OnceCell::new() }
    }
}

impl<'a> TaskSubject<'a> {
    /// Looks at `task`; without its body (view BASIC) no payload field is there.
    pub fn new(task: &'a Task) -> Self {
        Self { task, json: OnceCell::new() }
    }
}

impl Subject for MessageSubject<'_> {
    fn field(&self, field: &Field, now: Timestamp) -> Option<Actual<'_>> {
        let message = self.message;
        match field {
            Field::Attribute(key) => message.attributes.get(key).map(|value| Actual::Loose(value)),
            Field::Payload(path) => payload(&message.data, &self.json, path),
            Field::Age => message.publish_time.map(|time| Actual::Span(now.duration_since(time))),
            Field::Attempts => message.provenance().and_then(|from| from.delivery_count).or(message.delivery_attempt).map(whole),
            Field::Source => self.source().map(|name| Actual::Text(name.into())),
            Field::Id => Some(Actual::Loose(&message.id)),
            Field::Key => (!message.ordering_key.is_empty()).then_some(Actual::Loose(&message.ordering_key)),
            Field::Size => Some(size(&message.data)),
            Field::Published => message.publish_time.map(Actual::Time),
            Field::Header(_) | Field::Scheduled | Field::Url | Field::Method | Field::Status => None,
        }
    }
}

impl MessageSubject<'_> {
    fn source(&self) -> Option<&str> {
        let find = || Some(self.message.provenance()?.subscription?.id().to_owned());
        self.source.get_or_init(find).as_deref()
    }
}

impl Subject for TaskSubject<'_> {
    fn field(&self, field: &Field, now: Timestamp) -> Option<Actual<'_>> {
        let task = self.task;
        match field {
            Field::Header(name) => {
                task.request.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| Actual::Loose(value))
            }
            Field::Payload(path) if task.full => payload(&task.request.body, &self.json, path),
            Field::Size if task.full => Some(size(&task.request.body)),
            Field::Age => task.create_time.map(|time| Actual::Span(now.duration_since(time))),
            Field::Attempts => Some(whole(task.dispatch_count)),
            Field::Id => Some(Actual::Loose(task.name.id())),
            Field::Published => task.create_time.map(Actual::Time),
            Field::Scheduled => task.schedule_time.map(Actual::Time),
            Field::Url => Some(Actual::Text(task.request.url.as_str().into())),
            Field::Method => Some(Actual::Text(task.request.method.as_str().into())),
            Field::Status => {
                let answered = task.last_attempt.as_ref().filter(|attempt| attempt.response_time.is_some())?;
                answered.status.as_ref().map(|(code, _)| Actual::Number(Number::Int(i128::from(*code))))
            }
            Field::Attribute(_) | Field::Source | Field::Key | Field::Payload(_) | Field::Size => None,
        }
    }
}

fn whole<'a>(number: u32) -> Actual<'a> {
    Actual::Number(Number::Int(i128::from(number)))
}

fn size<'a>(data: &[u8]) -> Actual<'a> {
    Actual::Number(Number::Int(i128::try_from(data.len()).unwrap_or(i128::MAX)))
}

/// Follows `path` in a payload; the empty path is the payload as text.
fn payload<'a>(data: &'a [u8], json: &'a OnceCell<Option<Value>>, path: &[Step]) -> Option<Actual<'a>> {
    if path.is_empty() {
        return std::str::from_utf8(data).ok().map(|text| Actual::Text(text.into()));
    }
    let mut value = json.get_or_init(|| serde_json::from_slice(data).ok()).as_ref()?;
    for step in path {
        value = match step {
            Step::Member(name) => value.get(name)?,
            Step::Element(index) => value.get(index)?,
        };
    }
    Some(match value {
        Value::Null => Actual::Null,
        Value::Bool(value) => Actual::Bool(*value),
        Value::Number(number) => Actual::Number(Number::from_json(number)?),
        Value::String(text) => Actual::Text(text.as_str().into()),
        Value::Array(_) | Value::Object(_) => Actual::Composite,
    })
}
