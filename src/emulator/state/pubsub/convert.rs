//! Protobuf's times and durations to jiff's and back.

use jiff::{SignedDuration, Timestamp};
use prost_types::{Duration as PbDuration, Timestamp as PbTimestamp};

pub(super) fn duration(pb: &PbDuration) -> SignedDuration {
    SignedDuration::from_secs(pb.seconds).saturating_add(SignedDuration::from_nanos(pb.nanos.into()))
}

pub(super) fn pb_duration(seconds: i64) -> PbDuration {
    PbDuration { seconds, nanos: 0 }
}

pub(super) fn timestamp(pb: &PbTimestamp) -> Option<Timestamp> {
    Timestamp::new(pb.seconds, pb.nanos).ok()
}

/// Cut to microseconds, as Google has its times.
pub(super) fn pb_timestamp(time: Timestamp) -> PbTimestamp {
    // Protobuf counts nanoseconds upwards from the second before.
    let nanos = time.as_nanosecond().rem_euclid(1_000_000_000) / 1000 * 1000;
    let seconds = time.as_nanosecond().div_euclid(1_000_000_000);
    PbTimestamp {
        seconds: i64::try_from(seconds).expect("jiff's range of years fits seconds in 64 bits"),
        nanos: i32::try_from(nanos).expect("less than 10⁹"),
    }
}

/// `time + by`, or the end of time.
pub(super) fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}
