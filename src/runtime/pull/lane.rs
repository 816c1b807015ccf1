//! One subscription's stream and its handlers.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use google_cloud_pubsub::model::Message as WireMessage;
use google_cloud_pubsub::subscriber::MessageStream;
use google_cloud_pubsub::subscriber::ShutdownBehavior;
use google_cloud_pubsub::subscriber::handler::Handler;
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinError, JoinSet};

use crate::error::{Error, Kind, Result};
use crate::names::SubscriptionName;
use crate::runtime::delivery::Ended;
use crate::runtime::pull::Limits;
use crate::runtime::pull::closing::{Closing, Held};
use crate::runtime::pull::figures::Counters;
use crate::runtime::pull::keys::Keys;
use crate::runtime::pull::settle::settle;
use crate::runtime::pull::watchdog::{Seen, Watchdog, Wrong};
use crate::runtime::subscriber::SubscriberEntry;
use crate::runtime::{App, MessageInfo};

/// The pause before a stream that broke is opened anew, at first and at most.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(500), Duration::from_mins(1));
/// What is given back at the end gets this long to reach Pub/Sub.
const RELEASE: Duration = Duration::from_secs(2);
/// The client keeps a message for so much longer than its handler may take: one that it has let go it cannot give back, and that comes again only by its deadline.
const LEASE_MARGIN: Duration = Duration::from_secs(10);

/// A lane.
pub(super) struct Lane<S> {
    worker: Arc<Worker<S>>,
    limits: Limits,
    /// Places are the lane's, not a stream's: handlers of a stream that ended may still run.
    places: Arc<Semaphore>,
    closing: Closing,
    stop: watch::Receiver<bool>,
}

/// What its handlers share.
struct Worker<S> {
    app: App<S>,
    name: &'static str,
    subscription: SubscriptionName,
    has_backoff: bool,
    lease: Duration,
    counters: Arc<Counters>,
    keys: Mutex<Keys<Pulled>>,
}

/// A message with the place and the bytes it takes.
struct Pulled {
    message: WireMessage,
    handler: Handler,
    place: OwnedSemaphorePermit,
    held: Held,
}

/// What is kept in view while a stream is read.
struct Watch {
    watchdog: Watchdog,
    begun: Instant,
    stop: watch::Receiver<bool>,
    /// Whether a place is waited for: all are taken, also by messages that wait behind others of their key.
    is_full: bool,
}

/// Why a stream is not read any more.
enum End {
    Stopped,
    Stalled,
    Broken(Error),
}

