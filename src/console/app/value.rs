//! What a cell holds, before it becomes text: sorted, compared and shown from one value.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::time::Duration;

use jiff::Timestamp;

use crate::console::theme::State;

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    /// There is none.
    None,
    /// There is one, but it is not known: never shown as zero.
    Unknown,
    /// Text, not escaped: drawing escapes.
    Text(Cow<'a, str>),
    /// How it fares, in a word.
    State(State, Cow<'a, str>),
    /// A whole number.
    Count(u64),
    /// A number with at most one decimal.
    Number(f64),
    /// A moment, shown as its distance from now.
    Time(Timestamp),
    /// A length of time.
    Span(Duration),
    /// Numbers over time, shown as a sparkline.
    Series(Vec<f64>),
    /// So much of so many, shown as a bar.
    Progress(u64, u64),
}

impl<'a> Value<'a> {
    /// Makes a text.
    pub(crate) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Value::Text(text.into())
    }

    /// Makes a count that may not be known.
    pub(crate) fn count(count: Option<u64>) -> Self {
        count.map_or(Value::Unknown, Value::Count)
    }

    /// Makes a moment that may not be.
    pub(crate) fn time(time: Option<Timestamp>) -> Self {
        time.map_or(Value::None, Value::Time)
    }

    /// Makes it independent of what it was read from.
    pub(crate) fn into_owned(self) -> Value<'static> {
        match self {
            Value::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Value::State(state, text) => Value::State(state, Cow::Owned(text.into_owned())),
            Value::None => Value::None,
            Value::Unknown => Value::Unknown,
            Value::Count(count) => Value::Count(count),
            Value::Number(number) => Value::Number(number),
            Value::Time(time) => Value::Time(time),
            Value::Span(span) => Value::Span(span),
            Value::Series(points) => Value::Series(points),
            Value::Progress(done, all) => Value::Progress(done, all),
        }
    }

    /// Returns what is shown; not escaped.
    pub(crate) fn show(&self, now: Timestamp) -> Cow<'_, str> {
        match self {
            Value::None => Cow::Borrowed("–"),
            Value::Unknown => Cow::Borrowed("?"),
            Value::Text(text) | Value::State(_, text) => Cow::Borrowed(text),
            Value::Count(count) => Cow::Owned(grouped(*count)),
            Value::Number(number) => Cow::Owned(decimal(*number)),
            Value::Time(time) => Cow::Owned(distance(*time, now)),
            Value::Span(span) => Cow::Owned(short(*span)),
            Value::Series(_) => Cow::Borrowed(""),
            Value::Progress(done, all) => Cow::Owned(format!("{} / {}", grouped(*done), grouped(*all))),
        }
    }

    /// Tells whether there is nothing to sort by.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Value::None | Value::Unknown)
    }

    /// Compares for sorting; what is not there comes last.
    pub(crate) fn order(&self, other: &Value<'_>) -> Ordering {
        match (self.number(), other.number()) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => match (self, other) {
                (Value::State(a, x), Value::State(b, y)) => a.cmp(b).then_with(|| x.cmp(y)),
                (Value::Text(a), Value::Text(b)) => a.cmp(b),
                (Value::Text(_) | Value::State(..), _) => Ordering::Less,
                (_, Value::Text(_) | Value::State(..)) => Ordering::Greater,
                _ => Ordering::Equal,
            },
        }
    }

    /// Returns it as a number, where it is one; a moment is its seconds, a series its last value.
    fn number(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "sorting and comparing bear the rounding above 2^53")]
        match self {
            Value::Count(count) | Value::Progress(count, _) => Some(*count as f64),
            Value::Number(number) => Some(*number),
            Value::Time(time) => Some(time.as_duration().as_secs_f64()),
            Value::Span(span) => Some(span.as_secs_f64()),
            Value::Series(points) => points.last().copied(),
            _ => None,
        }
    }

    /// Returns it as a number to compare with a term of the filter; a moment as its distance from `now` in seconds.
    pub(crate) fn measure(&self, now: Timestamp) -> Option<f64> {
        match self {
            Value::Time(time) => Some(now.duration_since(*time).as_secs_f64().abs()),
            other => other.number(),
        }
    }
}

/// Writes a count with commas between the thousands.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Writes a number with one decimal where it is small and has one.
pub(crate) fn decimal(number: f64) -> String {
    if !number.is_finite() {
        return "?".to_owned();
    }
    if number.abs() < 100.0 && (number - number.round()).abs() >= 0.05 {
        return format!("{number:.1}");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded, sign apart, and saturating")]
    let whole = grouped(number.abs().round() as u64);
    if number <= -0.5 { format!("-{whole}") } else { whole }
}

/// Writes a length of time in its one or two largest units.
pub(crate) fn short(span: Duration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    let two = |large: u64, unit: &str, small: u64, sub: &str| {
        if small == 0 { format!("{large} {unit}") } else { format!("{large} {unit} {small} {sub}") }
    };
    match seconds {
        0 if span.subsec_millis() > 0 => format!("{} ms", span.subsec_millis()),
        0..60 => format!("{seconds} s"),
        60..600 => two(minutes, "m", seconds % 60, "s"),
        600..3600 => format!("{minutes} m"),
        3600..36000 => two(hours, "h", minutes % 60, "m"),
        36000..172_800 => format!("{hours} h"),
        _ => format!("{days} d"),
    }
}

/// Writes how far a moment is from now: `3 m` ago, or `in 3 m`.
pub(crate) fn distance(time: Timestamp, now: Timestamp) -> String {
    let distance = now.duration_since(time);
    let span = Duration::from_secs(distance.unsigned_abs().as_secs());
    if distance.is_negative() && !span.is_zero() { format!("in {}", short(span)) } else { short(span) }
}

/// Writes a moment with its date, in the operator's time zone.
pub(crate) fn moment(time: Timestamp) -> String {
    time.to_zoned(zone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

#[cfg(not(test))]
fn zone() -> jiff::tz::TimeZone {
    jiff::tz::TimeZone::system()
}

/// Snapshots are the same on every machine.
#[cfg(test)]
fn zone() -> jiff::tz::TimeZone {
    jiff::tz::TimeZone::UTC
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([grouped(0), grouped(999), grouped(1000), grouped(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [decimal(0.0), decimal(0.04), decimal(2.5), decimal(-3.2), decimal(1234.5), decimal(f64::NAN)],
            ["0", "0", "2.5", "-3.2", "1,235", "?"]
        );
        let s = |seconds| short(Duration::from_secs(seconds));
        assert_eq!(
            [s(0), s(59), s(60), s(125), s(3540), s(3700), s(36_000), s(172_800)],
            ["0 s", "59 s", "1 m", "2 m 5 s", "59 m", "1 h 1 m", "10 h", "2 d"]
        );
    }

    #[test]
    fn what_is_not_known_sorts_last() {
        let mut values = [Value::Unknown, Value::Count(2), Value::None, Value::Count(1)];
        values.sort_by(Value::order);
        assert_eq!(values[..2], [Value::Count(1), Value::Count(2)]);
    }
}
