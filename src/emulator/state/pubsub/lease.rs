//! Pulling, acknowledging and changing deadlines.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use prost::Message as _;

use super::backlog::{Delivery, Want};
use super::convert::later;
use super::publish::{not_above, work_of};
use super::schema::Schemas;
use super::subscription::Subscription;
use crate::emulator::pb::google::pubsub::v1 as pb;
use crate::emulator::state::{Command, Effects, Moment, Refusal, State};

/// A pull returns at most this many messages, whatever is asked for.
const PULL_MESSAGES_MAX: i32 = 1000;
/// A pull adds no further message once it has this much payload, in bytes: Google's limit for a response.
const PULL_BYTES_MAX: u64 = 10_000_000;

/// Bytes of a request that acknowledges or changes deadlines at most (512 KiB).
const REQUEST_BYTES_MAX: u64 = 512 * 1024;

/// One delivery of one message. Numbers are never given twice, so an id of an earlier delivery, of another subscription or of one that was
/// deleted is recognised by the lease not being there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AckId {
    pub(super) message: u64,
    pub(super) lease: u64,
}

impl fmt::Display for AckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.message.to_be_bytes());
        bytes[8..].copy_from_slice(&self.lease.to_be_bytes());
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for AckId {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let malformed = || Refusal::invalid(format!("You have passed an invalid ack ID to the service (ack_id={text})."));
        let bytes: [u8; 16] = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(malformed)?;
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        Ok(Self { message: number(&bytes[..8]), lease: number(&bytes[8..]) })
    }
}

/// What became of ack ids.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    /// Whether the subscription has exactly-once delivery: only then stale ids are an error.
    pub(crate) exactly_once: bool,
    pub(crate) done: Vec<String>,
    /// Ids of leases that are over: without effect.
    pub(crate) stale: Vec<String>,
}

/// A message as a puller gets it.
pub(super) fn received(subscription: &Subscription, delivery: &Delivery, schemas: &Schemas) -> pb::ReceivedMessage {
    pb::ReceivedMessage {
        ack_id: AckId { message: delivery.message.id, lease: delivery.lease }.to_string(),
        message: Some(delivery.message.to_pb(schemas)),
        delivery_attempt: subscription.told_attempt(delivery.attempt).map_or(0, |attempt| i32::try_from(attempt).unwrap_or(i32::MAX)),
    }
}

/// Refuses to pull from what is detached, pushes or exports.
pub(super) fn refuse_unpullable(subscription: &Subscription) -> Result<(), Refusal> {
    let settings = &subscription.settings;
    if settings.detached {
        return Err(Refusal::precondition("The subscription is detached from its topic."));
    }
    let exports = settings.bigquery_config.is_some() || settings.cloud_storage_config.is_some() || settings.bigtable_config.is_some();
    if exports || subscription.push_endpoint().is_some() {
        return Err(Refusal::precondition("This method is not supported for this subscription type."));
    }
    Ok(())
}

/// Leases what is there now; waiting for more is up to the caller.
impl Command for pb::PullRequest {
    type Reply = pb::PullResponse;

    fn work(&self) -> u64 {
        work_of(usize::try_from(self.max_messages).unwrap_or_default())
    }

    const CAN_BE_IDLE: bool = true;

    fn is_idle(&self, state: &State, now: Timestamp) -> bool {
        state.pubsub.is_quiet(&self.subscription, now)
    }

    fn apply(self, state: &mut State, at: Moment, out: &mut Effects) -> Result<pb::PullResponse, Refusal> {
        state.pubsub.with(&self.subscription, at, out, |subscription, cx| {
            refuse_unpullable(subscription)?;
            if self.max_messages <= 0 {
                let given = self.max_messages;
                return Err(Refusal::invalid(format!(
                    "The value for max_messages is too small. You passed {given} in the request, but the minimum value is 1."
                )));
            }
            let want = Want {
                messages_max: usize::try_from(self.max_messages.min(PULL_MESSAGES_MAX)).unwrap_or(0),
                bytes_max: PULL_BYTES_MAX,
                batch_max: usize::MAX,
                deadline: subscription.ack_deadline(),
                holder: None,
            };
            let deliveries = subscription.deliver(&want, cx.now, cx.serial);
            let received_messages = deliveries.iter().map(|delivery| received(subscription, delivery, cx.schemas)).collect();
            Ok(pb::PullResponse { received_messages })
        })
    }
}

/// Acknowledges. Stale ids have no effect; whether they are an error is the caller's to say (see [`Settled`]).
impl Command for pb::AcknowledgeRequest {
    type Reply = Settled;

    fn work(&self) -> u64 {
        work_of(self.ack_ids.len())
    }

    fn apply(self, state: &mut State, at: Moment, out: &mut Effects) -> Result<Settled, Refusal> {
        not_above("request_size", self.encoded_len() as u64, REQUEST_BYTES_MAX)?;
        let ids = parse(&self.ack_ids)?;
        state.pubsub.with(&self.subscription, at, out, |subscription, _| Ok(settle(subscription, self.ack_ids, &ids, Subscription::ack)))
    }
}

/// Extends leases, or refuses messages (0 seconds).
impl Command for pb::ModifyAckDeadlineRequest {
    type Reply = Settled;

    fn work(&self) -> u64 {
        work_of(self.ack_ids.len())
    }

    fn apply(self, state: &mut State, at: Moment, out: &mut Effects) -> Result<Settled, Refusal> {
        let seconds = self.ack_deadline_seconds;
        if !(0..=600).contains(&seconds) {
            return Err(Refusal::invalid(format!(
                "Invalid ack deadline given (ack_deadline={seconds}). The ack deadline must be between 0 and 600 seconds."
            )));
        }
        not_above("request_size", self.encoded_len() as u64, REQUEST_BYTES_MAX)?;
        let ids = parse(&self.ack_ids)?;
        state.pubsub.with(&self.subscription, at, out, |subscription, cx| {
            Ok(settle(subscription, self.ack_ids, &ids, |subscription, id| {
                if seconds == 0 {
                    subscription.fail(id, cx);
                } else {
                    subscription.backlog.extend(id, later(cx.now, SignedDuration::from_secs(seconds.into())));
                }
            }))
        })
    }
}

fn parse(ids: &[String]) -> Result<Vec<AckId>, Refusal> {
    if ids.is_empty() {
        return Err(Refusal::invalid("No ack ids specified."));
    }
    ids.iter().map(|text| text.parse()).collect()
}

fn settle(subscription: &mut Subscription, texts: Vec<String>, ids: &[AckId], mut each: impl FnMut(&mut Subscription, u64)) -> Settled {
    let mut settled = Settled { exactly_once: subscription.settings.enable_exactly_once_delivery, ..Settled::default() };
    for (text, id) in texts.into_iter().zip(ids) {
        if subscription.backlog.is_leased(id.message, id.lease) {
            each(subscription, id.message);
            settled.done.push(text);
        } else {
            settled.stale.push(text);
        }
    }
    settled
}
