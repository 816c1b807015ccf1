//! The environment of the process as a value, so that discovery can be tested without changing it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Environment variables and the home folder, read once.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: HashMap<String, String>,
    home: Option<PathBuf>,
}

impl Environment {
    /// Reads the environment of this process; what is not UTF-8 is left out.
    pub fn of_process() -> Self {
        let variables = std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?))).collect();
        Self { variables, home: std::env::home_dir() }
    }

    /// Makes an environment of its parts.
    pub fn new<'a>(home: Option<&Path>, variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let variables = variables.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Self { variables, home: home.map(Path::to_owned) }
    }

    /// Returns a variable; one that is set to nothing counts as unset.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Returns gcloud's configuration folder.
    pub(crate) fn gcloud_folder(&self) -> Option<PathBuf> {
        match self.get("CLOUDSDK_CONFIG") {
            Some(folder) => Some(folder.into()),
            None => self.home.as_ref().map(|home| home.join(".config/gcloud")),
        }
    }
}
