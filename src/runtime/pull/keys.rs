//! Order within a key: of messages with the same ordering key one is worked on at a time, in the order they came. Pure.

use std::collections::{HashMap, VecDeque};

/// What waits behind the message of a key that is worked on; a key without one is not there.
#[derive(Debug)]
pub(super) struct Keys<T>(HashMap<String, VecDeque<T>>);

impl<T> Default for Keys<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Keys<T> {
    /// Takes a message; returns it where its work may begin at once.
    pub(super) fn take(&mut self, key: &str, message: T) -> Option<T> {
        if key.is_empty() {
            return Some(message);
        }
        if let Some(waiting) = self.0.get_mut(key) {
            waiting.push_back(message);
            return None;
        }
        self.0.insert(key.to_owned(), VecDeque::new());
        Some(message)
    }

    /// Notes that the message of a key was worked on; returns the next of it.
    pub(super) fn done(&mut self, key: &str) -> Option<T> {
        let next = self.0.get_mut(key)?.pop_front();
        if next.is_none() {
            self.0.remove(key);
        }
        next
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Notes that the message of a key failed; returns all behind it: they come again after it.
    pub(super) fn failed(&mut self, key: &str) -> VecDeque<T> {
        self.0.remove(key).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_key_at_a_time_and_a_failure_takes_those_behind_it_along() {
        let mut keys = Keys::default();
        assert_eq!((keys.take("a", 1), keys.take("a", 2), keys.take("b", 3), keys.take("a", 4)), (Some(1), None, Some(3), None));
        assert_eq!((keys.take("", 5), keys.take("", 6)), (Some(5), Some(6)), "without a key nothing waits");
        assert_eq!((keys.done("a"), keys.done("b")), (Some(2), None));
        assert_eq!(keys.failed("a"), [4]);
        assert_eq!((keys.take("a", 7), keys.done("a"), keys.take("b", 8)), (Some(7), None, Some(8)));
        assert_eq!(keys.0.len(), 1, "what is done with is forgotten");
        assert_eq!((keys.done(""), keys.failed("").len()), (None, 0));
    }
}
