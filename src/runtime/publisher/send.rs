//! Sends a message where its app's mode has it go, with the headers that go along.

use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::model::message::{Draft, RESERVED_PREFIX};
use crate::names::TopicName;
use crate::runtime::propagation;
use crate::runtime::publisher::Publish;
use crate::runtime::{App, MessageInfo, Mode};

/// Google's limits of a message.
const ATTRIBUTES_MAX: usize = 100;
const KEY_BYTES_MAX: usize = 256;
const VALUE_BYTES_MAX: usize = 1024;
const ORDERING_KEY_BYTES_MAX: usize = 1024;
const MESSAGE_BYTES_MAX: usize = 10_000_000;

/// A message as it is sent.
pub(crate) struct Ready {
    pub(crate) topic: TopicName,
    pub(crate) draft: Draft,
}

pub(super) async fn send<S: Send + Sync + 'static>(publish: Publish<S>) -> Result<String> {
    let app = publish.app.clone();
    let ready = ready(publish)?;
    app.send_message(ready).await
}

/// Writes the message: content with what goes along, checked against Google's limits.
pub(super) fn ready<S: Send + Sync + 'static>(publish: Publish<S>) -> Result<Ready> {
    let Publish { app, topic, data, mut attributes, ordering_key, .. } = publish;
    let headers = propagation::current();
    let data = app.layout().message_data(data?, &headers);
    if app.layout().headers_are_attributes() {
        for (name, value) in headers.iter().filter(|(_, value)| value.len() <= VALUE_BYTES_MAX) {
            // What the caller says goes first; what would be too many is left out.
            if attributes.len() < ATTRIBUTES_MAX {
                attributes.entry(name.to_owned()).or_insert_with(|| value.to_owned());
            }
        }
    }
    let draft = Draft { data, attributes, ordering_key };
    check(&topic, &draft)?;
    Ok(Ready { topic: app.topic_name(&topic)?, draft })
}

/// Refuses what Pub/Sub would refuse.
fn check(topic: &str, draft: &Draft) -> Result<()> {
    let wrong = |what: String| Err(Error::invalid(format!("a message for topic `{}` {what}", topic.escape_debug())));
    if draft.data.is_empty() && draft.attributes.is_empty() {
        return wrong("has neither content nor attributes".to_owned());
    }
    if draft.attributes.len() > ATTRIBUTES_MAX {
        return wrong(format!("has {} attributes, and Pub/Sub takes {ATTRIBUTES_MAX}", draft.attributes.len()));
    }
    for (key, value) in &draft.attributes {
        let shown = key.escape_debug();
        if key.is_empty() || key.len() > KEY_BYTES_MAX || key.starts_with(RESERVED_PREFIX) {
            return wrong(format!("has the attribute `{shown}`: a key has 1 to {KEY_BYTES_MAX} bytes and does not begin with `goog`"));
        }
        if value.len() > VALUE_BYTES_MAX {
            return wrong(format!("has {} bytes in the attribute `{shown}`, and Pub/Sub takes {VALUE_BYTES_MAX}", value.len()));
        }
    }
    if draft.ordering_key.len() > ORDERING_KEY_BYTES_MAX {
        return wrong(format!("has an ordering key of more than {ORDERING_KEY_BYTES_MAX} bytes"));
    }
    let attributes: usize = draft.attributes.iter().map(|(key, value)| key.len() + value.len()).sum();
    let size = draft.data.len() + attributes + draft.ordering_key.len();
    if size > MESSAGE_BYTES_MAX {
        return wrong(format!("has {size} bytes, and Pub/Sub takes {MESSAGE_BYTES_MAX}"));
    }
    Ok(())
}

impl<S: Send + Sync + 'static> App<S> {
    /// Sends a message that is written.
    pub(crate) async fn send_message(&self, ready: Ready) -> Result<String> {
        match self.config().mode {
            Mode::Disabled => Ok(String::new()),
            Mode::Eager => {
                self.deliver_here(ready).await;
                Ok(String::new())
            }
            Mode::Normal => self.cloud().publish(&ready.topic, ready.draft).await,
        }
    }

    /// Gives a message to this app's own subscribers of its topic. As with Pub/Sub, the publisher does not learn how they fare.
    async fn deliver_here(&self, ready: Ready) {
        for entry in self.registry().subscribers() {
            let listens = self.subscribed_topic(entry).is_ok_and(|topic| topic == ready.topic) && entry.takes(&ready.draft.attributes);
            if !listens {
                continue;
            }
            let info = MessageInfo {
                id: uuid::Uuid::new_v4().to_string(),
                subscription: self.subscription_name(entry).ok(),
                attributes: ready.draft.attributes.clone(),
                ordering_key: ready.draft.ordering_key.clone(),
                publish_time: Some(Timestamp::now()),
                delivery_attempt: None,
            };
            let (subscriber, data) = (entry.name.to_owned(), ready.draft.data.clone());
            let delivery = self.delivered(subscriber, data, info);
            // Boxed: what a subscriber publishes may come here again.
            let ended = Box::pin(self.dispatch(delivery, None)).await;
            if !ended.is_settled() {
                tracing::error!(target: "redrive::runtime", subscriber = entry.name, ?ended, "the message was not processed; in eager mode it is not delivered again");
            }
        }
    }

    /// Tells whether a topic may be one that this app publishes to: its project's, and declared or with its prefix. Without a prefix all would begin so.
    pub(crate) fn is_own_topic(&self, topic: &TopicName) -> bool {
        let prefix = self.layout().topic("");
        let is_declared = || self.config().provisioning.topics.iter().any(|declared| self.layout().topic(declared) == topic.id());
        topic.project() == self.cloud().project() && ((!prefix.is_empty() && topic.id().starts_with(&prefix)) || is_declared())
    }

    /// Returns the full name of a topic by its short name, with the app's prefix.
    pub(crate) fn topic_name(&self, id: &str) -> Result<TopicName> {
        Ok(TopicName::new(self.cloud().project().clone(), id.parse()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pubsub_would_refuse_is_refused_before() {
        let fine = Draft { data: "{}".into(), ..Draft::default() };
        assert!(check("t", &fine).is_ok());
        let with = |key: &str, value: &str| Draft { attributes: [(key.to_owned(), value.to_owned())].into(), ..fine.clone() };
        assert!(check("t", &with("k", &"v".repeat(1024))).is_ok());
        let many = (0..101).map(|n| (n.to_string(), String::new())).collect();
        let wrong = [
            Draft::default(),
            with("", "v"),
            with("googclient", "v"),
            with(&"k".repeat(257), "v"),
            with("k", &"v".repeat(1025)),
            Draft { attributes: many, ..fine.clone() },
            Draft { ordering_key: "k".repeat(1025), ..fine.clone() },
            Draft { data: vec![0; 10_000_001].into(), ..fine.clone() },
        ];
        for draft in wrong {
            assert!(check("t", &draft).unwrap_err().is_invalid_input());
        }
    }
}
