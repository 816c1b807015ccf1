//! What a transfer carries: a message or a task, and who it is. Pure.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

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
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub(super) struct Identity(Arc<str>);

impl From<String> for Identity {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<Identity> for String {
    fn from(identity: Identity) -> Self {
        identity.0.as_ref().to_owned()
    }
}

impl Identity {
    /// Reads it off a message or task.
    pub(super) fn of(cargo: &Cargo) -> Self {
        let micros = cargo.entered().map_or(0, Timestamp::as_microsecond);
        Self(format!("{}@{micros}", cargo.id()).into())
    }

    /// Returns the message id, or the task's full name.
    pub(super) fn id(&self) -> &str {
        self.0.rsplit_once('@').map_or(&*self.0, |(id, _)| id)
    }

    /// Says what it is, for people.
    pub(super) fn shown(&self) -> String {
        match self.id().rsplit_once("/tasks/") {
            Some((_, task)) => format!("task {task}"),
            None => format!("message {}", self.id()),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
