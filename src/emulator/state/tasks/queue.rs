//! A queue: its tasks in order of their due times, its rate, its attempts under way.

use std::collections::btree_map::{BTreeMap, Entry};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::emulator::pb::google::iam::v1::Policy;
use crate::emulator::state::target::{LOST, Outcome};
use crate::emulator::state::{Answer, Effect, Effects, Refusal};
use crate::names::QueueName;

use super::key::Key;
use super::request;
use super::settings::Settings;
use super::stats::Samples;
use super::task::{Attempt, Task};
use super::throttle::{Pace, Throttle};
use crate::emulator::state::saved::saved;

/// The name of a task that was executed or deleted cannot be used again for this time.
const TASK_NAME_BLOCKED: SignedDuration = SignedDuration::from_hours(1);
/// A task is deleted at this age, whatever has become of it.
pub(crate) const TASK_TTL: SignedDuration = SignedDuration::from_hours(31 * 24);
/// So many blocked names are remembered per queue (about 100 MB); beyond that the oldest are forgotten.
const BLOCKED_NAMES_MAX: usize = 1_000_000;

const TOO_RECENT: &str = "The task cannot be created because a task with this name existed too recently. For more information about task \
     de-duplication see https://cloud.google.com/tasks/docs/reference/rest/v2/projects.locations.queues.tasks/create\
     #body.request_body.FIELDS.task.";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueueState {
    Running,
    Paused,
}

saved!(enum QueueState { 0 = Running, 1 = Paused });

#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) name: QueueName,
    pub(crate) state: QueueState,
    pub(crate) settings: Settings,
    pub(crate) purge_time: Option<Timestamp>,
    pub(crate) samples: Samples,
    pub(super) policy: Option<Policy>,
    /// By id.
    pub(super) tasks: BTreeMap<Key, Arc<Task>>,
    /// Tasks that wait, by due time and then by age.
    plan: BTreeMap<(Timestamp, u64), Arc<str>>,
    /// All tasks by age, for those that get too old.
    by_age: BTreeMap<u64, Arc<str>>,
    flights: HashMap<u64, Flight>,
    bucket: Bucket,
    throttle: Throttle,
    /// Number of the last task created.
    created: u64,
    blocked: HashMap<Arc<str>, Timestamp>,
    blocked_order: VecDeque<(Timestamp, Arc<str>)>,
    /// Where the queue stands in the order of all queues.
    pub(super) planned: Option<Timestamp>,
}

saved!(struct Queue { name, state, settings, purge_time, samples, policy, tasks, plan, flights, bucket, created, blocked, blocked_order, planned; by_age, throttle });

/// An attempt under way.
#[derive(Debug)]
struct Flight {
    task: Arc<str>,
    /// Tells the task from a later one of the same name.
    age: u64,
    /// When `RunTask` was called, if that began it.
    forced: Option<Timestamp>,
}

saved!(struct Flight { task, age, forced });

/// A token bucket, kept as the one moment at which it is full again (the generic cell rate algorithm).
#[derive(Debug, Clone, Copy)]
struct Bucket {
    full_at: Timestamp,
}

saved!(struct Bucket { full_at });

impl Bucket {
    /// The longest time between two dispatches; slower rates are taken as this one.
    const INTERVAL_MAX: Duration = Duration::from_hours(366 * 24);

    fn interval(pace: Pace) -> SignedDuration {
        let interval = Duration::try_from_secs_f64(pace.per_second.recip()).unwrap_or(Self::INTERVAL_MAX).min(Self::INTERVAL_MAX);
        SignedDuration::try_from(interval).unwrap_or(SignedDuration::MAX)
    }

    /// When the next token is there.
    fn ready_at(self, pace: Pace) -> Timestamp {
        // Nothing was taken yet: not worth the making of an error, which going further back is.
        if self.full_at == Timestamp::MIN {
            return Timestamp::MIN;
        }
        let spare = i32::try_from(pace.burst.saturating_sub(1)).unwrap_or(i32::MAX);
        self.full_at.checked_sub(Self::interval(pace).saturating_mul(spare)).unwrap_or(Timestamp::MIN)
    }

    fn take(&mut self, pace: Pace, now: Timestamp) {
        self.full_at = later(self.full_at.max(now), Self::interval(pace));
    }
}

