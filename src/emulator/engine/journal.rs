//! The way of a command into a durable state: written to the log by one thread, many with one sync; then applied; then answered.
//!
//! The state never has what the disk has not: a command that could not be written did not happen, and its caller is told.

use std::error::Error as _;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{Core, Engine, Inner};
use crate::emulator::state::saved::Writer;
use crate::emulator::state::{Code, Command, Effects, Moment, Refusal};
use crate::emulator::store::{Clock, Store};
use crate::error::{Error, Result};

/// Commands written with one sync at most, so that the first of them does not wait for very many others …
const BATCH_COMMANDS_MAX: usize = 4096;
/// … and about so many bytes: a large publish or two.
const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;
/// After no other log could be begun, so many more commands are taken before the next try.
const COMMANDS_BETWEEN_TRIES: u64 = 10_000;
/// After a failed sync another log is begun; if that fails too it is tried again after this time.
const MEND_PAUSE: Duration = Duration::from_millis(200);
/// What must be written is tried again after this pause, in milliseconds, while the disk takes nothing.
const DISK_PAUSE_MS: u64 = 200;

/// The way to the thread that writes.
#[derive(Debug)]
pub(super) struct Journal {
    jobs: Sender<Job>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

enum Job {
    Command(Box<Submitted>),
    /// Write the state, and end.
    Stop,
}

struct Submitted {
    record: Vec<u8>,
    /// See [`Command::work`].
    work: u64,
    /// Whether what comes after it is at another time.
    moves_clock: bool,
    then: Box<dyn FnOnce(Verdict<'_>) + Send>,
}

/// What became of a command's record.
enum Verdict<'a> {
    Durable(&'a Engine, &'a mut Core, Moment, &'a mut Effects),
    Lost(&'a Refusal),
}

/// A reply, once it is there: the outer error is that the command could not be kept.
pub(super) type Reply<T> = oneshot::Receiver<Result<Result<T, Refusal>, Refusal>>;

/// The jobs, for the thread that is to come.
pub(super) struct Jobs(Receiver<Job>);

impl Journal {
    /// Makes the way; jobs wait until [`Journal::begin`].
    pub(super) fn new() -> (Self, Jobs) {
        let (jobs, queue) = channel();
        (Self { jobs, writer: Mutex::default() }, Jobs(queue))
    }

    /// Starts the thread. It ends after [`Journal::stop`], and when the engine is gone.
    pub(super) fn begin(&self, engine: Weak<Inner>, jobs: Jobs, store: Store) -> io::Result<()> {
        let writer = WriterThread { engine, store, applier: Applier::start()?, snapshot: None, next_try: 0, mended: None };
        let handle = thread::Builder::new().name("redrive-log".to_owned()).spawn(move || writer.run(&jobs.0))?;
        *self.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle);
        Ok(())
    }

    /// Has the thread write the state, and waits for its end; what is submitted from now on is lost.
    pub(super) fn close(&self) {
        // It may have ended already.
        drop(self.jobs.send(Job::Stop));
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer.filter(|writer| writer.thread().id() != thread::current().id()) {
            // A writer that panicked has ended too.
            drop(writer.join());
        }
    }

    /// Puts a command in line. `after` happens with it.
    pub(super) fn submit<C: Command>(&self, mut command: C, after: Option<fn(&Engine, &mut Core)>) -> Reply<C::Reply> {
        let (mut to, work) = (Writer::default(), command.work());
        command.write(&mut to);
        // After it, for `prost` writes a clone, and the first clone of what is alone in its buffer costs an allocation.
        command.detach();
        let (sender, reply) = oneshot::channel();
        let then = Box::new(move |verdict: Verdict<'_>| {
            let answer = match verdict {
                Verdict::Lost(refusal) => Err(refusal.clone()),
                Verdict::Durable(engine, core, moment, effects) => {
                    let answer = command.apply(&mut core.state, moment, effects);
                    if let Some(after) = after {
                        after(engine, core);
                    }
                    Ok(answer)
                }
            };
            // The caller may have gone; it happened all the same.
            drop(sender.send(answer));
        });
        // Without a thread the reply never comes, which its reader takes for what it is.
        drop(self.jobs.send(Job::Command(Box::new(Submitted { record: to.bytes, work, moves_clock: after.is_some(), then }))));
        reply
    }
}

/// A batch that is on the disk, and has not happened yet.
struct Durable {
    clock: Clock,
    batch: Vec<Submitted>,
    seeds: Vec<u64>,
}

impl Durable {
    fn moves_clock(&self) -> bool {
        self.batch.iter().any(|job| job.moves_clock)
    }
}

/// The thread that applies a batch while the next one is synced: the one that syncs goes on at once, and does not wait for a core.
struct Applier {
    work: Sender<(Engine, Durable)>,
    done: Receiver<()>,
}

impl Applier {
    /// Starts the thread. It ends with this.
    fn start() -> io::Result<Self> {
        let (work, batches) = channel();
        let (tell, done) = channel();
        let run = move || {
            for (engine, durable) in batches {
                apply(&engine, durable);
                drop(engine);
                if tell.send(()).is_err() {
                    break;
                }
            }
        };
        thread::Builder::new().name("redrive-apply".to_owned()).spawn(run)?;
        Ok(Self { work, done })
    }

