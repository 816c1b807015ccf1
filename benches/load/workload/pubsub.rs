//! Publishing, pulling, streaming.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{Figure, Size, all, fresh};
use crate::pb::google::pubsub::v1 as pb;
use crate::rpc::{Client, frame};

const PROJECT: &str = "load";
/// Messages in a request where the request is not what is measured.
const FILL_BATCH: usize = 1000;
/// Messages in a pull.
const PULL_MAX: i32 = 100;
/// Messages that a stream may hold: the default of the official clients.
const OUTSTANDING_MAX: i64 = 1000;
/// A stream that is silent for this long has hung.
const SILENCE: Duration = Duration::from_mins(1);
/// Acknowledgements on a stream are not confirmed; so long a server may take to apply the last of them.
const SETTLE: Duration = Duration::from_secs(20);

/// Tells whether a Pub/Sub server answers.
pub(crate) async fn answers(client: &Client) -> bool {
    let request = pb::ListTopicsRequest { project: format!("projects/{PROJECT}"), ..Default::default() };
    client.call::<_, pb::ListTopicsResponse>("/google.pubsub.v1.Publisher/ListTopics", request).await.is_ok()
}

/// The answer to a publish, its ids as they lie in it: one does not wait for a client that makes texts of them.
#[derive(Clone, PartialEq, prost::Message)]
struct Published {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    ids: Vec<Bytes>,
}

/// A topic with one subscription.
pub(crate) struct Line {
    client: Client,
    topic: String,
    subscription: String,
}

impl Line {
    pub(crate) async fn open(client: &Client) -> Result<Self> {
        let id = fresh("line");
        let (topic, subscription) = (format!("projects/{PROJECT}/topics/{id}"), format!("projects/{PROJECT}/subscriptions/{id}"));
        let line = Self { client: client.clone(), topic, subscription };
        let topic = pb::Topic { name: line.topic.clone(), ..Default::default() };
        let _: pb::Topic = client.call("/google.pubsub.v1.Publisher/CreateTopic", topic).await?;
        line.subscribe(line.subscription.clone()).await?;
        Ok(line)
    }

    async fn subscribe(&self, name: String) -> Result<()> {
        let settings = pb::Subscription { name, topic: self.topic.clone(), ack_deadline_seconds: 60, ..Default::default() };
        let _: pb::Subscription = self.client.call("/google.pubsub.v1.Subscriber/CreateSubscription", settings).await?;
        Ok(())
    }

    /// Adds subscriptions that nobody uses.
    pub(crate) async fn add_idle(&self, count: usize, concurrency: usize) -> Result<()> {
        let line = Arc::new(Self { client: self.client.clone(), topic: self.topic.clone(), subscription: self.subscription.clone() });
        all(count, concurrency, |number| {
            let line = Arc::clone(&line);
            async move { line.subscribe(format!("{}-idle-{number}", line.subscription)).await }
        })
        .await
    }

    async fn close(self) -> Result<()> {
        let request = pb::DeleteSubscriptionRequest { subscription: self.subscription };
        let () = self.client.call("/google.pubsub.v1.Subscriber/DeleteSubscription", request).await?;
        let request = pb::DeleteTopicRequest { topic: self.topic };
        let () = self.client.call("/google.pubsub.v1.Publisher/DeleteTopic", request).await?;
        Ok(())
    }

    /// Publishes `count` messages, `batch` in a request.
    pub(crate) async fn fill(&self, size: &Size, count: usize, batch: usize) -> Result<()> {
        let message = pb::PubsubMessage { data: Bytes::from(vec![b'x'; size.payload_bytes]), ..Default::default() };
        let of = |count| frame(&pb::PublishRequest { topic: self.topic.clone(), messages: vec![message.clone(); count] });
        // They are alike: made once, so that it is the server that is measured.
        let (whole, rest) = (of(batch), of(count % batch));
        all(count.div_ceil(batch), size.concurrency, |number| {
            let wanted = batch.min(count - number * batch);
            let request = if wanted == batch { whole.clone() } else { rest.clone() };
            let client = self.client.clone();
            async move {
                let reply: Published = client.call_framed("/google.pubsub.v1.Publisher/Publish", request).await?;
                ensure!(reply.ids.len() == wanted, "not every message got an id");
                Ok(())
            }
        })
        .await
    }

    async fn pull(&self, at_once: bool) -> Result<Vec<String>> {
        let request = pb::PullRequest { subscription: self.subscription.clone(), max_messages: PULL_MAX, return_immediately: at_once };
        let reply: pb::PullResponse = self.client.call("/google.pubsub.v1.Subscriber/Pull", request).await?;
        Ok(reply.received_messages.into_iter().map(|message| message.ack_id).collect())
    }

