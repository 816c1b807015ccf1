//! `redrive queues`.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Exit;
use super::output::{Column, Row, ago, dash, extended, left, measured, moment, right};
use super::session::{Danger, Session};
use crate::error::Result;
use crate::model::numbers::QueueNumbers;
use crate::model::queue::{Queue, QueueState};
use crate::ops::Ops;

#[derive(Debug, Subcommand)]
pub(super) enum Queues {
    /// List the queues of all locations, with depth, oldest task and limits
    #[command(
        after_help = "Examples:\n  redrive queues list\n  redrive queues list --location europe-west1 -o yaml\n\nIn JSON and YAML a queue is Google's own; what we measured beside it is under `redriveNumbers`."
    )]
    List,
    /// Pause a queue: it keeps its tasks and dispatches none
    #[command(after_help = "Example:\n  redrive queues pause emails")]
    Pause(Name),
    /// Resume a paused queue
    #[command(after_help = "Example:\n  redrive queues resume emails")]
    Resume(Name),
    /// Delete all tasks of a queue; takes up to a minute, cannot be undone, keeps no copy
    #[command(
        after_help = "Example:\n  redrive queues purge emails --yes\n\nTo keep a copy, discard tasks instead: `redrive tasks discard`."
    )]
    Purge {
        #[command(flatten)]
        name: Name,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Name {
    /// Queue: its id, or `projects/P/locations/L/queues/Q`
    queue: String,
}

impl Queues {
    pub(super) async fn run(self, session: &mut Session<'_, '_>) -> Result<Exit> {
        let ops = session.ops().await?;
        match self {
            Self::List => list(session, &ops).await,
            Self::Pause(name) => {
                let queue = session.queue(&ops, &name.queue).await?;
                let queue = ops.pause_queue(&queue).await?;
                done(session, &queue, "is paused")
            }
            Self::Resume(name) => {
                let queue = session.queue(&ops, &name.queue).await?;
                let queue = ops.resume_queue(&queue).await?;
                done(session, &queue, "runs again")
            }
            Self::Purge { name, yes } => {
                let queue = session.queue(&ops, &name.queue).await?;
                let question = format!("Delete all tasks of `{queue}`? This cannot be undone.");
                let danger = Danger { question: &question, name: queue.id(), count: None, also: Vec::new() };
                session.confirm_danger(ops.guard(), &danger, yes)?;
                let queue = ops.purge_queue(&queue).await?;
                done(session, &queue, "is being purged; this takes up to a minute")
            }
        }
    }
}

fn done(session: &mut Session<'_, '_>, queue: &Queue, what: &str) -> Result<Exit> {
    session.output.note(&format!("queue `{}` {what}", queue.name.id()));
    session.output.answer(&queue.raw)?;
    Ok(Exit::Done)
}

async fn list(session: &mut Session<'_, '_>, ops: &Ops) -> Result<Exit> {
    let (queues, numbers) = tokio::join!(ops.queues(), ops.numbers());
    let queues = queues?;
    let numbers = session.numbers(numbers);
    let rows: Vec<_> = queues.items.iter().map(|queue| QueueRow { queue, numbers: numbers.queues.get(&queue.name) }).collect();
    let now = session.now();
    session.output.list(&queues, &rows, now)?;
    Ok(Exit::of(queues.items.len(), queues.failed.len()))
}

/// A queue and what is known of it.
struct QueueRow<'a> {
    queue: &'a Queue,
    numbers: Option<&'a QueueNumbers>,
}