impl<S: Send + Sync + 'static> Lane<S> {
    pub(super) fn new(
        app: &App<S>,
        entry: &SubscriberEntry<S>,
        limits: Limits,
        counters: Arc<Counters>,
        stop: watch::Receiver<bool>,
    ) -> Result<Self> {
        let worker = Worker {
            app: app.clone(),
            name: entry.name,
            subscription: app.subscription_name(entry)?,
            has_backoff: entry.options.backoff.is_some(),
            lease: limits.lease,
            counters,
            keys: Mutex::default(),
        };
        let places = Arc::new(Semaphore::new(limits.messages as usize));
        Ok(Self { worker: Arc::new(worker), limits, places, closing: Closing::default(), stop })
    }

    /// Pulls until it is stopped. A stream that breaks is opened anew: the subscription may be made only now, or its rights be given.
    pub(super) async fn run(mut self) {
        let mut pause = RECONNECT.0;
        while !*self.stop.borrow() {
            let begun = Instant::now();
            match self.stream().await {
                End::Stopped => break,
                End::Stalled => {}
                End::Broken(error) => {
                    let hint = error.hint();
                    tracing::error!(target: "redrive::runtime", subscriber = self.worker.name, %error, hint, pause_ms = pause.as_millis(), "the stream of messages broke, and is opened anew");
                    // Either way the loop looks for itself.
                    let _ = tokio::time::timeout(pause, is_set(&mut self.stop)).await;
                    // What went well for a while begins from the start.
                    pause = if begun.elapsed() > RECONNECT.1 { RECONNECT.0 } else { (pause * 2).min(RECONNECT.1) };
                }
            }
            Counters::count(&self.worker.counters.reconnects);
        }
        self.end().await;
    }

    /// Has all handlers come to their ends, within their time: also those of streams that ended before.
    async fn end(self) {
        let Self { worker, limits, mut closing, .. } = self;
        if tokio::time::timeout(limits.drain, closing.ended()).await.is_err() {
            let running = worker.counters.running.load(Relaxed);
            tracing::warn!(target: "redrive::runtime", subscriber = worker.name, running, "handlers did not end in time; their messages are given back");
            closing.cut();
            // A stream waits for what is held.
            worker.keys().clear();
            // They are given back by their deadlines at the latest.
            let _ = tokio::time::timeout(RELEASE, closing.ended()).await;
        }
        worker.keys().clear();
    }

    /// Reads one stream to its end. Its handlers come to theirs beside: what they work on is settled by them, whatever became of the stream.
    async fn stream(&mut self) -> End {
        let client = match self.worker.app.cloud().subscriber().await {
            Ok(client) => client,
            Err(error) => return End::Broken(error),
        };
        let stream = client
            .subscribe(self.worker.subscription.to_string())
            .set_max_outstanding_messages(i64::from(self.limits.messages))
            .set_max_outstanding_bytes(i64::try_from(self.limits.bytes).unwrap_or(i64::MAX))
            .set_max_lease(self.limits.lease.saturating_add(LEASE_MARGIN))
            .set_max_lease_extension(self.limits.extension)
            .set_shutdown_behavior(ShutdownBehavior::WaitForProcessing)
            .build();
        let token = stream.shutdown_token();
        let mut handlers = JoinSet::new();
        let end = self.read(stream, &mut handlers).await;
        self.closing.add(handlers, token);
        end
    }

    async fn read(&self, mut stream: MessageStream, handlers: &mut JoinSet<()>) -> End {
        let mut watch =
            Watch { watchdog: Watchdog::new(self.limits.stall), begun: Instant::now(), stop: self.stop.clone(), is_full: false };
        loop {
            while let Some(ended) = handlers.try_join_next() {
                note(ended);
            }
            watch.is_full = true;
            let place = match self.watched(&mut watch, Arc::clone(&self.places).acquire_owned()).await {
                Ok(Ok(place)) => place,
                Ok(Err(_)) => return End::Stopped,
                Err(end) => return end,
            };
            watch.is_full = false;
            match self.watched(&mut watch, stream.next()).await {
                Ok(Some(Ok((message, handler)))) => {
                    watch.watchdog.moved();
                    Counters::count(&self.worker.counters.received);
                    let held = Held::new(&self.worker.counters, message.data.len());
                    self.worker.take(Pulled { message, handler, place, held }, handlers);
                }
                Ok(Some(Err(error))) => return End::Broken(self.worker.explain(error)),
                Ok(None) => return End::Broken(Error::new(Kind::Unavailable, "the stream ended")),
                Err(end) => return end,
            }
        }
    }

    /// Waits for something that the stream does, under the watchdog's eyes, until it is to stop. What is waited for is not begun anew for a look: a stream that
    /// opens slowly would never be open.
    async fn watched<T>(&self, watch: &mut Watch, awaited: impl Future<Output = T>) -> std::result::Result<T, End> {
        let mut awaited = pin!(awaited);
        loop {
            tokio::select! {
                biased;
                () = is_set(&mut watch.stop) => return Err(End::Stopped),
                () = tokio::time::sleep(watch.watchdog.next_look()) => {
                    if self.is_stalled(watch).await {
                        return Err(End::Stalled);
                    }
                }
                done = &mut awaited => return Ok(done),
            }
        }
    }

    /// Looks, and says aloud what is wrong; tells whether the stream is to be opened anew.
    async fn is_stalled(&self, watch: &mut Watch) -> bool {
        let Worker { app, name, subscription, counters, .. } = &*self.worker;
        let running = counters.running.load(Relaxed);
        let taken = (self.limits.messages as usize).saturating_sub(self.places.available_permits());
        // One place is that of the message waited for.
        let under_way = if watch.is_full { taken } else { taken.saturating_sub(1) };
        // At the limit of bytes Pub/Sub sends no more either.
        let is_full = watch.is_full || counters.bytes.load(Relaxed) >= self.limits.bytes;
        let seen = Seen { under_way: under_way as u64, is_full, idle: counters.idle_for(watch.begun) };
        match watch.watchdog.look(app.cloud(), subscription, seen).await {
            None => false,
            Some(Wrong::Stuck) => {
                Counters::count(&counters.stuck);
                tracing::error!(target: "redrive::runtime", subscriber = name, running, idle_s = seen.idle.as_secs(), "all places (or bytes) are taken by handlers, and none has ended for long: messages wait");
                false
            }
            Some(Wrong::Stalled { backlog }) => {
                Counters::count(&counters.stalls);
                tracing::error!(target: "redrive::runtime", subscriber = name, backlog, running, "messages wait, and none has come for long: the stream is opened anew");
                true
            }
        }
    }
}

