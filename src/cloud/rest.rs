//! Calls over HTTP/JSON that no official client offers, with the same credentials. Each is one attempt: whoever repeats it knows that he does.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use google_cloud_auth::credentials::CacheableResource;
use http::header::{CONTENT_TYPE, DATE};
use http::{Extensions, HeaderMap, Method};
use jiff::Timestamp;
use reqwest::{Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cloud::Cloud;
use crate::cloud::failure::{Asked, Failure};
use crate::error::{Error, Kind, Result};

/// An answer is read to this size: a full pull is about 14 MB in JSON, a page of time series far less.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// An answer that has begun is read within this time: a full pull over a slow line.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// One request.
pub(crate) struct Request {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
    limit: Duration,
}

/// What was answered, and the server's clock (whole seconds) where it told it.
pub(crate) struct Answer<T> {
    pub(crate) body: T,
    pub(crate) server_time: Option<Timestamp>,
}

impl Request {
    /// Asks for a path below the service's host.
    pub(crate) fn get(path: String, limit: Duration) -> Self {
        Self { method: Method::GET, path, query: Vec::new(), body: None, limit }
    }

    /// Sends a body.
    pub(crate) fn post(path: String, body: &impl Serialize, limit: Duration) -> Result<Self> {
        let body = serde_json::to_vec(body)
            .map_err(|error| Error::new(Kind::Internal, "a request cannot be written as JSON").with_source(error))?;
        Ok(Self { method: Method::POST, path, query: Vec::new(), body: Some(body), limit })
    }

    /// Adds a query parameter.
    pub(crate) fn query(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.query.push((key, value.into()));
        self
    }
}

impl Cloud {
    /// Sends a request once and reads the answer.
    pub(crate) async fn rest<T: DeserializeOwned>(&self, asked: &Asked, request: Request) -> Result<Answer<T>> {
        let limit = request.limit;
        let late = |_| Failure::Timeout(limit).explain(asked);
        let response = tokio::time::timeout(limit, self.begin(asked, request)).await.map_err(late)??;
        // What has begun to come comes to its end: a large message over a slow line too.
        tokio::time::timeout(limit.max(READ_TIMEOUT), finish(response, asked, limit)).await.map_err(late)?
    }

    /// Sends a request; what is returned has begun to be answered.
    async fn begin(&self, asked: &Asked, request: Request) -> Result<Response> {
        let url = address(asked, &request)?;
        let broken = |error: reqwest::Error| Failure::of_http(&error, request.limit).explain(asked).with_source(error.without_url());
        let mut call = self.http()?.request(request.method, url).headers(self.headers(asked).await?);
        if let Some(body) = request.body {
            call = call.header(CONTENT_TYPE, "application/json").body(body);
        }
        call.send().await.map_err(broken)
    }

    /// Returns the headers that say who calls; an emulator is told nothing.
    pub(crate) async fn headers(&self, asked: &Asked) -> Result<HeaderMap> {
        if !asked.endpoint.is_google() {
            return Ok(HeaderMap::new());
        }
        match self.credentials()?.headers(Extensions::new()).await {
            Ok(CacheableResource::New { data, .. }) => Ok(data),
            Ok(CacheableResource::NotModified) => Ok(HeaderMap::new()),
            Err(error) => Err(Failure::of_credentials(&error).explain(asked).with_source(error)),
        }
    }
}

async fn finish<T: DeserializeOwned>(response: Response, asked: &Asked, limit: Duration) -> Result<Answer<T>> {
    let status = response.status();
    let server_time = date(response.headers());
    let body = read(response, asked, limit).await?;
    if !status.is_success() {
        return Err(Failure::of_body(status.as_u16(), &body).explain(asked));
    }
    let body = serde_json::from_slice(&body)
        .map_err(|error| Failure::Broken(format!("the answer cannot be read: {error}")).explain(asked).with_source(error))?;
    Ok(Answer { body, server_time })
}

fn address(asked: &Asked, request: &Request) -> Result<Url> {
    let base = asked.endpoint.url(asked.api)?;
    let mut url: Url = base.parse().map_err(|_| Error::invalid(format!("`{base}` is not a URL")))?;
    // Names may hold a literal percent sign, which `set_path` would take for an escape.
    url.set_path(&request.path.replace('%', "%25"));
    if !request.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&request.query);
    }
    Ok(url)
}

async fn read(mut response: Response, asked: &Asked, limit: Duration) -> Result<Bytes> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Failure::of_http(&error, limit).explain(asked).with_source(error))? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Failure::Broken("the answer is larger than 64 MiB".to_owned()).explain(asked));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Reads the server's clock.
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    Some(jiff::fmt::rfc2822::parse(text).ok()?.timestamp())
}
