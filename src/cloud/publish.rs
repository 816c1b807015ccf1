//! Publishing for a service: batched by the official client, which repeats what Pub/Sub does not take, and streaming pull. Transfers publish otherwise: they
//! must know each try (`messages`).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use google_cloud_gax::retry_policy::RetryPolicyExt as _;
use google_cloud_pubsub::client::{BasePublisher, Publisher, Subscriber};
use google_cloud_pubsub::error::PublishError;
use google_cloud_pubsub::model::Message as WireMessage;
use google_cloud_pubsub::retry_policy::RetryableErrors;
use tokio::sync::OnceCell;

use crate::cloud::call::ATTEMPT_TIMEOUT;
use crate::cloud::endpoint::Api;
use crate::cloud::failure::{Asked, Failure};
use crate::cloud::{Cloud, identity};
use crate::error::{Error, Kind, Result};
use crate::model::message::Draft;
use crate::names::{SubscriptionName, TopicName};

/// A message is given up when Pub/Sub has not taken it for this long: whoever publishes waits for it.
const PUBLISH_LIMIT: Duration = Duration::from_mins(1);

/// Topics with a publisher of their own that are kept: a topic may depend on the record that is published.
const TOPICS_MAX: usize = 1000;

/// The clients for messages, each made when it is first needed.
#[derive(Default)]
pub(crate) struct Streams {
    base: OnceCell<BasePublisher>,
    subscriber: OnceCell<Subscriber>,
    topics: Mutex<HashMap<TopicName, Publisher>>,
}

impl Cloud {
    /// Publishes a message and returns its id; waits for a minute at most. A failure holds back what is published with the same ordering key at the same
    /// time, and nothing later.
    pub(crate) async fn publish(&self, topic: &TopicName, draft: Draft) -> Result<String> {
        let asked = self.asked(Api::PubSub, "publish", topic, "pubsub.topics.publish");
        let publisher = self.publisher(topic).await?;
        let key = draft.ordering_key.clone();
        let message = WireMessage::new().set_data(draft.data).set_attributes(draft.attributes).set_ordering_key(draft.ordering_key);
        match publisher.publish(message).await {
            Ok(id) => Ok(id),
            Err(error) => {
                // The caller is told: what it publishes from now on is its own decision.
                if !key.is_empty() {
                    publisher.resume_publish(key);
                }
                Err(unpublished(error, &asked))
            }
        }
    }

    /// Returns the client for streaming pull.
    pub(crate) async fn subscriber(&self) -> Result<&Subscriber> {
        let make = async || {
            let (url, credentials) = self.way_in()?;
            Subscriber::builder().with_endpoint(url).with_credentials(credentials).build().await.map_err(unusable)
        };
        self.0.streams.subscriber.get_or_try_init(make).await
    }

    /// Says what ended a stream.
    pub(crate) fn explain_pull(&self, subscription: &SubscriptionName, error: google_cloud_pubsub::Error) -> Error {
        let asked = self.asked(Api::PubSub, "pull messages", subscription, "pubsub.subscriptions.consume");
        Failure::of_client(&error, ATTEMPT_TIMEOUT).explain(&asked).with_source(error)
    }

    async fn publisher(&self, topic: &TopicName) -> Result<Publisher> {
        let base = self.base_publisher().await?;
        let mut topics = self.0.streams.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if topics.len() >= TOPICS_MAX && !topics.contains_key(topic) {
            // Those in use are held by their users.
            topics.clear();
        }
        Ok(topics.entry(topic.clone()).or_insert_with(|| base.publisher(topic.to_string()).build()).clone())
    }

    async fn base_publisher(&self) -> Result<&BasePublisher> {
        let make = async || {
            let (url, credentials) = self.way_in()?;
            BasePublisher::builder()
                .with_endpoint(url)
                .with_credentials(credentials)
                .with_retry_policy(RetryableErrors.with_time_limit(PUBLISH_LIMIT))
                .build()
                .await
                .map_err(unusable)
        };
        self.0.streams.base.get_or_try_init(make).await
    }

    /// Returns where Pub/Sub is, and as whom it is called.
    fn way_in(&self) -> Result<(String, google_cloud_auth::credentials::Credentials)> {
        let endpoint = self.0.endpoints.of(Api::PubSub);
        let credentials = if endpoint.is_google() { self.credentials()?.clone() } else { identity::nobody() };
        Ok((endpoint.url(Api::PubSub)?, credentials))
    }
}

fn unpublished(error: PublishError, asked: &Asked) -> Error {
    let failure = match &error {
        PublishError::Rpc(cause) => Failure::of_client(cause, ATTEMPT_TIMEOUT),
        PublishError::OrderingKeyPaused => Failure::Broken("a message of the same ordering key before it was not published".to_owned()),
        error => Failure::Broken(error.to_string()),
    };
    failure.explain(asked).with_source(error)
}

fn unusable(error: google_cloud_gax::client_builder::Error) -> Error {
    Error::new(Kind::Internal, format!("the client of {} cannot be made: {error}", Api::PubSub.title())).with_source(error)
}
