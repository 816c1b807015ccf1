//! A map for keys that mostly come in ascending order, go in about that order, and are many.
//!
//! `BTreeMap` leaves its nodes half full when keys only grow; here what comes in order fills leaves to the brim, one after the other, the last of which is at
//! hand. Each operation costs O(log n), and what a map holds takes at most four times its own size. Must not know what the values are.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::{iter, mem};

use crate::emulator::state::saved::{Reader, Saved, Writer};
use crate::error;

/// Values in a leaf at most.
const LEAF: usize = 64;
/// A leaf's room is not made smaller than this.
const ROOM_MIN: usize = 4;

/// Values by their keys.
#[derive(Debug)]
pub(super) struct Ascending<V> {
    /// None is empty; each under a key that is at most that of its first value, and above those of the leaf before.
    leaves: BTreeMap<u64, Leaf<V>>,
    /// The greatest keys; none of `leaves` is above one of them.
    tail: Leaf<V>,
    len: usize,
}

type Leaf<V> = VecDeque<(u64, V)>;

impl<V> Default for Ascending<V> {
    fn default() -> Self {
        Self { leaves: BTreeMap::new(), tail: Leaf::new(), len: 0 }
    }
}

impl<V> Ascending<V> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &V)> {
        self.range(0..=u64::MAX)
    }

    pub(super) fn first(&self) -> Option<&V> {
        self.iter().next().map(|(_, value)| value)
    }

    pub(super) fn last_key(&self) -> Option<u64> {
        let last = self.tail.back().or_else(|| self.leaves.last_key_value()?.1.back());
        last.map(|(key, _)| *key)
    }

    /// The greatest key below `key`.
    pub(super) fn key_before(&self, key: u64) -> Option<u64> {
        let below = |leaf: &Leaf<V>| leaf.get(leaf.partition_point(|(other, _)| *other < key).checked_sub(1)?).map(|(key, _)| *key);
        // The first of a leaf may be above the key that the leaf is under: then it is the last of the one before.
        below(&self.tail).or_else(|| self.leaves.range(..key).rev().find_map(|(_, leaf)| below(leaf)))
    }

    /// The values of these keys, in order.
    pub(super) fn range(&self, keys: RangeInclusive<u64>) -> impl Iterator<Item = (u64, &V)> {
        let (first, last) = keys.into_inner();
        let begin = self.leaves.range(..=first).next_back().map_or(first, |(key, _)| *key);
        let leaves = self.leaves.range(begin..).map(|(_, leaf)| leaf).chain(iter::once(&self.tail));
        let values = leaves.flat_map(move |leaf| leaf.range(leaf.partition_point(|(key, _)| *key < first)..));
        values.take_while(move |(key, _)| *key <= last).map(|(key, value)| (*key, value))
    }

    fn is_in_tail(&self, key: u64) -> bool {
        self.tail.front().is_some_and(|(first, _)| *first <= key)
    }

    pub(super) fn get(&self, key: u64) -> Option<&V> {
        let leaf = if self.is_in_tail(key) { &self.tail } else { self.leaves.range(..=key).next_back()?.1 };
        leaf.get(find(leaf, key).ok()?).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, key: u64) -> Option<&mut V> {
        let leaf = if self.is_in_tail(key) { &mut self.tail } else { self.leaves.range_mut(..=key).next_back()?.1 };
        let at = find(leaf, key).ok()?;
        leaf.get_mut(at).map(|(_, value)| value)
    }

    /// Adds a value unless its key has one; tells whether it was added.
    pub(super) fn add(&mut self, key: u64, value: V) -> bool {
        if self.last_key().is_none_or(|last| last < key) {
            if self.tail.len() == LEAF {
                // What comes in order leaves the full leaf full.
                self.close_tail(Leaf::with_capacity(LEAF));
            }
            self.tail.push_back((key, value));
            self.len += 1;
            return true;
        }
        if self.is_in_tail(key) {
            self.close_tail(Leaf::new());
        }
        let leaf = leaf_for(&mut self.leaves, key);
        let Err(at) = find(leaf, key) else { return false };
        leaf.insert(at, (key, value));
        self.len += 1;
        if leaf.len() > LEAF {
            let upper = leaf.split_off(LEAF / 2);
            if let Some((first, _)) = upper.front() {
                self.leaves.insert(*first, upper);
            }
        }
        true
    }

    /// Puts the tail to the other leaves, and begins another.
    fn close_tail(&mut self, next: Leaf<V>) {
        let mut tail = mem::replace(&mut self.tail, next);
        tail.shrink_to_fit();
        if let Some((first, _)) = tail.front() {
            self.leaves.insert(*first, tail);
        }
    }

    pub(super) fn remove(&mut self, key: u64) -> Option<V> {
        let in_tail = self.is_in_tail(key);
        let (under, leaf) =
            if in_tail { (0, &mut self.tail) } else { self.leaves.range_mut(..=key).next_back().map(|(key, leaf)| (*key, leaf))? };
        let (_, value) = leaf.remove(find(leaf, key).ok()?)?;
        self.len -= 1;
        if leaf.is_empty() && !in_tail {
            self.leaves.remove(&under);
        } else if leaf.len() <= leaf.capacity() / 4 {
            leaf.shrink_to(leaf.capacity().div_ceil(2).max(ROOM_MIN));
        }
        Some(value)
    }
}

