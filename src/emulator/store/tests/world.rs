//! A state on a simulated disk, what was answered so far, and what must therefore be true after every crash.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;
use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::emulator::pb::google::pubsub::v1 as pb;
use crate::emulator::state::saved::Writer;
use crate::emulator::state::scheduler::{CreateJob, JobDraft, JobTarget};
use crate::emulator::state::target::HttpTarget;
use crate::emulator::state::tasks::{CreateQueue, CreateTask, DeleteTask, QueueDraft, Target, TaskDraft};
use crate::emulator::state::{Answer, Answered, Caller, Command, Effect, Effects, Image, Moment, Refusal, Restart, State, Tick};
use crate::emulator::store::{Clock, Opened, Store};
use crate::wal::sim::{Dice, SimDisk};

const DIR: &str = "/data";
const TOPIC: &str = "projects/shop/topics/orders";
const PULLED: &str = "projects/shop/subscriptions/pulled";
const PUSHED: &str = "projects/shop/subscriptions/pushed";
const QUEUE: &str = "projects/shop/locations/l/queues/q";
const URL: &str = "http://localhost/";

/// What was done and found, in numbers.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    pub(super) crashes: usize,
    pub(super) refused: usize,
    pub(super) states: usize,
    pub(super) messages: usize,
    pub(super) acks: usize,
    pub(super) tasks: usize,
    pub(super) jobs: usize,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.crashes += other.crashes;
        self.refused += other.refused;
        self.states += other.states;
        self.messages += other.messages;
        self.acks += other.acks;
        self.tasks += other.tasks;
        self.jobs += other.jobs;
    }
}

/// What clients were told.
#[derive(Debug, Default)]
struct Told {
    /// Message ids that were published.
    published: BTreeSet<String>,
    /// Ack ids received, and of which message.
    leases: BTreeMap<String, String>,
    acked: BTreeSet<String>,
    tasks: BTreeSet<String>,
    /// Tasks that were deleted, done or given up, or may have been.
    gone: BTreeSet<String>,
    jobs: BTreeSet<String>,
    calls: Vec<Caller>,
}

type Happen = Box<dyn FnOnce(&mut State, Moment, &mut Told)>;

/// A command with what to do when it happens.
struct Planned {
    record: Vec<u8>,
    happen: Happen,
}

fn plan<C: Command>(command: C, tell: impl FnOnce(Result<C::Reply, Refusal>, &mut Told) + 'static) -> Planned {
    let mut to = Writer::default();
    command.write(&mut to);
    let happen = Box::new(move |state: &mut State, at: Moment, told: &mut Told| {
        let mut out = Effects::default();
        let reply = command.apply(state, at, &mut out);
        let calls = out.list.into_iter().filter_map(|effect| if let Effect::Send(call) = effect { Some(call.caller) } else { None });
        told.calls.extend(calls);
        tell(reply, told);
    });
    Planned { record: to.bytes, happen }
}

/// One step of a run.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Batch,
    /// A batch, or a state being written, during which the power fails.
    PowerFailure,
    Crash,
    State,
    DiskFull,
    Restart,
}

pub(super) struct World {
    disk: SimDisk,
    dice: Dice,
    /// None only while it is opened anew.
    store: Option<Store>,
    state: State,
    clock: Clock,
    told: Told,
    counts: Counts,
    named: u64,
    /// What the state was like before the last batch of this log: the next may have been written while that one was being applied.
    before: Option<u64>,
}

impl World {
    pub(super) fn open(disk: SimDisk, dice: Dice) -> Result<Self, String> {
        let Opened { store, state, clock } = Store::open(Arc::new(disk.clone()), Path::new(DIR)).map_err(|error| error.to_string())?;
        let begin = Clock { now: Timestamp::from_second(1_800_000_000).unwrap(), ..clock };
        let mut world = Self {
            disk,
            dice,
            store: Some(store),
            state,
            clock: begin,
            told: Told::default(),
            counts: Counts::default(),
            named: 0,
            before: None,
        };
        world.batch(vec![
            plan(pb::Topic { name: TOPIC.into(), ..Default::default() }, |reply, _| drop(reply.unwrap())),
            plan(subscription(PULLED, None), |reply, _| drop(reply.unwrap())),
            plan(subscription(PUSHED, Some(URL)), |reply, _| drop(reply.unwrap())),
            plan(CreateQueue { name: QUEUE.parse().unwrap(), draft: QueueDraft::default() }, |reply, _| reply.unwrap()),
        ])?;
        Ok(world)
    }

