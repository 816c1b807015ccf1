//! Looks at messages without taking them: leased and released, or through a snapshot that leaves the subscription untouched.

use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cloud::{self, ACK_IDS_BYTES_MAX, Cloud, PULL_MESSAGES_MAX, Place, Received};
use crate::error::{Error, Kind, Result};
use crate::model::message::Message;
use crate::model::subscription::{Delivery, Subscription};
use crate::names::{Project, SubscriptionName};
use crate::ops::Ops;

/// A look at leased messages takes this long at most: a console waits for it.
const LEASED_TIMEOUT: Duration = Duration::from_secs(6);

/// A look through a snapshot takes this long at most.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_mins(1);

/// Empty pulls in a row after which a backlog counts as seen: one proves nothing.
const EMPTY_PULLS: u32 = 2;

/// Payloads are read up to this size: what is beyond is told as cut off.
const LOOK_BYTES_MAX: usize = 64 * 1024 * 1024;

/// An empty pull waits this long for a message.
const PULL_WAIT: Duration = Duration::from_millis(700);

/// On Google, a seek takes effect after up to a minute; the first message is waited for this long.
const SEEK_PATIENCE: Duration = Duration::from_secs(25);

/// Names of the snapshots and subscriptions that a look makes begin so.
const PREFIX: &str = "redrive-peek-";

/// How messages are looked at without being taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PeekMode {
    /// Leases and releases them: a sample; under a dead-letter policy each release counts as a delivery attempt.
    Leased,
    /// A snapshot and a short-lived subscription: everything, and the original is untouched.
    Snapshot,
}

/// What a look at a subscription's messages found.
#[derive(Debug)]
pub struct Peek {
    /// The messages, oldest first.
    pub messages: Vec<Message>,
    /// How they were had.
    pub mode: PeekMode,
    /// Whether there may be more.
    pub truncated: bool,
    /// What it cost or leaves behind, in words for people.
    pub note: Option<String>,
    /// When it was begun, by this machine's clock.
    pub as_of: Timestamp,
}

/// Names a subscription of ours, so that it never counts as a receiver or holder.
pub(super) fn ours(project: &Project, id: &str) -> Result<SubscriptionName> {
    Ok(SubscriptionName::new(project.clone(), format!("{PREFIX}{id}").parse()?))
}

/// Tells whether a subscription is one that a look made: it never counts as a receiver or holder.
pub(crate) fn is_ours(name: &SubscriptionName) -> bool {
    name.id().starts_with(PREFIX)
}

impl Ops {
    /// Looks at at most `max` messages of a subscription.
    ///
    /// # Errors
    ///
    /// Fails with a failed precondition where the mode cannot show this subscription: push and export subscriptions cannot be leased, and a
    /// snapshot needs the topic. In a read-only context snapshots are refused, and so is leasing where it counts as a delivery attempt.
    pub async fn peek(&self, subscription: &SubscriptionName, mode: PeekMode, max: usize) -> Result<Peek> {
        let as_of = Timestamp::now();
        let about = self.cloud().get_subscription(subscription).await?;
        let (seen, note) = match mode {
            PeekMode::Leased => self.peek_leased(&about, max).await?,
            PeekMode::Snapshot => self.peek_snapshot(&about, max).await?,
        };
        Ok(Peek { messages: seen.messages, mode, truncated: seen.truncated, note, as_of })
    }

    async fn peek_leased(&self, about: &Subscription, max: usize) -> Result<(Seen, Option<String>)> {
        refuse_unless_pulled(about)?;
        let counted = about.dead_letters.as_ref().map(|policy| policy.attempts_max);
        if counted.is_some() {
            self.refuse_read_only()?;
        }
        let seen = self.look(about, max).await?;
        let note = counted.map(|max| {
            format!("this look counts as a delivery attempt of each message shown: after {max} they go to the dead-letter topic")
        });
        Ok((seen, note))
    }

    /// Leases at most `max` messages, releases them, and tells whether there may be more.
    pub(super) async fn look(&self, about: &Subscription, max: usize) -> Result<Seen> {
        let look = Look { cloud: self.cloud(), max, first_within: PULL_WAIT, deadline: Instant::now() + LEASED_TIMEOUT };
        let mut leases = Leases { cloud: self.cloud().clone(), subscription: about.name.clone(), ack_ids: Vec::new() };
        let looked = look.pull(&about.name, Some(&mut leases.ack_ids)).await;
        let released = release(self.cloud(), &about.name, std::mem::take(&mut leases.ack_ids)).await;
        let (seen, ()) = (looked?, released?);
        Ok(seen)
    }

    async fn peek_snapshot(&self, about: &Subscription, max: usize) -> Result<(Seen, Option<String>)> {
        self.refuse_read_only()?;
        let passing = Passing::new(self.cloud().clone(), about)?;
        let looked = async {
            passing.open(about, cloud::Passing::filtered(&about.filter), "look at it in the leased mode").await?;
            let on_google = *passing.cloud.place() == Place::Google;
            let first_within = if on_google { SEEK_PATIENCE } else { PULL_WAIT };
            let look = Look { cloud: &passing.cloud, max, first_within, deadline: Instant::now() + SNAPSHOT_TIMEOUT };
            look.pull(&passing.subscription, None).await
        };
        let looked = looked.await;
        let left = passing.remove().await;
        let seen = looked?;
        let left = left.map_or_else(String::new, |error| format!("; what was made for it is still there and expires by itself ({error})"));
        Ok((seen, Some(format!("read from a snapshot: what was published since is left out{left}"))))
    }
}

