//! Errors as Google's HTTP front end words them: `{"error":{"code":404,"message":"…","status":"NOT_FOUND"}}`.

use axum::body::Body;
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use prost::Message as _;
use serde_json::{Value as Json, json};
use tonic::Code;

use crate::emulator::grpc::{ERROR_HELP, ERROR_INFO};
use crate::emulator::pb::google::rpc;

/// The type of every JSON answer.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=UTF-8");

/// Where a caller without credentials is sent.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"https://accounts.google.com/\"");

/// Makes the answer for a canonical code, with details as an array unless there are none.
pub(super) fn response(code: Code, message: &str, details: Json) -> Response<Body> {
    let (status, name) = http_of(code);
    let mut body = json!({"error": {"code": status.as_u16(), "message": message, "status": name}});
    if !details.is_null() {
        body["error"]["details"] = details;
    }
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    if code == Code::Unauthenticated {
        response.headers_mut().insert(WWW_AUTHENTICATE, CHALLENGE);
    }
    response
}

/// The details of a status, as JSON.
pub(super) fn details(status: &tonic::Status) -> Json {
    let found = rpc::Status::decode(status.details()).map(|status| status.details).unwrap_or_default();
    let details: Vec<Json> = found.iter().filter_map(detail).collect();
    if details.is_empty() { Json::Null } else { Json::Array(details) }
}

/// One detail as JSON, if it is of a kind that the emulator answers with.
fn detail(found: &prost_types::Any) -> Option<Json> {
    match found.type_url.as_str() {
        ERROR_INFO => {
            let rpc::ErrorInfo { reason, domain, metadata } = rpc::ErrorInfo::decode(found.value.as_slice()).ok()?;
            Some(json!({"@type": ERROR_INFO, "reason": reason, "domain": domain, "metadata": metadata}))
        }
        ERROR_HELP => {
            let links = rpc::Help::decode(found.value.as_slice()).ok()?.links.into_iter();
            let links: Vec<Json> = links.map(|link| json!({"description": link.description, "url": link.url})).collect();
            Some(json!({"@type": ERROR_HELP, "links": links}))
        }
        _ => None,
    }
}

/// The HTTP status and the name of a code (`google/rpc/code.proto`).
fn http_of(code: Code) -> (StatusCode, &'static str) {
    match code {
        Code::Ok => (StatusCode::OK, "OK"),
        // 499 has no name in the registry; Google sends it.
        Code::Cancelled => (StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST), "CANCELLED"),
        Code::Unknown => (StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN"),
        Code::InvalidArgument => (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT"),
        Code::DeadlineExceeded => (StatusCode::GATEWAY_TIMEOUT, "DEADLINE_EXCEEDED"),
        Code::NotFound => (StatusCode::NOT_FOUND, "NOT_FOUND"),
        Code::AlreadyExists => (StatusCode::CONFLICT, "ALREADY_EXISTS"),
        Code::PermissionDenied => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
        Code::ResourceExhausted => (StatusCode::TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED"),
        Code::FailedPrecondition => (StatusCode::BAD_REQUEST, "FAILED_PRECONDITION"),
        Code::Aborted => (StatusCode::CONFLICT, "ABORTED"),
        Code::OutOfRange => (StatusCode::BAD_REQUEST, "OUT_OF_RANGE"),
        Code::Unimplemented => (StatusCode::NOT_IMPLEMENTED, "UNIMPLEMENTED"),
        Code::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL"),
        Code::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
        Code::DataLoss => (StatusCode::INTERNAL_SERVER_ERROR, "DATA_LOSS"),
        Code::Unauthenticated => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
    }
}
