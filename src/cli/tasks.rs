//! `redrive tasks`.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Exit;
use super::args::query;
use super::output::{Column, Format, Output, Row, ago, dash, extended, left, right};
use super::session::{Session, list_hint};
use super::subs::payload;
use super::tasks_bulk::{Chosen, Edit, Export, Move, Replay};
use crate::error::{Error, Kind, Result};
use crate::model::listing::Listing;
use crate::model::query::{Query, TaskSubject};
use crate::model::task::Task;
use crate::model::text;
use crate::names::QueueName;
use crate::ops::{self, HandlerAnswer, Ops};

/// Tasks that are looked through for those that match, at most: they are all in memory, with their bodies where the filter asks for them.
const LOOKED_THROUGH_MAX: usize = 100_000;

#[derive(Debug, Subcommand)]
pub(super) enum Tasks {
    /// List the tasks of a queue
    #[command(
        after_help = "Examples:\n  redrive tasks list emails\n  redrive tasks list emails --max 1000 -o jsonl | jq -r .name\n  redrive tasks list emails --filter 'attempts >= 5 and body.user_id = 7'"
    )]
    List {
        /// Queue: its id, or `projects/P/locations/L/queues/Q`
        queue: String,
        /// Tasks at most
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        max: u32,
        /// With headers and bodies; needs the permission `cloudtasks.tasks.fullView`
        #[arg(long)]
        full: bool,
        /// Only tasks that this expression selects
        #[arg(long, value_name = "EXPR", value_parser = query)]
        filter: Option<Query>,
    },
    /// Show a task with headers and body
    #[command(after_help = "Example:\n  redrive tasks show emails/55210917")]
    Show(Name),
    /// Run tasks now, also in a paused queue
    #[command(
        after_help = "Examples:\n  redrive tasks run emails/55210917\n  redrive tasks run emails --filter 'attempts >= 3' --yes\n\nCloud Tasks takes 60 such calls a minute in a region. More are created again, due at once, where the queue runs, and else take a second each."
    )]
    Run(Chosen),
    /// Delete tasks, keeping a copy of each on disk first
    #[command(
        after_help = "Examples:\n  redrive tasks discard emails/55210917 emails/55210918 --yes\n  redrive tasks discard emails --filter 'attempts >= 5 and age > 2d'\n\n`redrive transfers undo ID` creates them again."
    )]
    Discard(Chosen),
    /// Create tasks in another queue, and delete them here after that
    #[command(after_help = "Example:\n  redrive tasks move emails --all --to emails-slow --dry-run")]
    Move(Move),
    /// Create the tasks of a dead set (`QUEUE-dead`) again in the queue where they failed, and delete the dead ones after that
    #[command(
        after_help = "Examples:\n  redrive tasks redrive emails-dead --all --dry-run\n  redrive tasks redrive emails-dead --filter 'header.x-error ~ \"timeout\"' --yes"
    )]
    Redrive(Chosen),
    /// Change or reschedule tasks: each is created again with the change, under a new name, and the old one deleted after that
    #[command(
        after_help = "Examples:\n  redrive tasks edit emails/55210917 --at 2h\n  redrive tasks edit emails --filter 'url ~ \"/v1/\"' --header X-Api=2 --at 2026-12-01T08:00:00Z --yes\n  redrive tasks edit emails/55210917 --body-file mended.json"
    )]
    Edit(Edit),
    /// Send the requests of tasks to a handler on this machine, and leave them where they are
    #[command(after_help = "Example:\n  redrive tasks replay emails --filter 'attempts >= 3' --to-url http://127.0.0.1:8080 --yes")]
    Replay(Replay),
    /// Write tasks to a file with everything needed to create them again, and leave them where they are
    #[command(after_help = "Example:\n  redrive tasks export emails --all --to-file emails.jsonl --yes")]
    Export(Export),
    /// Send a task's request to a handler on this machine and show what it answers
    #[command(
        after_help = "Example:\n  redrive tasks debug emails/55210917 --to http://127.0.0.1:8080\n\nThe request is the one Cloud Tasks would send, without its credentials. The task itself stays as it is."
    )]
    Debug {
        #[command(flatten)]
        name: Name,
        /// Where the handler listens; takes the place of scheme, host and port, path and query stay
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
        to: String,
    },
    /// Print a task's request as a `curl` command
    #[command(after_help = "Example:\n  redrive tasks curl emails/55210917 | sh")]
    Curl(Name),
}

