//! What was enqueued or published, and assertions on it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::names::QueueName;

/// A task or a message that was seen.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Item<T> {
    /// What it carries.
    pub value: T,
    /// The same as text, as it was sent.
    pub raw: String,
    /// Its id.
    pub id: String,
    /// The queue of a task.
    pub queue: Option<QueueName>,
    /// When a task is due.
    pub due: Option<Timestamp>,
    /// The headers of a task, the attributes of a message.
    pub attributes: BTreeMap<String, String>,
}

/// What was seen, for assertions. They panic, as assertions do, and list what there was.
#[derive(Debug, Clone)]
pub struct Seen<T> {
    what: String,
    items: Vec<Item<T>>,
}

impl<T> Seen<T> {
    pub(super) fn new(what: String, items: Vec<Item<T>>) -> Self {
        Self { what, items }
    }

    /// Returns all.
    pub fn iter(&self) -> impl Iterator<Item = &Item<T>> {
        self.items.iter()
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Asserts that there is none.
    ///
    /// # Panics
    ///
    /// Panics when there is one, and lists what there is.
    #[track_caller]
    pub fn expect_none(&self) {
        assert!(self.items.is_empty(), "no {} was expected, and there {}", self.what, self.listed());
    }

    /// Asserts that there are so many.
    ///
    /// # Panics
    ///
    /// Panics when there are more or fewer, and lists what there is.
    #[track_caller]
    pub fn expect(&self, count: usize) {
        assert!(self.items.len() == count, "{count} of {} were expected, and there {}", self.what, self.listed());
    }

    /// Asserts that exactly one is as told, and returns it; others may be there.
    ///
    /// # Panics
    ///
    /// Panics when none or several are as told, and lists what there is.
    #[track_caller]
    pub fn expect_one(&self, is_meant: impl Fn(&T) -> bool) -> &Item<T> {
        let mut meant = self.items.iter().filter(|item| is_meant(&item.value));
        match (meant.next(), meant.count()) {
            (Some(item), 0) => item,
            (found, more) => {
                panic!("one {} was expected, {} fit, and there {}", self.what, usize::from(found.is_some()) + more, self.listed())
            }
        }
    }

    fn listed(&self) -> String {
        match self.items.len() {
            0 => "is none".to_owned(),
            count => {
                let lines: Vec<String> = self.items.iter().map(|item| format!("\n  {}  {}", item.id, item.raw.escape_debug())).collect();
                format!("are {count}:{}", lines.concat())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(values: &[u8]) -> Seen<u8> {
        let item = |value: &u8| Item {
            value: *value,
            raw: value.to_string(),
            id: "7".to_owned(),
            queue: None,
            due: None,
            attributes: BTreeMap::new(),
        };
        Seen::new("task `T`".to_owned(), values.iter().map(item).collect())
    }

    fn words(assertion: impl FnOnce() + std::panic::UnwindSafe) -> String {
        *std::panic::catch_unwind(assertion).unwrap_err().downcast().unwrap()
    }

    #[test]
    fn assertions_say_what_there_was() {
        assert_eq!(seen(&[1, 2]).expect_one(|value| *value == 2).value, 2);
        seen(&[]).expect_none();
        seen(&[1, 1]).expect(2);
        assert_eq!(words(|| seen(&[1]).expect_none()), "no task `T` was expected, and there are 1:\n  7  1");
        assert_eq!(words(|| drop(seen(&[]).expect_one(|_| true).clone())), "one task `T` was expected, 0 fit, and there is none");
        assert_eq!(
            words(|| drop(seen(&[3, 3]).expect_one(|_| true).clone())),
            "one task `T` was expected, 2 fit, and there are 2:\n  7  3\n  7  3"
        );
    }
}
