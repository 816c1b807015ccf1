//! The expression language that selects messages and tasks, the same on the command line and in the console:
//! `attribute.kind = "order" and age > 2h and payload.customer.id = 7`. Pure; not to be confused with Pub/Sub's own subscription filters
//! ([`crate::model::filter`]).
//!
//! A comparison is FIELD OPERATOR VALUE; FIELD alone asks whether it is there. Comparisons are joined by `and`, `or`, `not` and parentheses
//! (`not` binds tightest, then `and`). Operators: `=`, `!=`, `<`, `<=`, `>`, `>=`, `~` (regular expression, unanchored) and `!~`. Values: text in
//! quotes (or one bare word), numbers, spans (`90s`, `2h`, `1d12h`), times in RFC 3339 quotes, `true`, `false`, `null`. A missing field equals
//! `null` and nothing else. Attributes and headers are text: against a number they are read as one.

mod parse;
mod subject;

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use regex::Regex;

use crate::error::{Error, Result};

pub use subject::{MessageSubject, Subject, TaskSubject};

/// The longest expression that is read, in bytes: far above what a person types, far below what could exhaust the reader.
pub const QUERY_BYTES_MAX: usize = 4096;

/// A parsed expression.
///
/// ```
/// use redrive::model::message::Message;
/// use redrive::model::query::{MessageSubject, Query};
///
/// let query: Query = r#"attribute.kind = "order" and payload.customer.id >= 7"#.parse()?;
/// let message = Message {
///     id: "1".into(),
///     data: r#"{"customer": {"id": 8}}"#.into(),
///     attributes: [("kind".to_owned(), "order".to_owned())].into(),
///     ordering_key: String::new(),
///     publish_time: None,
///     delivery_attempt: None,
/// };
/// assert!(query.matches(&MessageSubject::new(&message), jiff::Timestamp::UNIX_EPOCH));
///
/// let error = "age > ".parse::<Query>().unwrap_err();
/// assert!(error.to_string().contains("column 7"), "{error}");
/// # Ok::<(), redrive::error::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Query {
    text: String,
    condition: Condition,
}

#[derive(Debug, Clone)]
enum Condition {
    Has(Field),
    Compares(Field, Operator, Literal),
    Matches(Field, Regex),
    Not(Box<Condition>),
    All(Vec<Condition>),
    Any(Vec<Condition>),
}

/// What of a message or a task a comparison looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// `attribute.KEY`
    Attribute(String),
    /// `header.NAME` (tasks; any case)
    Header(String),
    /// `payload`, or a path in its JSON: `payload.customer.id`, `payload.items[0].sku`
    Payload(Vec<Step>),
    /// Time since publishing or creation.
    Age,
    /// Deliveries or dispatches so far.
    Attempts,
    /// The subscription that gave a dead letter up.
    Source,
    /// Message id, or the last segment of a task's name.
    Id,
    /// Ordering key.
    Key,
    /// Payload size in bytes.
    Size,
    /// When it was published or created.
    Published,
    /// When a task is next due.
    Scheduled,
    /// A task's URL.
    Url,
    /// A task's method.
    Method,
    /// Canonical code of a task's last answer.
    Status,
}

/// One step of a path in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A member of an object.
    Member(String),
    /// An element of an array, from 0.
    Element(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Differs,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// The value a comparison compares with.
#[derive(Debug, Clone, PartialEq)]
enum Literal {
    Text(String),
    Number(Number),
    Span(SignedDuration),
    Bool(bool),
    Null,
}

/// A number without loss: identifiers beyond 2^53 must not be equal to their neighbours.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    /// Whole.
    Int(i128),
    /// With a fraction or exponent.
    Float(f64),
}

