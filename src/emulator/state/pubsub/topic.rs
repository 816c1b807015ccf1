//! Topics: commands, and the messages a topic keeps for seeks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::PubSub;
use super::convert::duration;
use super::labels;
use super::mask;
use super::message::Message;
use super::names::{self, DELETED_TOPIC};
use super::page::Page;
use super::schema::Schemas;
use super::settings::{bad_path, check_retention, check_transforms, paths};
use super::stats::TopicStats;
use crate::emulator::pb::google::pubsub::v1 as pb;
use crate::emulator::state::saved::saved;
use crate::emulator::state::{Command, Effects, Moment, Refusal, State};

/// A topic, who subscribes to it, and what it keeps.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) settings: pb::Topic,
    pub(super) subscriptions: BTreeSet<Arc<str>>,
    /// Its snapshots, with the number after which they want every message.
    pub(super) snapshots: BTreeMap<String, u64>,
    /// Published messages by id, as far back as the retention or a snapshot asks for.
    pub(super) retained: BTreeMap<u64, Arc<Message>>,
    pub(super) stats: TopicStats,
}

saved!(struct Topic { settings, subscriptions, snapshots, retained, stats });

impl Topic {
    /// Keeps new messages if anything may want them back, and forgets those that nothing can.
    pub(super) fn retain(&mut self, messages: &[Arc<Message>], now: Timestamp) {
        if self.settings.message_retention_duration.is_some() || !self.snapshots.is_empty() {
            self.retained.extend(messages.iter().map(|message| (message.id, message.clone())));
        }
        self.forget(now);
    }

    /// Forgets what is past the retention and not wanted by a snapshot.
    pub(super) fn forget(&mut self, now: Timestamp) {
        let begin = self.retention_begin(now);
        let wanted = self.snapshots.values().min().copied();
        while let Some(first) = self.retained.first_entry() {
            let message = first.get();
            if wanted.is_some_and(|after| message.id > after) || begin.is_some_and(|begin| message.publish_time() > begin) {
                return;
            }
            first.remove();
        }
    }

    /// How long it keeps messages by its own setting.
    pub(super) fn retention(&self) -> Option<SignedDuration> {
        self.settings.message_retention_duration.as_ref().map(duration)
    }

    /// Messages published after this moment are kept by the topic's own setting; `None` when it keeps none.
    pub(super) fn retention_begin(&self, now: Timestamp) -> Option<Timestamp> {
        let retention = self.retention()?;
        Some(now.checked_sub(retention).unwrap_or(Timestamp::MIN))
    }
}

/// Creates the topic.
impl Command for pb::Topic {
    type Reply = pb::Topic;

    fn apply(mut self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<pb::Topic, Refusal> {
        names::check(&self.name, "topics")?;
        complete(&mut self, &state.pubsub.schemas)?;
        let topics = &mut state.pubsub.topics;
        if topics.contains_key(&self.name) {
            return Err(names::exists(&self.name));
        }
        let topic = Topic {
            settings: self.clone(),
            subscriptions: BTreeSet::new(),
            snapshots: BTreeMap::new(),
            retained: BTreeMap::new(),
            stats: TopicStats::default(),
        };
        topics.insert(self.name.clone(), topic);
        state.pubsub.touched.touch(&self.name);
        Ok(self)
    }
}

fn complete(settings: &mut pb::Topic, schemas: &Schemas) -> Result<(), Refusal> {
    labels::check(&settings.labels)?;
    settings.message_retention_duration.as_ref().map_or(Ok(()), check_retention)?;
    check_transforms(&settings.message_transforms)?;
    schemas.check_settings(&mut settings.schema_settings)?;
    settings.state = pb::topic::State::Active.into();
    settings.tags.clear();
    Ok(())
}

impl Command for pb::GetTopicRequest {
    type Reply = pb::Topic;

    fn apply(self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<pb::Topic, Refusal> {
        let topic = state.pubsub.topics.get(&self.topic).ok_or_else(|| names::not_found(&self.topic, "topics"))?;
        Ok(topic.settings.clone())
    }
}

impl Command for pb::UpdateTopicRequest {
    type Reply = pb::Topic;