    pub(super) fn step(&mut self, step: Option<Step>) -> Result<(), String> {
        let step = step.unwrap_or_else(|| match self.dice.below(20) {
            0..12 => Step::Batch,
            12..15 => Step::PowerFailure,
            15 => Step::Crash,
            16 | 17 => Step::State,
            18 => Step::DiskFull,
            _ => Step::Restart,
        });
        match step {
            Step::Batch => {
                let batch = self.commands();
                self.batch(batch)
            }
            Step::State => self.write_state(),
            Step::Crash => self.recover(Vec::new(), self.clock),
            Step::PowerFailure => {
                let steps = 1 + self.dice.below(12) as u64;
                self.disk.set_fuse(Some(steps));
                let crashes = self.counts.crashes;
                while self.counts.crashes == crashes {
                    let state = self.dice.chance(30);
                    let batch = self.commands();
                    if state { self.write_state()? } else { self.batch(batch)? }
                }
                Ok(())
            }
            Step::DiskFull => {
                self.disk.set_room(Some(self.dice.below(600)));
                for _ in 0..3 {
                    let state = self.dice.chance(40);
                    let batch = self.commands();
                    if state { self.write_state()? } else { self.batch(batch)? }
                }
                self.disk.set_room(None);
                Ok(())
            }
            Step::Restart => {
                self.write_state()?;
                self.reopen(Vec::new(), self.clock)
            }
        }
    }

    /// Commits a batch and, once it is durable, lets it happen; a failed one is told to its callers and has not happened.
    fn batch(&mut self, batch: Vec<Planned>) -> Result<(), String> {
        let clock = Clock {
            now: self.clock.now + SignedDuration::from_millis(1 + i64::try_from(self.dice.below(4000)).expect("small")),
            ..self.clock
        };
        let batch: Vec<(u64, Planned)> = batch.into_iter().map(|planned| (self.dice.roll(), planned)).collect();
        let now_like = self.state.fingerprint();
        let fingerprint = self.before.filter(|_| self.dice.chance(50)).unwrap_or(now_like);
        let store = self.store.as_mut().unwrap();
        let kept = store.begin(clock, fingerprint).and_then(|()| {
            batch.iter().try_for_each(|(seed, planned)| store.add(*seed, &planned.record, 1))?;
            store.commit()
        });
        if kept.is_ok() {
            (self.clock, self.before) = (clock, Some(now_like));
            for (seed, planned) in batch {
                (planned.happen)(&mut self.state, Moment { now: clock.now, seed }, &mut self.told);
            }
            return Ok(());
        }
        store.abandon();
        (self.counts.refused, self.before) = (self.counts.refused + 1, None);
        if self.disk.is_dead() { self.recover(batch, clock) } else { Ok(()) }
    }

    fn write_state(&mut self) -> Result<(), String> {
        let turned = self.store.as_mut().unwrap().turn(&self.state, self.clock);
        // Everything is applied before the state is taken.
        self.before = None;
        let crashes = self.counts.crashes;
        while turned.is_ok() && self.dice.chance(50) {
            // The log goes on while the state is written.
            let batch = self.commands();
            self.batch(batch)?;
            if self.counts.crashes > crashes {
                return Ok(());
            }
        }
        let written = turned.and_then(|snapshot| snapshot.write());
        if self.disk.is_dead() {
            return self.recover(Vec::new(), self.clock);
        }
        self.counts.states += usize::from(written.is_ok());
        Ok(())
    }

