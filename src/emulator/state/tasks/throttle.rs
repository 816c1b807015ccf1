//! What keeps a worker from being overloaded: while it says that it is, its queue goes slower than it is set to.

use super::settings::Settings;
use super::task::Target;
use crate::emulator::state::saved::saved;
use crate::emulator::state::target::Outcome;

/// Each answer that says "too much" halves the rate, this often at most; the service does not say how much it does.
const HALVINGS_MAX: u32 = 9;
/// A queue that is set to more is not slowed below this, in dispatches a second.
const SLOWEST_PER_SECOND: f64 = 1.0;

/// How often the rate is halved.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Throttle {
    halvings: u32,
}

saved!(struct Throttle { halvings });

/// How fast tasks may go out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pace {
    pub(crate) per_second: f64,
    pub(crate) burst: u32,
}

impl Throttle {
    /// Goes slower after 429 and 503 (of App Engine: 503 only), and faster again with each success.
    pub(super) fn note(&mut self, outcome: &Outcome, target: &Target) {
        let overloaded = match target {
            Target::Http(_) => matches!(outcome.http, Some(429 | 503)),
            Target::AppEngine(_) => outcome.http == Some(503),
        };
        if overloaded {
            self.halvings = (self.halvings + 1).min(HALVINGS_MAX);
        } else if outcome.is_success() {
            self.halvings = self.halvings.saturating_sub(1);
        }
    }

    pub(super) fn pace(self, settings: &Settings) -> Pace {
        let slowed = settings.per_second / f64::from(1_u32 << self.halvings);
        Pace { per_second: slowed.max(settings.per_second.min(SLOWEST_PER_SECOND)), burst: (settings.burst >> self.halvings).max(1) }
    }
}
