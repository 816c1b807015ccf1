//! A task, and the rules for making one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::emulator::state::Refusal;
use crate::emulator::state::target::{AppEngineTarget, HttpTarget, Outcome, Status, Token, check_deadline};
use crate::model::queue::TaskRetry;
use crate::names::QueueName;

use super::checks;
use super::names::task_name;
use super::queue::micros;
use super::settings::RetryDraft;
use crate::emulator::state::saved::{Reader, Saved, Writer, saved};

/// Name, body, headers and URL of a task together, with what the service adds.
const TASK_BYTES_MAX: usize = 1024 * 1024;
/// What the service adds to them: so much that its largest tasks fit, and those larger by one byte do not.
const TASK_BYTES_ADDED: usize = 61;
/// No task is scheduled further ahead.
const SCHEDULE_HOURS_MAX: i64 = 720;
/// Where Google's clocks that tell of it hang.
const SCHEDULE_ZONE: &str = "America/Los_Angeles";
/// How long an attempt may take unless the task says otherwise.
const DEADLINE: Duration = Duration::from_mins(10);
/// What the service calls itself in requests.
pub(super) const AGENT: &str = "Google-Cloud-Tasks";

#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) id: Arc<str>,
    pub(crate) target: Target,
    pub(crate) schedule_time: Timestamp,
    pub(crate) create_time: Timestamp,
    pub(crate) deadline: Duration,
    /// The task's own, in place of the queue's.
    pub(crate) retry: Option<TaskRetry>,
    pub(crate) dispatches: u32,
    /// Responses of the handler itself: those that are no 5xx.
    pub(crate) responses: u32,
    /// The same. Data of earlier versions has the 5xx among `responses`.
    pub(super) executions: u32,
    pub(crate) first_attempt: Option<Timestamp>,
    pub(crate) last_attempt: Option<Attempt>,
    /// What the last attempt was answered with, and why there is another.
    pub(super) previous: Option<Outcome>,
    /// The caller chose the name.
    pub(super) named: bool,
    pub(super) age: u64,
    /// Attempts without an answer yet; more than one only by `RunTask`.
    pub(super) under_way: u32,
}

saved!(struct Task { id, target, schedule_time, create_time, deadline, retry, dispatches, responses, executions, first_attempt, last_attempt, previous, named, age, under_way });

/// The task itself: it is shared with replies only.
impl Saved for Arc<Task> {
    fn save(&self, to: &mut Writer) {
        self.as_ref().save(to);
    }

    fn load(from: &mut Reader<'_>) -> crate::error::Result<Self> {
        Task::load(from).map(Self::new)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Target {
    Http(HttpTarget),
    AppEngine(AppEngineTarget),
}

saved!(enum Target { 0 = Http(target), 1 = AppEngine(target) });

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) schedule_time: Timestamp,
    pub(crate) dispatch_time: Timestamp,
    pub(crate) response_time: Option<Timestamp>,
    pub(crate) status: Option<Status>,
}

saved!(struct Attempt { schedule_time, dispatch_time, response_time, status });

/// A task as a client gave it.
#[derive(Debug, Clone, Default)]
pub(crate) struct TaskDraft {
    /// Full name; empty to have one made.
    pub(crate) name: String,
    pub(crate) target: Option<Target>,
    pub(crate) schedule_time: Option<Timestamp>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) retry: Option<RetryDraft>,
}

saved!(struct TaskDraft { name, target, schedule_time, deadline, retry });

impl TaskDraft {
    /// Checks everything but whether the name is free; `number` makes the name if none is given, and a `token` is the queue's.
    pub(super) fn check(self, queue: &QueueName, token: Option<Token>, number: u64, now: Timestamp) -> Result<Task, Refusal> {
        let named = !self.name.is_empty();
        let id = if named { self.id_in(queue)? } else { generated(number) };
        let mut target = self.target.ok_or_else(|| Refusal::invalid("Task.payload_type is not set."))?;
        let of_headers = |headers: &BTreeMap<String, String>| headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        let size = match &mut target {
            Target::Http(http) => {
                checks::check(http, token)?;
                http.body.len() + http.url.len() + of_headers(&http.headers) + "User-Agent".len() + AGENT.len()
            }
            Target::AppEngine(app) => {
                app.check(queue.location().project().id())?;
                app.body.len() + app.relative_uri.len() + of_headers(&app.headers)
            }
        };
        if size + name_bytes(queue, &id) + TASK_BYTES_ADDED > TASK_BYTES_MAX {
            return Err(Refusal::invalid("Task size too large"));
        }
        let deadline = check_deadline(self.deadline, DEADLINE, matches!(target, Target::AppEngine(_)), "Task.dispatchDeadline");
        let deadline = deadline.map_err(|refusal| match target {
            Target::Http(_) => Refusal::invalid("Task.dispatchDeadline must be between [15s, 30m]."),
            Target::AppEngine(_) => refusal,
        })?;
        Ok(Task {
            id,
            target,
            schedule_time: schedule(self.schedule_time, now)?,
            create_time: Timestamp::from_second(now.as_second()).unwrap_or(now),
            deadline: Duration::new(deadline.as_secs(), deadline.subsec_millis() * 1_000_000),
            retry: self.retry.map(RetryDraft::check).transpose()?,
            dispatches: 0,
            responses: 0,
            executions: 0,
            first_attempt: None,
            last_attempt: None,
            previous: None,
            named,
            age: 0,
            under_way: 0,
        })
    }

    fn id_in(&self, queue: &QueueName) -> Result<Arc<str>, Refusal> {
        let name = task_name(&self.name)?;
        if name.queue() != queue {
            return Err(other_queue(queue, name.queue()));
        }
        Ok(name.id().into())
    }
}

impl Task {
    /// Keeps what an attempt was answered with.
    pub(super) fn note(&mut self, outcome: &Outcome, now: Timestamp) {
        self.under_way = self.under_way.saturating_sub(1);
        let of_handler = u32::from(outcome.http.is_some_and(|status| status < 500));
        self.responses = self.responses.saturating_add(of_handler);
        self.executions = self.executions.saturating_add(of_handler);
        if let Some(last) = &mut self.last_attempt {
            last.response_time = Some(now);
            last.status = Some(outcome.status.clone());
        }
        self.previous = Some(outcome.clone());
    }
}

/// Ids as the service makes them: a long number.
fn generated(number: u64) -> Arc<str> {
    format!("{number:020}").into()
}

/// The refusal of a task that is named in another queue than the request.
pub(crate) fn other_queue(of_request: &QueueName, of_task: &QueueName) -> Refusal {
    let text = "must be the same as the queue name in the named task";
    Refusal::invalid(format!("The queue name from request ('{of_request}') {text} ('{of_task}')."))
}

/// How long a task's full name is, without making it.
fn name_bytes(queue: &QueueName, id: &str) -> usize {
    let location = queue.location();
    "projects//locations//queues//tasks/".len() + location.project().id().len() + location.id().len() + queue.id().len() + id.len()
}

fn schedule(wanted: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, Refusal> {
    let wanted = wanted.unwrap_or(now);
    if wanted.duration_since(now) > SignedDuration::from_hours(SCHEDULE_HOURS_MAX) {
        let zone = TimeZone::get(SCHEDULE_ZONE).unwrap_or(TimeZone::UTC);
        let wanted = wanted.display_with_offset(zone.to_offset(wanted));
        return Err(Refusal::invalid(format!(
            "The Task.scheduleTime, {wanted}, is too far in the future. Schedule time must be no more than {SCHEDULE_HOURS_MAX}h in the future."
        )));
    }
    Ok(micros(wanted.max(now)))
}
