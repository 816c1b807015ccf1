//! The fields of a queue that a filter may name, one table of them all.

use std::time::Duration;

use jiff::Timestamp;

use crate::emulator::state::target::{Override, Routing, Scheme, Token};
use crate::emulator::state::tasks::queue::{Queue, QueueState};
use crate::emulator::state::tasks::settings::HttpOverride;

/// A field: what it is, and how a queue tells it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field {
    /// Several where messages are repeated; none where there is none.
    Text(fn(&Queue) -> Vec<String>),
    Number(fn(&Queue) -> f64),
    /// Names by number, and the number.
    Enum(&'static [&'static str], fn(&Queue) -> usize),
    Span(fn(&Queue) -> Option<Duration>),
    Time(fn(&Queue) -> Option<Timestamp>),
    /// Whether there is one.
    Message(fn(&Queue) -> bool),
}

const STATES: &[&str] = &["STATE_UNSPECIFIED", "RUNNING", "PAUSED", "DISABLED"];
const METHODS: &[&str] = &["HTTP_METHOD_UNSPECIFIED", "POST", "GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"];
const SCHEMES: &[&str] = &["SCHEME_UNSPECIFIED", "HTTP", "HTTPS"];
const MODES: &[&str] = &["URI_OVERRIDE_ENFORCE_MODE_UNSPECIFIED", "IF_NOT_EXISTS", "ALWAYS"];

/// Names without their underscores and in lower case: a filter may have them in either spelling.
const FIELDS: &[(&str, Field)] = &[
    ("name", Field::Text(|queue| vec![queue.name.to_string()])),
    ("state", Field::Enum(STATES, |queue| if queue.state == QueueState::Paused { 2 } else { 1 })),
    ("purgetime", Field::Time(|queue| queue.purge_time)),
    ("appengineroutingoverride", Field::Message(|queue| queue.settings.routing.is_some())),
    ("appengineroutingoverride.service", Field::Text(|queue| routed(queue, |routing| &routing.service))),
    ("appengineroutingoverride.version", Field::Text(|queue| routed(queue, |routing| &routing.version))),
    ("appengineroutingoverride.instance", Field::Text(|queue| routed(queue, |routing| &routing.instance))),
    ("appengineroutingoverride.host", Field::Text(|queue| routed(queue, |routing| &routing.host))),
    ("ratelimits", Field::Message(|_| true)),
    ("ratelimits.maxdispatchespersecond", Field::Number(|queue| queue.settings.per_second)),
    ("ratelimits.maxburstsize", Field::Number(|queue| f64::from(queue.settings.burst))),
    ("ratelimits.maxconcurrentdispatches", Field::Number(|queue| f64::from(queue.settings.concurrent))),
    ("retryconfig", Field::Message(|_| true)),
    ("retryconfig.maxattempts", Field::Number(|queue| queue.settings.retry.attempts_max.map_or(-1.0, f64::from))),
    ("retryconfig.maxretryduration", Field::Span(|queue| queue.settings.retry.duration_max)),
    ("retryconfig.minbackoff", Field::Span(|queue| Some(queue.settings.retry.backoff_min))),
    ("retryconfig.maxbackoff", Field::Span(|queue| Some(queue.settings.retry.backoff_max))),
    ("retryconfig.maxdoublings", Field::Number(|queue| f64::from(queue.settings.retry.doublings_max))),
    ("stackdriverloggingconfig", Field::Message(|queue| queue.settings.sampling_ratio.is_some())),
    ("stackdriverloggingconfig.samplingratio", Field::Number(|queue| queue.settings.sampling_ratio.unwrap_or_default())),
    ("httptarget", Field::Message(|queue| http(queue).is_some())),
    ("httptarget.httpmethod", Field::Enum(METHODS, method)),
    ("httptarget.urioverride", Field::Message(|queue| uri(queue).is_some())),
    ("httptarget.urioverride.scheme", Field::Enum(SCHEMES, scheme)),
    ("httptarget.urioverride.host", Field::Text(|queue| part(queue, |uri| uri.host.as_ref()))),
    ("httptarget.urioverride.port", Field::Number(port)),
    ("httptarget.urioverride.pathoverride", Field::Message(|queue| uri(queue).is_some_and(|uri| uri.path.is_some()))),
    ("httptarget.urioverride.pathoverride.path", Field::Text(|queue| part(queue, |uri| uri.path.as_ref()))),
    ("httptarget.urioverride.queryoverride", Field::Message(|queue| uri(queue).is_some_and(|uri| uri.query.is_some()))),
    ("httptarget.urioverride.queryoverride.queryparams", Field::Text(|queue| part(queue, |uri| uri.query.as_ref()))),
    ("httptarget.urioverride.urioverrideenforcemode", Field::Enum(MODES, mode)),
    ("httptarget.headeroverrides", Field::Message(has_headers)),
    ("httptarget.headeroverrides.header", Field::Message(has_headers)),
    ("httptarget.headeroverrides.header.key", Field::Text(|queue| headers(queue, |(name, _)| name))),
    ("httptarget.headeroverrides.header.value", Field::Text(|queue| headers(queue, |(_, value)| value))),
    ("httptarget.oidctoken", Field::Message(|queue| oidc(queue).is_some())),
    ("httptarget.oidctoken.serviceaccountemail", Field::Text(|queue| oidc(queue).into_iter().map(|(email, _)| email).collect())),
    ("httptarget.oidctoken.audience", Field::Text(|queue| oidc(queue).into_iter().map(|(_, audience)| audience).collect())),
    ("httptarget.oauthtoken", Field::Message(|queue| oauth(queue).is_some())),
    ("httptarget.oauthtoken.serviceaccountemail", Field::Text(|queue| oauth(queue).into_iter().map(|(email, _)| email).collect())),
    ("httptarget.oauthtoken.scope", Field::Text(|queue| oauth(queue).into_iter().map(|(_, scope)| scope).collect())),
];

