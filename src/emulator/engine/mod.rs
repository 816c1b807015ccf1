//! The one actor around the pure state: it holds the lock, the clock, the seeds and the timer, and hands effects to those who carry them out.
//!
//! Must not know gRPC, JSON or the services: it applies [`Command`]s, wakes [`Waiter`]s, queues calls for `dispatch` and lets time pass.

mod bells;
mod clock;
mod journal;
mod open;
mod timer;

use std::cell::RefCell;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, mpsc, watch};

pub(crate) use bells::{Waiter, Wake};
pub(crate) use clock::Stuck;

use bells::Bells;
use journal::{Journal, Reply};
use open::OpenCalls;

use super::state::target::SetAppEngine;
use super::state::{Code, Command, Effect, Effects, HttpCall, Moment, Refusal, Restart, Seeding, State, Touched};
use super::store::{Clock, Opened};

/// The state behind a lock, with all that makes it live. Clones are handles to the same one.
#[derive(Debug, Clone)]
pub(crate) struct Engine(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    core: Mutex<Core>,
    bells: Bells,
    calls: mpsc::UnboundedSender<(Epoch, HttpCall)>,
    /// The way into a durable state; without it there is only memory.
    journal: Option<Journal>,
    open: OpenCalls,
    /// Held by the one who moves the clock.
    advancing: tokio::sync::Mutex<()>,
    epoch: watch::Sender<Epoch>,
    /// Rung when something falls due earlier than the timer expects.
    rearm: Notify,
    /// Nanoseconds by which the emulator's clock is ahead of the wall clock.
    clock_ahead_ns: AtomicI64,
    start_seed: u64,
    commands: AtomicU64,
    shutdown: watch::Sender<bool>,
}

/// The calls that the state wants sent.
pub(crate) type Calls = mpsc::UnboundedReceiver<(Epoch, HttpCall)>;

/// How often the state has been emptied.
pub(crate) type Epoch = u64;

#[derive(Debug)]
struct Core {
    state: State,
    epoch: Epoch,
    /// The latest moment seen: time never goes back for the state, whatever the machine's clock does.
    latest: Timestamp,
    /// When the timer will wake by itself.
    armed: Option<Timestamp>,
}

/// What has become of a command.
enum Begun<R> {
    Done(Result<R, Refusal>),
    /// It is done, and answered, once it is durable.
    Submitted(Reply<R>),
}

thread_local! {
    /// The buffer for effects, reused by all commands of a thread.
    static EFFECTS: RefCell<Effects> = RefCell::default();
}

impl Engine {
    /// Makes an engine with an empty state, and the queue of the calls it wants sent (see `dispatch`). The timer runs as a task of the
    /// current tokio runtime until [`Engine::shut_down`].
    pub(crate) fn start(start_seed: u64) -> (Self, Calls) {
        let (engine, calls) = Self::make(start_seed, State::default(), Clock::BEGIN, None);
        tokio::spawn(timer::run(engine.clone()));
        (engine, calls)
    }

    /// Makes an engine on a data directory, which goes on where the last process ended: see [`Restart`]. App Engine's place is the process's,
    /// not the directory's.
    pub(crate) async fn open(start_seed: u64, opened: Opened, app_engine: Option<String>) -> Result<(Self, Calls), Refusal> {
        let (journal, jobs) = Journal::new();
        let goes_on = !opened.store.is_new();
        let (engine, calls) = Self::make(start_seed, opened.state, opened.clock, Some(journal));
        if let Some(journal) = &engine.0.journal {
            let begun = journal.begin(Arc::downgrade(&engine.0), jobs, opened.store);
            begun.map_err(|error| Refusal::new(Code::Internal, format!("no thread for the data directory: {error}")))?;
        }
        // Before anything else: see `State::seeding`.
        let mut begun = if goes_on { Ok(()) } else { engine.run(Seeding(true)).await };
        if begun.is_ok() {
            begun = engine.run(SetAppEngine(app_engine)).await;
        }
        if goes_on && begun.is_ok() {
            begun = engine.run(Restart).await;
        }
        if let Err(refusal) = begun {
            engine.close();
            return Err(refusal);
        }
        tokio::spawn(timer::run(engine.clone()));
        Ok((engine, calls))
    }

