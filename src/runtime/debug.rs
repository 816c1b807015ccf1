//! Stored tasks from code: run one in this process with its real payload and metadata, discard one or many.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::model::task::Task as Stored;
use crate::names::{QueueName, TaskName};
use crate::runtime::delivery::Ended;
use crate::runtime::propagation::Headers;
use crate::runtime::wire::{Incoming, Route};
use crate::runtime::{App, Origin, Task, TaskInfo};

/// Deletions under way at once: Cloud Tasks takes 6,000,000 calls a minute and region, and one connection a hundred streams.
const DELETIONS_AT_ONCE: usize = 20;
/// Tasks of a queue that are looked through; listing is limited to 600 pages of 1,000 a minute and region.
const TASKS_MAX: usize = 100_000;

/// What a stored task came to when it was run here.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Tried {
    /// The handler's name.
    pub task: String,
    /// Whether Cloud Tasks would have been told that it is done.
    pub settled: bool,
    /// What the handler returned.
    pub result: Value,
    /// Why it failed or was discarded, in the handler's words: not escaped.
    pub why: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// What became of tasks that were to be discarded.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Discarded {
    /// Names of those deleted.
    pub deleted: Vec<TaskName>,
    /// Those that were gone already: done, or deleted by somebody else.
    pub gone: u64,
    /// Those that could not be deleted.
    pub failed: Vec<(TaskName, Error)>,
    /// Whether there were more than were looked at.
    pub cut: bool,
}

