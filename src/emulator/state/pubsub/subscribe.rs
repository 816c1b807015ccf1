//! Commands on subscriptions as resources.

use std::sync::Arc;

use super::backlog::Backlog;
use super::page::Page;
use super::push::Push;
use super::settings::{complete, paths, update};
use super::subscription::Subscription;
use super::topic::Topic;
use super::{PubSub, names};
use crate::emulator::pb::google::pubsub::v1 as pb;
use crate::emulator::state::{Command, Effect, Effects, Moment, Refusal, State};

/// Creates the subscription.
impl Command for pb::Subscription {
    type Reply = pb::Subscription;

    fn apply(mut self, state: &mut State, at: Moment, _out: &mut Effects) -> Result<pb::Subscription, Refusal> {
        let pubsub = &mut state.pubsub;
        names::check(&self.name, "subscriptions")?;
        names::check(&self.topic, "topics")?;
        self.detached = false;
        let filter = complete(&mut self)?;
        if pubsub.subscriptions.contains_key(self.name.as_str()) {
            return Err(names::exists(&self.name));
        }
        pubsub.require_dead_letter_topic(&self)?;
        let topic = pubsub.topics.get_mut(&self.topic).ok_or_else(|| names::not_found(&self.topic, "topics"))?;
        let name: Arc<str> = self.name.as_str().into();
        topic.subscriptions.insert(name.clone());
        let mut subscription = Subscription::new(self, filter, at.now);
        subscription.topic_retention = topic.retention();
        let shown = shown(&subscription, Some(topic));
        pubsub.touched.touch(&name);
        pubsub.subscriptions.insert(name, subscription);
        pubsub.plan_expiry(&shown.name, at.now);
        Ok(shown)
    }
}

/// The settings with what is added on reading.
fn shown(subscription: &Subscription, topic: Option<&Topic>) -> pb::Subscription {
    let mut shown = subscription.settings.clone();
    shown.topic_message_retention_duration = topic.and_then(|topic| topic.settings.message_retention_duration);
    shown
}

impl PubSub {
    fn require_dead_letter_topic(&self, settings: &pb::Subscription) -> Result<(), Refusal> {
        match &settings.dead_letter_policy {
            Some(policy) if !self.topics.contains_key(&policy.dead_letter_topic) => {
                Err(names::not_found(&policy.dead_letter_topic, "topics"))
            }
            _ => Ok(()),
        }
    }

    fn subscription(&self, name: &str) -> Result<&Subscription, Refusal> {
        self.subscriptions.get(name).ok_or_else(|| names::not_found(name, "subscriptions"))
    }

    fn shown(&self, name: &str) -> Result<pb::Subscription, Refusal> {
        let subscription = self.subscription(name)?;
        Ok(shown(subscription, self.topics.get(&subscription.settings.topic)))
    }

    /// Changes what `paths` name to what `new` has there.
    fn reconfigure(
        &mut self,
        new: &pb::Subscription,
        paths: &[String],
        at: Moment,
        out: &mut Effects,
    ) -> Result<pb::Subscription, Refusal> {
        let name = new.name.clone();
        let mut settings = self.subscription(&name)?.settings.clone();
        update(&mut settings, new, paths)?;
        complete(&mut settings)?;
        if paths.iter().any(|path| path.starts_with("dead_letter_policy")) {
            self.require_dead_letter_topic(&settings)?;
        }
        self.with(&name, at, out, |subscription, _| {
            subscription.settings = settings;
            if !subscription.settings.retain_acked_messages {
                subscription.acked.clear();
            }
            Ok(())
        })?;
        self.plan_expiry(&name, at.now);
        // Who waits for messages of what now pushes waits in vain.
        if self.subscription(&name)?.push_endpoint().is_some() {
            out.list.push(Effect::Closed(name.clone()));
        }
        self.shown(&name)
    }
}

impl Command for pb::GetSubscriptionRequest {
    type Reply = pb::Subscription;

    fn apply(self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<pb::Subscription, Refusal> {
        state.pubsub.shown(&self.subscription)
    }
}

impl Command for pb::UpdateSubscriptionRequest {
    type Reply = pb::Subscription;

    fn apply(self, state: &mut State, at: Moment, out: &mut Effects) -> Result<pb::Subscription, Refusal> {
        let new = self.subscription.unwrap_or_default();
        state.pubsub.subscription(&new.name)?;
        let paths = paths(self.update_mask, "Subscription")?;
        state.pubsub.reconfigure(&new, &paths, at, out)
    }
}

impl Command for pb::ModifyPushConfigRequest {
    type Reply = ();

    fn apply(self, state: &mut State, at: Moment, out: &mut Effects) -> Result<(), Refusal> {
        let new = pb::Subscription { name: self.subscription, push_config: self.push_config, ..pb::Subscription::default() };
        state.pubsub.reconfigure(&new, &["push_config".to_owned()], at, out).map(drop)
    }
}

impl Command for pb::ListSubscriptionsRequest {
    type Reply = pb::ListSubscriptionsResponse;

    fn apply(self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<pb::ListSubscriptionsResponse, Refusal> {
        names::check_project(&self.project)?;
        let pubsub = &state.pubsub;
        let page = Page::new(self.page_size, &self.page_token)?;
        let prefix = format!("{}/subscriptions/", self.project);
        let found = names::below(&pubsub.subscriptions, &page, &prefix);
        let found = found.map(|(name, subscription)| (&**name, shown(subscription, pubsub.topics.get(&subscription.settings.topic))));
        let (subscriptions, next_page_token) = page.take(found);
        Ok(pb::ListSubscriptionsResponse { subscriptions, next_page_token })
    }
}

impl Command for pb::DeleteSubscriptionRequest {
    type Reply = ();

    fn apply(self, state: &mut State, _at: Moment, out: &mut Effects) -> Result<(), Refusal> {
        if state.pubsub.remove_subscription(&self.subscription, out) {
            return Ok(());
        }
        Err(names::not_found(&self.subscription, "subscriptions"))
    }
}

/// Cuts the subscription off its topic, and drops all it holds.
impl Command for pb::DetachSubscriptionRequest {
    type Reply = pb::DetachSubscriptionResponse;

    fn apply(self, state: &mut State, at: Moment, out: &mut Effects) -> Result<pb::DetachSubscriptionResponse, Refusal> {
        let pubsub = &mut state.pubsub;
        let topic = pubsub.with(&self.subscription, at, out, |subscription, _| {
            subscription.settings.detached = true;
            subscription.backlog = Backlog::new(subscription.settings.enable_message_ordering);
            subscription.acked.clear();
            subscription.streams.clear();
            subscription.push = Push::default();
            Ok(subscription.settings.topic.clone())
        })?;
        if let Some(topic) = pubsub.topics.get_mut(&topic) {
            topic.subscriptions.remove(self.subscription.as_str());
        }
        out.list.push(Effect::Closed(self.subscription));
        Ok(pb::DetachSubscriptionResponse {})
    }
}
