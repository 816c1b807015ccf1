//! From a request's path, headers and body to the work that it asks for.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::HeaderMap;
use http::request::Parts;

use crate::names::SubscriptionName;
use crate::runtime::delivery::Delivery;
use crate::runtime::events::{PubsubMessage, parameters, percent_decoded};
use crate::runtime::logging::trace;
use crate::runtime::propagation::Headers;
use crate::runtime::push::refusal::Refusal;
use crate::runtime::registry::Malformed;
use crate::runtime::wire::{Call, Incoming, Route, What, own_headers, task_info};
use crate::runtime::{App, EventInfo, MessageInfo};

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
    /// Whose place it takes: the name of a task, a subscriber or a kind of events.
    pub(super) place: What,
    pub(super) name: String,
    pub(super) id: Option<String>,
}

/// Reads requests of one app.
pub(super) struct Decoder<'a, S> {
    pub(super) app: &'a App<S>,
    /// The full path.
    pub(super) path: &'a str,
}

impl<S: Send + Sync + 'static> Decoder<'_, S> {
    /// Finds out what a request asks for.
    pub(super) fn decode(&self, route: Route, parts: &Parts, body: Bytes) -> Result<Arrived, Refusal> {
        match route {
            Route::Task(name) => self.task(name, parts, body),
            Route::Subscription(subscriber) => self.message(subscriber, parts, body),
            Route::Event { kind, reference } => Ok(self.event(&kind, &reference, parts, body)),
        }
    }

    fn task(&self, name: Option<String>, parts: &Parts, body: Bytes) -> Result<Arrived, Refusal> {
        let Incoming { name, payload, id } = self.app.layout().decode(name, body.clone())?;
        // Only a dead set keeps the request; what has no handler may end there, too.
        let is_kept = self.app.registry().task(&name).is_none_or(|entry| entry.options.dead_set);
        let request = is_kept.then(|| Box::new(Call { path: self.path.to_owned(), headers: own_headers(&parts.headers), body }));
        let info = task_info(&parts.headers, &self.app.entrance().location);
        let delivery = Delivery::Task { name: name.clone(), payload, info, headers: self.propagated(&parts.headers), request };
        Ok(Arrived { delivery, what: What::Task, place: What::Task, name, id })
    }

    fn message(&self, subscriber: Option<String>, parts: &Parts, body: Bytes) -> Result<Arrived, Refusal> {
        let (data, info) = self.received(subscriber.as_deref(), parts, body)?;
        // Where the path names no subscriber, the payload names a task.
        let (place, name) = match &subscriber {
            Some(name) => (What::Message, name.clone()),
            None => (What::Task, self.app.layout().decode(None, data.clone())?.name),
        };
        let delivery = self.app.delivered(subscriber.unwrap_or_default(), data, info);
        Ok(Arrived { delivery, what: What::Message, place, name, id: None })
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
        let delivery = Delivery::Event { body, info, headers: self.propagated(&parts.headers) };
        Arrived { delivery, what: What::Event, place: What::Event, name, id: None }
    }

    /// Reads a message, whichever way it is packed: in an envelope, in headers, or not at all.
    fn received(&self, subscriber: Option<&str>, parts: &Parts, body: Bytes) -> Result<(Bytes, MessageInfo), Refusal> {
        let has_metadata = parts.headers.keys().any(|name| name.as_str().starts_with(METADATA));
        let is_bare = subscriber.is_some_and(|name| self.app.config().push.unwrapped.contains(name));
        if has_metadata || is_bare {
            return Ok((body, unwrapped(&parts.headers, has_metadata)));
        }
        let PubsubMessage { data, info } = PubsubMessage::read(&body).map_err(Refusal::Malformed)?;
        Ok((data, info))
    }

    /// Headers that go along. Where only Google's own trace header is there, it stands for `traceparent`.
    fn propagated(&self, headers: &HeaderMap) -> Headers {
        // Looked up by name: a walk over all of them would read through the token, too.
        let wanted = self.app.entrance().propagated.iter();
        let found = wanted.filter_map(|name| Some((name.as_str(), headers.get(name)?.to_str().ok()?)));
        let mut kept = Headers::only(&self.app.config().propagated, found);
        if kept.get(trace::HEADER).is_none()
            && let Some(context) = trace::Told::by(headers).google()
            && let Some(parent) = trace::Parent::of_google(context)
        {
            kept.fill(&Headers::only(&self.app.config().propagated, [(trace::HEADER, parent.to_string().as_str())]));
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