/// Waits until it is to stop; the sender's end is one, too.
async fn is_set(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// A handler that ended otherwise than by itself is a defect, and is said.
pub(super) fn note(ended: std::result::Result<(), JoinError>) {
    if let Err(error) = ended
        && !error.is_cancelled()
    {
        tracing::error!(target: "redrive::runtime", %error, "a pulled message ended in a panic outside of its handler");
    }
}

impl<S: Send + Sync + 'static> Worker<S> {
    /// Works on a message, at once or when those of its key before it are done.
    fn take(self: &Arc<Self>, pulled: Pulled, handlers: &mut JoinSet<()>) {
        let key = pulled.message.ordering_key.clone();
        let Some(first) = self.keys().take(&key, pulled) else { return };
        let worker = Arc::clone(self);
        handlers.spawn(async move {
            let mut next = Some(first);
            while let Some(pulled) = next {
                // A defect of ours must not hold up those behind: what it was at is given back, as what failed.
                let settled = AssertUnwindSafe(worker.work(pulled)).catch_unwind().await.unwrap_or_else(|_| {
                    tracing::error!(target: "redrive::runtime", subscriber = worker.name, "a pulled message ended in a panic outside of its handler, and comes again");
                    false
                });
                next = worker.next_of(&key, settled);
            }
        });
    }

    fn next_of(&self, key: &str, settled: bool) -> Option<Pulled> {
        let mut keys = self.keys();
        if settled {
            return keys.done(key);
        }
        // Dropped, they are given back: Pub/Sub delivers them again after the one that failed.
        let behind = keys.failed(key);
        self.counters.nacked.fetch_add(behind.len() as u64, Relaxed);
        None
    }

    fn keys(&self) -> std::sync::MutexGuard<'_, Keys<Pulled>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on a message and settles it; tells whether it is acknowledged. Its place comes free with that.
    async fn work(&self, pulled: Pulled) -> bool {
        let Pulled { message, handler, place, held } = pulled;
        let _running = self.counters.begin();
        let info = self.info(&message, handler.delivery_attempt());
        let delivery = self.app.delivered(self.name.to_owned(), message.data, info.clone());
        // Longer than its lease nobody keeps it from being delivered again.
        let ended = match tokio::time::timeout(self.lease, self.app.dispatch(delivery, None)).await {
            Ok(ended) => ended,
            Err(_) => Ended::TimedOut(self.lease),
        };
        if let Some(why) = ended.why().filter(|_| !ended.is_settled()) {
            tracing::error!(target: "redrive::runtime", subscriber = self.name, message_id = info.id, attempt = info.delivery_attempt, why = %crate::model::text::line(&why), "the message was not processed, and comes again");
        }
        let settled = settle(handler, &ended, self.has_backoff, &self.counters).await;
        drop((place, held));
        settled
    }

    fn info(&self, message: &WireMessage, attempt: Option<i32>) -> MessageInfo {
        MessageInfo {
            id: message.message_id.clone(),
            subscription: Some(self.subscription.clone()),
            attributes: message.attributes.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            ordering_key: message.ordering_key.clone(),
            publish_time: message.publish_time.as_ref().and_then(|time| Timestamp::new(time.seconds(), time.nanos()).ok()),
            delivery_attempt: attempt.and_then(|attempt| u32::try_from(attempt).ok()),
        }
    }

    fn explain(&self, error: google_cloud_pubsub::Error) -> Error {
        self.app.cloud().explain_pull(&self.subscription, error)
    }
}
