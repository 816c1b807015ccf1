//! Rows of what the doctor found.

use crate::console::app::row::{Column, Row};
use crate::console::app::value::Value;
use crate::console::theme::{Role, State};
use crate::ops::{Finding, Health};

/// What was found about one thing.
pub(crate) struct FindingRow {
    key: String,
    /// What was found.
    pub(crate) finding: Finding,
}

impl FindingRow {
    /// Makes its row; `index` tells findings about one thing apart.
    pub(crate) fn new(finding: Finding, index: usize) -> Self {
        Self { key: format!("{} {index}", finding.about), finding }
    }
}

impl Row for FindingRow {
    const COLUMNS: &'static [Column] = &[
        Column::text("about", "what", 28, 0),
        Column::text("found", "found", Column::FILL, 0),
        Column::text("advice", "what to do", 60, Column::WIDE),
    ];

    fn key(&self) -> &str {
        &self.key
    }

    fn value(&self, column: usize) -> Value<'_> {
        match column {
            0 => Value::text(self.finding.about.as_str()),
            1 => Value::text(self.finding.found.as_str()),
            _ => self.finding.advice.first().map_or(Value::None, |step| Value::text(step.as_str())),
        }
    }

    fn state(&self) -> State {
        match self.finding.health {
            Health::Bad => State::Error,
            Health::Warn => State::Warn,
            Health::Good => State::Ok,
        }
    }

    fn tone(&self, column: usize) -> Option<Role> {
        match column {
            1 if self.finding.health != Health::Good => Some(self.state().role()),
            2 => Some(Role::FgMuted),
            _ => None,
        }
    }
}
