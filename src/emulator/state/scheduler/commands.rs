//! What clients may ask of jobs.

use std::ops::Bound;
use std::sync::Arc;

use crate::emulator::state::tasks::Page;
use crate::emulator::state::{Command, Effects, Moment, Refusal, State};
use crate::names::{JobName, Location};

use super::Scheduler;
use super::draft::JobDraft;
use super::job::{Job, JobState, status_of};
use crate::emulator::state::saved::saved;

pub(crate) struct CreateJob {
    pub(crate) location: Location,
    /// Full name; empty to have one made.
    pub(crate) name: String,
    pub(crate) draft: JobDraft,
}

saved!(struct CreateJob { location, name, draft });

pub(crate) struct UpdateJob {
    pub(crate) name: JobName,
    pub(crate) draft: JobDraft,
    /// Paths of fields in the proto's spelling; empty is all.
    pub(crate) mask: Vec<String>,
}

saved!(struct UpdateJob { name, draft, mask });

pub(crate) struct DeleteJob(pub(crate) JobName);
pub(crate) struct PauseJob(pub(crate) JobName);
pub(crate) struct ResumeJob(pub(crate) JobName);
/// Makes an attempt now, even of a paused job.
pub(crate) struct RunJob(pub(crate) JobName);

saved!(tuple DeleteJob);
saved!(tuple PauseJob);
saved!(tuple ResumeJob);
saved!(tuple RunJob);

impl Scheduler {
    pub(crate) fn job(&self, name: &JobName) -> Result<&Job, Refusal> {
        self.get(name)
    }

    /// Lists the jobs of a location from after `from` on, in order of their names.
    pub(crate) fn list_jobs(&self, location: &Location, from: Option<&str>, limit: usize) -> Page<&Job> {
        let prefix = format!("{location}/jobs/");
        let from = format!("{prefix}{}", from.unwrap_or_default());
        let range = self.jobs.range::<str, _>((Bound::Excluded(from.as_str()), Bound::Unbounded));
        let mut jobs = range.take_while(|(name, _)| name.starts_with(&prefix)).map(|(_, job)| job);
        let items: Vec<&Job> = jobs.by_ref().take(limit).collect();
        let next = jobs.next().and(items.last()).map(|job| job.name.id().to_owned());
        Page { items, next }
    }

    fn change(&mut self, name: &JobName, change: impl FnOnce(&mut Job) -> Result<(), Refusal>) -> Result<Job, Refusal> {
        self.get(name)?;
        let key = name.to_string();
        let job = self.jobs.get_mut(key.as_str()).ok_or_else(|| Refusal::not_found("Job not found."))?;
        change(job)?;
        let job = job.clone();
        self.replan(&key);
        Ok(job)
    }
}

impl Command for CreateJob {
    type Reply = Job;

    fn apply(self, state: &mut State, at: Moment, _out: &mut Effects) -> Result<Job, Refusal> {
        let malformed = |_| Refusal::invalid("Job name must be formatted: \"projects/<PROJECT_ID>/locations/<LOCATION_ID>/jobs/<JOB_ID>\"");
        let name = if self.name.is_empty() { format!("{}/jobs/{}", self.location, at.seed) } else { self.name };
        let name: JobName = name.parse().map_err(malformed)?;
        if *name.location() != self.location {
            return Err(Refusal::invalid(format!("The job name must begin with the parent, \"{}\".", self.location)));
        }
        let scheduler = &mut state.scheduler;
        let key: Arc<str> = name.to_string().into();
        let mut job = self.draft.check(name, at.now)?;
        if scheduler.jobs.contains_key(&key) {
            return Err(Refusal::exists(format!("Job {key} already exists.")));
        }
        scheduler.created += 1;
        job.age = scheduler.created;
        scheduler.jobs.insert(Arc::clone(&key), job.clone());
        scheduler.replan(&key);
        Ok(job)
    }
}

impl Command for UpdateJob {
    type Reply = Job;

    fn apply(self, state: &mut State, at: Moment, _out: &mut Effects) -> Result<Job, Refusal> {
        let draft = JobDraft::of(state.scheduler.get(&self.name)?).updated(self.draft, &self.mask)?;
        let new = draft.check(self.name.clone(), at.now)?;
        state.scheduler.change(&self.name, |job| {
            job.update(new, at.now);
            Ok(())
        })
    }
}

impl Command for DeleteJob {
    type Reply = ();

    fn apply(self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<(), Refusal> {
        state.scheduler.get(&self.0)?;
        if let Some((key, job)) = state.scheduler.jobs.remove_entry(self.0.to_string().as_str())
            && let Some(planned) = job.planned
        {
            state.scheduler.due.remove(&(planned, key));
        }
        Ok(())
    }
}

impl Command for PauseJob {
    type Reply = Job;

    fn apply(self, state: &mut State, at: Moment, _out: &mut Effects) -> Result<Job, Refusal> {
        state.scheduler.change(&self.0, |job| {
            if job.state != JobState::Enabled {
                return Err(Refusal::precondition("Job.state must be ENABLED for PauseJob."));
            }
            job.state = JobState::Paused;
            job.reschedule(at.now);
            Ok(())
        })
    }
}

impl Command for ResumeJob {
    type Reply = Job;

    fn apply(self, state: &mut State, at: Moment, _out: &mut Effects) -> Result<Job, Refusal> {
        state.scheduler.change(&self.0, |job| {
            if job.state != JobState::Paused {
                return Err(Refusal::precondition("Job.state must be PAUSED for ResumeJob."));
            }
            job.state = JobState::Enabled;
            job.reschedule(at.now);
            Ok(())
        })
    }
}

impl Command for RunJob {
    type Reply = Job;

    fn apply(self, state: &mut State, at: Moment, out: &mut Effects) -> Result<Job, Refusal> {
        state.scheduler.get(&self.0)?;
        if let Some(publication) = state.scheduler.send(&self.0.to_string(), true, at.now, out) {
            let outcome = state.pubsub.publish_internal(&publication.topic, publication.message, at, out);
            state.scheduler.change(&self.0, |job| {
                job.finish(status_of(outcome), true, at.now);
                Ok(())
            })?;
        }
        state.scheduler.get(&self.0).cloned()
    }
}
