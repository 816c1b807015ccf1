//! What can be set on a queue: drafts from clients, defaults, checks, and updates by mask.

use std::time::Duration;

use crate::emulator::state::Refusal;
use crate::emulator::state::saved::saved;
use crate::emulator::state::target::{Method, Override, Routing, Token};
use crate::model::queue::TaskRetry;
use crate::names::QueueName;

const DISPATCHES_PER_SECOND_MAX: f64 = 500.0;
const CONCURRENT_DISPATCHES_MAX: i32 = 5000;
const CONCURRENT_DISPATCHES: u32 = 1000;
/// The smallest burst the service picks, however slow the queue.
const BURST_MIN: u32 = 10;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    pub(crate) routing: Option<Routing>,
    pub(crate) http: Option<HttpOverride>,
    pub(crate) per_second: f64,
    /// Picked by the service.
    pub(crate) burst: u32,
    pub(crate) concurrent: u32,
    pub(crate) retry: TaskRetry,
    pub(crate) sampling_ratio: Option<f64>,
}

saved!(struct Settings { routing, http, per_second, burst, concurrent, retry, sampling_ratio });

/// What a queue puts in the place of its tasks' own settings (`HttpTarget`).
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct HttpOverride {
    pub(crate) uri: Option<Override>,
    pub(crate) method: Option<Method>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) token: Option<Token>,
}

saved!(struct HttpOverride { uri, method, headers, token });

/// A queue as a client gave it; what is left open gets defaults.
#[derive(Debug, Clone, Default)]
pub(crate) struct QueueDraft {
    pub(crate) routing: Option<Routing>,
    pub(crate) http: Option<HttpOverride>,
    pub(crate) rate: RateDraft,
    pub(crate) retry: RetryDraft,
    pub(crate) sampling_ratio: Option<f64>,
}

saved!(struct QueueDraft { routing, http, rate, retry, sampling_ratio });

/// Zeros are open.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RateDraft {
    pub(crate) per_second: f64,
    pub(crate) concurrent: i32,
}

saved!(struct RateDraft { per_second, concurrent });

/// Zeros and nothings are open; `attempts` of -1 is unlimited. Negative durations are kept to be refused.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RetryDraft {
    pub(crate) attempts: i32,
    pub(crate) duration: Option<jiff::SignedDuration>,
    pub(crate) backoff_min: Option<jiff::SignedDuration>,
    pub(crate) backoff_max: Option<jiff::SignedDuration>,
    pub(crate) doublings: i32,
}

saved!(struct RetryDraft { attempts, duration, backoff_min, backoff_max, doublings });

impl QueueDraft {
    pub(super) fn check(mut self, queue: &QueueName) -> Result<Settings, Refusal> {
        let per_second = match self.rate.per_second {
            0.0 => DISPATCHES_PER_SECOND_MAX,
            rate if rate < 0.0 => return Err(Refusal::invalid("RateLimits.maxDispatchesPerSecond cannot be negative.")),
            rate if rate <= DISPATCHES_PER_SECOND_MAX => rate,
            _ => return Err(Refusal::invalid("RateLimits.maxDispatchesPerSecond must be less than or equal to 500.")),
        };
        let concurrent = match self.rate.concurrent {
            0 => CONCURRENT_DISPATCHES,
            count if count <= CONCURRENT_DISPATCHES_MAX => {
                u32::try_from(count).map_err(|_| Refusal::invalid("RateLimits.maxConcurrentDispatches cannot be negative."))?
            }
            _ => return Err(Refusal::invalid("RateLimits.maxConcurrentDispatches must be less than or equal to 5000.")),
        };
        if self.sampling_ratio.is_some_and(|ratio| !(0.0..=1.0).contains(&ratio)) {
            return Err(Refusal::invalid("sampling_ratio must be between 0.0 and 1.0."));
        }
        if let Some(http) = &mut self.http {
            http.check()?;
        }
        Ok(Settings {
            routing: self.routing.map(|routing| routing.complete(queue.location().project().id())),
            http: self.http,
            per_second,
            burst: burst(per_second),
            concurrent,
            retry: self.retry.check()?,
            sampling_ratio: self.sampling_ratio.filter(|ratio| *ratio > 0.0),
        })
    }
}

impl RetryDraft {
    pub(super) fn check(self) -> Result<TaskRetry, Refusal> {
        let default = TaskRetry::DEFAULT;
        let duration = |given: Option<jiff::SignedDuration>, field: &str| match given.map(Duration::try_from) {
            None => Ok(None),
            Some(Ok(duration)) => Ok(Some(duration)),
            Some(Err(_)) => Err(Refusal::invalid(format!("RetryConfig.{field} cannot be negative."))),
        };
        let attempts_max = match self.attempts {
            -1 => None,
            0 => default.attempts_max,
            attempts => {
                Some(u32::try_from(attempts).map_err(|_| Refusal::invalid("RetryConfig.maxAttempts must be greater or equal to -1."))?)
            }
        };
        let doublings_max = match self.doublings {
            0 => default.doublings_max,
            count => u32::try_from(count).map_err(|_| Refusal::invalid("RetryConfig.maxDoublings cannot be negative."))?,
        };
        let backoff_min = duration(self.backoff_min, "minBackoff")?.unwrap_or(default.backoff_min);
        let backoff_max = duration(self.backoff_max, "maxBackoff")?.unwrap_or(default.backoff_max.max(backoff_min));
        if backoff_min > backoff_max {
            return Err(Refusal::invalid("RetryConfig.minBackoff must be less than or equal to RetryConfig.maxBackoff."));
        }
        let duration_max = whole_seconds(self.duration)?.filter(|duration| !duration.is_zero());
        Ok(TaskRetry { attempts_max, duration_max, backoff_min, backoff_max, doublings_max })
    }
}

