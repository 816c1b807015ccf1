//! Cloud Tasks as a pure state.

use jiff::Timestamp;

use super::{Answer, Effects, Moment};

/// Queues and tasks.
#[derive(Debug, Default)]
pub(crate) struct Tasks {}

impl Tasks {
    /// The dispatcher's report on an attempt.
    pub(crate) fn answered(&mut self, _task: &str, _attempt: u64, _answer: &Answer, _at: Moment, _out: &mut Effects) {}

    /// All that fell due by `at.now`.
    pub(crate) fn tick(&mut self, _at: Moment, _out: &mut Effects) {}

    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        None
    }
}