    fn make(start_seed: u64, state: State, clock: Clock, journal: Option<Journal>) -> (Self, Calls) {
        // Unbounded, for an effect must never be lost; what may be under way at once is bounded by the state's leases and attempts.
        let (calls, queue) = mpsc::unbounded_channel();
        let engine = Self(Arc::new(Inner {
            core: Mutex::new(Core { state, epoch: 0, latest: clock.now, armed: None }),
            bells: Bells::default(),
            calls,
            journal,
            open: OpenCalls::default(),
            advancing: tokio::sync::Mutex::default(),
            epoch: watch::Sender::new(0),
            rearm: Notify::new(),
            clock_ahead_ns: AtomicI64::new(clock.ahead_ns),
            start_seed,
            commands: AtomicU64::new(0),
            shutdown: watch::Sender::new(false),
        }));
        (engine, queue)
    }

    /// Applies `command` and has its effects carried out, at once. On a data directory this is answered, and anything happens, once the command is durable.
    pub(crate) fn run<C: Command>(&self, command: C) -> impl Future<Output = Result<C::Reply, Refusal>> + Send + use<C> {
        self.run_and(command, None)
    }

    /// Applies `command`, and `after` with it, after which the time may be another.
    fn run_and<C: Command>(
        &self,
        command: C,
        after: Option<fn(&Self, &mut Core)>,
    ) -> impl Future<Output = Result<C::Reply, Refusal>> + Send + use<C> {
        // Not in the future, which, with those of all who wait for it, would have room for the command.
        let begun = self.submit(command, after);
        async move {
            match begun {
                Begun::Done(answer) => answer,
                Begun::Submitted(reply) => match reply.await {
                    Ok(answer) => answer.and_then(|answer| answer),
                    Err(_) => Err(Refusal::new(Code::Unavailable, "The emulator is shutting down.")),
                },
            }
        }
    }

    fn submit<C: Command>(&self, mut command: C, after: Option<fn(&Self, &mut Core)>) -> Begun<C::Reply> {
        let Some(journal) = &self.0.journal else {
            command.detach();
            return Begun::Done(self.run_locked(self.lock(), command, after));
        };
        if after.is_none() && (C::NUMBER.is_none() || C::CAN_BE_IDLE) {
            let mut core = self.lock();
            core.latest = core.latest.max(self.clock());
            if C::NUMBER.is_none() || command.is_idle(&core.state, core.latest) {
                return Begun::Done(self.run_locked(core, command, after));
            }
        }
        Begun::Submitted(journal.submit(command, after))
    }

    fn run_now<C: Command>(&self, command: C) -> Result<C::Reply, Refusal> {
        self.run_locked(self.lock(), command, None)
    }

    fn run_locked<C: Command>(
        &self,
        mut core: MutexGuard<'_, Core>,
        command: C,
        after: Option<fn(&Self, &mut Core)>,
    ) -> Result<C::Reply, Refusal> {
        // Taken out of its place, so that a panic in a command leaves a clean buffer behind.
        let mut effects = EFFECTS.take();
        core.latest = core.latest.max(self.clock());
        let moment = Moment { now: core.latest, seed: self.next_seed() };
        let result = command.apply(&mut core.state, moment, &mut effects);
        let epoch = core.epoch;
        if let Some(after) = after {
            after(self, &mut core);
        }
        self.note(&effects.list);
        self.rearm(&mut core);
        drop(core);
        for effect in effects.list.drain(..) {
            self.carry_out(effect, epoch);
        }
        EFFECTS.set(effects);
        result
    }

