//! Messages in and out: bounded pull, acknowledge, lease changes and publish. Nothing that changes something is repeated here: the caller sees
//! every attempt.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use crate::cloud::convert;
use crate::cloud::endpoint::Api;
use crate::cloud::failure::Asked;
use crate::cloud::grpc::{self, Call};
use crate::cloud::rest::{Answer, Request};
use crate::cloud::{Cloud, wire};
use crate::error::{Error, Kind, Result};
use crate::model::message::{Draft, Message};
use crate::names::{SubscriptionName, TopicName};

/// A pull returns at most this many (Google's own limit).
pub const PULL_MESSAGES_MAX: u32 = 1000;

/// A publish request holds at most this many messages (Google's own limit).
pub const PUBLISH_MESSAGES_MAX: usize = 1000;

/// An acknowledge or modify-deadline request holds at most this many bytes of ack ids: Google takes 512 KiB in all.
pub const ACK_IDS_BYTES_MAX: usize = 480 * 1024;

/// A publish of 10 MB over a slow line takes this long at most.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(20);

/// Acknowledging and changing leases is small and quick.
const ACK_TIMEOUT: Duration = Duration::from_secs(8);

/// A pull of what is at hand is answered within this time: at most 10 MB.
const PULL_TIMEOUT: Duration = Duration::from_secs(8);

/// A message with the id by which this delivery of it is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Names this delivery; runs out with its lease.
    pub ack_id: String,
    /// The message.
    pub message: Message,
}

/// What a pull brought.
#[derive(Debug, Clone, Default)]
pub struct Pulled {
    /// The messages; none does not mean that the backlog is empty.
    pub messages: Vec<Received>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PullBody {
    max_messages: u32,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    return_immediately: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct PullAnswer {
    received_messages: Vec<PulledMessage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PulledMessage {
    ack_id: String,
    #[serde(default)]
    message: google_cloud_pubsub::model::Message,
    #[serde(default)]
    delivery_attempt: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AckBody<'a> {
    ack_ids: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    ack_deadline_seconds: Option<u64>,
}

#[derive(Serialize)]
struct PublishBody<'a> {
    messages: Vec<PublishMessage<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PublishMessage<'a> {
    data: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    ordering_key: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct PublishAnswer {
    message_ids: Vec<String>,
}

impl<'a> PublishBody<'a> {
    fn of(drafts: &'a [Draft]) -> Self {
        let messages = drafts.iter().map(|draft| PublishMessage {
            data: BASE64.encode(&draft.data),
            attributes: &draft.attributes,
            ordering_key: &draft.ordering_key,
        });
        Self { messages: messages.collect() }
    }
}

/// The answer to calls that answer nothing.
#[derive(Deserialize)]
struct Empty {}

impl Cloud {
    /// Leases at most `max` messages (1–1000), waiting no longer than `wait` for the first one; zero asks for what is at hand.
    ///
    /// When the wait ends without an answer, what is at hand is asked for: so that a silent connection is not taken for an empty backlog. What
    /// the server may have leased to the call that was given up comes back after its ack deadline.
    ///
    /// # Errors
    ///
    /// Fails where the subscription does not exist or is not pulled (a failed precondition), without access, and without a connection.
    ///
    /// ```
    /// # #[cfg(feature = "emulator")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> redrive::Result<()> {
    /// # use std::time::Duration;
    /// # use redrive::{cloud::Cloud, emulator::Emulator, model::message::Draft};
    /// # let folder = tempfile::tempdir()?;
    /// # let seed = folder.path().join("seed.yaml");
    /// # std::fs::write(&seed, "project: shop\ntopics: [{ name: orders }]\nsubscriptions: [{ name: mail, topic: orders }]")?;
    /// let emulator = Emulator::builder().seed_file(seed).start().await?;
    /// let cloud = Cloud::emulator(&emulator.address().to_string(), "shop".parse()?)?;
    /// let (topic, mail) = ("projects/shop/topics/orders".parse()?, "projects/shop/subscriptions/mail".parse()?);
    ///
    /// let ids = cloud.publish_once(&topic, &[Draft { data: "{}".into(), ..Draft::default() }]).await?;
    /// let pulled = cloud.pull(&mail, 10, Duration::from_secs(5)).await?;
    /// assert_eq!(pulled.messages[0].message.id, ids[0]);
    /// cloud.acknowledge(&mail, &[pulled.messages[0].ack_id.clone()]).await?;
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "emulator"))]
    /// # fn main() {}
    /// ```
    pub async fn pull(&self, subscription: &SubscriptionName, max: u32, wait: Duration) -> Result<Pulled> {
        if !wait.is_zero() {
            match self.pull_once(subscription, max, false, wait).await {
                Err(error) if error.kind() == Kind::Timeout => {}
                answer => return answer,
            }
        }
        self.pull_once(subscription, max, true, PULL_TIMEOUT).await
    }

    async fn pull_once(&self, subscription: &SubscriptionName, max: u32, return_immediately: bool, limit: Duration) -> Result<Pulled> {
        let asked = self.asked_of_subscription("pull messages", subscription);
        let max_messages = max.clamp(1, PULL_MESSAGES_MAX);
        if grpc::is_spoken(&asked) {
            let request =
                wire::PullRequest { subscription: subscription.to_string(), return_immediately, max_messages: max_messages.cast_signed() };
            let call = Call { waits: !return_immediately, ..of_subscription("/google.pubsub.v1.Subscriber/Pull", limit) };
            let answer: wire::PullResponse = self.grpc(&asked, call, request).await?;
            return Ok(Pulled { messages: answer.received_messages.into_iter().map(Received::from).collect() });
        }
        let body = PullBody { max_messages, return_immediately };
        let answer: Answer<PullAnswer> = self.rest(&asked, Request::post(format!("/v1/{subscription}:pull"), &body, limit)?).await?;
        Ok(Pulled { messages: answer.body.received_messages.into_iter().map(received).collect() })
    }

