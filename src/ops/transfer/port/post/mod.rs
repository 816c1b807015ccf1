//! Requests to endpoints: past the topic to the one subscription that failed, with the token it would have sent, or to a handler that is tried out.

mod address;
mod envelope;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, HeaderValue};
use reqwest::Url;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use address::Reach;
use envelope::Wrapper;

use super::super::engine::{Fault, FaultKind};
use crate::error::{Error, Kind, Result};
use crate::model::message::Message;
use crate::model::subscription::{Delivery, Subscription};
use crate::model::text;
use crate::names::SubscriptionName;
use crate::ops::Ops;

/// Resolves a handler on whatever machine; metadata servers are none.
pub(in crate::ops) async fn addresses(url: &Url) -> Result<Vec<SocketAddr>> {
    address::resolve(url, Reach::Anywhere).await
}

/// The only answers that acknowledge, as of a push.
const ACKS: [u16; 5] = [102, 200, 201, 202, 204];
/// A connection is made within this time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A handler that is tried out may take this long: as long as Pub/Sub lets a push take at most.
const HANDLER_TIMEOUT: Duration = Duration::from_mins(10);
/// A token is sent again for this long; it is valid for an hour.
const TOKEN_REUSED: Duration = Duration::from_mins(30);

/// One place that messages are posted to, checked when it was opened.
pub(in crate::ops::transfer) struct Endpoint {
    url: Url,
    addresses: Vec<SocketAddr>,
    client: reqwest::Client,
    wrapper: Wrapper,
    /// Account and audience of the token; none is sent without.
    identity: Option<(String, String)>,
    token: Mutex<Option<(HeaderValue, Instant)>>,
}

/// The endpoints that were used.
#[derive(Default)]
pub(super) struct Endpoints(Mutex<HashMap<SubscriptionName, Arc<Endpoint>>>);

impl Endpoints {
    /// Returns the endpoint of a push subscription, which is looked at the first time.
    pub(super) async fn of(&self, ops: &Ops, name: &SubscriptionName, private: bool) -> Result<Arc<Endpoint>> {
        let mut known = self.0.lock().await;
        if let Some(endpoint) = known.get(name) {
            return Ok(endpoint.clone());
        }
        let endpoint = Arc::new(Endpoint::of(&ops.cloud().get_subscription(name).await?, private).await?);
        known.insert(name.clone(), endpoint.clone());
        Ok(endpoint)
    }
}

impl Endpoint {
    /// Takes the endpoint of a push subscription, where it may be reached.
    pub(in crate::ops::transfer) async fn of(subscription: &Subscription, private: bool) -> Result<Self> {
        let Delivery::Push { endpoint, unwrapped, account } = &subscription.delivery else {
            return Err(Error::new(
                Kind::FailedPrecondition,
                format!("`{}` does not push: nothing can be delivered to it directly", subscription.name),
            ));
        };
        let config = &subscription.raw["pushConfig"];
        let audience = config["oidcToken"]["audience"].as_str().filter(|audience| !audience.is_empty()).unwrap_or(endpoint);
        let metadata = config["noWrapper"]["writeMetadata"].as_bool().unwrap_or_default();
        let wrapper = if *unwrapped { Wrapper::Raw { metadata } } else { Wrapper::Wrapped };
        let identity = account.clone().map(|account| (account, audience.to_owned()));
        let reach = if private { Reach::Private } else { Reach::Public };
        Self::open(endpoint, reach, subscription.ack_deadline, wrapper, identity).await
    }

    /// Takes a handler that is tried out; it is sent no token.
    pub(in crate::ops::transfer) async fn handler(url: &str, anywhere: bool) -> Result<Self> {
        let reach = if anywhere { Reach::Anywhere } else { Reach::Loopback };
        Self::open(url, reach, HANDLER_TIMEOUT, Wrapper::Wrapped, None).await
    }

