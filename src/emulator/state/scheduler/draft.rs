//! Jobs as clients give them: defaults and checks.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::emulator::state::Refusal;
use crate::emulator::state::target::{check_deadline, default_content_type};
use crate::model::cron::{self, Schedule};
use crate::model::message::RESERVED_PREFIX;
use crate::model::queue::TaskRetry;
use crate::names::JobName;

use super::job::{Job, JobState, JobTarget};
use crate::emulator::state::saved::saved;

/// What the service calls itself in requests.
const AGENT: &str = "Google-Cloud-Scheduler";
const DESCRIPTION_CHARS_MAX: usize = 500;
const RETRIES_MAX: i32 = 5;
/// A job's payload at most, in bytes (<https://cloud.google.com/scheduler/quotas>).
const PAYLOAD_BYTES_MAX: usize = 1024 * 1024;
/// How long an attempt may take, by kind of target.
const DEADLINE_HTTP: Duration = Duration::from_mins(3);
const DEADLINE_APP_ENGINE: Duration = Duration::from_mins(10);

/// A job as a client gave it; what is left open gets defaults.
#[derive(Debug, Clone, Default)]
pub(crate) struct JobDraft {
    pub(crate) description: String,
    pub(crate) target: Option<JobTarget>,
    pub(crate) schedule: String,
    pub(crate) time_zone: String,
    pub(crate) retry: RetryDraft,
    pub(crate) deadline: Option<Duration>,
}

saved!(struct JobDraft { description, target, schedule, time_zone, retry, deadline });

/// Zeros and nothings are open, but for `count`: no retries. Negative durations are kept to be refused.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RetryDraft {
    pub(crate) count: i32,
    pub(crate) duration: Option<SignedDuration>,
    pub(crate) backoff_min: Option<SignedDuration>,
    pub(crate) backoff_max: Option<SignedDuration>,
    pub(crate) doublings: i32,
}

saved!(struct RetryDraft { count, duration, backoff_min, backoff_max, doublings });

impl JobDraft {
    pub(super) fn check(self, name: JobName, now: Timestamp) -> Result<Job, Refusal> {
        if self.description.chars().count() > DESCRIPTION_CHARS_MAX {
            return Err(Refusal::invalid(format!("Job.description must be no longer than {DESCRIPTION_CHARS_MAX} characters.")));
        }
        let invalid = |_| Refusal::invalid("Schedule or time zone is invalid.");
        let schedule: Schedule = self.schedule.parse().map_err(invalid)?;
        let zone = cron::zone(&self.time_zone).map_err(invalid)?;
        let mut target =
            self.target.ok_or_else(|| Refusal::invalid("Job.target is required: a Pub/Sub, HTTP or App Engine HTTP target."))?;
        let deadline = check_target(&mut target, &name, self.deadline)?;
        let mut job = Job {
            name,
            description: self.description,
            target,
            schedule,
            zone_name: if self.time_zone.is_empty() { "UTC".to_owned() } else { self.time_zone },
            zone,
            state: JobState::Enabled,
            user_update_time: now,
            status: None,
            schedule_time: None,
            last_attempt_time: None,
            retry: self.retry.check()?,
            deadline,
            run: None,
            age: 0,
            planned: None,
        };
        job.reschedule(now);
        Ok(job)
    }
}

fn check_target(target: &mut JobTarget, name: &JobName, deadline: Option<Duration>) -> Result<Option<Duration>, Refusal> {
    let project = name.location().project();
    match target {
        JobTarget::Http(http) => {
            http.check("HttpTarget.uri")?;
            check_size(http.body.len())?;
            http.headers.insert("User-Agent".to_owned(), AGENT.to_owned());
            default_content_type(&mut http.headers, &http.body);
            check_deadline(deadline, DEADLINE_HTTP, false, "Job.attemptDeadline").map(Some)
        }
        JobTarget::AppEngine(app) => {
            app.check(project.id())?;
            check_size(app.body.len())?;
            check_deadline(deadline, DEADLINE_APP_ENGINE, true, "Job.attemptDeadline").map(Some)
        }
        JobTarget::PubSub { topic, message } => {
            check_size(message.data.len())?;
            if message.attributes.keys().any(|key| key.starts_with(RESERVED_PREFIX)) {
                return Err(Refusal::invalid(format!("Attribute keys must not begin with '{RESERVED_PREFIX}'.")));
            }
            if topic.project() != project {
                return Err(Refusal::invalid("The topic must be in the same project as the Cloud Scheduler job."));
            }
            if message.data.is_empty() && message.attributes.is_empty() {
                return Err(Refusal::invalid("Pubsub message must contain either non-empty data, or at least one attribute."));
            }
            Ok(None)
        }
    }
}

fn check_size(bytes: usize) -> Result<(), Refusal> {
    if bytes <= PAYLOAD_BYTES_MAX {
        return Ok(());
    }
    Err(Refusal::invalid(format!("The job's payload has {bytes} bytes; it must have no more than {PAYLOAD_BYTES_MAX}.")))
}

impl RetryDraft {
    fn check(self) -> Result<TaskRetry, Refusal> {
        let duration = |given: Option<SignedDuration>, field: &str| match given.map(Duration::try_from) {
            None => Ok(None),
            Some(Ok(duration)) => Ok(Some(duration).filter(|duration| !duration.is_zero())),
            Some(Err(_)) => Err(Refusal::invalid(format!("RetryConfig.{field} must not be negative."))),
        };
        let retries = u32::try_from(self.count).ok().filter(|_| self.count <= RETRIES_MAX);
        let retries = retries.ok_or_else(|| Refusal::invalid(format!("RetryConfig.retryCount must be between 0 and {RETRIES_MAX}.")))?;
        let doublings = u32::try_from(self.doublings).map_err(|_| Refusal::invalid("RetryConfig.maxDoublings must not be negative."))?;
        let backoff_min = duration(self.backoff_min, "minBackoffDuration")?.unwrap_or(Duration::from_secs(5));
        let backoff_max = duration(self.backoff_max, "maxBackoffDuration")?.unwrap_or(Duration::from_hours(1).max(backoff_min));
        if backoff_min > backoff_max {
            return Err(Refusal::invalid("RetryConfig.minBackoffDuration must not be greater than RetryConfig.maxBackoffDuration."));
        }
        Ok(TaskRetry {
            attempts_max: Some(retries + 1),
            duration_max: duration(self.duration, "maxRetryDuration")?,
            backoff_min,
            backoff_max,
            doublings_max: if doublings == 0 { 5 } else { doublings },
        })
    }
}

impl Job {
    /// Takes what was checked to be its new settings.
    pub(super) fn update(&mut self, new: Self, now: Timestamp) {
        self.description = new.description;
        self.target = new.target;
        self.schedule = new.schedule;
        (self.zone, self.zone_name) = (new.zone, new.zone_name);
        self.retry = new.retry;
        self.deadline = new.deadline;
        self.user_update_time = now;
        self.reschedule(now);
    }
}