/// The messages seen, oldest first.
pub(super) struct Seen {
    pub(super) messages: Vec<Message>,
    /// Whether there may be more.
    pub(super) truncated: bool,
}

/// How to read a backlog.
struct Look<'a> {
    cloud: &'a Cloud,
    max: usize,
    /// The first message is waited for this long.
    first_within: Duration,
    deadline: Instant,
}

impl Look<'_> {
    /// Pulls until nothing comes, or there are `max`. The ids of the leases are added to `leases`; without, the backlog is ours, and what was
    /// read is acknowledged.
    async fn pull(&self, subscription: &SubscriptionName, mut leases: Option<&mut Vec<String>>) -> Result<Seen> {
        let begun = Instant::now();
        let mut found = BTreeMap::new();
        let (mut empty, mut bytes) = (0, 0);
        while found.len() < self.max && bytes < LOOK_BYTES_MAX && Instant::now() < self.deadline {
            let batch = self.next(subscription, found.len(), empty).await?;
            empty = if batch.is_empty() { empty + 1 } else { 0 };
            let mut ack_ids: Vec<_> = batch.iter().map(|one| one.ack_id.clone()).collect();
            match &mut leases {
                Some(leases) => leases.append(&mut ack_ids),
                None => acknowledge(self.cloud, subscription, &ack_ids).await?,
            }
            bytes += batch.iter().map(|one| one.message.data.len()).sum::<usize>();
            found.extend(batch.into_iter().map(|one| (one.message.id.clone(), one.message)));
            let waited = !found.is_empty() || begun.elapsed() >= self.first_within;
            if empty >= EMPTY_PULLS && waited {
                return Ok(sorted(found, self.max, false));
            }
        }
        Ok(sorted(found, self.max, true))
    }

    /// Pulls once: what is at hand first, and after an empty answer what comes within a moment.
    async fn next(&self, subscription: &SubscriptionName, found: usize, empty: u32) -> Result<Vec<Received>> {
        let max = u32::try_from(self.max - found).unwrap_or(PULL_MESSAGES_MAX).min(PULL_MESSAGES_MAX);
        let wait = if empty == 0 { Duration::ZERO } else { PULL_WAIT };
        Ok(self.cloud.pull(subscription, max, wait).await?.messages)
    }
}

fn sorted(found: BTreeMap<String, Message>, max: usize, truncated: bool) -> Seen {
    let mut messages: Vec<_> = found.into_values().collect();
    messages.sort_by(|a, b| (a.publish_time, &a.id).cmp(&(b.publish_time, &b.id)));
    messages.truncate(max);
    Seen { messages, truncated }
}

fn refuse_unless_pulled(about: &Subscription) -> Result<()> {
    let name = &about.name;
    let (what, hint) = match &about.delivery {
        Delivery::Pull => return Ok(()),
        Delivery::Push { endpoint, .. } => {
            (format!("`{name}` pushes to `{}`", crate::model::text::line(endpoint)), "look at it through a snapshot")
        }
        Delivery::Export(to) => (format!("`{name}` writes to {}", crate::model::text::line(to)), "look at it there, or through a snapshot"),
    };
    Err(Error::new(Kind::FailedPrecondition, format!("{what}: its messages cannot be leased")).with_hint(hint))
}

/// Says what helps where Pub/Sub refuses a snapshot for the age of the oldest message.
fn too_old(error: Error, instead: &str) -> Error {
    if error.kind() != Kind::FailedPrecondition {
        return error;
    }
    error.with_hint(format!("a snapshot would live less than an hour, for the oldest message is nearly seven days old: {instead}"))
}

/// Splits ack ids so that each request stays below Pub/Sub's limit.
fn chunks(ack_ids: &[String]) -> Vec<&[String]> {
    let mut chunks = Vec::new();
    let (mut begin, mut bytes) = (0, 0);
    for (index, id) in ack_ids.iter().enumerate() {
        let more = id.len() + 3;
        if bytes + more > ACK_IDS_BYTES_MAX && index > begin {
            chunks.push(&ack_ids[begin..index]);
            (begin, bytes) = (index, 0);
        }
        bytes += more;
    }
    if begin < ack_ids.len() {
        chunks.push(&ack_ids[begin..]);
    }
    chunks
}

/// Leaves out what was there before. The order stays, for in the order in which they are released messages come again.
fn once(ack_ids: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    ack_ids.into_iter().filter(|id| seen.insert(id.clone())).collect()
}

async fn acknowledge(cloud: &Cloud, subscription: &SubscriptionName, ack_ids: &[String]) -> Result<()> {
    for ids in chunks(ack_ids) {
        cloud.acknowledge(subscription, ids).await?;
    }
    Ok(())
}

