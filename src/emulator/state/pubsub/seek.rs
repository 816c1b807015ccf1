//! Seeking: setting what is acknowledged to a moment or to a snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::convert::timestamp;
use super::message::Message;
use super::subscription::Subscription;
use super::{PubSub, names};
use crate::emulator::pb::google::pubsub::v1 as pb;
use crate::emulator::state::{Command, Effects, Moment, Refusal, State};

impl Command for pb::SeekRequest {
    type Reply = pb::SeekResponse;

    fn apply(self, state: &mut State, at: Moment, out: &mut Effects) -> Result<pb::SeekResponse, Refusal> {
        let pubsub = &mut state.pubsub;
        match self.target {
            Some(pb::seek_request::Target::Time(time)) => {
                let time = timestamp(&time).ok_or_else(|| Refusal::invalid("Invalid time given."))?;
                pubsub.seek_to_time(&self.subscription, time, at, out)?;
            }
            Some(pb::seek_request::Target::Snapshot(snapshot)) => pubsub.seek_to_snapshot(&self.subscription, &snapshot, at, out)?,
            None => return Err(Refusal::invalid("The target of the seek must be set: a time or a snapshot.")),
        }
        Ok(pb::SeekResponse {})
    }
}

impl PubSub {
    /// Marks what was published before `time` as acknowledged, and what is kept from then on as not.
    fn seek_to_time(&mut self, name: &str, time: Timestamp, at: Moment, out: &mut Effects) -> Result<(), Refusal> {
        let kept = self.kept_by_topic(name, time, at.now);
        self.with(name, at, out, |subscription, _| {
            refuse_detached(subscription)?;
            let before = subscription.backlog.messages().take_while(|message| message.publish_time() < time);
            let before: Vec<u64> = before.map(|message| message.id).collect();
            forget(subscription, before);
            let first = subscription.acked.values().find(|message| message.publish_time() >= time).map(|message| message.id);
            let again = first.map(|id| subscription.acked.split_off(&id)).unwrap_or_default();
            again.values().chain(&kept).for_each(|message| subscription.accept(message));
            Ok(())
        })
    }

    /// What the topic's own retention has from `time` on.
    fn kept_by_topic(&self, subscription: &str, time: Timestamp, now: Timestamp) -> Vec<Arc<Message>> {
        let Some(topic) = self.subscriptions.get(subscription).and_then(|subscription| self.topics.get(&subscription.settings.topic))
        else {
            return Vec::new();
        };
        let Some(begin) = topic.retention_begin(now) else { return Vec::new() };
        let newest_first = topic.retained.values().rev();
        newest_first.take_while(|message| message.publish_time() >= time && message.publish_time() > begin).cloned().collect()
    }

    /// Makes the backlog what the snapshot says, and all that was published after it.
    fn seek_to_snapshot(&mut self, name: &str, snapshot: &str, at: Moment, out: &mut Effects) -> Result<(), Refusal> {
        let Self { snapshots, topics, subscriptions, .. } = self;
        let subscription = subscriptions.get(name).ok_or_else(|| names::not_found(name, "subscriptions"))?;
        let topic_name = &subscription.settings.topic;
        let snapshot = snapshots.get(snapshot).ok_or_else(|| names::not_found(snapshot, "snapshots"))?;
        if snapshot.settings.topic != *topic_name || snapshot.orphan_of != subscription.orphan_of {
            return Err(Refusal::precondition("The subscription and the snapshot do not belong to the same topic."));
        }
        let mut wanted: BTreeMap<u64, Arc<Message>> = snapshot.messages.clone();
        let since = topics.get(topic_name).into_iter().flat_map(|topic| topic.retained.range(snapshot.after + 1..));
        wanted.extend(since.map(|(id, message)| (*id, message.clone())));
        let after = snapshot.after;
        self.with(name, at, out, |subscription, _| {
            refuse_detached(subscription)?;
            let over = subscription.backlog.messages().map(|message| message.id).take_while(|id| *id <= after);
            let over: Vec<u64> = over.filter(|id| !wanted.contains_key(id)).collect();
            forget(subscription, over);
            for (id, message) in &wanted {
                subscription.acked.remove(id);
                subscription.accept(message);
            }
            Ok(())
        })
    }
}

fn forget(subscription: &mut Subscription, ids: Vec<u64>) {
    for id in ids {
        if let Some(message) = subscription.backlog.remove(id) {
            subscription.keep_acked(message);
        }
    }
}

fn refuse_detached(subscription: &Subscription) -> Result<(), Refusal> {
    if subscription.settings.detached { Err(Refusal::precondition("The subscription is detached from its topic.")) } else { Ok(()) }
}