#[derive(Debug, Args)]
pub(super) struct Name {
    /// Task: `QUEUE/TASK`, or `projects/P/locations/L/queues/Q/tasks/T`
    task: String,
}

impl Tasks {
    pub(super) async fn run(self, session: &mut Session<'_, '_>) -> Result<Exit> {
        let ops = session.ops().await?;
        match self {
            Self::List { queue, max, full, filter } => list(session, &ops, &queue, full, max as usize, filter).await,
            Self::Show(name) => {
                let task = session.task(&ops, &name.task).await?;
                let task = ops.task(&task).await.map_err(|error| list_hint(error, &format!("redrive tasks list {}", task.queue().id())))?;
                session.output.value(&TaskRow(&task).json())?;
                Ok(Exit::Done)
            }
            Self::Run(chosen) => match chosen.one() {
                Some(name) => run_one(session, &ops, name).await,
                None => chosen.run_now(session, &ops).await,
            },
            Self::Discard(chosen) => chosen.discard(session, &ops).await,
            Self::Move(to) => to.run(session, &ops).await,
            Self::Redrive(chosen) => chosen.redrive(session, &ops).await,
            Self::Edit(edit) => edit.run(session, &ops).await,
            Self::Replay(replay) => replay.run(session, &ops).await,
            Self::Export(export) => export.run(session, &ops).await,
            Self::Debug { name, to } => {
                let task = session.task(&ops, &name.task).await?;
                let answer = ops.debug_task(&task, &to).await?;
                show_answer(session.output, &answer)
            }
            Self::Curl(name) => {
                let task = session.task(&ops, &name.task).await?;
                session.output.data(&format!("{}\n", ops::curl(&ops.task(&task).await?)))?;
                Ok(Exit::Done)
            }
        }
    }
}

async fn list(session: &mut Session<'_, '_>, ops: &Ops, queue: &str, full: bool, max: usize, filter: Option<Query>) -> Result<Exit> {
    let queue = session.queue(ops, queue).await?;
    let now = session.now();
    let tasks = match filter {
        None => ops.tasks(&queue, full, max).await?,
        Some(query) => {
            let mut tasks = matching(session, ops, &queue, &query, full, now).await?;
            tasks.truncated = tasks.items.len() > max;
            tasks.items.truncate(max);
            tasks
        }
    };
    let rows: Vec<_> = tasks.items.iter().map(TaskRow).collect();
    session.output.list(&tasks, &rows, now)?;
    Ok(Exit::of(tasks.items.len(), tasks.failed.len()))
}

/// Finds the tasks of a queue that match. Where it takes what may not be read to tell, that is an error: `not body.id = 7` would match all.
async fn matching(
    session: &mut Session<'_, '_>,
    ops: &Ops,
    queue: &QueueName,
    query: &Query,
    full: bool,
    now: Timestamp,
) -> Result<Listing<Task>> {
    let mut tasks = ops.tasks(queue, full || query.reads_content(), LOOKED_THROUGH_MAX).await?;
    if query.reads_content() && tasks.items.iter().any(|task| !task.full) {
        let why = tasks.failed.pop().map(|(_, error)| error);
        return Err(why
            .unwrap_or_else(|| Error::new(Kind::PermissionDenied, "headers and bodies of tasks cannot be read"))
            .context(format!("`{query}` cannot be told")));
    }
    if tasks.truncated {
        session.output.warn(&format!("only the first {} tasks were looked through", tasks.items.len()));
    }
    tasks.items.retain(|task| query.matches(&TaskSubject::new(task), now));
    Ok(tasks)
}