impl<S: Send + Sync + 'static> App<S> {
    /// Runs a stored task in this process, with its real payload and metadata. The task itself stays as it is. Needs the permission
    /// `cloudtasks.tasks.fullView`.
    ///
    /// # Errors
    ///
    /// Fails when the task is not there, is none of this app's, or may not be read. That its work fails is no error.
    pub async fn debug_task(&self, name: &TaskName) -> Result<Tried> {
        let stored = self.cloud().get_task(name, true).await?;
        let read = self.read_stored(&stored)?;
        let entry = self.registry().task(&read.name).ok_or_else(|| not_ours(name, &read.name))?;
        let all = stored.request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let headers = Headers::only(&self.config().propagated, all);
        let begun = Instant::now();
        let ended = self.do_task(entry, read.payload, Origin::Task(info_of(&stored)), headers).await;
        Ok(tried(read.name, ended, begun.elapsed()))
    }

    /// Discards a stored task. One that is gone is fine.
    ///
    /// # Errors
    ///
    /// Fails with what Cloud Tasks says.
    pub async fn discard_task(&self, name: &TaskName) -> Result<()> {
        match self.cloud().delete_task(name).await {
            Err(error) if error.is_not_found() => Ok(()),
            deleted => deleted,
        }
    }

    /// Discards the waiting tasks of a type, in all queues that it uses; those with fewer than `attempts_min` attempts stay. Where its format has the name in
    /// the payload this needs the permission `cloudtasks.tasks.fullView`.
    ///
    /// # Errors
    ///
    /// Fails when the type is not registered or a queue cannot be listed; what could not be deleted is in the answer.
    pub async fn discard_tasks<T: Task<S>>(&self, attempts_min: u32) -> Result<Discarded> {
        self.discard_named(T::NAME, attempts_min).await
    }

    /// The same, by the name of the task.
    ///
    /// # Errors
    ///
    /// As [`discard_tasks`](Self::discard_tasks).
    pub async fn discard_named(&self, task: &str, attempts_min: u32) -> Result<Discarded> {
        let is_doomed = |stored: Stored| (stored.dispatch_count >= attempts_min).then_some(stored.name);
        let (doomed, cut) = self.stored_tasks(task, !self.layout().names_in_path(), TASKS_MAX, is_doomed).await?;
        let mut report = Discarded { cut, ..Discarded::default() };
        let mut deletions = stream::iter(doomed)
            .map(|name| async move {
                let deleted = self.cloud().delete_task(&name).await;
                (name, deleted)
            })
            .buffer_unordered(DELETIONS_AT_ONCE);
        while let Some((name, deleted)) = deletions.next().await {
            match deleted {
                Ok(()) => report.deleted.push(name),
                Err(error) if error.is_not_found() => report.gone += 1,
                Err(error) => report.failed.push((name, error)),
            }
        }
        Ok(report)
    }

    /// Returns what `keep` makes of the waiting tasks of a type, in all queues that it uses, and whether there were more in one than were looked at. Of all others
    /// nothing stays in memory for longer than their page.
    pub(crate) async fn stored_tasks<T>(
        &self,
        task: &str,
        full: bool,
        max: usize,
        keep: impl Fn(Stored) -> Option<T>,
    ) -> Result<(Vec<T>, bool)> {
        let (mut found, mut cut) = (Vec::new(), false);
        let keep_own = |stored: Stored| {
            let is_own = self.read_stored(&stored).is_ok_and(|read| read.name == task);
            is_own.then(|| keep(stored)).flatten()
        };
        for queue in self.queues_of_task(task)? {
            let (kept, truncated) = match self.cloud().filter_tasks(&queue, full, max, keep_own).await {
                // Nothing was ever enqueued there.
                Err(error) if error.is_not_found() => continue,
                listed => listed?,
            };
            cut |= truncated;
            found.extend(kept);
        }
        Ok((found, cut))
    }

    /// Returns every queue that tasks of a type go to: its own, those of its priorities, and what stands in for them.
    fn queues_of_task(&self, task: &str) -> Result<Vec<QueueName>> {
        let entry = self.registry().task(task).ok_or_else(|| {
            Error::invalid(format!("task `{}` is not registered in this app", task.escape_debug())).with_hint(format!(
                "it has {}",
                self.registry().tasks().map(|entry| format!("`{}`", entry.name)).collect::<Vec<_>>().join(", ")
            ))
        })?;
        Ok(self.queues_of(&entry.options))
    }

    /// Returns the payload of a stored task of this app.
    #[cfg(feature = "testing")]
    pub(crate) fn payload_of(&self, stored: &Stored) -> Result<bytes::Bytes> {
        self.read_stored(stored).map(|read| read.payload)
    }

    /// Reads the handler's name and the payload off a stored task.
    fn read_stored(&self, stored: &Stored) -> Result<Incoming> {
        let foreign = || not_ours(&stored.name, &stored.request.url);
        let path = stored.request.url.strip_prefix(&self.layout().url("")).ok_or_else(foreign)?;
        let Some(Route::Task(name)) = self.layout().route(path.split('?').next().unwrap_or_default()) else { return Err(foreign()) };
        self.layout()
            .decode(name, stored.request.body.clone())
            .map_err(|why| Error::invalid(format!("task `{}` cannot be read: {}", stored.name.id(), why.0)))
    }
}

fn not_ours(name: &TaskName, what: &str) -> Error {
    Error::invalid(format!("task `{}` is for `{}`, which this app does not have", name.id(), what.escape_debug()))
        .with_hint("tasks are known by the service's URL and the name of a registered task")
}

/// What a handler would be told of the next attempt.
fn info_of(stored: &Stored) -> TaskInfo {
    TaskInfo {
        queue: Some(stored.name.queue().clone()),
        name: Some(stored.name.clone()),
        retry_count: stored.dispatch_count,
        execution_count: stored.response_count,
        eta: Some(stored.schedule_time.unwrap_or_else(Timestamp::now)),
        ..TaskInfo::default()
    }
}

fn tried(task: String, ended: Ended, took: Duration) -> Tried {
    let (settled, why) = (ended.is_settled(), ended.why());
    let result = if let Ended::Done(result) = ended { result } else { Value::Null };
    Tried { task, settled, result, why, took }
}
