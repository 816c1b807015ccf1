//! The data directory: the state as it was at some moment (`N.state`), and every command since (`N.log`, `N+1.log`, …).
//!
//! All files are logs of `wal`. A command is in the log, and durable, before it is applied: what a crash leaves is therefore a state in
//! which exactly the answered commands happened, and perhaps some whose callers never heard. Applying the log again gives the same state,
//! for a command is a function of state, moment and seed. Must not know sockets, tasks or clocks: `engine` decides when.

mod open;
mod snapshot;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::state::State;
use super::state::saved::{Saved, Writer};
use crate::error::Result;
use crate::wal::{Disk, DiskFile, Wal};

pub(crate) use snapshot::Snapshot;

/// The format of the records; a directory of a higher one is refused.
const FORMAT: u32 = 1;
/// From when on a log is followed by another one, and the state written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogLimit {
    bytes: u64,
    /// Work of the commands since the state was written: see [`Command::work`](super::state::Command::work).
    work: u64,
}

/// Whichever comes first: reading so much again takes a second or two.
impl Default for LogLimit {
    fn default() -> Self {
        Self { bytes: 256 * 1024 * 1024, work: 250_000 }
    }
}

impl LogLimit {
    /// A limit of bytes alone.
    pub(crate) fn bytes(bytes: u64) -> Self {
        Self { bytes, work: u64::MAX }
    }
}

/// The log is also this many times as large as the state was, so that a large state is not written again and again.
const LOG_TIMES_STATE: u64 = 2;

/// The kinds of records.
const BEGIN: u8 = 0;
const BATCH: u8 = 1;
const COMMAND: u8 = 2;
const PIECE: u8 = 3;
const END: u8 = 4;

/// Where time stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock {
    /// The latest moment of any command.
    pub(crate) now: Timestamp,
    /// Nanoseconds by which the emulator's clock is ahead of the wall clock.
    pub(crate) ahead_ns: i64,
}

impl Clock {
    /// Before anything happened.
    pub(crate) const BEGIN: Self = Self { now: Timestamp::UNIX_EPOCH, ahead_ns: 0 };

    /// The same moment with the emulator's clock where the wall clock was.
    fn put_back(self) -> Self {
        Self { now: self.now.checked_sub(SignedDuration::from_nanos(self.ahead_ns)).unwrap_or(self.now), ahead_ns: 0 }
    }
}

/// A data directory open for writing; nobody else can open it until this is dropped.
pub(crate) struct Store {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    _lock: Box<dyn DiskFile>,
    log: Wal,
    generation: u64,
    /// Commands since the directory was made.
    commands: u64,
    /// Of those, in the batch that is being made, and their work.
    pending: (u64, u64),
    /// What it takes to read the commands again that came since the directory was opened, or were read then.
    work: u64,
    state_bytes: u64,
    /// Of the work, what is in the state that was written, or is being written.
    state_work: u64,
    log_limit: LogLimit,
}

/// A log without a record, and the state that it begins with.
pub(crate) struct Successor {
    log: Wal,
    snapshot: Snapshot,
}

/// A directory that was opened, and what is in it.
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) state: State,
    pub(crate) clock: Clock,
}

impl Store {
    /// Tells whether no command has ever been kept.
    pub(crate) fn is_new(&self) -> bool {
        self.commands == 0
    }

    /// Commands since the directory was made.
    pub(crate) fn commands(&self) -> u64 {
        self.commands
    }

    /// Sets from when on the log is long.
    pub(crate) fn set_log_limit(&mut self, limit: LogLimit) {
        self.log_limit = limit;
    }

    /// Begins a batch: commands at one moment, on a state of this fingerprint, or on that after the batch before if it was of this one then.
    pub(crate) fn begin(&mut self, clock: Clock, fingerprint: u64) -> Result<()> {
        let mut to = Writer::default();
        to.bytes.push(BATCH);
        (self.commands, fingerprint).save(&mut to);
        (clock.now, clock.ahead_ns).save(&mut to);
        self.log.append(&to.bytes)
    }

