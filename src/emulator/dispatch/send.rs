//! One request over the network, its answer read in bounds, and failures put into words for people.

use std::error::Error as StdError;
use std::io;
use std::mem;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
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
use crate::emulator::state::{Answer, HttpCall, TokenKind};

/// Answers are read up to this many bytes, so that their connection can be used again; nobody looks at them.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Idle connections are closed after this time: shorter than the 60 s of common servers, so that we rarely meet a closed one.
const IDLE_SECONDS: u64 = 30;
/// No receiver is left alone for longer, in seconds: a day.
const RETRY_AFTER_SECONDS_MAX: u64 = 24 * 3600;
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

    /// Sends `call` once and says how it ended. Takes the call's headers and body.
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
        if let Some(host) = &place.host {
            headers.insert(HOST, host.clone());
        }
        if let Some(kind) = call.token.take().filter(|_| !headers.contains_key(AUTHORIZATION)) {
            headers.insert(AUTHORIZATION, self.bearer(kind).await?);
        }
        let method: Method = call.method.parse().map_err(|_| format!("`{}` is not a method", call.method.escape_debug()))?;
        let body = mem::take(&mut call.body);
        if body.is_empty() && matches!(method, Method::POST | Method::PUT | Method::PATCH) {
            // Of a body that is empty, neither client says so itself (RFC 9110, section 8.6).
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        if place.is_plain() {
            self.send_plain(&place, method, headers, body).await
        } else {
            self.send_other(&place, method, headers, body).await
        }
    }

    async fn send_plain(&self, place: &Place, method: Method, mut headers: HeaderMap, body: Bytes) -> Result<Answer, String> {
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        let mut request = Request::new(Full::new(body));
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, place.uri.clone(), headers);
        let sent = self.plain.request(request).await;
        let mut response = sent.map_err(|error| explain(&error, error.is_connect(), &place.url))?;
        let answer = answer(response.status().as_u16(), response.headers());
        let mut left = ANSWER_BYTES_MAX;
        // A body that breaks off does not change the status, which is all that counts.
        while left > 0
            && !response.body().is_end_stream()
            && let Some(Ok(frame)) = response.frame().await
        {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        }
        Ok(answer)
    }

    async fn send_other(&self, place: &Place, method: Method, headers: HeaderMap, body: Bytes) -> Result<Answer, String> {
        let request = self.other()?.request(method, place.url.clone()).headers(headers).body(body);
        let sent = request.send().await;
        let mut response = sent.map_err(|error| explain(&error, error.is_connect() || error.is_timeout(), &place.url))?;
        let answer = answer(response.status().as_u16(), response.headers());
        let mut left = ANSWER_BYTES_MAX;
        while let Ok(Some(chunk)) = response.chunk().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                break;
            }
        }
        Ok(answer)
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

/// The client for `http`: it follows no redirect and knows no proxy.
fn plain() -> legacy::Client<HttpConnector, Full<Bytes>> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(Duration::from_secs(CONNECT_SECONDS)));
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(IDLE_SECONDS))
        .build(connector)
}

fn answer(status: u16, headers: &HeaderMap) -> Answer {
    match retry_after(headers).filter(|_| matches!(status, 429 | 503)) {
        Some(after) => Answer::Later { status, after },
        None => Answer::Status(status),
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
