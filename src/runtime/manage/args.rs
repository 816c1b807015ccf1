//! The arguments.

use clap::{Args, Parser, Subcommand};

use crate::names::QueueId;

/// A service: serves, or manages what it needs.
#[derive(Debug, Parser)]
#[command(version = None, propagate_version = false)]
pub(super) struct Manage {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serves the push endpoint at $PORT, and pulls for the subscribers that are pulled; what a service does without a command
    Serve,
    /// Makes topics, subscriptions, queues, jobs and rights what this service needs
    Provision {
        /// Only shows what differs: `+` is missing, `~` differs, `-` is not needed any more, `!` cannot be done
        #[arg(long)]
        dry_run: bool,
        /// Deletes what this service made earlier and does not need any more, within its own prefix
        #[arg(long)]
        prune: bool,
    },
    /// Looks after stored tasks
    Tasks {
        #[command(subcommand)]
        command: TaskCommand,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum TaskCommand {
    /// Runs a stored task in this process, with its real payload and metadata; the task itself stays
    Debug {
        /// The task's id, or its full name
        id: String,
        /// The queue of an id; the service's own without this
        #[arg(long)]
        queue: Option<QueueId>,
    },
    /// Deletes waiting tasks for good, no copy is kept
    Discard(Discard),
}

#[derive(Debug, Args)]
pub(super) struct Discard {
    /// Only tasks of this type; without it those of every type of this service
    pub(super) task: Option<String>,
    /// Only this one: the task's id, or its full name
    #[arg(long, conflicts_with_all = ["task", "min_attempts"])]
    pub(super) id: Option<String>,
    /// The queue of an id; the service's own without this
    #[arg(long, requires = "id")]
    pub(super) queue: Option<QueueId>,
    /// Only tasks with at least so many attempts
    #[arg(long, default_value_t = 0)]
    pub(super) min_attempts: u32,
    /// Does it
    #[arg(long)]
    pub(super) yes: bool,
}
