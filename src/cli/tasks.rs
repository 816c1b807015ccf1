//! `redrive tasks`.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Exit;
use super::args::query;
use super::output::{Column, Format, Output, Row, ago, dash, extended, left, right};
use super::session::Session;
use super::subs::payload;
use crate::error::{Error, Kind, Result};
use crate::model::listing::Listing;
use crate::model::query::{Query, TaskSubject};
use crate::model::task::Task;
use crate::model::text;
use crate::names::{QueueName, TaskName};
use crate::ops::{self, HandlerAnswer, Ops, Report};

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
    /// Run a task now, also in a paused queue
    #[command(after_help = "Example:\n  redrive tasks run emails/55210917")]
    Run(Name),
    /// Delete tasks, keeping a copy of each on disk first
    #[command(
        after_help = "Examples:\n  redrive tasks discard emails/55210917 emails/55210918 --yes\n  redrive tasks discard emails --filter 'attempts >= 5 and age > 2d'"
    )]
    Discard {
        /// Tasks: `QUEUE/TASK`, or full names; with `--filter` the queue
        #[arg(required = true)]
        task: Vec<String>,
        /// All tasks of the queue that this expression selects
        #[arg(long, value_name = "EXPR", value_parser = query)]
        filter: Option<Query>,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
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
                let task = ops.task(&task).await?;
                session.output.value(&TaskRow(&task).json())?;
                Ok(Exit::Done)
            }
            Self::Run(name) => {
                let task = session.task(&ops, &name.task).await?;
                let task = ops.run_task(&task).await?;
                session.output.note(&format!("task `{}` was dispatched (attempt {})", task.name.id(), task.dispatch_count));
                session.output.answer(&task.raw)?;
                Ok(Exit::Done)
            }
            Self::Discard { task, filter: None, yes } => discard(session, &ops, &task, yes).await,
            Self::Discard { task, filter: Some(query), yes } => discard_matching(session, &ops, &task, &query, yes).await,
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

async fn discard_matching(session: &mut Session<'_, '_>, ops: &Ops, queue: &[String], query: &Query, yes: bool) -> Result<Exit> {
    let [queue] = queue else {
        return Err(Error::invalid("`--filter` takes one queue").with_hint("redrive tasks discard QUEUE --filter EXPR"));
    };
    let queue = session.queue(ops, queue).await?;
    let now = session.now();
    let tasks = matching(session, ops, &queue, query, false, now).await?;
    if tasks.items.is_empty() {
        session.output.note(&format!("no task of `{}` matches", queue.id()));
        return show_report(session.output, &Report::default());
    }
    let names: Vec<TaskName> = tasks.items.into_iter().map(|task| task.name).collect();
    let what = if names.len() == 1 { "1 task".to_owned() } else { format!("{} tasks", names.len()) };
    session.confirm(&format!("Discard {what} of `{queue}` that match `{query}`? A copy of each is kept on this machine."), yes)?;
    let report = ops.discard_tasks(names, |_| ()).await?;
    show_report(session.output, &report)
}

async fn discard(session: &mut Session<'_, '_>, ops: &Ops, names: &[String], yes: bool) -> Result<Exit> {
    let mut tasks: Vec<TaskName> = Vec::with_capacity(names.len());
    for name in names {
        tasks.push(session.task(ops, name).await?);
    }
    let what = if let [task] = tasks.as_slice() { format!("task `{task}`") } else { format!("{} tasks", tasks.len()) };
    session.confirm(&format!("Discard {what}? A copy is kept on this machine."), yes)?;
    let report = ops.discard_tasks(tasks, |_| ()).await?;
    show_report(session.output, &report)
}

/// Says how many were discarded, which were not, and where the copy lies.
fn show_report(output: &mut Output<'_>, report: &Report) -> Result<Exit> {
    for (name, error) in &report.failed {
        output.warn(&format!("{name}: {error}"));
    }
    let gone = if report.gone > 0 { format!(", {} were gone already", report.gone) } else { String::new() };
    output.note(&format!("{} discarded{gone}, {} failed", report.done, report.failed.len()));
    if let Some(copy) = &report.copy {
        output.note(&format!("copy: {}", copy.display()));
    }
    let failed: Vec<_> = report.failed.iter().map(|(name, error)| json!({ "name": name, "error": error.to_string() })).collect();
    output.answer(&json!({ "discarded": report.done, "gone": report.gone, "failed": failed, "copy": report.copy }))?;
    Ok(Exit::of(usize::try_from(report.done + report.gone).unwrap_or(usize::MAX), report.failed.len()))
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

    #[test]
    fn a_report_in_part_says_what_failed() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let report = Report { done: 2, gone: 1, failed: vec![("t".into(), Error::invalid("no"))], copy: Some("/tmp/copy".into()) };
        let exit = show_report(&mut Output::new(&mut out, &mut err, Format::Jsonl, false), &report).unwrap();
        assert_eq!(exit, Exit::Partial);
        assert_eq!(String::from_utf8(err).unwrap(), "warning: t: no\n2 discarded, 1 were gone already, 1 failed\ncopy: /tmp/copy\n");
        let expected = r#"{"discarded":2,"gone":1,"failed":[{"name":"t","error":"no"}],"copy":"/tmp/copy"}"#;
        assert_eq!(String::from_utf8(out).unwrap().trim_end(), expected);
    }
}
