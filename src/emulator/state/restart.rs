//! The state across starts and resets: what ends with the process, what is sent again, and the state as one run of bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::pubsub::Message;
use super::saved::{Reader, Saved, Writer, damaged, saved};
use super::{Command, Effects, Moment, Refusal, State};
use crate::error::Result;

/// The first command of a process on a state that an earlier one left. Streams have ended with it; calls that were under way may have been
/// answered or never sent, so they are sent again as the same attempts.
#[derive(Debug)]
pub(crate) struct Restart;

saved!(
    struct Restart {}
);

impl Command for Restart {
    type Reply = ();

    fn apply(self, state: &mut State, at: Moment, out: &mut Effects) -> Result<(), Refusal> {
        state.pubsub.restart(at, out);
        state.tasks.restart(at, out);
        state.scheduler.restart(at, out);
        Ok(())
    }
}

/// Forgets everything but the set-up, and which numbers were given: what refers to something forgotten never means something new.
#[derive(Debug)]
pub(crate) struct Reset;

saved!(
    struct Reset {}
);

impl Command for Reset {
    type Reply = ();

    const RESETS_CLOCK: bool = true;

    fn apply(self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<(), Refusal> {
        state.pubsub.reset();
        state.tasks.reset();
        state.scheduler.reset();
        Ok(())
    }
}

/// Says whether what a new emulator begins with is still being made: where that was interrupted, it is made anew.
#[derive(Debug)]
pub(crate) struct Seeding(pub(crate) bool);

saved!(tuple Seeding);

impl Command for Seeding {
    type Reply = ();

    fn apply(self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<(), Refusal> {
        state.seeding = self.0;
        Ok(())
    }
}

/// The whole state at a moment, ready to be written. Payloads are shared with the state, not copied.
#[derive(Debug)]
pub(crate) struct Image {
    messages: BTreeMap<u64, Arc<Message>>,
    body: Vec<u8>,
}

/// Reads an [`Image`] piece by piece.
#[derive(Debug, Default)]
pub(crate) struct Loader {
    messages: BTreeMap<u64, Arc<Message>>,
    body: Vec<u8>,
}

const MESSAGES: u8 = 0;
const BODY: u8 = 1;
/// Pieces of an image are about this long, in bytes; a single message may be longer.
const PIECE_BYTES: usize = 1 << 20;

impl Image {
    pub(crate) fn of(state: &State) -> Self {
        let mut to = Writer::default();
        state.save(&mut to);
        Self { messages: to.messages, body: to.bytes }
    }

    /// About how long it will be written, in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.body.len() as u64 + self.messages.values().map(|message| message.bytes()).sum::<u64>()
    }

    /// Gives the image to `write` in pieces for [`Loader::take`].
    pub(crate) fn pieces(&self, mut write: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let begin = || Writer { bytes: vec![MESSAGES], messages: BTreeMap::new() };
        let mut piece = begin();
        for message in self.messages.values() {
            message.as_ref().save(&mut piece);
            if piece.bytes.len() >= PIECE_BYTES {
                write(&piece.bytes)?;
                piece = begin();
            }
        }
        write(&piece.bytes)?;
        for part in self.body.chunks(PIECE_BYTES) {
            write(&[&[BODY], part].concat())?;
        }
        Ok(())
    }

    /// Returns the image as one value to compare with another.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.pieces(|piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })
        .expect("nothing is written");
        bytes
    }
}

impl Loader {
    pub(crate) fn take(&mut self, piece: &[u8]) -> Result<()> {
        match piece.split_first() {
            Some((&BODY, part)) => self.body.extend_from_slice(part),
            Some((&MESSAGES, part)) => {
                let mut from = Reader::new(part);
                while !from.is_empty() {
                    let message = Message::load(&mut from)?;
                    self.messages.insert(message.id(), Arc::new(message));
                }
            }
            _ => return Err(damaged("an unknown piece")),
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<State> {
        let mut from = Reader::with_messages(&self.body, &self.messages);
        let state = State::load(&mut from)?;
        if from.is_empty() { Ok(state) } else { Err(damaged("it is longer than it should be")) }
    }
}

impl State {
    /// A few numbers of the state in one: states that went different ways differ in it. O(log n).
    pub(crate) fn fingerprint(&self) -> u64 {
        let due = self.next_due().map_or(0, |due| u64::try_from(due.as_nanosecond().unsigned_abs()).unwrap_or(u64::MAX));
        [self.pubsub.fingerprint(), self.tasks.fingerprint(), self.scheduler.fingerprint(), due]
            .into_iter()
            .fold(0xcbf2_9ce4_8422_2325, |sum: u64, part| (sum ^ part).wrapping_mul(0x0100_0000_01b3).rotate_left(29))
    }
}