    async fn ack(&self, ack_ids: Vec<String>) -> Result<()> {
        let request = pb::AcknowledgeRequest { subscription: self.subscription.clone(), ack_ids };
        Ok(self.client.call("/google.pubsub.v1.Subscriber/Acknowledge", request).await?)
    }

    /// Takes `count` messages by streaming pull, acknowledging each response on the stream.
    async fn drain(&self, count: usize) -> Result<()> {
        let (send, requests) = mpsc::channel(64);
        let first = pb::StreamingPullRequest {
            subscription: self.subscription.clone(),
            stream_ack_deadline_seconds: 60,
            max_outstanding_messages: OUTSTANDING_MAX,
            ..Default::default()
        };
        send.send(first).await?;
        let path = "/google.pubsub.v1.Subscriber/StreamingPull";
        let mut responses = self.client.stream::<_, pb::StreamingPullResponse>(path, ReceiverStream::new(requests)).await?;
        let mut taken = 0;
        while taken < count {
            let response = tokio::time::timeout(SILENCE, responses.message()).await.context("the stream is silent")??;
            let ack_ids: Vec<_> =
                response.context("the stream ended")?.received_messages.into_iter().map(|message| message.ack_id).collect();
            taken += ack_ids.len();
            if !ack_ids.is_empty() {
                send.send(pb::StreamingPullRequest { ack_ids, ..Default::default() }).await?;
            }
        }
        ensure!(taken == count, "{taken} messages for {count}");
        // Half-closed: what was sent before is applied first.
        drop(send);
        let end = async { while let Ok(Some(_)) = responses.message().await {} };
        tokio::time::timeout(SILENCE, end).await.context("the stream does not end")
    }
}

/// Publishes to a topic with one subscription.
pub(crate) async fn publish(client: &Client, size: &Size, count: usize, batch: usize) -> Result<Figure> {
    let line = Line::open(client).await?;
    let start = Instant::now();
    line.fill(size, count, batch).await?;
    let figure = Figure::new(count, start.elapsed());
    line.close().await?;
    Ok(figure)
}

/// Pulls what was published before and acknowledges it, with several pullers at once.
pub(crate) async fn pull_ack(client: &Client, size: &Size, count: usize) -> Result<Figure> {
    let line = Arc::new(Line::open(client).await?);
    line.fill(size, count, FILL_BATCH).await?;
    let taken = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    all(size.concurrency, size.concurrency, |_| {
        let (line, taken) = (Arc::clone(&line), Arc::clone(&taken));
        async move {
            while taken.load(Ordering::Relaxed) < count {
                ensure!(start.elapsed() < SILENCE * 5, "{} of {count} came", taken.load(Ordering::Relaxed));
                let ids = line.pull(true).await?;
                taken.fetch_add(ids.len(), Ordering::Relaxed);
                if !ids.is_empty() {
                    line.ack(ids).await?;
                }
            }
            Ok(())
        }
    })
    .await?;
    let figure = Figure::new(count, start.elapsed());
    Arc::into_inner(line).context("a puller is left")?.close().await?;
    Ok(figure)
}

/// One message after the other, all the way: what is measured is how long each takes.
pub(crate) async fn round_trip(client: &Client, size: &Size, count: usize) -> Result<Figure> {
    let line = Line::open(client).await?;
    let start = Instant::now();
    for _ in 0..count {
        line.fill(size, 1, 1).await?;
        let ids = line.pull(false).await?;
        ensure!(ids.len() == 1, "{} messages for one", ids.len());
        line.ack(ids).await?;
    }
    let figure = Figure::new(count, start.elapsed());
    line.close().await?;
    Ok(figure)
}

/// Publishes a backlog, then takes it by streaming pull; the whole is measured, from the first request to the last acknowledgement.
pub(crate) async fn stream(client: &Client, size: &Size, count: usize) -> Result<Figure> {
    let line = Line::open(client).await?;
    let start = Instant::now();
    line.fill(size, count, PULL_MAX.unsigned_abs() as usize).await?;
    line.drain(count).await?;
    let figure = Figure::new(count, start.elapsed());
    let settled = Instant::now();
    while !line.pull(true).await?.is_empty() {
        ensure!(settled.elapsed() < SETTLE, "acknowledged messages came again");
    }
    line.close().await?;
    Ok(figure)
}
