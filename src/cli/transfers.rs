//! `redrive transfers`, and how a transfer is followed to its end.

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::args::query;
use super::carry::{Consent, When, carry_out, moment, span};
use super::moving::Way;
use super::output::{Column, Output, Row, age, ago, dash, left, right};
use super::session::Session;
use super::{Exit, signals};
use crate::error::{self, Error, Result};
use crate::model::query::Query;
use crate::ops::Ops;
use crate::ops::transfer::{Delivery, Kind, Request, Selection, Source, State, Summary, TaskChange, TransferId};

/// Where stderr is no terminal, progress is a line this often.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// A terminal's progress bar is drawn at most this often.
const BAR_EVERY: Duration = Duration::from_millis(100);

#[derive(Debug, Subcommand)]
pub(super) enum Transfers {
    /// List the redrives, discards and the like known on this machine, newest first
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
    /// Put back what a discard took away: messages to the topic of their subscription, tasks as new ones into their queue
    #[command(
        after_help = "Examples:\n  redrive transfers undo 7f3a --dry-run\n  redrive transfers undo 7f3a --yes\n\nMessages reach every subscription of that topic; the question names them. What was put back once is not put back again."
    )]
    Undo(Undo),
    /// Delete the kept copies of discards that are done; they cannot be undone from then on
    #[command(after_help = "Examples:\n  redrive transfers prune --older-than 30d --dry-run\n  redrive transfers prune 7f3a --yes")]
    Prune(Prune),
    /// Publish or create what a file holds that a discard or an export wrote
    #[command(
        after_help = "Examples:\n  redrive transfers import orders.jsonl --to orders\n  redrive transfers import orders-dead.jsonl --delivery addressed --dry-run\n  redrive transfers import emails.jsonl --to-queue emails --yes"
    )]
    Import(Import),
}

#[derive(Debug, Args)]
pub(super) struct Id {
    /// Its id, as `redrive transfers list` shows it
    id: String,
}

#[derive(Debug, Args)]
pub(super) struct Undo {
    /// The discard's id
    id: String,
    /// Topic to publish to, in place of that of the subscription
    #[arg(long, value_name = "TOPIC")]
    to: Option<String>,
    /// When tasks are due: a time, or a span from now such as `2h` [default: as they were, or at once]
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "to")]
    at: Option<When>,
    /// Subscription that may receive the messages; can be given several times
    #[arg(long, value_name = "SUBSCRIPTION")]
    fan_out: Vec<String>,
    #[command(flatten)]
    consent: Consent,
}

#[derive(Debug, Args)]
pub(super) struct Prune {
    /// Their ids [default: all that are done]
    id: Vec<String>,
    /// Only those that ended so long ago
    #[arg(long, value_name = "SPAN", value_parser = span, conflicts_with = "id")]
    older_than: Option<jiff::SignedDuration>,
    #[command(flatten)]
    consent: Consent,
}

#[derive(Debug, Args)]
pub(super) struct Import {
    /// File, a line of JSON for each message or task
    file: std::path::PathBuf,
    /// Topic to publish messages to
    #[arg(long, value_name = "TOPIC")]
    to: Option<String>,
    /// Queue to create tasks in [default: the one they were in]
    #[arg(long, value_name = "QUEUE", conflicts_with_all = ["to", "delivery"])]
    to_queue: Option<String>,
    /// Handler to send them to, such as `http://127.0.0.1:8080/orders`
    #[arg(long, value_name = "URL", conflicts_with_all = ["to", "delivery", "to_queue"])]
    to_url: Option<String>,
    /// How dead letters go back
    #[arg(long, value_enum, conflicts_with = "to")]
    delivery: Option<Way>,
    /// Deliver to endpoints with private addresses, too (with `--delivery direct`)
    #[arg(long)]
    allow_private: bool,
    /// Create tasks again, each in the queue it was in
    #[arg(long, conflicts_with_all = ["to", "delivery", "to_url"])]
    tasks: bool,
    /// Only those that this expression selects
    #[arg(long, value_name = "EXPR", value_parser = query)]
    filter: Option<Query>,
    /// Subscription that may receive the messages though it did not fail; can be given several times
    #[arg(long, value_name = "SUBSCRIPTION")]
    fan_out: Vec<String>,
    #[command(flatten)]
    consent: Consent,
}

