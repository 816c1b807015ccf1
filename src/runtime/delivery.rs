//! Work that has arrived, whichever way: what every entrance (push, pull, eager, debug) hands to `dispatch`.

use bytes::Bytes;

use crate::runtime::logging::trace;
use crate::runtime::propagation::Headers;
use crate::runtime::wire::Call;
use crate::runtime::{App, EventInfo, MessageInfo, TaskInfo};

/// One piece of work.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Delivery {
    /// A task of Cloud Tasks, or a run of Cloud Scheduler; with its request as it came, where a dead set may keep that.
    Task { name: String, payload: Bytes, info: TaskInfo, headers: Headers, request: Option<Box<Call>> },
    /// A message of Pub/Sub, for a subscriber of this name.
    Message { subscriber: String, data: Bytes, info: MessageInfo, headers: Headers },
    /// An event.
    Event { body: Bytes, info: EventInfo, headers: Headers },
}

impl Delivery {
    /// Returns the headers that came along.
    pub(crate) fn headers(&self) -> &Headers {
        match self {
            Self::Task { headers, .. } | Self::Message { headers, .. } | Self::Event { headers, .. } => headers,
        }
    }
}

impl<S> App<S> {
    /// Makes a delivery of a message, whichever way it came: with the headers that travel in its attributes or its content.
    pub(crate) fn delivered(&self, subscriber: String, data: Bytes, info: MessageInfo) -> Delivery {
        let propagated = &self.config().propagated;
        let (data, mut headers) = self.layout().message_content(data, &info.attributes, propagated);
        if let Some(parent) = info.attributes.get(trace::PUBSUB_ATTRIBUTE) {
            headers.fill(&Headers::only(propagated, [(trace::HEADER, parent.as_str())]));
        }
        Delivery::Message { subscriber, data, info, headers }
    }
}

/// How it ended. What is said to the caller is decided by `wire` and `push`; the reason is for the log alone.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Done, with the handler's result.
    Done(serde_json::Value),
    /// Given up for good by the handler.
    Discarded(String),
    /// Not for this receiver (addressed to another subscription): acknowledged without work.
    Skipped,
    /// Went to the dead set: kept there, and done with here.
    Dead(String),
    /// To be tried again.
    Retry { why: String, after: Option<std::time::Duration> },
    /// The handler failed; to be tried again.
    Failed(crate::runtime::Failure),
    /// The handler panicked; to be tried again.
    Panicked(String),
    /// The handler took longer than it may; to be tried again.
    TimedOut(std::time::Duration),
    /// All places are taken; to be tried again, more slowly.
    Busy,
    /// There is no handler of this name.
    Unknown,
    /// The payload is not what the handler takes.
    Malformed(String),
}

impl Ended {
    /// Tells whether the work needs no other attempt.
    pub(crate) fn is_settled(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Discarded(_) | Self::Skipped | Self::Dead(_))
    }

    /// Tells whether this attempt was made and failed.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self, Self::Retry { .. } | Self::Failed(_) | Self::Panicked(_) | Self::TimedOut(_) | Self::Malformed(_))
    }

    /// Says why it is not simply done; not escaped.
    pub(crate) fn why(&self) -> Option<String> {
        match self {
            Self::Done(_) => None,
            Self::Discarded(why) => Some(format!("discarded: {why}")),
            Self::Skipped => Some("is for another receiver".to_owned()),
            Self::Dead(why) => Some(format!("kept in the dead set: {why}")),
            Self::Retry { why, .. } => Some(format!("asks for another attempt: {why}")),
            Self::Failed(failure) => Some(failure.to_string()),
            Self::Panicked(words) => Some(format!("panicked: {words}")),
            Self::TimedOut(limit) => Some(format!("took longer than {} s", limit.as_secs_f32())),
            Self::Busy => Some("all places are taken".to_owned()),
            Self::Unknown => Some("there is no handler of this name".to_owned()),
            Self::Malformed(why) => Some(format!("the payload cannot be read: {why}")),
        }
    }
}
