//! Creating tasks, and having them dispatched.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use bytes::Bytes;

use super::{Figure, Size, all, fresh};
use crate::pb::google::cloud::tasks::v2 as pb;
use crate::rpc::{Client, frame};
use crate::sink::Sink;

const LOCATION: &str = "projects/load/locations/europe-west1";
/// Tasks that are not to be dispatched are for this much later.
const LATER: Duration = Duration::from_hours(1);
/// All are dispatched within this time, or the server has hung.
const DISPATCH: Duration = Duration::from_mins(2);

async fn queue(client: &Client) -> Result<String> {
    let name = format!("{LOCATION}/queues/{}", fresh("queue"));
    let queue = pb::Queue { name: name.clone(), ..Default::default() };
    let request = pb::CreateQueueRequest { parent: LOCATION.into(), queue: Some(queue) };
    let _: pb::Queue = client.call("/google.cloud.tasks.v2.CloudTasks/CreateQueue", request).await?;
    Ok(name)
}

async fn delete(client: &Client, name: String) -> Result<()> {
    Ok(client.call("/google.cloud.tasks.v2.CloudTasks/DeleteQueue", pb::DeleteQueueRequest { name }).await?)
}

async fn fill(client: &Client, size: &Size, queue: &str, count: usize, url: &str, later: bool) -> Result<()> {
    let body = Bytes::from(vec![b'x'; size.payload_bytes]);
    let schedule_time = later.then(|| prost_types::Timestamp::from(SystemTime::now() + LATER));
    let http = pb::HttpRequest { url: url.to_owned(), body, ..Default::default() };
    let task = pb::Task { message_type: Some(pb::task::MessageType::HttpRequest(http)), schedule_time, ..Default::default() };
    // They are alike: made once, so that it is the server that is measured.
    let request = frame(&pb::CreateTaskRequest { parent: queue.to_owned(), task: Some(task), ..Default::default() });
    all(count, size.concurrency, |_| {
        let (client, request) = (client.clone(), request.clone());
        async move {
            let _: pb::Task = client.call_framed("/google.cloud.tasks.v2.CloudTasks/CreateTask", request).await?;
            Ok(())
        }
    })
    .await
}

/// Makes a queue with tasks for later.
pub(crate) async fn hoard(client: &Client, size: &Size, count: usize) -> Result<()> {
    let queue = queue(client).await?;
    fill(client, size, &queue, count, "http://127.0.0.1:9/", true).await
}

/// Creates tasks that are not dispatched meanwhile.
pub(crate) async fn create(client: &Client, size: &Size, count: usize) -> Result<Figure> {
    let queue = queue(client).await?;
    let start = Instant::now();
    fill(client, size, &queue, count, "http://127.0.0.1:9/", true).await?;
    let figure = Figure::new(count, start.elapsed());
    delete(client, queue).await?;
    Ok(figure)
}

/// Creates tasks that are due and waits until the last has been answered by a handler in this process.
pub(crate) async fn dispatch(client: &Client, size: &Size, count: usize) -> Result<Figure> {
    let (queue, sink) = (queue(client).await?, Sink::open().await?);
    let start = Instant::now();
    fill(client, size, &queue, count, &sink.url, false).await?;
    tokio::time::timeout(DISPATCH, sink.reached(count)).await.context("not every task was dispatched")?;
    let figure = Figure::new(count, start.elapsed());
    delete(client, queue).await?;
    Ok(figure)
}