impl Undo {
    async fn run(self, session: &mut Session<'_, '_>, ops: &Ops) -> Result<Exit> {
        let discard = find(ops, &self.id)?;
        let mut request = Request::new(Kind::Undo, Source::Kept(discard.id));
        if let Some(topic) = &self.to {
            request.delivery = Delivery::Topic(Session::topic(ops, topic)?);
        } else if discard.request.source.queue().is_some() {
            let at = self.at.map(|at| at.time(session.now()));
            request.delivery = Delivery::Task(Box::new(TaskChange { at, ..TaskChange::default() }));
        }
        carry_out(session, ops, request, &self.fan_out, &self.consent).await
    }
}

impl Prune {
    async fn run(self, session: &mut Session<'_, '_>, ops: &Ops) -> Result<Exit> {
        let now = session.now();
        let summaries = if self.id.is_empty() {
            ops.prunable_transfers(self.older_than.map(|span| now.saturating_sub(span).unwrap_or(Timestamp::MIN)))?
        } else {
            self.id.iter().map(|id| find(ops, id)).collect::<Result<_>>()?
        };
        if self.consent.dry_run || summaries.is_empty() {
            let rows: Vec<_> = summaries.iter().map(SummaryRow).collect();
            session.output.rows(&rows, now)?;
            session.output.note(&format!("the copies of {} transfers would be deleted", rows.len()));
            return Ok(Exit::Done);
        }
        let kept: u64 = summaries.iter().map(|summary| summary.counts.discarded).sum();
        let question =
            format!("Delete the copies of {} transfers ({kept} messages and tasks)? They cannot be undone then.", summaries.len());
        session.confirm(&question, self.consent.yes)?;
        let ids: Vec<TransferId> = summaries.into_iter().map(|summary| summary.id).collect();
        let pruned = ops.prune_transfers(&ids).await?;
        session.output.note(&format!("deleted the copies of {} transfers, {} bytes", pruned.transfers.len(), pruned.bytes));
        session.output.answer(&json!({ "pruned": pruned.transfers, "bytes": pruned.bytes }))?;
        Ok(Exit::Done)
    }
}

impl Import {
    async fn run(self, session: &mut Session<'_, '_>, ops: &Ops) -> Result<Exit> {
        let mut kind = Kind::Redrive;
        let delivery = if let Some(topic) = &self.to {
            Delivery::Topic(Session::topic(ops, topic)?)
        } else if let Some(queue) = &self.to_queue {
            Delivery::Task(Box::new(TaskChange { queue: Some(session.queue(ops, queue).await?), ..TaskChange::default() }))
        } else if self.tasks {
            Delivery::Task(Box::default())
        } else if let Some(url) = self.to_url {
            kind = Kind::Replay;
            Delivery::Handler { url, anywhere: false }
        } else {
            self.delivery.unwrap_or_default().delivery(self.allow_private)
        };
        let selection = self.filter.map_or(Selection::All, Selection::Matching);
        let request = Request { selection, delivery, ..Request::new(kind, Source::File(self.file)) };
        carry_out(session, ops, request, &self.fan_out, &self.consent).await
    }
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
                // Not looked up first: its journal is read once.
                let id = TransferId(id);
                ops.resume_transfer(&id).await?;
                return follow(session, &ops, &id).await;
            }
            Self::Undo(undo) => return undo.run(session, &ops).await,
            Self::Prune(prune) => return prune.run(session, &ops).await,
            Self::Import(import) => return import.run(session, &ops).await,
        }
        Ok(Exit::Done)
    }
}

fn find(ops: &Ops, id: &str) -> Result<Summary> {
    ops.transfers()?.into_iter().find(|summary| summary.id.0 == id).ok_or_else(|| {
        Error::new(error::Kind::NotFound, format!("transfer `{}` is not known on this machine", id.escape_debug()))
            .with_hint("list them with `redrive transfers list`")
    })
}

