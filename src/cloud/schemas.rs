//! What a look before a transfer asks of Pub/Sub: schemas of topics; and the label by which operators notice each other.

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
use crate::names::{SubscriptionName, TopicName};

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

    /// Sets a label of a subscription, or takes it off; the others stay as they are at this moment.
    pub(crate) async fn set_label(&self, name: &SubscriptionName, key: &str, value: Option<&str>) -> Result<()> {
        let asked = self.asked(Api::PubSub, "label the subscription", name, "pubsub.subscriptions.update");
        let client = self.subscription_admin().await?;
        let there = call(&asked, client.get_subscription().set_subscription(name.to_string()).send()).await?;
        let mut labels = there.labels;
        match value {
            Some(value) => labels.insert(key.to_owned(), value.to_owned()),
            None => labels.remove(key),
        };
        let changed = google_cloud_pubsub::model::Subscription::new().set_name(name.to_string()).set_labels(labels);
        let mask = google_cloud_wkt::FieldMask::default().set_paths(["labels"]);
        call(&asked, client.update_subscription().set_subscription(changed).set_update_mask(mask).send()).await.map(drop)
    }

    /// Returns how a subscription pushes, in Google's own JSON.
    pub(crate) async fn push_config(&self, name: &SubscriptionName) -> Result<Value> {
        let asked = self.asked(Api::PubSub, "get the subscription", name, "pubsub.subscriptions.get");
        let about = self.rest::<Value>(&asked, Request::get(format!("/v1/{name}"), VALIDATE_TIMEOUT)).await?.body;
        Ok(about.get("pushConfig").cloned().unwrap_or_default())
    }

    /// Sets how a subscription pushes, in Google's own JSON; an empty object turns it to pull.
    pub(crate) async fn set_push_config(&self, name: &SubscriptionName, config: &Value) -> Result<()> {
        let asked = self.asked(Api::PubSub, "change how the subscription delivers", name, "pubsub.subscriptions.update");
        let body = serde_json::json!({ "pushConfig": config });
        self.rest::<Value>(&asked, Request::post(format!("/v1/{name}:modifyPushConfig"), &body, VALIDATE_TIMEOUT)?).await?;
        Ok(())
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
