//! Tokens that were verified already, by their digest: Google sends the same one for minutes.

use std::collections::HashMap;
use std::mem;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

/// Tokens in each of two generations: far more than a service has callers and audiences, and some hundred kilobytes.
const GENERATION_MAX: usize = 4096;

/// A SHA-256 of a token and its audience.
pub(super) type Digest = [u8; 32];

/// What is remembered. When a generation is full the one before it is forgotten, so that no flood makes it grow.
#[derive(Debug, Default)]
pub(super) struct Remembered(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Digest, Duration>,
    old: HashMap<Digest, Duration>,
}

/// Makes the digest; no token has a line break, so that the two cannot run into each other.
pub(super) fn digest(token: &str, audience: &str) -> Digest {
    // Not that of `aws-lc-rs`, which has memory allocated for each.
    let mut context = Sha256::new();
    for part in [token, "\n", audience] {
        context.update(part);
    }
    context.finalize().into()
}

impl Remembered {
    /// Tells whether a token was verified and has not expired since.
    pub(super) fn holds(&self, digest: &Digest, now: Duration) -> bool {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.young.get(digest).or_else(|| kept.old.get(digest)).is_some_and(|until| now < *until)
    }

    /// Remembers a token until it expires.
    pub(super) fn keep(&self, digest: Digest, until: Duration, now: Duration) {
        if until <= now {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.young.len() >= GENERATION_MAX {
            kept.old = mem::take(&mut kept.young);
        }
        kept.young.insert(digest, until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    #[test]
    fn a_token_is_remembered_for_its_audience_until_it_expires() {
        let kept = Remembered::default();
        kept.keep(digest("t", "a"), NOW + Duration::from_secs(5), NOW);
        assert!(kept.holds(&digest("t", "a"), NOW));
        assert!(!kept.holds(&digest("t", "b"), NOW) && !kept.holds(&digest("u", "a"), NOW));
        assert!(!kept.holds(&digest("t", "a"), NOW + Duration::from_secs(5)));
    }

    #[test]
    fn memory_is_bounded() {
        let kept = Remembered::default();
        for number in 0..10 * GENERATION_MAX {
            kept.keep(digest(&number.to_string(), "a"), NOW * 2, NOW);
        }
        let inner = kept.0.lock().unwrap();
        assert!(inner.young.len() + inner.old.len() <= 2 * GENERATION_MAX);
        drop(inner);
        assert!(kept.holds(&digest(&(10 * GENERATION_MAX - 1).to_string(), "a"), NOW), "the last is there");
    }
}
