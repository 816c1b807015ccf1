//! One request, from its head to its answer.

use std::borrow::Cow;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::panic::AssertUnwindSafe;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, RETRY_AFTER, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use tower::Service;
use tracing::{Instrument as _, Span};

use crate::model::text::line;
use crate::runtime::delivery::Ended;
use crate::runtime::events::{Claim, percent_decoded};
use crate::runtime::logging;
use crate::runtime::oidc::{Auth, Denied};
use crate::runtime::push::body::{check_announced, read};
use crate::runtime::push::decode::{Arrived, Decoder};
use crate::runtime::push::refusal::{Refusal, json};
use crate::runtime::wire::{Answer, Route, answer};
use crate::runtime::{App, Compat};

/// What stands before a token, in any case.
const SCHEME: &[u8] = b"bearer ";
/// What Cloud Run leaves of a token that it has checked itself.
const REMOVED: &str = "SIGNATURE_REMOVED_BY_GOOGLE";

/// The push endpoint as a service, for any server; made by [`App::push`]. Cheap to clone.
pub struct Push<S> {
    app: App<S>,
    /// Whether the mount was cut off from the path already.
    nested: bool,
}

impl<S> Clone for Push<S> {
    fn clone(&self) -> Self {
        Self { app: self.app.clone(), nested: self.nested }
    }
}

impl<S: Send + Sync + 'static> App<S> {
    /// Returns the push endpoint as a `tower::Service`. It sees full paths, with the mount.
    pub fn push(&self) -> Push<S> {
        Push { app: self.clone(), nested: false }
    }

    /// Returns the push endpoint as a router: to be merged into another one, or nested where [`Builder::mount`](crate::runtime::Builder::mount) says.
    ///
    /// ```
    /// use axum::Router;
    /// use redrive::runtime::App;
    ///
    /// fn routes(app: &App<()>) -> Router {
    ///     // Built with `.mount("/internal")`.
    ///     Router::new().nest("/internal", app.router())
    /// }
    /// ```
    pub fn router(&self) -> Router {
        let push = Push { app: self.clone(), nested: true };
        let routes = Router::new().route_service("/events/{*rest}", push.clone());
        let routes = match self.config().compat {
            Compat::DjangoGcp => routes.route_service("/subscriber-tasks/{*rest}", push.clone()),
            _ => routes.route_service("/subscriptions/{*rest}", push.clone()),
        };
        let tasks = if self.config().compat == Compat::DjangoTasksCloudTasks { "/cloudtasks/{*rest}" } else { "/tasks/{*rest}" };
        routes.route_service(tasks, push)
    }
}

impl<S, B> Service<Request<B>> for Push<S>
where
    S: Send + Sync + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let push = self.clone();
        async move {
            let begun = Instant::now();
            let (parts, body) = request.into_parts();
            let path = parts.uri.path();
            let path = if push.nested { Cow::Owned(format!("{}{path}", push.app.config().mount)) } else { Cow::Borrowed(path) };
            let span = span_of(&path, &parts);
            let answer = async {
                // Handlers' own panics are caught where they run; this is for what reads their payloads.
                let answered = AssertUnwindSafe(logging::caught(push.answer(&path, &parts, body, begun))).catch_unwind().await;
                let answered = answered.unwrap_or_else(|panic| Err(Refusal::Panicked(logging::told(&*panic))));
                answered.unwrap_or_else(|refusal| refusal.respond(&path, begun))
            };
            Ok(answer.instrument(span).await)
        }
        .boxed()
    }
}