    /// Loses power, or the process only, with a batch of which nobody was told under way.
    fn recover(&mut self, untold: Vec<(u64, Planned)>, clock: Clock) -> Result<(), String> {
        self.counts.crashes += 1;
        self.store = None;
        if self.dice.chance(30) {
            self.disk.kill();
        } else {
            self.disk.crash(&mut self.dice);
        }
        self.reopen(untold, clock)
    }

    /// Opens the directory again, and compares: all that was told has happened, and of the batch under way some beginning may have.
    fn reopen(&mut self, untold: Vec<(u64, Planned)>, clock: Clock) -> Result<(), String> {
        (self.store, self.before) = (None, None);
        let opened = Store::open(Arc::new(self.disk.clone()), Path::new(DIR)).map_err(|error| error.to_string())?;
        let found = Image::of(&opened.state).bytes();
        let mut untold = untold.into_iter();
        let mut of_none = Told::default();
        let mut happened = 0;
        while Image::of(&self.state).bytes() != found {
            let Some((seed, planned)) = untold.next() else { return Err(first_difference(&self.state, &opened.state)) };
            (planned.happen)(&mut self.state, Moment { now: clock.now, seed }, &mut of_none);
            happened += 1;
        }
        if opened.clock != self.clock && opened.clock != clock {
            return Err(format!("the clock stands at {:?}", opened.clock));
        }
        if happened > 0 {
            self.told.gone.extend(of_none.gone);
            self.told.acked.extend(of_none.acked);
        }
        self.clock = Clock { now: self.clock.now.max(opened.clock.now), ..self.clock };
        (self.store, self.state) = (Some(opened.store), opened.state);
        self.told.calls.clear();
        self.batch(vec![plan(Restart, |_, _| {})])
    }

    /// What clients and time might do next.
    fn commands(&mut self) -> Vec<Planned> {
        (0..=self.dice.below(4)).map(|_| self.command()).collect()
    }

    fn command(&mut self) -> Planned {
        self.named += 1;
        let name = self.named;
        match self.dice.below(10) {
            0..3 => publish(1 + self.dice.below(3)),
            3 => plan(pull(5), |reply, told| {
                let received = reply.unwrap().received_messages;
                told.leases.extend(received.into_iter().map(|got| (got.ack_id, got.message.unwrap().message_id)));
            }),
            4 => self.acknowledge(),
            5 => create_task(name),
            6 => self.delete_task(),
            7 => create_job(name),
            8 => self.answer(),
            _ => plan(Tick, |_, _| {}),
        }
    }

    fn acknowledge(&mut self) -> Planned {
        let ids: Vec<String> = self.told.leases.keys().take(3).cloned().collect();
        let messages: Vec<String> = ids.iter().filter_map(|id| self.told.leases.remove(id)).collect();
        let request = pb::AcknowledgeRequest { subscription: PULLED.into(), ack_ids: ids.clone() };
        plan(request, move |reply, told| {
            // A lease that is over acknowledges nothing.
            let done = reply.map(|settled| settled.done).unwrap_or_default();
            told.acked.extend(ids.iter().zip(messages).filter(|(id, _)| done.contains(id)).map(|(_, message)| message));
        })
    }

    fn delete_task(&mut self) -> Planned {
        let name = self.told.tasks.iter().nth(self.dice.below(self.told.tasks.len().max(1))).cloned();
        let name = name.unwrap_or_else(|| format!("{QUEUE}/tasks/none"));
        plan(DeleteTask(name.parse().unwrap()), move |_, told| {
            told.gone.insert(name);
        })
    }

    /// The answer to some call, good or bad.
    fn answer(&mut self) -> Planned {
        if self.told.calls.is_empty() {
            return plan(Tick, |_, _| {});
        }
        let caller = self.told.calls.swap_remove(self.dice.below(self.told.calls.len()));
        let answer = if self.dice.chance(50) { Answer::Status(200) } else { Answer::Status(500) };
        let task = if let Caller::Task { task, .. } = &caller { Some(task.clone()) } else { None };
        let done = task.filter(|_| answer == Answer::Status(200));
        plan(Answered { caller, answer }, move |_, told| told.gone.extend(done))
    }