    /// Adds a command to the batch, and what [`Command::work`](super::state::Command::work) says of it.
    pub(crate) fn add(&mut self, seed: u64, command: &[u8], work: u64) -> Result<()> {
        self.log.append_parts(&[&[COMMAND], &seed.to_le_bytes(), command])?;
        self.pending = (self.pending.0 + 1, self.pending.1 + work);
        Ok(())
    }

    /// Makes the batch durable with one sync. On an error none of it has happened.
    pub(crate) fn commit(&mut self) -> Result<()> {
        let (commands, work) = std::mem::take(&mut self.pending);
        self.log.commit()?;
        self.commands += commands;
        self.work += work;
        Ok(())
    }

    /// Takes back a batch that cannot be completed.
    pub(crate) fn abandon(&mut self) {
        self.pending = (0, 0);
        self.log.abandon();
    }

    /// Tells whether the log has become so long that the state should be written anew.
    pub(crate) fn is_long(&self) -> bool {
        let (bytes, work) = (self.log.len(), self.work - self.state_work);
        (bytes >= self.log_limit.bytes || work >= self.log_limit.work) && bytes >= self.state_bytes.saturating_mul(LOG_TIMES_STATE)
    }

    /// Whether a sync failed: what lies behind the log's last batch is not known any more.
    pub(crate) fn is_broken(&self) -> bool {
        self.log.is_broken()
    }

    /// Begins another log, and returns the state to write: until that is done, the older files stay and count.
    pub(crate) fn turn(&mut self, state: &State, clock: Clock) -> Result<Snapshot> {
        let Successor { log, snapshot } = self.successor(state, clock)?;
        self.go_on(log, &snapshot);
        Ok(snapshot)
    }

    /// Makes what can follow the present log, and takes nothing yet.
    pub(crate) fn successor(&self, state: &State, clock: Clock) -> Result<Successor> {
        let next = self.generation + 1;
        let log = create_log(self.disk.as_ref(), &self.dir, next)?;
        Ok(Successor { log, snapshot: Snapshot::new(self, next, state, clock) })
    }

    /// Goes on after a failed sync: with another log, and only once the state is written, so that nobody reads the log that failed. On an error nothing has changed.
    pub(crate) fn mend(&mut self, Successor { log, snapshot }: Successor) -> Result<()> {
        if let Err(error) = snapshot.write() {
            drop(log);
            // It has no record, and is in nobody's way.
            drop(self.disk.remove(&log_path(&self.dir, snapshot.generation())));
            return Err(error);
        }
        self.go_on(log, &snapshot);
        Ok(())
    }

    fn go_on(&mut self, log: Wal, snapshot: &Snapshot) {
        self.log = log;
        self.generation = snapshot.generation();
        self.state_bytes = snapshot.bytes();
        self.state_work = self.work;
    }
}

/// Creates the log of a generation, durably.
fn create_log(disk: &dyn Disk, dir: &Path, generation: u64) -> Result<Wal> {
    let path = log_path(dir, generation);
    match disk.remove(&path) {
        // Of a try that failed before: nothing was ever committed to it.
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(crate::wal::at(&path, error)),
        _ => {}
    }
    let mut log = Wal::create(disk, &path).inspect_err(|_| drop(disk.remove(&path)))?;
    log.append(&begin_record(generation))?;
    Ok(log)
}

/// The first record of every file: format, generation, and the build that wrote it.
fn begin_record(generation: u64) -> Vec<u8> {
    let mut to = Writer::default();
    to.bytes.push(BEGIN);
    (FORMAT, generation).save(&mut to);
    env!("CARGO_PKG_VERSION").to_owned().save(&mut to);
    to.bytes
}

fn log_path(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("{generation}.log"))
}

fn state_path(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("{generation}.state"))
}

#[cfg(test)]
mod tests;
