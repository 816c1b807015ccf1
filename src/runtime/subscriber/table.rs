//! The registry's table of subscribers.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::error::Result;
use crate::model::filter::Filter;
use crate::names::{SubscriptionName, TopicName};
use crate::runtime::registry::{Malformed, check_name, twice};
use crate::runtime::{App, Content as _, Context, MessageInfo, Outcome, Received, Subscriber, Subscription};

/// Decodes a message and begins the work; fails where the content is not what the handler takes.
type RunMessage<S> = Arc<dyn Fn(&Bytes, MessageInfo, Context<S>) -> Result<BoxFuture<'static, Outcome>, Malformed> + Send + Sync>;

/// A subscriber that can be called.
pub(crate) struct SubscriberEntry<S> {
    pub(crate) name: &'static str,
    pub(crate) options: Subscription,
    pub(crate) run: RunMessage<S>,
    filter: Option<Filter>,
}

impl<S> SubscriberEntry<S> {
    /// Tells whether its own filter lets a message through.
    pub(crate) fn takes(&self, attributes: &BTreeMap<String, String>) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.matches(attributes))
    }

    /// Returns how many deliveries there are, where that is limited.
    pub(crate) fn attempts_max(&self) -> Option<u32> {
        /// What Pub/Sub counts to where a policy does not say.
        const ATTEMPTS_DEFAULT: u32 = 5;
        self.options.dead_letters.as_ref().map(|_| self.options.retries.unwrap_or(ATTEMPTS_DEFAULT))
    }
}

/// The subscribers, by name.
pub(crate) struct Subscribers<S>(BTreeMap<&'static str, SubscriberEntry<S>>);

impl<S> Default for Subscribers<S> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<S: Send + Sync + 'static> Subscribers<S> {
    /// Adds a subscriber.
    pub(crate) fn add<T: Subscriber<S>>(&mut self) -> Result<()> {
        check_name("subscriber", T::NAME)?;
        let options = T::subscription();
        options.check().map_err(|error| error.context(format!("subscriber `{}`", T::NAME)))?;
        let filter = if options.filter.is_empty() { None } else { Some(options.filter.parse()?) };
        let run: RunMessage<S> = Arc::new(|data, info, cx| {
            let content = T::Message::decode(data).map_err(|failure| Malformed(failure.to_string()))?;
            Ok(Box::pin(T::run(Received::new(content, info), cx)))
        });
        match self.0.insert(T::NAME, SubscriberEntry { name: T::NAME, options, run, filter }) {
            None => Ok(()),
            Some(_) => Err(twice("subscriber", T::NAME)),
        }
    }

    /// Finds a subscriber.
    pub(crate) fn get(&self, name: &str) -> Option<&SubscriberEntry<S>> {
        self.0.get(name)
    }

    /// Returns all subscribers.
    pub(crate) fn all(&self) -> impl Iterator<Item = &SubscriberEntry<S>> {
        self.0.values()
    }
}

impl<S> App<S> {
    /// Returns the full name of the topic that a subscriber listens to.
    pub(crate) fn subscribed_topic(&self, entry: &SubscriberEntry<S>) -> Result<TopicName> {
        let project = self.cloud().project();
        if entry.options.own_topic {
            TopicName::parse_in(&self.layout().topic(&entry.options.topic), project)
        } else {
            TopicName::parse_in(&entry.options.topic, project)
        }
    }

    /// Returns the full name of a subscriber's subscription.
    pub(crate) fn subscription_name(&self, entry: &SubscriberEntry<S>) -> Result<SubscriptionName> {
        let id = match &entry.options.name {
            Some(id) => id.clone(),
            None => self.layout().subscription(&entry.options.topic, entry.name).parse()?,
        };
        Ok(SubscriptionName::new(self.cloud().project().clone(), id))
    }
}
