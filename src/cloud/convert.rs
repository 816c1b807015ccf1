//! Times and counts of Google's models as ours.

use std::time::Duration;

use jiff::Timestamp;

/// Reads a time; `None` for one that no clock of ours can show.
pub(crate) fn timestamp(time: &google_cloud_wkt::Timestamp) -> Option<Timestamp> {
    Timestamp::new(time.seconds(), time.nanos()).ok()
}

/// Reads a span; negative ones count as none.
pub(crate) fn duration(span: &google_cloud_wkt::Duration) -> Duration {
    Duration::new(u64::try_from(span.seconds()).unwrap_or(0), u32::try_from(span.nanos()).unwrap_or(0))
}

/// Reads a count; negative ones count as zero.
pub(crate) fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}
