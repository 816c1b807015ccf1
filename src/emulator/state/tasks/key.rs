//! Ids of tasks as a tree of many keeps them.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::sync::Arc;

use crate::emulator::state::saved::{Reader, Saved, Writer};

/// An id in the order of its text. Its beginning is at hand: most comparisons end there, and need not look elsewhere in memory, which was a tenth of what a creation cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// The first bytes as a big-endian number, followed by zeros where there are fewer: its order is that of the bytes.
    head: u64,
    id: Arc<str>,
}

impl From<Arc<str>> for Key {
    fn from(id: Arc<str>) -> Self {
        let mut head = [0; 8];
        for (to, from) in head.iter_mut().zip(id.bytes()) {
            *to = from;
        }
        Self { head: u64::from_be_bytes(head), id }
    }
}

impl From<Key> for Arc<str> {
    fn from(key: Key) -> Self {
        key.id
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.head.cmp(&other.head).then_with(|| self.id.cmp(&other.id))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The order of keys is the order of their texts.
impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.id
    }
}

impl Saved for Key {
    fn save(&self, to: &mut Writer) {
        self.id.save(to);
    }

    fn load(from: &mut Reader<'_>) -> crate::error::Result<Self> {
        Arc::<str>::load(from).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_order_is_that_of_the_text(one in "[-_0-9a-c]{0,12}", other in "[-_0-9a-c]{0,12}", shared in "[0-9]{0,9}") {
            let (one, other) = (format!("{shared}{one}"), format!("{shared}{other}"));
            let key = |id: &str| Key::from(Arc::<str>::from(id));
            prop_assert_eq!(key(&one).cmp(&key(&other)), one.cmp(&other));
        }
    }
}
