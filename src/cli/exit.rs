//! How a command ends, as the shell sees it.

use std::process::ExitCode;

use crate::error::{Error, Kind};

/// The exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// It failed.
    Failed = 1,
    /// The command line cannot be right, or no project and no emulator is named.
    Usage = 2,
    /// Done in part: something was done or listed, something was not.
    Partial = 3,
    /// A guard rail refused it, or it needs `--yes`.
    Refused = 4,
}

impl Exit {
    /// Tells how a command ends of which `done` things worked and `failed` did not.
    pub(crate) fn of(done: usize, failed: usize) -> Self {
        match (done, failed) {
            (_, 0) => Self::Done,
            (0, _) => Self::Failed,
            _ => Self::Partial,
        }
    }
}

impl From<&Error> for Exit {
    fn from(error: &Error) -> Self {
        match error.kind() {
            Kind::InvalidInput => Self::Usage,
            Kind::Refused => Self::Refused,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
