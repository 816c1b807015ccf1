//! Calls of Cloud Scheduler: jobs as our models.

use google_cloud_scheduler_v1::model::job::{State, Target};
use google_cloud_scheduler_v1::model::{self as google, HttpMethod};

use crate::cloud::Cloud;
use crate::cloud::call::call;
use crate::cloud::convert::timestamp;
use crate::cloud::endpoint::Api;
use crate::cloud::pages::{Rows, read_all};
use crate::cloud::raw;
use crate::error::Result;
use crate::model::job::{Job, JobState, JobTarget};
use crate::names::{JobName, Location, LocationId};

/// A project has at most 1,000 jobs in a region, unless its quota was raised.
const JOBS_MAX: usize = 10_000;

/// Rows asked for in one page: Google's maximum for jobs.
const PAGE_ROWS: i32 = 500;

impl Cloud {
    /// Lists the locations that Cloud Scheduler serves in this project.
    pub(crate) async fn list_job_locations(&self) -> Result<Vec<LocationId>> {
        let asked = self.asked(Api::Scheduler, "list the locations", self.project(), "cloudscheduler.locations.list");
        let (client, project) = (self.cloud_scheduler().await?, self.project().to_string());
        let (rows, _) = read_all(super::locations::LOCATIONS_MAX, async |token| {
            let page =
                call(&asked, client.list_locations().set_name(&project).set_page_size(PAGE_ROWS).set_page_token(token).send()).await?;
            Ok((page.locations, page.next_page_token))
        })
        .await?;
        Ok(rows.iter().filter_map(|row| row.location_id.parse().ok()).collect())
    }

    /// Lists the jobs of a location.
    pub(crate) async fn list_jobs(&self, location: &Location) -> Result<Rows<Job>> {
        let asked = self.asked(Api::Scheduler, "list the jobs", location, "cloudscheduler.jobs.list");
        let (client, parent) = (self.cloud_scheduler().await?, location.to_string());
        let rows = read_all(JOBS_MAX, async |token| {
            let page = call(&asked, client.list_jobs().set_parent(&parent).set_page_size(PAGE_ROWS).set_page_token(token).send()).await?;
            Ok((page.jobs, page.next_page_token))
        })
        .await?;
        Ok(Rows::convert(rows, |row| &row.name, job))
    }

    /// Runs a job now.
    pub(crate) async fn run_job(&self, name: &JobName) -> Result<Job> {
        let asked = self.asked(Api::Scheduler, "run the job", name, "cloudscheduler.jobs.run");
        job(&call(&asked, self.cloud_scheduler().await?.run_job().set_name(name.to_string()).send()).await?)
    }

    /// Stops a job from running by itself.
    pub(crate) async fn pause_job(&self, name: &JobName) -> Result<Job> {
        let asked = self.asked(Api::Scheduler, "pause the job", name, "cloudscheduler.jobs.pause");
        job(&call(&asked, self.cloud_scheduler().await?.pause_job().set_name(name.to_string()).send()).await?)
    }

    /// Lets a job run by itself again.
    pub(crate) async fn resume_job(&self, name: &JobName) -> Result<Job> {
        let asked = self.asked(Api::Scheduler, "resume the job", name, "cloudscheduler.jobs.enable");
        job(&call(&asked, self.cloud_scheduler().await?.resume_job().set_name(name.to_string()).send()).await?)
    }
}

fn job(job: &google::Job) -> Result<Job> {
    Ok(Job {
        name: job.name.parse()?,
        description: job.description.clone(),
        schedule: job.schedule.clone(),
        time_zone: job.time_zone.clone(),
        target: match &job.target {
            Some(Target::PubsubTarget(target)) => target.topic_name.parse().map_or(JobTarget::Unknown, JobTarget::PubSub),
            Some(Target::HttpTarget(target)) => JobTarget::Http { method: method(&target.http_method), url: target.uri.clone() },
            Some(Target::AppEngineHttpTarget(target)) => {
                JobTarget::AppEngine { method: method(&target.http_method), relative_uri: target.relative_uri.clone() }
            }
            _ => JobTarget::Unknown,
        },
        state: match job.state {
            State::Enabled => JobState::Enabled,
            State::Paused => JobState::Paused,
            State::Disabled => JobState::Disabled,
            State::UpdateFailed => JobState::UpdateFailed,
            _ => JobState::Unknown,
        },
        status: status(job),
        next_run: job.schedule_time.as_ref().and_then(timestamp),
        last_attempt: job.last_attempt_time.as_ref().and_then(timestamp),
        raw: raw::job(job),
    })
}

/// A job that has run and bears no status has succeeded: Google leaves out what is empty.
fn status(job: &google::Job) -> Option<(i32, String)> {
    match &job.status {
        Some(status) => Some((status.code, status.message.clone())),
        None => job.last_attempt_time.is_some().then(|| (0, String::new())),
    }
}

fn method(method: &HttpMethod) -> String {
    match method {
        HttpMethod::Unspecified => "POST".to_owned(),
        method => method.name().unwrap_or("POST").to_owned(),
    }
}