    /// Has a batch applied; `done` says when it is.
    fn begin(&self, engine: &Engine, durable: Durable) {
        self.work.send((engine.clone(), durable)).unwrap_or_else(|_| panic!("the thread that applies ends after this one"));
    }
}

struct WriterThread {
    engine: Weak<Inner>,
    store: Store,
    applier: Applier,
    /// The state that is being written.
    snapshot: Option<JoinHandle<()>>,
    /// No state is written before so many commands.
    next_try: u64,
    /// When another log was last tried to be begun after a failed sync.
    mended: Option<Instant>,
}

impl WriterThread {
    fn run(mut self, jobs: &Receiver<Job>) {
        // Applied beside the writing of the next one, or at once if there is none.
        let mut durable = None;
        loop {
            let job = if durable.is_some() { jobs.try_recv().ok() } else { jobs.recv().ok() };
            let Some(engine) = self.engine.upgrade().map(Engine) else { break };
            let stop = match job {
                Some(Job::Command(first)) => {
                    let (batch, stop) = collect(*first, jobs);
                    durable = self.write(&engine, batch, durable);
                    if !stop && !self.store.is_long() && !durable.as_ref().is_some_and(Durable::moves_clock) {
                        continue;
                    }
                    stop
                }
                Some(Job::Stop) => true,
                None => false,
            };
            // What comes now has to know what came of it.
            if let Some(durable) = durable.take() {
                apply(&engine, durable);
            }
            if stop {
                // So that a build that behaves otherwise can open the directory as well.
                (self.next_try, self.mended) = (0, None);
                self.wait_for_snapshot();
            }
            if stop || self.store.is_long() {
                self.turn(&engine);
            }
            if stop {
                break;
            }
        }
        self.wait_for_snapshot();
    }

    /// Waits until the state that is being written, if one is, has been written or could not be.
    fn wait_for_snapshot(&mut self) {
        if let Some(snapshot) = self.snapshot.take() {
            drop(snapshot.join());
        }
    }

    /// Writes a batch, and applies the one `before` it meanwhile; returns it once it is durable. None of a batch that cannot be written has happened.
    fn write(&mut self, engine: &Engine, batch: Vec<Submitted>, before: Option<Durable>) -> Option<Durable> {
        // None of the failed batch has happened, and the one before it has.
        if self.store.is_broken() && before.is_none() {
            self.mend(engine);
        }
        let (clock, fingerprint) = {
            let mut core = engine.lock();
            core.latest = core.latest.max(engine.clock());
            (engine.clock_of(&core), core.state.fingerprint())
        };
        let applying = before.is_some();
        if let Some(before) = before {
            self.applier.begin(engine, before);
        }
        let seeds: Vec<u64> = batch.iter().map(|_| engine.next_seed()).collect();
        let added = self.add(clock, fingerprint, &batch, &seeds);
        let kept = added.and_then(|()| self.store.commit());
        if applying {
            self.applier.done.recv().expect("the thread that applies ends after this one");
        }
        let Err(error) = kept else { return Some(Durable { clock, batch, seeds }) };
        self.store.abandon();
        tracing::error!(target: "redrive::emulator", %error, "{} commands were refused: the data directory takes nothing", batch.len());
        let refusal = refusal(&error);
        for job in batch {
            (job.then)(Verdict::Lost(&refusal));
        }
        None
    }

    fn add(&mut self, clock: Clock, fingerprint: u64, batch: &[Submitted], seeds: &[u64]) -> Result<()> {
        self.store.begin(clock, fingerprint)?;
        batch.iter().zip(seeds).try_for_each(|(job, seed)| self.store.add(*seed, &job.record, job.work))
    }

    /// After a failed sync: writes the state and begins another log. The disk may be well again.
    fn mend(&mut self, engine: &Engine) {
        if self.mended.is_some_and(|tried| tried.elapsed() < MEND_PAUSE) {
            return;
        }
        self.wait_for_snapshot();
        let next = {
            let core = engine.lock();
            self.store.successor(&core.state, engine.clock_of(&core))
        };
        match next.and_then(|next| self.store.mend(next)) {
            Ok(()) => tracing::info!(target: "redrive::emulator", "the data directory is written to again"),
            Err(error) => tracing::debug!(target: "redrive::emulator", %error, "the data directory still takes nothing"),
        }
        self.mended = Some(Instant::now());
    }

