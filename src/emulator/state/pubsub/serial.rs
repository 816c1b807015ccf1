//! The one source of numbers: message ids, leases and streams.

use crate::emulator::state::saved::saved;
use jiff::Timestamp;

/// Gives numbers that only increase, also from one process to the next: each is at least the moment in microseconds. No number is ever given
/// twice, so what refers to an old lease, stream or subscription is recognised without a record of it.
#[derive(Debug, Default)]
pub(super) struct Serial(u64);

saved!(tuple Serial);

impl Serial {
    pub(super) fn next(&mut self, now: Timestamp) -> u64 {
        let clock = u64::try_from(now.as_microsecond()).unwrap_or(0);
        self.0 = clock.max(self.0 + 1);
        self.0
    }

    /// The last number given.
    pub(super) fn last(&self) -> u64 {
        self.0
    }
}
