//! Sends a task's request to a handler on this machine as Cloud Tasks would: to loopback addresses only, without the task's credentials.

mod curl;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::{Response, Url};

use crate::cloud::FULL_VIEW;
use crate::error::{Error, Kind, Result};
use crate::model::task::Task;
use crate::model::text;
use crate::names::TaskName;
use crate::ops::Ops;

pub use curl::curl;

/// A local handler's answer is read to this size; more is cut.
pub const HANDLER_BODY_BYTES_MAX: usize = 256 * 1024;

/// A handler gets the task's dispatch deadline, this long where it has none, and never longer: Google's default.
const DEADLINE_MAX: Duration = Duration::from_mins(10);

/// A name that resolves to more addresses than this is not a loopback name.
const ADDRESSES_MAX: usize = 16;

/// What a local handler answered to a task that was sent to it.
#[derive(Debug, Clone)]
pub struct HandlerAnswer {
    /// HTTP status.
    pub status: u16,
    /// Headers in the order received; not escaped.
    pub headers: Vec<(String, String)>,
    /// Body, cut at [`HANDLER_BODY_BYTES_MAX`].
    pub body: bytes::Bytes,
    /// From the first byte sent to the last one read.
    pub took: Duration,
}

impl Ops {
    /// Sends a task's request to a local handler as Cloud Tasks would, credentials stripped; only loopback addresses, no redirects.
    ///
    /// `base` replaces scheme, host and port of the task's URL; path and query stay. Every address that its host resolves to must be a
    /// loopback one, and exactly those are connected to. The task itself is left as it is.
    ///
    /// # Errors
    ///
    /// Fails with an invalid-input error where `base` is no `http://HOST:PORT`, with [`Kind::Refused`] where it is not this machine, and
    /// with [`Kind::PermissionDenied`] where the task's body may not be read.
    pub async fn debug_task(&self, task: &TaskName, base: &str) -> Result<HandlerAnswer> {
        let at = jiff::Timestamp::now();
        let answer = self.send_to_handler(task, base).await;
        let outcome = answer.as_ref().map_or_else(ToString::to_string, |answer| format!("ok: answered {}", answer.status));
        self.record(at, "task.debug", task, &outcome);
        answer
    }

    async fn send_to_handler(&self, name: &TaskName, base: &str) -> Result<HandlerAnswer> {
        let base = parse_base(base)?;
        let task = self.task(name).await?;
        if !task.full {
            return Err(Error::new(
                Kind::PermissionDenied,
                format!("headers and body of `{name}` may not be read: permission `{FULL_VIEW}` is missing"),
            )
            .with_hint("have `roles/cloudtasks.admin`, or a role of your own with that permission, granted"));
        }
        let addresses = loopback(&base).await?;
        send(&task, &base, &addresses).await
    }
}

/// Sends a task's request to a handler, without credentials; one on another machine only where that is allowed.
pub(in crate::ops) async fn try_out(task: &Task, base: &str, anywhere: bool) -> Result<HandlerAnswer> {
    let base = parse_base(base)?;
    if !anywhere {
        return send(task, &base, &loopback(&base).await?).await;
    }
    let addresses = crate::ops::transfer::addresses(&base).await?;
    send(task, &base, &addresses).await
}

/// Reads `http://HOST:PORT`; the scheme may be left out.
fn parse_base(text: &str) -> Result<Url> {
    let malformed = || {
        Error::invalid(format!("`{}` is not the base of a local handler", text.escape_debug()))
            .with_hint("give it as `http://localhost:8080`")
    };
    let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url: Url = full.parse().map_err(|_| malformed())?;
    let bare =
        url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    if !bare || url.host_str().is_none() || !matches!(url.scheme(), "http" | "https") {
        return Err(malformed());
    }
    Ok(url)
}

/// Resolves the host; every address must be this machine's own.
async fn loopback(base: &Url) -> Result<Vec<SocketAddr>> {
    let host = base.host_str().unwrap_or_default();
    let port = base.port_or_known_default().unwrap_or(80);
    let found = tokio::net::lookup_host((host.trim_matches(['[', ']']), port))
        .await
        .map_err(|error| Error::invalid(format!("`{}` cannot be resolved", text::line(host))).with_source(error))?;
    let addresses: Vec<_> = found.take(ADDRESSES_MAX + 1).collect();
    let local = !addresses.is_empty()
        && addresses.len() <= ADDRESSES_MAX
        && addresses.iter().all(|address| address.ip().to_canonical().is_loopback());
    if !local {
        let words = format!("`{}` is not this machine: tasks are sent to loopback addresses only", text::line(host));
        return Err(Error::new(Kind::Refused, words)
            .with_hint("give it as `http://localhost:PORT`, over an ssh tunnel if the handler is elsewhere"));
    }
    Ok(addresses)
}

