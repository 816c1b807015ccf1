//! When something that failed is tried again, and when no more: the arithmetic shared by queues, jobs and what shows them.
//!
//! Rules of `RetryConfig` in Google's reference of Cloud Tasks v2 and Cloud Scheduler v1. Knows neither clocks nor requests.

use std::time::Duration;

use super::queue::TaskRetry;

/// The shape of a back-off: it doubles, then grows by equal steps, then stays at its longest.
///
/// ```
/// use std::time::Duration;
/// use redrive::model::retry::Backoff;
///
/// let backoff = Backoff { min: Duration::from_secs(10), max: Duration::from_secs(300), doublings_max: 3 };
/// let seconds: Vec<u64> = backoff.delays().map(|delay| delay.as_secs()).take(8).collect();
/// assert_eq!(seconds, [10, 20, 40, 80, 160, 240, 300, 300]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The delay after the first failure.
    pub min: Duration,
    /// No delay is longer.
    pub max: Duration,
    /// How often the delay doubles before it grows linearly.
    pub doublings_max: u32,
}

impl Backoff {
    /// Returns how long to wait after the `failures`-th failure in a row; nothing before the first.
    pub fn delay(&self, failures: u32) -> Duration {
        let Some(steps) = failures.checked_sub(1) else { return Duration::ZERO };
        // The largest delay that fits is 2^64 s, so more doublings than these cannot change the result.
        let doublings = self.doublings_max.min(steps);
        let factor = 1u128.checked_shl(doublings).filter(|_| doublings < u128::BITS - 1).unwrap_or(u128::MAX);
        let factor = factor.saturating_mul(u128::from(steps - doublings) + 1);
        from_nanos(self.min.as_nanos().saturating_mul(factor).min(self.max.as_nanos()))
    }

    /// Returns the delays after the first, second … failure, without end.
    pub fn delays(self) -> impl Iterator<Item = Duration> {
        (1..=u32::MAX).map(move |failures| self.delay(failures))
    }
}

impl TaskRetry {
    /// What a queue gets for what its creator left open.
    pub const DEFAULT: Self = Self {
        attempts_max: Some(100),
        duration_max: None,
        backoff_min: Duration::from_millis(100),
        backoff_max: Duration::from_hours(1),
        doublings_max: 16,
    };

    /// Returns the shape of the queue's back-off.
    pub fn backoff(&self) -> Backoff {
        Backoff { min: self.backoff_min, max: self.backoff_max, doublings_max: self.doublings_max }
    }

    /// Tells whether a task is given up after `attempts` failed attempts, the first of them `since_first` ago.
    ///
    /// Both limits must be met; one that is unlimited does not count, and with none a task is tried for ever.
    ///
    /// ```
    /// use std::time::Duration;
    /// use redrive::model::queue::TaskRetry;
    ///
    /// let retry = TaskRetry { attempts_max: Some(3), duration_max: Some(Duration::from_secs(60)), ..TaskRetry::DEFAULT };
    /// assert!(!retry.gives_up(9, Duration::from_secs(59)));
    /// assert!(!retry.gives_up(2, Duration::from_secs(61)));
    /// assert!(retry.gives_up(3, Duration::from_secs(60)));
    /// ```
    pub fn gives_up(&self, attempts: u32, since_first: Duration) -> bool {
        let tried = self.attempts_max.map(|max| attempts >= max);
        let aged = self.duration_max.map(|max| since_first >= max);
        match (tried, aged) {
            (None, None) => false,
            (tried, aged) => tried.unwrap_or(true) && aged.unwrap_or(true),
        }
    }
}

impl Default for TaskRetry {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Nanoseconds to a duration; the argument is never more than some duration's own.
fn from_nanos(nanos: u128) -> Duration {
    const SECOND: u128 = 1_000_000_000;
    let seconds = u64::try_from(nanos / SECOND).unwrap_or(u64::MAX);
    Duration::new(seconds, u32::try_from(nanos % SECOND).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn backoffs() -> impl Strategy<Value = Backoff> {
        (0u64..1_000_000_000_000, 0u64..10_000_000_000_000, prop_oneof![0u32..40, Just(u32::MAX)])
            .prop_map(|(min, max, doublings_max)| Backoff { min: Duration::from_nanos(min), max: Duration::from_nanos(max), doublings_max })
    }

    proptest! {
        #[test]
        fn never_shorter_never_past_the_longest(backoff in backoffs(), failures in prop_oneof![0u32..200, (u32::MAX - 3)..u32::MAX]) {
            let delay = backoff.delay(failures);
            prop_assert!(delay <= backoff.max);
            prop_assert!(delay <= backoff.delay(failures + 1));
            if failures > 0 {
                prop_assert!(delay >= backoff.min.min(backoff.max));
            }
        }

        #[test]
        fn doubles_then_grows_linearly(min_ms in 1u64..1000, doublings in 0u32..10, failures in 1u32..60) {
            let backoff = Backoff { min: Duration::from_millis(min_ms), max: Duration::MAX, doublings_max: doublings };
            let (this, next) = (backoff.delay(failures), backoff.delay(failures + 1));
            if failures <= doublings {
                prop_assert_eq!(next, this * 2);
            } else {
                prop_assert_eq!(next.saturating_sub(this), backoff.min * 2u32.pow(doublings));
            }
        }

        #[test]
        fn once_given_up_stays_given_up(attempts_max in proptest::option::of(0u32..50), seconds_max in proptest::option::of(0u64..50), attempts in 0u32..60, seconds in 0u64..60) {
            let retry = TaskRetry { attempts_max, duration_max: seconds_max.map(Duration::from_secs), ..TaskRetry::DEFAULT };
            let gives_up = |attempts, seconds| retry.gives_up(attempts, Duration::from_secs(seconds));
            if gives_up(attempts, seconds) {
                prop_assert!(gives_up(attempts + 1, seconds) && gives_up(attempts, seconds + 1));
            }
            prop_assert_eq!(attempts_max.is_none() && seconds_max.is_none(), !gives_up(u32::MAX, u64::MAX));
        }
    }

    #[test]
    fn the_default_reaches_its_longest_after_sixteen_doublings() {
        let backoff = TaskRetry::DEFAULT.backoff();
        assert_eq!(backoff.delay(0), Duration::ZERO);
        assert_eq!(backoff.delay(1), Duration::from_millis(100));
        assert_eq!(backoff.delay(16), Duration::from_millis(3_276_800));
        assert_eq!(backoff.delay(17), Duration::from_hours(1));
    }
}
