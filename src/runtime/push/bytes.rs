//! How many bytes of bodies are in memory at once: places count requests, and a thousand requests may be small or 14 MiB each.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// The bytes of bodies that requests under way have in memory, against their limit.
#[derive(Debug)]
pub(super) struct Memory {
    limit: usize,
    held: AtomicUsize,
    turned_away: AtomicU64,
}

/// How much memory bodies take now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BodyBytes {
    /// How many bytes there may be.
    pub limit: usize,
    /// How many there are now: those announced count before they have arrived.
    pub held: usize,
    /// How many requests found no room for their bodies, and were answered with 429.
    pub turned_away: u64,
}

/// The bytes of one request's body; they are free when this is dropped.
pub(super) struct Held<'a> {
    memory: &'a Memory,
    bytes: usize,
}

impl Memory {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, held: AtomicUsize::new(0), turned_away: AtomicU64::new(0) }
    }

    /// Begins a body, of which nothing is in memory yet.
    pub(super) fn begin(&self) -> Held<'_> {
        Held { memory: self, bytes: 0 }
    }

    pub(super) fn look(&self) -> BodyBytes {
        BodyBytes { limit: self.limit, held: self.held.load(Relaxed), turned_away: self.turned_away.load(Relaxed) }
    }
}

impl Held<'_> {
    /// Makes room for a body of so many bytes in all; tells whether there is. A body that is alone always has room, however small the limit.
    pub(super) fn grow_to(&mut self, bytes: usize) -> bool {
        let Some(more) = bytes.checked_sub(self.bytes).filter(|more| *more > 0) else { return true };
        let held = self.memory.held.fetch_add(more, Relaxed) + more;
        let is_alone = held == bytes;
        if held > self.memory.limit && !is_alone {
            self.memory.held.fetch_sub(more, Relaxed);
            self.memory.turned_away.fetch_add(1, Relaxed);
            return false;
        }
        self.bytes = bytes;
        true
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.memory.held.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_room_up_to_the_limit_and_one_alone_always() {
        let memory = Memory::new(10);
        let mut large = memory.begin();
        assert!(large.grow_to(12), "it is alone");
        let mut small = memory.begin();
        assert!(small.grow_to(0) && !small.grow_to(1));
        assert_eq!(memory.look(), BodyBytes { limit: 10, held: 12, turned_away: 1 });
        drop(large);
        let mut other = memory.begin();
        assert!(small.grow_to(4) && other.grow_to(5) && small.grow_to(5) && small.grow_to(3));
        assert!(!small.grow_to(6), "a body that grows needs room, too");
        drop((small, other));
        assert_eq!(memory.look().held, 0);
    }
}
