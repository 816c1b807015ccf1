//! A job: its schedule, its execution, its attempts.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::emulator::state::pubsub::Draft;
use crate::emulator::state::saved::saved;
use crate::emulator::state::target::{AppEngineTarget, HttpTarget, NO_APP_ENGINE, Routing, Status, code_name, encode};
use crate::emulator::state::{Caller, HttpCall, Refusal};
use crate::model::cron::Schedule;
use crate::model::queue::TaskRetry;
use crate::names::{JobName, TopicName};

#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) name: JobName,
    pub(crate) description: String,
    pub(crate) target: JobTarget,
    pub(crate) schedule: Schedule,
    pub(crate) zone_name: String,
    pub(super) zone: TimeZone,
    pub(crate) state: JobState,
    pub(crate) user_update_time: Timestamp,
    /// How the last attempt ended.
    pub(crate) status: Option<Status>,
    /// When it starts next, by schedule or as a retry.
    pub(crate) schedule_time: Option<Timestamp>,
    pub(crate) last_attempt_time: Option<Timestamp>,
    /// `attempts_max` counts the first attempt too.
    pub(crate) retry: TaskRetry,
    /// For HTTP and App Engine targets.
    pub(crate) deadline: Option<Duration>,
    pub(super) run: Option<Run>,
    pub(super) age: u64,
    /// Where the job stands in the order of all jobs.
    pub(super) planned: Option<Timestamp>,
}

saved!(struct Job { name, description, target, schedule, zone_name, zone, state, user_update_time, status, schedule_time, last_attempt_time, retry, deadline, run, age, planned });

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobState {
    Enabled,
    Paused,
}

saved!(enum JobState { 0 = Enabled, 1 = Paused });

#[derive(Debug, Clone)]
pub(crate) enum JobTarget {
    Http(HttpTarget),
    AppEngine(AppEngineTarget),
    PubSub { topic: TopicName, message: Draft },
}

saved!(enum JobTarget { 0 = Http(target), 1 = AppEngine(target), 2 = PubSub { topic, message } });

/// An execution: an attempt by schedule, and its retries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// What time of the schedule it is for.
    scheduled: Timestamp,
    first_attempt: Timestamp,
    failures: u32,
    under_way: bool,
}

saved!(struct Run { scheduled, first_attempt, failures, under_way });

/// What an attempt comes to.
pub(super) enum Sent {
    Call(HttpCall),
    Publication { topic: String, message: Draft },
    Nowhere(String),
}

/// How a publication ended.
pub(super) fn status_of(outcome: Result<String, Refusal>) -> Status {
    match outcome {
        Ok(_) => Status { code: 0, message: String::new() },
        Err(refusal) => {
            let code = refusal.code as i32;
            Status { code, message: format!("{}({code}): {}", code_name(code), refusal.message) }
        }
    }
}

impl Job {
    /// When it starts by itself: not while an attempt of the schedule is under way.
    pub(super) fn next_start(&self) -> Option<Timestamp> {
        let idle = !self.run.is_some_and(|run| run.under_way);
        self.schedule_time.filter(|_| idle && self.state == JobState::Enabled)
    }

    fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        self.schedule.next_after(after, &self.zone)
    }

    /// Begins from the schedule as if new.
    pub(super) fn reschedule(&mut self, now: Timestamp) {
        self.run = self.run.filter(|run| run.under_way);
        self.schedule_time = if self.state == JobState::Enabled { self.next_after(now) } else { None };
    }

    /// Begins an execution that is due, or its next attempt.
    pub(super) fn start(&mut self, now: Timestamp) {
        let scheduled = self.schedule_time.unwrap_or(now);
        let run = self.run.get_or_insert(Run { scheduled, first_attempt: now, failures: 0, under_way: true });
        run.under_way = true;
        self.schedule_time = self.next_after(now);
    }

    /// The request of an attempt.
    pub(super) fn request(&mut self, attempt: u64, forced: bool, app_engine: Option<&str>, now: Timestamp) -> Sent {
        self.last_attempt_time = Some(now);
        let scheduled = self.run.filter(|_| !forced).map_or(now, |run| run.scheduled);
        let caller = Caller::Job { job: self.name.to_string(), attempt };
        let timeout = self.deadline.unwrap_or_default();
        match &self.target {
            JobTarget::PubSub { topic, message } => Sent::Publication { topic: topic.to_string(), message: message.clone() },
            JobTarget::Http(http) => {
                let url = encode(&http.url).into_owned();
                let token = http.token.as_ref().map(|token| token.kind(&url));
                let headers = self.headers(&http.headers, scheduled);
                Sent::Call(HttpCall { caller, method: http.method.as_str(), url, headers, body: http.body.clone(), timeout, token })
            }
            JobTarget::AppEngine(app) => {
                let Some(base) = app_engine else { return Sent::Nowhere(NO_APP_ENGINE.to_owned()) };
                let url = encode(&format!("{}{}", base.trim_end_matches('/'), app.relative_uri)).into_owned();
                let mut headers = self.headers(&app.headers, scheduled);
                headers.extend(app.routing.as_ref().map(Routing::header));
                Sent::Call(HttpCall { caller, method: app.method.as_str(), url, headers, body: app.body.clone(), timeout, token: None })
            }
        }
    }

    fn headers<'a>(&self, own: impl IntoIterator<Item = (&'a String, &'a String)>, scheduled: Timestamp) -> Vec<(String, String)> {
        let mut headers: Vec<_> = own.into_iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        headers.push(("X-CloudScheduler".to_owned(), "true".to_owned()));
        headers.push(("X-CloudScheduler-JobName".to_owned(), self.name.id().to_owned()));
        if self.schedule.is_unix_cron() {
            headers.push(("X-CloudScheduler-ScheduleTime".to_owned(), scheduled.to_string()));
        }
        headers
    }

    /// Takes in how an attempt ended, and plans what comes next.
    pub(super) fn finish(&mut self, status: Status, forced: bool, now: Timestamp) {
        let success = status.code == 0;
        self.status = Some(status);
        if forced && !success {
            self.retry_forced(now);
        }
        let Some(run) = self.run.as_mut().filter(|_| !forced) else { return };
        run.under_way = false;
        run.failures += u32::from(!success);
        let run = *run;
        if self.state == JobState::Paused {
            self.run = None;
            return;
        }
        // What fell due during the run starts now, late but once.
        let next = if self.schedule.is_interval() { self.next_after(now) } else { self.next_after(run.first_attempt) };
        let retry = self.retry_at(run, now).filter(|&retry| !success && next.is_none_or(|next| retry < next));
        if retry.is_none() {
            self.run = None;
        }
        self.schedule_time = retry.or(next);
    }

    /// Plans the retry of a failed attempt by hand, unless an execution goes on or the schedule comes first.
    fn retry_forced(&mut self, now: Timestamp) {
        if self.run.is_some() || self.state != JobState::Enabled {
            return;
        }
        let begun = self.last_attempt_time.unwrap_or(now);
        let run = Run { scheduled: begun, first_attempt: begun, failures: 1, under_way: false };
        if let Some(retry) = self.retry_at(run, now).filter(|&retry| self.schedule_time.is_none_or(|next| retry < next)) {
            self.run = Some(run);
            self.schedule_time = Some(retry);
        }
    }

    /// When a failed run is tried again, if it is.
    fn retry_at(&self, run: Run, now: Timestamp) -> Option<Timestamp> {
        let since_first = Duration::try_from(now.duration_since(run.first_attempt)).unwrap_or_default();
        // Without retries in number there are none, whatever the time limit says.
        if self.retry.attempts_max == Some(1) || self.retry.gives_up(run.failures, since_first) {
            return None;
        }
        now.checked_add(SignedDuration::try_from(self.retry.backoff().delay(run.failures)).ok()?).ok()
    }
}
