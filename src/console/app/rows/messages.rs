//! Rows of messages, and of the causes they are grouped by.

use std::sync::Arc;

use jiff::Timestamp;

use crate::console::app::causes::Cause;
use crate::console::app::row::{Column, Row};
use crate::console::app::value::Value;
use crate::console::theme::{Role, State};
use crate::model::cause::Group;
use crate::model::message::{DEAD_LETTER_PREFIX, Message, Provenance};
use crate::model::text;

/// A table cell shows at most so many characters of a payload.
const PREVIEW_CHARS_MAX: usize = 200;

/// A message as listed.
#[derive(Clone)]
pub(crate) struct MessageRow {
    /// The message; shared with the screen that shows it.
    pub(crate) message: Arc<Message>,
    provenance: Option<Provenance>,
    attributes: String,
    preview: String,
}

impl MessageRow {
    /// Makes the row of a message.
    pub(crate) fn new(message: Message) -> Self {
        let own = message.attributes.iter().filter(|(key, _)| !key.starts_with(DEAD_LETTER_PREFIX));
        let attributes = own.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ");
        Self {
            provenance: message.provenance(),
            attributes,
            preview: text::preview(&message.data, PREVIEW_CHARS_MAX),
            message: Arc::new(message),
        }
    }
}

impl Row for MessageRow {
    const COLUMNS: &'static [Column] = &[
        Column::text("id", "id", 20, 0),
        Column::number("age", "published", 10, 0),
        Column::number("attempts", "attempts", 9, 2),
        Column::text("source", "gave up", 24, 1),
        Column::text("key", "ordering key", 20, 5),
        Column::text("attributes", "attributes", 40, 3),
        Column::text("payload", "payload", Column::FILL, 0),
        Column::number("bytes", "bytes", 10, Column::WIDE),
    ];

    fn key(&self) -> &str {
        &self.message.id
    }

    fn value(&self, column: usize) -> Value<'_> {
        let message = &*self.message;
        let provenance = self.provenance.as_ref();
        match column {
            0 => Value::text(message.id.as_str()),
            1 => Value::time(message.publish_time),
            2 => match provenance.and_then(|p| p.delivery_count).or(message.delivery_attempt) {
                Some(count) => Value::Count(count.into()),
                None => Value::None,
            },
            3 => provenance.and_then(|p| p.subscription.as_ref()).map_or(Value::None, |s| Value::text(s.id())),
            4 if message.ordering_key.is_empty() => Value::None,
            4 => Value::text(message.ordering_key.as_str()),
            5 if self.attributes.is_empty() => Value::None,
            5 => Value::text(self.attributes.as_str()),
            6 => Value::text(self.preview.as_str()),
            _ => Value::Count(message.data.len() as u64),
        }
    }

    fn state(&self) -> State {
        if self.provenance.is_some() { State::Warn } else { State::Ok }
    }

    fn tone(&self, column: usize) -> Option<Role> {
        (column == 5).then_some(Role::FgMuted)
    }
}

/// Messages that failed for one reason.
pub(crate) struct CauseRow {
    key: String,
    shape: String,
    /// What they share.
    pub(crate) cause: Cause,
    /// How many they are.
    pub(crate) count: u64,
    of: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl CauseRow {
    /// Makes the row of a group of `of` messages.
    pub(crate) fn new(group: Group<'_>, of: u64) -> Self {
        let Group { cause, count, first, last, .. } = group;
        Self { key: cause.id().to_string(), shape: cause.shape_short(), cause, count, of, first, last }
    }
}

impl Row for CauseRow {
    const COLUMNS: &'static [Column] = &[
        Column::text("source", "gave up", 24, 0),
        Column::text("cause", "cause", Column::FILL, 0),
        Column::text("payload", "payload", 32, 2),
        Column::number("attempts", "attempts", 9, 1),
        Column::number("count", "count", 10, 0),
        Column::number("share", "share", 7, 0),
        Column::number("first", "first", 10, 3),
        Column::number("last", "last", 10, 3),
    ];

    fn key(&self) -> &str {
        &self.key
    }

    fn value(&self, column: usize) -> Value<'_> {
        match column {
            0 => self.cause.source.as_ref().map_or(Value::None, |s| Value::text(s.id())),
            1 => Value::text(self.cause.error.as_deref().unwrap_or("(no error attribute)")),
            2 => Value::text(self.shape.as_str()),
            3 => self.cause.attempts.map_or(Value::None, |n| Value::Count(n.into())),
            4 => Value::Count(self.count),
            5 => Value::text(format!("{} %", (self.count * 100 + self.of / 2) / self.of.max(1))),
            6 => Value::time(self.first),
            _ => Value::time(self.last),
        }
    }

    fn state(&self) -> State {
        State::Warn
    }
}
