//! What is repeated when Cloud Tasks does not take a task.

use std::time::Duration;

use google_cloud_gax::error::rpc::Code;

use crate::error::{Error, Result};

/// Which failures of an enqueueing are repeated, after which pauses, and for how long.
///
/// A repeated creation can make a task twice when the answer to the first was lost; one with a name cannot.
///
/// ```
/// use std::time::Duration;
/// use redrive::runtime::EnqueueRetry;
///
/// let patient = EnqueueRetry::new().codes(["UNAVAILABLE", "RESOURCE_EXHAUSTED"])?.initial(Duration::from_millis(200)).deadline(Duration::from_mins(2));
/// # Ok::<(), redrive::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct EnqueueRetry {
    pub(crate) codes: Vec<Code>,
    pub(crate) initial: Duration,
    pub(crate) maximum: Duration,
    pub(crate) multiplier: f64,
    pub(crate) deadline: Duration,
}

impl Default for EnqueueRetry {
    /// `UNAVAILABLE` and no connection, after 100 ms, 130 ms … up to 10 s, for 10 s in all: what Google's own clients do for reads.
    fn default() -> Self {
        Self {
            codes: vec![Code::Unavailable],
            initial: Duration::from_millis(100),
            maximum: Duration::from_secs(10),
            multiplier: 1.3,
            deadline: Duration::from_secs(10),
        }
    }
}

impl EnqueueRetry {
    /// Returns the default: `UNAVAILABLE` and no connection, for 10 s.
    pub fn new() -> Self {
        Self::default()
    }

    /// Repeats nothing.
    #[must_use]
    pub fn never() -> Self {
        Self { codes: Vec::new(), ..Self::default() }
    }

    /// Sets which of Google's canonical codes are repeated.
    ///
    /// # Errors
    ///
    /// Fails when one is no code.
    pub fn codes<'a>(mut self, codes: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        self.codes.clear();
        for name in codes {
            let code = Code::try_from(name).map_err(|_| {
                Error::invalid(format!("`{}` is no canonical code", name.escape_debug()))
                    .with_hint("codes are written as `UNAVAILABLE` or `DEADLINE_EXCEEDED`")
            })?;
            self.codes.push(code);
        }
        Ok(self)
    }

    /// Sets the first pause.
    #[must_use]
    pub fn initial(mut self, pause: Duration) -> Self {
        self.initial = pause;
        self
    }

    /// Sets the longest pause.
    #[must_use]
    pub fn maximum(mut self, pause: Duration) -> Self {
        self.maximum = pause;
        self
    }

    /// Sets by how much each pause is longer than the one before; 1 at least, 32 at most.
    #[must_use]
    pub fn multiplier(mut self, factor: f64) -> Self {
        self.multiplier = factor;
        self
    }

    /// Sets after what time in all no attempt is begun any more.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Returns the pause after the `attempt`-th failure, from 1.
    pub(crate) fn pause(&self, attempt: u32) -> Duration {
        let factor = self.multiplier.clamp(1.0, 32.0).powi(i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX));
        Duration::try_from_secs_f64(self.initial.as_secs_f64() * factor).unwrap_or(self.maximum).min(self.maximum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_longest() {
        let retry = EnqueueRetry::new().initial(Duration::from_secs(1)).multiplier(2.0).maximum(Duration::from_secs(5));
        let seconds: Vec<u64> = (1..=5).map(|attempt| retry.pause(attempt).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 5, 5]);
        assert_eq!(retry.pause(u32::MAX).as_secs(), 5);
        assert!(EnqueueRetry::new().codes(["NOT_A_CODE"]).unwrap_err().is_invalid_input());
    }
}
