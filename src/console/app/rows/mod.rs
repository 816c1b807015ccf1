//! The rows of every list screen, made of resources and their numbers.

mod attention;
mod findings;
mod job;
mod messages;
mod pubsub;
mod tasks;
mod transfers;

pub(crate) use attention::{AttentionRow, Target, attention};
pub(crate) use findings::FindingRow;
pub(crate) use job::{JobRow, in_words, target_text};
pub(crate) use messages::{CauseRow, MessageRow};
pub(crate) use pubsub::{DeadLetterRow, SubscriptionRow, TopicRow};
pub(crate) use tasks::{QueueRow, TaskRow, status_text};
pub(crate) use transfers::{ActivityRow, TransferRow, state_word, what};

use std::time::Duration;

/// Over how long a rate a minute is taken: long enough to be calm, short enough to show what happens now.
pub(crate) const RATE_SPAN: Duration = Duration::from_mins(5);

/// An oldest item beyond this is worth a look.
pub(crate) const OLD: Duration = Duration::from_mins(10);

/// Names Google's canonical status codes.
pub(crate) fn code_name(code: i32) -> &'static str {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    usize::try_from(code).ok().and_then(|index| NAMES.get(index)).copied().unwrap_or("UNKNOWN")
}

/// Says a status: its code by name, and its text where that says more.
pub(crate) fn status_words(code: i32, text: &str) -> String {
    let name = code_name(code);
    match text.strip_prefix(name) {
        _ if text.is_empty() || code == 0 => name.to_owned(),
        // `UNAVAILABLE(14): HTTP status code 503` names the code itself.
        Some(_) => text.to_owned(),
        None => format!("{name} {text}"),
    }
}