async fn send(task: &Task, base: &Url, addresses: &[SocketAddr]) -> Result<HandlerAnswer> {
    let url = target(task, base)?;
    let deadline =
        task.dispatch_deadline.filter(|deadline| !deadline.is_zero()).map_or(DEADLINE_MAX, |deadline| deadline.min(DEADLINE_MAX));
    let method = Method::from_bytes(task.request.method.as_bytes()).map_err(|_| Error::invalid("the task has no valid method"))?;
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(deadline)
        // What was checked is what is connected to: the name is not looked up a second time.
        .resolve_to_addrs(base.host_str().unwrap_or_default(), addresses)
        .build()
        .map_err(|error| Error::new(Kind::Internal, "no HTTP client can be made").with_source(error))?;
    let request = client.request(method, url).headers(request_headers(task)?).body(task.request.body.clone());
    let begun = Instant::now();
    let failed = |error: reqwest::Error| no_answer(&error, base, deadline).with_source(error.without_url());
    let mut response = request.send().await.map_err(failed)?;
    let body = read(&mut response).await.map_err(failed)?;
    let headers = response.headers().iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    Ok(HandlerAnswer { status: response.status().as_u16(), headers: headers.collect(), body, took: begun.elapsed() })
}

/// Puts the path and query of the task's URL behind the base.
fn target(task: &Task, base: &Url) -> Result<Url> {
    let unusable = || Error::invalid(format!("the task's URL `{}` cannot be used", text::line(&task.request.url)));
    let original = if task.request.app_engine {
        base.join(&format!("/{}", task.request.url.trim_start_matches('/')))
    } else {
        task.request.url.parse()
    };
    let original = original.map_err(|_| unusable())?;
    let mut url = base.clone();
    url.set_path(original.path());
    url.set_query(original.query());
    Ok(url)
}

async fn read(response: &mut Response) -> reqwest::Result<bytes::Bytes> {
    let mut body = bytes::BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        let room = HANDLER_BODY_BYTES_MAX - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() >= room {
            break;
        }
    }
    Ok(body.freeze())
}

fn no_answer(error: &reqwest::Error, base: &Url, deadline: Duration) -> Error {
    let at = format!("{}:{}", base.host_str().unwrap_or_default(), base.port_or_known_default().unwrap_or(80));
    if error.is_connect() {
        return Error::new(Kind::Unavailable, format!("no connection to the handler at `{at}`"))
            .with_hint("start the handler, or name another port");
    }
    if error.is_timeout() {
        return Error::new(
            Kind::Timeout,
            format!("the handler at `{at}` did not answer within the task's deadline of {} s", deadline.as_secs()),
        );
    }
    Error::new(Kind::Unavailable, format!("the connection to the handler at `{at}` broke"))
}

/// The headers as the handler gets them: the task's own without credentials, and those of Cloud Tasks.
fn request_headers(task: &Task) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    let made = own_headers(task).into_iter().chain(service_headers(task));
    for (name, value) in made {
        let malformed = || Error::invalid(format!("the task's header `{}` cannot be sent", text::line(&name)));
        let parsed = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value));
        let (Ok(name), Ok(value)) = parsed else { return Err(malformed()) };
        headers.insert(name, value);
    }
    Ok(headers)
}

/// The task's own headers that are passed on, with a content type where there is a body: Cloud Tasks sends bytes as such.
fn own_headers(task: &Task) -> Vec<(String, String)> {
    let mut headers: Vec<_> =
        task.request.headers.iter().filter(|(name, _)| !is_credential(name) && !is_transport(name)).cloned().collect();
    let typed = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(CONTENT_TYPE.as_str()));
    if !typed && !task.request.body.is_empty() {
        headers.push(("Content-Type".to_owned(), "application/octet-stream".to_owned()));
    }
    headers
}

/// What Cloud Tasks says about a dispatch. It counts answers that were no 5xx; the task itself tells only how many answers there were.
fn service_headers(task: &Task) -> Vec<(String, String)> {
    let prefix = if task.request.app_engine { "X-AppEngine" } else { "X-CloudTasks" };
    let agent = if task.request.app_engine { "AppEngine-Google; (+http://code.google.com/appengine)" } else { "Google-Cloud-Tasks" };
    let mut headers = vec![
        (format!("{prefix}-QueueName"), task.name.queue().id().to_owned()),
        (format!("{prefix}-TaskName"), task.name.id().to_owned()),
        (format!("{prefix}-TaskRetryCount"), task.dispatch_count.to_string()),
        (format!("{prefix}-TaskExecutionCount"), task.response_count.to_string()),
        ("User-Agent".to_owned(), agent.to_owned()),
    ];
    if let Some(time) = task.schedule_time {
        headers.push((format!("{prefix}-TaskETA"), format!("{}.{:06}", time.as_second(), time.subsec_nanosecond() / 1000)));
    }
    headers
}

/// Tells whether a header may open something: it stays here.
fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE].iter().any(|header| name == header.as_str())
        || (name.starts_with("x-")
            && (name.ends_with("-token") || name.ends_with("-key") || name.contains("-auth") || name.contains("-secret")))
        || name.starts_with("x-goog-iap-")
}

/// Tells whether a header belongs to the connection, which is another one here.
fn is_transport(name: &str) -> bool {
    [HOST, CONTENT_LENGTH, CONNECTION, TRANSFER_ENCODING, TE, TRAILER, UPGRADE, USER_AGENT]
        .iter()
        .any(|header| name.eq_ignore_ascii_case(header.as_str()))
}

#[cfg(test)]
mod tests;
