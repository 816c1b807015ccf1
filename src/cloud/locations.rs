//! The locations of a project: asked once in a while, for they hardly ever change.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::cloud::Cloud;
use crate::cloud::endpoint::Api;
use crate::error::Result;
use crate::names::LocationId;

/// Google has some forty regions.
pub(crate) const LOCATIONS_MAX: usize = 500;

/// Locations are asked for again after this long.
const FRESH_FOR: Duration = Duration::from_secs(5 * 60);

/// Locations as last answered, by service.
#[derive(Default)]
pub(crate) struct Known {
    tasks: Mutex<Option<(Instant, Vec<LocationId>)>>,
    scheduler: Mutex<Option<(Instant, Vec<LocationId>)>>,
}

impl Cloud {
    /// Returns the locations to be asked about a service: those that the user narrowed to, else all that the service has.
    pub(crate) async fn locations_of(&self, api: Api) -> Result<Vec<LocationId>> {
        if !self.locations().is_empty() {
            return Ok(self.locations().to_vec());
        }
        let known = if api == Api::Scheduler { &self.0.known_locations.scheduler } else { &self.0.known_locations.tasks };
        if let Some((asked, locations)) = &*known.lock().unwrap_or_else(PoisonError::into_inner)
            && asked.elapsed() < FRESH_FOR
        {
            return Ok(locations.clone());
        }
        let found = if api == Api::Scheduler { self.job_locations().await? } else { self.task_locations().await? };
        let locations: Vec<_> = BTreeSet::from_iter(found).into_iter().collect();
        *known.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), locations.clone()));
        Ok(locations)
    }
}
