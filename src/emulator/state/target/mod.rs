//! What tasks and jobs send their requests to: the rules that Cloud Tasks and Cloud Scheduler share.

mod outcome;
mod uri;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

pub(crate) use outcome::{Outcome, Status, code_name};
pub(crate) use uri::{Override, Scheme, encode};

use super::{Command, Effects, Moment, Refusal, State, TokenKind};
use crate::emulator::state::saved::saved;

/// The longest URL, after encoding.
pub(crate) const URL_CHARS_MAX: usize = 2083;
/// All headers of a target together.
pub(crate) const HEADERS_BYTES_MAX: usize = 80 * 1024;
/// What App Engine calls itself in requests.
const AGENT: &str = "AppEngine-Google; (+http://code.google.com/appengine)";
/// What an attempt at an App Engine app says when no app stands behind it.
pub(crate) const NO_APP_ENGINE: &str = "no App Engine app: the emulator was started without the address of one";

/// What is said of an attempt that was under way when the emulator ended, and cannot be made again.
pub(crate) const LOST: &str = "the emulator was started anew while the call was under way";

/// Says where App Engine targets are sent, such as `http://localhost:8080`, if anywhere.
pub(crate) struct SetAppEngine(pub(crate) Option<String>);

saved!(tuple SetAppEngine);

impl Command for SetAppEngine {
    type Reply = ();

    fn apply(self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<(), Refusal> {
        state.scheduler.app_engine.clone_from(&self.0);
        state.tasks.app_engine = self.0;
        Ok(())
    }
}

/// A method of HTTP; unspecified is POST.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Method {
    #[default]
    Post,
    Get,
    Head,
    Put,
    Delete,
    Patch,
    Options,
}

saved!(enum Method { 0 = Post, 1 = Get, 2 = Head, 3 = Put, 4 = Delete, 5 = Patch, 6 = Options });

/// The token that a target asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    OAuth { email: String, scope: String },
    Oidc { email: String, audience: String },
}

saved!(enum Token { 0 = OAuth { email, scope }, 1 = Oidc { email, audience } });

/// A full URL and what is sent there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct HttpTarget {
    pub(crate) url: String,
    pub(crate) method: Method,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Bytes,
    pub(crate) token: Option<Token>,
}

saved!(struct HttpTarget { url, method, headers, body, token });

/// A path of the project's App Engine app and what is sent there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct AppEngineTarget {
    pub(crate) method: Method,
    pub(crate) routing: Option<Routing>,
    pub(crate) relative_uri: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Bytes,
}

saved!(struct AppEngineTarget { method, routing, relative_uri, headers, body });

/// Which part of an App Engine app.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Routing {
    pub(crate) service: String,
    pub(crate) version: String,
    pub(crate) instance: String,
    /// Made of the others; output only.
    pub(crate) host: String,
}

saved!(struct Routing { service, version, instance, host });

impl Method {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Patch => "PATCH",
            Self::Options => "OPTIONS",
        }
    }
}

impl Token {
    fn email(&self) -> &str {
        match self {
            Self::OAuth { email, .. } | Self::Oidc { email, .. } => email,
        }
    }

    /// The token to send to `url`: audience and scope have defaults.
    pub(crate) fn kind(&self, url: &str) -> TokenKind {
        match self {
            Self::Oidc { email, audience } => {
                let audience = if audience.is_empty() { url } else { audience };
                TokenKind::Oidc { email: email.clone(), audience: audience.to_owned() }
            }
            Self::OAuth { email, scope } => {
                let scope = if scope.is_empty() { "https://www.googleapis.com/auth/cloud-platform" } else { scope };
                TokenKind::OAuth { email: email.clone(), scope: scope.to_owned() }
            }
        }
    }
}

impl Routing {
    /// Fills in the host as the service does: instance, version and service before the app's domain.
    pub(crate) fn complete(mut self, project: &str) -> Self {
        let domain = format!("{project}.appspot.com");
        let parts = [&self.instance, &self.version, &self.service, &domain];
        self.host = parts.into_iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join(".");
        self
    }

    /// The header that tells an app which stands for all services which of them is meant.
    pub(crate) fn header(&self) -> (String, String) {
        ("Host".to_owned(), self.host.clone())
    }
}

impl HttpTarget {
    /// Checks the target and drops the headers that only the service sets, its own name (`User-Agent`) among them.
    pub(crate) fn check(&mut self, what: &str) -> Result<(), Refusal> {
        if !self.url.starts_with("http://") && !self.url.starts_with("https://") {
            return Err(Refusal::invalid(format!("{what} must begin with either \"http://\" or \"https://\".")));
        }
        check_url(&self.url, what)?;
        let methods = [Method::Post, Method::Put, Method::Patch];
        check_body(&self.body, self.method, &methods)?;
        if self.token.as_ref().is_some_and(|token| token.email().is_empty()) {
            return Err(Refusal::invalid("The service account email must be set in order to generate a token."));
        }
        self.headers.retain(|name, _| {
            let replaced = self.token.is_some() && name.eq_ignore_ascii_case("authorization");
            !(is_reserved(name) || replaced)
        });
        self.headers.retain(|name, _| !name.eq_ignore_ascii_case("user-agent"));
        check_headers(&self.headers)
    }
}

