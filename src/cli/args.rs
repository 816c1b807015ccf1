//! The options that all commands share, and the list of commands.

use std::str::FromStr;

use clap::{ArgAction, Args, Parser, Subcommand};

use super::output::Format;
use super::{completions, demo, dlq, emulator, jobs, queues, subs, tasks, topics, transfers};
use crate::model::query::Query;
use crate::names::{LocationId, ProjectId};
use crate::ops::{EMULATOR_PROJECT, Settings};

/// Operate Google Cloud Pub/Sub, Cloud Tasks and Cloud Scheduler from a terminal
///
/// Without a command the console opens: on Google Cloud where a project and credentials are configured, on a named emulator, or - on a machine
/// that has neither project nor credentials - on an embedded emulator with sample data.
#[derive(Debug, Parser)]
#[command(name = "redrive", version, after_help = EXAMPLES, max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  redrive                                      open the console
  redrive demo                                 open it on sample data
  redrive emulator                             serve Pub/Sub, Tasks and Scheduler locally
  redrive dlq list                             dead letters: from whom, held by whom, how many
  redrive dlq redrive orders-hold --dry-run    look before the leap
  redrive queues list -o json | jq '.[].name'

Exit codes:
  0 done   1 failed   2 usage, or no project and no emulator named   3 done in part
  4 refused by a guard rail: read-only, or needs `--yes`";

#[derive(Debug, Args)]
pub(super) struct Global {
    /// Format of the data on stdout
    #[arg(short, long, value_enum, default_value_t, global = true, value_name = "FORMAT", help_heading = "Global options")]
    pub(super) output: Format,
    /// Project to work in, before all that the environment says
    #[arg(long, global = true, value_name = "ID", value_parser = parse::<ProjectId>, help_heading = "Global options")]
    pub(super) project: Option<ProjectId>,
    /// Location to narrow queues and jobs to; can be given several times [default: all of the project]
    #[arg(long, global = true, value_name = "LOCATION", value_parser = parse::<LocationId>, help_heading = "Global options")]
    pub(super) location: Vec<LocationId>,
    /// Emulator that serves all three services, in place of Google
    #[arg(long, global = true, value_name = "HOST:PORT", help_heading = "Global options")]
    pub(super) emulator: Option<String>,
    /// Service account to act as; needs `roles/iam.serviceAccountTokenCreator` on it
    #[arg(long, global = true, value_name = "EMAIL", help_heading = "Global options")]
    pub(super) impersonate_service_account: Option<String>,
    /// Project that calls with user credentials are counted against
    #[arg(long, global = true, value_name = "ID", help_heading = "Global options")]
    pub(super) quota_project: Option<String>,
    /// Theme of the console
    #[arg(long, global = true, value_name = "NAME", env = "REDRIVE_THEME", help_heading = "Global options")]
    pub(super) theme: Option<String>,
    /// Refuse everything that changes something
    #[arg(long, global = true, env = "REDRIVE_READ_ONLY", help_heading = "Global options")]
    pub(super) read_only: bool,
    /// Name of what is changed, where the context asks for it (`confirm = "name"` in `config.toml`)
    #[arg(long, global = true, value_name = "NAME", help_heading = "Global options")]
    pub(super) confirm: Option<String>,
    /// Say nothing but data, warnings and errors
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Global options")]
    pub(super) quiet: bool,
    /// Log to stderr; twice for more (`REDRIVE_LOG` takes a filter)
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Global options")]
    pub(super) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Open the console on an emulator with sample data that lives
    Demo(demo::Demo),
    /// Serve an emulator of Pub/Sub, Cloud Tasks, Cloud Scheduler and Monitoring on one port
    Emulator(emulator::Emulate),
    /// List, pause, resume and purge Cloud Tasks queues
    #[command(subcommand, visible_alias = "queue")]
    Queues(queues::Queues),
    /// List, show, run, discard and debug tasks
    #[command(subcommand, visible_alias = "task")]
    Tasks(tasks::Tasks),
    /// List topics and publish to them
    #[command(subcommand, visible_alias = "topic")]
    Topics(topics::Topics),
    /// List subscriptions and look at their messages
    #[command(subcommand, visible_aliases = ["sub", "subscriptions"])]
    Subs(subs::Subs),
    /// List, redrive and discard dead letters
    #[command(subcommand, visible_alias = "dead-letters")]
    Dlq(dlq::Dlq),
    /// List, run, pause and resume Cloud Scheduler jobs
    #[command(subcommand, visible_alias = "job")]
    Jobs(jobs::Jobs),
    /// List, show, cancel and resume redrives and discards
    #[command(subcommand, visible_alias = "transfer")]
    Transfers(transfers::Transfers),
    /// Look at connection, rights, clock, data folder, transfers and dead letters, and say what to do
    #[command(
        after_help = "Examples:\n  redrive doctor\n  redrive doctor -o json | jq '.[] | select(.health != \"good\")'\n\nChanges nothing. It exits with 1 where something does not work."
    )]
    Doctor,
    /// Print a completion script for a shell
    Completions(completions::Completions),
}

impl Global {
    pub(super) fn settings(&self) -> Settings {
        Settings {
            project: self.project.clone(),
            locations: self.location.clone(),
            emulator: self.emulator.clone(),
            impersonate: self.impersonate_service_account.clone(),
            quota_project: self.quota_project.clone(),
        }
    }

    pub(super) fn project_or_demo(&self) -> ProjectId {
        self.project.clone().unwrap_or_else(|| EMULATOR_PROJECT.parse().expect("a constant that is a project id"))
    }
}

impl Cli {
    /// Returns the format of the data on stdout.
    pub fn format(&self) -> Format {
        self.global.output
    }

    /// Tells whether only data, warnings and errors are to be said.
    pub fn quiet(&self) -> bool {
        self.global.quiet
    }

    /// Returns how often `-v` was given.
    pub fn verbosity(&self) -> u8 {
        self.global.verbose
    }

    /// Returns the theme asked for.
    pub fn theme(&self) -> Option<&str> {
        self.global.theme.as_deref()
    }

    /// Tells whether everything that changes something is to be refused.
    pub fn read_only(&self) -> bool {
        self.global.read_only
    }
}

/// Parses a name for clap, with the rule of such names in its message.
pub(super) fn parse<T: FromStr<Err = crate::error::Error>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: crate::error::Error| error.hint().map_or_else(|| error.to_string(), ToOwned::to_owned))
}

/// Parses an expression for clap; its message points at the character.
pub(super) fn query(text: &str) -> Result<Query, String> {
    text.parse().map_err(|error: crate::error::Error| error.to_string())
}

/// Parses a time such as `30s` or `5m` for clap.
pub(super) fn duration(text: &str) -> Result<std::time::Duration, String> {
    let span: jiff::SignedDuration = text.parse().map_err(|_| "write a time such as `30s`, `5m` or `1h30m`".to_owned())?;
    span.try_into().map_err(|_| "a time must not be negative".to_owned())
}

/// Parses a share such as `5` or `5%` for clap.
pub(super) fn percent(text: &str) -> Result<u8, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse().ok().filter(|percent| *percent <= 100);
    number.ok_or_else(|| "write a share between 0 and 100, such as `5%`".to_owned())
}
