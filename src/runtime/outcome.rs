//! How a handler ends: done, again, or given up for good.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

/// What a handler returns. An error is tried again, as [`retry`] is; only [`discard`] gives up.
pub type Outcome = std::result::Result<Verdict, Failure>;

/// How a handler ended that did not fail.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is done; the value is what `sync` returns and what systems that read answers see.
    Done(Value),
    /// It shall be tried again, by the rules of its queue or subscription, or after a time.
    Retry {
        /// Why, for the log.
        why: String,
        /// How long to wait at least: a hint to Cloud Tasks; Pub/Sub has no such thing.
        after: Option<Duration>,
    },
    /// It can never work and shall not be tried again.
    Discard(String),
}

/// Ends a handler well.
///
/// ```
/// use redrive::runtime::{Verdict, done};
///
/// assert_eq!(done().unwrap(), Verdict::Done(serde_json::Value::Null));
/// ```
pub fn done() -> Outcome {
    Ok(Verdict::Done(Value::Null))
}

/// Ends a handler well, with a result.
///
/// # Errors
///
/// Fails (and the task is tried again) when `result` cannot be written as JSON.
pub fn done_with(result: impl Serialize) -> Outcome {
    Ok(Verdict::Done(serde_json::to_value(result)?))
}

/// Has the work tried again, without calling it a failure.
pub fn retry(why: impl Into<String>) -> Outcome {
    Ok(Verdict::Retry { why: why.into(), after: None })
}

/// Has the work tried again after `wait`, in whole seconds, by `Retry-After` on a 503: Cloud Tasks considers it, and takes a 503 as a sign to slow the whole queue down
/// (Google's reference of `HttpRequest`). It is for a handler whose resource is not there; where one task alone shall wait, enqueue it again with
/// [`later`](crate::runtime::Task::later) and end [`done`]. Pub/Sub goes by the subscription's back-off.
pub fn retry_after(wait: Duration, why: impl Into<String>) -> Outcome {
    Ok(Verdict::Retry { why: why.into(), after: Some(wait) })
}

/// Gives the work up for good: it can never work. The reason goes to the log.
pub fn discard(why: impl Into<String>) -> Outcome {
    Ok(Verdict::Discard(why.into()))
}

/// An error of a handler: made by `?` of any error, for the log; the caller never sees it.
pub struct Failure(Box<dyn StdError + Send + Sync>);

impl Failure {
    /// Returns the cause.
    pub fn cause(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.0
    }
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Failure {
    /// Writes the error and its causes, with colons between.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_error_becomes_a_failure_with_its_causes() {
        fn fails() -> Outcome {
            "x".parse::<u8>()?;
            done()
        }
        assert_eq!(fails().unwrap_err().to_string(), "invalid digit found in string");
        let from_anyhow = || -> Outcome { Err(Box::<dyn StdError + Send + Sync>::from("no card"))? };
        assert_eq!(from_anyhow().unwrap_err().to_string(), "no card");
        let error = crate::error::Error::invalid("outer").with_source("y".parse::<u8>().unwrap_err());
        assert_eq!(Failure::from(error).to_string(), "outer: invalid digit found in string");
    }
}
