//! The one actor around the pure state: it holds the lock, the clock, the seeds and the timer, and hands effects to those who carry them out.
//!
//! Must not know gRPC, JSON or the services: it applies [`Command`]s, wakes [`Waiter`]s, queues calls for `dispatch` and lets time pass.

mod bells;
mod clock;
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
use open::OpenCalls;

use super::state::{Command, Effect, Effects, HttpCall, Moment, Refusal, State};

/// The state behind a lock, with all that makes it live. Clones are handles to the same one.
#[derive(Debug, Clone)]
pub(crate) struct Engine(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    core: Mutex<Core>,
    bells: Bells,
    calls: mpsc::UnboundedSender<(Epoch, HttpCall)>,
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

thread_local! {
    /// The buffer for effects, reused by all commands of a thread.
    static EFFECTS: RefCell<Effects> = RefCell::default();
}

impl Engine {
    /// Makes an engine with an empty state, and the queue of the calls it wants sent (see `dispatch`). The timer runs as a task of the
    /// current tokio runtime until [`Engine::shut_down`].
    pub(crate) fn start(start_seed: u64) -> (Self, mpsc::UnboundedReceiver<(Epoch, HttpCall)>) {
        // Unbounded, for an effect must never be lost; what may be under way at once is bounded by the state's leases and attempts.
        let (calls, queue) = mpsc::unbounded_channel();
        let engine = Self(Arc::new(Inner {
            core: Mutex::new(Core { state: State::default(), epoch: 0, latest: Timestamp::UNIX_EPOCH, armed: None }),
            bells: Bells::default(),
            calls,
            open: OpenCalls::default(),
            advancing: tokio::sync::Mutex::default(),
            epoch: watch::Sender::new(0),
            rearm: Notify::new(),
            clock_ahead_ns: AtomicI64::new(0),
            start_seed,
            commands: AtomicU64::new(0),
            shutdown: watch::Sender::new(false),
        }));
        tokio::spawn(timer::run(engine.clone()));
        (engine, queue)
    }

    /// Applies `command` and has its effects carried out.
    #[expect(clippy::unused_async, reason = "a durable state waits for the disk")]
    pub(crate) async fn run<C: Command>(&self, command: C) -> Result<C::Reply, Refusal> {
        self.run_now(command)
    }

    /// Applies `command` for its effect, for those who cannot wait; a refusal means that there was nothing left to do.
    pub(crate) fn post<C: Command>(&self, command: C) {
        drop(self.run_now(command));
    }

    fn run_now<C: Command>(&self, command: C) -> Result<C::Reply, Refusal> {
        // Taken out of its place, so that a panic in a command leaves a clean buffer behind.
        let mut effects = EFFECTS.take();
        let (result, epoch) = self.apply(command, &mut effects);
        for effect in effects.list.drain(..) {
            self.carry_out(effect, epoch);
        }
        EFFECTS.set(effects);
        result
    }

    fn apply<C: Command>(&self, command: C, effects: &mut Effects) -> (Result<C::Reply, Refusal>, Epoch) {
        let seed = self.next_seed();
        let mut core = self.lock();
        let core = &mut *core;
        core.latest = core.latest.max(self.clock());
        let result = command.apply(&mut core.state, Moment { now: core.latest, seed }, effects);
        let due = core.state.next_due();
        if due.is_some_and(|due| core.armed.is_none_or(|armed| due < armed)) {
            core.armed = due;
            self.0.rearm.notify_one();
        }
        // Under the lock: who finds nothing due and nothing open can rely on it.
        effects.list.iter().for_each(|effect| self.0.open.note(effect));
        (result, core.epoch)
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

    /// Returns how many commands there have been, those that are about to be applied included.
    pub(crate) fn commands(&self) -> u64 {
        self.0.commands.load(Ordering::Relaxed)
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
