//! Dead-letter relations: which subscription gives up to which topic, and who holds what lands there.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::subscription::Subscription;
use crate::names::{SubscriptionName, TopicName};

/// One relation: source subscription → dead-letter topic → subscriptions that hold the backlog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterRelation {
    /// The subscription that gives up.
    pub source: SubscriptionName,
    /// The topic that subscription listens to, where messages are redriven to; `None` once deleted.
    pub topic: Option<TopicName>,
    /// Where it gives up to; `None` once deleted.
    pub dead_letter_topic: Option<TopicName>,
    /// Deliveries tried before, 5–100.
    pub attempts_max: u32,
    /// The subscriptions on the dead-letter topic.
    pub holders: Vec<SubscriptionName>,
    /// What is broken about it.
    pub broken: Option<Broken>,
}

/// Why a relation loses messages or cannot be redriven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Broken {
    /// The dead-letter topic is deleted or does not exist: nothing can be forwarded.
    TopicMissing,
    /// The dead-letter topic has no subscription: what lands there is lost.
    NoHolder,
    /// The source topic is deleted: there is nowhere to redrive to.
    SourceTopicMissing,
}

/// Finds the relations among `subscriptions`; `topics` are those that exist, where that is known.
pub fn relations(subscriptions: &[Subscription], topics: Option<&BTreeSet<TopicName>>) -> Vec<DeadLetterRelation> {
    let mut holders: BTreeMap<&TopicName, Vec<SubscriptionName>> = BTreeMap::new();
    for subscription in subscriptions.iter().filter(|s| !s.detached) {
        if let Some(topic) = &subscription.topic {
            holders.entry(topic).or_default().push(subscription.name.clone());
        }
    }
    let exists = |topic: &TopicName| topics.is_none_or(|known| known.contains(topic));
    let mut found: Vec<_> = subscriptions
        .iter()
        .filter_map(|source| {
            let policy = source.dead_letters.as_ref()?;
            let holders = policy.topic.as_ref().and_then(|topic| holders.get(topic)).cloned().unwrap_or_default();
            let broken = match &policy.topic {
                None => Some(Broken::TopicMissing),
                Some(topic) if !exists(topic) => Some(Broken::TopicMissing),
                Some(_) if holders.is_empty() => Some(Broken::NoHolder),
                Some(_) if source.topic.is_none() => Some(Broken::SourceTopicMissing),
                Some(_) => None,
            };
            Some(DeadLetterRelation {
                source: source.name.clone(),
                topic: source.topic.clone(),
                dead_letter_topic: policy.topic.clone(),
                attempts_max: policy.attempts_max,
                holders,
                broken,
            })
        })
        .collect();
    found.sort_by(|a, b| a.source.cmp(&b.source));
    found
}
