//! The one way out to Google's services, or to an emulator of them: official clients, endpoints, credentials, time limits.

use crate::error::{Error, Result};
use crate::names::{LocationId, Project, ProjectId};

/// Where calls go and as whom. Cheap to clone.
#[derive(Clone)]
pub struct Cloud {}

/// What the user said on the command line; unset fields are found in the environment.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `--project`
    pub project: Option<ProjectId>,
    /// `--location` (several narrow the listings)
    pub locations: Vec<LocationId>,
    /// `--emulator HOST:PORT`: one that serves all three services and Monitoring.
    pub emulator: Option<String>,
    /// `--impersonate-service-account`
    pub impersonate: Option<String>,
    /// `--quota-project` / `GOOGLE_CLOUD_QUOTA_PROJECT`
    pub quota_project: Option<String>,
}

/// What was found of project, credentials and emulators.
pub enum Found {
    /// Enough to go on.
    Ready(Box<Cloud>),
    /// Neither a project nor credentials nor an emulator: a newcomer's machine.
    Nothing,
    /// One without the other, or something that cannot be used: shown as it is, never replaced by sample data.
    Broken(Error),
}

/// What the calls go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Google Cloud.
    Google,
    /// An emulator at `host:port`.
    Emulator(String),
}

impl Cloud {
    /// Finds project, locations and credentials as `facts/google.md` says. Reads files and environment only; the metadata server gets 500 ms, in [`Cloud::discover`].
    pub async fn discover(settings: &Settings) -> Found {
        todo!()
    }

    /// Connects to an emulator at `host:port` that serves everything.
    pub fn emulator(host: &str, project: ProjectId) -> Result<Self> {
        todo!()
    }

    /// Returns the project.
    pub fn project(&self) -> &Project {
        todo!()
    }

    /// Returns what the calls go to.
    pub fn place(&self) -> &Place {
        todo!()
    }

    /// Returns the locations that the user narrowed to; empty is all.
    pub fn locations(&self) -> &[LocationId] {
        todo!()
    }
}
