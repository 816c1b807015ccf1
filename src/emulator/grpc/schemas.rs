//! `google.pubsub.v1.SchemaService`: the requests are the commands.

use tonic::{Request, Response, Status};

use super::{Engine, MESSAGE_BYTES_MAX};
use crate::emulator::pb::google::pubsub::v1 as pb;
use crate::emulator::pb::google::pubsub::v1::schema_service_server::{SchemaService, SchemaServiceServer};

pub(crate) fn service(engine: Engine) -> SchemaServiceServer<Service> {
    SchemaServiceServer::new(Service { engine }).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

/// The service on its engine.
#[derive(Debug)]
pub(crate) struct Service {
    engine: Engine,
}

#[tonic::async_trait]
impl SchemaService for Service {
    async fn create_schema(&self, request: Request<pb::CreateSchemaRequest>) -> Result<Response<pb::Schema>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn get_schema(&self, request: Request<pb::GetSchemaRequest>) -> Result<Response<pb::Schema>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn list_schemas(&self, request: Request<pb::ListSchemasRequest>) -> Result<Response<pb::ListSchemasResponse>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn list_schema_revisions(
        &self,
        request: Request<pb::ListSchemaRevisionsRequest>,
    ) -> Result<Response<pb::ListSchemaRevisionsResponse>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn commit_schema(&self, request: Request<pb::CommitSchemaRequest>) -> Result<Response<pb::Schema>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn rollback_schema(&self, request: Request<pb::RollbackSchemaRequest>) -> Result<Response<pb::Schema>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn delete_schema_revision(&self, request: Request<pb::DeleteSchemaRevisionRequest>) -> Result<Response<pb::Schema>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn delete_schema(&self, request: Request<pb::DeleteSchemaRequest>) -> Result<Response<()>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn validate_schema(&self, request: Request<pb::ValidateSchemaRequest>) -> Result<Response<pb::ValidateSchemaResponse>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }

    async fn validate_message(
        &self,
        request: Request<pb::ValidateMessageRequest>,
    ) -> Result<Response<pb::ValidateMessageResponse>, Status> {
        Ok(Response::new(self.engine.run(request.into_inner()).await?))
    }
}