impl AppEngineTarget {
    /// Checks the target, drops the headers that only the service sets and fills in what App Engine defaults to.
    pub(crate) fn check(&mut self, project: &str) -> Result<(), Refusal> {
        if self.relative_uri.is_empty() {
            "/".clone_into(&mut self.relative_uri);
        }
        let valid = self.relative_uri.starts_with('/')
            && self.relative_uri.len() <= URL_CHARS_MAX
            && self.relative_uri.parse::<http::Uri>().is_ok();
        if !valid {
            return Err(Refusal::invalid("The relative URI must begin with \"/\" and must be a valid HTTP relative URI."));
        }
        if matches!(self.method, Method::Patch | Method::Options) {
            return Err(Refusal::invalid("App Engine targets do not permit the methods PATCH and OPTIONS."));
        }
        check_body(&self.body, self.method, &[Method::Post, Method::Put])?;
        self.headers.retain(|name, _| !is_reserved(name));
        check_headers(&self.headers)?;
        match self.headers.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case("user-agent")) {
            Some((_, agent)) if agent.ends_with(AGENT) => {}
            Some((_, agent)) => *agent = format!("{agent} {AGENT}"),
            None => drop(self.headers.insert("User-Agent".to_owned(), AGENT.to_owned())),
        }
        default_content_type(&mut self.headers, &self.body);
        self.routing = Some(self.routing.take().unwrap_or_default().complete(project));
        Ok(())
    }
}

/// Sets `application/octet-stream` where there is a body and the user named no type.
pub(crate) fn default_content_type(headers: &mut BTreeMap<String, String>, body: &Bytes) {
    if !body.is_empty() && !headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")) {
        headers.insert("Content-Type".to_owned(), "application/octet-stream".to_owned());
    }
}

/// Checks a time limit of an attempt against the range of its kind of target; none is `default`.
pub(crate) fn check_deadline(deadline: Option<Duration>, default: Duration, app_engine: bool, field: &str) -> Result<Duration, Refusal> {
    const MIN: Duration = Duration::from_secs(15);
    let max = Duration::from_secs(if app_engine { 24 * 3600 + 15 } else { 30 * 60 });
    match deadline {
        None | Some(Duration::ZERO) => Ok(default),
        Some(deadline) if (MIN..=max).contains(&deadline) => Ok(deadline),
        Some(deadline) => {
            let (given, max) = (deadline.as_secs_f64(), max.as_secs());
            Err(Refusal::invalid(format!("{field}, {given}s, is out of range. The deadline must be in the interval [15s, {max}s].")))
        }
    }
}

/// Checks that a URL with a scheme has a host, and is not too long.
pub(crate) fn check_url(url: &str, what: &str) -> Result<(), Refusal> {
    let url = encode(url);
    if url.len() > URL_CHARS_MAX {
        return Err(Refusal::invalid(format!("{what} must be no longer than {URL_CHARS_MAX} characters.")));
    }
    if url.parse::<http::Uri>().map_or(true, |uri| uri.host().is_none_or(str::is_empty)) {
        return Err(Refusal::invalid(format!("{what} is not a valid URL.")));
    }
    Ok(())
}

fn check_body(body: &Bytes, method: Method, allowed: &[Method]) -> Result<(), Refusal> {
    if body.is_empty() || allowed.contains(&method) {
        return Ok(());
    }
    let allowed: Vec<&str> = allowed.iter().map(|method| method.as_str()).collect();
    Err(Refusal::invalid(format!(
        "A request body is allowed only if the HTTP method is one of {}; it is {}.",
        allowed.join(", "),
        method.as_str()
    )))
}

/// Headers that the services compute or keep for themselves: what a user sets there is ignored.
fn is_reserved(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["host", "content-length", "transfer-encoding", "connection"].contains(&name.as_str())
        || ["x-google-", "x-appengine-", "x-cloudtasks-", "x-cloudscheduler"].iter().any(|prefix| name.starts_with(prefix))
}

/// Checks a queue's own headers, and drops those that only the service sets.
pub(crate) fn check_overrides(headers: &mut Vec<(String, String)>) -> Result<(), Refusal> {
    headers.retain(|(name, _)| !is_reserved(name) && !name.eq_ignore_ascii_case("user-agent"));
    check_headers(&headers.iter().cloned().collect())
}

fn check_headers(headers: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let bad = headers.iter().find(|(name, value)| HeaderName::try_from(*name).is_err() || HeaderValue::try_from(*value).is_err());
    if let Some((name, _)) = bad {
        return Err(Refusal::invalid(format!("The header \"{}\" is not a valid HTTP header.", name.escape_debug())));
    }
    if headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() >= HEADERS_BYTES_MAX {
        return Err(Refusal::invalid("The size of the headers must be less than 80KB."));
    }
    Ok(())
}
