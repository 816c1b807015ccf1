//! Groups messages by why they failed: who gave them up, the error their attributes tell of, the shape of the payload, the number of deliveries. Pure.
//!
//! Nothing here depends on one producer's names: the error is found by the words of an attribute's name and, failing that, by how its value reads;
//! without any, source, shape and deliveries still tell causes apart.

mod reason;
mod shape;

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::model::message::Message;
use crate::names::SubscriptionName;

/// Characters of a cause's id: 48 bits, so that a message that is not of the cause is not taken for one of it.
const ID_CHARS: usize = 12;

/// Paths of a payload's shape that a line shows.
const PATHS_SHOWN: usize = 6;

/// What messages that failed for one reason share.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cause {
    /// The subscription that gave them up.
    pub source: Option<SubscriptionName>,
    /// The attribute that tells of the error.
    pub attribute: Option<String>,
    /// What it says, numbers and ids blotted out.
    pub error: Option<String>,
    /// What the payload is made of: the sorted paths of its JSON, or `text`, `binary`, `empty`, `large`.
    pub shape: String,
    /// How often the subscription that gave them up had delivered them; never the count of the one that holds them, which grows with each look.
    pub attempts: Option<u32>,
}

/// Names a cause: equal wherever and whenever the same messages are looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CauseId(String);

/// The messages of one cause.
#[derive(Debug, Clone)]
pub struct Group<'a> {
    /// What they share.
    pub cause: Cause,
    /// How many they are.
    pub count: u64,
    /// When the first was published.
    pub first: Option<Timestamp>,
    /// When the last was published.
    pub last: Option<Timestamp>,
    /// One of them: the first that was met.
    pub sample: &'a Message,
}

impl Cause {
    /// Tells the cause of a message.
    ///
    /// ```
    /// use redrive::model::cause::Cause;
    /// use redrive::model::message::Message;
    ///
    /// let message = |id: &str, reason: &str| Message {
    ///     id: id.into(),
    ///     data: r#"{"customer": {"id": 8}}"#.into(),
    ///     attributes: [("failure_reason".to_owned(), reason.to_owned())].into(),
    ///     ordering_key: String::new(),
    ///     publish_time: None,
    ///     delivery_attempt: None,
    /// };
    /// let cause = Cause::of(&message("1", "customer 40172 has no address"));
    /// assert_eq!(cause.to_string(), "–: customer # has no address ({customer.id})");
    /// assert!(cause.matches(&message("2", "customer 40173 has no address")));
    /// assert!(!cause.matches(&message("3", "card declined")));
    /// ```
    pub fn of(message: &Message) -> Self {
        let from = message.provenance();
        let (attribute, error) = reason::find(&message.attributes).unzip();
        Self {
            attribute,
            error,
            shape: shape::of(&message.data),
            attempts: from.as_ref().and_then(|from| from.delivery_count),
            source: from.and_then(|from| from.subscription),
        }
    }

    /// Tells whether a message failed for this reason.
    pub fn matches(&self, message: &Message) -> bool {
        Self::of(message) == *self
    }

    /// Returns the id.
    pub fn id(&self) -> CauseId {
        let source = self.source.as_ref().map(ToString::to_string);
        let attempts = self.attempts.map(|count| count.to_string());
        let mut hash = Sha256::new();
        for part in [source.as_deref(), self.attribute.as_deref(), self.error.as_deref(), Some(&self.shape), attempts.as_deref()] {
            // What is missing is not what is empty, and no part runs into the next.
            hash.update(part.map_or(u64::MAX, |part| part.len() as u64).to_be_bytes());
            hash.update(part.unwrap_or_default());
        }
        let mut id = String::new();
        for byte in &hash.finalize()[..ID_CHARS / 2] {
            let _ = write!(id, "{byte:02x}");
        }
        CauseId(id)
    }

    /// Returns the shape in a few words.
    pub fn shape_short(&self) -> String {
        let Some(paths) = self.shape.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else { return self.shape.clone() };
        let more = if paths.split(' ').nth(PATHS_SHOWN).is_some() { " …" } else { "" };
        format!("{{{}{more}}}", paths.split(' ').take(PATHS_SHOWN).collect::<Vec<_>>().join(" "))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = self.source.as_ref().map_or("–", |source| source.id());
        write!(f, "{source}: {} ({}", self.error.as_deref().unwrap_or("no error attribute"), self.shape_short())?;
        if let Some(attempts) = self.attempts {
            write!(f, ", {attempts} attempts")?;
        }
        f.write_str(")")
    }
}

impl CauseId {
    /// Tells whether a message failed for the reason of this name.
    pub fn matches(&self, message: &Message) -> bool {
        Cause::of(message).id() == *self
    }
}

impl fmt::Display for CauseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for CauseId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.len() == ID_CHARS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::invalid(format!("`{}` is not the id of a cause: {ID_CHARS} of the characters 0-9 and a-f", text.escape_debug()))
            .with_hint("list causes with `redrive dlq causes SUBSCRIPTION`"))
    }
}

impl TryFrom<String> for CauseId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<CauseId> for String {
    fn from(id: CauseId) -> Self {
        id.0
    }
}

/// Groups messages by cause, the largest group first.
pub fn group<'a>(messages: impl IntoIterator<Item = &'a Message>) -> Vec<Group<'a>> {
    let mut groups: HashMap<Cause, Group<'a>> = HashMap::new();
    for message in messages {
        let cause = Cause::of(message);
        let time = message.publish_time;
        let group = groups.entry(cause).or_insert_with_key(|cause| Group {
            cause: cause.clone(),
            count: 0,
            first: time,
            last: time,
            sample: message,
        });
        group.count += 1;
        group.first = group.first.min(time).or(group.first).or(time);
        group.last = group.last.max(time);
    }
    let mut groups: Vec<_> = groups.into_values().map(|group| (group.cause.to_string(), group.cause.id(), group)).collect();
    groups.sort_by(|(a_text, a_id, a), (b_text, b_id, b)| b.count.cmp(&a.count).then_with(|| (a_text, a_id).cmp(&(b_text, b_id))));
    groups.into_iter().map(|(_, _, group)| group).collect()
}

#[cfg(test)]
mod tests;
