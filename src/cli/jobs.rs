//! `redrive jobs`.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::Value;

use super::Exit;
use super::output::{Column, Row, ago, left, right};
use super::session::{Session, one_of};
use crate::error::Result;
use crate::model::job::{Job, JobState, JobTarget};
use crate::names::{JobId, JobName, Location};
use crate::ops::Ops;

#[derive(Debug, Subcommand)]
pub(super) enum Jobs {
    /// List the scheduled jobs of all locations
    #[command(after_help = "Examples:\n  redrive jobs list\n  redrive jobs list -o json | jq '.[] | select(.status.code > 0).name'")]
    List,
    /// Run a job now
    #[command(after_help = "Example:\n  redrive jobs run nightly-report")]
    Run(Name),
    /// Pause a job
    #[command(after_help = "Example:\n  redrive jobs pause nightly-report")]
    Pause(Name),
    /// Resume a paused job
    #[command(after_help = "Example:\n  redrive jobs resume nightly-report")]
    Resume(Name),
}

#[derive(Debug, Args)]
pub(super) struct Name {
    /// Job: its id, or `projects/P/locations/L/jobs/J`
    job: String,
}

impl Jobs {
    pub(super) async fn run(self, session: &mut Session<'_, '_>) -> Result<Exit> {
        let ops = session.ops().await?;
        let (name, what) = match &self {
            Self::List => return list(session, &ops).await,
            Self::Run(Name { job }) => (find(session, &ops, job).await?, "was started"),
            Self::Pause(Name { job }) => (find(session, &ops, job).await?, "is paused"),
            Self::Resume(Name { job }) => (find(session, &ops, job).await?, "runs on its schedule again"),
        };
        let job = match self {
            Self::Pause(_) => ops.pause_job(&name).await?,
            Self::Resume(_) => ops.resume_job(&name).await?,
            Self::Run(_) | Self::List => ops.run_job(&name).await?,
        };
        session.output.note(&format!("job `{}` {what}", job.name.id()));
        session.output.answer(&job.raw)?;
        Ok(Exit::Done)
    }
}

async fn list(session: &mut Session<'_, '_>, ops: &Ops) -> Result<Exit> {
    let jobs = ops.jobs().await?;
    let rows: Vec<_> = jobs.items.iter().map(JobRow).collect();
    let now = session.now();
    session.output.list(&jobs, &rows, now)?;
    Ok(Exit::of(jobs.items.len(), jobs.failed.len()))
}

async fn find(session: &Session<'_, '_>, ops: &Ops, text: &str) -> Result<JobName> {
    if text.contains('/') {
        return text.parse();
    }
    let id: JobId = text.parse()?;
    if let [location] = session.global.location.as_slice() {
        return Ok(JobName::new(Location::new(ops.cloud().project().clone(), location.clone()), id));
    }
    let listing = ops.jobs().await?;
    one_of("job", text, listing.items.into_iter().map(|job| job.name).filter(|name| name.id() == text).collect(), listing.failed)
}

struct JobRow<'a>(&'a Job);

impl Row for JobRow<'_> {
    const COLUMNS: &'static [Column] = &[
        left("JOB"),
        left("LOCATION"),
        left("STATE"),
        left("SCHEDULE"),
        left("TIME ZONE"),
        right("NEXT"),
        right("LAST"),
        left("RESULT"),
        left("TARGET"),
    ];

    fn cells(&self, now: Timestamp) -> Vec<String> {
        let job = self.0;
        vec![
            job.name.id().to_owned(),
            job.name.location().id().to_owned(),
            state(job.state).to_owned(),
            job.schedule.clone(),
            if job.time_zone.is_empty() { "UTC".to_owned() } else { job.time_zone.clone() },
            ago(job.next_run, now),
            ago(job.last_attempt, now),
            result(job),
            match &job.target {
                JobTarget::PubSub(topic) => format!("topic {}", topic.id()),
                JobTarget::Http { method, url } => format!("{method} {url}"),
                JobTarget::AppEngine { method, relative_uri } => format!("{method} {relative_uri} (App Engine)"),
                JobTarget::Unknown => "?".to_owned(),
            },
        ]
    }

    fn json(&self) -> Value {
        self.0.raw.clone()
    }
}

fn state(state: JobState) -> &'static str {
    match state {
        JobState::Enabled => "ENABLED",
        JobState::Paused => "PAUSED",
        JobState::Disabled => "DISABLED",
        JobState::UpdateFailed => "UPDATE_FAILED",
        JobState::Unknown => "?",
    }
}

fn result(job: &Job) -> String {
    match &job.status {
        None => "-".to_owned(),
        Some((0, _)) => "ok".to_owned(),
        Some((code, text)) if text.is_empty() => format!("failed, code {code}"),
        Some((_, text)) => text.clone(),
    }
}