/// What a field of a subject holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Actual<'a> {
    /// Text that stays text, such as a member of JSON.
    Text(std::borrow::Cow<'a, str>),
    /// Text that may be read as a number, such as an attribute.
    Loose(&'a str),
    /// A number.
    Number(Number),
    /// A span of time.
    Span(SignedDuration),
    /// A moment.
    Time(Timestamp),
    /// True or false.
    Bool(bool),
    /// There, but null.
    Null,
    /// An object or array; equals nothing, can be asked for.
    Composite,
}

impl Query {
    /// Tells whether `subject` is selected; ages are measured at `now`.
    pub fn matches(&self, subject: &impl Subject, now: Timestamp) -> bool {
        self.condition.holds(subject, now)
    }

    /// Tells whether it asks for payload, its size or headers: what a task only has in view FULL.
    pub fn reads_content(&self) -> bool {
        self.condition.reads_content()
    }
}

impl Condition {
    fn holds(&self, subject: &impl Subject, now: Timestamp) -> bool {
        match self {
            Self::Has(field) => subject.field(field, now).is_some_and(|actual| actual != Actual::Null),
            Self::Compares(field, operator, literal) => operator.holds(subject.field(field, now).as_ref(), literal),
            Self::Matches(field, pattern) => match subject.field(field, now) {
                Some(Actual::Text(text)) => pattern.is_match(&text),
                Some(Actual::Loose(text)) => pattern.is_match(text),
                Some(Actual::Number(number)) => pattern.is_match(&number.to_string()),
                _ => false,
            },
            Self::Not(inner) => !inner.holds(subject, now),
            Self::All(parts) => parts.iter().all(|part| part.holds(subject, now)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(subject, now)),
        }
    }
}

impl Condition {
    fn reads_content(&self) -> bool {
        match self {
            Self::Has(field) | Self::Compares(field, ..) | Self::Matches(field, _) => {
                matches!(field, Field::Payload(_) | Field::Header(_) | Field::Size)
            }
            Self::Not(inner) => inner.reads_content(),
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::reads_content),
        }
    }
}

impl Operator {
    fn holds(self, actual: Option<&Actual<'_>>, literal: &Literal) -> bool {
        let ordering = match (actual, literal) {
            (None | Some(Actual::Null), Literal::Null) => Some(Ordering::Equal),
            (None, _) | (_, Literal::Null) => None,
            (Some(actual), literal) => actual.compare(literal),
        };
        match self {
            Self::Equal => ordering == Some(Ordering::Equal),
            Self::Differs => ordering != Some(Ordering::Equal),
            Self::Less => ordering == Some(Ordering::Less),
            Self::AtMost => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
            Self::Greater => ordering == Some(Ordering::Greater),
            Self::AtLeast => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

impl Actual<'_> {
    /// Compares with a literal; `None` where the two are of kinds that do not compare.
    fn compare(&self, literal: &Literal) -> Option<Ordering> {
        match (self, literal) {
            (Self::Text(actual), Literal::Text(text)) => Some(actual.as_ref().cmp(text.as_str())),
            (Self::Loose(actual), Literal::Text(text)) => Some((*actual).cmp(text.as_str())),
            (Self::Loose(actual), Literal::Number(number)) => Number::read(actual)?.partial_cmp(number),
            (Self::Loose(actual), Literal::Bool(value)) => Some(actual.parse::<bool>().ok()?.cmp(value)),
            (Self::Number(actual), Literal::Number(number)) => actual.partial_cmp(number),
            (Self::Span(actual), Literal::Span(span)) => Some(actual.cmp(span)),
            (Self::Time(actual), Literal::Text(text)) => Some(actual.cmp(&text.parse().ok()?)),
            (Self::Bool(actual), Literal::Bool(value)) => Some(actual.cmp(value)),
            _ => None,
        }
    }
}

impl Number {
    /// Reads a number as JSON writes it.
    fn read(text: &str) -> Option<Self> {
        let json: serde_json::Number = serde_json::from_str(text).ok()?;
        Self::from_json(&json)
    }

    fn from_json(json: &serde_json::Number) -> Option<Self> {
        json.as_i128().map(Self::Int).or_else(|| json.as_f64().map(Self::Float))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl PartialOrd for Number {
    #[expect(clippy::cast_precision_loss, reason = "a whole number against a fraction is compared as fractions; two whole ones never are")]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            (Self::Int(a), Self::Float(b)) => (*a as f64).partial_cmp(b),
            (Self::Float(a), Self::Int(b)) => a.partial_cmp(&(*b as f64)),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
        }
    }
}

impl FromStr for Query {
    type Err = Error;

    /// Reads an expression.
    ///
    /// # Errors
    ///
    /// Fails with an invalid-input error that names the column (1 is the first character), shows the place and says what could stand there.
    fn from_str(text: &str) -> Result<Self> {
        if text.len() > QUERY_BYTES_MAX {
            return Err(Error::invalid(format!("a filter has at most {QUERY_BYTES_MAX} bytes, this one has {}", text.len())));
        }
        Ok(Self { text: text.trim().to_owned(), condition: parse::query(text)? })
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Query {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Query {}

impl TryFrom<String> for Query {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Query> for String {
    fn from(query: Query) -> Self {
        query.text
    }
}

impl serde::Serialize for Query {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> serde::Deserialize<'de> for Query {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
