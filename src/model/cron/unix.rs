//! Unix cron as Cloud Scheduler takes it: five fields; lists, ranges, steps, names; no extensions of other crons.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::error::{Error, Result};

const HINT: &str = "a schedule has five fields, `minute hour day-of-month month day-of-week`, or is English such as `every 5 minutes`";

/// Five fields, and the search made of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unix {
    pub(super) minute: Field,
    pub(super) hour: Field,
    pub(super) day: Field,
    pub(super) month: Field,
    pub(super) weekday: Field,
    search: croner::Cron,
}

/// The values at which a field matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    bits: u64,
    /// It is written `*`: for the days, that leaves the other field to decide alone.
    pub(super) star: bool,
}

impl Field {
    pub(super) fn has(self, value: u8) -> bool {
        self.bits >> value & 1 == 1
    }

    pub(super) fn values(self) -> impl Iterator<Item = u8> {
        (0..64).filter(move |&value| self.has(value))
    }

    pub(super) fn len(self) -> u32 {
        self.bits.count_ones()
    }

    /// As a list of numbers, which every cron understands alike.
    fn plain(self) -> String {
        if self.star { "*".to_owned() } else { self.values().map(|value| value.to_string()).collect::<Vec<_>>().join(",") }
    }
}

/// What a field holds and how it is called in errors.
struct Rule {
    what: &'static str,
    min: u8,
    max: u8,
    /// Names of the values from `min` on.
    names: &'static [&'static str],
}

const MINUTE: Rule = Rule { what: "a minute", min: 0, max: 59, names: &[] };
const HOUR: Rule = Rule { what: "an hour", min: 0, max: 23, names: &[] };
const DAY: Rule = Rule { what: "a day of the month", min: 1, max: 31, names: &[] };
const MONTH: Rule =
    Rule { what: "a month", min: 1, max: 12, names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"] };
/// Sunday is 0 and 7.
const WEEKDAY: Rule = Rule { what: "a day of the week", min: 0, max: 7, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

/// The longest each month can be.
const DAYS_OF_MONTHS: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

impl Unix {
    pub(super) fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let next = self.search.find_next_occurrence(&after.to_zoned(zone.clone()), false).ok()?;
        Some(next.timestamp())
    }

    /// Whether any date fits: `0 0 30 2 *` is well formed and never due.
    fn is_ever_due(&self) -> bool {
        self.day.star
            || !self.weekday.star
            || self.month.values().any(|month| self.day.values().any(|day| day <= DAYS_OF_MONTHS[usize::from(month) - 1]))
    }
}

impl FromStr for Unix {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(Error::invalid(format!("`{}` has {} fields, not five", text.escape_debug(), fields.len())).with_hint(HINT));
        };
        let (minute, hour, day) = (MINUTE.read(minute)?, HOUR.read(hour)?, DAY.read(day)?);
        let (month, mut weekday) = (MONTH.read(month)?, WEEKDAY.read(weekday)?);
        weekday.bits = (weekday.bits | weekday.bits >> 7) & 0x7f;
        let plain = [minute, hour, day, month, weekday].map(Field::plain).join(" ");
        let search = plain
            .parse()
            .map_err(|source| Error::invalid(format!("`{}` is no schedule", text.escape_debug())).with_hint(HINT).with_source(source))?;
        let unix = Self { minute, hour, day, month, weekday, search };
        if unix.is_ever_due() {
            Ok(unix)
        } else {
            Err(Error::invalid(format!("`{}` is never due: no such date exists", text.escape_debug())).with_hint(HINT))
        }
    }
}

impl Rule {
    /// Reads a field: a list of `*`, `n`, `a-b`, each range with `/step` if wanted.
    fn read(&self, field: &str) -> Result<Field> {
        let mut bits = 0;
        for item in field.split(',') {
            bits |= self.item(item).ok_or_else(|| self.refuse(item))?;
        }
        Ok(Field { bits, star: field == "*" })
    }

    fn item(&self, item: &str) -> Option<u64> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(number(step).filter(|&step| step > 0)?)),
            None => (item, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (self.min, self.max),
            Some((first, last)) => self.range(first, last)?,
            // A step needs a range to step through; other crons guess at one.
            None if step.is_some() => return None,
            None => (self.value(range)?, self.value(range)?),
        };
        let step = usize::from(step.unwrap_or(1));
        Some((first..=last).step_by(step).fold(0, |bits, value| bits | 1 << value))
    }

    fn range(&self, first: &str, last: &str) -> Option<(u8, u8)> {
        let (first, mut last_value) = (self.value(first)?, self.value(last)?);
        // `fri-sun`: as the end of a range, Sunday closes the week.
        if self.what == WEEKDAY.what && last_value == 0 && first > 0 && number(last).is_none() {
            last_value = 7;
        }
        (first <= last_value).then_some((first, last_value))
    }

    fn value(&self, text: &str) -> Option<u8> {
        if let Some(index) = self.names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
            return u8::try_from(index).ok().map(|index| index + self.min);
        }
        number(text).filter(|value| (self.min..=self.max).contains(value))
    }

    fn refuse(&self, item: &str) -> Error {
        Error::invalid(format!("`{}` is not {} ({} to {})", item.escape_debug(), self.what, self.min, self.max)).with_hint(HINT)
    }
}

/// Digits only: no sign, no blank.
fn number(text: &str) -> Option<u8> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
