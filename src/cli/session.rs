//! What every command works with: the global options, the output, and the operations of the project.

use std::io::IsTerminal as _;

use jiff::Timestamp;

use super::args::Global;
use super::home::Home;
use super::output::Output;
use crate::error::{Error, Kind, Result};
use crate::model::numbers::Numbers;
use crate::names::{Location, Project, QueueName, SubscriptionName, TaskName, TopicName};
use crate::ops::{Cloud, Found, Guard, Ops, Typed};

/// What is about to be done, and how it is confirmed.
pub(super) struct Danger<'a> {
    /// What will be done, to how many.
    pub(super) question: &'a str,
    /// The id of what it is done to.
    pub(super) name: &'a str,
    /// To how many, where that is known.
    pub(super) count: Option<u64>,
    /// Who else is concerned, and is confirmed by name whatever the context.
    pub(super) also: Vec<String>,
}

/// One run of one command.
pub(super) struct Session<'s, 'o> {
    pub(super) global: Global,
    guard: &'s dyn Fn(&str) -> Guard,
    pub(super) output: &'s mut Output<'o>,
}

impl<'s, 'o> Session<'s, 'o> {
    pub(super) fn new(global: Global, guard: &'s dyn Fn(&str) -> Guard, output: &'s mut Output<'o>) -> Self {
        Self { global, guard, output }
    }

    /// Returns the operations of the project that is configured, or says what to configure.
    pub(super) async fn ops(&self) -> Result<Ops> {
        match Cloud::discover(&self.global.settings()).await {
            Found::Ready(cloud) => {
                let guard = (self.guard)(cloud.project().id());
                Ops::guarded(*cloud, Home::find()?.state, Guard { read_only: self.global.read_only || guard.read_only, ..guard })
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

    /// Asks before something that may cost data, as the context has it: by a yes, or by typing a name or a count.
    pub(super) fn confirm_danger(&mut self, guard: &Guard, danger: &Danger<'_>, yes: bool) -> Result<()> {
        let given = self.global.confirm.clone();
        if let Some(given) = given.as_deref().filter(|given| *given != danger.name) {
            return Err(Error::new(Kind::Refused, format!("`--confirm {}` is not what this is about", given.escape_debug()))
                .with_hint(format!("it is about `{}`", danger.name)));
        }
        let mut words: Vec<&str> = danger.also.iter().map(String::as_str).collect();
        let count = danger.count.map(|count| count.to_string());
        let asks_name = guard.typed == Typed::Name && given.is_none();
        match (guard.typed, &count) {
            (Typed::Name, _) if asks_name => words.push(danger.name),
            (Typed::Count, Some(count)) if !yes && given.is_none() => words.push(count),
            _ => {}
        }
        if words.is_empty() {
            return self.confirm(danger.question, yes || given.is_some());
        }
        if !std::io::stdin().is_terminal() {
            let mut add: Vec<String> = danger.also.iter().map(|name| format!("--fan-out {name}")).collect();
            add.push(if asks_name { format!("--confirm {}", danger.name) } else { "--yes".to_owned() });
            return Err(Error::new(Kind::Refused, format!("not done without its being confirmed: {}", danger.question))
                .with_hint(format!("add `{}` if that is meant", add.join(" "))));
        }
        super::confirm::ask_words(self.output, &mut std::io::stdin().lock(), danger.question, &words)
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
