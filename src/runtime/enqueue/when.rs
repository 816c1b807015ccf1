//! When a task is due.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, Zoned};

use crate::error::{Error, Result};

/// A time from now, or a moment.
///
/// ```
/// use std::time::Duration;
/// use redrive::runtime::When;
///
/// let in_an_hour: When = Duration::from_hours(1).into();
/// let at_midnight: When = "2026-12-01T00:00:00Z".parse::<jiff::Timestamp>()?.into();
/// # assert_ne!(in_an_hour, at_midnight);
/// # Ok::<(), jiff::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// After this time.
    After(Duration),
    /// At this moment; one that has passed is now.
    At(Timestamp),
}

impl From<Duration> for When {
    fn from(after: Duration) -> Self {
        Self::After(after)
    }
}

impl From<Timestamp> for When {
    fn from(at: Timestamp) -> Self {
        Self::At(at)
    }
}

impl From<Zoned> for When {
    fn from(at: Zoned) -> Self {
        Self::At(at.timestamp())
    }
}

impl When {
    /// Returns the moment, and refuses one that is more than `max` ahead.
    pub(crate) fn moment(self, now: Timestamp, max: Duration) -> Result<Timestamp> {
        let limit = Error::invalid(format!("a task is due {} s from now at the latest", max.as_secs()))
            .with_hint("Cloud Tasks takes 30 days at most; the app may have a limit of its own (`maximum_eta`)");
        let max = SignedDuration::try_from(max).unwrap_or(SignedDuration::MAX);
        let moment = match self {
            Self::At(moment) => moment,
            Self::After(after) => {
                let after = SignedDuration::try_from(after).ok().filter(|after| *after <= max);
                match after.and_then(|after| now.checked_add(after).ok()) {
                    Some(moment) => moment,
                    None => return Err(limit),
                }
            }
        };
        if moment.duration_since(now) > max { Err(limit) } else { Ok(moment) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_later_than_the_limit() {
        let now = Timestamp::UNIX_EPOCH;
        let max = Duration::from_hours(1);
        assert_eq!(When::After(max).moment(now, max).unwrap().as_second(), 3600);
        assert_eq!(When::At(Timestamp::from_second(-5).unwrap()).moment(now, max).unwrap().as_second(), -5);
        for late in [When::After(Duration::from_secs(3601)), When::After(Duration::MAX), When::At(Timestamp::MAX)] {
            assert!(late.moment(now, max).unwrap_err().is_invalid_input());
        }
    }
}
