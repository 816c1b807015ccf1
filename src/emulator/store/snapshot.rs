//! The state as it is written: in one go, beside the log that goes on.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Clock, END, PIECE, Store, begin_record, log_path, state_path};
use crate::emulator::state::saved::{Saved, Writer};
use crate::emulator::state::{Image, State};
use crate::error::Result;
use crate::wal::{self, Disk};

/// A state to write. Writing it takes as long as it takes; the store goes on meanwhile.
pub(crate) struct Snapshot {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    generation: u64,
    commands: u64,
    clock: Clock,
    image: Image,
}

impl Snapshot {
    pub(super) fn new(store: &Store, generation: u64, state: &State, clock: Clock) -> Self {
        Self { disk: Arc::clone(&store.disk), dir: store.dir.clone(), generation, commands: store.commands, clock, image: Image::of(state) }
    }

    /// Which log comes after it.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// About how long it will be, payloads included.
    pub(super) fn bytes(&self) -> u64 {
        self.image.len()
    }

    /// Writes it, durably, and then removes what it replaces. When that fails, the older files still hold everything.
    pub(crate) fn write(&self) -> Result<()> {
        let path = state_path(&self.dir, self.generation);
        let written = wal::write_whole(self.disk.as_ref(), &path, &mut |append| {
            append(&begin_record(self.generation))?;
            self.image.pieces(|piece| append(&[&[PIECE], piece].concat()))?;
            let mut end = Writer::default();
            end.bytes.push(END);
            (self.commands, (self.clock.now, self.clock.ahead_ns)).save(&mut end);
            append(&end.bytes)
        });
        if let Err(error) = written {
            // It is not complete, so it does not count; the room it takes is needed, though.
            drop(self.disk.remove(&path));
            return Err(error);
        }
        self.clear();
        Ok(())
    }

    /// Removes the older files. What cannot be removed is in nobody's way, and goes the next time.
    fn clear(&self) {
        for generation in (0..self.generation).rev().take_while(|&generation| generation > 0) {
            let state = self.disk.remove(&state_path(&self.dir, generation));
            let log = self.disk.remove(&log_path(&self.dir, generation));
            if state.is_err() && log.is_err() {
                break;
            }
        }
    }
}