impl Queue {
    pub(super) fn new(name: QueueName, settings: Settings) -> Self {
        Self {
            name,
            state: QueueState::Running,
            settings,
            purge_time: None,
            samples: Samples::default(),
            policy: None,
            tasks: BTreeMap::new(),
            plan: BTreeMap::new(),
            by_age: BTreeMap::new(),
            flights: HashMap::new(),
            bucket: Bucket { full_at: Timestamp::MIN },
            throttle: Throttle::default(),
            created: 0,
            blocked: HashMap::new(),
            blocked_order: VecDeque::new(),
            planned: None,
        }
    }

    pub(crate) fn task(&self, id: &str) -> Option<&Task> {
        self.tasks.get(id).map(Arc::as_ref)
    }

    /// Whether a task of this id was done or deleted so recently that its name cannot be used.
    pub(super) fn is_blocked(&self, id: &str, now: Timestamp) -> bool {
        self.blocked.get(id).is_some_and(|until| now < *until)
    }

    pub(crate) fn depth(&self) -> usize {
        self.tasks.len()
    }

    pub(crate) fn under_way(&self) -> usize {
        self.flights.len()
    }

    /// When the task that waits longest was or will be due.
    pub(crate) fn oldest_due(&self) -> Option<Timestamp> {
        self.plan.first_key_value().map(|((due, _), _)| *due)
    }

    /// How fast tasks may go out now.
    pub(crate) fn pace(&self) -> Pace {
        self.throttle.pace(&self.settings)
    }

