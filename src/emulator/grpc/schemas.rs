//! `google.pubsub.v1.SchemaService`: known by name, and not implemented.

use crate::emulator::pb::google::pubsub::v1::schema_service_server::{SchemaService, SchemaServiceServer};

pub(crate) fn service() -> SchemaServiceServer<Service> {
    SchemaServiceServer::new(Service)
}

/// Every method answers that it is not implemented.
#[derive(Debug)]
pub(crate) struct Service;

impl SchemaService for Service {}
