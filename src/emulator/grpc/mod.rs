//! The services over gRPC: each file translates requests into commands and replies back, nothing else.
//!
//! Must not know sockets or JSON: the server puts these services on its port, and `rest` calls the very same ones.

use tonic::Status;
use tonic::service::Routes;

use super::engine::Engine;
use super::state::Refusal;

/// All services on one engine. A service's file gives a `pub(crate) fn service(engine: Engine) -> XServer<X>`; one line each here.
pub(crate) fn routes(engine: &Engine) -> Routes {
    let _ = engine;
    Routes::default()
}

/// The largest gRPC message taken and given: Google's 10 MB of payload, twice over, so that what is too large for Pub/Sub is
/// refused by Pub/Sub's own rule and in its words.
pub(crate) const MESSAGE_BYTES_MAX: usize = 20 * 1024 * 1024;

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        Self::new((refusal.code as i32).into(), refusal.message)
    }
}
