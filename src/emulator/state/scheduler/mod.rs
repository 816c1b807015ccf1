//! Cloud Scheduler as a pure state.
//!
//! A job has at most one execution at a time: an attempt and its retries. What falls due meanwhile starts when that has ended, once; `RunJob`
//! alone sends at once, whatever goes on.

mod commands;
mod draft;
mod job;
mod mask;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::pubsub::Draft;
use super::target::{LOST, Outcome};
use super::{Answer, Effect, Effects, Moment, Refusal};
use crate::names::JobName;

pub(crate) use commands::{CreateJob, DeleteJob, PauseJob, ResumeJob, RunJob, UpdateJob};
pub(crate) use draft::{JobDraft, RetryDraft};
pub(crate) use job::{Job, JobState, JobTarget};

use crate::emulator::state::saved::saved;
use job::Sent;

/// Jobs.
#[derive(Debug, Default)]
pub(crate) struct Scheduler {
    /// By full name.
    jobs: BTreeMap<Arc<str>, Job>,
    /// When each job starts next; those that do not are missing.
    due: BTreeSet<(Timestamp, Arc<str>)>,
    flights: HashMap<u64, Flight>,
    /// The number of the last attempt.
    attempts: u64,
    /// Number of the last job created.
    created: u64,
    /// Where App Engine targets are sent; without it, attempts at them fail.
    pub(super) app_engine: Option<String>,
}

saved!(struct Scheduler { jobs, due, flights, attempts, created, app_engine });

/// An attempt under way.
#[derive(Debug)]
struct Flight {
    /// Tells the job from a later one of the same name.
    age: u64,
    /// Begun by `RunJob`, outside the schedule.
    forced: bool,
}

saved!(struct Flight { age, forced });

/// What a job with a Pub/Sub target publishes.
#[derive(Debug)]
pub(crate) struct Publication {
    pub(crate) job: String,
    pub(crate) topic: String,
    pub(crate) message: Draft,
}

impl Scheduler {
    /// Forgets everything but the numbers given and where App Engine is.
    pub(crate) fn reset(&mut self) {
        *self = Self { attempts: self.attempts, created: self.created, app_engine: self.app_engine.take(), ..Self::default() };
    }

    /// The dispatcher's report on an attempt.
    pub(crate) fn answered(&mut self, job: &str, attempt: u64, answer: &Answer, at: Moment) {
        let Some(flight) = self.flights.remove(&attempt) else { return };
        let Some(found) = self.jobs.get_mut(job).filter(|job| job.age == flight.age) else { return };
        found.finish(Outcome::of(answer).status, flight.forced, at.now);
        self.replan(job);
    }

    /// How a publication of [`Scheduler::tick`] ended.
    pub(crate) fn published(&mut self, job: &str, outcome: Result<String, Refusal>, at: Moment) {
        if let Some(found) = self.jobs.get_mut(job) {
            found.finish(job::status_of(outcome), false, at.now);
            self.replan(job);
        }
    }

    /// Sends the attempts under way again.
    pub(crate) fn restart(&mut self, at: Moment, out: &mut Effects) {
        let mut flights: Vec<(u64, u64, bool)> =
            self.flights.iter().map(|(attempt, flight)| (*attempt, flight.age, flight.forced)).collect();
        flights.sort_unstable();
        for (attempt, age, forced) in flights {
            let Some((name, job)) = self.jobs.iter_mut().find(|(_, job)| job.age == age) else {
                self.flights.remove(&attempt);
                continue;
            };
            let name = Arc::clone(name);
            match job.request(attempt, forced, self.app_engine.as_deref(), at.now) {
                Sent::Call(call) => out.list.push(Effect::Send(call)),
                Sent::Publication { .. } | Sent::Nowhere(_) => self.answered(&name, attempt, &Answer::Failed(LOST.to_owned()), at),
            }
        }
    }

    pub(crate) fn fingerprint(&self) -> u64 {
        self.attempts.wrapping_add(self.created << 40)
    }

    /// All that fell due by `at.now`; what goes to Pub/Sub is returned.
    pub(crate) fn tick(&mut self, at: Moment, out: &mut Effects) -> Vec<Publication> {
        let mut publications = Vec::new();
        while self.due.first().is_some_and(|(due, _)| *due <= at.now) {
            let Some((_, name)) = self.due.pop_first() else { break };
            let Some(job) = self.jobs.get_mut(&name) else { continue };
            job.planned = None;
            job.start(at.now);
            publications.extend(self.send(&name, false, at.now, out));
            self.replan(&name);
        }
        publications
    }

    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Returns all jobs of all projects, in order of their names.
    pub(crate) fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values()
    }

    /// Makes an attempt: sends it, gives back what to publish, or fails at once where there is no App Engine app.
    fn send(&mut self, name: &str, forced: bool, now: Timestamp, out: &mut Effects) -> Option<Publication> {
        let job = self.jobs.get_mut(name)?;
        self.attempts += 1;
        match job.request(self.attempts, forced, self.app_engine.as_deref(), now) {
            Sent::Call(call) => {
                self.flights.insert(self.attempts, Flight { age: job.age, forced });
                out.list.push(Effect::Send(call));
                None
            }
            Sent::Publication { topic, message } => Some(Publication { job: name.to_owned(), topic, message }),
            Sent::Nowhere(why) => {
                job.finish(Outcome::of(&Answer::Failed(why)).status, forced, now);
                None
            }
        }
    }

    /// Puts a job where it belongs in the order of dues, after anything about it has changed.
    fn replan(&mut self, name: &str) {
        let Some(name) = self.jobs.get_key_value(name).map(|(name, _)| Arc::clone(name)) else { return };
        let Some(job) = self.jobs.get_mut(&name) else { return };
        let due = job.next_start();
        if job.planned != due {
            if let Some(planned) = std::mem::replace(&mut job.planned, due) {
                self.due.remove(&(planned, Arc::clone(&name)));
            }
            self.due.extend(due.map(|due| (due, name)));
        }
    }

    fn get(&self, name: &JobName) -> Result<&Job, Refusal> {
        self.jobs.get(name.to_string().as_str()).ok_or_else(|| Refusal::not_found("Job not found."))
    }
}

#[cfg(test)]
mod tests;
