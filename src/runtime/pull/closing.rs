//! Streams that are not read any more, whose handlers still run: they settle their messages themselves, and only then the stream's leases end.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use google_cloud_pubsub::subscriber::ShutdownToken;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::runtime::pull::figures::Counters;
use crate::runtime::pull::lane::note;

/// What was settled, or is given back, gets this long to reach Pub/Sub once no handler of a stream runs: a stream that broke may never tell.
const FLUSH: Duration = Duration::from_secs(10);

/// All of one lane. Dropped, their handlers are cut off.
pub(super) struct Closing {
    streams: JoinSet<()>,
    cut: watch::Sender<bool>,
}

impl Default for Closing {
    fn default() -> Self {
        Self { streams: JoinSet::new(), cut: watch::channel(false).0 }
    }
}

impl Closing {
    /// Adds a stream that is not read any more.
    pub(super) fn add(&mut self, mut handlers: JoinSet<()>, token: ShutdownToken) {
        while let Some(ended) = self.streams.try_join_next() {
            note(ended);
        }
        let mut cut = self.cut.subscribe();
        self.streams.spawn(async move {
            let all = async {
                while let Some(ended) = handlers.join_next().await {
                    note(ended);
                }
            };
            tokio::select! {
                () = all => {}
                // Dropped with their messages, which are given back.
                _ = cut.wait_for(|cut| *cut) => {}
            }
            handlers.shutdown().await;
            let _ = tokio::time::timeout(FLUSH, token.shutdown()).await;
        });
    }

    /// Waits until all have ended.
    pub(super) async fn ended(&mut self) {
        while let Some(ended) = self.streams.join_next().await {
            note(ended);
        }
    }

    /// Cuts off the handlers that still run.
    pub(super) fn cut(&self) {
        self.cut.send_replace(true);
    }
}

/// The bytes of a message that is under way; dropped, they are free.
pub(super) struct Held {
    counters: Arc<Counters>,
    bytes: u64,
}

impl Held {
    pub(super) fn new(counters: &Arc<Counters>, bytes: usize) -> Self {
        let bytes = bytes as u64;
        counters.bytes.fetch_add(bytes, Relaxed);
        Self { counters: Arc::clone(counters), bytes }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.counters.bytes.fetch_sub(self.bytes, Relaxed);
    }
}
