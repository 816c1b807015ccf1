//! What every request meets first: gRPC or HTTP, the pages of the emulator itself, and the request log.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use futures_util::future::Either;
use http::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderValue};
use http::{Method, Request, Response};
use serde_json::json;
use tonic::body::Body as GrpcBody;
use tonic::{Code, Status};

use super::{Engine, Services, admin};
use crate::emulator::identity::{self, Identity};
use crate::emulator::rest;
use crate::model::text;
use crate::names::ProjectId;

/// Which request names its resource for routing at Google's, and so for our log.
const RESOURCE_HEADER: &str = "x-goog-request-params";

/// The services behind one port. Clones are cheap.
#[derive(Debug, Clone)]
pub(super) struct Front {
    engine: Engine,
    services: Services,
    identity: Identity,
    project: Arc<str>,
}

impl Front {
    pub(super) fn new(engine: Engine, services: Services, identity: Identity, project: &ProjectId) -> Self {
        Self { engine, services, identity, project: project.as_str().into() }
    }

    /// Answers a request; whatever is wrong with it is said in the answer.
    pub(super) fn answer(self, request: Request<GrpcBody>) -> impl Future<Output = Response<GrpcBody>> + Send {
        let entry = Entry::of(&request);
        let answering = if is_grpc(request.headers()) {
            Either::Left(self.services.call(request))
        } else {
            // In a box, for its future is large, and is no part of those of gRPC then.
            let front = self.clone();
            Either::Right(Box::pin(async move { front.http(request.map(Body::new)).await.map(GrpcBody::new) }))
        };
        async move {
            let mut response = answering.await;
            if !self.engine.ahead().is_zero() {
                // Clients that compare messages' times with the server's clock mean this one; without it, hyper adds the machine's.
                let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&self.engine.now());
                if let Some(date) = date.ok().and_then(|date| HeaderValue::try_from(date).ok()) {
                    response.headers_mut().insert(DATE, date);
                }
            }
            if let Some(entry) = entry {
                entry.log(&response);
            }
            response
        }
    }

    async fn http(&self, request: Request<Body>) -> Response<Body> {
        let readable = matches!(*request.method(), Method::GET | Method::HEAD);
        let request = match identity::answer(&self.identity, request).await {
            Ok(response) => return response,
            Err(request) => request,
        };
        match request.uri().path() {
            "/" if readable => page("text/plain; charset=utf-8", self.greeting()),
            "/healthz" if readable => page("application/json", self.health()),
            path if path.starts_with('/') => match admin::answer(&self.engine, self.services.faults(), request).await {
                Ok(response) => response,
                Err(request) => rest::answer(&self.services, request).await,
            },
            // `OPTIONS *` and the like.
            path => rest::refuse(Code::NotFound, &format!("There is nothing at {}.", path.escape_debug())),
        }
    }

    fn greeting(&self) -> String {
        format!(
            "redrive emulator {}: Pub/Sub, Cloud Tasks, Cloud Scheduler and Monitoring (backlogs), over gRPC and HTTP/JSON on this port.\n\
             Project: {}. Health: /healthz. Example: /v1/projects/{}/topics\n",
            env!("CARGO_PKG_VERSION"),
            self.project,
            self.project
        )
    }

    fn health(&self) -> String {
        json!({"status": "ok", "project": &*self.project, "version": env!("CARGO_PKG_VERSION")}).to_string()
    }
}

pub(super) fn page(kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// A line of the request log. Streams are logged when they begin.
struct Entry {
    method: String,
    resource: String,
    start: Instant,
}

impl Entry {
    /// Notes a request, if anybody listens to the log.
    fn of(request: &Request<GrpcBody>) -> Option<Self> {
        if !tracing::enabled!(target: "redrive::emulator::request", tracing::Level::INFO) {
            return None;
        }
        let path = text::line(request.uri().path()).into_owned();
        let (method, resource) = if is_grpc(request.headers()) {
            let named = request.headers().get(RESOURCE_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
            (path.trim_start_matches('/').to_owned(), named.replace("%2F", "/"))
        } else {
            (request.method().to_string(), path)
        };
        Some(Self { method, resource: text::line(&resource).into_owned(), start: Instant::now() })
    }

    fn log<B>(self, response: &Response<B>) {
        let ms = self.start.elapsed().as_millis();
        let status: Cow<'_, str> = match Status::from_header_map(response.headers()) {
            Some(status) => format!("{:?}", status.code()).into(),
            None if is_grpc(response.headers()) => "Ok".into(),
            None => response.status().as_str().to_owned().into(),
        };
        let Self { method, resource, .. } = self;
        tracing::info!(target: "redrive::emulator::request", %method, %resource, %status, ms);
    }
}
