//! What the endpoint can say about itself, as plain values.

use std::collections::BTreeMap;

use crate::runtime::App;
use crate::runtime::oidc::{Auth, TokenMetrics};
use crate::runtime::push::{BodyBytes, Places};
use crate::runtime::wire::What;

/// How the endpoint is doing. Numbers count from the start of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// The places of all requests together.
    pub all: Places,
    /// The places of each handler: `task Send`, `subscriber Billing`, `event upload`.
    pub handlers: BTreeMap<String, Places>,
    /// What bodies take of memory.
    pub bodies: BodyBytes,
    /// What came of tokens; zeros where none are asked for.
    pub tokens: TokenMetrics,
}

impl<S: Send + Sync + 'static> App<S> {
    /// Returns how the push endpoint is doing: places, time waited for them, tokens.
    ///
    /// ```no_run
    /// # fn show(app: &redrive::runtime::App<()>) {
    /// let metrics = app.metrics();
    /// println!("{} of {:?} places are taken", metrics.all.in_flight, metrics.all.limit);
    /// # }
    /// ```
    pub fn metrics(&self) -> Metrics {
        let entrance = self.entrance();
        let kind = |what: &What| match what {
            What::Task => "task",
            What::Message => "subscriber",
            What::Event => "event",
        };
        let own = entrance.gates.own.iter().flat_map(|(what, gates)| gates.iter().map(move |(name, gate)| (what, name, gate)));
        Metrics {
            all: entrance.gates.all.look(),
            handlers: own.map(|(what, name, gate)| (format!("{} {name}", kind(what)), gate.look())).collect(),
            bodies: entrance.memory.look(),
            tokens: match &entrance.auth {
                Auth::Tokens(verifier) => verifier.metrics(),
                Auth::Nobody | Auth::Missing => TokenMetrics::default(),
            },
        }
    }
}
