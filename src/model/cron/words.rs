//! Schedules in words, for people.

use super::english::{Days, English, Every};
use super::unix::{Field, Unix};
use super::{NAMES_OF_DAYS, NAMES_OF_MONTHS};

pub(super) fn unix(unix: &Unix) -> String {
    let (times, on_days) = times(unix);
    let months = if unix.month.len() == 12 { String::new() } else { format!(", in {}", spans(&named_months(unix.month))) };
    let restricted = !unix.day.star || !unix.weekday.star;
    let days = match (unix.day.star, unix.weekday.star) {
        (true, true) => String::new(),
        (true, false) if unix.weekday.len() == 7 => String::new(),
        (true, false) => weekdays(unix.weekday),
        (false, true) => month_days(unix.day),
        (false, false) => format!("{} or {}", month_days(unix.day), weekdays(unix.weekday)),
    };
    match (on_days, restricted && !days.is_empty()) {
        (true, false) => format!("every day {times}{months}"),
        (true, true) if unix.day.star && unix.weekday.len() == 1 => format!("every {days} {times}{months}"),
        (_, true) => format!("{times}, {days}{months}"),
        (false, false) => format!("{times}{months}"),
    }
}

/// The part about hours and minutes, and whether it names times of the day.
fn times(unix: &Unix) -> (String, bool) {
    /// So many times of day are still read more easily than a rule.
    const LISTED_MAX: u32 = 6;
    let (minute, hour) = (unix.minute, unix.hour);
    let every_hour = hour.len() == 24;
    let minutes = match (step(minute, 60), only(minute)) {
        (Some(1), _) => "every minute".to_owned(),
        (Some(count), _) => format!("every {count} minutes"),
        (None, Some(only)) => format!("at minute {only}"),
        (None, None) => format!("at minutes {}", spans(&numbers(minute))),
    };
    match (only(minute), step(hour, 24)) {
        (Some(0), Some(1)) => ("every hour".to_owned(), false),
        (Some(only), Some(1)) => (format!("every hour at minute {only}"), false),
        (Some(0), Some(count)) => (format!("every {count} hours"), false),
        (Some(only), Some(count)) => (format!("every {count} hours at minute {only}"), false),
        (None, _) if every_hour => (minutes, false),
        (Some(only), None) if hour.len() <= 2 || (hour.len() <= LISTED_MAX && !is_run(hour)) => {
            let list: Vec<String> = hour.values().map(|hour| format!("{hour:02}:{only:02}")).collect();
            (format!("at {}", and(&list)), true)
        }
        _ if hour.len() == 1 => (format!("{minutes} past hour {}", spans(&numbers(hour))), false),
        _ => (format!("{minutes} past hours {}", spans(&numbers(hour))), false),
    }
}

pub(super) fn english(english: &English) -> String {
    match english {
        English::Interval(interval) => every(*interval),
        English::Window(interval, from, to) => format!("{} from {} to {}", every(*interval), from.strftime("%H:%M"), to.strftime("%H:%M")),
        English::Days(days, time) => format!("{} at {}", chosen(days), time.strftime("%H:%M")),
    }
}

fn every(every: Every) -> String {
    let unit = if every.hours { "hour" } else { "minute" };
    if every.count == 1 { format!("every {unit}") } else { format!("every {} {unit}s", every.count) }
}

fn chosen(days: &Days) -> String {
    let months: Vec<String> = days.months.iter().map(|&month| month_name(month)).collect();
    let named: Vec<String> = days.weekdays.iter().map(|&day| day_name(day)).collect();
    let ordinals: Vec<String> = days.ordinals.iter().map(|&number| ordinal(number)).collect();
    let of = if months.is_empty() { "every month".to_owned() } else { and(&months) };
    match (named.is_empty(), ordinals.is_empty()) {
        (_, false) if named.is_empty() => format!("on the {} of {of}", and(&ordinals)),
        (_, false) => format!("on the {} {} of {of}", and(&ordinals), and(&named)),
        (true, true) if months.is_empty() => "every day".to_owned(),
        (true, true) => format!("every day of {of}"),
        (false, true) if months.is_empty() => format!("every {}", and(&named)),
        (false, true) => format!("every {} of {of}", and(&named)),
    }
}

/// The step of a field that goes evenly through its whole range of `size`, from 0.
fn step(field: Field, size: u8) -> Option<u8> {
    let mut values = field.values();
    let (first, second) = (values.next()?, values.next()?);
    let step = second - first;
    let even = first == 0 && size.is_multiple_of(step) && field.values().eq((0..size).step_by(usize::from(step)));
    even.then_some(step)
}

fn only(field: Field) -> Option<u8> {
    if field.len() == 1 { field.values().next() } else { None }
}

/// Whether the values follow each other without a hole.
fn is_run(field: Field) -> bool {
    let mut values = field.values().peekable();
    std::iter::from_fn(|| values.next().map(|value| values.peek().is_none_or(|&next| next == value + 1))).all(|close| close)
}

fn numbers(field: Field) -> Vec<(u8, String)> {
    field.values().map(|value| (value, value.to_string())).collect()
}

fn named_months(field: Field) -> Vec<(u8, String)> {
    field.values().map(|month| (month, month_name(month))).collect()
}

fn month_days(field: Field) -> String {
    let days = if field.len() == 1 { "day" } else { "days" };
    format!("on {days} {} of the month", spans(&numbers(field)))
}

/// Weekdays from Monday on, as people count them.
fn weekdays(field: Field) -> String {
    let days: Vec<(u8, String)> = (1..=7).filter(|day| field.has(day % 7)).map(|day| (day, day_name(day % 7))).collect();
    spans(&days)
}

/// Values in words; three or more in a row become a span: `9–17` of numbers, `Monday to Friday` of names.
fn spans(values: &[(u8, String)]) -> String {
    let mut parts = Vec::new();
    for run in values.chunk_by(|a, b| a.0 + 1 == b.0) {
        match run {
            [first, _, .., last] => {
                let dash = if first.1.starts_with(|letter: char| letter.is_ascii_digit()) { "–" } else { " to " };
                parts.push(format!("{}{dash}{}", first.1, last.1));
            }
            few => parts.extend(few.iter().map(|value| value.1.clone())),
        }
    }
    and(&parts)
}

fn and(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn ordinal(number: u8) -> String {
    let suffix = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{suffix}")
}

/// The name of a day, Sunday being 0; parsing has seen to the range.
fn day_name(day: u8) -> String {
    NAMES_OF_DAYS[usize::from(day)].to_owned()
}

/// The name of a month, January being 1; parsing has seen to the range.
fn month_name(month: u8) -> String {
    NAMES_OF_MONTHS[usize::from(month) - 1].to_owned()
}
