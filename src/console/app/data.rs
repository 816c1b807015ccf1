//! What several screens share: the listings of the project, and its numbers.

use std::borrow::Cow;

use jiff::Timestamp;

use crate::console::app::load::{Load, Phase};
use crate::console::app::rows::{ActivityRow, DeadLetterRow, FindingRow, JobRow, QueueRow, SubscriptionRow, TopicRow, TransferRow};
use crate::console::message::Fetched;
use crate::model::dead_letter::DeadLetterRelation;
use crate::model::job::Job;
use crate::model::listing::Listing;
use crate::model::numbers::Numbers;
use crate::model::queue::Queue;
use crate::model::subscription::Subscription;
use crate::model::topic::Topic;
use crate::ops::transfer::Summary;
use crate::ops::{Activity, Finding};

/// The listings of the project, and its numbers.
pub(crate) struct Data {
    /// Queues.
    pub(crate) queues: Load<Listing<Queue>>,
    /// Topics.
    pub(crate) topics: Load<Listing<Topic>>,
    /// Subscriptions.
    pub(crate) subscriptions: Load<Listing<Subscription>>,
    /// Dead-letter relations.
    pub(crate) dead_letters: Load<Listing<DeadLetterRelation>>,
    /// Jobs.
    pub(crate) jobs: Load<Listing<Job>>,
    /// Transfers.
    pub(crate) transfers: Load<Listing<Summary>>,
    /// The activity log.
    pub(crate) activity: Load<Listing<Activity>>,
    /// What the doctor found.
    pub(crate) doctor: Load<Listing<Finding>>,
    /// Numbers.
    pub(crate) numbers: Load<Numbers>,
}

impl Data {
    /// Makes it with nothing asked for.
    pub(crate) fn new() -> Self {
        Self {
            queues: Load::Idle,
            topics: Load::Idle,
            subscriptions: Load::Idle,
            dead_letters: Load::Idle,
            jobs: Load::Idle,
            transfers: Load::Idle,
            activity: Load::Idle,
            doctor: Load::Idle,
            numbers: Load::Idle,
        }
    }

    /// Takes in an answer; gives it back when it belongs to one screen only.
    pub(crate) fn take(&mut self, answer: Fetched) -> Option<Fetched> {
        match answer {
            Fetched::Queues(answer) => self.queues.finish(answer),
            Fetched::Topics(answer) => self.topics.finish(answer),
            Fetched::Subscriptions(answer) => self.subscriptions.finish(answer),
            Fetched::DeadLetters(answer) => self.dead_letters.finish(answer),
            Fetched::Jobs(answer) => self.jobs.finish(answer),
            Fetched::Transfers(answer) => self.transfers.finish(answer),
            Fetched::Activity(answer) => self.activity.finish(answer),
            Fetched::Doctor(answer) => self.doctor.finish(answer),
            Fetched::Numbers(answer) => self.numbers.finish(answer),
            own @ (Fetched::Tasks(..) | Fetched::Task(..) | Fetched::Messages(..) | Fetched::Plan(_)) => return Some(own),
        }
        None
    }

    /// Makes the rows of queues.
    pub(crate) fn queue_rows(&self, now: Timestamp) -> Vec<QueueRow> {
        let numbers = |queue: &Queue| self.numbers.value().and_then(|n| n.queues.get(&queue.name)).cloned().unwrap_or_default();
        items(&self.queues).iter().map(|queue| QueueRow::new(queue.clone(), numbers(queue), now)).collect()
    }

    /// Makes the rows of topics.
    pub(crate) fn topic_rows(&self) -> Vec<TopicRow> {
        let subscriptions = self.subscriptions.value().map(|listing| listing.items.as_slice());
        items(&self.topics).iter().map(|topic| TopicRow::new(topic.clone(), subscriptions, self.numbers.value())).collect()
    }

    /// Makes the rows of subscriptions, of one topic or of all.
    pub(crate) fn subscription_rows(&self, topic: Option<&crate::names::TopicName>) -> Vec<SubscriptionRow> {
        let numbers = |one: &Subscription| self.numbers.value().and_then(|n| n.subscriptions.get(&one.name)).cloned().unwrap_or_default();
        let wanted = items(&self.subscriptions).iter().filter(|one| topic.is_none() || one.topic.as_ref() == topic);
        wanted.map(|one| SubscriptionRow::new(one.clone(), numbers(one))).collect()
    }

    /// Makes the rows of dead-letter relations.
    pub(crate) fn dead_letter_rows(&self) -> Vec<DeadLetterRow> {
        let all = items(&self.dead_letters);
        let shares = |relation: &DeadLetterRelation| {
            let others = all.iter().filter(|other| other.source != relation.source);
            others.filter(|other| other.holders.iter().any(|holder| relation.holders.contains(holder))).count()
        };
        all.iter().map(|relation| DeadLetterRow::new(relation.clone(), self.numbers.value(), shares(relation))).collect()
    }

    /// Makes the rows of jobs.
    pub(crate) fn job_rows(&self) -> Vec<JobRow> {
        items(&self.jobs).iter().cloned().map(JobRow::new).collect()
    }

    /// Makes the rows of transfers.
    pub(crate) fn transfer_rows(&self) -> Vec<TransferRow> {
        items(&self.transfers).iter().cloned().map(TransferRow::new).collect()
    }

    /// Makes the rows of the activity log.
    pub(crate) fn activity_rows(&self) -> Vec<ActivityRow> {
        let all = items(&self.activity);
        all.iter().enumerate().map(|(index, entry)| ActivityRow::new(entry.clone(), all.len() - index)).collect()
    }

    /// Makes the rows of what the doctor found.
    pub(crate) fn finding_rows(&self) -> Vec<FindingRow> {
        items(&self.doctor).iter().cloned().enumerate().map(|(index, finding)| FindingRow::new(finding, index)).collect()
    }

    /// Tells whether a transfer is under way.
    pub(crate) fn transfer_runs(&self) -> bool {
        items(&self.transfers).iter().any(|summary| summary.state.is_running())
    }

    /// Tells where the overview stands: ready as soon as one listing is.
    pub(crate) fn overview_phase(&self) -> Phase<'_> {
        let parts = [self.queues.phase(), self.subscriptions.phase(), self.dead_letters.phase(), self.jobs.phase()];
        let (mut oldest, mut any_stale, mut all_notes, mut failures, mut ready) = (None, None, Vec::new(), Vec::new(), false);
        for part in parts {
            match part {
                Phase::Loading => {}
                Phase::Failed(error) => failures.push(error),
                Phase::Ready { as_of, stale, notes } => {
                    ready = true;
                    oldest = match (oldest, as_of) {
                        (Some(a), Some(b)) => Some(std::cmp::min::<Timestamp>(a, b)),
                        (a, b) => a.or(b),
                    };
                    any_stale = any_stale.or(stale);
                    all_notes.extend(notes);
                }
            }
        }
        match failures.first() {
            Some(error) if !ready => Phase::Failed(error),
            None if !ready => Phase::Loading,
            _ => {
                all_notes.extend(failures.iter().map(|error| Cow::Owned(error.to_string())));
                all_notes.dedup();
                Phase::Ready { as_of: oldest, stale: any_stale, notes: all_notes }
            }
        }
    }
}

/// Returns the rows of a listing, if there are any.
pub(crate) fn items<T>(load: &Load<Listing<T>>) -> &[T] {
    load.value().map_or(&[], |listing| &listing.items)
}
