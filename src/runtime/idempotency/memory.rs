//! A store in this process's memory: for one instance, and for tests.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::runtime::{Begun, Failure, IdempotencyStore};

/// Remembers in memory, up to a number of keys: what is done longest is forgotten first. It knows nothing of other instances, and nothing after a restart.
#[derive(Debug)]
pub struct MemoryStore {
    keys_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    keys: HashMap<String, Entry>,
    /// When what was touched, oldest first: for what is forgotten when there are too many.
    order: BTreeMap<u64, String>,
    touched: u64,
}

#[derive(Debug)]
struct Entry {
    token: String,
    done: bool,
    until: Instant,
    touched: u64,
}

impl MemoryStore {
    /// Makes a store for at most so many keys.
    pub fn new(keys_max: usize) -> Self {
        Self { keys_max: keys_max.max(1), kept: Mutex::default() }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Kept) -> T) -> T {
        work(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Kept {
    fn put(&mut self, key: &str, token: &str, done: bool, until: Instant) {
        self.remove(key);
        self.touched += 1;
        self.order.insert(self.touched, key.to_owned());
        self.keys.insert(key.to_owned(), Entry { token: token.to_owned(), done, until, touched: self.touched });
    }

    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.keys.remove(key) {
            self.order.remove(&entry.touched);
        }
    }

    fn holds(&self, key: &str, token: &str) -> bool {
        self.keys.get(key).is_some_and(|entry| entry.token == token)
    }

    /// Forgets the oldest that nobody works on, else the oldest.
    fn shrink(&mut self, keys_max: usize, now: Instant) {
        while self.keys.len() > keys_max {
            let is_free = |key: &&String| self.keys.get(*key).is_none_or(|entry| entry.done || entry.until <= now);
            let oldest = self.order.values().find(is_free).or_else(|| self.order.values().next()).cloned();
            let Some(oldest) = oldest else { return };
            self.remove(&oldest);
        }
    }
}

impl IdempotencyStore for MemoryStore {
    async fn begin(&self, key: &str, token: &str, lease: Duration) -> Result<Begun, Failure> {
        let now = Instant::now();
        Ok(self.with(|kept| match kept.keys.get(key).filter(|entry| entry.until > now) {
            Some(entry) if entry.done => Begun::Done,
            Some(_) => Begun::Running,
            None => {
                kept.put(key, token, false, now + lease);
                kept.shrink(self.keys_max, now);
                Begun::First
            }
        }))
    }

    async fn done(&self, key: &str, token: &str, keep: Duration) -> Result<(), Failure> {
        self.with(|kept| {
            if kept.holds(key, token) {
                kept.put(key, token, true, Instant::now() + keep);
            }
        });
        Ok(())
    }

    async fn abandon(&self, key: &str, token: &str) -> Result<(), Failure> {
        self.with(|kept| {
            if kept.holds(key, token) && !kept.keys[key].done {
                kept.remove(key);
            }
        });
        Ok(())
    }
}
