//! The endpoint that Cloud Tasks, Pub/Sub, Cloud Scheduler and senders of events call: a `tower::Service`, an axum `Router` around it, and a server.
//!
//! A request goes through this, and is answered at the first step that it fails: its path → its method → the size that it announces → who sends it (a token
//! or a signed URL, before a byte of the body is read) → a place → room for the body → the body, within size and time → what it says → a place of its handler → the handler →
//! the one table of answers. The cause of a failure goes to the log and never into the answer.
//!
//! A caller that hangs up has its handler dropped where it waits next, as one that takes longer than its deadline: both services then try again.
//!
//! # Back-pressure
//!
//! What comes beyond the places waits for a moment ([`Builder::waits`](crate::runtime::Builder::waits)) and is then answered with 429. Both services
//! take that as a sign to slow down: Cloud Tasks lowers the queue's rate, Pub/Sub shrinks its window of pushes, and both try again. These limits work
//! together, and the smallest one that the work meets first is the one that acts:
//!
//! * **Cloud Run's concurrency** (requests an instance is given at once, 80 by default) times its **maximum of instances** is all that gets through. Cloud
//!   Run starts instances as requests come and answers 429 by itself when there are no more. Keep the places of the app
//!   ([`Builder::concurrent`](crate::runtime::Builder::concurrent)) at or above the concurrency, else instances refuse what Cloud Run gave them while others
//!   are idle; use places of a handler ([`TaskOptions::concurrent`](crate::runtime::TaskOptions::concurrent)) for what is scarce in the process: memory, a
//!   pool of connections.
//! * **The queue's** `maxConcurrentDispatches` and `maxDispatchesPerSecond` hold work back before it is sent. That is the place for limits of the whole
//!   system (a partner's API, a database): 429 costs an attempt each, and attempts are counted against `maxAttempts`. Keep
//!   `maxConcurrentDispatches` at or below instances × concurrency.
//! * **Ack deadlines**: a push that is not answered within the subscription's ack deadline (10 s to 10 min) is sent again while the first still runs, so that
//!   a handler's deadline and the time waited for a place must fit into it together. A 429 counts as a delivery where there is a dead-letter policy: with
//!   few attempts and long bursts healthy messages end among the dead letters; give such subscriptions a longer minimum back-off or more attempts.
//! * **The dispatch deadline** of a task (15 s to 30 min) works likewise, and Cloud Run's own request timeout (5 min by default) cuts off
//!   before it: set the latter to the longest deadline of a handler.
//!
//! Places count requests, not bytes: what their bodies take together is limited by [`Builder::body_memory`](crate::runtime::Builder::body_memory), 128 MiB
//! without it. What a body becomes (decoded from base64, read as JSON) comes on top, about twice as much again: set it to a quarter of the instance's memory
//! where messages are large. What finds no room is answered with 429 at once.
//!
//! [`App::metrics`](crate::runtime::App::metrics) says how full the places are and how long was waited for them: waiting that grows means more instances or a
//! smaller queue limit; requests turned away mean that the limits in front of the service are wider than the service.

mod body;
mod bytes;
mod decode;
mod gate;
mod metrics;
mod refusal;
mod serve;
mod service;
mod settings;

pub use bytes::BodyBytes;
pub use gate::Places;
pub use metrics::Metrics;
pub use serve::{Drained, stop_signal};
pub use service::Push;

pub(crate) use settings::Settings;

use std::sync::Arc;

use http::HeaderName;

use crate::cloud::Cloud;
use crate::names::Location;
use crate::runtime::App;
use crate::runtime::Host;
use crate::runtime::config::Config;
use crate::runtime::events::Links;
use crate::runtime::oidc::{Auth, auth_of};
use crate::runtime::registry::Registry;
use crate::runtime::wire::What;
use bytes::Memory;
use gate::{Gates, Place};

/// What the endpoint of one app keeps between requests.
pub(crate) struct Entrance {
    pub(crate) auth: Auth,
    pub(crate) links: Option<Arc<Links>>,
    gates: Gates,
    memory: Memory,
    location: Location,
    /// The headers that go along with work, as names of a request's.
    propagated: Vec<HeaderName>,
}

impl Entrance {
    pub(crate) fn new<S: Send + Sync + 'static>(config: &Config, cloud: &Cloud, host: &Host, registry: &Registry<S>) -> Self {
        Self {
            auth: auth_of(&config.oidc, cloud, host),
            links: Links::new(&config.events, &config.mount, host).map(Arc::new),
            gates: Gates::new(config.push.concurrent_max, registry.handlers()),
            memory: Memory::new(config.push.memory_max),
            location: Location::new(cloud.project().clone(), host.location.clone()),
            // What can be no header's name is none of any request.
            propagated: config.propagated.iter().filter_map(|name| name.parse().ok()).collect(),
        }
    }
}

impl<S: Send + Sync + 'static> App<S> {
    /// Takes a place of a subscriber for a message that comes another way than by a push; `None` where all are taken, or there is no such subscriber.
    pub(crate) async fn place_of_message(&self, subscriber: &str) -> Option<Place> {
        let gate = self.entrance().gates.own(What::Message, subscriber)?;
        gate.enter(self.config().push.wait_max).await
    }
}
