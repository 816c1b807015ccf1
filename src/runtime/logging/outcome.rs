//! How work ended, in the log: the one place that writes it.

use std::time::{Duration, Instant};

use tracing::Span;

use crate::model::text;
use crate::runtime::delivery::{Delivery, Ended};
use crate::runtime::logging::trace::Parent;

/// The span of a piece of work: what came, and where it stands in its trace.
pub(crate) fn span_of(delivery: &Delivery, hop: Option<Parent>) -> Span {
    let (kind, name) = match delivery {
        Delivery::Task { name, .. } => ("task", name),
        Delivery::Message { subscriber, .. } => ("message", subscriber),
        Delivery::Event { info, .. } => ("event", &info.kind),
    };
    tracing::info_span!(
        target: "redrive::runtime", "work", kind, handler = %text::line(name), trace_id = hop.map(|hop| display(hop.trace_id())),
        span_id = hop.map(|hop| display(hop.span_id())), trace_sampled = hop.map(|hop| hop.sampled()),
    )
}

/// Writes how work ended: an error where somebody should look, a warning where nothing was done, else a note.
pub(crate) fn write(ended: &Ended, begun: Instant) {
    let took_ms = millis(begun.elapsed());
    let why = ended.why().map(|why| text::line(&why).into_owned());
    let why = why.as_deref();
    match ended {
        Ended::Done(_) => tracing::info!(target: "redrive::runtime", took_ms, "done"),
        Ended::Retry { .. } => tracing::info!(target: "redrive::runtime", took_ms, why, "to be tried again"),
        Ended::Skipped => tracing::debug!(target: "redrive::runtime", took_ms, why, "skipped"),
        Ended::Discarded(_) => tracing::warn!(target: "redrive::runtime", took_ms, why, "given up for good"),
        Ended::Busy | Ended::Unknown => tracing::warn!(target: "redrive::runtime", took_ms, why, "not done"),
        Ended::Dead(_) => tracing::error!(target: "redrive::runtime", took_ms, error = why, "failed for the last time"),
        Ended::Failed(_) | Ended::Panicked(_) | Ended::TimedOut(_) | Ended::Malformed(_) => {
            tracing::error!(target: "redrive::runtime", took_ms, error = why, "failed");
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
