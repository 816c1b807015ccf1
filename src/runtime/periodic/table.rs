//! The registry's table of periodic tasks, and the jobs they need.

use jiff::Timestamp;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::names::JobName;
use crate::provision;
use crate::runtime::periodic::{ATTEMPT_DEADLINE, Periodic, ZONE_DEFAULT};
use crate::runtime::propagation::Headers;
use crate::runtime::registry::{Registry, check_name, decode, twice};
use crate::runtime::wire::Outgoing;
use crate::runtime::{App, Task};

/// Adds a task to the registry.
type Register<S> = fn(&mut Registry<S>) -> Result<()>;

/// A task with a schedule.
pub(crate) struct PeriodicEntry<S> {
    pub(crate) task: &'static str,
    pub(crate) periodic: Periodic,
    /// Adds the task itself, unless that is there.
    register: Register<S>,
}

/// All tasks with a schedule.
pub(crate) struct PeriodicTasks<S>(Vec<PeriodicEntry<S>>);

impl<S> Default for PeriodicTasks<S> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<S> PeriodicEntry<S> {
    /// Returns the job's name, without the app's prefix.
    fn name(&self) -> &str {
        self.periodic.name.as_deref().unwrap_or(self.task)
    }

    fn payload(&self) -> Value {
        // It was checked when it was added.
        self.periodic.payload.clone().and_then(std::result::Result::ok).unwrap_or(Value::Null)
    }
}

impl<S: Send + Sync + 'static> PeriodicTasks<S> {
    /// Adds a schedule of a task.
    pub(crate) fn add<T: Task<S>>(&mut self, periodic: Periodic) -> Result<()> {
        let register = |registry: &mut Registry<S>| match registry.task(T::NAME) {
            Some(_) => Ok(()),
            None => registry.add_task::<T>(),
        };
        let entry = PeriodicEntry { task: T::NAME, periodic, register };
        let within = |error: Error| error.context(format!("periodic task `{}`", entry.name().escape_debug()));
        check_name("periodic task", entry.name())?;
        entry.periodic.check().map_err(within)?;
        if let Err(why) = decode::<T>(entry.payload().to_string().as_bytes()) {
            let words = format!("its payload is not what `{}` takes: {}", T::NAME, why.0);
            return Err(within(Error::invalid(words).with_hint("set it with `.payload(…)`")));
        }
        if self.0.iter().any(|other| other.name() == entry.name()) {
            return Err(twice("periodic task", entry.name()));
        }
        self.0.push(entry);
        Ok(())
    }

    /// Returns what adds the tasks themselves.
    pub(crate) fn registrations(&self) -> Vec<Register<S>> {
        self.0.iter().map(|entry| entry.register).collect()
    }

    /// Returns all.
    pub(crate) fn all(&self) -> impl Iterator<Item = &PeriodicEntry<S>> {
        self.0.iter()
    }
}

impl<S: Send + Sync + 'static> App<S> {
    /// Returns the job of a periodic task.
    pub(crate) fn job(&self, entry: &PeriodicEntry<S>) -> Result<provision::Job> {
        let Periodic { schedule, zone, description, headers, retries, attempt_deadline, token, .. } = &entry.periodic;
        let name = JobName::new(self.location(), self.layout().job(entry.name()).replace('.', "-").parse()?);
        let (nothing, task) = (Headers::default(), self.registry().task(entry.task));
        let outgoing = Outgoing {
            name: entry.task,
            payload: entry.payload(),
            queue: self.layout().queue(),
            project: self.cloud().project().id(),
            priority: 0,
            takes_context: task.is_some_and(|task| task.options.takes_context),
            headers: &nothing,
            now: Timestamp::UNIX_EPOCH,
        };
        let call = self.layout().encode_job(outgoing, name.id());
        let audience = self.layout().audience(&call.path).into_owned();
        let of_task = task.and_then(|task| task.options.dispatch_deadline);
        let all = call.headers.into_iter().chain(headers.iter().cloned());
        Ok(provision::Job {
            name,
            description: description.clone(),
            schedule: schedule.trim().to_owned(),
            time_zone: if zone.is_empty() { ZONE_DEFAULT.to_owned() } else { zone.clone() },
            url: self.layout().url(&call.path),
            headers: all.map(|(name, value)| (name.to_ascii_lowercase(), value)).collect(),
            body: call.body,
            token: self.host().account.clone().filter(|_| *token).map(|account| (account, audience)),
            retries: *retries,
            attempt_deadline: attempt_deadline.or(of_task).unwrap_or(ATTEMPT_DEADLINE.1),
        })
    }
}
