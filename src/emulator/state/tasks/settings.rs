//! What can be set on a queue: drafts from clients, defaults, checks, and updates by mask.

use std::time::Duration;

use crate::emulator::state::Refusal;
use crate::emulator::state::saved::saved;
use crate::emulator::state::target::{Method, Override, Routing, Token, check_overrides};
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
            rate if rate > 0.0 && rate <= DISPATCHES_PER_SECOND_MAX => rate,
            rate => return Err(Refusal::invalid(format!("RateLimits.maxDispatchesPerSecond must be between 0 and 500; it is {rate}."))),
        };
        let concurrent = match self.rate.concurrent {
            0 => CONCURRENT_DISPATCHES,
            count if count <= CONCURRENT_DISPATCHES_MAX => u32::try_from(count)
                .map_err(|_| Refusal::invalid(format!("RateLimits.maxConcurrentDispatches must not be negative; it is {count}.")))?,
            count => return Err(Refusal::invalid(format!("RateLimits.maxConcurrentDispatches must be no more than 5000; it is {count}."))),
        };
        if self.sampling_ratio.is_some_and(|ratio| !(0.0..=1.0).contains(&ratio)) {
            return Err(Refusal::invalid("StackdriverLoggingConfig.samplingRatio must be between 0.0 and 1.0."));
        }
        if let Some(http) = &mut self.http {
            check_overrides(&mut http.headers)?;
        }
        if self.http.iter().filter_map(|http| http.uri.as_ref()).any(|uri| uri.host.as_deref() == Some("")) {
            return Err(Refusal::invalid("UriOverride.host must not be empty."));
        }
        Ok(Settings {
            routing: self.routing.map(|routing| routing.complete(queue.location().project().id())),
            http: self.http,
            per_second,
            burst: burst(per_second),
            concurrent,
            retry: self.retry.check()?,
            sampling_ratio: self.sampling_ratio,
        })
    }
}

impl RetryDraft {
    pub(super) fn check(self) -> Result<TaskRetry, Refusal> {
        let default = TaskRetry::DEFAULT;
        let duration = |given: Option<jiff::SignedDuration>, field: &str| match given.map(Duration::try_from) {
            None => Ok(None),
            Some(Ok(duration)) => Ok(Some(duration)),
            Some(Err(_)) => Err(Refusal::invalid(format!("RetryConfig.{field} must not be negative."))),
        };
        let attempts_max = match self.attempts {
            -1 => None,
            0 => default.attempts_max,
            attempts => Some(
                u32::try_from(attempts)
                    .map_err(|_| Refusal::invalid(format!("RetryConfig.maxAttempts must be >= -1; it is {attempts}.")))?,
            ),
        };
        let doublings_max = match self.doublings {
            0 => default.doublings_max,
            count => {
                u32::try_from(count).map_err(|_| Refusal::invalid(format!("RetryConfig.maxDoublings must be >= 0; it is {count}.")))?
            }
        };
        let backoff_min = duration(self.backoff_min, "minBackoff")?.unwrap_or(default.backoff_min);
        let backoff_max = duration(self.backoff_max, "maxBackoff")?.unwrap_or(default.backoff_max.max(backoff_min));
        if backoff_min > backoff_max {
            return Err(Refusal::invalid("RetryConfig.minBackoff must not be greater than RetryConfig.maxBackoff."));
        }
        let duration_max = duration(self.duration, "maxRetryDuration")?.filter(|duration| !duration.is_zero());
        Ok(TaskRetry { attempts_max, duration_max, backoff_min, backoff_max, doublings_max })
    }
}

/// The burst that the service derives from a rate: a fifth of a second's tokens, at least ten.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the rate is between 0 and 500")]
fn burst(per_second: f64) -> u32 {
    ((per_second / 5.0).ceil() as u32).max(BURST_MIN)
}
