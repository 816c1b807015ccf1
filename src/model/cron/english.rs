//! App Engine's English, which Cloud Scheduler takes too:
//! `every N (minutes|hours) [synchronized | from HH:MM to HH:MM]`, and
//! `(every | ordinals) [days] [of (month | months)] HH:MM`, with lists by commas.

use std::str::FromStr;
use std::time::Duration;

use jiff::civil::{Date, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp, ToSpan};

use crate::error::{Error, Result};

use super::{NAMES_OF_DAYS, NAMES_OF_MONTHS};

const HINT: &str =
    "write it like `every 5 minutes`, `every 2 hours from 10:00 to 14:00`, `every monday 09:00` or `1st monday of month 09:00`";

/// The longest interval: about what a scheduler of days can mean by minutes.
const INTERVAL_MINUTES_MAX: u32 = 60 * 24 * 366;

/// No date repeats later than this: the rarest, a 29 February on one weekday, comes after 40 years where a century leaves a leap day out.
const SEARCH_DAYS_MAX: i32 = 366 * 41;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum English {
    /// That long after the last run.
    Interval(Every),
    /// That often within a time of day.
    Window(Every, Time, Time),
    /// At a time of chosen days.
    Days(Days, Time),
}

/// `5 minutes`, `2 hours`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Every {
    pub(super) count: u32,
    pub(super) hours: bool,
}

/// Which days of which months.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Days {
    /// Ordinals of weekdays within a month, or days of the month when no weekdays are named; empty is every one.
    pub(super) ordinals: Vec<u8>,
    /// Sunday is 0; empty is every day.
    pub(super) weekdays: Vec<u8>,
    /// January is 1; empty is every month.
    pub(super) months: Vec<u8>,
}

impl Every {
    fn duration(self) -> Duration {
        Duration::from_secs(u64::from(self.count) * if self.hours { 3600 } else { 60 })
    }
}

impl English {
    pub(super) fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Interval(every) => after.checked_add(every.duration()).ok(),
            Self::Window(every, from, to) => next_in_window(every.duration(), *from, *to, after, zone),
            Self::Days(days, time) => {
                let today = after.to_zoned(zone.clone()).date();
                dates(today, 0).filter(|date| days.has(*date)).find_map(|date| moment(date, *time, zone).filter(|&at| at > after))
            }
        }
    }
}

/// `first` and what follows it, from `offset` days on.
fn dates(first: Date, offset: i32) -> impl Iterator<Item = Date> {
    (offset..SEARCH_DAYS_MAX).map_while(move |days| first.checked_add(Span::new().days(days)).ok())
}

/// The window of yesterday may reach into today, so the search begins there.
fn next_in_window(step: Duration, from: Time, to: Time, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let today = after.to_zoned(zone.clone()).date();
    dates(today, -1).find_map(|date| {
        let first = moment(date, from, zone)?;
        let end = if to < from { date.checked_add(1.day()).ok()? } else { date };
        let last = moment(end, to, zone)?;
        let passed = after.duration_since(first).as_secs();
        let steps = if passed < 0 { 0 } else { passed.unsigned_abs() / step.as_secs() + 1 };
        let at = first.checked_add(step * u32::try_from(steps).ok()?).ok()?;
        (at <= last).then_some(at)
    })
}

/// The moment of a wall-clock time; the first after the gap that daylight saving makes, the first of two.
fn moment(date: Date, time: Time, zone: &TimeZone) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(date.to_datetime(time));
    if let AmbiguousOffset::Gap { .. } = ambiguous.offset() {
        let before = ambiguous.earlier().ok()?;
        return zone.following(before).next().map(|transition| transition.timestamp());
    }
    ambiguous.earlier().ok()
}

impl Days {
    fn has(&self, date: Date) -> bool {
        let among = |list: &[u8], value: i8| list.is_empty() || list.iter().any(|&item| i8::try_from(item) == Ok(value));
        let ordinal = if self.weekdays.is_empty() { date.day() } else { (date.day() - 1) / 7 + 1 };
        among(&self.months, date.month()) && among(&self.weekdays, date.weekday().to_sunday_zero_offset()) && among(&self.ordinals, ordinal)
    }