impl Row for QueueRow<'_> {
    const COLUMNS: &'static [Column] = &[
        left("QUEUE"),
        left("LOCATION"),
        left("STATE"),
        right("TASKS"),
        right("OLDEST"),
        right("RATE MAX"),
        right("RUNNING"),
        right("ATTEMPTS MAX"),
    ];

    fn cells(&self, now: Timestamp) -> Vec<String> {
        let queue = self.queue;
        let running = self.numbers.and_then(|n| n.concurrent).map_or_else(|| "-".to_owned(), |n| n.value.to_string());
        vec![
            queue.name.id().to_owned(),
            queue.name.location().id().to_owned(),
            state(queue.state).to_owned(),
            dash(self.numbers.and_then(|n| n.depth).map(|n| n.value)),
            ago(self.numbers.and_then(|n| n.oldest).map(|n| n.value), now),
            format!("{}/s", queue.dispatches_per_second_max),
            format!("{running}/{}", queue.concurrent_max),
            queue.retry.attempts_max.map_or_else(|| "unlimited".to_owned(), |max| max.to_string()),
        ]
    }

    fn json(&self) -> Value {
        let numbers = self.numbers.cloned().unwrap_or_default();
        let oldest = numbers.oldest.map(|oldest| json!({ "value": moment(Some(oldest.value)), "asOf": moment(Some(oldest.as_of)) }));
        let ours = json!({
            "tasksCount": measured(numbers.depth),
            "oldestEstimatedArrivalTime": oldest,
            "executedLastMinuteCount": measured(numbers.executed_last_minute),
            "concurrentDispatchesCount": measured(numbers.concurrent),
            "effectiveExecutionRate": measured(numbers.effective_rate),
        });
        extended(&self.queue.raw, "redriveNumbers", ours)
    }
}

fn state(state: QueueState) -> &'static str {
    match state {
        QueueState::Running => "RUNNING",
        QueueState::Paused => "PAUSED",
        QueueState::Disabled => "DISABLED",
        QueueState::Unknown => "?",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::output::{Format, Output};
    use crate::model::numbers::{Measured, Source};
    use crate::model::queue::TaskRetry;

    fn sample() -> Queue {
        Queue {
            name: "projects/shop/locations/europe-west1/queues/emails".parse().unwrap(),
            state: QueueState::Paused,
            dispatches_per_second_max: 2.5,
            burst_max: 10,
            concurrent_max: 20,
            retry: TaskRetry {
                attempts_max: None,
                duration_max: None,
                backoff_min: Duration::from_secs(1),
                backoff_max: Duration::from_mins(1),
                doublings_max: 4,
            },
            purge_time: None,
            raw: json!({ "name": "projects/shop/locations/europe-west1/queues/emails", "state": "PAUSED" }),
        }
    }

    fn written(format: Format) -> String {
        let now: Timestamp = "2026-01-02T03:00:00Z".parse().unwrap();
        let as_of = now - Duration::from_secs(90);
        let numbers = QueueNumbers {
            depth: Some(Measured { value: 312, source: Source::Stats, as_of }),
            oldest: Some(Measured { value: now - Duration::from_mins(41), source: Source::Stats, as_of }),
            ..QueueNumbers::default()
        };
        let (queue, mut out, mut err) = (sample(), Vec::new(), Vec::new());
        let rows = [QueueRow { queue: &queue, numbers: Some(&numbers) }, QueueRow { queue: &queue, numbers: None }];
        Output::new(&mut out, &mut err, format, false).rows(&rows, now).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_number_that_is_not_known_is_a_dash() {
        insta::assert_snapshot!(written(Format::Table), @r"
        QUEUE   LOCATION      STATE   TASKS  OLDEST  RATE MAX  RUNNING  ATTEMPTS MAX
        emails  europe-west1  PAUSED    312     41m     2.5/s     -/20     unlimited
        emails  europe-west1  PAUSED      -       -     2.5/s     -/20     unlimited
        ");
    }

    #[test]
    fn json_is_googles_own_with_our_numbers_under_a_key_of_ours() {
        insta::assert_snapshot!(written(Format::Yaml), @r#"
        - name: projects/shop/locations/europe-west1/queues/emails
          state: PAUSED
          redriveNumbers:
            tasksCount:
              value: 312
              source: stats
              asOf: "2026-01-02T02:58:30Z"
            oldestEstimatedArrivalTime:
              value: "2026-01-02T02:19:00Z"
              asOf: "2026-01-02T02:58:30Z"
            executedLastMinuteCount: null
            concurrentDispatchesCount: null
            effectiveExecutionRate: null
        - name: projects/shop/locations/europe-west1/queues/emails
          state: PAUSED
          redriveNumbers:
            tasksCount: null
            oldestEstimatedArrivalTime: null
            executedLastMinuteCount: null
            concurrentDispatchesCount: null
            effectiveExecutionRate: null
        "#);
    }
}
