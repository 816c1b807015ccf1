//! `google.iam.v1.IAMPolicy` for Pub/Sub's resources.

use tonic::{Request, Response, Status};

use super::{Engine, MESSAGE_BYTES_MAX};
use crate::emulator::pb::google::iam::v1 as pb;
use crate::emulator::pb::google::iam::v1::iam_policy_server::{IamPolicy, IamPolicyServer};

pub(crate) fn service(engine: Engine) -> IamPolicyServer<Service> {
    IamPolicyServer::new(Service { engine }).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

/// The service on its engine.
#[derive(Debug)]
pub(crate) struct Service {
    engine: Engine,
}

#[tonic::async_trait]
impl IamPolicy for Service {
    async fn set_iam_policy(&self, request: Request<pb::SetIamPolicyRequest>) -> Result<Response<pb::Policy>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn get_iam_policy(&self, request: Request<pb::GetIamPolicyRequest>) -> Result<Response<pb::Policy>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn test_iam_permissions(
        &self,
        request: Request<pb::TestIamPermissionsRequest>,
    ) -> Result<Response<pb::TestIamPermissionsResponse>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }
}