    /// When the queue has to do something next by itself.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        [self.dispatch_due(), self.expiry_due()].into_iter().flatten().min()
    }

    /// When the oldest task gets too old.
    fn expiry_due(&self) -> Option<Timestamp> {
        let (_, id) = self.by_age.first_key_value()?;
        self.tasks.get(&Key::from(Arc::clone(id))).map(|task| later(task.create_time, TASK_TTL))
    }

    /// Deletes the tasks that are too old.
    pub(super) fn expire(&mut self, now: Timestamp) {
        while self.expiry_due().is_some_and(|due| due <= now) {
            let Some((_, id)) = self.by_age.pop_first() else { break };
            self.remove(&id, now);
        }
    }

    /// When the queue can dispatch next.
    fn dispatch_due(&self) -> Option<Timestamp> {
        let free = self.flights.len() < usize::try_from(self.settings.concurrent).unwrap_or(usize::MAX);
        let due = self.oldest_due().filter(|_| free && self.state == QueueState::Running)?;
        Some(due.max(self.bucket.ready_at(self.pace())))
    }

    /// Adds a task, if its name is free; returns it as it is now.
    pub(super) fn add(&mut self, mut task: Task, now: Timestamp) -> Result<Arc<Task>, Refusal> {
        let Entry::Vacant(place) = self.tasks.entry(Arc::clone(&task.id).into()) else {
            return Err(Refusal::exists("Requested entity already exists"));
        };
        if self.blocked.get(&task.id).is_some_and(|until| now < *until) {
            return Err(Refusal::exists(TOO_RECENT));
        }
        self.created += 1;
        task.age = self.created;
        self.plan.insert((task.schedule_time, task.age), Arc::clone(&task.id));
        self.by_age.insert(task.age, Arc::clone(&task.id));
        Ok(Arc::clone(place.insert(Arc::new(task))))
    }

    /// Takes a task out, done or not, and blocks its name for a while.
    pub(super) fn remove(&mut self, id: &str, now: Timestamp) -> Option<Arc<Task>> {
        let task = self.tasks.remove(id)?;
        self.plan.remove(&(task.schedule_time, task.age));
        self.by_age.remove(&task.age);
        if task.named {
            self.block(Arc::clone(&task.id), now);
        }
        Some(task)
    }

    pub(super) fn purge(&mut self, now: Timestamp) {
        self.plan.clear();
        self.by_age.clear();
        for (id, task) in std::mem::take(&mut self.tasks) {
            if task.named {
                self.block(id.into(), now);
            }
        }
        self.purge_time = Some(micros(now));
    }

    fn block(&mut self, id: Arc<str>, now: Timestamp) {
        let until = later(now, TASK_NAME_BLOCKED);
        self.blocked_order.push_back((until, Arc::clone(&id)));
        self.blocked.insert(id, until);
        while self.blocked_order.front().is_some_and(|(until, _)| *until <= now) || self.blocked_order.len() > BLOCKED_NAMES_MAX {
            let Some((until, id)) = self.blocked_order.pop_front() else { break };
            if self.blocked.get(&id) == Some(&until) {
                self.blocked.remove(&id);
            }
        }
    }

    /// Dispatches the task that is due, if there is one and the queue may.
    pub(super) fn dispatch_next(&mut self, attempts: &mut u64, app_engine: Option<&str>, now: Timestamp, out: &mut Effects) {
        if self.dispatch_due().is_none_or(|due| due > now) {
            return;
        }
        if let Some((_, id)) = self.plan.pop_first() {
            self.bucket.take(self.pace(), now);
            self.dispatch(&id, None, attempts, app_engine, now, out);
        }
    }

    /// Dispatches a task at once, whatever limits say.
    pub(super) fn force(&mut self, id: &Arc<str>, attempts: &mut u64, app_engine: Option<&str>, now: Timestamp, out: &mut Effects) {
        if let Some(task) = self.tasks.get(&**id) {
            self.plan.remove(&(task.schedule_time, task.age));
            self.dispatch(id, Some(now), attempts, app_engine, now, out);
        }
    }

    fn dispatch(
        &mut self,
        id: &Arc<str>,
        forced: Option<Timestamp>,
        attempts: &mut u64,
        app_engine: Option<&str>,
        now: Timestamp,
        out: &mut Effects,
    ) {
        let Some(task) = self.tasks.get_mut(&**id).map(Arc::make_mut) else { return };
        *attempts += 1;
        let call = request::build(&self.name, &self.settings, task, *attempts, app_engine);
        task.dispatches = task.dispatches.saturating_add(1);
        task.first_attempt.get_or_insert(now);
        task.last_attempt = Some(Attempt { schedule_time: task.schedule_time, dispatch_time: now, response_time: None, status: None });
        task.under_way += 1;
        self.samples.dispatched(now);
        self.flights.insert(*attempts, Flight { task: Arc::clone(id), age: task.age, forced });
        match call {
            Ok(call) => out.list.push(Effect::Send(call)),
            Err(outcome) => self.ended(*attempts, &outcome, now),
        }
    }

    /// Sends the attempts under way again, as they were; those that cannot be have failed.
    pub(super) fn send_again(&mut self, app_engine: Option<&str>, now: Timestamp, out: &mut Effects) {
        let mut flights: Vec<u64> = self.flights.keys().copied().collect();
        flights.sort_unstable();
        for attempt in flights {
            let flight = self.flights.get(&attempt);
            let task = flight.and_then(|flight| self.tasks.get(&*flight.task).filter(|task| task.age == flight.age));
            // As it was before this attempt was counted.
            let before = task.map(|task| Task { dispatches: task.dispatches.saturating_sub(1), ..Task::clone(task) });
            match before.and_then(|before| request::build(&self.name, &self.settings, &before, attempt, app_engine).ok()) {
                Some(call) => out.list.push(Effect::Send(call)),
                None => self.ended(attempt, &Outcome::of(&Answer::Failed(LOST.to_owned())), now),
            }
        }
    }

    pub(super) fn answered(&mut self, attempt: u64, answer: &Answer, now: Timestamp) {
        self.ended(attempt, &Outcome::of_task(answer), now);
    }

    fn ended(&mut self, attempt: u64, outcome: &Outcome, now: Timestamp) {
        let Some(flight) = self.flights.remove(&attempt) else { return };
        self.samples.answered(outcome.status.code);
        let retry_of_queue = self.settings.retry;
        let task = self.tasks.get_mut(&*flight.task).filter(|task| task.age == flight.age);
        let Some(task) = task.map(Arc::make_mut) else { return };
        self.throttle.note(outcome, &task.target);
        task.note(outcome, now);
        if outcome.is_success() {
            self.remove(&flight.task, now);
            return;
        }
        if task.under_way > 0 {
            return;
        }
        let retry = task.retry.unwrap_or(retry_of_queue);
        let since_first = task.first_attempt.map_or(SignedDuration::ZERO, |first| now.duration_since(first));
        if retry.gives_up(task.dispatches, since_first.try_into().unwrap_or_default()) {
            self.remove(&flight.task, now);
            return;
        }
        let delay = SignedDuration::try_from(retry.backoff().delay(task.dispatches)).unwrap_or(SignedDuration::MAX);
        let asked = outcome.retry_after.map(|after| later(now, SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX)));
        task.schedule_time = micros(later(flight.forced.unwrap_or(now), delay).max(asked.unwrap_or(Timestamp::MIN)));
        self.plan.insert((task.schedule_time, task.age), Arc::clone(&flight.task));
    }
}

/// `at` plus `by`; the end of time if that is later.
fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// Cut to microseconds, as the service keeps its times.
pub(super) fn micros(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}
