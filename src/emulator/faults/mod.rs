//! Failures on purpose: requests of chosen methods are refused, delayed, answered wrongly after they took effect, or their streams closed.
//!
//! In one place for gRPC and REST: around the services. Must not know their state.

mod fault;
mod peek;
mod stream;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use serde_json::Value as Json;
use tokio::sync::watch;
use tonic::Status;
use tonic::body::Body;

pub use fault::Fault;

use super::engine::splitmix64;
use fault::{Act, Armed};

/// Faults at once: far more than a test can mean.
const FAULTS_MAX: usize = 1000;
/// The method whose responses go on until somebody ends them.
const STREAM: &str = "/google.pubsub.v1.Subscriber/StreamingPull";

/// The faults of one emulator, in the order in which they were injected. Clones are handles to the same ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    list: Mutex<Vec<Armed>>,
    /// Whether there are any: all that a request looks at while there are none.
    any: AtomicBool,
    changed: watch::Sender<()>,
}

impl Faults {
    /// Adds a fault, or says which of its fields is wrong.
    pub(crate) fn inject(&self, fault: Fault) -> Result<(), String> {
        self.add(vec![fault.arm()?])
    }

    fn add(&self, armed: Vec<Armed>) -> Result<(), String> {
        let mut list = self.lock();
        if list.len() + armed.len() > FAULTS_MAX {
            return Err(format!("there are {} faults already, and {FAULTS_MAX} at most: `DELETE /faults` takes all away", list.len()));
        }
        list.extend(armed);
        self.0.any.store(!list.is_empty(), Ordering::Relaxed);
        drop(list);
        self.0.changed.send_replace(());
        Ok(())
    }

    /// Adds the faults of a JSON list, or a single one; all, or none if one of them is wrong.
    pub(crate) fn inject_json(&self, json: Json) -> Result<(), String> {
        let armed = match json {
            Json::Array(list) => {
                let at = |(index, json)| Fault::from_json(json).and_then(Fault::arm).map_err(|why| format!("fault {index}: {why}"));
                list.into_iter().enumerate().map(at).collect::<Result<Vec<_>, _>>()?
            }
            json => vec![Fault::from_json(json)?.arm()?],
        };
        self.add(armed)
    }

    /// Takes all away.
    pub(crate) fn clear(&self) {
        self.lock().clear();
        self.0.any.store(false, Ordering::Relaxed);
    }

    /// Returns the faults as they were given, and how often each has struck.
    pub(crate) fn list(&self) -> Json {
        self.lock().iter().map(Armed::to_json).collect()
    }

    /// Tells whether a request has to go through [`Faults::around`].
    pub(crate) fn may_strike(&self, method: &str) -> bool {
        self.0.any.load(Ordering::Relaxed) || method == STREAM
    }

    /// Has `serve` answer the request, unless a fault is in the way.
    pub(crate) async fn around<F: Future<Output = Response<Body>>>(
        &self,
        mut request: Request<Body>,
        serve: impl FnOnce(Request<Body>) -> F,
    ) -> Response<Body> {
        let method = request.uri().path().to_owned();
        let is_stream = method == STREAM;
        let names;
        (names, request) = peek::names(request).await;
        let (delay, act) = self.strike(&method, &names);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        match act {
            Some(Act::Refuse(status)) => status.into_http(),
            Some(Act::Drop(status)) => {
                drop(serve(request).await);
                status.into_http()
            }
            Some(Act::Break) => {
                drop(serve(request).await);
                broken()
            }
            _ if is_stream => stream::closable(serve(request).await, self.clone(), method, names),
            _ => serve(request).await,
        }
    }

    /// What happens to a request: it waits, then perhaps something else.
    fn strike(&self, method: &str, names: &[String]) -> (Duration, Option<Act>) {
        let mut delay = Duration::ZERO;
        for fault in self.lock().iter_mut().filter(|fault| !matches!(fault.act, Act::Close(_))) {
            if fault.strikes(method, names) {
                match &fault.act {
                    Act::Delay(more) => delay += *more,
                    act => return (delay, Some(act.clone())),
                }
            }
        }
        (delay, None)
    }

    /// The status with which a stream is closed now, if it is.
    fn close(&self, method: &str, names: &[String]) -> Option<Status> {
        self.lock().iter_mut().find_map(|fault| match &fault.act {
            Act::Close(status) => Some(status.clone()).filter(|_| fault.strikes(method, names)),
            _ => None,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Armed>> {
        self.0.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Marks a response that is not to be sent: the connection breaks instead.
#[derive(Debug, Clone, Copy)]
struct Broken;

/// A response that breaks the connection.
pub(crate) fn broken<B: Default>() -> Response<B> {
    let mut response = Status::unavailable("An injected fault broke the connection; the request took effect.").into_http();
    response.extensions_mut().insert(Broken);
    response
}

/// Tells whether a response is not to be sent.
pub(crate) fn is_broken<B>(response: &Response<B>) -> bool {
    response.extensions().get::<Broken>().is_some()
}

/// Tells whether the `nth` draw of a seed is below a probability.
fn draw(seed: u64, nth: u64, probability: f64) -> bool {
    // 32 bits are exact in a float.
    let bits = u32::try_from(splitmix64(seed ^ splitmix64(nth)) >> 32).unwrap_or(u32::MAX);
    f64::from(bits) < probability * 4_294_967_296.0
}

#[cfg(test)]
mod tests;
