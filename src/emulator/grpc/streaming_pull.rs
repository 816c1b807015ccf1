//! One streaming pull: requests are read by a task of their own; responses are made when the connection asks for them, so that nothing is
//! leased for a client that does not read, or is gone.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{Stream, stream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, Interval, interval_at};
use tonic::{Status, Streaming};

use super::Engine;
use crate::emulator::engine::{Waiter, Wake};
use crate::emulator::pb::google::pubsub::v1 as pb;
use crate::emulator::pb::google::pubsub::v1::streaming_pull_response::{AcknowledgeConfirmation, ModifyAckDeadlineConfirmation};
use crate::emulator::state::pubsub::{CloseStream, OpenStream, SetStreamDeadline, StreamLease};

/// Confirmations that wait for the connection; beyond, requests are read no further.
const CONFIRMATIONS_MAX: usize = 16;
/// The pause between signs of life on a silent stream, in milliseconds, for clients that understand them.
const HEARTBEAT_MS: u64 = 30_000;

/// Not a code that clients take as a reason to connect again: a receiver left over from one test must not take the messages of the next.
const EMPTIED: &str = "Resource not found: the emulator was reset.";

/// Opens the stream that the first request asks for.
pub(super) async fn open(
    engine: Engine,
    mut requests: Streaming<pb::StreamingPullRequest>,
) -> Result<impl Stream<Item = Result<pb::StreamingPullResponse, Status>>, Status> {
    let Some(first) = requests.message().await? else {
        return Err(Status::invalid_argument("The stream ended before its first request."));
    };
    let subscription = first.subscription.clone();
    let waiter = engine.waiter(&subscription);
    let open = OpenStream {
        subscription: subscription.clone(),
        deadline_s: first.stream_ack_deadline_seconds,
        messages_max: first.max_outstanding_messages,
        bytes_max: first.max_outstanding_bytes,
    };
    let stream = engine.run(open).await?;
    let (reports, inbox) = mpsc::channel(CONFIRMATIONS_MAX);
    let heartbeats = first.protocol_version > 0;
    let inbound = Inbound { engine: engine.clone(), subscription: subscription.clone(), stream, reports };
    let responses = Outbound {
        reader: tokio::spawn(inbound.run(first, requests)).abort_handle(),
        engine,
        subscription,
        stream,
        waiter,
        inbox,
        heartbeat: heartbeats.then(heartbeat),
        over: false,
        sent_away: false,
    };
    Ok(stream::unfold(responses, async |mut responses| Some((responses.next().await?, responses))))
}

fn heartbeat() -> Interval {
    let period = Duration::from_millis(HEARTBEAT_MS);
    interval_at(Instant::now() + period, period)
}

/// What the reader of requests reports.
enum Report {
    Respond(pb::StreamingPullResponse),
    Refuse(Status),
    /// The client sends no more, and wants the stream to end.
    HalfClosed,
}

struct Inbound {
    engine: Engine,
    subscription: String,
    stream: u64,
    reports: mpsc::Sender<Report>,
}

impl Inbound {
    async fn run(self, first: pb::StreamingPullRequest, mut requests: Streaming<pb::StreamingPullRequest>) {
        let mut report = self.settle(first).await;
        loop {
            let taken = match report {
                Ok(Some(response)) => self.reports.send(Report::Respond(response)).await,
                Ok(None) => Ok(()),
                Err(status) => return drop(self.reports.send(Report::Refuse(status)).await),
            };
            if taken.is_err() {
                return;
            }
            report = match requests.message().await {
                Ok(Some(request)) => self.take(request).await,
                Ok(None) => return drop(self.reports.send(Report::HalfClosed).await),
                // The connection broke; the responses end with it.
                Err(_) => return,
            };
        }
    }

    /// Takes a later request.
    async fn take(&self, request: pb::StreamingPullRequest) -> Result<Option<pb::StreamingPullResponse>, Status> {
        self.configure(&request).await?;
        self.settle(request).await
    }

    /// Takes what it says about the stream itself.
    async fn configure(&self, request: &pb::StreamingPullRequest) -> Result<(), Status> {
        let fixed = [
            ("subscription", !request.subscription.is_empty()),
            ("client_id", !request.client_id.is_empty()),
            ("max_outstanding_messages", request.max_outstanding_messages != 0),
            ("max_outstanding_bytes", request.max_outstanding_bytes != 0),
        ];
        if let Some((field, _)) = fixed.iter().find(|(_, set)| *set) {
            return Err(Status::invalid_argument(format!("{field} can only be set on the initial StreamingPullRequest.")));
        }
        let deadline_s = request.stream_ack_deadline_seconds;
        if deadline_s != 0 {
            self.engine.run(SetStreamDeadline { subscription: self.subscription.clone(), stream: self.stream, deadline_s }).await?;
        }
        Ok(())
    }

