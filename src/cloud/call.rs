//! Time limits of interactive calls, and how a call of an official client becomes a [`Result`] of ours.

use std::future::Future;
use std::time::Duration;

use google_cloud_gax::exponential_backoff::{ExponentialBackoff, ExponentialBackoffBuilder};
use google_cloud_gax::retry_policy::{Aip194Strict, LimitedAttemptCount, RetryPolicyExt as _};

use crate::cloud::failure::{Asked, Failure};
use crate::error::Result;

/// One attempt may take this long: an operator waits for it.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);

/// A call may take this long in all, with tokens, attempts and pauses.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(9);

/// Attempts of a call; only those are repeated that cannot have had an effect, or may have it twice.
pub(crate) const ATTEMPTS_MAX: u32 = 2;

/// The pause before the second attempt: short, so that a refused connection is told at once.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Returns what official clients may repeat.
pub(crate) fn retry_policy() -> LimitedAttemptCount<Aip194Strict> {
    Aip194Strict.with_attempt_limit(ATTEMPTS_MAX)
}

/// Returns how long they pause before.
pub(crate) fn backoff_policy() -> ExponentialBackoff {
    ExponentialBackoffBuilder::new().with_initial_delay(RETRY_PAUSE).with_maximum_delay(RETRY_PAUSE).clamp()
}

/// Waits for a call of an official client, no longer than [`CALL_TIMEOUT`].
pub(crate) async fn call<T>(asked: &Asked, call: impl Future<Output = google_cloud_gax::Result<T>>) -> Result<T> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Failure::of_client(&error, ATTEMPT_TIMEOUT).explain(asked).with_source(error)),
        Err(_) => Err(Failure::Timeout(CALL_TIMEOUT).explain(asked)),
    }
}
