//! `redrive tasks`, where it is about more than looking: run, discard, move, redrive, edit, replay, export.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;

use super::Exit;
use super::args::query;
use super::carry::{Consent, When, carry_out, moment};
use super::session::Session;
use crate::error::{Error, Result};
use crate::model::query::Query;
use crate::ops::Ops;
use crate::ops::transfer::{Delivery, Kind, Request, Selection, Source, TaskChange};

/// Which tasks, and whether it is done.
#[derive(Debug, Args)]
pub(super) struct Chosen {
    /// Tasks of one queue: `QUEUE/TASK`, or full names; with `--filter` or `--all` the queue
    #[arg(required = true)]
    task: Vec<String>,
    /// All tasks of the queue that this expression selects
    #[arg(long, value_name = "EXPR", value_parser = query)]
    filter: Option<Query>,
    /// All tasks of the queue
    #[arg(long, conflicts_with = "filter")]
    all: bool,
    /// Tasks at most [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max: Option<u64>,
    /// Tasks a second at most [default: as fast as it goes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    #[command(flatten)]
    consent: Consent,
}

#[derive(Debug, Args)]
pub(super) struct Move {
    #[command(flatten)]
    chosen: Chosen,
    /// Queue to create them in
    #[arg(long, value_name = "QUEUE")]
    to: String,
}

#[derive(Debug, Args)]
pub(super) struct Edit {
    #[command(flatten)]
    chosen: Chosen,
    /// When it is due: a time, or a span from now such as `2h`
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<When>,
    /// Another URL (of an App Engine task: its path)
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Another method
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// Header to set, `NAME=VALUE`; `NAME=` takes it off; can be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    /// Another body, as it is
    #[arg(long, value_name = "TEXT", conflicts_with = "body_file")]
    body: Option<String>,
    /// File whose content is the body
    #[arg(long, value_name = "FILE")]
    body_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Replay {
    #[command(flatten)]
    chosen: Chosen,
    /// Where the handler listens; takes the place of scheme, host and port, path and query stay
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    to_url: String,
    /// Send to a handler on another machine, too
    #[arg(long)]
    allow_remote: bool,
}

#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    chosen: Chosen,
    /// File to write, a line of JSON for each task; must not exist
    #[arg(long, value_name = "FILE")]
    to_file: PathBuf,
}

impl Chosen {
    /// Makes the request: of tasks by name, or of a queue.
    async fn request(&self, session: &Session<'_, '_>, ops: &Ops, kind: Kind, delivery: Delivery) -> Result<Request> {
        let (queue, selection) = if self.filter.is_some() || self.all {
            let [queue] = self.task.as_slice() else {
                return Err(Error::invalid("`--filter` and `--all` take one queue").with_hint("redrive tasks discard QUEUE --filter EXPR"));
            };
            let selection = self.filter.clone().map_or(Selection::All, Selection::Matching);
            (session.queue(ops, queue).await?, selection)
        } else {
            let mut names = BTreeSet::new();
            let mut queues = BTreeSet::new();
            for name in &self.task {
                let name = session.task(ops, name).await?;
                queues.insert(name.queue().clone());
                names.insert(name.to_string());
            }
            let mut queues = queues.into_iter();
            let (Some(queue), None) = (queues.next(), queues.next()) else {
                return Err(Error::invalid("the tasks are of several queues").with_hint("name those of one queue at a time"));
            };
            (queue, Selection::Messages(names))
        };
        let request = Request::new(kind, Source::Queue(queue));
        Ok(Request { selection, delivery, rate_max: self.rate, max: self.max, ..request })
    }

    /// Tells whether it is one task by its name.
    pub(super) fn one(&self) -> Option<&str> {
        match self.task.as_slice() {
            [one] if self.filter.is_none() && !self.all && !self.consent.dry_run => Some(one),
            _ => None,
        }
    }

    async fn carry_out(&self, session: &mut Session<'_, '_>, ops: &Ops, kind: Kind, delivery: Delivery) -> Result<Exit> {
        let request = self.request(session, ops, kind, delivery).await?;
        carry_out(session, ops, request, &[], &self.consent).await
    }

    /// Runs them now.
    pub(super) async fn run_now(&self, session: &mut Session<'_, '_>, ops: &Ops) -> Result<Exit> {
        self.carry_out(session, ops, Kind::Run, Delivery::Run).await
    }

    /// Deletes them, keeping a copy of each.
    pub(super) async fn discard(&self, session: &mut Session<'_, '_>, ops: &Ops) -> Result<Exit> {
        self.carry_out(session, ops, Kind::Discard, Delivery::SourceTopic).await
    }

    /// Creates them again where they failed.
    pub(super) async fn redrive(&self, session: &mut Session<'_, '_>, ops: &Ops) -> Result<Exit> {
        self.carry_out(session, ops, Kind::Redrive, Delivery::Task(Box::default())).await
    }
}

impl Move {
    pub(super) async fn run(self, session: &mut Session<'_, '_>, ops: &Ops) -> Result<Exit> {
        let queue = Some(session.queue(ops, &self.to).await?);
        let change = TaskChange { queue, ..TaskChange::default() };
        self.chosen.carry_out(session, ops, Kind::Redrive, Delivery::Task(Box::new(change))).await
    }
}

impl Edit {
    pub(super) async fn run(self, session: &mut Session<'_, '_>, ops: &Ops) -> Result<Exit> {
        let body = match (self.body, &self.body_file) {
            (Some(body), _) => Some(body.into_bytes()),
            (None, Some(path)) => {
                Some(std::fs::read(path).map_err(|error| Error::from(error).context(format!("cannot read `{}`", path.display())))?)
            }
            (None, None) => None,
        };
        let headers: BTreeMap<_, _> = self.header.into_iter().collect();
        let at = self.at.map(|at| at.time(session.now()));
        if at.is_none() && self.url.is_none() && self.method.is_none() && headers.is_empty() && body.is_none() {
            return Err(Error::invalid("nothing is to be changed")
                .with_hint("give `--at`, `--url`, `--method`, `--header`, `--body` or `--body-file`"));
        }
        let mut request = self.chosen.request(session, ops, Kind::Redrive, Delivery::Run).await?;
        // It stays in its queue, also where that is a dead set.
        let change = TaskChange { queue: request.source.queue().cloned(), at, url: self.url, method: self.method, headers, body };
        request.delivery = Delivery::Task(Box::new(change));
        carry_out(session, ops, request, &[], &self.chosen.consent).await
    }
}

impl Replay {
    pub(super) async fn run(self, session: &mut Session<'_, '_>, ops: &Ops) -> Result<Exit> {
        let delivery = Delivery::Handler { url: self.to_url, anywhere: self.allow_remote };
        self.chosen.carry_out(session, ops, Kind::Replay, delivery).await
    }
}

impl Export {
    pub(super) async fn run(self, session: &mut Session<'_, '_>, ops: &Ops) -> Result<Exit> {
        self.chosen.carry_out(session, ops, Kind::Export, Delivery::File(self.to_file)).await
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("give it as `NAME=VALUE`")?;
    let valid = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    if valid { Ok((name.to_owned(), value.to_owned())) } else { Err(format!("`{}` is no header name", name.escape_debug())) }
}