    async fn open(url: &str, reach: Reach, limit: Duration, wrapper: Wrapper, identity: Option<(String, String)>) -> Result<Self> {
        let url: Url = url.parse().map_err(|_| {
            Error::invalid(format!("`{}` is not a URL", text::line(url))).with_hint("give it as `http://127.0.0.1:8080/path`")
        })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::invalid("the URL bears a name or password: nothing is sent with credentials in the URL"));
        }
        let addresses = address::resolve(&url, reach).await?;
        let builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(limit)
            // What was checked is what is connected to: the name is not looked up a second time.
            .resolve_to_addrs(url.host_str().unwrap_or_default(), &addresses);
        // Root certificates are only read where they are needed.
        let builder = if url.scheme() == "https" { builder } else { builder.tls_certs_only([]) };
        let client = builder.build().map_err(|error| Error::new(Kind::Internal, "no HTTP client can be made").with_source(error))?;
        Ok(Self { url, addresses, client, wrapper, identity, token: Mutex::default() })
    }

    /// Sees whether it can be reached and its token can be had; returns the account of the token. Sends nothing.
    pub(in crate::ops::transfer) async fn probe(&self, ops: &Ops) -> Result<Option<&str>> {
        self.token(ops).await?;
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.addresses[..])).await;
        match connected {
            Ok(Ok(_)) => Ok(self.identity.as_ref().map(|(account, _)| account.as_str())),
            _ => Err(Error::new(Kind::Unavailable, format!("no connection to {}", self.shown()))),
        }
    }

    /// Returns the address for people, without what may be secret in it.
    pub(in crate::ops::transfer) fn shown(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        format!("`{}`", text::line(url.as_str()))
    }

    /// Posts a message once; anything but an answer that acknowledges is a fault.
    pub(super) async fn post(&self, ops: &Ops, message: &Message, subscription: &SubscriptionName) -> std::result::Result<String, Fault> {
        let token = self.token(ops).await.map_err(|error| Fault::from(&error))?;
        let (mut headers, body) = envelope::request(message, subscription, self.wrapper);
        headers.extend(token.map(|token| (AUTHORIZATION, token)));
        let answer = self.client.post(self.url.clone()).headers(headers).body(body).send().await;
        let response = answer.map_err(|error| self.no_answer(&error))?;
        judge(response.status().as_u16(), ACKS.contains(&response.status().as_u16()), &self.shown())
    }

    fn no_answer(&self, error: &reqwest::Error) -> Fault {
        let at = self.shown();
        match error {
            error if error.is_connect() => Fault { kind: FaultKind::Later, words: format!("no connection to {at}") },
            error if error.is_timeout() => Fault { kind: FaultKind::Lost, words: format!("no answer of {at} in time") },
            _ => Fault { kind: FaultKind::Lost, words: format!("the connection to {at} broke") },
        }
    }

    async fn token(&self, ops: &Ops) -> Result<Option<HeaderValue>> {
        let Some((account, audience)) = &self.identity else { return Ok(None) };
        let mut known = self.token.lock().await;
        if let Some((token, made)) = known.as_ref()
            && made.elapsed() < TOKEN_REUSED
        {
            return Ok(Some(token.clone()));
        }
        let token = ops.cloud().identity_token(account, audience).await?;
        let mut value = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| Error::new(Kind::Internal, "the token that was minted is no header"))?;
        value.set_sensitive(true);
        *known = Some((value.clone(), Instant::now()));
        Ok(Some(value))
    }
}

/// Says what an answer means: those that come for want of room may be better later, all others are about the message.
pub(super) fn judge(status: u16, good: bool, at: &str) -> std::result::Result<String, Fault> {
    match status {
        _ if good => Ok(status.to_string()),
        300..=399 => Err(Fault { kind: FaultKind::Bad, words: format!("{at} answered {status}: redirects are not followed") }),
        429 | 503 => Err(Fault { kind: FaultKind::Later, words: format!("{at} answered {status}") }),
        _ => Err(Fault { kind: FaultKind::Bad, words: format!("{at} answered {status}") }),
    }
}
