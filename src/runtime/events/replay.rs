//! Which signed URLs were used: each is good once.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{self, BoxFuture};

use crate::error::{Error, Kind, Result};

/// URLs in use or used, and not expired: some 20 MB. Beyond, no more are taken until some expire: to forget one would be to take it twice.
const NONCES_MAX: usize = 100_000;

/// Keeps which signed URLs were used, for all processes of a service where it is shared: Firestore, Redis, a table with a unique column.
pub trait Replay: Send + Sync + 'static {
    /// Notes a use, until the moment (since the epoch) after which the URL is refused anyway. Tells whether it is the first: of two at once, only one is.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be told; the use is refused then, and may be tried again.
    fn claim<'a>(&'a self, nonce: &'a str, until: Duration, now: Duration) -> BoxFuture<'a, Result<bool>>;

    /// Takes a use back whose work did not get done, so that it can be tried again.
    fn release<'a>(&'a self, nonce: &'a str) -> BoxFuture<'a, ()>;
}

/// Keeps them in this process, 100,000 at most. When it starts anew it knows nothing of what was used before.
#[derive(Default)]
pub struct InMemory(Mutex<HashMap<String, Duration>>);

impl fmt::Debug for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemory").finish_non_exhaustive()
    }
}

impl Replay for InMemory {
    fn claim<'a>(&'a self, nonce: &'a str, until: Duration, now: Duration) -> BoxFuture<'a, Result<bool>> {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() >= NONCES_MAX {
            used.retain(|_, until| *until >= now);
        }
        let claimed = if used.contains_key(nonce) {
            Ok(false)
        } else if used.len() >= NONCES_MAX {
            Err(Error::new(Kind::Exhausted, format!("{NONCES_MAX} signed URLs are in use, which is the most")))
        } else {
            used.insert(nonce.to_owned(), until);
            Ok(true)
        };
        future::ready(claimed).boxed()
    }

    fn release<'a>(&'a self, nonce: &'a str) -> BoxFuture<'a, ()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(nonce);
        future::ready(()).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    #[tokio::test]
    async fn once_and_within_bounds() {
        let used = InMemory::default();
        let later = NOW + Duration::from_secs(1);
        assert!(used.claim("a", NOW, NOW).await.unwrap());
        assert!(!used.claim("a", NOW, NOW).await.unwrap());
        used.release("a").await;
        assert!(used.claim("a", NOW, NOW).await.unwrap());
        for number in 1..NONCES_MAX {
            assert!(used.claim(&number.to_string(), later, NOW).await.unwrap());
        }
        assert!(used.claim("b", later, NOW).await.unwrap_err().is_transient(), "full, and nothing has expired");
        assert!(used.claim("b", later, later).await.unwrap(), "`a` has expired");
    }
}
