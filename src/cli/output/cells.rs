//! How moments, ages and numbers look in a cell, and in JSON.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use crate::model::numbers::{Measured, Source};

/// Writes a span in its two largest units: `3h12m`, `41m`, `9s`.
pub(crate) fn age(span: Duration) -> String {
    let seconds = span.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, m) => format!("{m}m"),
        (0, h, m) => format!("{h}h{m:02}m"),
        (d, h, _) if d < 10 => format!("{d}d{h:02}h"),
        (d, ..) => format!("{d}d"),
    }
}

/// Writes how long ago `then` was, as seen from `now`; what lies ahead reads `in 4m`.
pub(crate) fn ago(then: Option<Timestamp>, now: Timestamp) -> String {
    let Some(then) = then else { return dash::<&str>(None) };
    let span = now.duration_since(then);
    if span < SignedDuration::ZERO { format!("in {}", age(span.unsigned_abs())) } else { age(span.unsigned_abs()) }
}

/// Writes what is known, or a dash: a number that is not known is never shown as zero.
pub(crate) fn dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Writes a moment as the services do.
pub(crate) fn moment(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, |at| Value::String(at.to_string()))
}

/// Writes a number with its source and its moment; `null` when it is not known.
pub(crate) fn measured<T: Copy + Serialize>(number: Option<Measured<T>>) -> Value {
    let Some(Measured { value, source, as_of }) = number else { return Value::Null };
    let source = match source {
        Source::Monitoring => "monitoring",
        Source::Stats => "stats",
        Source::Counted => "counted",
    };
    json!({ "value": value, "source": source, "asOf": as_of.to_string() })
}
