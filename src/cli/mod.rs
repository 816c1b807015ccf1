//! The command line: arguments, one file per command group, output to writers it is given.
//!
//! It must not know the console: `main` opens that one, with what [`open`] prepares for it.

mod args;
mod care;
mod carry;
mod causes;
mod completions;
mod confirm;
mod demo;
mod dlq;
mod doctor;
mod edit;
mod emulator;
mod exit;
mod home;
mod jobs;
mod logging;
mod moving;
pub mod open;
mod output;
mod plan;
mod queues;
mod session;
mod signals;
mod snippets;
mod subs;
mod tasks;
mod tasks_bulk;
mod topics;
mod transfers;

use clap::Parser;

pub use args::Cli;
use args::Command;
pub use exit::Exit;
pub use home::home_override;
pub use logging::{to_file as log_to_file, to_stderr as log_to_stderr};
pub use output::{Format, Output};
use session::Session;

use crate::error::{Error, Result};
use crate::model::text;
pub use crate::ops::Guard;

impl Cli {
    /// Reads the command line; help, version and mistakes in it are written, and the exit is returned.
    pub fn read() -> Result<Self, Exit> {
        Self::try_parse().map_err(|error| {
            if error.use_stderr() {
                // What the user typed may come from elsewhere (`redrive tasks show "$NAME"`): no colours, so that all of it can be escaped.
                let _ = std::io::Write::write_all(&mut std::io::stderr(), text::lines(&error.render().to_string()).as_bytes());
                Exit::Usage
            } else {
                let _ = error.print();
                Exit::Done
            }
        })
    }

    /// Tells what the console is to show, where the command asks for the console.
    pub fn console(&self) -> Option<open::Subject> {
        match &self.command {
            None => Some(open::Subject::Found(Box::new(self.global.settings()))),
            Some(Command::Demo(demo)) if !demo.headless => {
                Some(open::Subject::Demo { address: demo.address.clone(), project: self.global.project_or_demo() })
            }
            Some(_) => None,
        }
    }
}

/// Runs a command to its end and says on `output` what went wrong.
///
/// `guard` tells of a project's id what may be changed there.
pub async fn run(cli: Cli, mut output: Output<'_>, guard: &dyn Fn(&str) -> Guard) -> Exit {
    let Cli { global, command } = cli;
    let result = match command {
        None => Err(no_terminal()),
        Some(command) => Box::pin(command.run(&mut Session::new(global, guard, &mut output))).await,
    };
    result.unwrap_or_else(|error| {
        tracing::debug!(?error, "the command failed");
        output.error(&error);
        Exit::from(&error)
    })
}

/// Says on stderr why nothing can be run at all.
pub fn failed(error: &Error) -> Exit {
    Output::new(&mut std::io::sink(), &mut std::io::stderr(), Format::Table, false).error(error);
    Exit::from(error)
}

/// Says why there is no console, and what there is instead.
pub fn no_terminal() -> Error {
    Error::invalid("the console needs a terminal, and stdin or stdout is none").with_hint(
        "list things with `redrive queues list` or `redrive dlq list`, as JSON with `-o json`; `redrive --help` names all commands",
    )
}

impl Command {
    async fn run(self, session: &mut Session<'_, '_>) -> Result<Exit> {
        match self {
            Self::Demo(demo) if demo.headless => demo.run(session).await,
            Self::Demo(_) => Err(no_terminal()),
            Self::Emulator(emulator) => emulator.run(session).await,
            Self::Queues(queues) => queues.run(session).await,
            Self::Tasks(tasks) => tasks.run(session).await,
            Self::Topics(topics) => topics.run(session).await,
            Self::Subs(subs) => subs.run(session).await,
            Self::Dlq(dlq) => dlq.run(session).await,
            Self::Jobs(jobs) => jobs.run(session).await,
            Self::Transfers(transfers) => transfers.run(session).await,
            Self::Doctor => Box::pin(doctor::run(session)).await,
            Self::Completions(completions) => completions.run(session),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_help_that_begins_with_a_word_and_has_no_full_stop() {
        fn check(command: &clap::Command) {
            for sub in command.get_subcommands() {
                let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
                assert!(!about.is_empty() && !about.ends_with('.'), "{}: {about:?}", sub.get_name());
                check(sub);
            }
        }
        check(&Cli::command());
    }
}