    /// Acknowledges deliveries in one attempt. An accepted ack proves nothing outside exactly-once: expired ids are accepted too.
    ///
    /// The ids together must not be longer than [`ACK_IDS_BYTES_MAX`].
    pub async fn acknowledge(&self, subscription: &SubscriptionName, ack_ids: &[String]) -> Result<()> {
        if ack_ids.is_empty() {
            return Ok(());
        }
        let asked = self.asked_of_subscription("acknowledge messages", subscription);
        if grpc::is_spoken(&asked) {
            let request = wire::AcknowledgeRequest { subscription: subscription.to_string(), ack_ids: ack_ids.to_vec() };
            let call = of_subscription("/google.pubsub.v1.Subscriber/Acknowledge", ACK_TIMEOUT);
            return self.grpc::<_, wire::Nothing>(&asked, call, request).await.map(drop);
        }
        let body = AckBody { ack_ids, ack_deadline_seconds: None };
        self.rest::<Empty>(&asked, Request::post(format!("/v1/{subscription}:acknowledge"), &body, ACK_TIMEOUT)?).await?;
        Ok(())
    }

    /// Sets the leases of deliveries to `deadline` from now (whole seconds up to 600 s) in one attempt; zero releases them at once.
    ///
    /// The ids together must not be longer than [`ACK_IDS_BYTES_MAX`].
    pub async fn modify_ack_deadline(&self, subscription: &SubscriptionName, ack_ids: &[String], deadline: Duration) -> Result<()> {
        if ack_ids.is_empty() {
            return Ok(());
        }
        let asked = self.asked_of_subscription("change the leases of messages", subscription);
        if grpc::is_spoken(&asked) {
            let request = wire::ModifyAckDeadlineRequest {
                subscription: subscription.to_string(),
                ack_deadline_seconds: i32::try_from(deadline.as_secs()).unwrap_or(i32::MAX),
                ack_ids: ack_ids.to_vec(),
            };
            let call = of_subscription("/google.pubsub.v1.Subscriber/ModifyAckDeadline", ACK_TIMEOUT);
            return self.grpc::<_, wire::Nothing>(&asked, call, request).await.map(drop);
        }
        let body = AckBody { ack_ids, ack_deadline_seconds: Some(deadline.as_secs()) };
        self.rest::<Empty>(&asked, Request::post(format!("/v1/{subscription}:modifyAckDeadline"), &body, ACK_TIMEOUT)?).await?;
        Ok(())
    }

    /// Publishes at most [`PUBLISH_MESSAGES_MAX`] messages in one attempt and returns their ids in the same order: all are taken or none is.
    ///
    /// Where the error [may be ambiguous](crate::Error::is_ambiguous), they may have been published although the answer was lost.
    pub async fn publish_once(&self, topic: &TopicName, drafts: &[Draft]) -> Result<Vec<String>> {
        self.publish_all_once(topic, drafts.to_vec()).await
    }

    /// The same for messages that are not needed any more.
    pub(crate) async fn publish_all_once(&self, topic: &TopicName, drafts: Vec<Draft>) -> Result<Vec<String>> {
        if drafts.is_empty() {
            return Ok(Vec::new());
        }
        let asked = self.asked(Api::PubSub, "publish", topic, "pubsub.topics.publish");
        let count = drafts.len();
        let ids = if grpc::is_spoken(&asked) {
            let request = wire::PublishRequest { topic: topic.to_string(), messages: drafts.into_iter().map(Into::into).collect() };
            let path = "/google.pubsub.v1.Publisher/Publish";
            let call = Call { path, field: "topic", limit: PUBLISH_TIMEOUT, waits: false };
            self.grpc::<_, wire::PublishResponse>(&asked, call, request).await?.message_ids
        } else {
            let request = Request::post(format!("/v1/{topic}:publish"), &PublishBody::of(&drafts), PUBLISH_TIMEOUT)?;
            self.rest::<PublishAnswer>(&asked, request).await?.body.message_ids
        };
        if ids.len() != count {
            let words = format!("published {count} messages and got {} ids", ids.len());
            return Err(Error::new(Kind::Internal, words));
        }
        Ok(ids)
    }

    fn asked_of_subscription(&self, verb: &'static str, subscription: &SubscriptionName) -> Asked {
        self.asked(Api::PubSub, verb, subscription, "pubsub.subscriptions.consume")
    }
}

fn of_subscription(path: &'static str, limit: Duration) -> Call {
    Call { path, field: "subscription", limit, waits: false }
}

fn received(pulled: PulledMessage) -> Received {
    let PulledMessage { ack_id, message, delivery_attempt } = pulled;
    let message = Message {
        id: message.message_id,
        data: message.data,
        attributes: message.attributes.into_iter().collect(),
        ordering_key: message.ordering_key,
        publish_time: message.publish_time.as_ref().and_then(convert::timestamp),
        delivery_attempt: (delivery_attempt > 0).then_some(delivery_attempt),
    };
    Received { ack_id, message }
}
