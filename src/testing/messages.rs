//! Messages as they were published: each topic has a subscription of its own for it, which changes nothing for the app's.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::cloud::{Cloud, PULL_MESSAGES_MAX};
use crate::error::{Error, Result};
use crate::model::message::Message;
use crate::names::{SubscriptionName, TopicName};

/// What such a subscription is called, before its topic's name.
const PREFIX: &str = "redrive-testing-";

/// The topics that were there at the start, and what was published to each.
pub(super) struct Watched(Mutex<BTreeMap<TopicName, Topic>>);

struct Topic {
    subscription: SubscriptionName,
    seen: Vec<Message>,
}

impl Watched {
    /// Begins to watch all topics.
    pub(super) async fn begin(cloud: &Cloud) -> Result<Self> {
        let mut topics = BTreeMap::new();
        for topic in cloud.list_topics().await?.items {
            let id = format!("{PREFIX}{}", topic.name.id()).parse()?;
            let subscription = SubscriptionName::new(cloud.project().clone(), id);
            cloud.create_passing_subscription(&subscription, &topic.name, crate::cloud::Passing::filtered("")).await?;
            topics.insert(topic.name, Topic { subscription, seen: Vec::new() });
        }
        Ok(Self(Mutex::new(topics)))
    }

    /// Returns what was published to a topic so far.
    pub(super) async fn of_topic(&self, cloud: &Cloud, topic: &TopicName) -> Result<Vec<Message>> {
        let mut topics = self.0.lock().await;
        let watched = topics.get_mut(topic).ok_or_else(|| {
            Error::invalid(format!("the app under test does not declare topic `{}`", topic.id()))
                .with_hint("say `.publishes::<TheMessage>()` where the app is built")
        })?;
        loop {
            let pulled = cloud.pull(&watched.subscription, PULL_MESSAGES_MAX, Duration::ZERO).await?.messages;
            if pulled.is_empty() {
                // Ids count up, and messages of one moment come in any order.
                watched.seen.sort_by(|a, b| (a.publish_time, a.id.len(), &a.id).cmp(&(b.publish_time, b.id.len(), &b.id)));
                return Ok(watched.seen.clone());
            }
            let ack_ids: Vec<String> = pulled.iter().map(|received| received.ack_id.clone()).collect();
            cloud.acknowledge(&watched.subscription, &ack_ids).await?;
            watched.seen.extend(pulled.into_iter().map(|received| received.message));
        }
    }
}
