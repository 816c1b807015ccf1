//! How work ended, in the log: the one place that writes it.

use std::time::{Duration, Instant};

use tracing::Span;
use tracing::field::{Empty, display};

use super::otel::{join_work, position};
use crate::model::text;
use crate::runtime::Compat;
use crate::runtime::delivery::{Delivery, Ended};
use crate::runtime::logging::trace::Parent;
use crate::runtime::wire::{What, status};

/// The request that a piece of work came with, as its answer is told: where it came by one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    /// When it came.
    pub(crate) begun: Instant,
    pub(crate) compat: Compat,
    pub(crate) what: What,
}

/// The span of a piece of work: what came, and where it stands in its trace.
pub(crate) fn span_of(delivery: &Delivery) -> (Span, Option<Parent>) {
    let (kind, name) = match delivery {
        Delivery::Task { name, .. } => ("task", name),
        Delivery::Message { subscriber, .. } => ("message", subscriber),
        Delivery::Event { info, .. } => ("event", &info.kind),
    };
    let span = tracing::info_span!(
        target: "redrive::runtime", "work", kind, handler = %text::line(name), trace_id = Empty, span_id = Empty, trace_sampled = Empty,
    );
    join_work(&span, delivery.headers());
    let hop = position(&span).or_else(|| Parent::hop(delivery.headers()));
    if let Some(hop) = hop {
        span.record("trace_id", display(hop.trace_id())).record("span_id", display(hop.span_id())).record("trace_sampled", hop.sampled());
    }
    (span, hop)
}

/// Writes how work ended: an error where somebody should look, a warning where nothing was done, else a note.
pub(crate) fn write(ended: &Ended, begun: Instant, request: Option<Request>) {
    let took_ms = millis(begun.elapsed());
    // The whole request, with what was waited for a place and for its body.
    let http_latency_ms = request.map(|request| millis(request.begun.elapsed()));
    let http_status = request.map(|request| status(request.compat, request.what, ended));
    let why = ended.why().map(|why| text::line(&why).into_owned());
    let why = why.as_deref();
    macro_rules! log {
        ($level:ident, $($fields:tt)+) => { tracing::$level!(target: "redrive::runtime", took_ms, http_status, http_latency_ms, $($fields)+) };
    }
    match ended {
        Ended::Done(_) => log!(info, "done"),
        Ended::Retry { .. } => log!(info, why, "to be tried again"),
        Ended::Skipped => log!(debug, why, "skipped"),
        Ended::Discarded(_) => log!(warn, why, "given up for good"),
        Ended::Busy | Ended::Unknown => log!(warn, why, "not done"),
        Ended::Dead(_) => log!(error, error = why, "failed for the last time"),
        Ended::Failed(_) | Ended::Panicked(_) | Ended::TimedOut(_) | Ended::Malformed(_) => log!(error, error = why, "failed"),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
