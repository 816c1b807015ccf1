//! What went wrong with a call, as this crate's [`Error`]: its kind, the resource, and the command that helps. The one place where errors are mapped.

mod details;
mod service;

use std::collections::HashMap;
use std::error::Error as StdError;
use std::time::Duration;

use google_cloud_auth::errors::CredentialsError;
use google_cloud_gax::error::Error as GaxError;
use google_cloud_gax::error::rpc::{Code, Status, StatusDetails};

use crate::cloud::endpoint::{Api, Endpoint};
use crate::error::{Error, Kind};
use crate::model::text;

/// A text of a server is shown to this many characters.
const TEXT_CHARS_MAX: usize = 400;

/// What Google's library says at the end of every error of the credentials; our kind says it.
const OUTLOOKS: [&str; 2] = ["and future attempts will not succeed", "but future attempts may succeed"];

/// What was asked of whom: all that a message about its failure needs.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The service.
    pub(crate) api: Api,
    /// Where it was asked.
    pub(crate) endpoint: Endpoint,
    /// What for, after "cannot": `list the queues`.
    pub(crate) verb: &'static str,
    /// Full name of the resource, or of its parent.
    pub(crate) resource: String,
    /// The permission that Google asks for.
    pub(crate) permission: &'static str,
}

impl Asked {
    /// Returns the project of the resource.
    fn project(&self) -> &str {
        self.resource.strip_prefix("projects/").and_then(|rest| rest.split('/').next()).unwrap_or("PROJECT")
    }
}

/// A failure, whichever client it comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Failure {
    /// No connection.
    Connect,
    /// No answer within this time.
    Timeout(Duration),
    /// No token could be had.
    Credentials { transient: bool, message: String },
    /// The service answered with an error.
    Service { code: Code, message: String, info: Option<Info> },
    /// Something answered, but not in the service's way.
    Http { status: u16 },
    /// The connection broke, or the answer could not be read.
    Broken(String),
}

/// Google's `ErrorInfo`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Info {
    pub(crate) reason: String,
    pub(crate) metadata: HashMap<String, String>,
}

impl Failure {
    /// Reads an error of an official client; `limit` is the time it had.
    pub(crate) fn of_client(error: &GaxError, limit: Duration) -> Self {
        if let Some(status) = error.status() {
            return Self::of_status(status);
        }
        if let Some(credentials) = cause::<CredentialsError>(error) {
            return Self::of_credentials(credentials);
        }
        if error.is_timeout() {
            return Self::Timeout(limit);
        }
        if cause::<reqwest::Error>(error).is_some_and(reqwest::Error::is_connect) {
            return Self::Connect;
        }
        match error.http_status_code() {
            Some(status) => Self::Http { status },
            None => Self::Broken(deepest(error)),
        }
    }

    /// Reads an error of our own HTTP client.
    pub(crate) fn of_http(error: &reqwest::Error, limit: Duration) -> Self {
        if error.is_connect() {
            Self::Connect
        } else if error.is_timeout() {
            Self::Timeout(limit)
        } else {
            Self::Broken(deepest(error))
        }
    }

    /// Reads the body of an answer with an error status.
    pub(crate) fn of_body(status: u16, body: &bytes::Bytes) -> Self {
        Status::try_from(body).map_or(Self::Http { status }, |status| Self::of_status(&status))
    }

    /// Reads an error of the credentials.
    pub(crate) fn of_credentials(error: &CredentialsError) -> Self {
        let words = deepest(error);
        let message = OUTLOOKS.iter().find_map(|outlook| words.strip_suffix(outlook)).unwrap_or(&words);
        Self::Credentials { transient: error.is_transient(), message: message.trim_end().to_owned() }
    }

    /// Reads the status of a gRPC call; one with a cause was made on this side of the line.
    pub(crate) fn of_grpc(status: &tonic::Status) -> Self {
        match status.source() {
            Some(source) if cause::<tonic::ConnectError>(source).is_some() => Self::Connect,
            Some(source) => Self::Broken(deepest(source)),
            None => Self::Service {
                code: Code::from(i32::from(status.code())),
                message: status.message().to_owned(),
                info: details::info(status.details()),
            },
        }
    }

    fn of_status(status: &Status) -> Self {
        let info = status.details.iter().find_map(|detail| match detail {
            StatusDetails::ErrorInfo(info) => Some(Info { reason: info.reason.clone(), metadata: info.metadata.clone() }),
            _ => None,
        });
        Self::Service { code: status.code, message: status.message.clone(), info }
    }

    /// Puts it in words for the person who asked.
    pub(crate) fn explain(&self, asked: &Asked) -> Error {
        match self {
            Self::Connect => unreachable_endpoint(asked),
            Self::Timeout(limit) => timed_out(asked, *limit),
            Self::Credentials { transient: true, message } => {
                Error::new(Kind::Unavailable, format!("cannot {}: no access token could be fetched: {}", asked.verb, shown(message)))
                    .with_hint("check the network and try again")
            }
            Self::Credentials { transient: false, message } => Error::new(
                Kind::Unauthenticated,
                format!("cannot {}: the credentials give no access token: {}", asked.verb, shown(message)),
            )
            .with_hint(LOGIN_HINT),
            Self::Service { code, message, info } => service::explain(asked, *code, message, info.as_ref()),
            Self::Http { status } => service::not_in_its_way(asked, *status),
            Self::Broken(message) => Error::new(
                Kind::Unavailable,
                format!("cannot {}: the connection to `{}` broke: {}", asked.verb, asked.endpoint.name(asked.api), shown(message)),
            ),
        }
    }
}

/// What helps where credentials are missing, expired or refused.
pub(crate) const LOGIN_HINT: &str =
    "sign in with `gcloud auth application-default login`, or set `GOOGLE_APPLICATION_CREDENTIALS` to a service account's key file";

/// What helps where user credentials have no quota project.
pub(crate) const QUOTA_PROJECT_HINT: &str = "name one with `gcloud auth application-default set-quota-project PROJECT`, `GOOGLE_CLOUD_QUOTA_PROJECT=PROJECT` or `--quota-project PROJECT`";

fn unreachable_endpoint(asked: &Asked) -> Error {
    let name = asked.endpoint.name(asked.api);
    let error = Error::new(Kind::Unavailable, format!("cannot {}: no connection to `{name}`", asked.verb));
    match &asked.endpoint {
        Endpoint::Emulator(address) if address.named_by().is_empty() => error,
        Endpoint::Emulator(address) => {
            let by = address.named_by();
            error.with_hint(format!("`{by}` points there: start the emulator with `redrive emulator --listen {name}`, or take `{by}` away"))
        }
        _ => error.with_hint("check the network, the firewall and the proxy settings"),
    }
}

fn timed_out(asked: &Asked, limit: Duration) -> Error {
    let name = asked.endpoint.name(asked.api);
    Error::new(Kind::Timeout, format!("cannot {}: no answer from `{name}` within {} s", asked.verb, limit.as_secs_f32()))
        .with_hint("try again; if it was a change, look first whether it has happened")
}

/// Escapes and shortens a text of a server, without its full stop.
fn shown(message: &str) -> String {
    let line = text::line(message.trim().trim_end_matches('.')).into_owned();
    if line.chars().count() <= TEXT_CHARS_MAX {
        return line;
    }
    line.chars().take(TEXT_CHARS_MAX - 1).chain(['…']).collect()
}

/// Finds the first cause of a type.
fn cause<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// Returns the words of the innermost cause: the outer ones only repeat that something failed.
fn deepest(error: &dyn StdError) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests;