/// The leaf that a key belongs into.
fn leaf_for<V>(leaves: &mut BTreeMap<u64, Leaf<V>>, key: u64) -> &mut Leaf<V> {
    let under = leaves.range(..=key).next_back().map(|(under, _)| *under);
    if under.is_none()
        && let Some((_, first)) = leaves.pop_first()
    {
        leaves.insert(key, first);
    }
    leaves.entry(under.unwrap_or(key)).or_default()
}

/// Where a key is in a leaf, or would be.
fn find<V>(leaf: &Leaf<V>, key: u64) -> Result<usize, usize> {
    match leaf.back() {
        Some((last, _)) if *last < key => Err(leaf.len()),
        _ => leaf.binary_search_by_key(&key, |(key, _)| *key),
    }
}

/// As a `BTreeMap` is.
impl<V: Saved> Saved for Ascending<V> {
    fn save(&self, to: &mut Writer) {
        self.len.save(to);
        for (key, value) in self.iter() {
            key.save(to);
            value.save(to);
        }
    }

    fn load(from: &mut Reader<'_>) -> error::Result<Self> {
        let mut map = Self::default();
        for _ in 0..usize::load(from)? {
            map.add(u64::load(from)?, V::load(from)?);
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Add(u64),
        AddNext(u64),
        Remove(u64),
        RemoveFirst(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (0_u64..3000).prop_map(Step::Add),
            6 => (1_u64..200).prop_map(Step::AddNext),
            4 => (0_u64..3000).prop_map(Step::Remove),
            1 => (1_usize..300).prop_map(Step::RemoveFirst),
        ];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn does_what_a_btree_map_does(steps in steps()) {
            let (mut map, mut model) = (Ascending::default(), BTreeMap::new());
            for step in steps {
                match step {
                    Step::Add(key) => {
                        let is_new = !model.contains_key(&key);
                        model.entry(key).or_insert(key * 2);
                        prop_assert_eq!(map.add(key, key * 2), is_new);
                    }
                    Step::AddNext(count) => {
                        let next = model.last_key_value().map_or(0, |(last, _)| last + 1);
                        for key in next..next + count {
                            model.insert(key, key * 2);
                            prop_assert!(map.add(key, key * 2));
                        }
                    }
                    Step::Remove(key) => prop_assert_eq!(map.remove(key), model.remove(&key)),
                    Step::RemoveFirst(count) => {
                        for _ in 0..count {
                            let first = model.pop_first();
                            prop_assert_eq!(map.iter().next().map(|(key, value)| (key, *value)), first);
                            prop_assert_eq!(first.and_then(|(key, _)| map.remove(key)), first.map(|(_, value)| value));
                        }
                    }
                }
                prop_assert_eq!((map.len(), map.first()), (model.len(), model.values().next()));
                prop_assert_eq!(map.last_key(), model.last_key_value().map(|(key, _)| *key));
                let room: usize = map.leaves.values().map(VecDeque::capacity).sum();
                prop_assert!(room <= (map.len() - map.tail.len()) * 4, "room for {} of {}", room, map.len());
                for key in [0, 7, 500, 2999, 100_000] {
                    prop_assert_eq!(map.get(key), model.get(&key));
                    prop_assert_eq!(map.get_mut(key).copied(), model.get(&key).copied());
                    prop_assert_eq!(map.key_before(key), model.range(..key).next_back().map(|(key, _)| *key));
                    let (ours, theirs) = (map.range(key..=key + 100), model.range(key..=key + 100));
                    prop_assert!(ours.eq(theirs.map(|(key, value)| (*key, value))));
                }
            }
            prop_assert!(map.iter().eq(model.iter().map(|(key, value)| (*key, value))));
            let (mut ours, mut theirs) = (Writer::default(), Writer::default());
            map.save(&mut ours);
            model.save(&mut theirs);
            prop_assert_eq!(&ours.bytes, &theirs.bytes);
            let again = Ascending::<u64>::load(&mut Reader::new(&ours.bytes)).unwrap();
            prop_assert!(again.iter().eq(map.iter()));
        }
    }

    #[test]
    fn what_comes_in_order_fills_its_leaves() {
        let mut map = Ascending::default();
        (0..LEAF as u64 * 10).for_each(|key| assert!(map.add(key, ())));
        assert!(map.leaves.len() == 9 && map.leaves.values().all(|leaf| leaf.len() == LEAF && leaf.capacity() == LEAF));
    }
}
