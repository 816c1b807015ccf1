//! The workloads: each sets up what it needs under names of its own, measures, and takes it away again.

pub(crate) mod pubsub;
pub(crate) mod tasks;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clap::ValueEnum;
use tokio::task::JoinSet;

use crate::rpc::Client;

/// What is measured. Each has a size of its own, which `--scale` multiplies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Workload {
    /// Publish, one message in a request
    PublishSingle,
    /// Publish, 100 messages in a request
    PublishBatch,
    /// The same, 64 requests at a time: what a server can take, where one request's time is that of a disk
    #[value(name = "publish-batch-64")]
    PublishBatch64,
    /// Unary pull of up to 100 messages, and their acknowledgement
    PullAck,
    /// Publish one, pull it, acknowledge it
    RoundTrip,
    /// Publish 1,000 messages, then take them by streaming pull and acknowledge them
    #[value(name = "stream-1k")]
    Stream1k,
    /// The same with 10,000
    #[value(name = "stream-10k")]
    Stream10k,
    /// The same with 100,000
    #[value(name = "stream-100k")]
    Stream100k,
    /// Create a task for an hour from now
    CreateTask,
    /// Have tasks dispatched by a queue with the default limits, 500 in a second
    Dispatch,
}

impl Workload {
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// How much of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) scale: f64,
    pub(crate) payload_bytes: usize,
    pub(crate) concurrency: usize,
}

impl Size {
    /// So many of `own`, at least one.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "counts of messages")]
    fn of(&self, own: usize) -> usize {
        ((own as f64 * self.scale) as usize).max(1)
    }
}

/// What a run found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figure {
    /// Messages or tasks per second.
    pub(crate) value: f64,
    /// How many there were.
    pub(crate) count: usize,
}

impl Figure {
    #[expect(clippy::cast_precision_loss, reason = "counts of messages")]
    fn new(count: usize, took: std::time::Duration) -> Self {
        Self { value: count as f64 / took.as_secs_f64(), count }
    }
}

/// Runs one workload on the server at `target`.
pub(crate) async fn run(workload: Workload, target: &str, size: &Size) -> Result<Figure> {
    let client = Client::connect(target).await?;
    match workload {
        Workload::PublishSingle => pubsub::publish(&client, size, size.of(20_000), 1).await,
        Workload::PublishBatch => pubsub::publish(&client, size, size.of(200_000), 100).await,
        Workload::PublishBatch64 => pubsub::publish(&client, &Size { concurrency: 64, ..*size }, size.of(400_000), 100).await,
        Workload::PullAck => pubsub::pull_ack(&client, size, size.of(50_000)).await,
        Workload::RoundTrip => pubsub::round_trip(&client, size, size.of(3_000)).await,
        Workload::Stream1k => pubsub::stream(&client, size, size.of(1_000)).await,
        Workload::Stream10k => pubsub::stream(&client, size, size.of(10_000)).await,
        Workload::Stream100k => pubsub::stream(&client, size, size.of(100_000)).await,
        Workload::CreateTask => tasks::create(&client, size, size.of(10_000)).await,
        Workload::Dispatch => tasks::dispatch(&client, size, size.of(1_500)).await,
    }
}

/// A name that no other run on the same server has.
pub(crate) fn fresh(what: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    format!("{what}-{start}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Does `count` things, `concurrency` of them at once; each is told its number.
pub(crate) async fn all<F>(count: usize, concurrency: usize, each: impl Fn(usize) -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let mut under_way = JoinSet::new();
    for number in 0..count {
        if under_way.len() >= concurrency
            && let Some(ended) = under_way.join_next().await
        {
            ended??;
        }
        under_way.spawn(each(number));
    }
    while let Some(ended) = under_way.join_next().await {
        ended??;
    }
    Ok(())
}
