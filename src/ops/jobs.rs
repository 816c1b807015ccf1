//! Runs, pauses and resumes scheduled jobs.

use crate::error::Result;
use crate::model::job::Job;
use crate::names::JobName;
use crate::ops::Ops;

impl Ops {
    /// Runs a job now.
    pub async fn run_job(&self, job: &JobName) -> Result<Job> {
        self.act("job.run", job, self.cloud().run_job(job)).await
    }

    /// Pauses a job.
    pub async fn pause_job(&self, job: &JobName) -> Result<Job> {
        self.act("job.pause", job, self.cloud().pause_job(job)).await
    }

    /// Resumes a job.
    pub async fn resume_job(&self, job: &JobName) -> Result<Job> {
        self.act("job.resume", job, self.cloud().resume_job(job)).await
    }
}
