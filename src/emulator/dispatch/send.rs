//! One request over the network, its answer read in bounds, and failures put into words for people.

use std::error::Error as StdError;
use std::io;
use std::mem;
use std::sync::OnceLock;
use std::time::Duration;

use http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};

use super::Rewrites;
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
    plain: OnceLock<Client>,
    tls: OnceLock<Client>,
    identity: Identity,
    rewrites: Rewrites,
}

impl Sender {
    pub(in crate::emulator) fn new(identity: Identity, rewrites: Rewrites) -> Self {
        Self { plain: OnceLock::new(), tls: OnceLock::new(), identity, rewrites }
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
        let mut url = Url::parse(&call.url).map_err(|error| format!("`{}` is not a URL: {error}", call.url.escape_debug()))?;
        let client = self.client(&url)?;
        let mut headers = header_map(&call.headers)?;
        if let Some(host) = self.rewrites.apply(&mut url).and_then(|host| HeaderValue::try_from(host).ok()) {
            headers.insert(HOST, host);
        }
        if let Some(kind) = call.token.take().filter(|_| !headers.contains_key(AUTHORIZATION)) {
            headers.insert(AUTHORIZATION, self.bearer(kind).await?);
        }
        let method = call.method.parse().map_err(|_| format!("`{}` is not a method", call.method.escape_debug()))?;
        let request = client.request(method, url.clone()).headers(headers).body(mem::take(&mut call.body));
        let mut response = request.send().await.map_err(|error| explain(&error, &url))?;
        let status = response.status().as_u16();
        let answer = match retry_after(response.headers()).filter(|_| matches!(status, 429 | 503)) {
            Some(after) => Answer::Later { status, after },
            None => Answer::Status(status),
        };
        let mut left = ANSWER_BYTES_MAX;
        // A body that breaks off does not change the status, which is all that counts.
        while let Ok(Some(chunk)) = response.chunk().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                break;
            }
        }
        Ok(answer)
    }

    /// Root certificates are read at the first `https` call only: that takes a while, and is impossible on some machines.
    fn client(&self, url: &Url) -> Result<&Client, String> {
        let (place, tls) = if url.scheme() == "https" { (&self.tls, true) } else { (&self.plain, false) };
        if let Some(client) = place.get() {
            return Ok(client);
        }
        let builder = Client::builder()
            .redirect(Policy::none())
            // Handlers are mostly local; what a shell's proxy variables say is not meant for them.
            .no_proxy()
            .connect_timeout(Duration::from_secs(CONNECT_SECONDS))
            .pool_idle_timeout(Duration::from_secs(IDLE_SECONDS));
        let builder = if tls { builder } else { builder.tls_certs_only([]) };
        let client = builder.build().map_err(|error| format!("no HTTP client can be made: {}", deepest(&error)))?;
        Ok(place.get_or_init(|| client))
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
fn explain(error: &reqwest::Error, url: &Url) -> String {
    let place = match (url.host_str(), url.port_or_known_default()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        _ => url.to_string(),
    };
    let io = causes(error).find_map(|cause| cause.downcast_ref::<io::Error>().map(io::Error::kind));
    match io {
        Some(io::ErrorKind::ConnectionRefused) => format!("connection refused by {place}"),
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => format!("connection reset by {place}"),
        Some(io::ErrorKind::TimedOut) => format!("no connection to {place} in time"),
        _ if error.is_timeout() => format!("no connection to {place} within {CONNECT_SECONDS} s"),
        _ if causes(error).any(|cause| cause.to_string().contains("dns error")) => {
            format!("host `{}` is not known", url.host_str().unwrap_or_default())
        }
        _ if error.is_connect() => format!("no connection to {place}: {}", deepest(error)),
        _ => format!("request to {place} failed: {}", deepest(error)),
    }
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn deepest(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}
