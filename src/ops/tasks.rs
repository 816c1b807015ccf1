//! Looks at tasks, runs one, and pauses, resumes and purges queues.

use jiff::Timestamp;

use crate::cloud::FULL_VIEW;
use crate::error::{Error, Kind, Result};
use crate::model::listing::Listing;
use crate::model::queue::Queue;
use crate::model::task::Task;
use crate::names::{QueueName, TaskName};
use crate::ops::{Ops, browse};

impl Ops {
    /// Lists at most `max` tasks of a queue with view BASIC, or FULL where `full` (needs `cloudtasks.tasks.fullView`).
    ///
    /// Without that permission the list is that of view BASIC, and `failed` says so under the queue's name.
    pub async fn tasks(&self, queue: &QueueName, full: bool, max: usize) -> Result<Listing<Task>> {
        let mut listing = Listing::empty(Timestamp::now());
        let rows = match self.cloud().list_tasks(queue, full, max).await {
            Err(error) if full && error.kind() == Kind::PermissionDenied => {
                let rows = self.cloud().list_tasks(queue, false, max).await?;
                listing.failed.push((queue.to_string(), without_bodies(error)));
                rows
            }
            answer => answer?,
        };
        browse::add(&mut listing, rows);
        listing.items.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listing)
    }

    /// Gets a task with headers and body; without them where the permission `cloudtasks.tasks.fullView` is missing (`full` tells).
    pub async fn task(&self, task: &TaskName) -> Result<Task> {
        match self.cloud().get_task(task, true).await {
            Err(error) if error.kind() == Kind::PermissionDenied => self.cloud().get_task(task, false).await,
            answer => answer,
        }
    }

    /// Runs a task now, also in a paused queue; returns it as it is after the dispatch was asked for.
    pub async fn run_task(&self, task: &TaskName) -> Result<Task> {
        self.act("task.run", task, self.cloud().run_task(task)).await
    }

    /// Pauses a queue.
    pub async fn pause_queue(&self, queue: &QueueName) -> Result<Queue> {
        self.act("queue.pause", queue, self.cloud().pause_queue(queue)).await
    }

    /// Resumes a queue.
    pub async fn resume_queue(&self, queue: &QueueName) -> Result<Queue> {
        self.act("queue.resume", queue, self.cloud().resume_queue(queue)).await
    }

    /// Deletes all tasks of a queue; takes up to a minute and cannot be undone.
    pub async fn purge_queue(&self, queue: &QueueName) -> Result<Queue> {
        self.act("queue.purge", queue, async {
            self.refuse_bulk(None, "tasks")?;
            self.cloud().purge_queue(queue).await
        })
        .await
    }
}

fn without_bodies(error: Error) -> Error {
    let hint = error.hint().map(str::to_owned);
    let error = Error::new(Kind::PermissionDenied, format!("headers and bodies are left out: permission `{FULL_VIEW}` is missing"))
        .with_source(error);
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}
