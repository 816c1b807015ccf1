//! Does what the console asks for: operations on the runtime, each with a time limit and an id. A newer request replaces an older one.

use std::collections::HashMap;
use std::io::Write;
use std::mem::{Discriminant, discriminant};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc::Sender;
use tokio::task::AbortHandle;

use crate::console::message::{CallId, Fetch, Fetched, Message, Operation, Outcome, Session};
use crate::error::{Error, Kind, Result};
use crate::model::listing::Listing;
use crate::ops::transfer::{State, TransferId};
use crate::ops::{Ops, Report};

/// A reading call is given up after this long; the operations have shorter limits of their own.
const READ_TIMEOUT: Duration = Duration::from_mins(1);

/// A changing call is given up after this long: many tasks take a while, and a purge up to a minute.
const CHANGE_TIMEOUT: Duration = Duration::from_mins(10);

/// A listing of tasks shows at most so many.
const TASKS_MAX: usize = 5_000;

/// A look at messages shows at most so many.
const MESSAGES_MAX: usize = 2_000;

/// The activity log is read back so far.
const ACTIVITY_MAX: usize = 1_000;

/// Runs operations and sends their answers back.
pub(crate) struct Runner {
    ops: Option<Ops>,
    back: Sender<Message>,
    reading: HashMap<Discriminant<Fetch>, AbortHandle>,
}

impl Runner {
    /// Makes a runner without a connection: until there is one, nothing is asked.
    pub(crate) fn new(back: Sender<Message>) -> Self {
        Self { ops: None, back, reading: HashMap::new() }
    }

    /// Takes the connection, and says what is known by it.
    pub(crate) fn connect(&mut self, ops: Ops, sample: bool) -> Session {
        let cloud = ops.cloud();
        let session = Session {
            project: cloud.project().id().to_owned(),
            place: cloud.place().clone(),
            locations: cloud.locations().iter().map(ToString::to_string).collect(),
            sample,
        };
        self.ops = Some(ops);
        session
    }

    /// Opens a text in the user's editor; waits for it.
    pub(crate) fn edit(&self, text: &str) -> Result<String> {
        let none = || Error::new(Kind::FailedPrecondition, "there is no connection yet");
        self.ops.as_ref().ok_or_else(none)?.edit_text(text)
    }

    /// Starts a reading call; one of the same kind that is under way is dropped.
    pub(crate) fn fetch(&mut self, id: CallId, fetch: Fetch) {
        let Some(ops) = self.ops.clone() else { return };
        let back = self.back.clone();
        let slot = discriminant(&fetch);
        let task = tokio::spawn(async move {
            let answer = tokio::time::timeout(READ_TIMEOUT, Box::pin(read(&ops, fetch.clone()))).await;
            let answer = answer.unwrap_or_else(|_| late(fetch));
            // The receiver is gone only when the console ends.
            let _ = back.send(Message::Fetched(id, Box::new(answer))).await;
        });
        if let Some(older) = self.reading.insert(slot, task.abort_handle()) {
            older.abort();
        }
    }

    /// Starts a changing call; it is never dropped.
    pub(crate) fn operate(&self, id: CallId, operation: Operation) {
        let Some(ops) = self.ops.clone() else { return };
        let back = self.back.clone();
        tokio::spawn(async move {
            let answer = tokio::time::timeout(CHANGE_TIMEOUT, Box::pin(change(&ops, operation, id, &back))).await;
            let answer = answer.unwrap_or_else(|_| Err(timed_out()));
            let started = match &answer {
                Ok(Outcome::Transfer(transfer)) => Some(transfer.clone()),
                _ => None,
            };
            let _ = back.send(Message::Done(id, answer)).await;
            if let Some(transfer) = started {
                follow(&ops, &transfer, &back).await;
            }
        });
    }
}

fn timed_out() -> Error {
    Error::new(Kind::Timeout, "no answer in time").with_hint("it may have happened all the same: refresh with ctrl-r before asking again")
}

async fn read(ops: &Ops, fetch: Fetch) -> Fetched {
    match fetch {
        Fetch::Queues => Fetched::Queues(ops.queues().await),
        Fetch::Topics => Fetched::Topics(ops.topics().await),
        Fetch::Subscriptions => Fetched::Subscriptions(ops.subscriptions().await),
        Fetch::DeadLetters => Fetched::DeadLetters(ops.dead_letters().await),
        Fetch::Jobs => Fetched::Jobs(ops.jobs().await),
        Fetch::Numbers => Fetched::Numbers(ops.numbers().await),
        Fetch::Tasks(queue) => {
            let answer = ops.tasks(&queue, false, TASKS_MAX).await;
            Fetched::Tasks(queue, answer)
        }
        Fetch::Task(name) => {
            let answer = ops.task(&name).await;
            Fetched::Task(name, answer)
        }
        Fetch::Messages(subscription, mode) => {
            let answer = ops.peek(&subscription, mode, MESSAGES_MAX).await;
            Fetched::Messages(subscription, answer)
        }
        Fetch::Transfers => Fetched::Transfers(blocking(ops, Ops::transfers).await),
        Fetch::Activity => Fetched::Activity(blocking(ops, |ops| ops.activity(ACTIVITY_MAX)).await),
        Fetch::Doctor => Fetched::Doctor(Ok(Box::pin(ops.doctor()).await)),
        Fetch::Plan(request) => Fetched::Plan(Box::pin(ops.plan_transfer(*request)).await),
    }
}

