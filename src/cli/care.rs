//! How carefully a redrive goes: a few first, what comes back, and what is changed on the way.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::args::{duration, percent};
use crate::error::{Error, Result};
use crate::ops::transfer::{Canary, Options, read_patch};

/// How carefully a redrive goes, and what it changes on the way.
#[derive(Debug, Args)]
pub(super) struct Care {
    /// Send so many first, wait whether they come back, then ask; with `--yes` the rest follows if none came back
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    canary: Option<u64>,
    /// How long the canary is waited for
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "30s", requires = "canary")]
    canary_wait: Duration,
    /// Stop once more than so many percent of what was sent came back
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    stop_on_return: Option<u8>,
    /// Watch for so long after the last message whether any comes back
    #[arg(long, value_name = "TIME", value_parser = duration)]
    watch: Option<Duration>,
    /// Change each message by this JSON patch (RFC 6902) of `payload`, `attributes` and `orderingKey`; originals are kept on this machine
    #[arg(long, value_name = "FILE")]
    patch: Option<PathBuf>,
    /// Change the first message that is selected in `$EDITOR`, and all of them in the same way
    #[arg(long, conflicts_with = "patch")]
    pub(super) edit: bool,
}

impl Care {
    /// Reads what is asked for; without asking, the rest follows a canary of which nothing came back.
    pub(super) fn options(&self, yes: bool) -> Result<Options> {
        let read = |path: &PathBuf| {
            let text = std::fs::read_to_string(path).map_err(|error| Error::from(error).context(format!("`{}`", path.display())))?;
            read_patch(&text)
        };
        Ok(Options {
            canary: self.canary.map(|count| Canary { count, wait: self.canary_wait, go_on: yes }),
            stop_on_return: self.stop_on_return,
            watch: self.watch,
            patch: self.patch.as_ref().map(read).transpose()?,
            force: false,
        })
    }
}
