//! Schedules of Cloud Scheduler: unix cron with five fields, and App Engine's English (`every monday 09:00`).
//!
//! A schedule speaks of wall-clock time in a zone. Where daylight saving leaves a time out, what was to happen at one fixed time of day happens
//! at the first moment after the gap, and what recurs within the hour goes on after it; where a time comes twice, the former happens once, the first time, and
//! the latter both times. Knows no clock: what comes next is asked with the time to start from.

mod english;
mod unix;
mod words;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::error::{Error, Result};

use english::English;
use unix::Unix;

/// A parsed schedule: when a job is due, in words and in moments.
///
/// ```
/// use jiff::tz::TimeZone;
/// use redrive::model::cron::Schedule;
///
/// let schedule: Schedule = "0 9 * * MON-FRI".parse()?;
/// let zone = TimeZone::get("Europe/Berlin").expect("a known zone");
/// let friday_noon = "2026-01-02T12:00:00Z".parse().expect("a time");
/// assert_eq!(schedule.next_after(friday_noon, &zone), "2026-01-05T08:00:00Z".parse().ok());
/// assert_eq!(schedule.in_words(), "at 09:00, Monday to Friday");
/// # Ok::<(), redrive::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    source: String,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Unix(Box<Unix>),
    English(English),
}

impl Schedule {
    /// Returns the first moment after `after` at which the schedule is due in `zone`; `None` if it never is again.
    ///
    /// A plain interval (`every 5 minutes`) counts from `after`: such a job runs that long after its last run.
    pub fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match &self.kind {
            Kind::Unix(unix) => unix.next_after(after, zone),
            Kind::English(english) => english.next_after(after, zone),
        }
    }

    /// Returns the next `count` moments after `after`, fewer if there are no more.
    ///
    /// ```
    /// use jiff::tz::TimeZone;
    /// use redrive::model::cron::Schedule;
    ///
    /// let schedule: Schedule = "every 2 hours from 10:00 to 14:00".parse()?;
    /// let after = "2026-01-02T11:00:00Z".parse().expect("a time");
    /// let hours: Vec<String> = schedule.next_n(after, &TimeZone::UTC, 3).iter().map(|at| at.strftime("%d. %H:%M").to_string()).collect();
    /// assert_eq!(hours, ["02. 12:00", "02. 14:00", "03. 10:00"]);
    /// # Ok::<(), redrive::error::Error>(())
    /// ```
    pub fn next_n(&self, after: Timestamp, zone: &TimeZone, count: usize) -> Vec<Timestamp> {
        std::iter::successors(self.next_after(after, zone), |&last| self.next_after(last, zone)).take(count).collect()
    }

    /// Says when the schedule is due, for people.
    ///
    /// ```
    /// use redrive::model::cron::Schedule;
    ///
    /// let words = |text: &str| text.parse::<Schedule>().map(|schedule| schedule.in_words());
    /// assert_eq!(words("*/5 * * * *")?, "every 5 minutes");
    /// assert_eq!(words("0 3 * * *")?, "every day at 03:00");
    /// assert_eq!(words("1st mon of month 09:00")?, "on the 1st Monday of every month at 09:00");
    /// # Ok::<(), redrive::error::Error>(())
    /// ```
    pub fn in_words(&self) -> String {
        match &self.kind {
            Kind::Unix(unix) => words::unix(unix),
            Kind::English(english) => words::english(english),
        }
    }

    /// Tells whether this is unix cron; the other form is App Engine's English.
    pub fn is_unix_cron(&self) -> bool {
        matches!(self.kind, Kind::Unix(_))
    }

    /// Tells whether it is a plain interval, which counts from the end of the last run.
    pub fn is_interval(&self) -> bool {
        matches!(self.kind, Kind::English(English::Interval(_)))
    }

    /// Returns the schedule as it was written.
    pub fn as_str(&self) -> &str {
        &self.source
    }
}

impl FromStr for Schedule {
    type Err = Error;

    /// Reads a schedule in either form.
    ///
    /// # Errors
    ///
    /// Fails with an invalid-input error that names the part that is wrong.
    fn from_str(source: &str) -> Result<Self> {
        let text = source.trim();
        // English begins with a word or an ordinal, and each of its forms has a word of letters that is no abbreviation cron knows.
        let english = text.split_whitespace().any(|word| word.eq_ignore_ascii_case("every") || word.eq_ignore_ascii_case("of"));
        let kind = if english { Kind::English(text.parse()?) } else { Kind::Unix(Box::new(text.parse()?)) };
        Ok(Self { source: text.to_owned(), kind })
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

/// Reads a time zone by its name in the tz database; none, `utc` and `UTC` are UTC.
///
/// ```
/// use redrive::model::cron::zone;
///
/// assert!(zone("Europe/Berlin").is_ok() && zone("").is_ok());
/// assert!(zone("Mars/Olympus").is_err());
/// ```
///
/// # Errors
///
/// Fails with an invalid-input error when there is no such zone.
pub fn zone(name: &str) -> Result<TimeZone> {
    if name.is_empty() || name.eq_ignore_ascii_case("utc") {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(name).map_err(|source| {
        Error::invalid(format!("`{}` is not a time zone", name.escape_debug()))
            .with_hint("zones are named as in the tz database, such as `Europe/Berlin`")
            .with_source(source)
    })
}

const NAMES_OF_DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const NAMES_OF_MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