    /// Wakes the timer if something falls due earlier than it expects.
    fn rearm(&self, core: &mut Core) {
        let due = core.state.next_due();
        if due.is_some_and(|due| core.armed.is_none_or(|armed| due < armed)) {
            core.armed = due;
            self.0.rearm.notify_one();
        }
    }

    /// Counts calls as open; under the lock, so that who finds nothing due and nothing open can rely on it.
    fn note(&self, effects: &[Effect]) {
        for effect in effects {
            self.0.open.note(effect);
        }
    }

    fn carry_out(&self, effect: Effect, epoch: Epoch) {
        match effect {
            Effect::Ready(subscription) => self.0.bells.ring(&subscription),
            Effect::Closed(subscription) => self.0.bells.close(&subscription),
            // The queue is closed only when the emulator is shut down: then nothing is sent any more.
            Effect::Send(call) => drop(self.0.calls.send((epoch, call))),
        }
    }

    /// Looks at the state without changing it.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&State, Timestamp) -> T) -> T {
        let mut core = self.lock();
        core.latest = core.latest.max(self.clock());
        look(&core.state, core.latest)
    }

    /// Looks at the state, and at what was touched since this was last called.
    pub(crate) fn look_at_touched<T>(&self, look: impl FnOnce(&State, Touched, Timestamp) -> T) -> T {
        let mut core = self.lock();
        core.latest = core.latest.max(self.clock());
        let touched = core.state.take_touched();
        look(&core.state, touched, core.latest)
    }

    /// Returns the emulator's time: the wall clock plus what it was advanced by.
    pub(crate) fn now(&self) -> Timestamp {
        let mut core = self.lock();
        core.latest = core.latest.max(self.clock());
        core.latest
    }

    /// Registers for the wake-ups of a subscription (its full name). Make the waiter before trying to lease: what becomes ready after the
    /// try, or during it, is then never missed.
    pub(crate) fn waiter(&self, subscription: &str) -> Waiter {
        Waiter::new(self.clone(), subscription)
    }

    /// Ends the timer, all waits and long streams.
    pub(crate) fn shut_down(&self) {
        self.0.shutdown.send_replace(true);
    }

    /// Takes no more commands into a data directory, writes the state and lets go of the directory; blocks the thread until then.
    pub(crate) fn close(&self) {
        if let Some(journal) = &self.0.journal {
            journal.close();
        }
    }

    /// Returns once the emulator shuts down; at once if it already does.
    pub(crate) async fn shutting_down(&self) {
        let mut shutdown = self.0.shutdown.subscribe();
        // The sender lives as long as this handle, so waiting cannot fail.
        let _ = shutdown.wait_for(|&down| down).await;
    }

    /// Moves the emulator's clock forward.
    #[cfg(test)]
    pub(crate) fn advance(&self, by: SignedDuration) {
        let ns = i64::try_from(by.as_nanos()).expect("tests advance by less than 292 years");
        self.0.clock_ahead_ns.fetch_add(ns, Ordering::Relaxed);
        self.0.rearm.notify_one();
    }

    /// Returns how many subscriptions somebody waits on.
    #[cfg(test)]
    pub(crate) fn waited_on(&self) -> usize {
        self.0.bells.count()
    }

    fn clock(&self) -> Timestamp {
        let now = Timestamp::now();
        let ahead = SignedDuration::from_nanos(self.0.clock_ahead_ns.load(Ordering::Relaxed));
        now.checked_add(ahead).unwrap_or(now)
    }

    fn next_seed(&self) -> u64 {
        splitmix64(self.0.start_seed.wrapping_add(self.0.commands.fetch_add(1, Ordering::Relaxed)))
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        // A command that panicked refused its own request only; the others go on.
        self.0.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Spreads a counter over all 64 bits (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
pub(crate) fn splitmix64(counter: u64) -> u64 {
    let mut z = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
