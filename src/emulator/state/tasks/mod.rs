//! Cloud Tasks as a pure state.
//!
//! Nothing is scanned: a queue knows its tasks by due time, and all queues stand in one order by when each can dispatch next, so a million
//! tasks for tomorrow cost nothing today. What counts against a rate is dispatches; answers free places among the concurrent ones.

mod checks;
mod cmek;
mod commands;
mod filter;
mod iam;
mod key;
mod mask;
mod names;
mod operations;
mod overrides;
mod queue;
mod quota;
mod request;
mod settings;
mod stats;
mod task;
mod throttle;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

pub(crate) use cmek::{CmekConfig, UpdateCmekConfig};
pub(crate) use commands::{
    BufferTask, CreateQueue, CreateTask, DeleteQueue, DeleteTask, Page, PauseQueue, PurgeQueue, ResumeQueue, RunTask, UpdateQueue,
};
pub(crate) use iam::{SetQueuePolicy, check_permissions};
pub(crate) use names::{queue_name, task_name};
pub(crate) use operations::{BeginOperation, EndOperation};
pub(crate) use overrides::bad_http_target;
pub(crate) use queue::{Queue, QueueState, TASK_TTL};
pub(crate) use request::http_headers;
pub(crate) use settings::{HttpOverride, QueueDraft, RateDraft, RetryDraft};
pub(crate) use task::{Attempt, Target, Task, TaskDraft, other_queue};

use super::{Answer, Effects, Moment, Refusal, Touched};
use crate::emulator::state::saved::saved;

/// A deleted queue's name cannot be used again for this time.
const QUEUE_NAME_BLOCKED: SignedDuration = SignedDuration::from_hours(3 * 24);

/// Queues and tasks.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    /// By full name.
    queues: BTreeMap<Arc<str>, Queue>,
    /// When each queue can dispatch next; those that cannot are missing.
    due: BTreeSet<(Timestamp, Arc<str>)>,
    /// Until when the names of deleted queues are blocked.
    blocked: HashMap<Arc<str>, Timestamp>,
    /// The number of the last attempt, of all queues together.
    attempts: u64,
    runs: quota::Runs,
    /// Keys of customers by location.
    keys: BTreeMap<String, String>,
    /// Where App Engine targets are sent, such as `http://localhost:8080`; without it, attempts at them fail.
    pub(super) app_engine: Option<String>,
    pub(super) touched: Touched,
    operations: operations::Operations,
}

saved!(struct Tasks { queues, due, blocked, attempts, app_engine; runs, keys, touched, operations });

impl Tasks {
    /// Forgets everything but the last attempt's number and where App Engine is.
    pub(crate) fn reset(&mut self) {
        *self = Self { attempts: self.attempts, app_engine: self.app_engine.take(), ..Self::default() };
    }

    /// The dispatcher's report on an attempt.
    pub(crate) fn answered(&mut self, task: &str, attempt: u64, answer: &Answer, at: Moment, _out: &mut Effects) {
        let Some((name, _)) = task.rsplit_once("/tasks/") else { return };
        if let Some(queue) = self.queues.get_mut(name) {
            queue.answered(attempt, answer, at.now);
            self.replan(name);
        }
    }

    /// Sends the attempts under way again.
    pub(crate) fn restart(&mut self, at: Moment, out: &mut Effects) {
        self.operations.restart();
        let names: Vec<Arc<str>> = self.queues.keys().cloned().collect();
        for name in names {
            if let Some(queue) = self.queues.get_mut(&name) {
                queue.send_again(self.app_engine.as_deref(), at.now, out);
            }
            self.replan(&name);
        }
    }

    pub(crate) fn fingerprint(&self) -> u64 {
        self.attempts.wrapping_add((self.queues.len() as u64) << 48)
    }

    /// All that fell due by `at.now`.
    pub(crate) fn tick(&mut self, at: Moment, out: &mut Effects) {
        while self.due.first().is_some_and(|(due, _)| *due <= at.now) {
            let Some((_, name)) = self.due.pop_first() else { break };
            if let Some(queue) = self.queues.get_mut(&name) {
                queue.planned = None;
                queue.expire(at.now);
                queue.dispatch_next(&mut self.attempts, self.app_engine.as_deref(), at.now, out);
                self.replan(&name);
            }
        }
    }

    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Puts a queue where it belongs in the order of dues, after anything about it has changed.
    fn replan(&mut self, name: &str) {
        let Some(name) = self.queues.get_key_value(name).map(|(name, _)| Arc::clone(name)) else { return };
        self.touched.touch(&name);
        let Some(queue) = self.queues.get_mut(&name) else { return };
        let due = queue.next_due();
        if queue.planned != due {
            if let Some(planned) = std::mem::replace(&mut queue.planned, due) {
                self.due.remove(&(planned, Arc::clone(&name)));
            }
            self.due.extend(due.map(|due| (due, name)));
        }
    }
}

fn no_queue() -> Refusal {
    Refusal::not_found("Queue does not exist. If you just created the queue, wait at least a minute for the queue to initialize.")
}

/// The same of a task, and of a queue to be deleted.
fn no_task() -> Refusal {
    Refusal::not_found("Requested entity was not found.")
}

#[cfg(test)]
mod tests;
