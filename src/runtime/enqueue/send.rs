//! Sends a task where its app's mode and format have it go.

use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use google_cloud_tasks_v2::model as google;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::cloud::code_of;
use crate::error::{Error, Kind, Result};
use crate::model::message::Draft;
use crate::names::{QueueName, TaskId, TaskName, TopicName};
use crate::runtime::delivery::Ended;
use crate::runtime::enqueue::{Due, Enqueue, EnqueueRetry, Enqueued};
use crate::runtime::propagation::{self, Headers};
use crate::runtime::task::Naming;
use crate::runtime::wire::{Call, DEADLINE_HEADER, ENQUEUED_HEADER, Outgoing, TASK_BYTES_MAX, is_dispatch_deadline};
use crate::runtime::{App, Compat, Mode, Origin, Task};

/// A task as it is sent.
struct Sending {
    name: &'static str,
    queue: QueueName,
    call: Call,
    task_id: Option<TaskId>,
    due: Option<Timestamp>,
    dispatch_deadline: Option<Duration>,
    retry: EnqueueRetry,
}

impl<S: Send + Sync + 'static, T: Task<S>> Enqueue<S, T> {
    /// Sends it: to Cloud Tasks (or Pub/Sub, by the app's format), or through this very process in eager mode.
    ///
    /// # Errors
    ///
    /// Fails with [`Kind::AlreadyExists`] when a task of its name is there or was until recently, with [`Kind::InvalidInput`] when it is too large, due too
    /// late or not registered in the app, and with what Cloud Tasks says. In eager mode it fails as [`here`](Self::here) does.
    pub async fn send(self) -> Result<Enqueued> {
        self.written()?.await
    }

    /// Writes it, checked, now; the future sends it.
    pub(crate) fn written(self) -> Result<impl Future<Output = Result<Enqueued>> + Send + 'static> {
        let app = self.app.clone();
        let sending = self.sending(Timestamp::now())?;
        Ok(async move {
            match (app.config().mode, app.config().compat) {
                (Mode::Disabled, _) => Ok(Enqueued { id: String::new(), queue: None }),
                (Mode::Eager, _) => app.run_here(sending).await.map(|_| Enqueued { id: String::new(), queue: None }),
                // Boxed: the client's futures are large, and whoever awaits this has them in his own.
                (Mode::Normal, Compat::SingleEndpoint) => Box::pin(app.publish_task(sending)).await,
                (Mode::Normal, _) => Box::pin(app.create(sending)).await,
            }
        })
    }

    /// Does the work here and now, through the same encoding and decoding, and returns its result.
    ///
    /// # Errors
    ///
    /// Fails when the work fails, asks for another attempt, or is discarded.
    pub async fn here(self) -> Result<Value> {
        let app = self.app.clone();
        app.run_here(self.sending(Timestamp::now())?).await
    }

    fn sending(self, now: Timestamp) -> Result<Sending> {
        let (app, name) = (&self.app, self.task);
        let payload = self.payload?;
        app.layout().check_payload(name, &payload)?;
        let options = match app.registry().task(name) {
            Some(entry) => &entry.options,
            None => {
                return Err(Error::invalid(format!("task `{name}` is not registered in this app"))
                    .with_hint(format!("add `.task::<{name}>()` where the app is built")));
            }
        };
        let queue = match &self.queue {
            Some(id) => app.queue_name(id),
            None => app.queue_of(options, self.priority)?,
        };
        let task_id = match &self.name {
            Naming::Free => None,
            Naming::Named(id) => Some(id.clone()),
            Naming::OnlyOnce => Some(name.replace('.', "-").parse()?),
            Naming::Deduplicated => Some(app.layout().deduplicated(name, &app.layout().canonical(&payload)).parse()?),
        };
        let (due, limit) = (self.when.moment(now, app.config().eta_max)?, self.dispatch_deadline);
        if let Some(deadline) = limit.filter(|deadline| !is_dispatch_deadline(deadline)) {
            return Err(Error::invalid(format!("a dispatch deadline of {} s is not between 15 s and 30 min", deadline.as_secs())));
        }
        let mut headers = propagation::current();
        let (with, plain): (Vec<_>, Vec<_>) = self
            .headers
            .into_iter()
            .partition(|(header, _)| app.config().propagated.iter().any(|propagated| propagated.eq_ignore_ascii_case(header)));
        for (header, value) in with {
            headers.set(&header, value);
        }
        let project = app.cloud().project().id();
        let (priority, takes_context) = (self.priority, options.takes_context);
        let outgoing = Outgoing { name, payload, queue: queue.id(), project, priority, takes_context, headers: &headers, now };
        let mut call = app.layout().encode(outgoing);
        call.headers.extend(plain);
        if options.dead_set {
            call.headers.push((ENQUEUED_HEADER.to_owned(), Uuid::new_v4().simple().to_string()));
        }
        if let Some(deadline) = limit.filter(|deadline| Some(*deadline) != options.dispatch_deadline) {
            call.headers.push((DEADLINE_HEADER.to_owned(), deadline.as_secs().to_string()));
        }
        check(name, &call)?;
        let retry = self.retry.unwrap_or_else(|| app.config().retry.clone());
        Ok(Sending { name, queue, call, task_id, due, dispatch_deadline: limit, retry })
    }
}

