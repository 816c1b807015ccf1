//! Publishing by way of Cloud Tasks: a task of the runtime's own, whose work it is to publish.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::model::message::Draft;
use crate::names::TopicName;
use crate::runtime::propagation;
use crate::runtime::publisher::Publish;
use crate::runtime::publisher::send::{Ready, ready};
use crate::runtime::registry::{Malformed, decode};
use crate::runtime::{Compat, Context, Enqueued, Outcome, Task, discard, done_with};

/// A message that a task is to publish.
#[derive(Serialize, Deserialize)]
pub(crate) struct PublishLater {
    topic: String,
    #[serde(with = "bytes_as_base64")]
    data: Bytes,
    attributes: BTreeMap<String, String>,
    ordering_key: String,
}

impl<S: Send + Sync + 'static> Task<S> for PublishLater {
    const NAME: &'static str = "redrive.publish";

    async fn run(self, cx: Context<S>) -> Outcome {
        let topic: TopicName = match self.topic.parse() {
            Ok(topic) if cx.app().is_own_topic(&topic) => topic,
            // Whoever can call the endpoint could else publish to any topic as this service.
            _ => return discard("that is no topic of this app"),
        };
        let draft = Draft { data: self.data, attributes: self.attributes, ordering_key: self.ordering_key };
        done_with(cx.app().send_message(Ready { topic, draft }).await?)
    }
}

/// The same as `django-google-cloud-tasks` writes it, whose tasks are called as the publishers.
#[derive(Serialize, Deserialize)]
struct Django {
    message: Map<String, Value>,
    #[serde(default)]
    attributes: Option<BTreeMap<String, String>>,
    /// Where it is a record's; else the topic is called as the publisher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    topic_name: Option<String>,
}

/// Begins the work of a task that is called as a publisher.
pub(crate) fn publish_for<S: Send + Sync + 'static>(
    publisher: &'static str,
    payload: &[u8],
    cx: Context<S>,
) -> Result<BoxFuture<'static, Outcome>, Malformed> {
    let Django { message, attributes, topic_name } = decode(payload)?;
    Ok(Box::pin(async move {
        let app = cx.app();
        let topic = topic_name.unwrap_or_else(|| app.layout().topic(publisher));
        let topic = match app.topic_name(&topic) {
            Ok(topic) if app.is_own_topic(&topic) => topic,
            _ => return discard("that is no topic of this app"),
        };
        let data = app.layout().message_data(serde_json::to_vec(&message)?.into(), &propagation::current());
        let draft = Draft { data, attributes: attributes.unwrap_or_default(), ..Draft::default() };
        done_with(app.send_message(Ready { topic, draft }).await?)
    }))
}

/// Writes a message as `django-google-cloud-tasks` does; nothing where that cannot say it, or has no such task here.
fn for_django<S: Send + Sync + 'static>(publish: &Publish<S>) -> Option<Value> {
    let app = &publish.app;
    if app.config().compat != Compat::DjangoGoogleCloudTasks || !publish.ordering_key.is_empty() {
        return None;
    }
    let is_record = app.registry().is_publisher(publish.publisher)?;
    let message: Map<String, Value> = serde_json::from_slice(publish.data.as_ref().ok()?).ok()?;
    let attributes = Some(publish.attributes.clone()).filter(|attributes| !attributes.is_empty());
    serde_json::to_value(Django { message, attributes, topic_name: is_record.then(|| publish.topic.clone()) }).ok()
}

pub(super) async fn asap<S: Send + Sync + 'static>(publish: Publish<S>) -> Result<Enqueued> {
    let app = publish.app.clone();
    if app.config().compat == Compat::SingleEndpoint {
        return Err(Error::invalid("in this format tasks go over Pub/Sub, so a message cannot go by a task")
            .with_hint("publish it, and await its id"));
    }
    if !app.registry().publishes_by_tasks() {
        return Err(
            Error::invalid("no task may publish a message in this app").with_hint("add `.publishes_by_tasks()` where the app is built")
        );
    }
    let (publisher, for_django) = (publish.publisher, for_django(&publish));
    let Ready { topic, draft } = ready(publish)?;
    if !app.is_own_topic(&topic) {
        return Err(Error::invalid(format!("a task may not publish to `{topic}`, which the app does not declare"))
            .with_hint("add `.publishes_to(\"…\")` where the app is built"));
    }
    let later = PublishLater { topic: topic.to_string(), data: draft.data, attributes: draft.attributes, ordering_key: draft.ordering_key };
    let task = later.enqueue(&app);
    let task = match for_django {
        Some(payload) => task.called(publisher, payload),
        None => task,
    };
    Box::pin(task.send()).await
}

/// Bytes as text within JSON.
pub(crate) mod bytes_as_base64 {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use bytes::Bytes;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(data: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(data))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64.decode(text).map(Bytes::from).map_err(de::Error::custom)
    }
}
