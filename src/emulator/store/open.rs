//! Opening a data directory: the newest whole state, and the commands since.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::{BATCH, BEGIN, COMMAND, Clock, END, FORMAT, LogLimit, Opened, PIECE, Store, create_log, log_path, state_path};
use crate::emulator::state::saved::{Reader, Saved};
use crate::emulator::state::{Loader, Moment, State, replay};
use crate::error::{Error, Kind, Result};
use crate::wal::{self, Access, Disk, DiskFile, Wal};

/// Held by the process that has the directory open.
const LOCK: &str = "lock";

impl Store {
    /// Opens a directory, made if it is missing, and builds the state that its files tell of.
    ///
    /// Fails when another process has it open, when a newer build wrote it, and when it is damaged otherwise than by a crash.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Opened> {
        wal::make_dir(disk.as_ref(), dir).map_err(|error| wal::at(dir, error))?;
        let lock = lock(disk.as_ref(), dir)?;
        let mut files = Files::list(disk.as_ref(), dir)?;
        let (base, mut built) = files.newest_state(disk.as_ref(), dir)?;
        let state_work = built.work;
        let empty = files.take_empty(disk.as_ref(), dir, base)?;
        let last = files.logs.last().copied().filter(|last| *last >= base).unwrap_or(base);
        for generation in base..last {
            if !files.logs.contains(&generation) {
                return Err(files.missing(dir, generation));
            }
            built.read_sealed(disk.as_ref(), dir, generation)?;
        }
        let log = if files.logs.contains(&last) {
            built.open_last(disk.as_ref(), dir, last)?
        } else if files.is_empty() {
            create_log(disk.as_ref(), dir, last)?
        } else {
            return Err(files.missing(dir, last));
        };
        // Not before all has been read: of a directory that cannot be opened nothing is removed.
        remove(disk.as_ref(), dir, &empty)?;
        settle(disk.as_ref(), dir, base)?;
        files.clear(disk.as_ref(), dir, base);
        let Built { state, clock, commands, work, .. } = built;
        let store = Self {
            disk,
            dir: dir.to_owned(),
            _lock: lock,
            log,
            generation: last,
            commands,
            pending: (0, 0),
            state_bytes: 0,
            work,
            state_work,
            log_limit: LogLimit::default(),
        };
        Ok(Opened { store, state, clock })
    }
}

fn lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn DiskFile>> {
    let path = dir.join(LOCK);
    let opened = match disk.open(&path, Access::Create) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => disk.open(&path, Access::Write),
        other => other,
    };
    let mut file = opened.map_err(|error| wal::at(&path, error))?;
    if file.try_lock(true).map_err(|error| wal::at(&path, error))? {
        return Ok(file);
    }
    Err(Error::new(Kind::FailedPrecondition, format!("data directory `{}` is in use by another emulator", dir.display()))
        .with_hint("stop that one, or give this one another directory: `redrive emulator --data-dir DIR`"))
}

/// Makes durable what this process relies on and a killed one may not have synced: names, and the state, before older files go. The log is
/// synced with the first commit, and the directory's own name was when it was made or found.
fn settle(disk: &dyn Disk, dir: &Path, base: u64) -> Result<()> {
    let path = state_path(dir, base);
    match disk.open(&path, Access::Write) {
        Ok(mut state) => state.sync().map_err(|error| wal::at(&path, error))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(wal::at(&path, error)),
    }
    disk.sync_dir(dir).map_err(|error| wal::at(dir, error))
}

/// Removes logs without a record.
fn remove(disk: &dyn Disk, dir: &Path, generations: &[u64]) -> Result<()> {
    generations.iter().try_for_each(|generation| {
        let path = log_path(dir, *generation);
        disk.remove(&path).map_err(|error| wal::at(&path, error))
    })
}

/// The generations that there are files of.
struct Files {
    logs: BTreeSet<u64>,
    states: BTreeSet<u64>,
}

