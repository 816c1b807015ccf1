//! What a transfer carries: a message or a task, and who it is. Pure.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;
use jiff::Timestamp;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::draft;
use crate::model::message::Message;
use crate::model::task::Task;
use crate::names::SubscriptionName;

/// A message or a task.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cargo {
    Message(Message),
    /// With headers and body, as Google writes it.
    Task(Box<Task>),
}

impl Cargo {
    /// Returns the message id, or the task's full name.
    pub(super) fn id(&self) -> Cow<'_, str> {
        match self {
            Self::Message(message) => Cow::Borrowed(&message.id),
            Self::Task(task) => Cow::Owned(task.name.to_string()),
        }
    }

    /// Returns when it came into its source.
    pub(super) fn entered(&self) -> Option<Timestamp> {
        match self {
            Self::Message(message) => message.publish_time,
            Self::Task(task) => task.create_time,
        }
    }

    /// Returns the ordering key; empty is none.
    pub(super) fn key(&self) -> &str {
        match self {
            Self::Message(message) => &message.ordering_key,
            Self::Task(_) => "",
        }
    }

    /// Returns how many bytes it has, without what it costs beside them.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Message(message) => {
                let attributes: usize = message.attributes.iter().map(|(key, value)| key.len() + value.len() + 8).sum();
                message.data.len() + message.ordering_key.len() + attributes
            }
            // The body is in the raw form too, as base64.
            Self::Task(task) => task.request.body.len() * 3,
        }
    }

    /// Tells how often it was redriven.
    pub(super) fn generation(&self) -> u32 {
        match self {
            Self::Message(message) => draft::generation(message),
            Self::Task(task) => draft::task_generation(task),
        }
    }

    /// Returns the id of the transfer that brought it here.
    pub(super) fn carrier(&self) -> Option<&str> {
        match self {
            Self::Message(message) => message.attributes.get(draft::TRANSFER).map(String::as_str),
            Self::Task(task) => draft::header(task, draft::TRANSFER_HEADER),
        }
    }

    /// Returns the subscription that gave it up.
    pub(super) fn source(&self) -> Option<SubscriptionName> {
        match self {
            Self::Message(message) => message.provenance()?.subscription,
            Self::Task(_) => None,
        }
    }
}

/// Identity of a message in its subscription: id and publish time, because a topic made anew (or an emulator started anew) counts its ids from the start.
/// Of a task: full name and when it was created.
///
/// There is one for each message of a transfer, as long as it runs: the usual ones are two numbers, without memory of their own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity(Form);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    /// As Pub/Sub counts its messages.
    Number { id: u64, micros: u64 },
    /// Anything else: what comes before the last `@` is the id.
    Text(Arc<str>),
}

/// Identities of messages, of which a long transfer has millions.
pub(super) type Identities = HashSet<Identity, RandomState>;
/// What is known of messages.
pub(super) type ByIdentity<T> = HashMap<Identity, T, RandomState>;

/// In one go: most of what a long journal costs when it is read is this.
impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.0 {
            Form::Number { id, micros } => state.write_u64(id ^ micros.rotate_left(32)),
            Form::Text(text) => text.hash(state),
        }
    }
}

/// Reads a number that is written in no other way.
fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || (text[0] == b'0' && text.len() > 1) {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

impl Identity {
    /// Reads it off a message or task.
    pub(super) fn of(cargo: &Cargo) -> Self {
        let micros = cargo.entered().map_or(0, Timestamp::as_microsecond);
        let id = cargo.id();
        match (digits(id.as_bytes()), u64::try_from(micros)) {
            (Some(id), Ok(micros)) => Self(Form::Number { id, micros }),
            _ => Self(Form::Text(format!("{id}@{micros}").into())),
        }
    }

    /// Reads one of two numbers as they are written, if it is one.
    pub(super) fn of_numbers(text: &[u8]) -> Option<Self> {
        let at = text.iter().position(|byte| *byte == b'@')?;
        Some(Self(Form::Number { id: digits(&text[..at])?, micros: digits(&text[at + 1..])? }))
    }

    /// Reads it as it was written.
    fn read(text: &str) -> Self {
        Self::of_numbers(text.as_bytes()).unwrap_or_else(|| Self(Form::Text(text.into())))
    }

    /// Returns the message id, or the task's full name.
    pub(super) fn id(&self) -> Cow<'_, str> {
        match &self.0 {
            Form::Number { id, .. } => Cow::Owned(id.to_string()),
            Form::Text(text) => Cow::Borrowed(text.rsplit_once('@').map_or(text, |(id, _)| id)),
        }
    }

    /// Says what it is, for people.
    pub(super) fn shown(&self) -> String {
        let id = self.id();
        match id.rsplit_once("/tasks/") {
            Some((_, task)) => format!("task {task}"),
            None => format!("message {id}"),
        }
    }
}

impl From<String> for Identity {
    fn from(text: String) -> Self {
        Self::read(&text)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Number { id, micros } => write!(f, "{id}@{micros}"),
            Form::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Identity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Identity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Reader)
    }
}

/// Reads it off a string that is not copied.
struct Reader;

impl Visitor<'_> for Reader {
    type Value = Identity;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id and a time")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Identity, E> {
        Ok(Identity::read(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_written_and_read_as_they_are() {
        let task = "projects/p/locations/l/queues/q/tasks/a@b@1764000000000000";
        for (text, id) in [
            ("17640000000000001@1764000000000000", "17640000000000001"),
            ("18446744073709551615@0", "18446744073709551615"),
            ("18446744073709551616@7", "18446744073709551616"),
            ("007@7", "007"),
            ("+7@7", "+7"),
            ("@", ""),
            ("7@-1", "7"),
            ("7@01", "7"),
            ("seven", "seven"),
            (task, task.rsplit_once('@').unwrap().0),
        ] {
            let identity: Identity = serde_json::from_value(text.into()).unwrap();
            assert_eq!((identity.to_string().as_str(), identity.id().as_ref()), (text, id));
            assert_eq!(serde_json::to_value(&identity).unwrap(), text);
        }
        assert_ne!(Identity::read("7@7"), Identity::read("07@7"));
        assert!(size_of::<Identity>() <= 24);
    }
}
