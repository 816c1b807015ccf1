//! From work that has arrived to its handler, and to how that ended: under its headers, in its span, within its time, with panics caught.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tracing::Instrument as _;

use crate::model::text;
use crate::runtime::delivery::{Delivery, Ended};
use crate::runtime::logging::{self, trace};
use crate::runtime::propagation::{self, Headers};
use crate::runtime::registry::{EventEntry, Malformed, TaskEntry};
use crate::runtime::time_limit::within;
use crate::runtime::{App, Context, EventInfo, Origin, Outcome, TaskInfo, TaskOptions, Verdict};

/// An attempt has this long where nothing else is said: Cloud Tasks' default.
const ATTEMPT_DEADLINE: Duration = Duration::from_mins(10);
/// A run of Cloud Scheduler has at most this long; what its job says is not known here.
const RUN_DEADLINE: Duration = Duration::from_mins(30);
/// A handler ends so much before its attempt: whoever calls hangs up then, and what is left to do (an answer, a copy in the dead set) needs a moment.
const MARGIN: Duration = Duration::from_secs(3);
/// A handler that does not end at once has a timer.
const LOOKS: u8 = 1;

impl<S: Send + Sync + 'static> App<S> {
    /// Does a piece of work, as a span of its own in the trace that it came with, and writes how it ended.
    pub(crate) async fn dispatch(&self, delivery: Delivery, request: Option<logging::Request>) -> Ended {
        let (span, hop) = logging::span_of(&delivery);
        let begun = Instant::now();
        let work = async {
            let ended = trace::under(hop, self.hand_on(delivery)).await;
            logging::write(&ended, begun, request);
            ended
        };
        work.instrument(span).await
    }

    async fn hand_on(&self, delivery: Delivery) -> Ended {
        match delivery {
            Delivery::Task { name, payload, info, headers, request } => match self.registry().task(&name) {
                Some(entry) => {
                    let spent = Self::is_spent(entry, &info);
                    let kept = request.filter(|_| entry.options.dead_set).map(|request| (request, info.clone()));
                    let ended = match spent {
                        Some(ended) => ended,
                        None => self.do_task(entry, payload, Origin::Task(info), headers).await,
                    };
                    // In boxes what is rare or large: else each task's future has room for all of it, and is moved with that.
                    match kept {
                        Some((request, info)) => Box::pin(self.keep_dead(entry, info, *request, ended)).await,
                        None => ended,
                    }
                }
                None => match request {
                    Some(request) => Box::pin(self.keep_unknown(&name, info, *request)).await,
                    None => Ended::Unknown,
                },
            },
            Delivery::Message { subscriber, data, info, headers } => Box::pin(self.do_message(&subscriber, data, info, headers)).await,
            Delivery::Event { body, info, headers } => match self.registry().event(&info.kind) {
                Some(entry) => Box::pin(self.do_event(entry, body, info, headers)).await,
                None => Ended::Unknown,
            },
        }
    }

    /// Does a task that came one way or the other.
    pub(crate) async fn do_task(&self, entry: &TaskEntry<S>, payload: Bytes, origin: Origin, headers: Headers) -> Ended {
        let cx = Context::new(self.clone(), origin, entry.options.attempts_max, headers.clone());
        let (told, unknown) = (cx.clone(), TaskInfo::default());
        let info = told.task().unwrap_or(&unknown);
        let span = span_of_task(entry.name, info, told.attempt().number);
        let deadline = deadline_of(&entry.options, info);
        run(|| (entry.run)(payload, cx), headers, deadline).instrument(span).await
    }

    async fn do_event(&self, entry: &EventEntry<S>, body: Bytes, info: EventInfo, headers: Headers) -> Ended {
        let span = tracing::info_span!(target: "redrive::runtime", "event", kind = entry.kind, reference = %text::line(&info.reference));
        let cx = Context::new(self.clone(), Origin::Event(info), None, headers.clone());
        run(|| (entry.run)(body, cx), headers, entry.options.deadline.unwrap_or(ATTEMPT_DEADLINE)).instrument(span).await
    }
}

fn span_of_task(name: &'static str, info: &TaskInfo, attempt: u32) -> tracing::Span {
    let id = info.name.as_ref().map(crate::names::TaskName::id).unwrap_or_default();
    let queue = info.queue.as_ref().map(crate::names::QueueName::id).unwrap_or_default();
    tracing::info_span!(target: "redrive::runtime", "task", task = name, queue, task_id = id, attempt)
}

/// Returns how long the handler of a task may take: a little less than its attempt.
fn deadline_of(options: &TaskOptions, info: &TaskInfo) -> Duration {
    let usual = if info.job.is_some() { RUN_DEADLINE } else { ATTEMPT_DEADLINE };
    let attempt = info.dispatch_deadline.or(options.dispatch_deadline).unwrap_or(usual);
    options.handler_deadline.unwrap_or(attempt.saturating_sub(MARGIN))
}

/// Runs a handler. What `begin` does (reading the payload with the user's own code, say) may panic as well as the work itself.
pub(crate) async fn run(
    begin: impl FnOnce() -> Result<BoxFuture<'static, Outcome>, Malformed> + Send,
    headers: Headers,
    deadline: Duration,
) -> Ended {
    let work = async { Ok::<_, Malformed>(begin()?.await) };
    let guarded = AssertUnwindSafe(logging::caught(propagation::under(headers, work))).catch_unwind();
    match within(deadline, LOOKS, guarded).await {
        Err(_) => Ended::TimedOut(deadline),
        Ok(Err(panic)) => Ended::Panicked(logging::told(&*panic)),
        Ok(Ok(Err(Malformed(why)))) => Ended::Malformed(why),
        Ok(Ok(Ok(Err(failure)))) => Ended::Failed(failure),
        Ok(Ok(Ok(Ok(Verdict::Done(result))))) => Ended::Done(result),
        Ok(Ok(Ok(Ok(Verdict::Discard(why))))) => Ended::Discarded(why),
        Ok(Ok(Ok(Ok(Verdict::Retry { why, after })))) => Ended::Retry { why, after },
    }
}
