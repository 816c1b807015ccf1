//! How often tasks may be run by hand: the service's quota, per project and region.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::emulator::state::saved::saved;
use crate::emulator::state::{Code, Info, Refusal};
use crate::names::Location;

/// Calls of `RunTask` in a minute.
const RUNS_PER_MINUTE: u32 = 60;

/// Calls of `RunTask` in the current minute, by location.
#[derive(Debug, Default)]
pub(super) struct Runs {
    minute: i64,
    counts: HashMap<Location, u32>,
}

saved!(struct Runs { minute, counts });

impl Runs {
    /// Counts a call, or refuses it.
    pub(super) fn count(&mut self, location: &Location, now: Timestamp) -> Result<(), Refusal> {
        let minute = now.as_second().div_euclid(60);
        if minute != self.minute {
            *self = Self { minute, counts: HashMap::new() };
        }
        let count = self.counts.entry(location.clone()).or_default();
        if *count >= RUNS_PER_MINUTE {
            return Err(exceeded(location));
        }
        *count += 1;
        Ok(())
    }
}

fn exceeded(location: &Location) -> Refusal {
    let project = location.project();
    let message = format!(
        "Quota exceeded for quota metric 'Run task requests' and limit 'Run task requests per minute per region' of service \
         'cloudtasks.googleapis.com' for consumer '{project}'."
    );
    let metadata = [
        ("service", "cloudtasks.googleapis.com".to_owned()),
        ("quota_limit_value", RUNS_PER_MINUTE.to_string()),
        ("quota_location", location.id().to_owned()),
        ("consumer", project.to_string()),
    ];
    let metadata = metadata.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Refusal::new(Code::ResourceExhausted, message).with_info(Info { reason: "RATE_LIMIT_EXCEEDED", domain: "googleapis.com", metadata })
}
