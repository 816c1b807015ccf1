//! What every command works with: the global options, the folder for journals and logs, the output, and the operations of the project.

use std::io::IsTerminal as _;

use jiff::Timestamp;

use super::args::Global;
use super::home::Home;
use super::output::Output;
use crate::error::{Error, Kind, Result};
use crate::model::numbers::Numbers;
use crate::names::{Location, Project, QueueName, SubscriptionName, TaskName, TopicName};
use crate::ops::{Cloud, Found, Ops};

/// One run of one command.
pub(super) struct Session<'s, 'o> {
    pub(super) global: Global,
    pub(super) home: Home,
    read_only: &'s dyn Fn(&str) -> bool,
    pub(super) output: &'s mut Output<'o>,
}

impl<'s, 'o> Session<'s, 'o> {
    pub(super) fn new(global: Global, home: Home, read_only: &'s dyn Fn(&str) -> bool, output: &'s mut Output<'o>) -> Self {
        Self { global, home, read_only, output }
    }

    /// Returns the operations of the project that is configured, or says what to configure.
    pub(super) async fn ops(&self) -> Result<Ops> {
        match Cloud::discover(&self.global.settings()).await {
            Found::Ready(cloud) => {
                let read_only = self.global.read_only || (self.read_only)(cloud.project().id());
                Ops::new(*cloud, self.home.state.clone(), read_only)
            }
            Found::Broken(error) => Err(error),
            Found::Nothing => Err(Error::invalid("no project and no emulator is named")
                .with_hint("pass `--project ID`, or `--emulator HOST:PORT` (`redrive emulator` starts one)")),
        }
    }

    /// Returns the clock's time; commands read it once.
    #[expect(clippy::unused_self, reason = "the one place of the command line that reads the clock")]
    pub(super) fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// Takes the numbers; says which are missing and why.
    pub(super) fn numbers(&mut self, numbers: Result<Numbers>) -> Numbers {
        let numbers = numbers.unwrap_or_else(|error| Numbers { problems: vec![error.to_string()], ..Numbers::default() });
        for problem in &numbers.problems {
            self.output.warn(&format!("numbers are missing: {problem}"));
        }
        numbers
    }

    /// Asks before something that cannot be undone. Refused where nobody can be asked and `--yes` was not given.
    pub(super) fn confirm(&mut self, question: &str, yes: bool) -> Result<()> {
        if yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            return Err(Error::new(Kind::Refused, format!("not done without asking: {question}"))
                .with_hint("stdin is no terminal: add `--yes` if that is meant"));
        }
        super::confirm::ask(self.output, &mut std::io::stdin().lock(), question)
    }

    /// Asks before something that is confirmed by typing names. Refused where nobody can be asked; `instead` is what to add to the command then.
    pub(super) fn confirm_by_name(&mut self, question: &str, names: &[&str], instead: &str) -> Result<()> {
        if !std::io::stdin().is_terminal() {
            return Err(Error::new(Kind::Refused, format!("not done without its being confirmed by name: {question}"))
                .with_hint(format!("add `{instead}` if that is meant")));
        }
        super::confirm::ask_names(self.output, &mut std::io::stdin().lock(), question, names)
    }

    /// Reads a topic's name, full or bare.
    pub(super) fn topic(ops: &Ops, text: &str) -> Result<TopicName> {
        TopicName::parse_in(text, ops.cloud().project())
    }

    /// Reads a subscription's name, full or bare.
    pub(super) fn subscription(ops: &Ops, text: &str) -> Result<SubscriptionName> {
        SubscriptionName::parse_in(text, ops.cloud().project())
    }

    /// Reads a queue's name: full, or bare and looked for in all locations.
    pub(super) async fn queue(&self, ops: &Ops, text: &str) -> Result<QueueName> {
        if text.contains('/') {
            return text.parse();
        }
        let parse_in = |project: &Project, location: &crate::names::LocationId| {
            QueueName::parse_in(text, &Location::new(project.clone(), location.clone()))
        };
        if let [location] = self.global.location.as_slice() {
            return parse_in(ops.cloud().project(), location);
        }
        // Malformed names are found before the network is asked.
        let _: crate::names::QueueId = text.parse()?;
        let listing = ops.queues().await?;
        let named = listing.items.into_iter().map(|queue| queue.name).filter(|name| name.id() == text);
        one_of("queue", text, named.collect(), listing.failed)
    }

    /// Reads a task's name: full, or `QUEUE/TASK`.
    pub(super) async fn task(&self, ops: &Ops, text: &str) -> Result<TaskName> {
        if text.starts_with("projects/") {
            return text.parse();
        }
        let (queue, id) = text.split_once('/').ok_or_else(|| {
            Error::invalid(format!("`{}` is not the name of a task", text.escape_debug()))
                .with_hint("write `QUEUE/TASK`, or the full name; list tasks with `redrive tasks list QUEUE`")
        })?;
        let id = id.parse()?;
        Ok(TaskName::new(self.queue(ops, queue).await?, id))
    }
}

/// Adds to an error about something that is not there the command that lists what is.
pub(super) fn list_hint(error: Error, command: &str) -> Error {
    if error.is_not_found() && error.hint().is_none() { error.with_hint(format!("list what there is with `{command}`")) } else { error }
}

/// Picks the one resource that a bare name can mean.
pub(super) fn one_of<N: ToString>(kind: &str, text: &str, mut named: Vec<N>, failed: Vec<(String, Error)>) -> Result<N> {
    match named.len() {
        1 => Ok(named.remove(0)),
        0 => Err(match failed.into_iter().next() {
            Some((place, error)) => error.context(format!("cannot look for {kind} `{text}` in {place}")),
            None => Error::new(Kind::NotFound, format!("{kind} `{text}` does not exist"))
                .with_hint(format!("list what there is with `redrive {kind}s list`")),
        }),
        _ => Err(Error::invalid(format!("{kind} `{text}` exists in several locations"))
            .with_hint(format!("add `--location`, or use the full name, such as `{}`", named[0].to_string()))),
    }
}
