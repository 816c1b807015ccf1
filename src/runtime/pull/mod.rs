//! Streaming pull: messages come to this process because it asks for them, not by HTTP. For workers that no push can reach, and for exactly-once.
//!
//! A lane for each subscription: its stream, its handlers, a watchdog, and an end that loses nothing.

mod closing;
mod figures;
mod keys;
mod lane;
mod settle;
mod watchdog;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::error::{Error, Result};
use crate::runtime::App;
use crate::runtime::subscriber::{LEASE_MAX, SubscriberEntry};

use lane::Lane;

pub use figures::PullFigures;

pub(crate) use figures::Pulls;

/// Handlers of one subscription that run at once.
const MESSAGES_MAX: u32 = 100;
/// Bytes of messages that one subscription has under way.
const BYTES_MAX: u64 = 100 * 1024 * 1024;
/// Handlers get this long to end when pulling ends: Cloud Run gives ten seconds from SIGTERM to SIGKILL.
const DRAIN: Duration = Duration::from_secs(8);
/// After so long without a message the watchdog looks whether there should be some. Monitoring's numbers lag by minutes.
const STALL: Duration = Duration::from_mins(5);
/// A message whose process has died is delivered again after this time.
const EXTENSION: Duration = Duration::from_mins(1);

/// What is pulled and how; begun by [`App::pull`].
///
/// ```no_run
/// # use redrive::runtime::App;
/// # async fn example(app: App<()>) -> redrive::Result<()> {
/// let pulling = app.pull().messages(20).bytes(50 * 1024 * 1024).start()?;
/// tokio::signal::ctrl_c().await?;
/// pulling.stop().await;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is pulled until it is started"]
pub struct Pull<S> {
    app: App<S>,
    only: Vec<String>,
    limits: Limits,
}

/// How much is under way at once, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) messages: u32,
    pub(crate) bytes: u64,
    pub(crate) lease: Duration,
    pub(crate) extension: Duration,
    pub(crate) drain: Duration,
    pub(crate) stall: Duration,
}

/// Pulling that goes on; dropped, it is cut off, and what is under way is delivered again.
pub struct Pulling {
    lanes: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl<S: Send + Sync + 'static> App<S> {
    /// Begins to pull messages: those of subscribers that are declared [`pulled`](crate::runtime::Subscription::pulled), unless others are named.
    pub fn pull(&self) -> Pull<S> {
        let limits =
            Limits { messages: MESSAGES_MAX, bytes: BYTES_MAX, lease: LEASE_MAX, extension: EXTENSION, drain: DRAIN, stall: STALL };
        Pull { app: self.clone(), only: Vec::new(), limits }
    }

    /// Returns what was pulled so far, by subscriber: also by [`serve`](Self::serve). These are the numbers to watch; the watchdog's go to the log as well.
    pub fn pull_figures(&self) -> BTreeMap<&'static str, PullFigures> {
        self.pulls().figures()
    }

    /// Tells whether a subscriber is declared to be pulled.
    pub(crate) fn has_pulled(&self) -> bool {
        self.registry().subscribers().any(|entry| entry.options.pulled)
    }
}

impl<S: Send + Sync + 'static> Pull<S> {
    /// Pulls for this subscriber, whatever it declares, and for no other than those named so. A subscription that pushes cannot be pulled.
    pub fn only(mut self, subscriber: impl Into<String>) -> Self {
        self.only.push(subscriber.into());
        self
    }

    /// Limits the messages of each subscription that are under way at once; 100 without this. A subscriber may have a lower limit of its own.
    pub fn messages(mut self, max: u32) -> Self {
        self.limits.messages = max.max(1);
        self
    }

    /// Limits the bytes of each subscription's messages that are under way at once; 100 MiB without this.
    pub fn bytes(mut self, max: u64) -> Self {
        self.limits.bytes = max.max(1);
        self
    }

    /// Limits how long a message is kept from being delivered again while its handler runs; one hour without this. Then the handler is cut off.
    pub fn lease(mut self, max: Duration) -> Self {
        self.limits.lease = max;
        self
    }

    /// Sets by how much a lease is extended each time, 10 s to 600 s; 60 s without this: so long a message waits whose process has died.
    pub fn extension(mut self, extension: Duration) -> Self {
        self.limits.extension = extension;
        self
    }

    /// Sets how long handlers may go on when pulling ends; 8 s without this. What is then still under way is given back at once.
    pub fn drain(mut self, limit: Duration) -> Self {
        self.limits.drain = limit;
        self
    }

    /// Sets after what time of silence, or with all places taken and none coming free, the watchdog looks and speaks up; 5 min without this.
    pub fn stall_after(mut self, silence: Duration) -> Self {
        self.limits.stall = silence;
        self
    }

    /// Starts: a stream for each subscription, and a task that runs it.
    ///
    /// # Errors
    ///
    /// Fails when there is nobody to pull for, or one named is not registered.
    pub fn start(self) -> Result<Pulling> {
        let chosen: Vec<&'static str> = self.chosen()?;
        let (stop, stopped) = watch::channel(false);
        let mut pulling = Pulling { lanes: JoinSet::new(), stop };
        for name in chosen {
            let Some(entry) = self.app.registry().subscriber(name) else { continue };
            let counters = self.app.pulls().of(name);
            let lane = Lane::new(&self.app, entry, self.limits_of(entry), counters, stopped.clone())?;
            pulling.lanes.spawn(lane.run());
        }
        Ok(pulling)
    }

    /// Pulls until `until` is there, then drains.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub async fn run(self, until: impl Future<Output = ()>) -> Result<()> {
        let pulling = self.start()?;
        until.await;
        pulling.stop().await;
        Ok(())
    }

    fn chosen(&self) -> Result<Vec<&'static str>> {
        if self.only.is_empty() {
            let pulled: Vec<_> = self.app.registry().subscribers().filter(|entry| entry.options.pulled).map(|entry| entry.name).collect();
            if pulled.is_empty() {
                return Err(
                    Error::invalid("no subscriber of this app is pulled").with_hint("declare one so with `.pulled()` on its subscription")
                );
            }
            return Ok(pulled);
        }
        let find = |name: &String| {
            let found = self.app.registry().subscriber(name).map(|entry| entry.name);
            found.ok_or_else(|| Error::invalid(format!("there is no subscriber `{}` in this app", name.escape_debug())))
        };
        self.only.iter().map(find).collect()
    }

    fn limits_of(&self, entry: &SubscriberEntry<S>) -> Limits {
        let own = entry.options.concurrent_max.and_then(|max| u32::try_from(max).ok()).unwrap_or(u32::MAX);
        Limits { messages: self.limits.messages.min(own).max(1), ..self.limits }
    }
}

impl Pulling {
    /// Ends: no message is taken any more, handlers that run get their time to end, and the rest is given back.
    pub async fn stop(mut self) {
        // It fails only when all lanes have ended.
        let _ = self.stop.send(true);
        while let Some(ended) = self.lanes.join_next().await {
            if let Err(error) = ended {
                tracing::error!(target: "redrive::runtime", %error, "a lane of pulled messages ended with a panic");
            }
        }
    }
}
