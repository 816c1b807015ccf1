//! One request over the network, its answer read in bounds, and failures put into words for people.

use std::error::Error as StdError;
use std::io;
use std::mem;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Body as _;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};

use super::Rewrites;
use super::place::{Place, Places};
use crate::emulator::identity::Identity;
use crate::emulator::state::{Answer, Caller, HttpCall, TokenKind};

/// Answers are read up to this many bytes, so that their connection can be used again; nobody looks at them.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Idle connections are closed after this time: shorter than the 60 s of common servers, so that we rarely meet a closed one.
const IDLE_SECONDS: u64 = 30;
/// No receiver is left alone for longer, in seconds: a day.
const RETRY_AFTER_SECONDS_MAX: u64 = 24 * 3600;
/// So many redirects are followed in one attempt; one more is its answer. How many Google follows is not known.
const REDIRECTS_MAX: u32 = 10;
/// A connection that is not made within this time fails, however long the call may take.
const CONNECT_SECONDS: u64 = 20;

/// The connections, and who makes tokens.
pub(in crate::emulator) struct Sender {
    /// For `http`, which nearly all handlers of an emulator are reached by.
    plain: legacy::Client<HttpConnector, Full<Bytes>>,
    /// For `https`, and for URLs with a login. Root certificates are read at the first such call only: that takes a while, and is impossible on
    /// some machines.
    other: OnceLock<Client>,
    identity: Identity,
    places: Places,
}

impl Sender {
    pub(in crate::emulator) fn new(identity: Identity, rewrites: Rewrites) -> Self {
        Self { plain: plain(), other: OnceLock::new(), identity, places: Places::new(rewrites) }
    }

    /// Sends `call` once and says how it ended; for a task, redirects are part of that. Takes the call's token and body.
    pub(super) async fn send(&self, call: &mut HttpCall) -> Answer {
        match tokio::time::timeout(call.timeout, self.attempt(call)).await {
            Err(_) => Answer::TimedOut,
            Ok(Ok(answer)) => answer,
            Ok(Err(why)) => Answer::Failed(why),
        }
    }

    async fn attempt(&self, call: &mut HttpCall) -> Result<Answer, String> {
        let place = self.places.find(&call.url)?;
        let mut headers = header_map(&call.headers)?;
        // An App Engine app is told a host of its own; what it redirects to is no other app.
        let follows = matches!(call.caller, Caller::Task { .. }) && !headers.contains_key(HOST);
        let bearer = match call.token.take() {
            Some(kind) if !headers.contains_key(AUTHORIZATION) => Some(self.bearer(kind).await?),
            _ => None,
        };
        let method: Method = call.method.parse().map_err(|_| format!("`{}` is not a method", call.method.escape_debug()))?;
        let mut hop = Hop { place, url: None, method, body: mem::take(&mut call.body), elsewhere: false, as_get: false };
        let mut redirects = 0;
        loop {
            hop.complete(&mut headers, bearer.as_ref());
            let reply = if hop.place.is_plain() { self.send_plain(&hop, headers).await? } else { self.send_other(&hop, headers).await? };
            let Some(location) = reply.location.filter(|_| follows && redirects < REDIRECTS_MAX) else { return Ok(reply.answer) };
            redirects += 1;
            let from = hop.url.take().map_or_else(|| Url::parse(&call.url), Ok).map_err(|error| error.to_string())?;
            let Ok(next) = from.join(&location) else { return Ok(reply.answer) };
            hop.place = self.places.find(next.as_str())?;
            hop.follow(&from, next, reply.keeps_method);
            headers = header_map(&call.headers)?;
        }
    }

    async fn send_plain(&self, hop: &Hop, mut headers: HeaderMap) -> Result<Reply, String> {
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        let mut request = Request::new(Full::new(hop.body.clone()));
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (hop.method.clone(), hop.place.uri.clone(), headers);
        let sent = self.plain.request(request).await;
        let mut response = sent.map_err(|error| explain(&error, error.is_connect(), &hop.place.url))?;
        let reply = Reply::of(response.status().as_u16(), response.headers());
        let mut left = ANSWER_BYTES_MAX;
        // A body that breaks off does not change the status, which is all that counts.
        while left > 0
            && !response.body().is_end_stream()
            && let Some(Ok(frame)) = response.frame().await
        {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        }
        Ok(reply)
    }

    async fn send_other(&self, hop: &Hop, headers: HeaderMap) -> Result<Reply, String> {
        let place = &hop.place;
        let request = self.other()?.request(hop.method.clone(), place.url.clone()).headers(headers).body(hop.body.clone());
        let sent = request.send().await;
        let mut response = sent.map_err(|error| explain(&error, error.is_connect() || error.is_timeout(), &place.url))?;
        let reply = Reply::of(response.status().as_u16(), response.headers());
        let mut left = ANSWER_BYTES_MAX;
        while let Ok(Some(chunk)) = response.chunk().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                break;
            }
        }
        Ok(reply)
    }

    fn other(&self) -> Result<&Client, String> {
        if let Some(client) = self.other.get() {
            return Ok(client);
        }
        let builder = Client::builder()
            .redirect(Policy::none())
            // Handlers are mostly local; what a shell's proxy variables say is not meant for them.
            .no_proxy()
            .connect_timeout(Duration::from_secs(CONNECT_SECONDS))
            .pool_idle_timeout(Duration::from_secs(IDLE_SECONDS));
        let client = builder.build().map_err(|error| format!("no HTTP client can be made: {}", deepest(&error)))?;
        Ok(self.other.get_or_init(|| client))
    }

    async fn bearer(&self, kind: TokenKind) -> Result<HeaderValue, String> {
        let identity = self.identity.clone();
        // Making the key takes a good part of a second.
        let token = tokio::task::spawn_blocking(move || identity.token(&kind))
            .await
            .map_err(|error| format!("no token can be made: {error}"))??;
        HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| "the token is no header value".to_owned())
    }
}

