//! Rows of transfers and of the activity log.

use crate::console::app::row::{Column, Row};
use crate::console::app::value::{Value, grouped};
use crate::console::theme::{Role, State};
use crate::model::text;
use crate::ops::Activity;
use crate::ops::transfer::{self, Kind, Request, Selection, Summary};

/// A transfer.
pub(crate) struct TransferRow {
    /// The transfer.
    pub(crate) summary: Summary,
    what: String,
}

impl TransferRow {
    /// Makes the row of a transfer.
    pub(crate) fn new(summary: Summary) -> Self {
        Self { what: what(&summary.request), summary }
    }

    fn through(&self) -> u64 {
        let counts = self.summary.counts;
        counts.moved + counts.discarded
    }

    fn wanted(&self) -> u64 {
        let counts = self.summary.counts;
        self.summary.expected.unwrap_or(0).max(counts.seen.saturating_sub(counts.skipped)).max(self.through())
    }
}

/// Says what a transfer was asked to do.
pub(crate) fn what(request: &Request) -> String {
    let (verb, from) = (request.kind.verb(), request.source.id());
    let which = match &request.selection {
        Selection::All => String::new(),
        selection @ (Selection::Matching(_) | Selection::Cause(_)) => format!("{selection} in "),
        Selection::Messages(ids) => format!("{} of ", grouped(ids.len() as u64)),
    };
    match request.kind {
        Kind::Discard | Kind::Run => format!("{verb} {which}{from}"),
        _ => format!("{verb} {which}{from} → {}", request.delivery),
    }
}

impl Row for TransferRow {
    const COLUMNS: &'static [Column] = &[
        Column::text("id", "id", 14, 0),
        Column::text("what", "what", 48, 0),
        Column::text("state", "state", 14, 0),
        Column::text("progress", "done / seen", 28, 0),
        Column::number("rate", "rate/s", 8, 2),
        Column::number("left", "left", 8, 1),
        Column::number("failed", "failed", 8, 0),
        Column::number("skipped", "skipped", 8, 4),
        Column::number("started", "started", 9, 3),
        Column::text("error", "last error", Column::FILL, 5),
    ];

    fn key(&self) -> &str {
        &self.summary.id.0
    }

    fn value(&self, column: usize) -> Value<'_> {
        let summary = &self.summary;
        match column {
            0 => Value::text(summary.id.0.as_str()),
            1 => Value::text(self.what.as_str()),
            2 => Value::State(self.state(), state_word(summary.state).into()),
            3 => Value::Progress(self.through(), self.wanted()),
            4 => summary.rate.map_or(Value::None, Value::Number),
            5 => self.summary.left().map_or(Value::None, Value::Span),
            6 => Value::Count(summary.counts.failed),
            7 => Value::Count(summary.counts.skipped),
            8 => Value::Time(summary.started),
            _ => summary.errors.last().map_or(Value::None, |error| Value::text(error.as_str())),
        }
    }

    fn state(&self) -> State {
        match self.summary.state {
            transfer::State::Running | transfer::State::Confirming | transfer::State::Watching => State::Pending,
            transfer::State::Done => State::Done,
            transfer::State::Asking | transfer::State::DoneInPart => State::Warn,
            transfer::State::Cancelled => State::Paused,
            transfer::State::Stopped => State::Error,
        }
    }

    fn tone(&self, column: usize) -> Option<Role> {
        match column {
            2 => Some(self.state().role()),
            3 if self.state() == State::Error => Some(Role::ProgressError),
            3 => Some(Role::Progress),
            6 if self.summary.counts.failed > 0 => Some(Role::StateError),
            9 => Some(Role::FgMuted),
            _ => None,
        }
    }
}

/// Says where a transfer stands.
pub(crate) fn state_word(state: transfer::State) -> &'static str {
    match state {
        transfer::State::Running => "running",
        transfer::State::Confirming => "confirming",
        transfer::State::Watching => "watching",
        transfer::State::Asking => "asks: r / ctrl-c",
        transfer::State::Done => "done",
        transfer::State::DoneInPart => "done in part",
        transfer::State::Cancelled => "cancelled",
        transfer::State::Stopped => "stopped",
    }
}

/// An entry of the activity log.
pub(crate) struct ActivityRow {
    key: String,
    /// The entry.
    pub(crate) activity: Activity,
}

impl ActivityRow {
    /// Makes the row of an entry; `index` tells entries of one moment apart.
    pub(crate) fn new(activity: Activity, index: usize) -> Self {
        Self { key: format!("{} {index}", activity.at), activity }
    }
}

/// Leaves out the project, which is a column of its own.
fn within_project(target: &str) -> &str {
    let rest = target.strip_prefix("projects/").and_then(|rest| rest.split_once('/')).map_or(target, |(_, rest)| rest);
    rest.strip_prefix("locations/").unwrap_or(rest)
}

impl Row for ActivityRow {
    const COLUMNS: &'static [Column] = &[
        Column::number("age", "age", 10, 0),
        Column::text("action", "action", 20, 0),
        Column::text("target", "on", 72, 0),
        Column::text("result", "result", Column::FILL, 0),
        Column::text("project", "project", 30, Column::WIDE),
    ];

    fn key(&self) -> &str {
        &self.key
    }

    fn value(&self, column: usize) -> Value<'_> {
        let activity = &self.activity;
        match column {
            0 => Value::Time(activity.at),
            1 => Value::text(activity.action.as_str()),
            2 => Value::text(within_project(&activity.target)),
            3 => Value::text(text::line(&activity.result)),
            _ => Value::text(activity.project.as_str()),
        }
    }

    fn state(&self) -> State {
        let result = &self.activity.result;
        // `ok`, `ok: 1 deleted …`, or `ID: Done, 36 moved …` of a transfer.
        match result.split_once(": ").map(|(_, rest)| rest) {
            _ if result.starts_with("ok") => State::Done,
            Some(rest) if rest.starts_with("DoneInPart") => State::Warn,
            Some(rest) if rest.starts_with("Done") => State::Done,
            Some(rest) if rest.starts_with("Cancelled") => State::Paused,
            _ => State::Error,
        }
    }

    fn tone(&self, column: usize) -> Option<Role> {
        (column == 3).then(|| self.state().role())
    }
}
