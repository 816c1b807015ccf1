//! What gcloud's configuration says: the project of the active configuration. Reads files; runs nothing.

use std::path::Path;

use crate::cloud::environment::Environment;
use crate::error::{Error, Result};
use crate::names::ProjectId;

/// A configuration file is a few hundred bytes; more than this is something else.
const CONFIG_BYTES_MAX: u64 = 256 * 1024;

/// Finds the project of gcloud's active configuration: `CLOUDSDK_CORE_PROJECT`, else `core/project` of the configuration that
/// `CLOUDSDK_ACTIVE_CONFIG_NAME` or the file `active_config` names.
pub(crate) fn project(environment: &Environment) -> Result<Option<ProjectId>> {
    if let Some(text) = environment.get("CLOUDSDK_CORE_PROJECT") {
        return text.parse().map(Some).map_err(|error: Error| error.context("`CLOUDSDK_CORE_PROJECT`"));
    }
    let Some(folder) = environment.gcloud_folder() else { return Ok(None) };
    let active = read(&folder.join("active_config"));
    let name = match environment.get("CLOUDSDK_ACTIVE_CONFIG_NAME") {
        Some(name) => name,
        None => active.as_deref().map(str::trim).filter(|name| !name.is_empty()).unwrap_or("default"),
    };
    if name.contains(['/', '\\']) {
        return Ok(None);
    }
    let path = folder.join("configurations").join(format!("config_{name}"));
    let Some(text) = read(&path) else { return Ok(None) };
    let Some(project) = value(&text, "core", "project") else { return Ok(None) };
    let hint = "set it with `gcloud config set project PROJECT`";
    project.parse().map(Some).map_err(|error: Error| error.context(format!("`{}`", path.display())).with_hint(hint))
}

fn read(path: &Path) -> Option<String> {
    let small = std::fs::metadata(path).is_ok_and(|about| about.is_file() && about.len() <= CONFIG_BYTES_MAX);
    small.then(|| std::fs::read_to_string(path).ok()).flatten()
}

/// Returns a value of an INI file.
fn value<'a>(text: &'a str, section: &str, key: &str) -> Option<&'a str> {
    let mut inside = false;
    let mut found = None;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = name.trim() == section;
        } else if inside && !line.starts_with(['#', ';']) {
            let pair = line.split_once('=').filter(|(name, _)| name.trim() == key);
            found = pair.map(|(_, value)| value.trim()).filter(|value| !value.is_empty()).or(found);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_an_ini_file() {
        let text = "[compute]\nproject = wrong\n\n[core]\n# project = old\naccount = a@b.c\nproject=shop-prod \n";
        assert_eq!(value(text, "core", "project"), Some("shop-prod"));
        assert_eq!(value(text, "core", "zone"), None);
        assert_eq!(value("[core]\nproject =\n", "core", "project"), None);
    }

    #[test]
    fn follows_the_active_configuration() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".config/gcloud");
        std::fs::create_dir_all(folder.join("configurations")).unwrap();
        for (name, project) in [("default", "one"), ("work", "two"), ("bad", "no good")] {
            std::fs::write(folder.join("configurations").join(format!("config_{name}")), format!("[core]\nproject = {project}\n")).unwrap();
        }
        let found = |variables: &[(&str, &str)]| {
            project(&Environment::new(Some(home.path()), variables.iter().copied())).map(|project| project.map(String::from))
        };
        assert_eq!(found(&[]).unwrap().as_deref(), Some("one"));
        std::fs::write(folder.join("active_config"), "work\n").unwrap();
        assert_eq!(found(&[]).unwrap().as_deref(), Some("two"));
        assert_eq!(found(&[("CLOUDSDK_ACTIVE_CONFIG_NAME", "default")]).unwrap().as_deref(), Some("one"));
        assert_eq!(found(&[("CLOUDSDK_ACTIVE_CONFIG_NAME", "gone")]).unwrap(), None);
        assert_eq!(found(&[("CLOUDSDK_ACTIVE_CONFIG_NAME", "../x")]).unwrap(), None);
        assert_eq!(found(&[("CLOUDSDK_CORE_PROJECT", "three")]).unwrap().as_deref(), Some("three"));
        assert!(found(&[("CLOUDSDK_ACTIVE_CONFIG_NAME", "bad")]).unwrap_err().to_string().contains("config_bad"));
        let elsewhere = tempfile::tempdir().unwrap();
        assert_eq!(found(&[("CLOUDSDK_CONFIG", elsewhere.path().to_str().unwrap())]).unwrap(), None);
    }
}
