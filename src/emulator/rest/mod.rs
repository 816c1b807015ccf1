//! HTTP/JSON for the very same services: requests are found by the protos' `google.api.http` options, turned into gRPC bytes, called in
//! process, and the answers turned back. No code per call.
//!
//! Must not know the services or their state.

mod error;
mod json;
mod numbers;
mod payload;
mod query;
mod routes;
mod template;

use std::sync::LazyLock;
use std::time::Duration;

use axum::body::Body;
use bytes::{BufMut, Bytes, BytesMut};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, TE};
use http::request::Parts;
use http::{Method, Request, Response};
use http_body::Body as _;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use prost::Message as _;
use prost_reflect::{DynamicMessage, SerializeOptions};
use serde_json::Value as Json;
use serde_json::ser::{CompactFormatter, PrettyFormatter, Serializer};
use tonic::Code;

use super::faults;
use super::grpc::Services;
use super::pb;
use json::{Complaints, Place};
use numbers::Plain;
use query::Wanted;
pub(super) use query::form_decode;
use routes::{BodyRule, Route, Routes};

/// The largest body of a request: a gRPC message of the largest size, in base64 with some room around it.
const BODY_BYTES_MAX: usize = super::grpc::MESSAGE_BYTES_MAX / 3 * 4 + 1024 * 1024;
/// A body that is not there after this time is not waited for any longer.
const BODY_SECONDS_MAX: u64 = 120;
/// Before each gRPC message: one byte of flags, four of length.
const FRAME_HEAD_BYTES: usize = 5;

/// Read from the protos at the first request, once in a process.
static ROUTES: LazyLock<Routes> = LazyLock::new(|| Routes::from_pool(&pb::POOL).expect("a test has read these rules"));

/// Why there is no answer of the service's.
struct Failure {
    code: Code,
    message: String,
    details: Json,
    /// Nothing is to be answered at all.
    broken: bool,
}

impl Failure {
    fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Json::Null, broken: false }
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }
}

/// Answers a request that is not gRPC. Never fails: errors are answers too.
pub(super) async fn answer(services: &Services, request: Request<Body>) -> Response<Body> {
    let result = match ROUTES.find(request.method(), request.uri().path()) {
        Some((route, segments)) => {
            let variables = variables(route, &segments);
            call(services, route, variables, request).await
        }
        None => Err(unknown(request.method(), request.uri().path())),
    };
    result.unwrap_or_else(
        |failure| {
            if failure.broken { faults::broken() } else { error::response(failure.code, &failure.message, failure.details) }
        },
    )
}

/// An answer of the HTTP layer in Google's form.
pub(super) fn refuse(code: Code, message: &str) -> Response<Body> {
    error::response(code, message, Json::Null)
}

fn unknown(method: &Method, path: &str) -> Failure {
    let message = format!("The requested URL {} {} was not found on this server.", method.as_str().escape_debug(), path.escape_debug());
    Failure::new(Code::NotFound, message)
}

/// The texts of the path's variables, in the route's order.
fn variables(route: &Route, segments: &[&str]) -> Result<Vec<String>, Failure> {
    let texts = route.variables.iter().map(|variable| variable.value(segments));
    texts.collect::<Option<_>>().ok_or_else(|| Failure::invalid("The path of the URL is not UTF-8."))
}

async fn call(
    services: &Services,
    route: &Route,
    variables: Result<Vec<String>, Failure>,
    request: Request<Body>,
) -> Result<Response<Body>, Failure> {
    let (parts, body) = request.into_parts();
    let json = if route.body == BodyRule::None {
        None
    } else {
        let bytes = read(body).await?;
        payload::parse(&route.body, &parts.headers, &bytes)?
    };
    let (message, wanted) = assemble(route, variables?, &parts, json)?;
    let answer = invoke(services, route, &message, parts.headers.get(AUTHORIZATION)).await?;
    render(route, answer, wanted)
}

/// Reads a body within the bounds.
async fn read(body: Body) -> Result<Bytes, Failure> {
    let too_large = || Failure::invalid(format!("Request payload size exceeds the limit: {BODY_BYTES_MAX} bytes."));
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    let collected = tokio::time::timeout(Duration::from_secs(BODY_SECONDS_MAX), Limited::new(body, BODY_BYTES_MAX).collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Failure::invalid("The body of the request broke off.")),
        Err(_) => Err(Failure::new(Code::DeadlineExceeded, "The body of the request did not arrive in time.")),
    }
}

