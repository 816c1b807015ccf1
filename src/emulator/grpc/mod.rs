//! The services over gRPC: each file translates requests into commands and replies back, nothing else.
//!
//! Must not know sockets or JSON: the server puts these services on its port, and `rest` calls the very same ones.

mod aggregation;
mod iam;
mod iam_credentials;
mod locations;
mod monitoring;
mod page;
mod publisher;
mod scheduler;
mod schemas;
mod streaming_pull;
mod subscriber;
mod tasks;
mod wkt;

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;

use http::{HeaderMap, Request, Response};
use jiff::SignedDuration;
use prost::Message as _;
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;

use super::engine::Engine;
use super::faults::Faults;
use super::identity::Identity;
use super::pb::google::rpc;
use super::state::{Help, Info, Refusal};

/// The largest gRPC message taken and given: Google's 10 MB of payload, twice over, so that what is too large for Pub/Sub is
/// refused by Pub/Sub's own rule and in its words.
pub(crate) const MESSAGE_BYTES_MAX: usize = 20 * 1024 * 1024;

/// The types of the details that errors have.
pub(crate) const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";
pub(crate) const ERROR_HELP: &str = "type.googleapis.com/google.rpc.Help";

/// All services on one engine. A service's file gives a `pub(crate) fn service(engine: Engine) -> XServer<X>`; one line each here.
fn all(engine: &Engine, monitoring_delay: SignedDuration) -> ByName {
    let mut services = ByName::default();
    services.add(locations::service(engine.clone()));
    services.add(tasks::service(engine.clone()));
    services.add(tasks::beta_service(engine.clone()));
    services.add(tasks::operations_service(engine.clone()));
    services.add(scheduler::service(engine.clone()));
    services.add(publisher::service(engine.clone()));
    services.add(subscriber::service(engine.clone()));
    services.add(schemas::service(engine.clone()));
    services.add(iam::service(engine.clone()));
    services.add(monitoring::service(engine.clone(), monitoring_delay));
    services
}

/// Services by their names, which requests begin with.
#[derive(Default)]
struct ByName(HashMap<&'static str, Box<dyn Serve>>);

impl ByName {
    fn add<S: Serve + NamedService + 'static>(&mut self, service: S) {
        self.0.insert(S::NAME, Box::new(service));
    }

    /// The service of a path, `/package.Service/Method`.
    fn find(&self, path: &str) -> Option<&dyn Serve> {
        let (name, _) = path.strip_prefix('/')?.split_once('/')?;
        self.0.get(name).map(Box::as_ref)
    }
}

impl fmt::Debug for ByName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

type Serving = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// What the build makes of a service, without its type.
trait Serve: Send + Sync {
    fn serve(&self, request: Request<Body>) -> Serving;
}

impl<S> Serve for S
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Serving> + Clone + Send + Sync,
{
    fn serve(&self, request: Request<Body>) -> Serving {
        // A clone is a handle, and these services are always ready.
        self.clone().call(request)
    }
}

/// The services, ready to be called. Clones are cheap.
#[derive(Debug, Clone)]
pub(crate) struct Services {
    by_name: Arc<ByName>,
    faults: Faults,
    /// Asks who calls; nobody does for the seed.
    guard: Option<Identity>,
}

impl Services {
    /// The emulated services, without those of identities; callers are not asked who they are.
    #[cfg(test)]
    pub(crate) fn new(engine: &Engine) -> Self {
        Self { by_name: Arc::new(all(engine, SignedDuration::ZERO)), faults: Faults::default(), guard: None }
    }

    /// The services, with `identity` to be asked who calls; Monitoring shows what is older than `monitoring_delay`.
    pub(crate) fn guarded(engine: &Engine, identity: Identity, monitoring_delay: SignedDuration) -> Self {
        let mut services = all(engine, monitoring_delay);
        services.add(iam_credentials::service(identity.clone()));
        Self { by_name: Arc::new(services), faults: Faults::default(), guard: Some(identity) }
    }

    /// The same services for the emulator's own calls.
    pub(crate) fn unguarded(&self) -> Self {
        Self { guard: None, ..self.clone() }
    }

    /// The failures that calls meet.
    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Calls the service that the path names (`/package.Service/Method`), or meets a fault.
    pub(crate) fn call(&self, request: Request<Body>) -> impl Future<Output = Response<Body>> + Send + use<> {
        let serving =
            if let Some(Err(refusal)) = self.guard.as_ref().map(|identity| identity.check(request.headers(), request.uri().path())) {
                Box::pin(ready(Ok(Status::from(refusal).into_http())))
            } else if self.faults.may_strike(request.uri().path()) {
                let services = self.clone();
                Box::pin(async move { Ok(services.faults.around(request, |request| settled(services.serve(request))).await) })
            } else {
                self.serve(request)
            };
        settled(serving)
    }

    fn serve(&self, request: Request<Body>) -> Serving {
        match self.by_name.find(request.uri().path()) {
            Some(service) => service.serve(request),
            None => Box::pin(ready(Ok(Status::unimplemented(String::new()).into_http()))),
        }
    }
}

/// The response in Google's words. The request is the service's by now: this future, and those around it, have no room for it.
async fn settled(serving: Serving) -> Response<Body> {
    let Ok(response) = serving.await;
    if is_too_large(response.headers()) {
        // What Google's front end does not let through.
        let message = format!("Request payload size exceeds the limit: {MESSAGE_BYTES_MAX} bytes.");
        return Status::invalid_argument(message).into_http();
    }
    response
}

/// Tells whether tonic refused a message for its size; it does so with a code that clients take for something else.
fn is_too_large(headers: &HeaderMap) -> bool {
    const OUT_OF_RANGE: &[u8] = b"11";
    headers.get(Status::GRPC_STATUS).is_some_and(|status| status == OUT_OF_RANGE)
        && Status::from_header_map(headers).is_some_and(|status| status.message().starts_with("Error, decoded message length too large"))
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let (code, message) = (refusal.code as i32, refusal.message);
        let details: Vec<prost_types::Any> =
            refusal.info.map(|info| error_info(*info)).into_iter().chain(refusal.help.map(error_help)).collect();
        if details.is_empty() {
            return Self::new(code.into(), message);
        }
        let status = rpc::Status { code, message: message.clone(), details };
        Self::with_details(code.into(), message, status.encode_to_vec().into())
    }
}

fn error_info(info: Info) -> prost_types::Any {
    let metadata = info.metadata.into_iter().collect();
    let info = rpc::ErrorInfo { reason: info.reason.to_owned(), domain: info.domain.to_owned(), metadata };
    prost_types::Any { type_url: ERROR_INFO.to_owned(), value: info.encode_to_vec() }
}

fn error_help(help: &Help) -> prost_types::Any {
    let link = rpc::help::Link { description: help.description.to_owned(), url: help.url.to_owned() };
    prost_types::Any { type_url: ERROR_HELP.to_owned(), value: rpc::Help { links: vec![link] }.encode_to_vec() }
}
