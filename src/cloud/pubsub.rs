//! Calls of Pub/Sub's administration: topics, subscriptions and snapshots as our models.

use std::time::Duration;

use google_cloud_pubsub::model::push_config::{AuthenticationMethod, Wrapper};
use google_cloud_pubsub::model::{self as google, ExpirationPolicy};

use crate::cloud::Cloud;
use crate::cloud::call::call;
use crate::cloud::convert::{count, duration};
use crate::cloud::endpoint::Api;
use crate::cloud::pages::{Rows, read_all};
use crate::cloud::raw;
use crate::error::Result;
use crate::model::subscription::{DeadLetterPolicy, Delivery, Subscription};
use crate::model::topic::Topic;
use crate::names::{SubscriptionName, TopicName};

/// A project has at most 10,000 topics and as many subscriptions.
const ROWS_MAX: usize = 10_000;

/// Rows asked for in one page.
const PAGE_ROWS: i32 = 1000;

/// What Pub/Sub keeps where a subscription does not say.
const RETENTION_DEFAULT: Duration = Duration::from_hours(7 * 24);

/// What a dead-letter policy counts to where it does not say.
const ATTEMPTS_DEFAULT: u32 = 5;

/// What we make for a moment bears this label, so that whoever finds it after a crash knows whose it is.
const LABELS: [(&str, &str); 1] = [("made-by", "redrive")];

/// A subscription made for a moment lives this long after its last use: the shortest that Pub/Sub allows.
const PASSING_TTL_S: i64 = 24 * 60 * 60;

/// How a subscription made for a moment delivers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passing<'a> {
    pub(crate) filter: &'a str,
    pub(crate) ordered: bool,
    pub(crate) ack_deadline: Duration,
}

impl<'a> Passing<'a> {
    /// Takes what passes a filter, without order; what is pulled is leased long enough to acknowledge a batch.
    pub(crate) fn filtered(filter: &'a str) -> Self {
        Self { filter, ordered: false, ack_deadline: Duration::from_mins(1) }
    }
}

impl Cloud {
    /// Lists the topics of the project.
    pub(crate) async fn list_topics(&self) -> Result<Rows<Topic>> {
        let asked = self.asked(Api::PubSub, "list the topics", self.project(), "pubsub.topics.list");
        let (client, project) = (self.topic_admin().await?, self.project().to_string());
        let rows = read_all(ROWS_MAX, async |token| {
            let page =
                call(&asked, client.list_topics().set_project(&project).set_page_size(PAGE_ROWS).set_page_token(token).send()).await?;
            Ok((page.topics, page.next_page_token))
        })
        .await?;
        Ok(Rows::convert(rows, |row| &row.name, topic))
    }

    /// Lists the subscriptions of the project.
    pub(crate) async fn list_subscriptions(&self) -> Result<Rows<Subscription>> {
        let asked = self.asked(Api::PubSub, "list the subscriptions", self.project(), "pubsub.subscriptions.list");
        let (client, project) = (self.subscription_admin().await?, self.project().to_string());
        let rows = read_all(ROWS_MAX, async |token| {
            let page =
                call(&asked, client.list_subscriptions().set_project(&project).set_page_size(PAGE_ROWS).set_page_token(token).send())
                    .await?;
            Ok((page.subscriptions, page.next_page_token))
        })
        .await?;
        Ok(Rows::convert(rows, |row| &row.name, subscription))
    }

    /// Gets a subscription.
    pub(crate) async fn get_subscription(&self, name: &SubscriptionName) -> Result<Subscription> {
        let asked = self.asked(Api::PubSub, "get the subscription", name, "pubsub.subscriptions.get");
        subscription(&call(&asked, self.subscription_admin().await?.get_subscription().set_subscription(name.to_string()).send()).await?)
    }