impl<S: Send + Sync + 'static> Push<S> {
    async fn answer<B>(&self, path: &str, parts: &Parts, body: B, begun: Instant) -> Result<Response<Full<Bytes>>, Refusal>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let (app, settings) = (&self.app, &self.app.config().push);
        if settings.health.as_deref() == Some(path) && parts.method == Method::GET {
            return Ok(json(StatusCode::OK, Bytes::from_static(br#"{"status":"ok"}"#)));
        }
        let route = app.layout().route(path).ok_or(Refusal::NotFound)?;
        if parts.method != Method::POST {
            return Err(Refusal::Method);
        }
        let bytes_max = settings.bytes_max(&route);
        check_announced(&parts.headers, bytes_max)?;
        let claim = self.admit(&route, path, parts).await.map_err(Refusal::Denied)?;
        let gates = &app.entrance().gates;
        let _place = gates.all.enter(settings.wait_max).await.ok_or(Refusal::Busy)?;
        let mut held = app.entrance().memory.begin();
        let body = read(body, bytes_max, settings.body_time_max, &mut held).await?;
        let decoder = Decoder { app, path };
        let Arrived { delivery, what, place, name, id } = decoder.decode(route, parts, body)?;
        let request = logging::Request { begun, compat: app.config().compat, what };
        let own = match gates.own(place, &name) {
            Some(gate) => gate.enter(settings.wait_max).await.map(Some),
            // Nothing of this name: that is found out, and logged, where the rest is.
            None => Some(None),
        };
        let ended = if let Some(_place) = own {
            app.dispatch(delivery, Some(request)).await
        } else {
            logging::write(&Ended::Busy, Instant::now(), Some(request));
            Ended::Busy
        };
        if let Some(claim) = claim {
            claim.settle(ended.is_settled()).await;
        }
        let compat = app.config().compat;
        Ok(respond(&answer(compat, what, &ended, id.as_deref(), &name)))
    }

    /// Finds out who calls. An event's sender may have a signed URL instead of a token.
    async fn admit(&self, route: &Route, path: &str, parts: &Parts) -> Result<Option<Claim>, Denied> {
        let entrance = self.app.entrance();
        let query = parts.uri.query().unwrap_or_default();
        let now = since_epoch();
        if let (Route::Event { .. }, Some(links)) = (route, &entrance.links)
            && let Some(signed) = links.signed(path, query)
        {
            return signed.claim(now).await.map(Some);
        }
        if let Route::Event { kind, .. } = route
            && self.app.registry().event(&percent_decoded(kind)).is_some_and(|entry| entry.options.signed_only)
        {
            return Err(Denied::Unauthenticated("events of this kind take signed URLs only".to_owned()));
        }
        match &entrance.auth {
            Auth::Nobody => Ok(None),
            Auth::Missing => Err(Denied::Unauthenticated(
                "nobody may call: no account is configured; name one, or build the app with `unauthenticated()`".to_owned(),
            )),
            Auth::Tokens(verifier) => {
                let token = bearer(&parts.headers).inspect_err(|_| verifier.refused())?;
                verifier.verify(token, &self.app.layout().audience(path), now).await.map(|()| None)
            }
        }
    }
}

/// The span of a request: what was asked, for the log.
fn span_of(path: &str, parts: &Parts) -> Span {
    let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let span = tracing::info_span!(
        target: "redrive::runtime", "request", http_method = parts.method.as_str(), http_url = %line(path), http_user_agent = text(USER_AGENT),
        http_request_size = text(CONTENT_LENGTH),
    );
    logging::join_request(&span, &parts.headers);
    span
}

/// Returns the token of a request.
fn bearer(headers: &HeaderMap) -> Result<&str, Denied> {
    let denied = |why: &str| Denied::Unauthenticated(why.to_owned());
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(denied("there is not exactly one `Authorization`")) };
    let (scheme, token) = value.as_bytes().split_at_checked(SCHEME.len()).ok_or_else(|| denied("no token"))?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return Err(denied("another scheme than `Bearer`"));
    }
    let token = std::str::from_utf8(token).map_err(|_| denied("the token is no text"))?;
    if token.ends_with(REMOVED) {
        let hint = "Cloud Run checked this token itself and took its signature away: allow unauthenticated calls there so that it is checked here, or build \
                    the app with `unauthenticated()`";
        return Err(denied(hint));
    }
    Ok(token.trim())
}

fn respond(answer: &Answer) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = match &answer.body {
        None => Response::new(Full::default()),
        Some(body) => json(status, body.clone()),
    };
    *response.status_mut() = status;
    if let Some(wait) = answer.retry_after {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn since_epoch() -> Duration {
    // A clock before 1970 makes all tokens not valid yet.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