    /// What must be there, is; and what was acknowledged does not come again.
    pub(super) fn finish(mut self) -> Result<Counts, String> {
        // All leases end, so that everything that is there can be received.
        let later = self.clock.now + SignedDuration::from_mins(30);
        let mut got = BTreeSet::new();
        loop {
            let at = Moment { now: later, seed: self.dice.roll() };
            let reply = pull(1000).apply(&mut self.state, at, &mut Effects::default()).map_err(|refusal| refusal.message)?;
            if reply.received_messages.is_empty() {
                break;
            }
            got.extend(reply.received_messages.into_iter().map(|received| received.message.unwrap().message_id));
        }
        let told = &self.told;
        let lost = told.published.iter().find(|id| !told.acked.contains(*id) && !got.contains(*id));
        let back = told.acked.iter().find(|id| got.contains(*id));
        let tasks = &self.state.tasks;
        let task = told.tasks.iter().find(|name| !told.gone.contains(*name) && tasks.task(&name.parse().unwrap()).is_err());
        let job = told.jobs.iter().find(|name| self.state.scheduler.job(&name.parse().unwrap()).is_err());
        if let Some(what) = lost.or(back).or(task).or(job) {
            return Err(format!("lost, or back: {what}"));
        }
        let (messages, acks) = (told.published.len(), told.acked.len());
        Ok(Counts { messages, acks, tasks: told.tasks.len(), jobs: told.jobs.len(), ..self.counts })
    }
}

/// Where the state that may be and the one that was found part.
fn first_difference(wanted: &State, found: &State) -> String {
    let (wanted, found) = (format!("{wanted:#?}"), format!("{found:#?}"));
    let parts = wanted.lines().zip(found.lines()).position(|(wanted, found)| wanted != found).unwrap_or(0);
    let around = |text: &str| text.lines().skip(parts.saturating_sub(3)).take(6).map(str::trim).collect::<Vec<_>>().join(" ");
    format!("not `{}` but `{}`", around(&wanted), around(&found))
}

fn subscription(name: &str, endpoint: Option<&str>) -> pb::Subscription {
    let push_config = endpoint.map(|url| pb::PushConfig { push_endpoint: url.into(), ..Default::default() });
    pb::Subscription { name: name.into(), topic: TOPIC.into(), push_config, ..Default::default() }
}

fn publish(count: usize) -> Planned {
    let messages = vec![pb::PubsubMessage { data: "payload".into(), ..Default::default() }; count];
    plan(pb::PublishRequest { topic: TOPIC.into(), messages }, |reply, told| told.published.extend(reply.unwrap().into_texts()))
}

fn pull(max_messages: i32) -> pb::PullRequest {
    pb::PullRequest { subscription: PULLED.into(), max_messages, ..Default::default() }
}

fn create_task(number: u64) -> Planned {
    let name = format!("{QUEUE}/tasks/t{number}");
    let target = Target::Http(HttpTarget { url: URL.into(), ..HttpTarget::default() });
    let draft = TaskDraft { name: name.clone(), target: Some(target), ..TaskDraft::default() };
    plan(CreateTask { queue: QUEUE.parse().unwrap(), draft }, move |reply, told| {
        reply.unwrap();
        told.tasks.insert(name);
    })
}

fn create_job(number: u64) -> Planned {
    let name = format!("projects/shop/locations/l/jobs/j{number}");
    let target = JobTarget::Http(HttpTarget { url: URL.into(), ..HttpTarget::default() });
    let draft = JobDraft { target: Some(target), schedule: "* * * * *".into(), time_zone: "Europe/Berlin".into(), ..JobDraft::default() };
    plan(CreateJob { location: "projects/shop/locations/l".parse().unwrap(), name: name.clone(), draft }, move |reply, told| {
        reply.unwrap();
        told.jobs.insert(name);
    })
}
