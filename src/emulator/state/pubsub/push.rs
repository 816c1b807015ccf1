//! Push delivery: the requests, and the window that keeps a failing endpoint from being hammered.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::backlog::{Delivery, Want};
use super::convert::later;
use super::schema::Schemas;
use super::serial::Serial;
use super::stats::NO_ANSWER;
use super::subscription::{Cx, Subscription};
use crate::emulator::pb::google::pubsub::v1 as pb;
use crate::emulator::state::saved::saved;
use crate::emulator::state::{Answer, Caller, Effect, Effects, HttpCall, TokenKind};

/// Requests under way at once at most, however well they go: each costs a connection and a copy of its message.
const WINDOW_MAX: usize = 64;
/// Payload leased at once for pushes, in bytes.
const PUSH_BYTES_MAX: u64 = 64_000_000;
/// The first pause after a failure, without a retry policy.
const PAUSE_MS_MIN: i64 = 100;
/// The longest pause.
const PAUSE_MS_MAX: i64 = 60_000;
/// How much longer than its request a push's lease lasts, so that the answer is what ends it.
const ANSWER_GRACE: SignedDuration = SignedDuration::from_secs(5);
/// The only answers that acknowledge.
const ACKS: [u16; 5] = [102, 200, 201, 202, 204];

/// Headers of a request that attributes of an unwrapped message may not set: they belong to the connection or to the token.
const OWN_HEADERS: [&str; 6] = ["authorization", "connection", "content-length", "host", "te", "transfer-encoding"];

/// The pushes of one subscription.
#[derive(Debug)]
pub(super) struct Push {
    /// Requests that may be under way at once: one more after each success, half after a failure.
    window: usize,
    failures_in_row: u32,
    paused_until: Option<Timestamp>,
    /// Lease to message, of the requests under way.
    calls: BTreeMap<u64, u64>,
}

saved!(struct Push { window, failures_in_row, paused_until, calls });

impl Default for Push {
    fn default() -> Self {
        Self { window: 1, failures_in_row: 0, paused_until: None, calls: BTreeMap::new() }
    }
}

impl Push {
    pub(super) fn paused_until(&self) -> Option<Timestamp> {
        self.paused_until
    }

    fn succeeded(&mut self) {
        self.window = (self.window + 1).min(WINDOW_MAX);
        self.failures_in_row = 0;
        self.paused_until = None;
    }

    /// Failures during a pause belong to the ones that caused it and do not lengthen it.
    fn failed(&mut self, now: Timestamp, pause: bool) {
        self.window = (self.window / 2).max(1);
        if !pause || self.paused_until.is_some_and(|until| until > now) {
            return;
        }
        let ms = PAUSE_MS_MIN.saturating_mul(1 << self.failures_in_row.min(20)).min(PAUSE_MS_MAX);
        self.failures_in_row += 1;
        self.paused_until = Some(later(now, SignedDuration::from_millis(ms)));
    }
}

impl Subscription {
    /// Returns where messages are pushed to, unless they are pulled.
    pub(super) fn push_endpoint(&self) -> Option<&pb::PushConfig> {
        self.settings.push_config.as_ref().filter(|config| !config.push_endpoint.is_empty() && !self.settings.detached)
    }

    /// Sends what the window allows.
    pub(super) fn push_ready(&mut self, name: &str, now: Timestamp, serial: &mut Serial, schemas: &Schemas, out: &mut Effects) {
        if self.push_endpoint().is_none() || self.push.paused_until.is_some_and(|until| until > now) {
            return;
        }
        self.push.paused_until = None;
        let room = self.push.window.saturating_sub(self.push.calls.len());
        let want = Want {
            messages_max: room,
            bytes_max: PUSH_BYTES_MAX,
            batch_max: 1,
            deadline: self.ack_deadline().saturating_add(ANSWER_GRACE),
            holder: None,
        };
        for delivery in self.deliver(&want, now, serial) {
            self.push.calls.insert(delivery.lease, delivery.message.id);
            out.list.extend(self.request(name, &delivery, schemas).map(Effect::Send));
        }
    }

    /// Sends the pushes under way again, as they were; what nobody can answer any more is forgotten.
    pub(super) fn push_again(&mut self, name: &str, schemas: &Schemas, out: &mut Effects) {
        for (lease, id) in std::mem::take(&mut self.push.calls) {
            let call = self.backlog.delivery(id, lease).and_then(|delivery| self.request(name, &delivery, schemas));
            if let Some(call) = call {
                self.push.calls.insert(lease, id);
                out.list.push(Effect::Send(call));
            }
        }
    }