async fn release(cloud: &Cloud, subscription: &SubscriptionName, ack_ids: Vec<String>) -> Result<()> {
    for ids in chunks(&once(ack_ids)) {
        match cloud.modify_ack_deadline(subscription, ids, Duration::ZERO).await {
            // With acks that are confirmed: what ran out is free already, and so is what follows in the key of a released message.
            Err(error) if error.is_invalid_input() => tracing::debug!(%error, "some leases were over already"),
            released => released?,
        }
    }
    Ok(())
}

/// What is leased: released also where the look is broken off.
struct Leases {
    cloud: Cloud,
    subscription: SubscriptionName,
    ack_ids: Vec<String>,
}

impl Drop for Leases {
    fn drop(&mut self) {
        let ack_ids = std::mem::take(&mut self.ack_ids);
        if ack_ids.is_empty() {
            return;
        }
        let (cloud, subscription) = (self.cloud.clone(), self.subscription.clone());
        in_background(async move {
            if let Err(error) = release(&cloud, &subscription, ack_ids).await {
                tracing::warn!(%error, "messages stay leased until their ack deadline");
            }
        });
    }
}

/// A snapshot and a subscription through which a backlog is read: removed also where that is broken off.
pub(super) struct Passing {
    cloud: Cloud,
    snapshot: String,
    subscription: SubscriptionName,
    removed: bool,
}

impl Passing {
    fn new(cloud: Cloud, about: &Subscription) -> Result<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let n = COUNTER.fetch_add(1, Ordering::Relaxed);
        Self::named(cloud, about, &format!("{:x}-{:x}-{n:x}", Timestamp::now().as_nanosecond(), std::process::id()))
    }

    /// Names both after what they are for; nothing is made yet.
    pub(super) fn named(cloud: Cloud, about: &Subscription, id: &str) -> Result<Self> {
        let subscription = ours(about.name.project(), id)?;
        let snapshot = format!("{}/snapshots/{}", about.name.project(), subscription.id());
        Ok(Self { cloud, snapshot, subscription, removed: false })
    }

    /// Makes both, and puts the backlog of `about` into the subscription; `instead` is what helps where that is not possible.
    pub(super) async fn open(&self, about: &Subscription, terms: cloud::Passing<'_>, instead: &str) -> Result<()> {
        let Some(topic) = &about.topic else {
            let words = format!("`{}` has no topic any more: no snapshot of it can be read", about.name);
            return Err(Error::new(Kind::FailedPrecondition, words).with_hint(instead));
        };
        self.cloud.create_snapshot(&self.snapshot, &about.name).await.map_err(|error| too_old(error, instead))?;
        self.cloud.create_passing_subscription(&self.subscription, topic, terms).await?;
        self.cloud.seek(&self.subscription, &self.snapshot).await
    }

    /// Returns the subscription.
    pub(super) fn subscription(&self) -> &SubscriptionName {
        &self.subscription
    }

    /// Removes what an earlier run under the same name left behind.
    pub(super) async fn clear(&self) -> Result<()> {
        remove(&self.cloud, &self.snapshot, &self.subscription).await.map_or(Ok(()), Err)
    }

    /// Removes both; returns the first error that left something behind.
    pub(super) async fn remove(mut self) -> Option<Error> {
        self.removed = true;
        remove(&self.cloud, &self.snapshot, &self.subscription).await
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if self.removed {
            return;
        }
        let (cloud, snapshot, subscription) = (self.cloud.clone(), std::mem::take(&mut self.snapshot), self.subscription.clone());
        in_background(async move {
            if let Some(error) = remove(&cloud, &snapshot, &subscription).await {
                tracing::warn!(%error, %subscription, "what a look made stays until it expires");
            }
        });
    }
}

async fn remove(cloud: &Cloud, snapshot: &str, subscription: &SubscriptionName) -> Option<Error> {
    let answers = futures_util::join!(cloud.delete_subscription(subscription), cloud.delete_snapshot(snapshot));
    [answers.0, answers.1].into_iter().filter_map(Result::err).find(|error| !error.is_not_found())
}

fn in_background(work: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(work);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_are_released_once_in_the_order_of_their_deliveries() {
        let ids = ["_9", "-1", "a", "-1", "Z", "_9"].map(str::to_owned).to_vec();
        assert_eq!(once(ids), ["_9", "-1", "a", "Z"]);
    }

    #[test]
    fn chunks_stay_below_the_limit_and_lose_nothing() {
        let ids: Vec<String> = (0..5000).map(|n| format!("{n:0>180}")).collect();
        let chunks = chunks(&ids);
        assert!(chunks.len() > 1);
        assert!(chunks.iter().all(|chunk| chunk.iter().map(|id| id.len() + 3).sum::<usize>() <= ACK_IDS_BYTES_MAX));
        assert_eq!(chunks.concat(), ids);
        assert_eq!(super::chunks(&[]), Vec::<&[String]>::new());
        assert_eq!(super::chunks(&["x".repeat(ACK_IDS_BYTES_MAX + 1)]).len(), 1);
    }
}