    /// Begins another log and has the state written, unless that is going on already.
    fn turn(&mut self, engine: &Engine) {
        if self.store.is_broken() {
            return self.mend(engine);
        }
        let busy = self.snapshot.as_ref().is_some_and(|snapshot| !snapshot.is_finished());
        if busy || self.store.commands() < self.next_try {
            return;
        }
        let turned = {
            let core = engine.lock();
            self.store.turn(&core.state, engine.clock_of(&core))
        };
        let failed = |error: &Error| tracing::warn!(target: "redrive::emulator", %error, "the state could not be written; the log goes on");
        match turned {
            Ok(snapshot) => {
                let write = move || snapshot.write().unwrap_or_else(|error| failed(&error));
                self.snapshot = thread::Builder::new().name("redrive-state".to_owned()).spawn(write).ok();
            }
            Err(error) => {
                self.next_try = self.store.commands() + COMMANDS_BETWEEN_TRIES;
                failed(&error);
            }
        }
    }
}

/// Takes what waits, up to the limits; tells whether the end is asked for.
fn collect(first: Submitted, jobs: &Receiver<Job>) -> (Vec<Submitted>, bool) {
    let (mut bytes, mut moves_clock) = (first.record.len(), first.moves_clock);
    let mut batch = vec![first];
    while batch.len() < BATCH_COMMANDS_MAX && bytes < BATCH_BYTES_MAX && !moves_clock {
        match jobs.try_recv() {
            Ok(Job::Command(job)) => {
                bytes += job.record.len();
                moves_clock = job.moves_clock;
                batch.push(*job);
            }
            Ok(Job::Stop) => return (batch, true),
            Err(_) => break,
        }
    }
    (batch, false)
}

/// Lets durable commands happen, and has their effects carried out.
fn apply(engine: &Engine, Durable { clock, batch, seeds }: Durable) {
    let mut effects = Effects::default();
    let mut core = engine.lock();
    let epoch = core.epoch;
    for (job, seed) in batch.into_iter().zip(seeds) {
        let moment = Moment { now: clock.now, seed };
        let noted = effects.list.len();
        // A panic is its own caller's, who gets no reply.
        let _ = catch_unwind(AssertUnwindSafe(|| (job.then)(Verdict::Durable(engine, &mut core, moment, &mut effects))));
        engine.note(&effects.list[noted..]);
    }
    engine.rearm(&mut core);
    drop(core);
    effects.list.into_iter().for_each(|effect| engine.carry_out(effect, epoch));
}

/// What callers are told when the disk takes nothing.
fn refusal(error: &Error) -> Refusal {
    let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded, io::ErrorKind::FileTooLarge];
    let kind = error.source().and_then(|source| source.downcast_ref::<io::Error>()).map(io::Error::kind);
    let code = if kind.is_some_and(|kind| full.contains(&kind)) { Code::ResourceExhausted } else { Code::Unavailable };
    Refusal::new(code, format!("The emulator could not write to its data directory, so this did not happen: {error}."))
}

impl Engine {
    /// Applies a command that has to happen: while the disk takes nothing it is tried again. `None` when the emulator ends first.
    pub(crate) async fn insist<C: Command + Clone>(&self, command: C) -> Option<Result<C::Reply, Refusal>> {
        let Some(journal) = &self.0.journal else { return Some(self.run_now(command)) };
        loop {
            match journal.submit(command.clone(), None).await {
                Ok(Ok(answer)) => return Some(answer),
                Ok(Err(_)) => {}
                Err(_) => return None,
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(DISK_PAUSE_MS)) => {}
                () = self.shutting_down() => return None,
            }
        }
    }

    /// Applies a command, for those who cannot wait, in turn with what was asked for before.
    pub(crate) fn post<C: Command + Clone>(&self, command: C) {
        let Some(journal) = &self.0.journal else { return drop(self.run_now(command)) };
        let first = journal.submit(command.clone(), None);
        let engine = self.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Ok(Err(_)) = first.await {
                    engine.insist(command).await;
                }
            });
        }
    }

    /// Where time stands, for the log.
    fn clock_of(&self, core: &Core) -> Clock {
        Clock { now: core.latest, ahead_ns: self.0.clock_ahead_ns.load(Ordering::Relaxed) }
    }
}

#[cfg(test)]
mod tests;
