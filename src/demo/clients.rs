//! Google's clients, pointed at one address that serves all three services.

use std::time::Duration;

use google_cloud_auth::credentials::anonymous;
use google_cloud_gax::error::rpc::Code;
use google_cloud_gax::retry_policy::NeverRetry;
use google_cloud_pubsub::client::{BasePublisher, Subscriber, SubscriptionAdmin, TopicAdmin};
use google_cloud_scheduler_v1::client::CloudScheduler;
use google_cloud_tasks_v2::client::CloudTasks;

use crate::error::{Error, Kind, Result};
use crate::names::ProjectId;

/// A call that takes longer has failed: the services answer within milliseconds, or not at all.
const CALL_SECONDS_MAX: u64 = 10;

/// All clients of the shop, and its project.
#[derive(Clone)]
pub(super) struct Clients {
    pub(super) project: ProjectId,
    pub(super) topics: TopicAdmin,
    pub(super) subscriptions: SubscriptionAdmin,
    pub(super) publisher: BasePublisher,
    pub(super) subscriber: Subscriber,
    pub(super) tasks: CloudTasks,
    pub(super) jobs: CloudScheduler,
}

/// Builds a client for `$endpoint` without credentials, which never tries again by itself.
macro_rules! connect {
    ($client:ty, $endpoint:expr) => {
        <$client>::builder()
            .with_endpoint($endpoint)
            .with_credentials(anonymous::Builder::new().build())
            .with_retry_policy(NeverRetry)
            .build()
            .await
            .map_err(cannot_connect)
    };
}

impl Clients {
    pub(super) async fn connect(address: &str, project: &ProjectId) -> Result<Self> {
        let endpoint = format!("http://{address}");
        Ok(Self {
            project: project.clone(),
            topics: connect!(TopicAdmin, &endpoint)?,
            subscriptions: connect!(SubscriptionAdmin, &endpoint)?,
            publisher: connect!(BasePublisher, &endpoint)?,
            subscriber: Subscriber::builder()
                .with_endpoint(&endpoint)
                .with_credentials(anonymous::Builder::new().build())
                .build()
                .await
                .map_err(cannot_connect)?,
            tasks: connect!(CloudTasks, &endpoint)?,
            jobs: connect!(CloudScheduler, &endpoint)?,
        })
    }

    /// Returns the full name of a topic.
    pub(super) fn topic(&self, id: &str) -> String {
        format!("projects/{}/topics/{id}", self.project)
    }

    /// Returns the full name of a subscription.
    pub(super) fn subscription(&self, id: &str) -> String {
        format!("projects/{}/subscriptions/{id}", self.project)
    }

    /// Returns the full name of a location.
    pub(super) fn location(&self, id: &str) -> String {
        format!("projects/{}/locations/{id}", self.project)
    }
}

fn cannot_connect(source: google_cloud_gax::client_builder::Error) -> Error {
    Error::new(Kind::Unavailable, "a client of the sample shop cannot be made").with_source(source)
}

/// Makes a call with a time limit; `what` says what it does, for the error.
pub(super) async fn call<T>(what: &str, answer: impl Future<Output = google_cloud_gax::Result<T>>) -> Result<T> {
    match tokio::time::timeout(Duration::from_secs(CALL_SECONDS_MAX), answer).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(failed(what, source)),
        Err(_) => Err(Error::new(Kind::Timeout, format!("the sample shop cannot {what}: no answer within {CALL_SECONDS_MAX} s"))),
    }
}

/// Makes a call that makes something; that it is there already is fine, and tells `false`.
pub(super) async fn make<T>(what: &str, answer: impl Future<Output = google_cloud_gax::Result<T>>) -> Result<bool> {
    match call(what, answer).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_already_exists() => Ok(false),
        Err(error) => Err(error),
    }
}

fn failed(what: &str, source: google_cloud_gax::error::Error) -> Error {
    let (kind, said) = match source.status() {
        Some(status) => {
            let kind = match status.code {
                Code::AlreadyExists => Kind::AlreadyExists,
                Code::NotFound => Kind::NotFound,
                Code::PermissionDenied => Kind::PermissionDenied,
                Code::Unimplemented => Kind::Unsupported,
                _ => Kind::Internal,
            };
            (kind, status.message.clone())
        }
        None if source.http_status_code().is_some() => (Kind::Internal, "the answer makes no sense".to_owned()),
        None => (Kind::Unavailable, "no connection".to_owned()),
    };
    Error::new(kind, format!("the sample shop cannot {what}: {said}")).with_source(source)
}
