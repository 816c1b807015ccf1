//! Groups dead letters by why they failed: source, error attribute, shape of the payload, number of deliveries. Pure.

use std::collections::HashMap;
use std::fmt;

use jiff::Timestamp;
use serde_json::Value as Json;

use crate::console::app::rows::{CauseRow, MessageRow};
use crate::model::message::Message;
use crate::names::SubscriptionName;

/// Attributes that commonly hold a reason, the most telling first.
const ERROR_ATTRIBUTES: [&str; 10] =
    ["error", "error_message", "error-message", "exception", "reason", "failure", "cause", "error_code", "error-code", "status"];

/// Payloads larger than this are not parsed to find their shape.
const SHAPE_BYTES_MAX: usize = 256 * 1024;

/// A shape names at most so many fields.
const SHAPE_FIELDS_MAX: usize = 6;

/// A reason is compared by at most so many characters.
const REASON_CHARS_MAX: usize = 160;

/// What messages that failed for one reason share.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Cause {
    /// The subscription that gave them up.
    pub(crate) source: Option<SubscriptionName>,
    /// What an attribute says of the error, numbers and ids blotted out.
    pub(crate) error: Option<String>,
    /// What the payload is made of.
    pub(crate) shape: String,
    /// How often they were delivered.
    pub(crate) attempts: Option<u32>,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = self.source.as_ref().map_or("–", |s| s.id());
        write!(f, "{source}: {} ({}", self.error.as_deref().unwrap_or("no error attribute"), self.shape)?;
        if let Some(attempts) = self.attempts {
            write!(f, ", {attempts} attempts")?;
        }
        f.write_str(")")
    }
}

/// Tells the cause of a message.
pub(crate) fn cause_of(message: &Message) -> Cause {
    let provenance = message.provenance();
    let error = ERROR_ATTRIBUTES.iter().find_map(|name| {
        let found = message
            .attributes
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name) || key.to_ascii_lowercase().ends_with(&format!("-{name}")));
        found.map(|(_, value)| blot(value))
    });
    Cause {
        error,
        shape: shape(&message.data),
        attempts: provenance.as_ref().and_then(|p| p.delivery_count).or(message.delivery_attempt),
        source: provenance.and_then(|p| p.subscription),
    }
}

/// Groups messages by cause, the largest group first.
pub(crate) fn group<'a>(rows: impl Iterator<Item = &'a MessageRow>) -> Vec<CauseRow> {
    struct Tally {
        count: u64,
        first: Option<Timestamp>,
        last: Option<Timestamp>,
    }
    let mut tallies: HashMap<Cause, Tally> = HashMap::new();
    let mut of = 0;
    for row in rows {
        of += 1;
        let time = row.message.publish_time;
        let tally = tallies.entry(cause_of(&row.message)).or_insert(Tally { count: 0, first: time, last: time });
        tally.count += 1;
        tally.first = tally.first.min(time).or(time);
        tally.last = tally.last.max(time);
    }
    let mut rows: Vec<_> = tallies.into_iter().map(|(cause, t)| CauseRow::new(cause, t.count, of, t.first, t.last)).collect();
    rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.cause.to_string().cmp(&b.cause.to_string())));
    rows
}

/// Blots out what differs from message to message of one cause: longer numbers and hexadecimal ids.
fn blot(text: &str) -> String {
    let mut out = String::new();
    for (index, word) in text.split(' ').enumerate() {
        if index > 0 {
            out.push(' ');
        }
        let core = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let digits = core.chars().filter(char::is_ascii_digit).count();
        let id = digits >= 4 && core.chars().all(|c| c.is_ascii_hexdigit() || c == '-' || c == '_');
        if id { out.push_str(&word.replace(core, "#")) } else { out.push_str(word) }
    }
    out.chars().take(REASON_CHARS_MAX).collect()
}

/// Says what a payload is made of: the fields of a JSON object, or its kind.
fn shape(data: &[u8]) -> String {
    if data.is_empty() {
        return "empty".to_owned();
    }
    if data.len() > SHAPE_BYTES_MAX {
        return "large".to_owned();
    }
    match serde_json::from_slice::<Json>(data) {
        Ok(Json::Object(fields)) => {
            let mut names: Vec<&str> = fields.keys().map(String::as_str).collect();
            names.sort_unstable();
            let more = if names.len() > SHAPE_FIELDS_MAX { " …" } else { "" };
            names.truncate(SHAPE_FIELDS_MAX);
            format!("{{{}{more}}}", names.join(" "))
        }
        Ok(Json::Array(_)) => "JSON array".to_owned(),
        Ok(_) => "JSON value".to_owned(),
        Err(_) if std::str::from_utf8(data).is_ok() => "text".to_owned(),
        Err(_) => "binary".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str, data: &str, attributes: &[(&str, &str)]) -> MessageRow {
        MessageRow::new(Message {
            id: id.into(),
            data: data.to_owned().into(),
            attributes: attributes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            ordering_key: String::new(),
            publish_time: None,
            delivery_attempt: None,
        })
    }

    #[test]
    fn ids_do_not_tear_a_cause_apart() {
        let rows = [
            message("1", r#"{"total":1,"id":7}"#, &[("error", "order 88121 has no vat_id")]),
            message("2", r#"{"id":8,"total":2}"#, &[("error", "order 88122 has no vat_id")]),
            message("3", r#"{"id":8}"#, &[("error", "order 88122 has no vat_id")]),
            message("4", "plain", &[]),
        ];
        let causes = group(rows.iter());
        let found: Vec<_> = causes.iter().map(|row| (row.cause.to_string(), row.count)).collect();
        assert_eq!(
            found,
            [
                ("–: order # has no vat_id ({id total})".to_owned(), 2),
                ("–: no error attribute (text)".to_owned(), 1),
                ("–: order # has no vat_id ({id})".to_owned(), 1),
            ]
        );
    }
}
