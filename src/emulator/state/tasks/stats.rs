//! A queue in numbers, for Monitoring and the queue's own `stats`.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Queue, Tasks};
use crate::emulator::state::saved::saved;

const SECONDS: usize = 60;

/// Counts since the queue was made, and of the last minute by seconds.
#[derive(Debug, Clone)]
pub(crate) struct Samples {
    /// Answered attempts by canonical code.
    attempts: BTreeMap<i32, u64>,
    /// Dispatches in each second of the last minute: the second, and how many.
    recent: [(i64, u32); SECONDS],
}

saved!(struct Samples { attempts, recent });

/// What the queue's `stats` say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct QueueStats {
    pub(crate) tasks: u64,
    pub(crate) oldest_due: Option<Timestamp>,
    pub(crate) executed_last_minute: u64,
    pub(crate) under_way: u64,
    pub(crate) rate: f64,
}

impl Default for Samples {
    fn default() -> Self {
        Self { attempts: BTreeMap::new(), recent: [(i64::MIN, 0); SECONDS] }
    }
}

impl Samples {
    pub(super) fn dispatched(&mut self, now: Timestamp) {
        let second = now.as_second();
        let slot = &mut self.recent[usize::try_from(second.rem_euclid(60)).unwrap_or(0)];
        *slot = (second, if slot.0 == second { slot.1.saturating_add(1) } else { 1 });
    }

    pub(super) fn answered(&mut self, code: i32) {
        *self.attempts.entry(code).or_default() += 1;
    }

    /// Answered attempts by canonical code, since the queue was made.
    pub(crate) fn attempts(&self) -> &BTreeMap<i32, u64> {
        &self.attempts
    }

    fn last_minute(&self, now: Timestamp) -> u64 {
        self.recent.iter().filter(|(second, _)| now.as_second() - 60 < *second).map(|(_, count)| u64::from(*count)).sum()
    }
}

impl Queue {
    pub(crate) fn stats(&self, now: Timestamp) -> QueueStats {
        QueueStats {
            tasks: self.depth() as u64,
            oldest_due: self.oldest_due(),
            executed_last_minute: self.samples.last_minute(now),
            under_way: self.under_way() as u64,
            rate: self.pace().per_second,
        }
    }
}

impl Tasks {
    /// Returns a queue by its full name.
    pub(crate) fn queue_of_name(&self, name: &str) -> Option<&Queue> {
        self.queues.get(name)
    }

    /// Returns all queues of all projects, in order of their names.
    pub(crate) fn queues(&self) -> impl Iterator<Item = &Queue> {
        self.queues.values()
    }
}
