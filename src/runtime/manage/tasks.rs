//! `tasks debug` and `tasks discard`.

use std::io::Write;

use crate::error::{Error, Kind, Result};
use crate::model::text;
use crate::names::{QueueId, QueueName, TaskName};
use crate::runtime::App;
use crate::runtime::manage::args::Discard;
use crate::runtime::manage::{Exit, say};

pub(super) async fn debug<S: Send + Sync + 'static>(
    app: &App<S>,
    id: &str,
    queue: Option<QueueId>,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> Result<Exit> {
    let tried = app.debug_task(&name_of(app, id, queue)?).await?;
    let took = tried.took.as_millis();
    if let Some(why) = &tried.why {
        writeln!(err, "`{}` after {took} ms: {}", text::line(&tried.task), text::line(why))?;
    } else {
        writeln!(err, "`{}` done after {took} ms", text::line(&tried.task))?;
    }
    if tried.settled {
        writeln!(out, "{}", text::line(&tried.result.to_string()))?;
    }
    Ok(if tried.settled { Exit::Done } else { Exit::Failed })
}

pub(super) async fn discard<S: Send + Sync + 'static>(
    app: &App<S>,
    discard: Discard,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> Result<Exit> {
    let Discard { task, id, queue, min_attempts, yes } = discard;
    if !yes {
        return Err(Error::new(Kind::Refused, "discarded tasks are gone for good, no copy is kept")
            .with_hint("say `--yes`; `redrive tasks discard` keeps a copy that can be brought back"));
    }
    if let Some(id) = id {
        let name = name_of(app, &id, queue)?;
        app.discard_task(&name).await?;
        writeln!(out, "{}", text::line(name.id()))?;
        return Ok(Exit::Done);
    }
    let tasks: Vec<String> = match task {
        Some(task) => vec![task],
        None => app.registry().tasks().map(|entry| entry.name.to_owned()).collect(),
    };
    let (mut done, mut failed) = (0, 0);
    for task in tasks {
        let report = app.discard_named(&task, min_attempts).await?;
        for name in &report.deleted {
            writeln!(out, "{}", text::line(name.id()))?;
        }
        for (name, error) in &report.failed {
            say(err, &Error::new(error.kind(), format!("task `{}`: {error}", name.id())));
        }
        if report.cut {
            writeln!(err, "there are more tasks of `{}` than were looked at: run it again", text::line(&task))?;
        }
        done += report.deleted.len();
        failed += report.failed.len();
    }
    writeln!(err, "{done} discarded")?;
    Ok(Exit::of(done, failed))
}

/// Reads a task's full name, or its id within a queue.
fn name_of<S: Send + Sync + 'static>(app: &App<S>, id: &str, queue: Option<QueueId>) -> Result<TaskName> {
    let queue: QueueName = match queue {
        Some(queue) => app.queue_name(&queue),
        None => app.queue_name(&app.layout().queue().parse()?),
    };
    TaskName::parse_in(id, &queue)
}
