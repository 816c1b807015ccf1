//! `google.pubsub.v1.Subscriber`: the requests are the commands; here is only the waiting of pulls, and the errors of exactly-once delivery.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use super::streaming_pull;
use super::{Engine, MESSAGE_BYTES_MAX};
use crate::emulator::engine::Wake;
use crate::emulator::pb::google::pubsub::v1 as pb;
use crate::emulator::pb::google::pubsub::v1::subscriber_server::{Subscriber, SubscriberServer};
use crate::emulator::state::pubsub::Settled;
use crate::emulator::state::{Info, Refusal};

/// How long a pull waits for a message before it returns none, in milliseconds: below the time limits that clients usually set.
const PULL_WAIT_MS_MAX: u64 = 8000;

pub(crate) fn service(engine: Engine) -> SubscriberServer<Service> {
    SubscriberServer::new(Service { engine }).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

/// The service on its engine.
#[derive(Debug)]
pub(crate) struct Service {
    engine: Engine,
}

#[tonic::async_trait]
impl Subscriber for Service {
    async fn streaming_pull(
        &self,
        request: Request<Streaming<pb::StreamingPullRequest>>,
    ) -> Result<Response<BoxStream<pb::StreamingPullResponse>>, Status> {
        let responses = streaming_pull::open(self.engine.clone(), request.into_inner()).await?;
        Ok(Response::new(Box::pin(responses)))
    }

    async fn pull(&self, request: Request<pb::PullRequest>) -> Result<Response<pb::PullResponse>, Status> {
        let request = request.into_inner();
        let until = Instant::now() + Duration::from_millis(PULL_WAIT_MS_MAX);
        let mut waiter = self.engine.waiter(&request.subscription);
        loop {
            let reply = self.engine.run(request.clone()).await?;
            if request.return_immediately || !reply.received_messages.is_empty() {
                return Ok(Response::new(reply));
            }
            match timeout_at(until, waiter.wait()).await {
                Ok(Wake::Ready) => {}
                // A subscription that is gone is the next try's refusal.
                Ok(Wake::Closed | Wake::Reset) => waiter = self.engine.waiter(&request.subscription),
                Ok(Wake::Shutdown) | Err(_) => return Ok(Response::new(reply)),
            }
        }
    }

    async fn acknowledge(&self, request: Request<pb::AcknowledgeRequest>) -> Result<Response<()>, Status> {
        settled(&self.engine.run(request.into_inner()).await?)
    }

    async fn modify_ack_deadline(&self, request: Request<pb::ModifyAckDeadlineRequest>) -> Result<Response<()>, Status> {
        settled(&self.engine.run(request.into_inner()).await?)
    }

    async fn create_subscription(&self, request: Request<pb::Subscription>) -> Result<Response<pb::Subscription>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn get_subscription(&self, request: Request<pb::GetSubscriptionRequest>) -> Result<Response<pb::Subscription>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn update_subscription(&self, request: Request<pb::UpdateSubscriptionRequest>) -> Result<Response<pb::Subscription>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn list_subscriptions(
        &self,
        request: Request<pb::ListSubscriptionsRequest>,
    ) -> Result<Response<pb::ListSubscriptionsResponse>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn delete_subscription(&self, request: Request<pb::DeleteSubscriptionRequest>) -> Result<Response<()>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn modify_push_config(&self, request: Request<pb::ModifyPushConfigRequest>) -> Result<Response<()>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn get_snapshot(&self, request: Request<pb::GetSnapshotRequest>) -> Result<Response<pb::Snapshot>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn list_snapshots(&self, request: Request<pb::ListSnapshotsRequest>) -> Result<Response<pb::ListSnapshotsResponse>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn create_snapshot(&self, request: Request<pb::CreateSnapshotRequest>) -> Result<Response<pb::Snapshot>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn update_snapshot(&self, request: Request<pb::UpdateSnapshotRequest>) -> Result<Response<pb::Snapshot>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn delete_snapshot(&self, request: Request<pb::DeleteSnapshotRequest>) -> Result<Response<()>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn seek(&self, request: Request<pb::SeekRequest>) -> Result<Response<pb::SeekResponse>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }
}

/// Stale ack ids are an error only where delivery is exactly-once; clients read in the details which ones.
fn settled(settled: &Settled) -> Result<Response<()>, Status> {
    if !settled.exactly_once || settled.stale.is_empty() {
        return Ok(Response::new(()));
    }
    let message = "Some acknowledgement ids in the request were invalid. This could be because the acknowledgement ids have expired or the \
                   acknowledgement ids were malformed.";
    let metadata = settled.stale.iter().map(|id| (id.clone(), "PERMANENT_FAILURE_INVALID_ACK_ID".to_owned())).collect();
    let info = Info { reason: "EXACTLY_ONCE_ACKID_FAILURE", domain: "pubsub.googleapis.com", metadata };
    Err(Refusal::invalid(message).with_info(info).into())
}
