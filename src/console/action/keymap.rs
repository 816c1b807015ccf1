//! Which key asks for what on which screen, with the user's remaps.

use std::collections::BTreeMap;

use super::{ACTIONS, Act, Action, Kind};
use crate::console::key::Key;
use crate::error::{Error, Result};

/// The keys of every action, remaps included.
#[derive(Debug, Clone)]
pub(crate) struct Keymap {
    /// In the order of the table.
    keys: Vec<Vec<Key>>,
}

impl Keymap {
    /// Makes the keymap of the table with `remaps` (action id → keys) put over it.
    pub(crate) fn new(remaps: &BTreeMap<String, Vec<String>>) -> Result<Self> {
        let mut keys: Vec<Vec<Key>> = Vec::with_capacity(ACTIONS.len());
        for action in ACTIONS {
            keys.push(action.keys.iter().map(|key| key.parse()).collect::<Result<_>>()?);
        }
        for (id, wanted) in remaps {
            let index = ACTIONS.iter().position(|action| action.id == id).ok_or_else(|| {
                Error::invalid(format!("`keys`: there is no action `{}`", id.escape_debug()))
                    .with_hint("press `?` in the console, or see the README, for the ids")
            })?;
            let parse = |key: &String| key.parse().map_err(|error: Error| error.context(format!("`keys.\"{id}\"`")));
            keys[index] = wanted.iter().map(parse).collect::<Result<_>>()?;
        }
        let map = Self { keys };
        map.refuse_conflicts()?;
        Ok(map)
    }

    /// Finds what `key` asks for on a screen: the action of fewer screens wins over one that is offered everywhere.
    pub(crate) fn find(&self, kind: Kind, key: Key) -> Option<&'static Action> {
        let bound = ACTIONS.iter().zip(&self.keys).filter(|(action, keys)| action.on.has(kind) && keys.contains(&key));
        bound.min_by_key(|(action, _)| action.on.count()).map(|(action, _)| action)
    }

    /// Returns the first key of an action as text; empty when it has none.
    pub(crate) fn key_of(&self, act: Act) -> String {
        self.keys_of(act).first().map(ToString::to_string).unwrap_or_default()
    }

    /// Returns the keys of an action.
    pub(crate) fn keys_of(&self, act: Act) -> &[Key] {
        ACTIONS.iter().position(|action| action.act == act).map_or(&[], |index| &self.keys[index])
    }

    /// A key must not have two meanings of equal rank on one screen.
    fn refuse_conflicts(&self) -> Result<()> {
        for (index, (a, keys)) in ACTIONS.iter().zip(&self.keys).enumerate() {
            for (b, others) in ACTIONS.iter().zip(&self.keys).skip(index + 1) {
                let shared = keys.iter().find(|key| others.contains(key));
                if let Some(key) = shared.filter(|_| a.on.meets(b.on) && a.on.count() == b.on.count()) {
                    return Err(Error::invalid(format!("`keys`: `{key}` would mean both `{}` and `{}` on one screen", a.id, b.id))
                        .with_hint("give one of them another key"));
                }
            }
        }
        Ok(())
    }
}

impl super::On {
    fn count(self) -> u32 {
        self.0.count_ones()
    }

    fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remap(id: &str, key: &str) -> Result<Keymap> {
        Keymap::new(&BTreeMap::from([(id.to_owned(), vec![key.to_owned()])]))
    }

    #[test]
    fn the_table_itself_has_no_conflict() {
        Keymap::new(&BTreeMap::new()).unwrap();
    }

    #[test]
    fn a_key_means_what_its_screen_says() {
        let map = Keymap::new(&BTreeMap::new()).unwrap();
        let find = |kind, key: &str| map.find(kind, key.parse().unwrap()).map(|action| action.id);
        assert_eq!(find(Kind::Tasks, "ctrl-d"), Some("task.discard"));
        assert_eq!(find(Kind::DeadLetters, "ctrl-d"), Some("dlq.discard"));
        assert_eq!(find(Kind::Queues, "ctrl-d"), None);
        assert_eq!(find(Kind::Transfers, "ctrl-c"), Some("transfer.cancel"));
        assert_eq!(find(Kind::Queues, "ctrl-c"), Some("app.quit"));
    }

    #[test]
    fn remaps_are_checked() {
        let map = remap("queue.pause", "f5").unwrap();
        assert_eq!(map.key_of(Act::ToggleQueue), "f5");
        assert!(map.find(Kind::Queues, "P".parse().unwrap()).is_none());
        assert!(remap("queue.pose", "f5").unwrap_err().to_string().contains("`queue.pose`"));
        assert!(remap("queue.pause", "f55").unwrap_err().to_string().contains("`f55` is not a key"));
        assert!(remap("queue.pause", "X").unwrap_err().to_string().contains("both `queue.pause` and `queue.purge`"));
    }
}