/// Refuses what Cloud Tasks would refuse, and what would be more than one header.
fn check(name: &str, call: &Call) -> Result<()> {
    for (header, value) in &call.headers {
        if header.parse::<http::HeaderName>().is_err() || value.parse::<http::HeaderValue>().is_err() {
            return Err(Error::invalid(format!("task `{name}`: `{}` with this value is no header", header.escape_debug())));
        }
    }
    let size = call.body.len() + call.headers.iter().map(|(header, value)| header.len() + value.len()).sum::<usize>();
    if size > TASK_BYTES_MAX {
        let hint = "keep the data elsewhere (Cloud Storage, a database) and send its address";
        return Err(Error::invalid(format!("task `{name}` has {size} bytes, and Cloud Tasks takes 1 MiB")).with_hint(hint));
    }
    Ok(())
}

impl Due {
    /// Returns the moment; none is now.
    fn moment(self, now: Timestamp, max: Duration) -> Result<Option<Timestamp>> {
        let latest = match self {
            Self::Now => return Ok(None),
            Self::At(when) => return when.moment(now, max).map(Some),
            Self::Until(latest) => latest.moment(now, max)?,
        };
        let span = u128::try_from(latest.duration_since(now).as_millis()).unwrap_or(0);
        let wait = u64::try_from(Uuid::new_v4().as_u128() % (span + 1)).unwrap_or(0);
        Ok(now.checked_add(Duration::from_millis(wait)).ok())
    }
}

impl<S: Send + Sync + 'static> App<S> {
    /// Creates the task, repeating what its policy says.
    async fn create(&self, sending: Sending) -> Result<Enqueued> {
        let mut queue = sending.queue.clone();
        let mut made = false;
        let begun = Instant::now();
        for attempt in 1.. {
            let error = match self.cloud().create_task(&queue, self.google_task(&sending, &queue)).await {
                Ok(name) => return Ok(Enqueued { id: name.id().to_owned(), queue: Some(queue) }),
                // A missing queue: the first task for it makes it.
                Err(error) if error.is_not_found() && self.config().creates_queues && !made => {
                    (queue, made) = (self.make_queue(&queue).await?, true);
                    continue;
                }
                Err(error) => error,
            };
            let pause = sending.retry.pause(attempt);
            let repeated = code_of(&error).is_some_and(|code| sending.retry.codes.contains(&code));
            if !repeated || begun.elapsed() + pause > sending.retry.deadline {
                return Err(error.context(format!("task `{}`", sending.name)));
            }
            tracing::debug!(target: "redrive::runtime", task = sending.name, attempt, %error, "the task was not taken, and is sent again");
            tokio::time::sleep(pause).await;
        }
        unreachable!("attempts are counted without end")
    }

    /// Publishes the task to its topic: the format in which tasks go over Pub/Sub.
    async fn publish_task(&self, sending: Sending) -> Result<Enqueued> {
        if sending.due.is_some() || sending.task_id.is_some() {
            let words = format!("task `{}` goes over Pub/Sub, which knows neither names nor delays", sending.name);
            return Err(Error::invalid(words).with_hint("another `compat` sends tasks to Cloud Tasks"));
        }
        let (topic, _) = self.layout().task_topic(sending.name);
        let topic = TopicName::new(self.cloud().project().clone(), topic.parse()?);
        let attributes = sending.call.headers.iter().cloned().collect();
        let draft = Draft { data: sending.call.body.clone(), attributes, ..Draft::default() };
        let ids = self.cloud().publish_once(&topic, &[draft]).await?;
        Ok(Enqueued { id: ids.into_iter().next().unwrap_or_default(), queue: None })
    }

    fn google_task(&self, sending: &Sending, queue: &QueueName) -> google::Task {
        let name = sending.task_id.as_ref().map(|id| TaskName::new(queue.clone(), id.clone()).to_string());
        let deadline = sending.dispatch_deadline.and_then(|limit| google_cloud_wkt::Duration::try_from(limit).ok());
        self.http_task(&sending.call)
            .set_name(name.unwrap_or_default())
            .set_or_clear_schedule_time(sending.due.and_then(wire_time))
            .set_or_clear_dispatch_deadline(deadline)
    }

    /// Does the work in this process, as if the request had arrived.
    async fn run_here(&self, sending: Sending) -> Result<Value> {
        let read = self.layout().decode(Some(sending.name.to_owned()).filter(|_| self.layout().names_in_path()), sending.call.body);
        let read = read.map_err(|why| Error::new(Kind::Internal, format!("task `{}` cannot be read again: {}", sending.name, why.0)))?;
        let all = sending.call.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let headers = Headers::only(&self.config().propagated, all);
        let Some(entry) = self.registry().task(&read.name) else {
            return Err(Error::invalid(format!("task `{}` is not registered", sending.name)));
        };
        // Boxed: work that does work here has no end known to the compiler.
        let ended = self.do_task(entry, read.payload, Origin::Direct, headers).boxed().await;
        result(sending.name, ended)
    }
}

/// What work in this process came to.
fn result(name: &str, ended: Ended) -> Result<Value> {
    let why = ended.why().unwrap_or_default();
    let kind = match ended {
        Ended::Done(value) => return Ok(value),
        Ended::Discarded(_) => Kind::FailedPrecondition,
        Ended::Retry { .. } => Kind::Unavailable,
        Ended::TimedOut(_) => Kind::Timeout,
        Ended::Malformed(_) => Kind::InvalidInput,
        _ => Kind::Internal,
    };
    Err(Error::new(kind, format!("task `{name}`: {why}")))
}

fn wire_time(time: Timestamp) -> Option<google_cloud_wkt::Timestamp> {
    google_cloud_wkt::Timestamp::new(time.as_second(), time.subsec_nanosecond()).ok()
}
