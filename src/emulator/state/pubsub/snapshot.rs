//! Snapshots: what was unacknowledged on a subscription at a moment, and all that its topic got since.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::convert::{later, pb_timestamp, timestamp};
use super::message::Message;
use super::page::Page;
use super::settings::{bad_path, paths};
use super::{Due, PubSub, labels, names};
use crate::emulator::pb::google::pubsub::v1 as pb;
use crate::emulator::state::saved::saved;
use crate::emulator::state::{Command, Effects, Moment, Refusal, State};

/// How long a snapshot lives, less the age of the oldest unacknowledged message.
const LIFE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// A snapshot that would live shorter than this is refused.
const LIFE_MIN: SignedDuration = SignedDuration::from_hours(1);

/// A snapshot and the messages it holds.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) settings: pb::Snapshot,
    /// What was unacknowledged.
    pub(super) messages: BTreeMap<u64, Arc<Message>>,
    /// Of the topic's messages, those with a greater id came later and belong to it too.
    pub(super) after: u64,
    /// As a subscription has it: see there.
    pub(super) orphan_of: Option<u64>,
}

saved!(struct Snapshot { settings, messages, after; orphan_of });

impl Snapshot {
    fn expires(&self) -> Option<Timestamp> {
        self.settings.expire_time.as_ref().and_then(timestamp)
    }
}

impl PubSub {
    /// Removes a snapshot, if it is there, from wherever it is known.
    pub(super) fn drop_snapshot(&mut self, name: &str) -> Option<Snapshot> {
        let snapshot = self.snapshots.remove(name)?;
        self.unplan_snapshot(&snapshot);
        if let Some(topic) = self.topics.get_mut(&snapshot.settings.topic) {
            topic.snapshots.remove(name);
        }
        self.policies.remove(name);
        Some(snapshot)
    }

    fn unplan_snapshot(&mut self, snapshot: &Snapshot) {
        if let Some(time) = snapshot.expires() {
            self.agenda.remove(&(time, Due::Snapshot(snapshot.settings.name.clone())));
        }
    }

    fn plan_snapshot(&mut self, name: &str) {
        if let Some(time) = self.snapshots.get(name).and_then(Snapshot::expires) {
            self.agenda.insert((time, Due::Snapshot(name.to_owned())));
        }
    }
}

impl Command for pb::CreateSnapshotRequest {
    type Reply = pb::Snapshot;

    fn apply(mut self, state: &mut State, at: Moment, out: &mut Effects) -> Result<pb::Snapshot, Refusal> {
        let pubsub = &mut state.pubsub;
        if self.name.is_empty() {
            self.name = format!("projects/{}/snapshots/snapshot-{:x}", names::project_id(&self.subscription), at.seed);
        }
        names::check(&self.name, "snapshots")?;
        labels::check(&self.labels)?;
        if pubsub.snapshots.contains_key(&self.name) {
            return Err(names::exists(&self.name));
        }
        let (topic, orphan_of, messages, after) = pubsub.with(&self.subscription, at, out, |subscription, cx| {
            if subscription.settings.detached {
                return Err(Refusal::precondition("The subscription is detached from its topic."));
            }
            let messages: BTreeMap<_, _> = subscription.backlog.messages().map(|message| (message.id, message.clone())).collect();
            Ok((subscription.settings.topic.clone(), subscription.orphan_of, messages, cx.serial.last()))
        })?;
        let age = messages.values().next().map_or(SignedDuration::ZERO, |oldest| at.now.duration_since(oldest.publish_time()));
        let life = LIFE.saturating_sub(age);
        if life < LIFE_MIN {
            return Err(Refusal::precondition("The snapshot would expire in less than 1 hour: the oldest unacked message is too old."));
        }
        let expire_time = Some(pb_timestamp(later(at.now, life)));
        let settings = pb::Snapshot { name: self.name.clone(), topic: topic.clone(), expire_time, labels: self.labels };
        if let Some(topic) = pubsub.topics.get_mut(&topic) {
            topic.snapshots.insert(self.name.clone(), after);
        }
        pubsub.snapshots.insert(self.name.clone(), Snapshot { settings: settings.clone(), messages, after, orphan_of });
        pubsub.plan_snapshot(&self.name);
        Ok(settings)
    }
}

impl Command for pb::GetSnapshotRequest {
    type Reply = pb::Snapshot;

    fn apply(self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<pb::Snapshot, Refusal> {
        let snapshot = state.pubsub.snapshots.get(&self.snapshot);
        Ok(snapshot.ok_or_else(|| names::not_found(&self.snapshot, "snapshots"))?.settings.clone())
    }
}

impl Command for pb::UpdateSnapshotRequest {
    type Reply = pb::Snapshot;

    fn apply(self, state: &mut State, at: Moment, _out: &mut Effects) -> Result<pb::Snapshot, Refusal> {
        let pubsub = &mut state.pubsub;
        let new = self.snapshot.unwrap_or_default();
        let before = pubsub.snapshots.get(&new.name).ok_or_else(|| names::not_found(&new.name, "snapshots"))?;
        let mut settings = before.settings.clone();
        for path in paths(self.update_mask, "Snapshot")? {
            match path.as_str() {
                "labels" => {
                    labels::check(&new.labels)?;
                    settings.labels.clone_from(&new.labels);
                }
                "expire_time" => settings.expire_time = Some(earlier_expiry(&settings, &new, at.now)?),
                _ => return Err(bad_path(&path, "Snapshot", &["name", "topic"])),
            }
        }
        let Some(mut snapshot) = pubsub.snapshots.remove(&new.name) else { return Err(names::not_found(&new.name, "snapshots")) };
        pubsub.unplan_snapshot(&snapshot);
        snapshot.settings = settings.clone();
        pubsub.snapshots.insert(new.name.clone(), snapshot);
        pubsub.plan_snapshot(&new.name);
        Ok(settings)
    }
}

/// The new expiry, which may be any time to come that is not after the present one.
fn earlier_expiry(old: &pb::Snapshot, new: &pb::Snapshot, now: Timestamp) -> Result<prost_types::Timestamp, Refusal> {
    let (old, wanted) = (old.expire_time.as_ref().and_then(timestamp), new.expire_time.as_ref().and_then(timestamp));
    match wanted {
        Some(wanted) if wanted > now && old.is_none_or(|old| wanted <= old) => Ok(pb_timestamp(wanted)),
        _ => Err(Refusal::invalid("Invalid expire_time given: it must be in the future and not after the snapshot's present expiry.")),
    }
}

impl Command for pb::ListSnapshotsRequest {
    type Reply = pb::ListSnapshotsResponse;

    fn apply(self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<pb::ListSnapshotsResponse, Refusal> {
        names::check_project(&self.project)?;
        let page = Page::new(self.page_size, &self.page_token)?;
        let prefix = format!("{}/snapshots/", self.project);
        let found =
            names::below(&state.pubsub.snapshots, &page, &prefix).map(|(name, snapshot)| (name.as_str(), snapshot.settings.clone()));
        let (snapshots, next_page_token) = page.take(found);
        Ok(pb::ListSnapshotsResponse { snapshots, next_page_token })
    }
}

impl Command for pb::DeleteSnapshotRequest {
    type Reply = ();

    fn apply(self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<(), Refusal> {
        state.pubsub.drop_snapshot(&self.snapshot).map(drop).ok_or_else(|| names::not_found(&self.snapshot, "snapshots"))
    }
}