/// Reads files off the threads that must not wait.
async fn blocking<T: Send + 'static>(ops: &Ops, read: impl FnOnce(&Ops) -> Result<Vec<T>> + Send + 'static) -> Result<Listing<T>> {
    let ops = ops.clone();
    let as_of = Timestamp::now();
    let items = tokio::task::spawn_blocking(move || read(&ops)).await.map_err(|error| Error::new(Kind::Internal, error.to_string()))??;
    Ok(Listing { items, ..Listing::empty(as_of) })
}

fn late(fetch: Fetch) -> Fetched {
    match fetch {
        Fetch::Queues => Fetched::Queues(Err(timed_out())),
        Fetch::Topics => Fetched::Topics(Err(timed_out())),
        Fetch::Subscriptions => Fetched::Subscriptions(Err(timed_out())),
        Fetch::DeadLetters => Fetched::DeadLetters(Err(timed_out())),
        Fetch::Jobs => Fetched::Jobs(Err(timed_out())),
        Fetch::Numbers => Fetched::Numbers(Err(timed_out())),
        Fetch::Tasks(queue) => Fetched::Tasks(queue, Err(timed_out())),
        Fetch::Task(name) => Fetched::Task(name, Err(timed_out())),
        Fetch::Messages(subscription, _) => Fetched::Messages(subscription, Err(timed_out())),
        Fetch::Transfers => Fetched::Transfers(Err(timed_out())),
        Fetch::Activity => Fetched::Activity(Err(timed_out())),
        Fetch::Doctor => Fetched::Doctor(Err(timed_out())),
        Fetch::Plan(_) => Fetched::Plan(Err(timed_out())),
    }
}

async fn change(ops: &Ops, operation: Operation, id: CallId, back: &Sender<Message>) -> Result<Outcome> {
    match operation {
        Operation::Publish(topic, draft) => return ops.publish(&topic, *draft).await.map(Outcome::Published),
        Operation::RunTasks(tasks) => return run_tasks(ops, tasks, id, back).await,
        Operation::DiscardTasks(tasks) => {
            let back = back.clone();
            // Progress that finds the channel full is skipped: the next one says more.
            let report = ops.discard_tasks(tasks, move |count| drop(back.try_send(Message::Progress(id, count)))).await?;
            return Ok(Outcome::Report(report));
        }
        Operation::DebugTask(task, base) => return ops.debug_task(&task, &base).await.map(|answer| Outcome::Answered(Box::new(answer))),
        Operation::PauseQueue(queue) => drop(ops.pause_queue(&queue).await?),
        Operation::ResumeQueue(queue) => drop(ops.resume_queue(&queue).await?),
        Operation::PurgeQueue(queue) => drop(ops.purge_queue(&queue).await?),
        Operation::RunJob(job) => drop(ops.run_job(&job).await?),
        Operation::PauseJob(job) => drop(ops.pause_job(&job).await?),
        Operation::ResumeJob(job) => drop(ops.resume_job(&job).await?),
        Operation::StartTransfer(plan) => return ops.start_transfer(*plan).await.map(Outcome::Transfer),
        Operation::Hold(name) => ops.hold_subscription(&name).await?,
        Operation::Release(name) => ops.release_subscription(&name).await?,
        Operation::CancelTransfer(transfer) => ops.cancel_transfer(&transfer).await?,
        Operation::PruneTransfers(transfers) => drop(ops.prune_transfers(&transfers).await?),
        Operation::ResumeTransfer(transfer) => {
            // One that asks whether its canary may be followed goes on where it is.
            if ops.watch_transfer(&transfer).is_ok_and(|watch| watch.borrow().state == State::Asking) {
                ops.proceed_transfer(&transfer).await?;
                return Ok(Outcome::Done);
            }
            ops.resume_transfer(&transfer).await?;
            return Ok(Outcome::Transfer(transfer));
        }
    }
    Ok(Outcome::Done)
}

async fn run_tasks(ops: &Ops, tasks: Vec<crate::names::TaskName>, id: CallId, back: &Sender<Message>) -> Result<Outcome> {
    if let [task] = tasks.as_slice() {
        ops.run_task(task).await?;
        return Ok(Outcome::Done);
    }
    let mut report = Report::default();
    for (count, task) in (1..).zip(&tasks) {
        match ops.run_task(task).await {
            Ok(_) => report.done += 1,
            Err(error) if error.is_not_found() => report.gone += 1,
            Err(error) => report.failed.push((task.to_string(), error)),
        }
        drop(back.try_send(Message::Progress(id, count)));
    }
    Ok(Outcome::Report(report))
}

/// Waits for the end of a transfer of this process, and says so.
async fn follow(ops: &Ops, transfer: &TransferId, back: &Sender<Message>) {
    let Ok(mut watched) = ops.watch_transfer(transfer) else { return };
    loop {
        let summary = watched.borrow_and_update().clone();
        if !summary.state.is_running() {
            let _ = back.send(Message::Ended(Box::new(summary))).await;
            return;
        }
        if watched.changed().await.is_err() {
            return;
        }
    }
}

/// Writes a file that only its owner can read, and never over another: in the working folder, else in the home folder.
pub(crate) fn save(name: &str, extension: &str, content: &str) -> Result<PathBuf> {
    let stamp = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let file = format!("{}-{stamp}.{extension}", name.chars().take(80).collect::<String>());
    let home = directories::UserDirs::new().map(|dirs| dirs.home_dir().to_owned());
    let folders = std::env::current_dir().ok().into_iter().chain(home);
    let mut why = Error::new(Kind::Io, "there is no folder to write to");
    for folder in folders {
        let path = folder.join(&file);
        match write_private(&path, content) {
            Ok(()) => return Ok(path),
            Err(error) => why = Error::from(error).context(format!("`{}`", path.display())),
        }
    }
    Err(why)
}

fn write_private(path: &std::path::Path, content: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(content.as_bytes())
}
