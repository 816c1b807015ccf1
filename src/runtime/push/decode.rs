//! From a request's path, headers and body to the work that it asks for.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::HeaderMap;
use http::request::Parts;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::names::{Location, SubscriptionName};
use crate::runtime::config::Config;
use crate::runtime::delivery::Delivery;
use crate::runtime::events::{PubsubMessage, parameters, percent_decoded};
use crate::runtime::logging::trace;
use crate::runtime::propagation::Headers;
use crate::runtime::push::refusal::Refusal;
use crate::runtime::registry::Malformed;
use crate::runtime::wire::{Call, Incoming, Layout, Route, What, own_headers, task_info};
use crate::runtime::{Compat, EventInfo, MessageInfo, TaskInfo};

/// The key under which `django-google-cloud-tasks` has headers in a message.
const HEADERS_IN_MESSAGE: &str = "_http_headers";
/// What says that a push without an envelope has its metadata in headers.
const METADATA: &str = "x-goog-pubsub-";
/// Headers of the transport: no attributes of a message.
const NO_ATTRIBUTES: &[&str] = &[
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "forwarded",
    "from",
    "host",
    "te",
    "transfer-encoding",
    "user-agent",
    "via",
    "x-cloud-trace-context",
];

/// Work with what its answer needs to know.
pub(super) struct Arrived {
    pub(super) delivery: Delivery,
    pub(super) what: What,
    pub(super) name: String,
    pub(super) id: Option<String>,
}

/// Reads requests of one app.
pub(super) struct Decoder<'a> {
    pub(super) config: &'a Config,
    pub(super) layout: &'a Layout,
    pub(super) location: &'a Location,
    /// The full path.
    pub(super) path: &'a str,
}

#[derive(Deserialize)]
struct InMessage {
    #[serde(rename = "_http_headers")]
    headers: Map<String, Value>,
}