async fn run_one(session: &mut Session<'_, '_>, ops: &Ops, name: &str) -> Result<Exit> {
    let task = session.task(ops, name).await?;
    let task = ops.run_task(&task).await?;
    session.output.note(&format!("task `{}` was dispatched (attempt {})", task.name.id(), task.dispatch_count));
    session.output.answer(&task.raw)?;
    Ok(Exit::Done)
}

/// Writes what a local handler answered; a task whose handler answers otherwise than 2xx would be tried again, so that is a failure.
fn show_answer(output: &mut Output<'_>, answer: &HandlerAnswer) -> Result<Exit> {
    let took_ms = u64::try_from(answer.took.as_millis()).unwrap_or(u64::MAX);
    if output.format() == Format::Table {
        output.data(&format!("{} after {took_ms} ms\n", answer.status))?;
        for (name, value) in &answer.headers {
            output.data(&format!("{}: {}\n", text::line(name), text::line(value)))?;
        }
        output.data(&format!("\n{}\n", text::lines(&String::from_utf8_lossy(&answer.body))))?;
    } else {
        let headers: Vec<_> = answer.headers.iter().map(|(name, value)| json!([name, value])).collect();
        output.value(&json!({
            "status": answer.status, "headers": headers, "body": payload(&answer.body), "bodyBytes": answer.body.len(), "tookMillis": took_ms,
        }))?;
    }
    if (200..300).contains(&answer.status) {
        Ok(Exit::Done)
    } else {
        output.error(&Error::new(Kind::FailedPrecondition, format!("the handler answered {}: Cloud Tasks would try again", answer.status)));
        Ok(Exit::Failed)
    }
}

struct TaskRow<'a>(&'a Task);

impl Row for TaskRow<'_> {
    const COLUMNS: &'static [Column] =
        &[left("TASK"), left("METHOD"), left("URL"), right("ATTEMPTS"), right("ANSWERED"), left("LAST"), right("DUE"), right("AGE")];

    fn cells(&self, now: Timestamp) -> Vec<String> {
        let task = self.0;
        let last = task.last_attempt.as_ref().filter(|attempt| attempt.response_time.is_some()).and_then(|attempt| attempt.status.clone());
        vec![
            task.name.id().to_owned(),
            task.request.method.clone(),
            task.request.url.clone(),
            task.dispatch_count.to_string(),
            task.response_count.to_string(),
            dash(last.map(|(code, text)| if text.is_empty() { format!("code {code}") } else { text })),
            task.schedule_time.map_or_else(|| "-".to_owned(), |due| if due <= now { "now".to_owned() } else { ago(Some(due), now) }),
            ago(task.create_time, now),
        ]
    }

    /// Google's own, with the decoded body beside it where it is here and is text.
    fn json(&self) -> Value {
        let task = self.0;
        match payload(&task.request.body) {
            Some(body) if task.full && !task.request.body.is_empty() => extended(&task.raw, "redriveBody", body),
            _ => task.raw.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn answered(status: u16, format: Format) -> (String, Exit) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let headers = vec![("x-evil".to_owned(), "\u{1b}[2J".to_owned())];
        let answer = HandlerAnswer { status, headers, body: "{\"ok\":\ttrue}".into(), took: Duration::from_millis(12) };
        let exit = show_answer(&mut Output::new(&mut out, &mut err, format, false), &answer).unwrap();
        (String::from_utf8(out).unwrap(), exit)
    }

    #[test]
    fn what_a_handler_answers_is_escaped_and_decides_the_exit_code() {
        let (shown, exit) = answered(200, Format::Table);
        assert_eq!((shown.as_str(), exit), ("200 after 12 ms\nx-evil: \\u{1b}[2J\n\n{\"ok\":    true}\n", Exit::Done));
        let (shown, exit) = answered(503, Format::Jsonl);
        let expected = r#"{"status":503,"headers":[["x-evil","\u001b[2J"]],"body":{"ok":true},"bodyBytes":12,"tookMillis":12}"#;
        assert_eq!((shown.trim_end(), exit), (expected, Exit::Failed));
    }
}
