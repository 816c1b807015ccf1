//! Deletes tasks, keeping a full copy of each on disk first.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::Timestamp;
use serde_json::json;

use crate::error::{Error, Kind, Result};
use crate::model::task::Task;
use crate::names::TaskName;
use crate::ops::{Ops, Report, home};

/// Calls under way at once.
const CALLS_AT_ONCE: usize = 16;

/// Tasks whose copies are made durable together, before any of them is deleted.
const BATCH_TASKS: usize = 64;

/// Tries for a file name that is not taken.
const NAME_TRIES: u32 = 100;

impl Ops {
    /// Deletes tasks, several at once, keeping a copy of each on disk first; `progress` is told how many are through.
    ///
    /// The copies are lines of JSON (`{"discarded": TIME, "task": TASK}` with the task as Google writes it, body included) in a file of mode
    /// 0600, on disk before the first task of it is deleted. A task that is gone already counts as such. One whose body may not be read
    /// (permission `cloudtasks.tasks.fullView`) is not deleted, for there would be no copy to put back.
    pub async fn discard_tasks(&self, tasks: Vec<TaskName>, progress: impl Fn(u64) + Send + Sync) -> Result<Report> {
        let at = Timestamp::now();
        let target = describe(&tasks);
        let allowed = self.refuse_read_only().and_then(|()| self.refuse_bulk(Some(tasks.len() as u64), "tasks"));
        let result = match allowed {
            Ok(()) => self.discard(tasks, at, &progress).await,
            Err(refusal) => Err(refusal),
        };
        let outcome = match &result {
            Ok(report) if report.failed.is_empty() => format!("ok: {} deleted, {} gone already", report.done, report.gone),
            Ok(report) => format!("in part: {} deleted, {} gone already, {} failed", report.done, report.gone, report.failed.len()),
            Err(error) => error.to_string(),
        };
        self.record(at, "task.discard", &target, &outcome);
        result
    }

    async fn discard(&self, tasks: Vec<TaskName>, at: Timestamp, progress: &(impl Fn(u64) + Send + Sync)) -> Result<Report> {
        let tasks: Vec<_> = BTreeSet::from_iter(tasks).into_iter().collect();
        let mut report = Report::default();
        let Some(first) = tasks.first() else { return Ok(report) };
        let mut copies = Copies::create(&self.0.home.join("discarded"), first, at)?;
        let through = AtomicU64::new(0);
        let step = || progress(through.fetch_add(1, Ordering::Relaxed) + 1);
        for batch in tasks.chunks(BATCH_TASKS) {
            let mut kept = Vec::new();
            for (name, answer) in self.fetch(batch).await {
                match answer.and_then(|task| copies.add(at, &task)) {
                    Ok(()) => kept.push(name),
                    Err(error) => {
                        note(&mut report, &name, error);
                        step();
                    }
                }
            }
            if let Err(error) = copies.sync() {
                // What is not surely on disk is not deleted; the batches to come would fare no better.
                copies.broken = true;
                for name in kept.drain(..) {
                    note(&mut report, &name, Error::new(Kind::Io, format!("no copy could be kept: {error}")));
                    step();
                }
            }
            let mut deletions =
                stream::iter(kept).map(|name| async { (self.cloud().delete_task(&name).await, name) }).buffer_unordered(CALLS_AT_ONCE);
            while let Some((answer, name)) = deletions.next().await {
                match answer {
                    Ok(()) => report.done += 1,
                    Err(error) => note(&mut report, &name, error),
                }
                step();
            }
        }
        report.copy = copies.finish();
        Ok(report)
    }

    async fn fetch(&self, batch: &[TaskName]) -> Vec<(TaskName, Result<Task>)> {
        stream::iter(batch.to_vec())
            .map(|name| async { (self.cloud().get_task(&name, true).await, name) })
            .buffered(CALLS_AT_ONCE)
            .map(|(answer, name)| (name, answer))
            .collect()
            .await
    }
}

fn describe(tasks: &[TaskName]) -> String {
    match tasks {
        [] => "no tasks".to_owned(),
        [one] => one.to_string(),
        [first, ..] if tasks.iter().all(|task| task.queue() == first.queue()) => format!("{} tasks of {}", tasks.len(), first.queue()),
        _ => format!("{} tasks of several queues", tasks.len()),
    }
}

fn note(report: &mut Report, name: &TaskName, error: Error) {
    if error.is_not_found() {
        report.gone += 1;
    } else {
        report.failed.push((name.to_string(), error));
    }
}

/// The file of kept copies.
struct Copies {
    path: PathBuf,
    file: File,
    written: bool,
    /// After a failed write the last line may be torn: nothing is added any more.
    broken: bool,
}

impl Copies {
    fn create(folder: &std::path::Path, first: &TaskName, at: Timestamp) -> Result<Self> {
        home::create_folder(folder)?;
        let stem = format!("{}-{}", at.strftime("%Y%m%dT%H%M%SZ"), first.queue().id());
        for n in 0..NAME_TRIES {
            let path = folder.join(if n == 0 { format!("{stem}.jsonl") } else { format!("{stem}-{n}.jsonl") });
            if path.exists() {
                continue;
            }
            match home::create_new(&path) {
                Err(_) if path.exists() => {}
                file => return Ok(Self { file: file?, path, written: false, broken: false }),
            }
        }
        Err(Error::new(Kind::Io, format!("`{}` has too many files named `{stem}`", folder.display())))
    }

    fn add(&mut self, at: Timestamp, task: &Task) -> Result<()> {
        let mut line = json!({"discarded": at.to_string(), "task": task.raw}).to_string();
        line.push('\n');
        if self.broken {
            return Err(Error::new(Kind::Io, format!("no copy can be kept in `{}` after an error", self.path.display())));
        }
        self.written = true;
        let written = self.file.write_all(line.as_bytes());
        self.broken = written.is_err();
        written.map_err(|error| home::unusable(&self.path, error))
    }

    /// Makes what was added durable.
    fn sync(&self) -> Result<()> {
        self.file.sync_all().map_err(|error| home::unusable(&self.path, error))
    }

    /// Returns where the copies are; a file without any is taken away.
    fn finish(self) -> Option<PathBuf> {
        if self.written {
            return Some(self.path);
        }
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, "an empty file of kept copies stays");
        }
        None
    }
}