/// The client for `http`: it follows no redirect by itself and knows no proxy.
fn plain() -> legacy::Client<HttpConnector, Full<Bytes>> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(Duration::from_secs(CONNECT_SECONDS)));
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(IDLE_SECONDS))
        .build(connector)
}

/// One request of an attempt: the first, or what a redirect made of it.
struct Hop {
    place: Arc<Place>,
    /// Where a redirect led, as the handler named it; the first is the call's.
    url: Option<Url>,
    method: Method,
    body: Bytes,
    /// Another host than the call's: it is not told who calls.
    elsewhere: bool,
    /// A redirect has made it a GET.
    as_get: bool,
}

impl Hop {
    /// Puts into the call's own headers what this request has besides.
    fn complete(&self, headers: &mut HeaderMap, bearer: Option<&HeaderValue>) {
        if let Some(host) = &self.place.host {
            headers.insert(HOST, host.clone());
        }
        if self.elsewhere {
            headers.remove(AUTHORIZATION);
            headers.remove(COOKIE);
        } else if let Some(bearer) = bearer {
            headers.insert(AUTHORIZATION, bearer.clone());
        }
        if self.as_get {
            headers.remove(CONTENT_TYPE);
        }
        if self.body.is_empty() && matches!(self.method, Method::POST | Method::PUT | Method::PATCH) {
            // Of a body that is empty, neither client says so itself (RFC 9110, section 8.6).
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
    }

    /// Turns to where a redirect leads; all but 307 and 308 ask for a GET there.
    fn follow(&mut self, from: &Url, next: Url, keeps_method: bool) {
        self.elsewhere |= next.origin() != from.origin();
        if !keeps_method && self.method != Method::HEAD {
            (self.method, self.body, self.as_get) = (Method::GET, Bytes::new(), true);
        }
        self.url = Some(next);
    }
}

/// What was answered to one request.
struct Reply {
    answer: Answer,
    /// Where a redirect leads.
    location: Option<String>,
    /// The redirect is to be followed with the same method and body.
    keeps_method: bool,
}

impl Reply {
    fn of(status: u16, headers: &HeaderMap) -> Self {
        let answer = match retry_after(headers).filter(|_| matches!(status, 429 | 503)) {
            Some(after) => Answer::Later { status, after },
            None => Answer::Status(status),
        };
        let location = headers.get(LOCATION).filter(|_| matches!(status, 301..=303 | 307 | 308));
        let location = location.and_then(|location| location.to_str().ok()).map(str::to_owned);
        Self { answer, location, keeps_method: matches!(status, 307 | 308) }
    }
}

/// How long a receiver wants to be left alone: seconds, or a date by the machine's clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let after = if let Ok(seconds) = text.parse::<u64>() {
        Duration::from_secs(seconds)
    } else {
        let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        Duration::try_from(date.duration_since(jiff::Timestamp::now())).unwrap_or_default()
    };
    Some(after.min(Duration::from_secs(RETRY_AFTER_SECONDS_MAX)))
}

fn header_map(headers: &[(String, String)]) -> Result<HeaderMap, String> {
    let mut map = HeaderMap::with_capacity(headers.len() + 1);
    for (name, value) in headers {
        let bad = || format!("header `{}` cannot be sent", name.escape_debug());
        let name = HeaderName::try_from(name.as_str()).map_err(|_| bad())?;
        let value = HeaderValue::try_from(value.as_str()).map_err(|_| bad())?;
        map.append(name, value);
    }
    Ok(map)
}

/// Says what went wrong as one would to a colleague: `connection refused by 127.0.0.1:8080`.
fn explain(error: &(dyn StdError + 'static), no_connection: bool, url: &Url) -> String {
    let place = match (url.host_str(), url.port_or_known_default()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        _ => url.to_string(),
    };
    let io = causes(error).find_map(|cause| cause.downcast_ref::<io::Error>().map(io::Error::kind));
    match io {
        Some(io::ErrorKind::ConnectionRefused) => format!("connection refused by {place}"),
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => format!("connection reset by {place}"),
        Some(io::ErrorKind::TimedOut) => format!("no connection to {place} within {CONNECT_SECONDS} s"),
        _ if causes(error).any(|cause| cause.to_string().contains("dns error")) => {
            format!("host `{}` is not known", url.host_str().unwrap_or_default())
        }
        _ if no_connection => format!("no connection to {place}: {}", deepest(error)),
        _ => format!("request to {place} failed: {}", deepest(error)),
    }
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn deepest(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}
