//! The commands of a service's own binary: `serve`, `provision`, `tasks debug`, `tasks discard`.
//!
//! Must not know the command line of the tool: a service compiles none of it. The exit codes are the same.

mod args;
mod tasks;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser as _;

use crate::error::{Error, Kind, Result};
use crate::model::text;
use crate::runtime::App;

use args::{Command, Manage, TaskCommand};

/// How a command ends, as the shell sees it; the same as those of `redrive` itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// Done.
    Done = 0,
    /// It failed.
    Failed = 1,
    /// The command line cannot be right.
    Usage = 2,
    /// Done in part.
    Partial = 3,
    /// It needs `--yes`.
    Refused = 4,
}

impl Exit {
    fn of(done: usize, failed: usize) -> Self {
        match (done, failed) {
            (_, 0) => Self::Done,
            (0, _) => Self::Failed,
            _ => Self::Partial,
        }
    }
}

impl From<&Error> for Exit {
    fn from(error: &Error) -> Self {
        match error.kind() {
            Kind::InvalidInput => Self::Usage,
            Kind::Refused => Self::Refused,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Gives a service's binary its commands, and does what this process's command line says: `serve` (also without a command), `provision [--dry-run] [--prune]`,
/// `tasks debug ID`, `tasks discard`.
///
/// ```no_run
/// use std::process::ExitCode;
/// use redrive::runtime::App;
///
/// #[tokio::main]
/// async fn main() -> redrive::Result<ExitCode> {
///     let app = App::new(()).named("shop").from_env().await?;
///     Ok(redrive::manage(app).await)
/// }
/// ```
pub async fn manage<S: Send + Sync + 'static>(app: App<S>) -> ExitCode {
    manage_from(&app, std::env::args_os(), &mut std::io::stdout(), &mut std::io::stderr()).await.into()
}

/// The same for other arguments (the first is the program's name) and writers.
pub async fn manage_from<S: Send + Sync + 'static>(
    app: &App<S>,
    args: impl IntoIterator<Item = OsString>,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> Exit {
    let manage = match Manage::try_parse_from(args) {
        Ok(manage) => manage,
        Err(error) => {
            // What was typed may come from elsewhere. Nobody is left to be told when this cannot be written.
            let words = error.render().to_string();
            let words = text::lines(&words);
            if error.use_stderr() {
                let _ = write!(err, "{words}");
                return Exit::Usage;
            }
            let _ = write!(out, "{words}");
            return Exit::Done;
        }
    };
    let result = Box::pin(run(app, manage.command, out, err)).await;
    result.unwrap_or_else(|error| {
        say(err, &error);
        Exit::from(&error)
    })
}

async fn run<S: Send + Sync + 'static>(
    app: &App<S>,
    command: Option<Command>,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> Result<Exit> {
    match command.unwrap_or(Command::Serve) {
        Command::Serve => serve(app).await,
        Command::Provision { dry_run, prune } => provision(app, dry_run, prune, out, err).await,
        Command::Tasks { command: TaskCommand::Debug { id, queue } } => tasks::debug(app, &id, queue, out, err).await,
        Command::Tasks { command: TaskCommand::Discard(discard) } => tasks::discard(app, discard, out, err).await,
    }
}

async fn serve<S: Send + Sync + 'static>(app: &App<S>) -> Result<Exit> {
    let drained = Box::pin(app.serve()).await?;
    Ok(if drained.cut_off == 0 { Exit::Done } else { Exit::Partial })
}

async fn provision<S: Send + Sync + 'static>(
    app: &App<S>,
    dry_run: bool,
    prune: bool,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> Result<Exit> {
    let plan = app.plan(prune).await?;
    write!(out, "{plan}")?;
    if dry_run {
        return Ok(if plan.refused() > 0 { Exit::Partial } else { Exit::Done });
    }
    let applied = Box::pin(plan.apply(app.cloud())).await;
    for error in &applied.failed {
        say(err, error);
    }
    if applied.failed.is_empty() && plan.refused() > 0 {
        return Ok(Exit::Partial);
    }
    Ok(Exit::of(applied.done, applied.failed.len()))
}

/// Says an error as the tool does: with what helps in a line of its own.
fn say(err: &mut (dyn Write + Send), error: &Error) {
    // Nobody is left to be told when this cannot be written.
    let _ = writeln!(err, "error: {}", text::line(&error.to_string()));
    if let Some(hint) = error.hint() {
        let _ = writeln!(err, "hint: {}", text::line(hint));
    }
}
