//! Which queue a task goes to, and what happens where that is not there.

use google_cloud_tasks_v2::model as google;

use crate::error::{Error, Kind, Result};
use crate::names::{Location, QueueId, QueueName};
use crate::runtime::{App, TaskOptions};

/// What is appended to a queue's name where its own was deleted recently: Google blocks the name for days.
const BACKUP_SUFFIX: &str = "--temp";

impl<S: Send + Sync + 'static> App<S> {
    /// Returns where this app's queues and jobs are.
    pub(crate) fn location(&self) -> Location {
        Location::new(self.cloud().project().clone(), self.host().location.clone())
    }

    /// Returns the full name of a queue.
    pub(crate) fn queue_name(&self, id: &QueueId) -> QueueName {
        QueueName::new(self.location(), id.clone())
    }

    /// Returns the queue of a task: of its priority, its own, or the app's.
    pub(crate) fn queue_of(&self, options: &TaskOptions, priority: i32) -> Result<QueueName> {
        let by_priority = options.priorities.iter().find(|(of, _)| *of == priority).map(|(_, queue)| queue);
        match by_priority.or(options.queue.as_ref()) {
            Some(id) => Ok(self.queue_name(id)),
            None => Ok(self.queue_name(&self.layout().queue().parse()?)),
        }
    }

    /// Returns every queue that tasks of a type go to, unless a caller names another: its own, those of its priorities, and what stands in for them.
    pub(crate) fn queues_of(&self, options: &TaskOptions) -> Vec<QueueName> {
        let mut queues: Vec<QueueName> = options.priorities.iter().map(|(_, queue)| self.queue_name(queue)).collect();
        queues.extend(match &options.queue {
            Some(queue) => Some(self.queue_name(queue)),
            // A name that is none was refused when the app was built.
            None => self.layout().queue().parse().ok().map(|queue| self.queue_name(&queue)),
        });
        let backups: Vec<QueueName> = queues.iter().filter_map(|queue| backup_of(queue).ok()).collect();
        queues.extend(backups);
        queues.sort();
        queues.dedup();
        queues
    }

    /// Creates a queue that is missing and returns it, or, where its name was used too recently, a queue that stands in for it.
    pub(crate) async fn make_queue(&self, queue: &QueueName) -> Result<QueueName> {
        // Where tasks have a dead set this runtime counts their attempts, and Cloud Tasks must not.
        let is_endless = self.registry().tasks().any(|entry| {
            let own = self.queue_of(&entry.options, 0);
            let other = entry.options.priorities.iter().any(|(_, id)| id.as_str() == queue.id());
            entry.options.dead_set && (other || own.is_ok_and(|own| own == *queue))
        });
        match self.create_queue(queue, is_endless).await {
            Ok(()) => Ok(queue.clone()),
            Err(error) if error.kind() == Kind::FailedPrecondition => {
                let backup = backup_of(queue)?;
                tracing::warn!(target: "redrive::runtime", queue = queue.id(), backup = backup.id(), "the queue was deleted recently, another stands in for it");
                self.create_queue(&backup, is_endless).await.map(|()| backup)
            }
            Err(error) => Err(error),
        }
    }

    /// Creates a queue; one that is there is fine.
    async fn create_queue(&self, queue: &QueueName, is_endless: bool) -> Result<()> {
        let endless = is_endless.then(|| google::RetryConfig::new().set_max_attempts(-1));
        let wanted = google::Queue::new().set_name(queue.to_string()).set_or_clear_retry_config(endless);
        match self.cloud().create_queue(queue.location(), wanted).await {
            Err(error) if error.is_already_exists() => Ok(()),
            created => created,
        }
    }
}

/// Returns the queue that stands in for another.
pub(crate) fn backup_of(queue: &QueueName) -> Result<QueueName> {
    let id = format!("{}{BACKUP_SUFFIX}", queue.id());
    let id = id.parse().map_err(|error: Error| error.context(format!("no queue can stand in for `{}`", queue.id())))?;
    Ok(QueueName::new(queue.location().clone(), id))
}