    /// Acknowledges and changes deadlines; with exactly-once delivery there is something to confirm.
    async fn settle(&self, request: pb::StreamingPullRequest) -> Result<Option<pb::StreamingPullResponse>, Status> {
        let subscription = &self.subscription;
        let mut response = pb::StreamingPullResponse::default();
        let mut confirm = false;
        if !request.ack_ids.is_empty() {
            let settled = self.engine.run(pb::AcknowledgeRequest { subscription: subscription.clone(), ack_ids: request.ack_ids }).await?;
            confirm |= settled.exactly_once;
            let confirmation = AcknowledgeConfirmation { ack_ids: settled.done, invalid_ack_ids: settled.stale, ..Default::default() };
            response.acknowledge_confirmation = Some(confirmation);
        }
        let (ids, seconds) = (request.modify_deadline_ack_ids, request.modify_deadline_seconds);
        if ids.len() != seconds.len() {
            return Err(Status::invalid_argument("modify_deadline_ack_ids and modify_deadline_seconds must have the same length."));
        }
        let mut by_seconds: BTreeMap<i32, Vec<String>> = BTreeMap::new();
        for (id, seconds) in ids.into_iter().zip(seconds) {
            by_seconds.entry(seconds).or_default().push(id);
        }
        for (ack_deadline_seconds, ack_ids) in by_seconds {
            let request = pb::ModifyAckDeadlineRequest { subscription: subscription.clone(), ack_ids, ack_deadline_seconds };
            let settled = self.engine.run(request).await?;
            confirm |= settled.exactly_once;
            let confirmation = response.modify_ack_deadline_confirmation.get_or_insert_with(ModifyAckDeadlineConfirmation::default);
            confirmation.ack_ids.extend(settled.done);
            confirmation.invalid_ack_ids.extend(settled.stale);
        }
        Ok(confirm.then_some(response))
    }
}

struct Outbound {
    engine: Engine,
    subscription: String,
    stream: u64,
    waiter: Waiter,
    inbox: mpsc::Receiver<Report>,
    reader: AbortHandle,
    heartbeat: Option<Interval>,
    /// Whether the stream has ended.
    over: bool,
    /// Whether it was ended from this side: a client that was sent away keeps what it holds, and goes on by a new stream.
    sent_away: bool,
}

impl Outbound {
    /// What goes out next; `None` ends the stream well.
    async fn next(&mut self) -> Option<Result<pb::StreamingPullResponse, Status>> {
        if self.over {
            return None;
        }
        loop {
            if self.waiter.is_outdated() {
                return Some(self.refuse(Status::not_found(EMPTIED)));
            }
            // What the client says comes first: it may have freed room, or be the end.
            match self.inbox.try_recv() {
                Ok(report) => return self.say(report),
                Err(mpsc::error::TryRecvError::Disconnected) => return None,
                Err(mpsc::error::TryRecvError::Empty) => {}
            }
            match self.engine.run(StreamLease { subscription: self.subscription.clone(), stream: self.stream }).await {
                Ok(batch) if batch.messages.is_empty() => {}
                Ok(batch) => {
                    let properties = Some(batch.properties);
                    let response = pb::StreamingPullResponse {
                        received_messages: batch.messages,
                        subscription_properties: properties,
                        ..Default::default()
                    };
                    return Some(Ok(response));
                }
                Err(refusal) => return Some(self.refuse(refusal.into())),
            }
            tokio::select! {
                biased;
                report = self.inbox.recv() => return self.say(report?),
                wake = self.waiter.wait() => match wake {
                    Wake::Ready | Wake::Reset => {}
                    // Gone, or no longer to be pulled: the next try says which.
                    Wake::Closed => self.waiter = self.engine.waiter(&self.subscription),
                    Wake::Shutdown => return Some(self.refuse(Status::unavailable("The emulator is shutting down."))),
                },
                () = beat(&mut self.heartbeat) => return Some(Ok(pb::StreamingPullResponse::default())),
            }
        }
    }

    fn say(&mut self, report: Report) -> Option<Result<pb::StreamingPullResponse, Status>> {
        match report {
            Report::Respond(response) => Some(Ok(response)),
            Report::Refuse(status) => Some(self.refuse(status)),
            Report::HalfClosed => {
                self.over = true;
                None
            }
        }
    }

    fn refuse(&mut self, status: Status) -> Result<pb::StreamingPullResponse, Status> {
        self.over = true;
        self.sent_away = true;
        Err(status)
    }
}

/// Waits for the next sign of life; for ever where there is none.
async fn beat(heartbeat: &mut Option<Interval>) {
    match heartbeat {
        Some(heartbeat) => {
            heartbeat.tick().await;
        }
        None => std::future::pending().await,
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        self.reader.abort();
        // An open call that is dropped half-closes as well as a client that is done: either way nobody may be there to acknowledge.
        let left = !self.sent_away;
        // A subscription that is gone has forgotten its streams already.
        self.engine.post(CloseStream { subscription: self.subscription.clone(), stream: self.stream, left });
    }
}

#[cfg(test)]
mod tests;
