//! The places of Google's cloud, as the services list them: some real regions, and whichever hold something here.

use std::collections::BTreeSet;

use tonic::{Request, Response, Status};

use super::{Engine, MESSAGE_BYTES_MAX};
use crate::emulator::pb::google::cloud::location::locations_server::{Locations, LocationsServer};
use crate::emulator::pb::google::cloud::location::{GetLocationRequest, ListLocationsRequest, ListLocationsResponse, Location};
use crate::emulator::state::{Refusal, State};
use crate::names::{LocationId, ProjectId};

/// Listed even while nothing is there: one region of each continent that has Cloud Tasks, and what tutorials use.
const REGIONS: [&str; 8] = [
    "asia-northeast1",
    "australia-southeast1",
    "europe-west1",
    "europe-west3",
    "southamerica-east1",
    "us-central1",
    "us-east1",
    "us-west1",
];
/// A page holds at most this many.
const PAGE_LOCATIONS_MAX: usize = 1000;

pub(crate) fn service(engine: Engine) -> LocationsServer<Service> {
    LocationsServer::new(Service { engine }).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

/// The service on its engine.
#[derive(Debug)]
pub(crate) struct Service {
    engine: Engine,
}

#[tonic::async_trait]
impl Locations for Service {
    async fn list_locations(&self, request: Request<ListLocationsRequest>) -> Result<Response<ListLocationsResponse>, Status> {
        let request = request.into_inner();
        let project = project_of(&request.name)?;
        let held = self.engine.read(|state, _| held(state, &project));
        let all: BTreeSet<String> = REGIONS.map(str::to_owned).into_iter().chain(held).collect();
        // The token is the last location given; what sorts after it comes next.
        let after = request.page_token;
        let size = match usize::try_from(request.page_size) {
            Err(_) => return Err(Refusal::invalid("The page size must not be negative.").into()),
            Ok(0) => PAGE_LOCATIONS_MAX,
            Ok(size) => size.min(PAGE_LOCATIONS_MAX),
        };
        let mut left = all.into_iter().filter(|id| *id > after);
        let ids: Vec<String> = left.by_ref().take(size).collect();
        let next_page_token = ids.last().filter(|_| left.next().is_some()).cloned().unwrap_or_default();
        let locations = ids.iter().map(|id| location(&project, id)).collect();
        Ok(Response::new(ListLocationsResponse { locations, next_page_token }))
    }

    async fn get_location(&self, request: Request<GetLocationRequest>) -> Result<Response<Location>, Status> {
        let name = request.into_inner().name;
        let malformed = || Refusal::invalid(format!("Invalid resource name: `{}`.", name.escape_debug()));
        let (project, id) = name.split_once("/locations/").ok_or_else(malformed)?;
        let id: LocationId = id.parse().map_err(|_| malformed())?;
        Ok(Response::new(location(&project_of(project)?, id.as_str())))
    }
}

fn project_of(name: &str) -> Result<ProjectId, Refusal> {
    let id = name.strip_prefix("projects/").and_then(|id| id.parse().ok());
    id.ok_or_else(|| Refusal::invalid(format!("Invalid resource name: `{}`.", name.escape_debug())))
}

/// Where the project has queues or jobs.
fn held(state: &State, project: &ProjectId) -> Vec<String> {
    let queues = state.tasks.queues().map(|queue| queue.name.location());
    let jobs = state.scheduler.jobs().map(|job| job.name.location());
    let of_project = queues.chain(jobs).filter(|location| location.project().id() == project.as_str());
    of_project.map(|location| location.id().to_owned()).collect()
}

fn location(project: &ProjectId, id: &str) -> Location {
    Location {
        name: format!("projects/{project}/locations/{id}"),
        location_id: id.to_owned(),
        labels: [("cloud.googleapis.com/region".to_owned(), id.to_owned())].into(),
        ..Location::default()
    }
}
