//! Cloud Scheduler as a pure state.

use jiff::Timestamp;

use super::pubsub::Draft;
use super::{Answer, Effects, Moment, Refusal};

/// Jobs.
#[derive(Debug, Default)]
pub(crate) struct Scheduler {}

/// What a job with a Pub/Sub target publishes.
#[derive(Debug)]
pub(crate) struct Publication {
    pub(crate) job: String,
    pub(crate) topic: String,
    pub(crate) message: Draft,
}

impl Scheduler {
    /// The dispatcher's report on an attempt.
    pub(crate) fn answered(&mut self, _job: &str, _attempt: u64, _answer: &Answer, _at: Moment) {}

    /// How a publication of [`Scheduler::tick`] ended.
    pub(crate) fn published(&mut self, _job: &str, _outcome: Result<String, Refusal>, _at: Moment) {}

    /// All that fell due by `at.now`; what goes to Pub/Sub is returned.
    pub(crate) fn tick(&mut self, _at: Moment, _out: &mut Effects) -> Vec<Publication> {
        Vec::new()
    }

    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        None
    }
}
