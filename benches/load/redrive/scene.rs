//! Dead letters, and who gave them up: made for one turn, counted at its end.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;

use crate::pb::google::pubsub::v1 as pb;
use crate::rpc::Client;
use crate::workload::{all, fresh};

pub(super) const PROJECT: &str = "load";
/// Messages of a request that fills or empties.
const BATCH: usize = 1000;
/// Requests under way at once while it is filled.
const CONCURRENCY: usize = 4;

/// `orders` has one subscription, whose dead letters lie in another that confirms its acknowledgements: so that a transfer of known length is over at once.
pub(super) struct Scene {
    client: Client,
    pub(super) address: String,
    pub(super) count: usize,
    /// Names within the project.
    pub(super) orders: String,
    pub(super) source: String,
    dead: String,
    pub(super) hold: String,
}

impl Scene {
    /// Makes everything, and publishes `count` dead letters.
    pub(super) async fn open(address: &str, count: usize, payload_bytes: usize) -> Result<Self> {
        let client = Client::connect(address).await?;
        let [orders, source, dead, hold] = ["orders", "billing", "dead", "hold"].map(fresh);
        let scene = Self { client, address: address.to_owned(), count, orders, source, dead, hold };
        for topic in [&scene.orders, &scene.dead] {
            let topic = pb::Topic { name: name("topics", topic), ..Default::default() };
            let _: pb::Topic = scene.client.call("/google.pubsub.v1.Publisher/CreateTopic", topic).await?;
        }
        for (id, topic, strict) in [(&scene.source, &scene.orders, false), (&scene.hold, &scene.dead, true)] {
            let subscription = pb::Subscription {
                name: name("subscriptions", id),
                topic: name("topics", topic),
                enable_exactly_once_delivery: strict,
                ..Default::default()
            };
            let _: pb::Subscription = scene.client.call("/google.pubsub.v1.Subscriber/CreateSubscription", subscription).await?;
        }
        scene.fill(payload_bytes).await?;
        Ok(scene)
    }

    async fn fill(&self, payload_bytes: usize) -> Result<()> {
        let told = [("", self.source.as_str()), ("Project", PROJECT)];
        let told = told.map(|(key, value)| (format!("CloudPubSubDeadLetterSourceSubscription{key}"), value.to_owned()));
        let attributes = told.into_iter().chain([("kind".to_owned(), "order".to_owned())]).collect();
        let message = pb::PubsubMessage { data: Bytes::from(vec![b'x'; payload_bytes]), attributes, ..Default::default() };
        all(self.count.div_ceil(BATCH), CONCURRENCY, |number| {
            let messages = vec![message.clone(); BATCH.min(self.count - number * BATCH)];
            let request = pb::PublishRequest { topic: name("topics", &self.dead), messages };
            let client = self.client.clone();
            async move {
                let _: pb::PublishResponse = client.call("/google.pubsub.v1.Publisher/Publish", request).await?;
                Ok(())
            }
        })
        .await
    }

    /// Counts what arrived and what is left, and takes everything away.
    pub(super) async fn close(self) -> Result<()> {
        let arrived = self.empty(&self.source).await?;
        ensure!(arrived == self.count, "{arrived} arrived of {}", self.count);
        let left = self.empty(&self.hold).await?;
        ensure!(left == 0, "{left} are left");
        for subscription in [&self.source, &self.hold] {
            let request = pb::DeleteSubscriptionRequest { subscription: name("subscriptions", subscription) };
            let () = self.client.call("/google.pubsub.v1.Subscriber/DeleteSubscription", request).await?;
        }
        for topic in [&self.orders, &self.dead] {
            let () = self
                .client
                .call("/google.pubsub.v1.Publisher/DeleteTopic", pb::DeleteTopicRequest { topic: name("topics", topic) })
                .await?;
        }
        Ok(())
    }

    async fn empty(&self, id: &str) -> Result<usize> {
        let subscription = name("subscriptions", id);
        let mut count = 0;
        loop {
            let max_messages = i32::try_from(BATCH).context("a small number")?;
            let request = pb::PullRequest { subscription: subscription.clone(), max_messages, return_immediately: true };
            let reply: pb::PullResponse = self.client.call("/google.pubsub.v1.Subscriber/Pull", request).await?;
            let ack_ids: Vec<_> = reply.received_messages.into_iter().map(|one| one.ack_id).collect();
            if ack_ids.is_empty() {
                return Ok(count);
            }
            count += ack_ids.len();
            let request = pb::AcknowledgeRequest { subscription: subscription.clone(), ack_ids };
            let () = self.client.call("/google.pubsub.v1.Subscriber/Acknowledge", request).await?;
        }
    }
}

fn name(kind: &str, id: &str) -> String {
    format!("projects/{PROJECT}/{kind}/{id}")
}
