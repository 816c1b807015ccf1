//! Deletes tasks, keeping a full copy of each on disk first: a transfer for each queue, which can be undone.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::error::{Error, Kind, Result};
use crate::names::{QueueName, TaskName};
use crate::ops::transfer::{self, Plan, Request, Selection, Source, State, Summary};
use crate::ops::{Ops, Report};

impl Ops {
    /// Deletes tasks, several at once, keeping a copy of each on disk first; `progress` is told how many are through.
    ///
    /// A task is deleted only once its copy, body included, is on disk in the transfer's file (mode 0600). A task that is gone already counts as
    /// such. One whose body may not be read (permission `cloudtasks.tasks.fullView`) is not deleted, for there would be no copy to put back.
    pub async fn discard_tasks(&self, tasks: Vec<TaskName>, progress: impl Fn(u64) + Send + Sync) -> Result<Report> {
        // The limit is of one deed, over all queues.
        self.refuse_bulk(Some(tasks.len() as u64), "tasks")?;
        let mut queues: BTreeMap<QueueName, BTreeSet<String>> = BTreeMap::new();
        for task in tasks {
            queues.entry(task.queue().clone()).or_default().insert(task.to_string());
        }
        let (mut report, mut through) = (Report::default(), 0);
        for (queue, names) in queues {
            let request = Request {
                max: Some(names.len() as u64),
                selection: Selection::Messages(names.clone()),
                ..Request::new(transfer::Kind::Discard, Source::Queue(queue))
            };
            // They were chosen by name: whenever they were created, they are meant.
            let id = self.start_transfer(Plan::of(request, Timestamp::MAX)).await?;
            let mut watch = self.watch_transfer(&id)?;
            let summary = loop {
                let summary = watch.borrow_and_update().clone();
                progress(through + summary.counts.discarded + summary.counts.failed);
                if summary.ended.is_some() || watch.changed().await.is_err() {
                    break summary;
                }
            };
            self.add_to_report(&summary, &names, &mut report)?;
            through += names.len() as u64;
            progress(through);
        }
        Ok(report)
    }

    /// Tells of each task what became of it.
    fn add_to_report(&self, summary: &Summary, names: &BTreeSet<String>, report: &mut Report) -> Result<()> {
        let outcomes = self.transfer_outcomes(&summary.id)?;
        let whole = matches!(summary.state, State::Done | State::DoneInPart);
        for name in names {
            let why = match outcomes.get(name) {
                Some(None) => {
                    report.done += 1;
                    continue;
                }
                Some(Some(why)) => why.clone(),
                None if whole => {
                    report.gone += 1;
                    continue;
                }
                None => summary.errors.last().cloned().unwrap_or_else(|| "the transfer was stopped before".to_owned()),
            };
            report.failed.push((name.clone(), Error::new(Kind::FailedPrecondition, why)));
        }
        if summary.counts.discarded > 0 {
            report.copy.clone_from(&summary.copy);
        }
        Ok(())
    }
}
