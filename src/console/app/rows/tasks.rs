//! Rows of queues and of their tasks.

use jiff::Timestamp;

use super::{OLD, status_words};
use crate::console::app::row::{Column, Row};
use crate::console::app::value::{Value, short};
use crate::console::theme::{Role, State};
use crate::model::numbers::{QueueNumbers, Source};
use crate::model::queue::{Queue, QueueState, TaskRetry};
use crate::model::task::{Attempt, Task};

/// A queue with its numbers.
pub(crate) struct QueueRow {
    key: String,
    /// The queue.
    pub(crate) queue: Queue,
    numbers: QueueNumbers,
    state: State,
    old: bool,
}

impl QueueRow {
    /// Makes the row of a queue.
    pub(crate) fn new(queue: Queue, numbers: QueueNumbers, now: Timestamp) -> Self {
        let old = numbers.oldest.is_some_and(|oldest| now.duration_since(oldest.value).unsigned_abs() > OLD && oldest.value < now);
        let waiting = numbers.depth.is_some_and(|depth| depth.value > 0);
        let state = match queue.state {
            QueueState::Paused => State::Paused,
            QueueState::Disabled => State::Error,
            QueueState::Running | QueueState::Unknown if old && waiting => State::Warn,
            QueueState::Running | QueueState::Unknown => State::Ok,
        };
        Self { key: queue.name.to_string(), queue, numbers, state, old }
    }

    /// Returns its numbers.
    pub(crate) fn numbers(&self) -> &QueueNumbers {
        &self.numbers
    }
}

fn state_word(state: QueueState) -> &'static str {
    match state {
        QueueState::Running => "running",
        QueueState::Paused => "paused",
        QueueState::Disabled => "disabled",
        QueueState::Unknown => "?",
    }
}

fn retry_words(retry: &TaskRetry) -> String {
    let attempts = retry.attempts_max.map_or_else(|| "∞".to_owned(), |n| n.to_string());
    let within = retry.duration_max.map(|span| format!(" within {}", short(span))).unwrap_or_default();
    format!("{attempts}×{within}, {}–{}", short(retry.backoff_min), short(retry.backoff_max))
}

impl Row for QueueRow {
    const COLUMNS: &'static [Column] = &[
        Column::text("queue", "queue", 48, 0),
        Column::text("state", "state", 12, 0),
        Column::number("tasks", "tasks", 12, 0),
        Column::number("oldest", "oldest due", 12, 1),
        Column::text("trend", "trend", 12, 4),
        Column::number("run", "run/min", 9, 3),
        Column::number("busy", "busy", 6, 5),
        Column::number("limit", "limit/s", 8, 2),
        Column::number("parallel", "parallel", 9, 6),
        Column::text("retry", "retry", 30, 7),
        Column::text("location", "location", 20, 3),
        Column::number("burst", "burst", 7, Column::WIDE),
        Column::number("allowed", "allowed/s", 9, Column::WIDE),
        Column::number("purged", "purged", 9, Column::WIDE),
    ];

    fn key(&self) -> &str {
        &self.key
    }

    fn value(&self, column: usize) -> Value<'_> {
        let numbers = &self.numbers;
        match column {
            0 => Value::text(self.queue.name.id()),
            1 => Value::State(self.state, state_word(self.queue.state).into()),
            2 => Value::count(numbers.depth.map(|n| n.value)),
            3 => match (numbers.oldest, numbers.depth.map(|n| n.value)) {
                (Some(oldest), _) => Value::Time(oldest.value),
                (None, Some(0)) => Value::None,
                (None, _) => Value::Unknown,
            },
            4 => Value::Series(numbers.depth_series.values().collect()),
            5 => Value::count(numbers.executed_last_minute.map(|n| n.value)),
            6 => Value::count(numbers.concurrent.map(|n| n.value)),
            7 => Value::Number(self.queue.dispatches_per_second_max),
            8 => Value::Count(self.queue.concurrent_max.into()),
            9 => Value::text(retry_words(&self.queue.retry)),
            10 => Value::text(self.queue.name.location().id()),
            11 => Value::Count(self.queue.burst_max.into()),
            12 => numbers.effective_rate.map_or(Value::Unknown, |n| Value::Number(n.value)),
            _ => Value::time(self.queue.purge_time),
        }
    }

    fn state(&self) -> State {
        self.state
    }

    fn tone(&self, column: usize) -> Option<Role> {
        match column {
            1 => Some(self.state.role()),
            3 if self.old => Some(Role::StateWarn),
            _ => None,
        }
    }

    fn measured(&self) -> Option<(Source, Timestamp)> {
        self.numbers.depth.map(|depth| (depth.source, depth.as_of))
    }
}

/// A task.
pub(crate) struct TaskRow {
    key: String,
    /// The task.
    pub(crate) task: Task,
    status: Option<String>,
    handler: String,
}

impl TaskRow {
    /// Makes the row of a task.
    pub(crate) fn new(task: Task) -> Self {
        let status = task.last_attempt.as_ref().and_then(status_text);
        let handler = path_of(&task.request.url).to_owned();
        Self { key: task.name.to_string(), task, status, handler }
    }
}

/// Says how an attempt was answered; `None` while it has not been.
pub(crate) fn status_text(attempt: &Attempt) -> Option<String> {
    attempt.response_time?;
    let (code, text) = attempt.status.as_ref()?;
    Some(status_words(*code, text))
}

/// Returns path and query of a URL.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    if rest.len() == url.len() {
        return url;
    }
    rest.find('/').map_or("/", |at| &rest[at..])
}

impl Row for TaskRow {
    const COLUMNS: &'static [Column] = &[
        Column::text("task", "task", 32, 0),
        Column::text("handler", "handler", Column::FILL, 0),
        Column::number("attempts", "attempts", 9, 1),
        Column::number("answered", "answered", 9, 5),
        Column::text("status", "last answer", 32, 2),
        Column::number("due", "due", 12, 0),
        Column::number("age", "age", 9, 3),
        Column::text("method", "method", 7, Column::WIDE),
        Column::text("url", "url", 80, Column::WIDE),
        Column::text("account", "token of", 40, Column::WIDE),
    ];

    fn key(&self) -> &str {
        &self.key
    }

    fn value(&self, column: usize) -> Value<'_> {
        let task = &self.task;
        match column {
            0 => Value::text(task.name.id()),
            1 => Value::text(self.handler.as_str()),
            2 => Value::Count(task.dispatch_count.into()),
            3 => Value::Count(task.response_count.into()),
            4 => self.status.as_deref().map_or(Value::None, Value::text),
            5 => Value::time(task.schedule_time),
            6 => Value::time(task.create_time),
            7 => Value::text(task.request.method.as_str()),
            8 => Value::text(task.request.url.as_str()),
            _ => task.request.token_account.as_deref().map_or(Value::None, Value::text),
        }
    }

    fn state(&self) -> State {
        /// Attempts from which on a task is rather stuck than unlucky.
        const STUCK_ATTEMPTS: u32 = 5;
        let failed =
            self.task.last_attempt.as_ref().is_some_and(|a| a.response_time.is_some() && a.status.as_ref().is_some_and(|s| s.0 != 0));
        let under_way = self.task.dispatch_count > self.task.response_count;
        match self.task.dispatch_count {
            0 => State::Ok,
            count if count >= STUCK_ATTEMPTS => State::Error,
            _ if failed => State::Warn,
            _ if under_way => State::Pending,
            _ => State::Ok,
        }
    }

    fn tone(&self, column: usize) -> Option<Role> {
        (matches!(column, 2 | 4) && self.state() != State::Ok).then(|| self.state().role())
    }
}