    /// Lists the names of a topic's subscriptions, also of those in other projects; names that cannot be read are left out.
    pub(crate) async fn list_topic_subscriptions(&self, topic: &TopicName) -> Result<Vec<SubscriptionName>> {
        let asked = self.asked(Api::PubSub, "list the topic's subscriptions", topic, "pubsub.topics.get");
        let (client, topic) = (self.topic_admin().await?, topic.to_string());
        let (rows, _) = read_all(ROWS_MAX, async |token| {
            let list = client.list_topic_subscriptions().set_topic(&topic).set_page_size(PAGE_ROWS).set_page_token(token);
            let page = call(&asked, list.send()).await?;
            Ok((page.subscriptions, page.next_page_token))
        })
        .await?;
        Ok(rows.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Makes a snapshot of a subscription, labelled as ours.
    pub(crate) async fn create_snapshot(&self, snapshot: &str, of: &SubscriptionName) -> Result<()> {
        let asked = self.asked(Api::PubSub, "make a snapshot", of, "pubsub.snapshots.create");
        let create =
            self.subscription_admin().await?.create_snapshot().set_name(snapshot).set_subscription(of.to_string()).set_labels(LABELS);
        call(&asked, create.send()).await.map(drop)
    }

    /// Deletes a snapshot.
    pub(crate) async fn delete_snapshot(&self, snapshot: &str) -> Result<()> {
        let asked = self.asked(Api::PubSub, "delete the snapshot", &snapshot, "pubsub.snapshots.delete");
        call(&asked, self.subscription_admin().await?.delete_snapshot().set_snapshot(snapshot).send()).await
    }

    /// Makes a pulled subscription, labelled as ours, that expires by itself when nobody has used it for a day.
    pub(crate) async fn create_passing_subscription(&self, name: &SubscriptionName, topic: &TopicName, terms: Passing<'_>) -> Result<()> {
        let asked = self.asked(Api::PubSub, "make a subscription", name, "pubsub.subscriptions.create");
        let create = self
            .subscription_admin()
            .await?
            .create_subscription()
            .set_name(name.to_string())
            .set_topic(topic.to_string())
            .set_filter(terms.filter)
            .set_enable_message_ordering(terms.ordered)
            .set_labels(LABELS)
            .set_ack_deadline_seconds(i32::try_from(terms.ack_deadline.as_secs()).unwrap_or(i32::MAX))
            .set_expiration_policy(ExpirationPolicy::new().set_ttl(google_cloud_wkt::Duration::clamp(PASSING_TTL_S, 0)));
        call(&asked, create.send()).await.map(drop)
    }

    /// Deletes a subscription.
    pub(crate) async fn delete_subscription(&self, name: &SubscriptionName) -> Result<()> {
        let asked = self.asked(Api::PubSub, "delete the subscription", name, "pubsub.subscriptions.delete");
        call(&asked, self.subscription_admin().await?.delete_subscription().set_subscription(name.to_string()).send()).await
    }

    /// Sets a subscription's backlog to that of a snapshot.
    pub(crate) async fn seek(&self, name: &SubscriptionName, snapshot: &str) -> Result<()> {
        let asked = self.asked(Api::PubSub, "seek to the snapshot", name, "pubsub.snapshots.seek");
        let seek = self.subscription_admin().await?.seek().set_subscription(name.to_string()).set_snapshot(snapshot);
        call(&asked, seek.send()).await.map(drop)
    }
}

pub(crate) fn topic(topic: &google::Topic) -> Result<Topic> {
    Ok(Topic {
        name: topic.name.parse()?,
        retention: topic.message_retention_duration.as_ref().map(duration),
        schema: topic.schema_settings.as_ref().map(|settings| settings.schema.clone()),
        raw: raw::topic(topic),
    })
}

fn subscription(subscription: &google::Subscription) -> Result<Subscription> {
    Ok(Subscription {
        name: subscription.name.parse()?,
        // Once the topic is deleted, Pub/Sub says `_deleted-topic_`, which is no topic's name.
        topic: subscription.topic.parse().ok(),
        delivery: delivery(subscription),
        ack_deadline: Duration::from_secs(count(subscription.ack_deadline_seconds).into()),
        retention: subscription.message_retention_duration.as_ref().map_or(RETENTION_DEFAULT, duration),
        retain_acked: subscription.retain_acked_messages,
        filter: subscription.filter.clone(),
        ordered: subscription.enable_message_ordering,
        exactly_once: subscription.enable_exactly_once_delivery,
        dead_letters: subscription.dead_letter_policy.as_ref().map(|policy| DeadLetterPolicy {
            topic: policy.dead_letter_topic.parse().ok(),
            attempts_max: Some(count(policy.max_delivery_attempts)).filter(|&attempts| attempts > 0).unwrap_or(ATTEMPTS_DEFAULT),
        }),
        backoff: subscription.retry_policy.as_ref().map(|policy| {
            let span = |span: &Option<google_cloud_wkt::Duration>, default| span.as_ref().map_or(Duration::from_secs(default), duration);
            (span(&policy.minimum_backoff, 10), span(&policy.maximum_backoff, 600))
        }),
        detached: subscription.detached,
        raw: raw::subscription(subscription),
    })
}

fn delivery(subscription: &google::Subscription) -> Delivery {
    if let Some(config) = &subscription.bigquery_config {
        return Delivery::Export(format!("BigQuery table {}", config.table));
    }
    if let Some(config) = &subscription.cloud_storage_config {
        return Delivery::Export(format!("Cloud Storage bucket {}", config.bucket));
    }
    if let Some(config) = &subscription.bigtable_config {
        return Delivery::Export(format!("Bigtable table {}", config.table));
    }
    let Some(push) = subscription.push_config.as_ref().filter(|push| !push.push_endpoint.is_empty()) else { return Delivery::Pull };
    Delivery::Push {
        endpoint: push.push_endpoint.clone(),
        unwrapped: matches!(push.wrapper, Some(Wrapper::NoWrapper(_))),
        account: push.authentication_method.as_ref().and_then(|method| match method {
            AuthenticationMethod::OidcToken(token) => Some(token.service_account_email.clone()),
            _ => None,
        }),
    }
}