/// Shows progress until a transfer of this process has ended, then its report. The first ctrl-c cancels it.
pub(super) async fn follow(session: &mut Session<'_, '_>, ops: &Ops, id: &TransferId) -> Result<Exit> {
    let mut watch = ops.watch_transfer(id)?;
    let mut progress = Progress::new(session.output);
    let mut stop = std::pin::pin!(signals::stop()?);
    let (mut cancelled, mut asked) = (false, false);
    loop {
        let summary = watch.borrow_and_update().clone();
        progress.show(session.output, &summary);
        if !summary.state.is_running() {
            break;
        }
        if summary.state == State::Asking && !asked {
            asked = true;
            progress.pause();
            answer(session, ops, &summary).await?;
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

/// Asks whether the rest may follow the canary; a no cancels.
async fn answer(session: &mut Session<'_, '_>, ops: &Ops, summary: &Summary) -> Result<()> {
    let sent = summary.counts.moved;
    for line in came_back(summary) {
        session.output.warn(&line);
    }
    let question = format!("{sent} sent, {} came back. Send the rest?", summary.returned);
    match session.confirm(&question, false) {
        Ok(()) => ops.proceed_transfer(&summary.id).await,
        Err(_) => ops.cancel_transfer(&summary.id).await,
    }
}

/// Says what came back, by cause.
fn came_back(summary: &Summary) -> Vec<String> {
    if summary.returned == 0 {
        return Vec::new();
    }
    let mut lines = vec![format!("{} sent, {} came back", summary.counts.moved, summary.returned)];
    lines.extend(summary.returned_causes.iter().map(|one| format!("{} came back: cause {}  {}", one.count, one.id, one.cause)));
    lines
}

/// Writes the report: words to stderr, the document to stdout unless a table was asked for.
fn report(output: &mut Output<'_>, summary: &Summary) -> Result<Exit> {
    for error in &summary.errors {
        output.warn(error);
    }
    for line in came_back(summary) {
        output.warn(&line);
    }
    let counts = summary.counts;
    output.note(&format!("transfer {}: {}, {}", summary.id, state(summary.state), counted(summary)));
    if summary.duplicates_max > 0 {
        output.warn(&format!("up to {} messages may have been published more than once", summary.duplicates_max));
    }
    if let Some(copy) = &summary.copy {
        output.note(&format!("copy: {}", copy.display()));
    }
    if summary.request.kind == Kind::Discard && counts.discarded > 0 {
        output.note(&format!("put back with `redrive transfers undo {}`", summary.id));
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
        Kind::Redrive => format!("{} redriven", counts.moved),
        Kind::Discard => format!("{} discarded", counts.discarded),
        Kind::Replay => format!("{} replayed", counts.moved),
        Kind::Export => format!("{} exported", counts.moved),
        Kind::Undo => format!("{} put back", counts.moved),
        Kind::Run => format!("{} run", counts.moved),
    };
    let rest = [(counts.skipped, "skipped"), (counts.failed, "failed"), (counts.remaining, "remaining")];
    let rest = rest.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    std::iter::once(done).chain(rest).collect::<Vec<_>>().join(", ")
}

/// Says how long it still takes at the rate of late.
fn left_words(summary: &Summary) -> String {
    let Some(left) = summary.left() else { return String::new() };
    format!(", {} left", age(left))
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
            _ if summary.state == State::Watching => format!("watching what comes back: {} so far", summary.returned),
            rate => rate.map_or(String::new(), |rate| format!("{rate:.0}/s{}", left_words(summary))),
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

    /// Makes room for a question.
    fn pause(&self) {
        if let Self::Bar(bar) = self {
            bar.disable_steady_tick();
            bar.suspend(|| ());
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
        let mut value = serde_json::to_value(self.0).unwrap_or_else(|error| json!({ "id": self.0.id, "error": error.to_string() }));
        if let Value::Object(map) = &mut value {
            map.insert("kind".into(), json!(self.0.request.kind));
        }
        value
    }
}

fn state(state: State) -> &'static str {
    match state {
        State::Running => "running",
        State::Confirming => "confirming",
        State::Watching => "watching",
        State::Asking => "asking",
        State::Done => "done",
        State::DoneInPart => "done in part",
        State::Cancelled => "cancelled",
        State::Stopped => "stopped",
    }
}
