//! A task: a payload with its work, and how it is enqueued unless told otherwise.

use std::future::Future;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::Result;
use crate::names::{QueueId, TaskId};
use crate::runtime::{App, Context, Enqueue, EnqueueRetry, Enqueued, Outcome, When};

/// Work that is done later, elsewhere: the payload is the value itself, the work is [`run`](Task::run).
///
/// ```
/// use redrive::runtime::{Context, Outcome, Task, discard, done};
/// use serde::{Deserialize, Serialize};
///
/// struct Shop;
///
/// #[derive(Serialize, Deserialize)]
/// struct SendWelcomeEmail { user_id: u64 }
///
/// impl Task<Shop> for SendWelcomeEmail {
///     const NAME: &'static str = "SendWelcomeEmail";
///
///     async fn run(self, cx: Context<Shop>) -> Outcome {
///         if self.user_id == 0 { return discard("nobody"); }
///         if cx.attempt().is_last() { eprintln!("this is the last attempt"); }
///         done()
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a task of an app with the state `{S}`",
    label = "not a task",
    note = "a task implements `redrive::runtime::Task<{S}>`: a `NAME`, and `async fn run(self, cx: Context<{S}>) -> Outcome`",
    note = "its payload is the type itself: derive `serde::Serialize` and `serde::Deserialize` for it"
)]
pub trait Task<S: Send + Sync + 'static>: Serialize + DeserializeOwned + Send + 'static {
    /// What it is called in URLs, in payloads and in the log: 1 to 100 letters, digits, `-`, `_` and `.`. Unlike the type's name it must not change while
    /// tasks of it are waiting.
    const NAME: &'static str;

    /// Returns how it is enqueued unless the caller says otherwise.
    fn options() -> TaskOptions {
        TaskOptions::default()
    }

    /// Does the work. It may be done more than once: Cloud Tasks delivers at least once.
    fn run(self, cx: Context<S>) -> impl Future<Output = Outcome> + Send;

    /// Enqueues it, due at once.
    ///
    /// # Errors
    ///
    /// As [`Enqueue::send`].
    fn asap(self, app: &App<S>) -> impl Future<Output = Result<Enqueued>> + Send {
        self.enqueue(app).send()
    }

    /// Enqueues it, due after a time or at a time, 30 days ahead at most.
    ///
    /// # Errors
    ///
    /// As [`Enqueue::send`].
    fn later(self, app: &App<S>, when: impl Into<When>) -> impl Future<Output = Result<Enqueued>> + Send {
        self.enqueue(app).at(when).send()
    }

    /// Enqueues it, due at a random moment between now and `latest`, so that many tasks do not fall due at once.
    ///
    /// # Errors
    ///
    /// As [`Enqueue::send`].
    fn until(self, app: &App<S>, latest: impl Into<When>) -> impl Future<Output = Result<Enqueued>> + Send {
        self.enqueue(app).until(latest).send()
    }

    /// Does the work here and now, through the same encoding and decoding, and returns its result.
    ///
    /// # Errors
    ///
    /// Fails when the work fails, asks for another attempt, or is discarded (a failed precondition).
    fn sync(self, app: &App<S>) -> impl Future<Output = Result<Value>> + Send {
        self.enqueue(app).here()
    }

    /// Begins to enqueue it, with all that can be said about that.
    fn enqueue(self, app: &App<S>) -> Enqueue<S, Self>
    where
        Self: Sized,
    {
        Enqueue::new(app.clone(), &self)
    }
}

/// What tasks of a type are called.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Naming {
    /// Cloud Tasks finds a name.
    #[default]
    Free,
    /// As the caller says.
    Named(TaskId),
    /// After its type.
    OnlyOnce,
    /// After its type and payload.
    Deduplicated,
}