impl Files {
    fn list(disk: &dyn Disk, dir: &Path) -> Result<Self> {
        let names = disk.list(dir).map_err(|error| wal::at(dir, error))?;
        let of = |suffix: &str| names.iter().filter_map(|name| name.strip_suffix(suffix)?.parse().ok()).collect();
        Ok(Self { logs: of(".log"), states: of(".state") })
    }

    fn is_empty(&self) -> bool {
        self.logs.is_empty() && self.states.is_empty()
    }

    /// Reads the newest state that was written to its end; without one the first log begins from nothing.
    fn newest_state(&self, disk: &dyn Disk, dir: &Path) -> Result<(u64, Built)> {
        for &generation in self.states.iter().rev() {
            if let Some(built) = Built::read_state(disk, dir, generation)? {
                return Ok((generation, built));
            }
        }
        Ok((1, Built::default()))
    }

    /// Takes out the logs at the end that have no record yet, and returns them: what came after them, if it came, went to the one before.
    fn take_empty(&mut self, disk: &dyn Disk, dir: &Path, base: u64) -> Result<Vec<u64>> {
        let mut empty = Vec::new();
        while let Some(&last) = self.logs.last().filter(|last| **last > base) {
            let path = log_path(dir, last);
            if wal::read_first(disk, &path).map_err(|error| error.context(format_args!("`{}`", path.display())))?.is_some() {
                break;
            }
            empty.extend(self.logs.pop_last());
        }
        Ok(empty)
    }

    /// Why it goes no further without the log of a generation: either that is gone, or a state that would come after it is not whole.
    fn missing(&self, dir: &Path, generation: u64) -> Error {
        let (log, hint) = (log_path(dir, generation), "put all of its files back, or begin with another directory");
        let text = match self.states.range(generation + 1..).next_back() {
            Some(&state) => format!("`{}` is damaged, and `{}` is gone", state_path(dir, state).display(), log.display()),
            None => format!("`{}` is missing: the data directory is not complete", log.display()),
        };
        Error::new(Kind::Io, text).with_hint(hint)
    }

    /// Removes what counts no more: older files, and states that were not written to their end.
    fn clear(&self, disk: &dyn Disk, dir: &Path, base: u64) {
        for &generation in self.states.iter().filter(|generation| **generation != base) {
            drop(disk.remove(&state_path(dir, generation)));
        }
        for &generation in self.logs.range(..base) {
            drop(disk.remove(&log_path(dir, generation)));
        }
    }
}

/// What has been read so far.
struct Built {
    state: State,
    clock: Clock,
    commands: u64,
    /// See [`Command::work`](crate::emulator::state::Command::work).
    work: u64,
    /// Whether a batch has begun in the present file.
    begun: bool,
    /// What the state was like before the last batch.
    before: Option<u64>,
}

impl Default for Built {
    fn default() -> Self {
        Self { state: State::default(), clock: Clock::BEGIN, commands: 0, work: 0, begun: false, before: None }
    }
}

impl Built {
    /// Reads a written state; `None` when it does not reach its end.
    fn read_state(disk: &dyn Disk, dir: &Path, generation: u64) -> Result<Option<Self>> {
        let path = state_path(dir, generation);
        let (mut loader, mut end) = (Loader::default(), None);
        let read = wal::read(disk, &path, &mut |record| match record.split_first() {
            Some((&BEGIN, rest)) => check_begin(rest, generation),
            Some((&PIECE, piece)) => loader.take(piece),
            Some((&END, rest)) => {
                end = Some(<(u64, (Timestamp, i64))>::load(&mut Reader::new(rest))?);
                Ok(())
            }
            _ => Err(unknown()),
        });
        match (read, end) {
            (Ok(_), Some((commands, (now, ahead_ns)))) => {
                let state = loader.finish().map_err(|error| error.context(format_args!("`{}`", path.display())))?;
                Ok(Some(Self { state, clock: Clock { now, ahead_ns }, commands, work: 0, begun: false, before: None }))
            }
            // Of a newer build, or the disk does not give it.
            (Err(error), _) if error.kind() == Kind::Unsupported || is_of_the_disk(&error) => Err(error),
            _ => Ok(None),
        }
    }

