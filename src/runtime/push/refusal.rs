//! What a request is refused with before it reaches a handler. What is said to the caller is fixed; the cause goes to the log.

use std::time::Instant;

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;

use crate::runtime::oidc::Denied;

/// Why a request is refused.
#[derive(Debug)]
pub(super) enum Refusal {
    /// No path of ours.
    NotFound,
    /// Not `POST`.
    Method,
    /// More bytes than may be.
    TooLarge,
    /// The body did not arrive in time.
    Slow,
    /// The body broke off.
    Broken(String),
    /// Not somebody who may call.
    Denied(Denied),
    /// All places are taken.
    Busy,
    /// The body is not what this endpoint takes.
    Malformed(String),
    /// What reads the payload panicked.
    Panicked(String),
}

impl Refusal {
    fn answer(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "there is nothing here"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "this endpoint takes POST"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"),
            Self::Slow => (StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"),
            Self::Broken(_) => (StatusCode::BAD_REQUEST, "the body broke off"),
            Self::Denied(Denied::Unauthenticated(_)) => (StatusCode::UNAUTHORIZED, "no valid token"),
            Self::Denied(Denied::Forbidden(_)) => (StatusCode::FORBIDDEN, "not allowed"),
            Self::Denied(Denied::Later(_)) => (StatusCode::SERVICE_UNAVAILABLE, "try again later"),
            Self::Busy => (StatusCode::TOO_MANY_REQUESTS, "all places are taken"),
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "the body is not what this endpoint takes"),
            Self::Panicked(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the work failed"),
        }
    }

    /// Writes it to the log; returns the answer.
    pub(super) fn respond(self, path: &str, begun: Instant) -> Response<Full<Bytes>> {
        let (status, said) = self.answer();
        let why = match &self {
            Self::Broken(why) | Self::Malformed(why) => why.clone(),
            Self::Panicked(words) => format!("panicked: {words}"),
            Self::Denied(denied) => denied.to_string(),
            _ => said.to_owned(),
        };
        // Both may be the caller's words.
        let (path, why) = (crate::model::text::line(path), crate::model::text::line(&why));
        let status_code = status.as_u16();
        let latency_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        if status.is_server_error() {
            tracing::error!(target: "redrive::runtime", http_status = status_code, http_latency_ms = latency_ms, http_path = %path, why = %why, "a request is refused");
        } else {
            tracing::warn!(target: "redrive::runtime", http_status = status_code, http_latency_ms = latency_ms, http_path = %path, why = %why, "a request is refused");
        }
        let mut response = json(status, format!(r#"{{"error":"{said}"}}"#).into());
        let mut header = |name, value| drop(response.headers_mut().insert(name, HeaderValue::from_static(value)));
        match self {
            Self::Method => header(ALLOW, "POST"),
            Self::Denied(Denied::Unauthenticated(_)) => header(WWW_AUTHENTICATE, "Bearer"),
            // What of the body is still to come is not waited for.
            Self::TooLarge | Self::Slow | Self::Broken(_) => header(CONNECTION, "close"),
            _ => {}
        }
        response
    }
}

/// An answer in JSON.
pub(super) fn json(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