/// Puts the request's message together: body, then query, then what the path says.
fn assemble(route: &Route, variables: Vec<String>, parts: &Parts, json: Option<Json>) -> Result<(DynamicMessage, Wanted), Failure> {
    let mut message = DynamicMessage::new(route.input.clone());
    let mut complaints = Complaints::default();
    match (&route.body, json) {
        (BodyRule::Whole | BodyRule::Payload(_), Some(json)) => json::fill(&mut message, json, Place::Root, &mut complaints),
        (BodyRule::Field(name), Some(json)) => {
            let field = json::field_of(&route.input, name).ok_or_else(|| Failure::invalid(format!("There is no field `{name}`.")))?;
            json::set(&mut message, &field, json, Place::Root, &mut complaints);
        }
        (_, None) | (BodyRule::None, _) => {}
    }
    let wanted = query::apply(parts.uri.query().unwrap_or_default(), &mut message, &mut complaints);
    for (variable, text) in route.variables.iter().zip(variables) {
        json::set_nested(&mut message, &variable.field, text, Place::Root, &mut complaints);
    }
    match complaints.into_text() {
        None => Ok((message, wanted)),
        Some((text, details)) => Err(Failure { details, ..Failure::invalid(text) }),
    }
}

/// Calls the gRPC service in process; returns the bytes of its answer.
async fn invoke(services: &Services, route: &Route, message: &DynamicMessage, caller: Option<&HeaderValue>) -> Result<Bytes, Failure> {
    let mut frame = BytesMut::with_capacity(FRAME_HEAD_BYTES + message.encoded_len());
    frame.put_bytes(0, FRAME_HEAD_BYTES);
    message.encode_raw(&mut frame);
    let length = u32::try_from(frame.len() - FRAME_HEAD_BYTES).map_err(|_| Failure::invalid("The request is too large."))?;
    frame[1..FRAME_HEAD_BYTES].copy_from_slice(&length.to_be_bytes());
    let mut request = Request::new(tonic::body::Body::new(Full::new(frame.freeze())));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = route.grpc.clone().into();
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
    request.headers_mut().extend(caller.map(|caller| (AUTHORIZATION, caller.clone())));
    let response = services.call(request).await;
    if faults::is_broken(&response) {
        return Err(Failure { broken: true, ..Failure::new(Code::Unavailable, String::new()) });
    }
    let (parts, body) = response.into_parts();
    let internal = || Failure::new(Code::Internal, "The service gave no answer.");
    let status = |headers| tonic::Status::from_header_map(headers);
    if let Some(status) = status(&parts.headers) {
        refused(&status)?;
    }
    let collected = body.collect().await.map_err(|_| internal())?;
    if let Some(status) = collected.trailers().and_then(status) {
        refused(&status)?;
    }
    let mut bytes = collected.to_bytes();
    if bytes.len() < FRAME_HEAD_BYTES {
        return Err(internal());
    }
    Ok(bytes.split_off(FRAME_HEAD_BYTES))
}

fn refused(status: &tonic::Status) -> Result<(), Failure> {
    match status.code() {
        Code::Ok => Ok(()),
        Code::Unimplemented if status.message().is_empty() => {
            Err(Failure::new(Code::Unimplemented, "The emulator does not serve this method."))
        }
        code => Err(Failure { details: error::details(status), ..Failure::new(code, status.message()) }),
    }
}

/// Turns an answer into JSON: 64-bit integers as strings, default values left out.
fn render(route: &Route, bytes: Bytes, wanted: Wanted) -> Result<Response<Body>, Failure> {
    let internal = |error: String| Failure::new(Code::Internal, format!("The answer cannot be shown as JSON: {error}"));
    let size = bytes.len();
    let message = DynamicMessage::decode(route.output.clone(), bytes).map_err(|error| internal(error.to_string()))?;
    let options = SerializeOptions::new().use_enum_numbers(wanted.enum_numbers);
    let mut body = Vec::with_capacity(size * 2);
    let written = if wanted.pretty {
        message.serialize_with_options(&mut Serializer::with_formatter(&mut body, Plain(PrettyFormatter::new())), &options)
    } else {
        message.serialize_with_options(&mut Serializer::with_formatter(&mut body, Plain(CompactFormatter)), &options)
    };
    written.map_err(|error| internal(error.to_string()))?;
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, error::JSON);
    Ok(response)
}

#[cfg(test)]
mod bad;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod storm;
#[cfg(test)]
mod tests;