    /// Settles a push by its answer.
    pub(super) fn push_answered(&mut self, lease: u64, answer: &Answer, cx: &mut Cx<'_>) {
        let Some(id) = self.push.calls.remove(&lease) else { return };
        let status = match answer {
            Answer::Status(status) | Answer::Later { status, .. } => *status,
            Answer::TimedOut | Answer::Failed(_) => NO_ANSWER,
        };
        *self.counters.push_requests.entry(status).or_default() += 1;
        let good = ACKS.contains(&status);
        if good {
            self.note_use(cx.now);
            self.push.succeeded();
        } else {
            self.push.failed(cx.now, self.settings.retry_policy.is_none());
        }
        if !self.backlog.is_leased(id, lease) {
            return;
        }
        if good {
            self.ack(id);
        } else {
            self.fail(id, cx);
        }
    }

    /// Notes that the lease of a message ended without an answer to its push, if it was pushed.
    pub(super) fn push_lost(&mut self, id: u64, now: Timestamp) {
        if self.backlog.lease_of(id).and_then(|lease| self.push.calls.remove(&lease)).is_some() {
            *self.counters.push_requests.entry(NO_ANSWER).or_default() += 1;
            self.push.failed(now, self.settings.retry_policy.is_none());
        }
    }

    fn request(&self, name: &str, delivery: &Delivery, schemas: &Schemas) -> Option<HttpCall> {
        let config = self.push_endpoint()?;
        let attributes = schemas.shown(delivery.message.attributes());
        let mut headers = vec![("user-agent".to_owned(), "CloudPubSub-Google".to_owned())];
        let body = if let Some(pb::push_config::Wrapper::NoWrapper(unwrapped)) = &config.wrapper {
            if unwrapped.write_metadata {
                headers.extend(metadata(name, delivery, &attributes));
            }
            delivery.message.data.clone()
        } else {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
            wrapped(name, delivery, &attributes, self.told_attempt(delivery.attempt))
        };
        let token = config.authentication_method.as_ref().map(|pb::push_config::AuthenticationMethod::OidcToken(oidc)| {
            let audience = if oidc.audience.is_empty() { &config.push_endpoint } else { &oidc.audience };
            TokenKind::Oidc { email: oidc.service_account_email.clone(), audience: audience.clone() }
        });
        Some(HttpCall {
            caller: Caller::Push { subscription: name.to_owned(), lease: delivery.lease },
            method: "POST",
            url: config.push_endpoint.clone(),
            headers,
            body,
            timeout: Duration::try_from(self.ack_deadline()).unwrap_or_default(),
            token,
        })
    }
}

/// The JSON around a pushed message; names twice, as Google does.
#[derive(Serialize)]
struct Envelope<'a> {
    #[serde(rename = "deliveryAttempt", skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    message: Wrapped<'a>,
    subscription: &'a str,
}

#[derive(Serialize)]
struct Wrapped<'a> {
    attributes: &'a BTreeMap<String, String>,
    data: String,
    #[serde(rename = "messageId")]
    id: &'a str,
    #[serde(rename = "message_id")]
    id_again: &'a str,
    #[serde(rename = "orderingKey", skip_serializing_if = "str::is_empty")]
    ordering_key: &'a str,
    #[serde(rename = "publishTime")]
    time: Timestamp,
    #[serde(rename = "publish_time")]
    time_again: Timestamp,
}

fn wrapped(name: &str, delivery: &Delivery, attributes: &BTreeMap<String, String>, attempt: Option<u32>) -> Bytes {
    let message = &delivery.message;
    let id = message.id.to_string();
    let envelope = Envelope {
        attempt,
        message: Wrapped {
            attributes,
            data: STANDARD.encode(&message.data),
            id: &id,
            id_again: &id,
            ordering_key: message.ordering_key(),
            time: message.publish_time(),
            time_again: message.publish_time(),
        },
        subscription: name,
    };
    serde_json::to_vec(&envelope).expect("strings, numbers and a map with text keys always serialize").into()
}

/// The headers that stand in for the envelope of an unwrapped message.
fn metadata(name: &str, delivery: &Delivery, attributes: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let message = &delivery.message;
    let own = [
        ("x-goog-pubsub-subscription-name", name.to_owned()),
        ("x-goog-pubsub-message-id", message.id.to_string()),
        ("x-goog-pubsub-publish-time", message.publish_time().to_string()),
        ("x-goog-pubsub-ordering-key", message.ordering_key().to_owned()),
    ];
    let own = own.into_iter().map(|(key, value)| (key.to_owned(), value)).filter(|(_, value)| !value.is_empty());
    let attributes = attributes.iter().filter(|(key, value)| may_be_header(key, value));
    own.filter(|(_, value)| is_header_value(value)).chain(attributes.map(|(key, value)| (key.clone(), value.clone()))).collect()
}

fn may_be_header(key: &str, value: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let own = OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(key)) || key.to_ascii_lowercase().starts_with("x-goog-pubsub-");
    !key.is_empty() && key.bytes().all(token) && !own && is_header_value(value)
}

fn is_header_value(value: &str) -> bool {
    value.bytes().all(|b| (b' '..=b'~').contains(&b))
}
