//! The user's configuration of the console: `config.toml` in the folder of the platform (on Linux `~/.config/redrive`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::ops::{Guard, Typed};

/// A configuration is read to this size; a longer one is none.
const CONFIG_BYTES_MAX: u64 = 256 * 1024;

/// What the user set; everything has a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The theme's name; unset: by the terminal's background.
    pub(crate) theme: Option<String>,
    /// Whether the mouse is listened to.
    pub(crate) mouse: bool,
    /// Whether to draw with ASCII only.
    pub(crate) ascii: bool,
    /// Keys by action id.
    pub(crate) keys: BTreeMap<String, Vec<String>>,
    /// What holds for which projects; the first that matches counts.
    pub(crate) context: Vec<ContextRule>,
}

impl Default for Config {
    fn default() -> Self {
        Self { theme: None, mouse: true, ascii: false, keys: BTreeMap::new(), context: Vec::new() }
    }
}

/// What holds for projects whose id matches.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContextRule {
    /// The project's id, with `*` for any run of characters.
    pub(crate) project: String,
    /// How the header is coloured.
    pub(crate) env: Option<Env>,
    /// Whether actions that change something are off.
    #[serde(default)]
    pub(crate) read_only: bool,
    /// How many tasks or messages one action may change.
    pub(crate) max_bulk: Option<u64>,
    /// What is typed before something that cannot be undone: the `name` of what it is about, or the `count`.
    #[serde(default)]
    pub(crate) confirm: Typed,
}

/// What kind of place a project is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Env {
    /// Real users.
    Prod,
    /// Nearly so.
    Stage,
    /// To play with.
    Dev,
}

impl Config {
    /// Reads the configuration in `folder`; without a file, or a folder, all is default.
    pub fn load(folder: Option<&Path>) -> Result<Self> {
        let Some(path) = folder.map(|folder| folder.join("config.toml")).filter(|path| path.is_file()) else {
            return Ok(Self::default());
        };
        let origin = path.display();
        if path.metadata().is_ok_and(|meta| meta.len() > CONFIG_BYTES_MAX) {
            return Err(Error::invalid(format!("`{origin}` is larger than {CONFIG_BYTES_MAX} bytes")));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| Error::from(error).context(format!("`{origin}`")))?;
        toml::from_str(&text).map_err(|error| {
            let line = text[..error.span().map_or(0, |span| span.start).min(text.len())].matches('\n').count() + 1;
            Error::invalid(format!("`{origin}`, line {line}: {}", error.message())).with_hint(
                "known are `theme`, `mouse`, `ascii`, `[keys]` and `[[context]]` with `project`, `env`, `read_only`, `max_bulk`, `confirm`",
            )
        })
    }

    /// Returns the folder of the platform where configuration and themes are.
    pub fn folder() -> Option<PathBuf> {
        directories::ProjectDirs::from("", "", "redrive").map(|dirs| dirs.config_dir().to_owned())
    }

    /// Tells what a project's context allows, so that the operations refuse the rest.
    pub fn guard(&self, project: &str) -> Guard {
        let rule = self.rule(project);
        Guard { read_only: rule.read_only, max_bulk: rule.max_bulk, typed: rule.confirm }
    }

    /// Makes every project read-only.
    #[must_use]
    pub(crate) fn read_only(mut self) -> Self {
        self.context.iter_mut().for_each(|rule| rule.read_only = true);
        self.context.push(ContextRule { project: "*".to_owned(), read_only: true, ..ContextRule::default() });
        self
    }

    /// Returns what holds for a project.
    pub(crate) fn rule(&self, project: &str) -> ContextRule {
        self.context.iter().find(|rule| glob(&rule.project, project)).cloned().unwrap_or_default()
    }
}

/// Tells whether `text` matches `pattern`, in which `*` stands for any run of characters.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.toml"), text).unwrap();
        Config::load(Some(dir.path()))
    }

    #[test]
    fn contexts_match_by_glob() {
        let config =
            read("[[context]]\nproject = \"*-prod\"\nenv = \"prod\"\nread_only = true\n[[context]]\nproject = \"shop-*-x\"\n").unwrap();
        assert!(config.guard("shop-prod").read_only && !config.guard("shop-prod-2").read_only);
        assert_eq!(config.rule("shop-prod").env, Some(Env::Prod));
        for (pattern, text, matches) in
            [("a*b*c", "a1b2c", true), ("a*b*c", "ac", false), ("*", "", true), ("x", "x", true), ("x", "xy", false), ("ab*b", "ab", false)]
        {
            assert_eq!(glob(pattern, text), matches, "{pattern} {text}");
        }
    }

    #[test]
    fn contexts_say_how_much_and_what_is_typed() {
        let config = read("[[context]]\nproject = \"shop\"\nmax_bulk = 50\nconfirm = \"name\"\n").unwrap();
        assert_eq!(config.guard("shop"), Guard { read_only: false, max_bulk: Some(50), typed: Typed::Name });
        assert_eq!(config.guard("other"), Guard::default());
        assert!(read("[[context]]\nproject = \"shop\"\nconfirm = \"maybe\"\n").is_err());
    }

    #[test]
    fn a_broken_file_names_its_line() {
        let error = read("mouse = true\nthem = \"dark\"\n").unwrap_err().to_string();
        assert!(error.contains("config.toml`, line 2: unknown field `them`"), "{error}");
        assert!(Config::load(None).unwrap().mouse);
    }
}
