//! The folder of this user: journals, kept copies, activity and logs.

use std::path::PathBuf;

use directories::ProjectDirs;

use crate::error::{Error, Kind, Result};

/// Overrides the folder, for tests and for machines without a home.
const VARIABLE: &str = "REDRIVE_HOME";

/// Where things of this user lie.
#[derive(Debug, Clone)]
pub(super) struct Home {
    /// Journals, kept copies, activity, logs.
    pub(super) state: PathBuf,
}

/// Returns the folder that takes the place of all of the platform's, if the user named one.
pub fn home_override() -> Option<PathBuf> {
    std::env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from)
}

impl Home {
    /// Finds the folder; makes nothing.
    pub(super) fn find() -> Result<Self> {
        if let Some(state) = home_override() {
            return Ok(Self { state });
        }
        let dirs = ProjectDirs::from("", "", "redrive").ok_or_else(|| {
            Error::new(Kind::Io, "this user has no home folder").with_hint(format!("set `{VARIABLE}` to a folder that may be written to"))
        })?;
        Ok(Self { state: dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_owned() })
    }
}
