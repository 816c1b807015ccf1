//! From typed content to Pub/Sub: what is said of a message, where it goes, and when.

mod later;
mod outbox;
mod send;

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::marker::PhantomData;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::error::{Error, Result};
use crate::runtime::{App, Content, Enqueued, Entity, Message};

pub use outbox::{Committed, Outbox};

pub(crate) use later::{PublishLater, bytes_as_base64, publish_for};
pub(crate) use send::Ready;

/// Publishes messages of one type; made by [`App::publisher`].
///
/// ```
/// # use redrive::runtime::{App, Host, Message};
/// # use redrive::cloud::Cloud;
/// # use redrive::emulator::Emulator;
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct OrderPlaced { order: u64, customer: String }
/// # impl Message for OrderPlaced { const TOPIC: &'static str = "orders"; }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> redrive::Result<()> {
/// # let folder = tempfile::tempdir()?;
/// # let seed = folder.path().join("seed.yaml");
/// # std::fs::write(&seed, "project: demo\ntopics: [{ name: shop--orders }]")?;
/// # let emulator = Emulator::builder().seed_file(seed).start().await?;
/// # let cloud = Cloud::emulator(&emulator.address().to_string(), "demo".parse()?)?;
/// # let host = Host { location: "europe-west1".parse()?, url: "http://127.0.0.1:1".into(), account: None };
/// # let app = App::new(()).named("shop").on(cloud).host(host).build()?;
/// let order = OrderPlaced { order: 7, customer: "ada".into() };
/// let id = app.publisher::<OrderPlaced>().publish(order).attribute("kind", "order").ordering_key("ada").await?;
/// assert!(!id.is_empty());
/// # Ok(())
/// # }
/// ```
pub struct Publisher<S, M> {
    app: App<S>,
    of: PhantomData<fn() -> M>,
}

/// A message about to be published: awaited, it is sent, and its id is the result.
#[must_use = "nothing is published until it is awaited"]
pub struct Publish<S> {
    app: App<S>,
    /// The short name, with the app's prefix.
    topic: String,
    /// What its publisher is called, where it has a type.
    publisher: &'static str,
    data: Result<Bytes>,
    attributes: BTreeMap<String, String>,
    ordering_key: String,
}

impl<S: Send + Sync + 'static> App<S> {
    /// Returns the publisher of a type of messages.
    pub fn publisher<M: Message>(&self) -> Publisher<S, M> {
        Publisher { app: self.clone(), of: PhantomData }
    }

    /// Publishes a record: content, attributes and topic are made of it at once, so that it may change afterwards.
    pub fn publish_entity<E: Entity>(&self, entity: &E) -> Publish<S> {
        let publish = Publish::new(self.clone(), &entity.topic(), &entity.content());
        Publish { publisher: E::PUBLISHER, attributes: entity.attributes(), ordering_key: entity.ordering_key(), ..publish }
    }

    /// Publishes content to a topic (named without the app's prefix) that has no type of its own.
    pub fn publish_to(&self, topic: &str, content: &impl Content) -> Publish<S> {
        Publish::new(self.clone(), topic, content)
    }

    /// Begins to collect messages and tasks that are sent only after the caller's transaction has committed.
    pub fn outbox(&self) -> Outbox<S> {
        Outbox::new(self.clone())
    }
}

impl<S: Send + Sync + 'static, M: Message> Publisher<S, M> {
    /// Begins to publish a message.
    #[expect(clippy::needless_pass_by_value, reason = "what is published is done with")]
    pub fn publish(&self, message: M) -> Publish<S> {
        let publish = Publish::new(self.app.clone(), M::TOPIC, &message);
        Publish { publisher: M::TOPIC, attributes: message.attributes(), ordering_key: message.ordering_key(), ..publish }
    }

    /// Returns the full name of the topic.
    ///
    /// # Errors
    ///
    /// Fails where name and prefix together are no topic's name.
    pub fn topic(&self) -> Result<crate::names::TopicName> {
        self.app.topic_name(&self.app.layout().topic(M::TOPIC))
    }
}

impl<S: Send + Sync + 'static> Publish<S> {
    fn new(app: App<S>, topic: &str, content: &impl Content) -> Self {
        let topic = app.layout().topic(topic);
        let data = content
            .encode()
            .map_err(|failure| Error::invalid(format!("a message for topic `{}` cannot be written: {failure}", topic.escape_debug())));
        Self { app, topic, publisher: "", data, attributes: BTreeMap::new(), ordering_key: String::new() }
    }

    /// Adds an attribute.
    pub fn attribute(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.insert(key.into(), value.into());
        self
    }

    /// Sets the ordering key: messages of one key come in order to subscriptions that are ordered.
    pub fn ordering_key(mut self, key: impl Into<String>) -> Self {
        self.ordering_key = key.into();
        self
    }

    /// Publishes it and returns its id. Where Pub/Sub cannot be reached it is tried again for a minute.
    ///
    /// In eager mode the app's own subscribers of the topic get it, at once; in disabled mode it is encoded, and dropped. There is no id then.
    ///
    /// # Errors
    ///
    /// Fails with an invalid-input error when content or attributes cannot be published, and with what Pub/Sub says.
    pub async fn send(self) -> Result<String> {
        send::send(self).await
    }

    /// Has it published by a task: Cloud Tasks takes it now, and tries again until Pub/Sub has it. A message of this way is at most about 750 kB.
    ///
    /// In the format of `django-google-cloud-tasks` the task is the one that this library's publisher of the same name has, so that either side can do it; content
    /// that is no JSON object, and messages with an ordering key, are beyond that format and go in this crate's own.
    ///
    /// # Errors
    ///
    /// Fails in an app that does not declare it with [`Builder::publishes_by_tasks`](crate::runtime::Builder::publishes_by_tasks), and as
    /// [`Enqueue::send`](crate::runtime::Enqueue::send).
    pub async fn asap(self) -> Result<Enqueued> {
        Box::pin(later::asap(self)).await
    }
}

impl<S: Send + Sync + 'static> IntoFuture for Publish<S> {
    type Output = Result<String>;
    type IntoFuture = BoxFuture<'static, Result<String>>;

    fn into_future(self) -> Self::IntoFuture {
        self.send().boxed()
    }
}

impl<S, M> Clone for Publisher<S, M> {
    fn clone(&self) -> Self {
        Self { app: self.app.clone(), of: PhantomData }
    }
}
