//! What has become of batches (`google.longrunning.Operations`, of which Cloud Tasks serves `GetOperation` alone).

use prost::Message as _;
use tonic::{Request, Response, Status};

use super::super::Engine;
use super::named;
use crate::emulator::pb::google::longrunning::operations_server::Operations;
use crate::emulator::pb::google::longrunning::{GetOperationRequest, Operation};

/// The service on its engine.
#[derive(Debug)]
pub(crate) struct Service {
    pub(super) engine: Engine,
}

#[tonic::async_trait]
impl Operations for Service {
    async fn get_operation(&self, request: Request<GetOperationRequest>) -> Result<Response<Operation>, Status> {
        let name = named(&request.get_ref().name, "google.longrunning.Operations.GetOperation")?;
        let kept = self.engine.read(|state, _| state.tasks.operation(name))?;
        let operation = Operation::decode(kept).map_err(|error| Status::internal(error.to_string()))?;
        Ok(Response::new(operation))
    }
}
