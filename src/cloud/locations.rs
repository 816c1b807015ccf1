//! The locations of a project: asked once in a while, for they hardly ever change.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::cloud::Cloud;
use crate::error::Result;
use crate::names::LocationId;

/// Google has some forty regions.
pub(crate) const LOCATIONS_MAX: usize = 500;

/// Locations are asked for again after this long.
const FRESH_FOR: Duration = Duration::from_mins(5);

/// Locations as last answered, by service.
#[derive(Default)]
pub(crate) struct Known {
    tasks: Memory,
    scheduler: Memory,
}

/// When locations were asked for, and what was answered.
type Memory = Mutex<Option<(Instant, Vec<LocationId>)>>;

impl Cloud {
    /// Returns the locations to be asked for queues: those that the user narrowed to, else all that Cloud Tasks has.
    pub(crate) async fn queue_locations(&self) -> Result<Vec<LocationId>> {
        self.remembered(&self.0.known_locations.tasks, self.list_task_locations()).await
    }

    /// Returns the locations to be asked for jobs: those that the user narrowed to, else all that Cloud Scheduler has.
    pub(crate) async fn job_locations(&self) -> Result<Vec<LocationId>> {
        self.remembered(&self.0.known_locations.scheduler, self.list_job_locations()).await
    }

    async fn remembered(&self, memory: &Memory, ask: impl Future<Output = Result<Vec<LocationId>>>) -> Result<Vec<LocationId>> {
        if !self.locations().is_empty() {
            return Ok(self.locations().to_vec());
        }
        let known = memory.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, locations)) = known.filter(|(asked, _)| asked.elapsed() < FRESH_FOR) {
            return Ok(locations);
        }
        let locations: Vec<_> = BTreeSet::from_iter(ask.await?).into_iter().collect();
        *memory.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), locations.clone()));
        Ok(locations)
    }
}