    fn apply(self, state: &mut State, at: Moment, out: &mut Effects) -> Result<pb::Topic, Refusal> {
        let new = self.topic.unwrap_or_default();
        let PubSub { topics, schemas, .. } = &mut state.pubsub;
        let topic = topics.get_mut(&new.name).ok_or_else(|| names::not_found(&new.name, "topics"))?;
        let mut settings = topic.settings.clone();
        for path in paths(self.update_mask, "Topic")? {
            let new = new.clone();
            match path.as_str() {
                "ingestion_data_source_settings" => settings.ingestion_data_source_settings = new.ingestion_data_source_settings,
                "kms_key_name" => settings.kms_key_name = new.kms_key_name,
                "labels" => settings.labels = new.labels,
                "message_retention_duration" => settings.message_retention_duration = new.message_retention_duration,
                "message_storage_policy" => settings.message_storage_policy = new.message_storage_policy,
                "message_transforms" => settings.message_transforms = new.message_transforms,
                "schema_settings" => settings.schema_settings = new.schema_settings,
                _ if path.contains('.') => update_part(&mut settings, &new, &path)?,
                _ => return Err(bad_path(&path, "Topic", &["name", "satisfies_pzs", "state", "tags"])),
            }
        }
        complete(&mut settings, schemas)?;
        topic.settings = settings.clone();
        topic.forget(at.now);
        let (names, retention) = (topic.subscriptions.clone(), topic.retention());
        state.pubsub.tell_retention(&names, retention, at, out);
        Ok(settings)
    }
}

/// Copies a field inside one of the messages of the settings.
fn update_part(settings: &mut pb::Topic, new: &pb::Topic, path: &str) -> Result<(), Refusal> {
    let parts = ["ingestion_data_source_settings.", "message_storage_policy.", "schema_settings."];
    if parts.iter().any(|part| path.starts_with(part)) && mask::copy(settings, new, "google.pubsub.v1.Topic", path) {
        return Ok(());
    }
    Err(bad_path(path, "Topic", &[]))
}

impl Command for pb::ListTopicsRequest {
    type Reply = pb::ListTopicsResponse;

    fn apply(self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<pb::ListTopicsResponse, Refusal> {
        names::check_project(&self.project)?;
        let page = Page::new(self.page_size, &self.page_token)?;
        let prefix = format!("{}/topics/", self.project);
        let topics = names::below(&state.pubsub.topics, &page, &prefix).map(|(name, topic)| (name.as_str(), topic.settings.clone()));
        let (topics, next_page_token) = page.take(topics);
        Ok(pb::ListTopicsResponse { topics, next_page_token })
    }
}

impl Command for pb::ListTopicSubscriptionsRequest {
    type Reply = pb::ListTopicSubscriptionsResponse;

    fn apply(self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<pb::ListTopicSubscriptionsResponse, Refusal> {
        let topic = state.pubsub.topics.get(&self.topic).ok_or_else(|| names::not_found(&self.topic, "topics"))?;
        let page = Page::new(self.page_size, &self.page_token)?;
        let start = page.start("");
        let names = topic.subscriptions.range::<str, _>((start, std::ops::Bound::Unbounded)).map(|name| (&**name, name.to_string()));
        let (subscriptions, next_page_token) = page.take(names);
        Ok(pb::ListTopicSubscriptionsResponse { subscriptions, next_page_token })
    }
}

impl Command for pb::ListTopicSnapshotsRequest {
    type Reply = pb::ListTopicSnapshotsResponse;

    fn apply(self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<pb::ListTopicSnapshotsResponse, Refusal> {
        let topic = state.pubsub.topics.get(&self.topic).ok_or_else(|| names::not_found(&self.topic, "topics"))?;
        let page = Page::new(self.page_size, &self.page_token)?;
        let names = names::below(&topic.snapshots, &page, "").map(|(name, _)| (name.as_str(), name.clone()));
        let (snapshots, next_page_token) = page.take(names);
        Ok(pb::ListTopicSnapshotsResponse { snapshots, next_page_token })
    }
}

impl PubSub {
    /// Has subscriptions keep messages as long as their topic does.
    fn tell_retention(&mut self, names: &BTreeSet<Arc<str>>, retention: Option<SignedDuration>, at: Moment, out: &mut Effects) {
        for name in names {
            // Only existing subscriptions are named by a topic.
            let _ = self.with_unused(name, at, out, |subscription, _| {
                subscription.topic_retention = retention;
                Ok(())
            });
        }
    }
}

/// Deletes the topic; its subscriptions keep what they have and name [`DELETED_TOPIC`] from now on.
impl Command for pb::DeleteTopicRequest {
    type Reply = ();

    fn apply(self, state: &mut State, at: Moment, out: &mut Effects) -> Result<(), Refusal> {
        let pubsub = &mut state.pubsub;
        let topic = pubsub.topics.remove(&self.topic).ok_or_else(|| names::not_found(&self.topic, "topics"))?;
        pubsub.touched.touch(&self.topic);
        for name in &topic.subscriptions {
            if let Some(subscription) = pubsub.subscriptions.get_mut(name) {
                DELETED_TOPIC.clone_into(&mut subscription.settings.topic);
                subscription.orphan_of = Some(at.seed);
            }
        }
        for name in topic.snapshots.keys() {
            if let Some(snapshot) = pubsub.snapshots.get_mut(name) {
                DELETED_TOPIC.clone_into(&mut snapshot.settings.topic);
                snapshot.orphan_of = Some(at.seed);
            }
        }
        pubsub.policies.remove(&self.topic);
        pubsub.tell_retention(&topic.subscriptions, None, at, out);
        Ok(())
    }
}
