//! From a task to Cloud Tasks (or to Pub/Sub, or to this very process): what is said of it, what it is called, what happens when it is not taken.

mod policy;
pub(crate) mod queue;
mod send;
mod when;

use std::marker::PhantomData;
use std::time::Duration;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::names::{QueueId, QueueName, TaskId};
use crate::runtime::task::Naming;
use crate::runtime::{App, Task};

pub use policy::EnqueueRetry;
pub use when::When;

/// A task that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Enqueued {
    /// Its id: that of the task, or of the message where tasks go over Pub/Sub; empty where nothing was sent (eager and disabled mode).
    pub id: String,
    /// The queue that has it.
    pub queue: Option<QueueName>,
}

/// A task about to be enqueued; begun by [`Task::enqueue`].
///
/// ```no_run
/// # use redrive::runtime::{App, Context, Outcome, Task, done};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Send { to: String }
/// # impl Task<()> for Send {
/// #     const NAME: &'static str = "Send";
/// #     async fn run(self, _: Context<()>) -> Outcome { done() }
/// # }
/// # async fn example(app: App<()>) -> redrive::Result<()> {
/// use std::time::Duration;
///
/// let task = Send { to: "ada".to_owned() };
/// let taken = task.enqueue(&app).queue("slow".parse()?).named("welcome-7".parse()?).at(Duration::from_mins(5)).send().await?;
/// println!("{}", taken.id);
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing happens until it is sent"]
pub struct Enqueue<S, T> {
    app: App<S>,
    task: &'static str,
    payload: Result<Value>,
    queue: Option<QueueId>,
    name: Naming,
    when: Due,
    headers: Vec<(String, String)>,
    dispatch_deadline: Option<Duration>,
    priority: i32,
    retry: Option<EnqueueRetry>,
    of: PhantomData<fn() -> T>,
}

/// When a task is due.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Due {
    #[default]
    Now,
    At(When),
    Until(When),
}

impl<S: Send + Sync + 'static, T: Task<S>> Enqueue<S, T> {
    pub(crate) fn new(app: App<S>, task: &T) -> Self {
        let payload = serde_json::to_value(task)
            .map_err(|error| Error::invalid(format!("task `{}` cannot be written as JSON: {error}", T::NAME)).with_source(error));
        let options = T::options();
        Self {
            app,
            task: T::NAME,
            payload,
            queue: None,
            name: options.naming,
            when: Due::Now,
            headers: Vec::new(),
            dispatch_deadline: options.dispatch_deadline,
            priority: 0,
            retry: options.retry,
            of: PhantomData,
        }
    }

    /// Calls the task otherwise than its type, with another payload: where a format has a name for each publisher.
    pub(crate) fn called(self, task: &'static str, payload: Value) -> Self {
        Self { task, payload: Ok(payload), ..self }
    }

    /// Sets the queue.
    pub fn queue(mut self, queue: QueueId) -> Self {
        self.queue = Some(queue);
        self
    }

    /// Sets the priority: the task goes to the queue that its type has for it, and to its usual one where it has none.
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Names the task: while it waits, and for some time after (Google says up to 24 hours), another of that name is refused as there already.
    pub fn named(mut self, name: TaskId) -> Self {
        self.name = Naming::Named(name);
        self
    }

    /// Names the task after its type and payload: the same payload is refused as there already for some time (Google says up to 24 hours).
    pub fn deduplicated(mut self) -> Self {
        self.name = Naming::Deduplicated;
        self
    }

    /// Sets when it is due: after a time, or at a time.
    pub fn at(mut self, when: impl Into<When>) -> Self {
        self.when = Due::At(when.into());
        self
    }

    /// Has it due at a random moment between now and `latest`.
    pub fn until(mut self, latest: impl Into<When>) -> Self {
        self.when = Due::Until(latest.into());
        self
    }

    /// Adds a header to the request that the task makes. It is there in the handler when the app propagates headers of this name.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets how long an attempt may take: 15 s to 30 min (Google's limits).
    pub fn dispatch_deadline(mut self, deadline: Duration) -> Self {
        self.dispatch_deadline = Some(deadline);
        self
    }

    /// Sets what is repeated, and how often, when Cloud Tasks does not take it.
    pub fn retry(mut self, retry: EnqueueRetry) -> Self {
        self.retry = Some(retry);
        self
    }
}
