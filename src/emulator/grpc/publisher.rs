//! `google.pubsub.v1.Publisher`: the requests are the commands.

use tonic::{Request, Response, Status};

use super::{Engine, MESSAGE_BYTES_MAX};
use crate::emulator::pb::google::pubsub::v1 as pb;
use crate::emulator::pb::google::pubsub::v1::publisher_server::{Publisher, PublisherServer};

pub(crate) fn service(engine: Engine) -> PublisherServer<Service> {
    PublisherServer::new(Service { engine }).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

/// The service on its engine.
#[derive(Debug)]
pub(crate) struct Service {
    engine: Engine,
}

#[tonic::async_trait]
impl Publisher for Service {
    async fn create_topic(&self, request: Request<pb::Topic>) -> Result<Response<pb::Topic>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn update_topic(&self, request: Request<pb::UpdateTopicRequest>) -> Result<Response<pb::Topic>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn publish(&self, request: Request<pb::PublishRequest>) -> Result<Response<pb::PublishResponse>, Status> {
        let published = self.engine.run(request.into_inner()).await?;
        Ok(Response::new(pb::PublishResponse { message_ids: published.into_texts() }))
    }

    async fn get_topic(&self, request: Request<pb::GetTopicRequest>) -> Result<Response<pb::Topic>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn list_topics(&self, request: Request<pb::ListTopicsRequest>) -> Result<Response<pb::ListTopicsResponse>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn list_topic_subscriptions(
        &self,
        request: Request<pb::ListTopicSubscriptionsRequest>,
    ) -> Result<Response<pb::ListTopicSubscriptionsResponse>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn list_topic_snapshots(
        &self,
        request: Request<pb::ListTopicSnapshotsRequest>,
    ) -> Result<Response<pb::ListTopicSnapshotsResponse>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn delete_topic(&self, request: Request<pb::DeleteTopicRequest>) -> Result<Response<()>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn detach_subscription(
        &self,
        request: Request<pb::DetachSubscriptionRequest>,
    ) -> Result<Response<pb::DetachSubscriptionResponse>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }
}
