//! The server's clock, as its answers tell it.

use jiff::Timestamp;
use serde_json::Value;

use crate::cloud::Cloud;
use crate::cloud::call::ATTEMPT_TIMEOUT;
use crate::cloud::endpoint::Api;
use crate::cloud::failure::Asked;
use crate::cloud::rest::Request;
use crate::error::{Error, Kind, Result};
use crate::names::{QueueName, SubscriptionName};

impl Cloud {
    /// Returns the clock of the server that holds the subscription, in whole seconds (its `Date` header).
    pub(crate) async fn server_time(&self, subscription: &SubscriptionName) -> Result<Timestamp> {
        let asked = self.asked(Api::PubSub, "get the subscription", subscription, "pubsub.subscriptions.get");
        self.told_by(&asked, format!("/v1/{subscription}")).await
    }

    /// Returns the clock of the server that holds the queue, in whole seconds.
    pub(crate) async fn server_time_of_queue(&self, queue: &QueueName) -> Result<Timestamp> {
        let asked = self.asked(Api::Tasks, "get the queue", queue, "cloudtasks.queues.get");
        self.told_by(&asked, format!("/v2/{queue}")).await
    }

    async fn told_by(&self, asked: &Asked, path: String) -> Result<Timestamp> {
        let answer = self.rest::<Value>(asked, Request::get(path, ATTEMPT_TIMEOUT)).await?;
        answer.server_time.ok_or_else(|| Error::new(Kind::Unsupported, "the server does not tell its time (no `Date` header)"))
    }
}