impl Decoder<'_> {
    /// Finds out what a request asks for.
    pub(super) fn decode(&self, route: Route, parts: &Parts, body: Bytes) -> Result<Arrived, Refusal> {
        match route {
            Route::Task(name) => self.task(name, parts, body),
            Route::Subscription(Some(subscriber)) => self.message(subscriber, parts, body),
            Route::Subscription(None) => self.task_in_message(parts, body),
            Route::Event { kind, reference } => Ok(self.event(&kind, &reference, parts, body)),
        }
    }

    fn task(&self, name: Option<String>, parts: &Parts, body: Bytes) -> Result<Arrived, Refusal> {
        let Incoming { name, payload, id } = self.layout.decode(name, body.clone())?;
        let request = Call { path: self.path.to_owned(), headers: own_headers(&parts.headers), body };
        let info = task_info(&parts.headers, self.location);
        let delivery = Delivery::Task { name: name.clone(), payload, info, headers: self.propagated(&parts.headers), request };
        Ok(Arrived { delivery, what: What::Task, name, id })
    }

    /// A task over Pub/Sub: what is tried again, and how often, are the subscription's.
    fn task_in_message(&self, parts: &Parts, body: Bytes) -> Result<Arrived, Refusal> {
        let (data, message, mut headers) = self.received(None, parts, body)?;
        headers.fill(&self.propagated(&parts.headers));
        let Incoming { name, payload, id } = self.layout.decode(None, data.clone())?;
        let retry_count = message.delivery_attempt.unwrap_or(1).saturating_sub(1);
        let info = TaskInfo { retry_count, ..TaskInfo::default() };
        let request = Call { path: self.path.to_owned(), headers: Vec::new(), body: data };
        let delivery = Delivery::Task { name: name.clone(), payload, info, headers, request };
        Ok(Arrived { delivery, what: What::Message, name, id })
    }

    fn message(&self, subscriber: String, parts: &Parts, body: Bytes) -> Result<Arrived, Refusal> {
        let (data, info, mut headers) = self.received(Some(&subscriber), parts, body)?;
        headers.fill(&self.propagated(&parts.headers));
        let name = subscriber.clone();
        Ok(Arrived { delivery: Delivery::Message { subscriber, data, info, headers }, what: What::Message, name, id: None })
    }

    fn event(&self, kind: &str, reference: &str, parts: &Parts, body: Bytes) -> Arrived {
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let attribute = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            Some((name.as_str().strip_prefix("ce-")?.to_owned(), percent_decoded(value.to_str().ok()?)))
        };
        let info = EventInfo {
            kind: percent_decoded(kind),
            reference: percent_decoded(reference),
            parameters: parameters(parts.uri.query().unwrap_or_default()),
            content_type: text("content-type").map(str::to_owned),
            cloud_event: parts.headers.iter().filter_map(attribute).collect(),
        };
        let name = info.kind.clone();
        Arrived { delivery: Delivery::Event { body, info, headers: self.propagated(&parts.headers) }, what: What::Event, name, id: None }
    }

    /// Reads a message, whichever way it is packed: in an envelope, in headers, or not at all.
    fn received(&self, subscriber: Option<&str>, parts: &Parts, body: Bytes) -> Result<(Bytes, MessageInfo, Headers), Refusal> {
        let has_metadata = parts.headers.keys().any(|name| name.as_str().starts_with(METADATA));
        let is_bare = subscriber.is_some_and(|name| self.config.push.unwrapped.contains(name));
        let (data, info) = if has_metadata || is_bare {
            (body, unwrapped(&parts.headers, has_metadata))
        } else {
            let PubsubMessage { data, info } = PubsubMessage::read(&body).map_err(Refusal::Malformed)?;
            (data, info)
        };
        let attributes = info.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut headers = Headers::only(&self.config.propagated, attributes);
        if let Some(parent) = info.attributes.get(trace::PUBSUB_ATTRIBUTE).filter(|_| headers.get(trace::HEADER).is_none()) {
            headers.fill(&Headers::only(&self.config.propagated, [(trace::HEADER, parent.as_str())]));
        }
        if self.config.compat == Compat::DjangoGoogleCloudTasks {
            headers.fill(&self.in_message(&data));
        }
        Ok((data, info, headers))
    }

    /// Headers that are in the message itself.
    fn in_message(&self, data: &[u8]) -> Headers {
        let is_there = data.windows(HEADERS_IN_MESSAGE.len()).any(|part| part == HEADERS_IN_MESSAGE.as_bytes());
        let Some(InMessage { headers }) = is_there.then(|| serde_json::from_slice(data).ok()).flatten() else { return Headers::default() };
        Headers::only(&self.config.propagated, headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))))
    }

    /// Headers that go along. Where only Google's own trace header is there, it stands for `traceparent`.
    fn propagated(&self, headers: &HeaderMap) -> Headers {
        let all = headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let mut kept = Headers::only(&self.config.propagated, all);
        if kept.get(trace::HEADER).is_none()
            && let Some(context) = headers.get(trace::GOOGLE_HEADER).and_then(|value| value.to_str().ok())
            && let Some(parent) = trace::Parent::of_google(context)
        {
            kept.fill(&Headers::only(&self.config.propagated, [(trace::HEADER, parent.to_string().as_str())]));
        }
        kept
    }
}

fn unwrapped(headers: &HeaderMap, has_metadata: bool) -> MessageInfo {
    let text = |name: &str| headers.get(format!("{METADATA}{name}")).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_attribute = |name: &str| !NO_ATTRIBUTES.contains(&name) && !name.starts_with(METADATA) && !name.starts_with("x-forwarded-");
    let attributes = headers.iter().filter(|(name, _)| has_metadata && is_attribute(name.as_str()));
    MessageInfo {
        id: text("message-id").to_owned(),
        subscription: text("subscription-name").parse::<SubscriptionName>().ok(),
        attributes: attributes
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
            .collect::<BTreeMap<_, _>>(),
        ordering_key: text("ordering-key").to_owned(),
        publish_time: text("publish-time").parse().ok(),
        delivery_attempt: None,
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed.0)
    }
}