    /// Whether any date fits; weekdays always do, for a month has at least four of each and sometimes five.
    fn is_ever_due(&self) -> bool {
        !self.weekdays.is_empty() || {
            let leap_day = Date::constant(2024, 1, 1);
            dates(leap_day, 0).take(366).any(|date| self.has(date))
        }
    }
}

impl FromStr for English {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let lower = text.to_lowercase();
        // Blanks around commas are allowed in lists.
        let spaced = lower.replace(',', " , ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let parsed = interval(&words).or_else(|| days(&words));
        parsed.ok_or_else(|| Error::invalid(format!("`{}` is no schedule", text.escape_debug())).with_hint(HINT))
    }
}

fn interval(words: &[&str]) -> Option<English> {
    let ["every", count, unit, rest @ ..] = words else { return None };
    let hours = match *unit {
        "hour" | "hours" => true,
        "min" | "mins" | "minute" | "minutes" => false,
        _ => return None,
    };
    let count: u32 = count.bytes().all(|byte| byte.is_ascii_digit()).then(|| count.parse().ok())??;
    if count == 0 || count > INTERVAL_MINUTES_MAX / if hours { 60 } else { 1 } {
        return None;
    }
    let every = Every { count, hours };
    match rest {
        [] => Some(English::Interval(every)),
        ["synchronized"] => Some(English::Window(every, Time::midnight(), Time::constant(23, 59, 0, 0))),
        ["from", from, "to", to] => Some(English::Window(every, time(from)?, time(to)?)),
        _ => None,
    }
}

fn days(words: &[&str]) -> Option<English> {
    let (clock, words) = words.split_last()?;
    let time = time(clock)?;
    let (chosen, months) = match words.iter().position(|&word| word == "of") {
        Some(of) => (&words[..of], &words[of + 1..]),
        None => (words, &["month"][..]),
    };
    let months = if *months == ["month"] { Vec::new() } else { list(months, |word| name(word, &NAMES_OF_MONTHS).map(|index| index + 1))? };
    let (ordinals, named) = if let ["every", named @ ..] = chosen {
        (Vec::new(), named)
    } else {
        let end = chosen.iter().position(|word| *word != "," && ordinal(word).is_none()).unwrap_or(chosen.len());
        (list(&chosen[..end], ordinal)?, &chosen[end..])
    };
    let weekdays = match named {
        // `1,15 of month 09:00`: the numbers are days of the month; so are they before the word `day`.
        [] if !ordinals.is_empty() => Vec::new(),
        ["day" | "days"] => Vec::new(),
        named => list(named, |word| name(word, &NAMES_OF_DAYS))?,
    };
    let days = Days { ordinals, weekdays, months };
    let fits = days.weekdays.is_empty() || days.ordinals.iter().all(|&ordinal| ordinal <= 5);
    (fits && days.is_ever_due()).then_some(English::Days(days, time))
}

/// A list by commas, sorted, each item once.
fn list(words: &[&str], item: impl Fn(&str) -> Option<u8>) -> Option<Vec<u8>> {
    let mut items =
        words.split(|&word| word == ",").map(|part| if let [word] = part { item(word) } else { None }).collect::<Option<Vec<_>>>()?;
    items.sort_unstable();
    items.dedup();
    Some(items)
}

/// A full name, or its first three letters or more.
fn name(word: &str, names: &[&str]) -> Option<u8> {
    let fits = |full: &&str| word.len() >= 3 && full.to_lowercase().starts_with(word);
    names.iter().position(fits).and_then(|index| u8::try_from(index).ok())
}

fn ordinal(word: &str) -> Option<u8> {
    const WORDS: [&str; 5] = ["first", "second", "third", "fourth", "fifth"];
    if let Some(index) = WORDS.iter().position(|&full| full == word) {
        return u8::try_from(index + 1).ok();
    }
    let digits = word.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let suffix = &word[digits.len()..];
    let number: u8 = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
    ((1..=31).contains(&number) && ["", "st", "nd", "rd", "th"].contains(&suffix)).then_some(number)
}

/// `9:00`, `09:00`.
fn time(word: &str) -> Option<Time> {
    let (hour, minute) = word.split_once(':')?;
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<i8>().ok()).flatten();
    if hour.len() > 2 || minute.len() != 2 {
        return None;
    }
    Time::new(number(hour)?, number(minute)?, 0, 0).ok()
}
