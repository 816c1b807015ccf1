//! Rows of scheduled jobs.

use super::status_words;
use crate::console::app::row::{Column, Row};
use crate::console::app::value::Value;
use crate::console::theme::{Role, State};
use crate::model::job::{Job, JobState, JobTarget};

/// A scheduled job.
pub(crate) struct JobRow {
    key: String,
    /// The job.
    pub(crate) job: Job,
    words: String,
    target: String,
    status: Option<String>,
}

impl JobRow {
    /// Makes the row of a job.
    pub(crate) fn new(job: Job) -> Self {
        let status = job.status.as_ref().map(|(code, text)| status_words(*code, text));
        Self { key: job.name.to_string(), words: in_words(&job.schedule), target: target_text(&job.target), status, job }
    }

    /// Tells whether the last run failed.
    pub(crate) fn failing(&self) -> bool {
        self.job.status.as_ref().is_some_and(|(code, _)| *code != 0)
    }

    /// Returns how the last run ended, in words.
    pub(crate) fn status(&self) -> Option<&str> {
        self.status.as_deref()
    }
}

/// Says what a run does.
pub(crate) fn target_text(target: &JobTarget) -> String {
    match target {
        JobTarget::PubSub(topic) => format!("topic {}", topic.id()),
        JobTarget::Http { method, url } => format!("{method} {url}"),
        JobTarget::AppEngine { method, relative_uri } => format!("App Engine {method} {relative_uri}"),
        JobTarget::Unknown => "?".to_owned(),
    }
}

/// Says the common schedules in words; others stay as they are.
pub(crate) fn in_words(schedule: &str) -> String {
    const DAYS: [&str; 8] = ["Sundays", "Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays"];
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    let small = |text: &str| text.parse::<u8>().ok();
    let named =
        |text: &str| (0..7).zip(DAYS).find(|(_, day)| text.len() == 3 && day[..3].eq_ignore_ascii_case(text)).map(|(number, _)| number);
    let weekday = |text: &str| small(text).or_else(|| named(text));
    let every = |text: &str| text.strip_prefix("*/").and_then(|n| n.parse::<u8>().ok());
    match fields[..] {
        ["*", "*", "*", "*", "*"] => "every minute".to_owned(),
        [minute, "*", "*", "*", "*"] => match (every(minute), small(minute)) {
            (Some(n), _) => format!("every {n} minutes"),
            (_, Some(at)) => format!("every hour at :{at:02}"),
            _ => schedule.to_owned(),
        },
        [minute, hour, "*", "*", day] => match (small(minute), small(hour), every(hour), weekday(day)) {
            (Some(m), Some(h), _, _) if day == "*" => format!("every day at {h:02}:{m:02}"),
            (Some(m), _, Some(n), _) if day == "*" => format!("every {n} hours at :{m:02}"),
            (Some(m), Some(h), _, Some(d)) if d < 8 => format!("{} at {h:02}:{m:02}", DAYS[usize::from(d)]),
            (Some(m), Some(h), _, _) if day == "1-5" => format!("weekdays at {h:02}:{m:02}"),
            _ => schedule.to_owned(),
        },
        [minute, hour, day, "*", "*"] => match (small(minute), small(hour), small(day)) {
            (Some(m), Some(h), Some(d)) => format!("day {d} of the month at {h:02}:{m:02}"),
            _ => schedule.to_owned(),
        },
        _ => schedule.to_owned(),
    }
}

impl Row for JobRow {
    const COLUMNS: &'static [Column] = &[
        Column::text("job", "job", 40, 0),
        Column::text("state", "state", 13, 0),
        Column::text("schedule", "schedule", 28, 1),
        Column::text("zone", "time zone", 20, 6),
        Column::number("next", "next run", 12, 0),
        Column::number("last", "last run", 10, 2),
        Column::text("status", "last result", 36, 1),
        Column::text("target", "target", Column::FILL, 3),
        Column::text("location", "location", 20, 5),
        Column::text("cron", "cron", 20, Column::WIDE),
    ];

    fn key(&self) -> &str {
        &self.key
    }

    fn value(&self, column: usize) -> Value<'_> {
        let job = &self.job;
        match column {
            0 => Value::text(job.name.id()),
            1 => Value::State(
                self.state(),
                match job.state {
                    JobState::Enabled => "enabled",
                    JobState::Paused => "paused",
                    JobState::Disabled => "disabled",
                    JobState::UpdateFailed => "update failed",
                    JobState::Unknown => "?",
                }
                .into(),
            ),
            2 => Value::text(self.words.as_str()),
            3 => Value::text(if job.time_zone.is_empty() { "UTC" } else { &job.time_zone }),
            4 if job.state != JobState::Enabled => Value::None,
            4 => Value::time(job.next_run),
            5 => Value::time(job.last_attempt),
            6 => self.status.as_deref().map_or(Value::None, Value::text),
            7 => Value::text(self.target.as_str()),
            8 => Value::text(job.name.location().id()),
            _ => Value::text(job.schedule.as_str()),
        }
    }

    fn state(&self) -> State {
        match self.job.state {
            JobState::Paused => State::Paused,
            JobState::Disabled | JobState::UpdateFailed => State::Error,
            JobState::Enabled | JobState::Unknown if self.failing() => State::Error,
            JobState::Enabled | JobState::Unknown => State::Ok,
        }
    }

    fn tone(&self, column: usize) -> Option<Role> {
        match column {
            1 if self.job.state != JobState::Enabled => Some(self.state().role()),
            6 if self.failing() => Some(Role::StateError),
            6 => Some(Role::FgMuted),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn common_schedules_become_words() {
        let cases = [
            ("* * * * *", "every minute"),
            ("*/5 * * * *", "every 5 minutes"),
            ("0 3 * * *", "every day at 03:00"),
            ("15 * * * *", "every hour at :15"),
            ("0 */6 * * *", "every 6 hours at :00"),
            ("30 9 * * 1", "Mondays at 09:30"),
            ("0 9 * * MON", "Mondays at 09:00"),
            ("30 9 * * 1-5", "weekdays at 09:30"),
            ("0 0 1 * *", "day 1 of the month at 00:00"),
            ("0 0 1 1 *", "0 0 1 1 *"),
            ("every 5 minutes", "every 5 minutes"),
            ("", ""),
        ];
        for (cron, words) in cases {
            assert_eq!(in_words(cron), words);
        }
    }
}