    /// Reads a log that another one follows: it has no torn end.
    fn read_sealed(&mut self, disk: &dyn Disk, dir: &Path, generation: u64) -> Result<()> {
        (self.begun, self.before) = (false, None);
        let path = log_path(dir, generation);
        let read = wal::read(disk, &path, &mut |record| self.take(record, generation));
        match read {
            Ok(scanned) if scanned.begun && scanned.torn_bytes == 0 => Ok(()),
            Ok(_) => Err(Error::new(Kind::Io, format!("`{}` is damaged: it ends too early", path.display()))
                .with_hint("put the file back from a copy, or begin with another directory")),
            Err(error) => Err(error),
        }
    }

    fn open_last(&mut self, disk: &dyn Disk, dir: &Path, generation: u64) -> Result<Wal> {
        (self.begun, self.before) = (false, None);
        let path = log_path(dir, generation);
        let (mut log, scanned) =
            Wal::open_marked(disk, &path, &mut |record| self.take(record, generation), Some(&|record| record.first() == Some(&BATCH)))?;
        if scanned.records == 0 {
            log.append(&super::begin_record(generation))?;
        }
        Ok(log)
    }

    fn take(&mut self, record: &[u8], generation: u64) -> Result<()> {
        match record.split_first() {
            Some((&BEGIN, rest)) => check_begin(rest, generation),
            Some((&BATCH, rest)) => self.begin(&mut Reader::new(rest)),
            Some((&COMMAND, rest)) if self.begun => {
                let mut from = Reader::new(rest);
                let seed = u64::load(&mut from)?;
                let done = replay(&rest[size_of::<u64>()..], &mut self.state, Moment { now: self.clock.now, seed })?;
                self.commands += 1;
                self.work += done.work;
                if done.resets_clock {
                    self.clock = self.clock.put_back();
                }
                Ok(())
            }
            _ => Err(unknown()),
        }
    }

    /// A batch says what it was applied to, or what the batch before it was, which may not have been applied yet when this one was written: applied to
    /// anything else, it would give another state than the one that was served.
    fn begin(&mut self, from: &mut Reader<'_>) -> Result<()> {
        let (commands, fingerprint) = <(u64, u64)>::load(from)?;
        let (now, ahead_ns) = Saved::load(from)?;
        let now_like = self.state.fingerprint();
        let before = self.before.replace(now_like);
        if commands != self.commands || (fingerprint != now_like && Some(fingerprint) != before) {
            return Err(Error::new(Kind::FailedPrecondition, "the commands lead to another state here than where they were written")
                .with_hint("open it with the very build that wrote it and stop that with ctrl-c; then this build can read it"));
        }
        self.clock = Clock { now, ahead_ns };
        self.begun = true;
        Ok(())
    }
}

/// Whether it was the disk that failed, and not what is on it that is not whole.
fn is_of_the_disk(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<io::Error>)
}

fn check_begin(rest: &[u8], generation: u64) -> Result<()> {
    let mut from = Reader::new(rest);
    let format = u32::load(&mut from)?;
    if format > FORMAT {
        return Err(Error::new(Kind::Unsupported, format!("has data format {format}, this build reads up to {FORMAT}"))
            .with_hint("use the newer `redrive` that wrote it, or begin with another directory"));
    }
    if u64::load(&mut from)? != generation {
        return Err(Error::new(Kind::Io, "is another file's content"));
    }
    Ok(())
}

fn unknown() -> Error {
    Error::new(Kind::Io, "has a record of an unknown kind").with_hint("use the newer `redrive` that wrote it")
}
