//! `redrive transfers`, and how a transfer is followed to its end.

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::output::{Column, Output, Row, ago, dash, left, right};
use super::session::Session;
use super::{Exit, signals};
use crate::error::{Error, Kind, Result};
use crate::ops::Ops;
use crate::ops::transfer::{self, State, Summary, TransferId};

/// Where stderr is no terminal, progress is a line this often.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// A terminal's progress bar is drawn at most this often.
const BAR_EVERY: Duration = Duration::from_millis(100);

#[derive(Debug, Subcommand)]
pub(super) enum Transfers {
    /// List the redrives and discards known on this machine, newest first
    #[command(after_help = "Example:\n  redrive transfers list")]
    List,
    /// Show one with its counts and last errors
    #[command(after_help = "Example:\n  redrive transfers show 7f3a -o json")]
    Show(Id),
    /// Stop one; what is leased is released
    #[command(after_help = "Example:\n  redrive transfers cancel 7f3a")]
    Cancel(Id),
    /// Go on with one that was cancelled, stopped or cut off by a crash
    #[command(after_help = "Example:\n  redrive transfers resume 7f3a")]
    Resume(Id),
}

#[derive(Debug, Args)]
pub(super) struct Id {
    /// Its id, as `redrive transfers list` shows it
    id: String,
}

impl Transfers {
    pub(super) async fn run(self, session: &mut Session<'_, '_>) -> Result<Exit> {
        let ops = session.ops().await?;
        match self {
            Self::List => {
                let summaries = ops.transfers()?;
                let rows: Vec<_> = summaries.iter().map(SummaryRow).collect();
                let now = session.now();
                session.output.rows(&rows, now)?;
            }
            Self::Show(Id { id }) => {
                let summary = find(&ops, &id)?;
                session.output.value(&SummaryRow(&summary).json())?;
            }
            Self::Cancel(Id { id }) => {
                let summary = find(&ops, &id)?;
                ops.cancel_transfer(&summary.id).await?;
                session.output.note(&format!("transfer `{}` is cancelled; `redrive transfers resume {0}` goes on", summary.id));
            }
            Self::Resume(Id { id }) => {
                let summary = find(&ops, &id)?;
                ops.resume_transfer(&summary.id).await?;
                return follow(session, &ops, &summary.id).await;
            }
        }
        Ok(Exit::Done)
    }
}

fn find(ops: &Ops, id: &str) -> Result<Summary> {
    ops.transfers()?.into_iter().find(|summary| summary.id.0 == id).ok_or_else(|| {
        Error::new(Kind::NotFound, format!("transfer `{}` is not known on this machine", id.escape_debug()))
            .with_hint("list them with `redrive transfers list`")
    })
}

/// Shows progress until a transfer of this process has ended, then its report. The first ctrl-c cancels it.
pub(super) async fn follow(session: &mut Session<'_, '_>, ops: &Ops, id: &TransferId) -> Result<Exit> {
    let mut watch = ops.watch_transfer(id)?;
    let mut progress = Progress::new(session.output);
    let mut stop = std::pin::pin!(signals::stop()?);
    let mut cancelled = false;
    loop {
        let summary = watch.borrow_and_update().clone();
        progress.show(session.output, &summary);
        if !matches!(summary.state, State::Running | State::Confirming) {
            break;
        }
        tokio::select! {
            changed = watch.changed() => if changed.is_err() { break },
            () = &mut stop, if !cancelled => {
                cancelled = true;
                ops.cancel_transfer(id).await?;
            }
        }
    }
    progress.end();
    let summary = watch.borrow().clone();
    report(session.output, &summary)
}

