//! Streaming pulls: what each stream may hold, and what becomes of it when the stream ends.

use jiff::{SignedDuration, Timestamp};

use super::backlog::Want;
use super::convert::later;
use super::lease::{received, refuse_unpullable};
use super::subscription::Subscription;
use crate::emulator::pb::google::pubsub::v1 as pb;
use crate::emulator::state::saved::saved;
use crate::emulator::state::{Command, Effects, Moment, Refusal, State};

/// Messages in one response of a stream at most, so that several streams share a backlog; the client's own limits come on top.
const STREAM_MESSAGES_MAX: usize = 100;
/// Payload in one response of a stream, in bytes: a few chunks of a connection's window.
const STREAM_BYTES_MAX: u64 = 1_000_000;
/// How long what a stream that its client left may have delivered stays leased: the shortest deadline Pub/Sub knows. A client that merely reconnects
/// still acknowledges in time; what a dead one held comes back soon.
const ORPHAN_LEASE: SignedDuration = SignedDuration::from_secs(10);

/// An open stream.
#[derive(Debug)]
pub(super) struct Stream {
    messages_max: usize,
    bytes_max: u64,
    deadline: SignedDuration,
}

saved!(struct Stream { messages_max, bytes_max, deadline });

/// Opens a stream on a subscription.
#[derive(Debug, Clone)]
pub(crate) struct OpenStream {
    pub(crate) subscription: String,
    pub(crate) deadline_s: i32,
    /// Flow control; not positive is unlimited.
    pub(crate) messages_max: i64,
    pub(crate) bytes_max: i64,
}

saved!(struct OpenStream { subscription, deadline_s, messages_max, bytes_max });

/// Changes the ack deadline of what a stream leases from now on.
#[derive(Debug)]
pub(crate) struct SetStreamDeadline {
    pub(crate) subscription: String,
    pub(crate) stream: u64,
    pub(crate) deadline_s: i32,
}

saved!(struct SetStreamDeadline { subscription, stream, deadline_s });

/// Leases what the stream may have now. An empty reply means: wait for the subscription.
#[derive(Debug)]
pub(crate) struct StreamLease {
    pub(crate) subscription: String,
    pub(crate) stream: u64,
}

saved!(struct StreamLease { subscription, stream });

/// What goes out on a stream.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) messages: Vec<pb::ReceivedMessage>,
    pub(crate) properties: pb::streaming_pull_response::SubscriptionProperties,
}

/// Closes a stream.
#[derive(Debug, Clone)]
pub(crate) struct CloseStream {
    pub(crate) subscription: String,
    pub(crate) stream: u64,
    /// Whether the client left, by ending the stream or by going away; it was sent away otherwise.
    pub(crate) left: bool,
}

saved!(struct CloseStream { subscription, stream, left });

fn stream_deadline(seconds: i32) -> Result<SignedDuration, Refusal> {
    if (10..=600).contains(&seconds) {
        Ok(SignedDuration::from_secs(seconds.into()))
    } else {
        Err(Refusal::invalid(format!(
            "Invalid stream ack deadline given (stream_ack_deadline_seconds={seconds}). The stream ack deadline must be between 10 and 600 seconds."
        )))
    }
}

/// The same limit in the state's terms.
fn limit(value: i64) -> u64 {
    u64::try_from(value).ok().filter(|value| *value > 0).unwrap_or(u64::MAX)
}

impl Command for OpenStream {
    /// The stream's number.
    type Reply = u64;

    fn apply(self, state: &mut State, at: Moment, out: &mut Effects) -> Result<u64, Refusal> {
        state.pubsub.with(&self.subscription, at, out, |subscription, cx| {
            refuse_unpullable(subscription)?;
            let deadline = stream_deadline(self.deadline_s)?;
            let id = cx.serial.next(cx.now);
            let messages_max = usize::try_from(limit(self.messages_max)).unwrap_or(usize::MAX);
            subscription.streams.insert(id, Stream { messages_max, bytes_max: limit(self.bytes_max), deadline });
            Ok(id)
        })
    }
}

impl Command for SetStreamDeadline {
    type Reply = ();

    fn apply(self, state: &mut State, at: Moment, out: &mut Effects) -> Result<(), Refusal> {
        state.pubsub.with(&self.subscription, at, out, |subscription, _| {
            let deadline = stream_deadline(self.deadline_s)?;
            if let Some(stream) = subscription.streams.get_mut(&self.stream) {
                stream.deadline = deadline;
            }
            Ok(())
        })
    }
}

impl Command for StreamLease {
    type Reply = Batch;

    const CAN_BE_IDLE: bool = true;

    fn is_idle(&self, state: &State, now: Timestamp) -> bool {
        state.pubsub.is_quiet(&self.subscription, now)
    }

    fn apply(self, state: &mut State, at: Moment, out: &mut Effects) -> Result<Batch, Refusal> {
        state.pubsub.with(&self.subscription, at, out, |subscription, cx| {
            refuse_unpullable(subscription)?;
            // A subscription that was deleted and made again does not know the stream: its client has to open a new one.
            let want = subscription.room_of(self.stream).ok_or_else(|| super::names::not_found(&self.subscription, "subscriptions"))?;
            let deliveries = subscription.deliver(&want, cx.now, cx.serial);
            let messages = deliveries.iter().map(|delivery| received(subscription, delivery, cx.schemas)).collect();
            let properties = pb::streaming_pull_response::SubscriptionProperties {
                exactly_once_delivery_enabled: subscription.settings.enable_exactly_once_delivery,
                message_ordering_enabled: subscription.settings.enable_message_ordering,
            };
            Ok(Batch { messages, properties })
        })
    }
}

impl Subscription {
    /// Ends all streams; their clients are gone.
    pub(super) fn end_streams(&mut self, now: Timestamp) {
        for id in std::mem::take(&mut self.streams).into_keys() {
            self.orphan(id, now, true);
        }
    }

    /// What a stream holds belongs to nobody from now on, and comes back soon if its client left.
    fn orphan(&mut self, stream: u64, now: Timestamp, left: bool) {
        let soon = later(now, ORPHAN_LEASE);
        for id in self.backlog.orphan(stream) {
            if left && self.backlog.leased_until(id).is_some_and(|until| until > soon) {
                self.backlog.extend(id, soon);
            }
        }
    }

    /// What flow control leaves to a stream.
    fn room_of(&self, id: u64) -> Option<Want> {
        let stream = self.streams.get(&id)?;
        let (messages, bytes) = self.backlog.held_by(id);
        let bytes_left = stream.bytes_max.saturating_sub(bytes);
        let messages_left = if bytes_left == 0 { 0 } else { stream.messages_max.saturating_sub(messages) };
        Some(Want {
            messages_max: messages_left.min(STREAM_MESSAGES_MAX),
            bytes_max: bytes_left.min(STREAM_BYTES_MAX),
            batch_max: usize::MAX,
            deadline: stream.deadline,
            holder: Some(id),
        })
    }
}

impl Command for CloseStream {
    type Reply = ();

    fn apply(self, state: &mut State, at: Moment, out: &mut Effects) -> Result<(), Refusal> {
        state.pubsub.with(&self.subscription, at, out, |subscription, cx| {
            if subscription.streams.remove(&self.stream).is_some() {
                subscription.orphan(self.stream, cx.now, self.left);
            }
            Ok(())
        })
    }
}