/// The time that a task may be tried for, which has no fractions.
fn whole_seconds(given: Option<jiff::SignedDuration>) -> Result<Option<Duration>, Refusal> {
    let Some(given) = given else { return Ok(None) };
    if given.as_secs() < 0 {
        return Err(Refusal::invalid("RetryConfig.max_retry_duration.seconds cannot be negative."));
    }
    match Duration::try_from(given) {
        Ok(duration) if duration.subsec_nanos() == 0 => Ok(Some(duration)),
        _ => Err(Refusal::invalid("RetryConfig.max_retry_duration.nanos cannot be set.")),
    }
}

/// The burst that the service derives from a rate: a fifth of a second's tokens, at least ten.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the rate is between 0 and 500")]
fn burst(per_second: f64) -> u32 {
    ((per_second / 5.0) as u32).max(BURST_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    fn check(draft: QueueDraft) -> Result<Settings, String> {
        draft.check(&"projects/p/locations/l/queues/q".parse().unwrap()).map_err(|refusal| refusal.message)
    }

    fn retry(retry: RetryDraft) -> QueueDraft {
        QueueDraft { retry, ..QueueDraft::default() }
    }

    fn rate(per_second: f64, concurrent: i32) -> QueueDraft {
        QueueDraft { rate: RateDraft { per_second, concurrent }, ..QueueDraft::default() }
    }

    #[test]
    fn what_is_out_of_range_is_refused_in_googles_words() {
        let open = RetryDraft::default();
        let nanos = |nanos| Some(SignedDuration::from_nanos(nanos));
        let seconds = |seconds| Some(SignedDuration::from_secs(seconds));
        let ratio = |ratio| QueueDraft { sampling_ratio: Some(ratio), ..QueueDraft::default() };
        for (draft, expected) in [
            (rate(501.0, 0), "RateLimits.maxDispatchesPerSecond must be less than or equal to 500."),
            (rate(f64::NAN, 0), "RateLimits.maxDispatchesPerSecond must be less than or equal to 500."),
            (rate(-1.0, 0), "RateLimits.maxDispatchesPerSecond cannot be negative."),
            (rate(0.0, 5001), "RateLimits.maxConcurrentDispatches must be less than or equal to 5000."),
            (rate(0.0, -1), "RateLimits.maxConcurrentDispatches cannot be negative."),
            (retry(RetryDraft { attempts: -2, ..open }), "RetryConfig.maxAttempts must be greater or equal to -1."),
            (retry(RetryDraft { doublings: -1, ..open }), "RetryConfig.maxDoublings cannot be negative."),
            (retry(RetryDraft { backoff_min: nanos(-5), ..open }), "RetryConfig.minBackoff cannot be negative."),
            (retry(RetryDraft { backoff_max: seconds(-1), ..open }), "RetryConfig.maxBackoff cannot be negative."),
            (retry(RetryDraft { duration: seconds(-1), ..open }), "RetryConfig.max_retry_duration.seconds cannot be negative."),
            (retry(RetryDraft { duration: nanos(30_900_000_000), ..open }), "RetryConfig.max_retry_duration.nanos cannot be set."),
            (
                retry(RetryDraft { backoff_min: seconds(10), backoff_max: seconds(1), ..open }),
                "RetryConfig.minBackoff must be less than or equal to RetryConfig.maxBackoff.",
            ),
            (ratio(1.5), "sampling_ratio must be between 0.0 and 1.0."),
            (ratio(-0.5), "sampling_ratio must be between 0.0 and 1.0."),
            (ratio(f64::NAN), "sampling_ratio must be between 0.0 and 1.0."),
        ] {
            assert_eq!(check(draft).unwrap_err(), expected);
        }
        assert_eq!(check(ratio(0.0)).unwrap().sampling_ratio, None);
        assert_eq!(check(ratio(0.25)).unwrap().sampling_ratio, Some(0.25));
    }

    #[test]
    fn the_burst_is_a_fifth_of_the_rate_cut_to_a_whole_number() {
        for (per_second, expected) in [(0.5, 10), (54.0, 10), (77.0, 15), (333.0, 66), (500.0, 100)] {
            assert_eq!(check(rate(per_second, 0)).unwrap().burst, expected, "{per_second}");
        }
    }
}