/// Writes the report: words to stderr, the document to stdout unless a table was asked for.
fn report(output: &mut Output<'_>, summary: &Summary) -> Result<Exit> {
    for error in &summary.errors {
        output.warn(error);
    }
    let counts = summary.counts;
    output.note(&format!("transfer {}: {}, {}", summary.id, state(summary.state), counted(summary)));
    if summary.duplicates_max > 0 {
        output.warn(&format!("up to {} messages may have been published more than once", summary.duplicates_max));
    }
    if let Some(copy) = &summary.copy {
        output.note(&format!("copy: {}", copy.display()));
    }
    if matches!(summary.state, State::Cancelled | State::Stopped) {
        output.note(&format!("go on with `redrive transfers resume {}`", summary.id));
    }
    output.answer(&SummaryRow(summary).json())?;
    Ok(match summary.state {
        State::Done => Exit::Done,
        State::DoneInPart => Exit::Partial,
        _ if counts.moved + counts.discarded > 0 => Exit::Partial,
        _ => Exit::Failed,
    })
}

fn counted(summary: &Summary) -> String {
    let counts = summary.counts;
    let done = match summary.request.kind {
        transfer::Kind::Redrive => format!("{} redriven", counts.moved),
        transfer::Kind::Discard => format!("{} discarded", counts.discarded),
        transfer::Kind::Replay => format!("{} replayed", counts.moved),
        transfer::Kind::Export => format!("{} exported", counts.moved),
        transfer::Kind::Undo => format!("{} put back", counts.moved),
        transfer::Kind::Run => format!("{} run", counts.moved),
    };
    let rest = [(counts.skipped, "skipped"), (counts.failed, "failed"), (counts.remaining, "remaining")];
    let rest = rest.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    std::iter::once(done).chain(rest).collect::<Vec<_>>().join(", ")
}

/// How far a transfer is: a bar where stderr is a terminal, else a line now and then.
enum Progress {
    Quiet,
    Bar(ProgressBar),
    Lines(Instant),
}

impl Progress {
    fn new(output: &Output<'_>) -> Self {
        if output.quiet() {
            Self::Quiet
        } else if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(0);
            let style = ProgressStyle::with_template("{bar:30} {pos} / {len}  {msg}").expect("a constant template");
            bar.set_style(style);
            bar.enable_steady_tick(BAR_EVERY);
            Self::Bar(bar)
        } else {
            Self::Lines(Instant::now())
        }
    }

    fn show(&mut self, output: &mut Output<'_>, summary: &Summary) {
        let counts = summary.counts;
        let through = counts.moved + counts.discarded;
        let rate = match summary.rate {
            _ if summary.state == State::Confirming => "waiting out an ack deadline, to look again".to_owned(),
            rate => rate.map_or(String::new(), |rate| format!("{rate:.0}/s")),
        };
        match self {
            Self::Bar(bar) => {
                bar.set_length(summary.expected.unwrap_or(0).max(counts.seen));
                bar.set_position(through);
                bar.set_message(if counts.failed > 0 { format!("{rate}  {} failed", counts.failed) } else { rate });
            }
            Self::Lines(last) if last.elapsed() >= LINE_EVERY => {
                *last = Instant::now();
                output.note(&format!("{through} of {} {rate}, {} failed", dash(summary.expected), counts.failed));
            }
            Self::Quiet | Self::Lines(_) => {}
        }
    }

    fn end(self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

struct SummaryRow<'a>(&'a Summary);

impl Row for SummaryRow<'_> {
    const COLUMNS: &'static [Column] = &[
        left("TRANSFER"),
        left("WHAT"),
        left("STATE"),
        right("DONE"),
        right("SEEN"),
        right("FAILED"),
        right("STARTED"),
        left("LAST ERROR"),
    ];

    fn cells(&self, now: Timestamp) -> Vec<String> {
        let Summary { id, request, counts, .. } = self.0;
        vec![
            id.to_string(),
            request.words(),
            state(self.0.state).to_owned(),
            (counts.moved + counts.discarded).to_string(),
            counts.seen.to_string(),
            counts.failed.to_string(),
            ago(Some(self.0.started), now),
            dash(self.0.errors.last()),
        ]
    }

    fn json(&self) -> Value {
        serde_json::to_value(self.0).unwrap_or_else(|error| json!({ "id": self.0.id, "error": error.to_string() }))
    }
}

fn state(state: State) -> &'static str {
    match state {
        State::Running => "running",
        State::Confirming => "confirming",
        State::Done => "done",
        State::DoneInPart => "done in part",
        State::Cancelled => "cancelled",
        State::Stopped => "stopped",
    }
}
