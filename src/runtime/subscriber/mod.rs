//! From a message to its handler: what a subscriber listens to, and what happens to what it cannot handle.

mod addressed;
mod builder;
mod given_up;
mod handed;
mod subscription;
mod table;
mod work;

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Deref;

use jiff::Timestamp;

use crate::names::SubscriptionName;
use crate::runtime::{Content, Context, MessageInfo, Outcome};

pub use subscription::Subscription;

pub(crate) use handed::Handed;
pub(crate) use table::{SubscriberEntry, Subscribers};
pub(crate) use work::LEASE_MAX;

/// Work that is done for messages of a topic.
///
/// ```
/// use std::time::Duration;
/// use redrive::runtime::{Context, Outcome, Received, Subscriber, Subscription, discard, done};
/// use serde::{Deserialize, Serialize};
///
/// struct Shop;
///
/// #[derive(Serialize, Deserialize)]
/// struct OrderPlaced { order: u64 }
///
/// struct Billing;
///
/// impl Subscriber<Shop> for Billing {
///     type Message = OrderPlaced;
///     const NAME: &'static str = "Billing";
///
///     fn subscription() -> Subscription {
///         Subscription::to("orders").filter(r#"attributes.kind = "order""#).ack_deadline(Duration::from_secs(30)).retries(5).dead_letters("orders-dead")
///     }
///
///     async fn run(message: Received<OrderPlaced>, cx: Context<Shop>) -> Outcome {
///         if message.order == 0 { return discard("no order has this number"); }
///         println!("order {} in message {}, attempt {}", message.order, message.id(), cx.attempt().number);
///         done()
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a subscriber of an app with the state `{S}`",
    label = "not a subscriber",
    note = "a subscriber implements `redrive::runtime::Subscriber<{S}>`: a type of `Message`, a `NAME`, a `subscription()`, and `async fn run(message: Received<Self::Message>, cx: Context<{S}>) -> Outcome`"
)]
pub trait Subscriber<S: Send + Sync + 'static>: Send + Sync + 'static {
    /// What its messages carry: any type of serde as JSON, or your own [`Content`].
    type Message: Content;

    /// What it is called in URLs, in the log, and in the name of its subscription: 1 to 100 letters, digits, `-`, `_` and `.`.
    const NAME: &'static str;

    /// Returns what it listens to, and how that is delivered.
    fn subscription() -> Subscription;

    /// Does the work for a message. It may be done more than once: Pub/Sub delivers at least once; see [`Idempotency`](crate::runtime::Idempotency).
    ///
    /// What is [discarded](crate::runtime::discard) is acknowledged; an error and [`retry`](crate::runtime::retry) have it delivered again, until it becomes a
    /// dead letter.
    fn run(message: Received<Self::Message>, cx: Context<S>) -> impl Future<Output = Outcome> + Send;
}

/// A message with its content.
#[derive(Debug, Clone, PartialEq)]
pub struct Received<M> {
    /// What it carries.
    pub content: M,
    info: MessageInfo,
}

impl<M> Received<M> {
    pub(crate) fn new(content: M, info: MessageInfo) -> Self {
        Self { content, info }
    }

    /// Returns the id Pub/Sub gave it: the same in all subscriptions of its topic.
    pub fn id(&self) -> &str {
        &self.info.id
    }

    /// Returns an attribute.
    pub fn attribute(&self, key: &str) -> Option<&str> {
        self.info.attributes.get(key).map(String::as_str)
    }

    /// Returns its attributes.
    pub fn attributes(&self) -> &BTreeMap<String, String> {
        &self.info.attributes
    }

    /// Returns its ordering key; empty where it has none.
    pub fn ordering_key(&self) -> &str {
        &self.info.ordering_key
    }

    /// Returns when it was published.
    pub fn publish_time(&self) -> Option<Timestamp> {
        self.info.publish_time
    }

    /// Returns the subscription that delivered it.
    pub fn subscription(&self) -> Option<&SubscriptionName> {
        self.info.subscription.as_ref()
    }

    /// Returns all that Pub/Sub says of it.
    pub fn info(&self) -> &MessageInfo {
        &self.info
    }

    /// Returns the content alone.
    pub fn into_content(self) -> M {
        self.content
    }
}

impl<M> Deref for Received<M> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.content
    }
}
