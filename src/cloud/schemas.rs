//! Asks Pub/Sub whether a message fits the schema of a topic.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use serde_json::Value;

use crate::cloud::Cloud;
use crate::cloud::call::call;
use crate::cloud::endpoint::Api;
use crate::cloud::pubsub;
use crate::cloud::rest::Request;
use crate::error::Result;
use crate::model::topic::Topic;
use crate::names::TopicName;

/// A message of 10 MB is looked at within this time.
const VALIDATE_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Serialize)]
struct ValidateBody<'a> {
    name: &'a str,
    message: String,
    encoding: &'a str,
}

impl Cloud {
    /// Gets a topic.
    pub(crate) async fn get_topic(&self, name: &TopicName) -> Result<Topic> {
        let asked = self.asked(Api::PubSub, "get the topic", name, "pubsub.topics.get");
        pubsub::topic(&call(&asked, self.topic_admin().await?.get_topic().set_topic(name.to_string()).send()).await?)
    }

    /// Asks whether a payload fits a schema in `encoding` (`JSON` or `BINARY`).
    ///
    /// # Errors
    ///
    /// Fails with an invalid-input error where it does not fit.
    pub(crate) async fn validate_message(&self, schema: &str, encoding: &str, payload: &[u8]) -> Result<()> {
        let asked = self.asked(Api::PubSub, "check the message against the schema", &schema, "pubsub.schemas.validate");
        let parent = schema.split_once("/schemas/").map_or(schema, |(parent, _)| parent);
        let body = ValidateBody { name: schema, message: BASE64.encode(payload), encoding };
        self.rest::<Value>(&asked, Request::post(format!("/v1/{parent}/schemas:validateMessage"), &body, VALIDATE_TIMEOUT)?).await?;
        Ok(())
    }
}
