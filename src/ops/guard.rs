//! What a context allows: nothing that changes something, only so much at once, or only after a name or a count was typed.

use serde::Deserialize;

use crate::error::{Error, Kind, Result};
use crate::ops::Ops;

/// What holds for a project; by default everything is allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guard {
    /// Whether everything that changes something is refused.
    pub read_only: bool,
    /// How many tasks or messages one action may change.
    pub max_bulk: Option<u64>,
    /// What an operator types before something that cannot be undone.
    pub typed: Typed,
}

/// What an operator types before something that cannot be undone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Typed {
    /// Nothing: a yes is enough.
    #[default]
    Nothing,
    /// How many it is about; on the command line `--yes` is enough.
    Count,
    /// The name of what it is about; also on the command line (`--confirm NAME`).
    Name,
}

impl Guard {
    /// Refuses everything that changes something.
    pub fn read_only() -> Self {
        Self { read_only: true, ..Self::default() }
    }
}

impl Ops {
    /// Returns what the context allows.
    pub fn guard(&self) -> &Guard {
        &self.0.guard
    }

    /// Refuses where the context is read-only.
    pub(crate) fn refuse_read_only(&self) -> Result<()> {
        if !self.0.guard.read_only {
            return Ok(());
        }
        Err(Error::new(Kind::Refused, "this context is read-only: nothing is changed").with_hint(
            "`--read-only`, `REDRIVE_READ_ONLY` or `read_only` of the context in `config.toml` says so: leave it out to change things",
        ))
    }

    /// Refuses to change more at once than the context allows; `count` is `None` where that is not known.
    pub(crate) fn refuse_bulk(&self, count: Option<u64>, what: &str) -> Result<()> {
        let Some(max) = self.0.guard.max_bulk else { return Ok(()) };
        let count = match count {
            Some(count) if count <= max => return Ok(()),
            Some(count) => format!("{count} {what}"),
            None => format!("an unknown number of {what}"),
        };
        Err(Error::new(Kind::Refused, format!("{count} are more than this context allows at once ({max})"))
            .with_hint("`max_bulk` of the context in `config.toml` says so: take fewer, such as by a filter or `--max`"))
    }
}
