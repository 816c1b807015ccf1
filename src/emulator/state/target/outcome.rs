//! How an attempt ended, in the terms of `google.rpc.Status`.

use std::time::Duration;

use crate::emulator::state::saved::saved;
use crate::emulator::state::{Answer, Code};

/// The status kept of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    /// 0 is success.
    pub(crate) code: i32,
    pub(crate) message: String,
}

saved!(struct Status { code, message });

/// An answer judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) status: Status,
    /// The HTTP status, if there was an answer at all.
    pub(crate) http: Option<u16>,
    /// How long the receiver wants to be left alone.
    pub(crate) retry_after: Option<Duration>,
}

saved!(struct Outcome { status, http; retry_after });

impl Outcome {
    pub(crate) fn of(answer: &Answer) -> Self {
        let (code, http, text) = match answer {
            Answer::Status(status @ 200..=299) => (0, Some(*status), String::new()),
            Answer::Status(status) | Answer::Later { status, .. } => {
                (code_of(*status) as i32, Some(*status), format!("HTTP status code {status}"))
            }
            Answer::TimedOut => (Code::DeadlineExceeded as i32, None, "no response within the deadline".to_owned()),
            Answer::Failed(why) => (Code::Unavailable as i32, None, why.clone()),
        };
        let message = if code == 0 { String::new() } else { format!("{}({code}): {text}", code_name(code)) };
        let retry_after = if let Answer::Later { after, .. } = answer { Some(*after) } else { None };
        Self { status: Status { code, message }, http, retry_after }
    }

    /// The same as Cloud Tasks has it: to be late is a status of 504, not to answer at all one of 0. Why there was none is in the log.
    pub(crate) fn of_task(answer: &Answer) -> Self {
        const LATE: u16 = 504;
        match answer {
            Answer::TimedOut => Self::of(&Answer::Status(LATE)),
            Answer::Failed(_) => {
                let code = Code::Unknown as i32;
                let message = format!("{}({code}): HTTP status code 0", code_name(code));
                Self { status: Status { code, message }, http: None, retry_after: None }
            }
            Answer::Status(_) | Answer::Later { .. } => Self::of(answer),
        }
    }

    pub(crate) fn is_success(&self) -> bool {
        self.status.code == 0
    }
}

/// The canonical code of an HTTP status that is no success (`google/rpc/code.proto`).
fn code_of(status: u16) -> Code {
    match status {
        400 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        409 => Code::Aborted,
        416 => Code::OutOfRange,
        429 => Code::ResourceExhausted,
        499 => Code::Cancelled,
        501 => Code::Unimplemented,
        503 => Code::Unavailable,
        504 => Code::DeadlineExceeded,
        402..=498 => Code::FailedPrecondition,
        500..=599 => Code::Internal,
        _ => Code::Unknown,
    }
}

/// The name of a canonical code as Google writes it.
pub(crate) fn code_name(code: i32) -> &'static str {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    usize::try_from(code).ok().and_then(|index| NAMES.get(index)).copied().unwrap_or("UNKNOWN")
}
