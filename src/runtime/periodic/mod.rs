//! Tasks that Cloud Scheduler calls by a schedule. What they are is declared here; provisioning makes the jobs.

mod builder;
mod table;

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::model::cron::{self, Schedule};

pub(crate) use table::{PeriodicEntry, PeriodicTasks};

/// Google's limits of an attempt of a job with an HTTP target.
const ATTEMPT_DEADLINE: (Duration, Duration) = (Duration::from_secs(15), Duration::from_mins(30));
/// Google's limit of a job's retries.
const RETRIES_MAX: u32 = 5;
/// The zone of a schedule that names none.
const ZONE_DEFAULT: &str = "Etc/UTC";

/// A schedule, with what its runs carry; for [`Builder::scheduled`](crate::runtime::Builder::scheduled).
///
/// ```
/// use std::time::Duration;
/// use redrive::runtime::Periodic;
///
/// #[derive(serde::Serialize)]
/// struct Report { days: u32 }
///
/// let weekly = Periodic::new("0 6 * * MON", "Europe/Paris")
///     .named("WeeklyReport")
///     .description("what was sold last week")
///     .payload(Report { days: 7 })
///     .retries(3)
///     .attempt_deadline(Duration::from_mins(5));
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Periodic {
    schedule: String,
    zone: String,
    name: Option<String>,
    description: String,
    headers: Vec<(String, String)>,
    payload: Option<std::result::Result<Value, String>>,
    retries: u32,
    attempt_deadline: Option<Duration>,
    token: bool,
}

impl Periodic {
    /// Begins with a schedule (unix cron with five fields, or App Engine's English) and the name of a zone in the tz database; none is UTC.
    pub fn new(schedule: impl Into<String>, zone: impl Into<String>) -> Self {
        Self {
            schedule: schedule.into(),
            zone: zone.into(),
            name: None,
            description: String::new(),
            headers: Vec::new(),
            payload: None,
            retries: 0,
            attempt_deadline: None,
            token: true,
        }
    }

    /// Names the job, without the app's prefix; else it is called as its task. One task may have several jobs, with names of their own.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Says what it is for.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Adds a header to its requests. It is there in the handler when the app propagates headers of this name.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets what the handler gets: a value of the task's type, or what that is read from. Without it that is nothing (`{}` or `null`).
    pub fn payload(mut self, payload: impl Serialize) -> Self {
        self.payload = Some(serde_json::to_value(&payload).map_err(|error| error.to_string()));
        self
    }

    /// Sets how often a run that failed is tried again, 0 to 5; 0 without this: the next run is the next try.
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Sets how long an attempt may take: 15 s to 30 min. Without this it is what the task says, or 30 min.
    pub fn attempt_deadline(mut self, deadline: Duration) -> Self {
        self.attempt_deadline = Some(deadline);
        self
    }

    /// Has the requests come without an OIDC token: something else must guard the endpoint then.
    pub fn without_token(mut self) -> Self {
        self.token = false;
        self
    }

    /// Checks it against Google's limits, and what its payload becomes against its task.
    fn check(&self) -> Result<()> {
        self.schedule.parse::<Schedule>()?;
        cron::zone(&self.zone)?;
        if self.retries > RETRIES_MAX {
            return Err(Error::invalid(format!("{} retries are more than {RETRIES_MAX}", self.retries)));
        }
        let (shortest, longest) = ATTEMPT_DEADLINE;
        if let Some(deadline) = self.attempt_deadline.filter(|deadline| !(shortest..=longest).contains(deadline)) {
            return Err(Error::invalid(format!("an attempt deadline of {} s is not between 15 s and 30 min", deadline.as_secs())));
        }
        for (name, value) in &self.headers {
            if name.parse::<http::HeaderName>().is_err() || value.parse::<http::HeaderValue>().is_err() {
                return Err(Error::invalid(format!("`{}` with this value is no header", name.escape_debug())));
            }
        }
        match &self.payload {
            Some(Err(why)) => Err(Error::invalid(format!("its payload cannot be written as JSON: {why}"))),
            _ => Ok(()),
        }
    }
}
