//! The pages for tests: empty the state, move the clock, inject failures. Google has none of them; their paths are none of Google's.

use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use jiff::SignedDuration;
use serde_json::{Value as Json, json};
use tonic::Code;

use super::front::page;
use crate::emulator::engine::{Engine, Stuck};
use crate::emulator::faults::Faults;
use crate::emulator::rest;
use crate::emulator::state::Refusal;
use crate::emulator::state::pubsub::RequireGrants;

/// The largest body: a list of all the faults there can be.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The clock is moved by ten years at most, in hours.
const ADVANCE_HOURS_MAX: i64 = 10 * 366 * 24;
/// What falls due when the clock is moved is waited for this long in real time, in seconds, unless the request says otherwise …
pub(super) const ADVANCE_SECONDS: u64 = 30;
/// … which can be this long.
const ADVANCE_SECONDS_MAX: u64 = 600;

/// Why a request was not carried out.
struct Failure(Code, String);

impl Failure {
    fn invalid(message: impl Into<String>) -> Self {
        Self(Code::InvalidArgument, message.into())
    }
}

/// Answers a request of a page for tests; gives other requests back.
pub(super) async fn answer(engine: &Engine, faults: &Faults, request: Request<Body>) -> Result<Response<Body>, Request<Body>> {
    let result = match (request.method(), request.uri().path()) {
        (&Method::POST, "/reset") => {
            reset(engine, faults).await.map(|()| json!({})).map_err(|refusal| Failure((refusal.code as i32).into(), refusal.message))
        }
        (&Method::GET, "/clock") => Ok(clock(engine)),
        (&Method::POST, "/clock/advance") => advance(engine, request).await,
        (&Method::GET, "/dead-letter-grants") => Ok(grants(engine)),
        (&Method::PUT, "/dead-letter-grants") => require_grants(engine, request).await,
        (&Method::GET, "/faults") => Ok(faults.list()),
        (&Method::POST, "/faults") => inject(faults, request).await,
        (&Method::DELETE, "/faults") => {
            faults.clear();
            Ok(json!({}))
        }
        _ => return Err(request),
    };
    Ok(match result {
        Ok(json) => page("application/json", json.to_string()),
        Err(Failure(code, message)) => rest::refuse(code, &message),
    })
}

/// Empties the state and takes all faults away.
pub(super) async fn reset(engine: &Engine, faults: &Faults) -> Result<(), Refusal> {
    faults.clear();
    engine.reset().await
}

/// Puts a clock that did not get where it should into words.
pub(super) fn explain(stuck: &Stuck) -> String {
    match stuck {
        Stuck::TooFar => "the clock cannot be moved that far".to_owned(),
        Stuck::Reset => "the emulator was reset while its clock was moved".to_owned(),
        Stuck::UnderWay { calls, count: 0, now } if calls.is_empty() => {
            format!("so much falls due that it did not end in time; the clock stands at {now}")
        }
        Stuck::UnderWay { calls, count, now } => {
            let more = if *count > calls.len() { ", …" } else { "" };
            format!("{count} still under way with the clock at {now}: {}{more}", calls.join(", "))
        }
    }
}

fn clock(engine: &Engine) -> Json {
    json!({"now": engine.now().to_string(), "ahead": format!("{}s", engine.ahead().as_secs_f64())})
}

async fn advance(engine: &Engine, request: Request<Body>) -> Result<Json, Failure> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let mut fields = match read(request).await? {
        None => serde_json::Map::new(),
        Some(Json::Object(fields)) => fields,
        Some(_) => return Err(Failure::invalid("The body must be an object such as {\"by\": \"3600s\"}.")),
    };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        fields.insert(name.to_owned(), value.into());
    }
    let by = fields.remove("by").ok_or_else(|| Failure::invalid("`by` is missing, such as {\"by\": \"3600s\"} or ?by=1h."))?;
    let by = duration("by", &by, SignedDuration::from_hours(ADVANCE_HOURS_MAX))?;
    let max = Duration::from_secs(ADVANCE_SECONDS_MAX);
    let within = match fields.remove("within") {
        Some(within) => duration("within", &within, max.try_into().unwrap_or(SignedDuration::MAX))?.unsigned_abs(),
        None => Duration::from_secs(ADVANCE_SECONDS),
    };
    if let Some(unknown) = fields.keys().next() {
        return Err(Failure::invalid(format!("`{}` is no field of this request: there are `by` and `within`.", unknown.escape_debug())));
    }
    match engine.fast_forward(by, within).await {
        Ok(_) => Ok(clock(engine)),
        Err(stuck) => {
            let code = match stuck {
                Stuck::TooFar => Code::InvalidArgument,
                Stuck::UnderWay { .. } => Code::DeadlineExceeded,
                Stuck::Reset => Code::Aborted,
            };
            Err(Failure(code, explain(&stuck)))
        }
    }
}

fn duration(field: &str, json: &Json, max: SignedDuration) -> Result<SignedDuration, Failure> {
    let parsed = json.as_str().and_then(|text| text.parse::<SignedDuration>().ok());
    parsed
        .filter(|duration| !duration.is_negative() && *duration <= max)
        .ok_or_else(|| Failure::invalid(format!("`{field}` must be a time such as `3600s`, `90m` or `1h`, {} s at most.", max.as_secs())))
}

fn grants(engine: &Engine) -> Json {
    json!({"required": engine.read(|state, _| state.pubsub.grants_are_required())})
}

/// Switches, until the next reset, whether Pub/Sub's service agent needs to be granted what moving dead letters takes.
async fn require_grants(engine: &Engine, request: Request<Body>) -> Result<Json, Failure> {
    let body = read(request).await?.unwrap_or_default();
    let required = body.as_object().filter(|fields| fields.len() == 1).and_then(|fields| fields.get("required")?.as_bool());
    let required = required.ok_or_else(|| Failure::invalid("The body must be {\"required\": true} or {\"required\": false}."))?;
    let switched = engine.run(RequireGrants { required, from_start: false }).await;
    switched.map_err(|refusal| Failure::invalid(refusal.message))?;
    Ok(grants(engine))
}

async fn inject(faults: &Faults, request: Request<Body>) -> Result<Json, Failure> {
    let json = read(request).await?.ok_or_else(|| Failure::invalid("The body must be a JSON list of faults."))?;
    faults.inject_json(json).map_err(Failure::invalid)?;
    Ok(faults.list())
}

/// Reads a body; an empty one is `None`.
async fn read(request: Request<Body>) -> Result<Option<Json>, Failure> {
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await;
    let bytes = body.map_err(|_| Failure::invalid(format!("The body broke off, or is larger than {BODY_BYTES_MAX} bytes.")))?.to_bytes();
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    serde_json::from_slice(&bytes).map(Some).map_err(|error| Failure::invalid(format!("The body is not JSON: {error}.")))
}