/// How tasks of a type are enqueued and tried, unless the caller says otherwise.
#[derive(Debug, Clone, Default)]
pub struct TaskOptions {
    pub(crate) queue: Option<QueueId>,
    pub(crate) priorities: Vec<(i32, QueueId)>,
    pub(crate) dispatch_deadline: Option<Duration>,
    pub(crate) handler_deadline: Option<Duration>,
    pub(crate) retry: Option<EnqueueRetry>,
    pub(crate) naming: Naming,
    pub(crate) takes_context: bool,
    pub(crate) attempts_max: Option<u32>,
    pub(crate) dead_set: bool,
    pub(crate) concurrent_max: Option<usize>,
}

impl TaskOptions {
    /// Returns the defaults: the app's queue, ten minutes for an attempt, as many attempts as the queue gives.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the queue.
    #[must_use]
    pub fn queue(mut self, queue: QueueId) -> Self {
        self.queue = Some(queue);
        self
    }

    /// Sets the queue for a priority: Cloud Tasks has none, so that tasks of a higher priority get a queue of their own.
    #[must_use]
    pub fn priority(mut self, priority: i32, queue: QueueId) -> Self {
        self.priorities.push((priority, queue));
        self
    }

    /// Sets how long an attempt may take before Cloud Tasks gives it up: 15 s to 30 min (Google's limits), 10 min without this.
    #[must_use]
    pub fn dispatch_deadline(mut self, deadline: Duration) -> Self {
        self.dispatch_deadline = Some(deadline);
        self
    }

    /// Sets how long the handler may take before it is cut off and answered with 504. Without this a handler has as long as an attempt may take.
    #[must_use]
    pub fn handler_deadline(mut self, deadline: Duration) -> Self {
        self.handler_deadline = Some(deadline);
        self
    }

    /// Sets what is repeated, and how often, when Cloud Tasks does not take a task; else the app's policy holds.
    #[must_use]
    pub fn retry(mut self, retry: EnqueueRetry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Names every task after its type: while one of it waits, and for some time after (Google says up to 24 hours), another is refused as there already.
    #[must_use]
    pub fn only_once(mut self) -> Self {
        self.naming = Naming::OnlyOnce;
        self
    }

    /// Names every task after its type and payload: the same payload is refused as there already for some time (Google says up to 24 hours).
    #[must_use]
    pub fn deduplicated(mut self) -> Self {
        self.naming = Naming::Deduplicated;
        self
    }

    /// Says that the function of this name in a Django service takes a context (`@task(takes_context=True)`): the sender of
    /// [`Compat::DjangoTasksCloudTasks`](crate::runtime::Compat::DjangoTasksCloudTasks) has to say so, no other format knows such a thing.
    #[must_use]
    pub fn takes_context(mut self) -> Self {
        self.takes_context = true;
        self
    }

    /// Says how many attempts there are, at least 1, for [`Attempt::is_last`](crate::runtime::Attempt::is_last): what the queue gives, or with
    /// [`dead_set`](Self::dead_set) what the runtime gives itself.
    #[must_use]
    pub fn attempts(mut self, max: u32) -> Self {
        self.attempts_max = Some(max.max(1));
        self
    }

    /// Has a task whose attempt number `attempts`, or a later one, fails kept in the queue `<queue>-dead`, paused, instead of deleted. Provisioning gives its queue
    /// endless attempts, and this runtime ends them.
    ///
    /// Attempts are those that Cloud Tasks counts: also such as never reached the handler (no instance, 429 by [`concurrent`](Self::concurrent)) or never came to an end.
    /// A small number therefore keeps tasks that were tried less often; none is lost by it.
    ///
    /// A task in such a queue whose type is not registered (any more) is answered 404 as often as any task of the queue may be tried, so that a revision that has
    /// its type can do it, and then kept likewise.
    #[must_use]
    pub fn dead_set(mut self, attempts: u32) -> Self {
        self.dead_set = true;
        self.attempts(attempts)
    }

    /// Limits how many of these tasks this process works on at once; what comes beyond is answered with 429, which slows its queue down.
    #[must_use]
    pub fn concurrent(mut self, max: usize) -> Self {
        self.concurrent_max = Some(max);
        self
    }
}