impl Field {
    /// The field of a name, in either spelling and whatever its case.
    pub(super) fn named(name: &str) -> Option<Self> {
        let plain = name.replace('_', "").to_ascii_lowercase();
        FIELDS.iter().find(|(name, _)| *name == plain).map(|(_, field)| *field)
    }

    /// Whether a queue has anything there: an empty text and a zero are nothing.
    pub(super) fn is_present(self, queue: &Queue) -> bool {
        match self {
            Self::Text(get) => get(queue).iter().any(|text| !text.is_empty()),
            Self::Number(get) => get(queue).abs() > 0.0,
            Self::Enum(_, get) => get(queue) > 0,
            Self::Span(get) => get(queue).is_some(),
            Self::Time(get) => get(queue).is_some(),
            Self::Message(get) => get(queue),
        }
    }
}

fn http(queue: &Queue) -> Option<&HttpOverride> {
    queue.settings.http.as_ref()
}

fn uri(queue: &Queue) -> Option<&Override> {
    http(queue)?.uri.as_ref()
}

fn routed(queue: &Queue, part: fn(&Routing) -> &String) -> Vec<String> {
    queue.settings.routing.iter().map(part).cloned().collect()
}

fn part(queue: &Queue, part: fn(&Override) -> Option<&String>) -> Vec<String> {
    uri(queue).and_then(part).into_iter().cloned().collect()
}

fn headers(queue: &Queue, part: fn(&(String, String)) -> &String) -> Vec<String> {
    http(queue).into_iter().flat_map(|http| &http.headers).map(part).cloned().collect()
}

fn has_headers(queue: &Queue) -> bool {
    http(queue).is_some_and(|http| !http.headers.is_empty())
}

fn method(queue: &Queue) -> usize {
    let method = http(queue).and_then(|http| http.method);
    method.and_then(|method| METHODS.iter().position(|name| *name == method.as_str())).unwrap_or_default()
}

fn scheme(queue: &Queue) -> usize {
    match uri(queue).and_then(|uri| uri.scheme) {
        None | Some(Scheme::Unspecified) => 0,
        Some(Scheme::Http) => 1,
        Some(Scheme::Https) => 2,
    }
}

fn mode(queue: &Queue) -> usize {
    match uri(queue) {
        Some(uri) if uri.if_not_exists => 1,
        Some(uri) if uri.always => 2,
        _ => 0,
    }
}

/// Ports are small: one that a number here cannot hold is beyond all of them.
fn port(queue: &Queue) -> f64 {
    let port = uri(queue).and_then(|uri| uri.port).unwrap_or_default();
    i32::try_from(port).map_or(f64::INFINITY, f64::from)
}

/// Address and audience.
fn oidc(queue: &Queue) -> Option<(String, String)> {
    match http(queue)?.token.clone()? {
        Token::Oidc { email, audience } => Some((email, audience)),
        Token::OAuth { .. } => None,
    }
}

/// Address and scope.
fn oauth(queue: &Queue) -> Option<(String, String)> {
    match http(queue)?.token.clone()? {
        Token::OAuth { email, scope } => Some((email, scope)),
        Token::Oidc { .. } => None,
    }
}
