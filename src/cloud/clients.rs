//! The official clients, each made when it is first needed and kept.

use std::future::Future;

use google_cloud_auth::credentials::Credentials;
use google_cloud_gax::client_builder::{ClientBuilder, Error as BuildError};
use google_cloud_pubsub::client::{SubscriptionAdmin, TopicAdmin};
use google_cloud_scheduler_v1::client::CloudScheduler;
use google_cloud_tasks_v2::client::CloudTasks;
use tokio::sync::OnceCell;

use crate::cloud::call::{ATTEMPT_TIMEOUT, backoff_policy, retry_policy};
use crate::cloud::endpoint::Api;
use crate::cloud::{Cloud, identity};
use crate::error::{Error, Kind, Result};

/// The clients made so far.
#[derive(Default)]
pub(crate) struct Clients {
    topics: OnceCell<TopicAdmin>,
    subscriptions: OnceCell<SubscriptionAdmin>,
    tasks: OnceCell<CloudTasks>,
    scheduler: OnceCell<CloudScheduler>,
}

impl Cloud {
    /// Returns the client for topics.
    pub(crate) async fn topic_admin(&self) -> Result<&TopicAdmin> {
        let make = async || made(Api::PubSub, self.prepare(Api::PubSub, TopicAdmin::builder())?.build()).await;
        self.0.clients.topics.get_or_try_init(make).await
    }

    /// Returns the client for subscriptions and snapshots.
    pub(crate) async fn subscription_admin(&self) -> Result<&SubscriptionAdmin> {
        let make = async || made(Api::PubSub, self.prepare(Api::PubSub, SubscriptionAdmin::builder())?.build()).await;
        self.0.clients.subscriptions.get_or_try_init(make).await
    }

    /// Returns the client for queues and tasks.
    pub(crate) async fn cloud_tasks(&self) -> Result<&CloudTasks> {
        let make = async || made(Api::Tasks, self.prepare(Api::Tasks, CloudTasks::builder())?.build()).await;
        self.0.clients.tasks.get_or_try_init(make).await
    }

    /// Returns the client for scheduled jobs.
    pub(crate) async fn cloud_scheduler(&self) -> Result<&CloudScheduler> {
        let make = async || made(Api::Scheduler, self.prepare(Api::Scheduler, CloudScheduler::builder())?.build()).await;
        self.0.clients.scheduler.get_or_try_init(make).await
    }

    /// Makes the client for topics before it is needed.
    pub(crate) async fn expect_topics(&self) {
        // Who asks for a topic is told what is wrong.
        let _ = self.topic_admin().await;
    }

    fn prepare<F>(&self, api: Api, builder: ClientBuilder<F, Credentials>) -> Result<ClientBuilder<F, Credentials>> {
        let endpoint = self.0.endpoints.of(api);
        let credentials = if endpoint.is_google() { self.credentials()?.clone() } else { identity::nobody() };
        Ok(builder
            .with_endpoint(endpoint.url(api)?)
            .with_credentials(credentials)
            .with_retry_policy(retry_policy())
            .with_backoff_policy(backoff_policy())
            .with_attempt_timeout(ATTEMPT_TIMEOUT))
    }
}

/// Makes a client as a task of its own: reading the system's certificates takes milliseconds of processor time, which others need not wait for.
async fn made<C: Send + 'static>(api: Api, making: impl Future<Output = std::result::Result<C, BuildError>> + Send + 'static) -> Result<C> {
    let made = tokio::spawn(making).await;
    let made =
        made.map_err(|error| Error::new(Kind::Internal, format!("making the client of {} broke off", api.title())).with_source(error))?;
    made.map_err(|error| unusable(api, error))
}

fn unusable(api: Api, error: BuildError) -> Error {
    Error::new(Kind::Internal, format!("the client of {} cannot be made: {error}", api.title())).with_source(error)
}
