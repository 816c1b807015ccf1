//! Google's well-known types to ours and back.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use prost_types::Duration as ProtoDuration;
use prost_types::Timestamp as ProtoTimestamp;

use crate::emulator::state::Refusal;
use crate::emulator::state::target::Status;

use super::super::pb::google::rpc;

/// Cut to microseconds, as Google has its times.
pub(super) fn timestamp(at: Timestamp) -> ProtoTimestamp {
    // A proto's nanoseconds count forward from its seconds, also before 1970.
    let (mut seconds, mut nanos) = (at.as_second(), at.subsec_nanosecond());
    if nanos < 0 {
        (seconds, nanos) = (seconds - 1, nanos + 1_000_000_000);
    }
    ProtoTimestamp { seconds, nanos: nanos / 1000 * 1000 }
}

pub(super) fn from_timestamp(at: ProtoTimestamp, field: &str) -> Result<Timestamp, Refusal> {
    Timestamp::new(at.seconds, at.nanos).map_err(|_| Refusal::invalid(format!("{field} is not a valid timestamp.")))
}

pub(super) fn duration(duration: Duration) -> ProtoDuration {
    ProtoDuration { seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX), nanos: duration.subsec_nanos().cast_signed() }
}

/// Keeps the sign, for the state to refuse.
pub(super) fn from_duration(duration: ProtoDuration) -> SignedDuration {
    SignedDuration::from_secs(duration.seconds).saturating_add(SignedDuration::from_nanos(i64::from(duration.nanos)))
}

/// Refuses negative durations.
pub(super) fn from_unsigned(duration: ProtoDuration, field: &str) -> Result<Duration, Refusal> {
    Duration::try_from(from_duration(duration)).map_err(|_| Refusal::invalid(format!("{field} must not be negative.")))
}

pub(super) fn status(status: &Status) -> rpc::Status {
    rpc::Status { code: status.code, message: status.message.clone(), details: Vec::new() }
}

/// A refusal inside an answer, as lists of partial failures have them.
pub(super) fn refusal(refusal: Refusal) -> rpc::Status {
    rpc::Status { code: refusal.code as i32, message: refusal.message, details: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_cut_to_microseconds() {
        let cut = |nanosecond: i128| timestamp(Timestamp::from_nanosecond(nanosecond).unwrap());
        assert_eq!(cut(1_234_567_891), ProtoTimestamp { seconds: 1, nanos: 234_567_000 });
        assert_eq!(cut(-1), ProtoTimestamp { seconds: -1, nanos: 999_999_000 });
    }
}
