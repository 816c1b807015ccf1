//! What happens in the shop: much at once, so that there is something to see, then a little now and then, and at some point no more.

use std::time::Duration;

use google_cloud_pubsub::client::Publisher;
use google_cloud_pubsub::model::Message;
use google_cloud_tasks_v2::model::{HttpMethod, HttpRequest, Task};
use google_cloud_wkt::Duration as WireDuration;
use jiff::Timestamp;
use tokio::time::MissedTickBehavior;

use super::catalogue::{self, Draft, Errand, ORDERS_AT_ONCE};
use super::clients::{Clients, call, make};
use super::topology::{LOCATION, QUEUES};
use crate::error::Result;

/// Orders a shop makes in its life: half a day of them. A backlog that nobody looks at stays below.
const ORDERS_MAX: u64 = 15_000;
/// An order this often.
const ORDER_EVERY: Duration = Duration::from_secs(3);
/// Mails that fail, all at once: redriven, they are gone for good.
const MAILS_AT_ONCE: u64 = 12;
/// Thumbnails to draw at once: with three at a time it takes a while.
const THUMBNAILS_AT_ONCE: u64 = 24;
/// Newsletters that wait in the paused queue.
const NEWSLETTERS: u64 = 25;
/// Exports that wait for the warehouse at the start, and at most.
const EXPORTS_AT_ONCE: u64 = 8;
const EXPORTS_MAX: u64 = 40;
/// Cloud Tasks' shortest: a warehouse that does not answer blocks its queue this long.
const EXPORT_DEADLINE: Duration = Duration::from_secs(15);

/// Fills the shop.
pub(super) async fn burst(clients: &Clients) -> Result<()> {
    publish(clients, (1..=ORDERS_AT_ONCE).map(|n| catalogue::order(n, Timestamp::now())).collect()).await?;
    publish(clients, (1..=MAILS_AT_ONCE).map(|n| catalogue::mail(n, true)).collect()).await?;
    publish(clients, (1..=8).map(catalogue::upload).collect()).await
}

/// Fills the queues, which must be there.
pub(super) async fn fill_queues(clients: &Clients, base: &str) -> Result<()> {
    for errand in (1..=NEWSLETTERS).map(catalogue::newsletter).chain((1..=EXPORTS_AT_ONCE).map(catalogue::export)) {
        create(clients, base, errand).await?;
    }
    for errand in (1..=THUMBNAILS_AT_ONCE).map(catalogue::thumbnail).chain((1..=6).map(catalogue::report)) {
        create(clients, base, errand).await?;
    }
    Ok(())
}

/// Goes on with a little now and then; what fails is logged, and the next order comes all the same.
pub(super) async fn trickle(clients: &Clients, base: &str) {
    let mut clock = tokio::time::interval(ORDER_EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for n in ORDERS_AT_ONCE + 1..=ORDERS_MAX {
        clock.tick().await;
        if let Err(error) = one(clients, base, n).await {
            tracing::warn!(%error, "the sample shop goes on");
        }
    }
}

async fn one(clients: &Clients, base: &str, n: u64) -> Result<()> {
    let mut drafts = vec![catalogue::order(n, Timestamp::now())];
    if n.is_multiple_of(4) {
        drafts.push(catalogue::mail(n, false));
    }
    if n.is_multiple_of(6) {
        drafts.push(catalogue::upload(n / 6));
    }
    publish(clients, drafts).await?;
    create(clients, base, catalogue::receipt(n)).await?;
    if n.is_multiple_of(5) {
        create(clients, base, catalogue::thumbnail(n)).await?;
    }
    if n.is_multiple_of(7) {
        create(clients, base, catalogue::report(n)).await?;
    }
    let export = EXPORTS_AT_ONCE + (n - ORDERS_AT_ONCE) / 10;
    if n.is_multiple_of(10) && export <= EXPORTS_MAX {
        create(clients, base, catalogue::export(export)).await?;
    }
    Ok(())
}

/// Publishes drafts, all under way at once.
async fn publish(clients: &Clients, drafts: Vec<Draft>) -> Result<()> {
    let mut publishers: Vec<(&str, Publisher)> = Vec::new();
    let mut answers = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let publisher = if let Some((_, publisher)) = publishers.iter().find(|(topic, _)| *topic == draft.topic) {
            publisher.clone()
        } else {
            let publisher = clients.publisher.publisher(clients.topic(draft.topic)).build();
            publishers.push((draft.topic, publisher.clone()));
            publisher
        };
        let message = Message::new().set_data(draft.payload.to_string()).set_attributes(draft.attributes);
        answers.push((draft.topic, publisher.publish(message.set_ordering_key(draft.ordering_key))));
    }
    for (topic, answer) in answers {
        call(&format!("publish to `{topic}`"), async { answer.await.map_err(google_cloud_gax::error::Error::io) }).await?;
    }
    Ok(())
}

/// Creates a task; one of the same name may be there already.
async fn create(clients: &Clients, base: &str, errand: Errand) -> Result<()> {
    let location = QUEUES.iter().find(|queue| queue.id == errand.queue).map_or(LOCATION, |queue| queue.location);
    let queue = format!("{}/queues/{}", clients.location(location), errand.queue);
    let request = HttpRequest::new()
        .set_url(format!("{base}/tasks/{}", errand.handler))
        .set_http_method(HttpMethod::Post)
        .set_headers([("Content-Type", "application/json")])
        .set_body(errand.body.to_string());
    let mut task = Task::new().set_http_request(request);
    if let Some(name) = errand.name {
        task = task.set_name(format!("{queue}/tasks/{name}"));
    }
    if errand.queue == "exports" {
        task = task.set_dispatch_deadline(WireDuration::try_from(EXPORT_DEADLINE).expect("a constant of seconds is in range"));
    }
    make(&format!("create a task in `{}`", errand.queue), clients.tasks.create_task().set_parent(queue).set_task(task).send()).await?;
    Ok(())
}
