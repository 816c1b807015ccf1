//! Fills a new emulator from a file: topics, subscriptions, queues, jobs, then messages and tasks.
//!
//! Everything goes through the services' own HTTP/JSON, so what a client may not make a seed cannot make either. What exists already is
//! left as it is. Must not know the state.

mod file;
mod requests;

use std::path::Path;

use axum::body::Body;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde_json::{Map, Value as Json};

use super::grpc::Services;
use super::rest;
use crate::error::{Error, Kind, Result};
use crate::names::ProjectId;

pub(super) use file::Seed;
use requests::Wish;

/// A seed file is at most this large; it is written by hand.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Reads a seed file, YAML or TOML by its extension.
pub(super) async fn read(path: &Path) -> Result<Seed> {
    let shown = path.display();
    let failed = |error: std::io::Error| Error::new(Kind::Io, format!("seed file `{shown}` cannot be read: {error}")).with_source(error);
    let size = tokio::fs::metadata(path).await.map_err(failed)?.len();
    if size > FILE_BYTES_MAX {
        return Err(Error::invalid(format!("seed file `{shown}` has {size} bytes, more than {FILE_BYTES_MAX}")));
    }
    let text = tokio::fs::read_to_string(path).await.map_err(failed)?;
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let parsed = match extension.to_ascii_lowercase().as_str() {
        "yaml" | "yml" => file::from_yaml(&text),
        "toml" => file::from_toml(&text),
        _ => {
            return Err(
                Error::invalid(format!("seed file `{shown}` is neither YAML nor TOML")).with_hint("name it `seed.yaml` or `seed.toml`")
            );
        }
    };
    parsed.map_err(|wrong| wrong.context(format!("seed file `{shown}`")))
}

/// Makes what the seed asks for, in the order of dependency.
///
/// # Errors
///
/// Fails at the first thing that a service refuses, and names it; what was made before stays.
pub(super) async fn apply(seed: &Seed, project: &ProjectId, services: &Services, now: Timestamp) -> Result<()> {
    for wish in requests::of(seed, project, now)? {
        grant(services, wish).await?;
    }
    Ok(())
}

async fn grant(services: &Services, wish: Wish) -> Result<()> {
    let made = ask(services, &wish.what, wish.method, &wish.path, wish.body).await?;
    match wish.then {
        Some(path) if made => ask(services, &wish.what, Method::POST, &path, Json::Object(Map::new())).await.map(drop),
        _ => Ok(()),
    }
}

/// Asks a service; tells whether it did something, or had it already.
async fn ask(services: &Services, what: &str, method: Method, path: &str, body: Json) -> Result<bool> {
    let failed = |why: &str| Error::invalid(format!("{what} of the seed cannot be made: {why}"));
    // A `%` of a name is one of the path only when it is encoded itself.
    let path = path.replace('%', "%25");
    let request = Request::builder().method(method).uri(path).body(Body::from(body.to_string()));
    let response = rest::answer(services, request.map_err(|error| failed(&error.to_string()))?).await;
    match response.status() {
        StatusCode::CONFLICT => return Ok(false),
        status if status.is_success() => return Ok(true),
        _ => {}
    }
    let answer = response.into_body().collect().await.map_err(|error| failed(&error.to_string()))?.to_bytes();
    let answer: Json = serde_json::from_slice(&answer).unwrap_or_default();
    Err(failed(answer["error"]["message"].as_str().unwrap_or("the service gave no reason")))
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
