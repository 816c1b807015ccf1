//! The one error of this crate: opaque, with predicates and a hint.

use std::error::Error as StdError;
use std::fmt;

/// What went wrong, in words for the person who has to act, with the cause kept for the log.
///
/// It displays as one line without a full stop; [`Error::hint`] says what to do about it, where something can be said.
///
/// ```
/// use redrive::error::{Error, Kind};
///
/// let error = Error::new(Kind::NotFound, "queue `emails` does not exist").with_hint("list queues with `redrive queues list`");
/// assert!(error.is_not_found());
/// assert_eq!(error.to_string(), "queue `emails` does not exist");
/// assert_eq!(error.hint(), Some("list queues with `redrive queues list`"));
/// ```
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    message: String,
    hint: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The broad classes of failure; callers branch on the predicates of [`Error`], tests on this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The input cannot be right, whatever the state of the world: a malformed name, a wrong option.
    InvalidInput,
    /// The resource does not exist.
    NotFound,
    /// A resource of this name exists, or existed until recently.
    AlreadyExists,
    /// The resource is not in a state that allows it.
    FailedPrecondition,
    /// No credentials, or none that are accepted.
    Unauthenticated,
    /// The identity may not do this.
    PermissionDenied,
    /// The Google API is not enabled in the project.
    ApiDisabled,
    /// A quota or limit is used up.
    Exhausted,
    /// No connection could be made, or the service is down for the moment.
    Unavailable,
    /// No answer in time; it may or may not have happened.
    Timeout,
    /// The server does not offer this call.
    Unsupported,
    /// A guard rail of the user's own configuration refuses it.
    Refused,
    /// The operator or a newer request stopped it.
    Cancelled,
    /// The local disk, terminal or another resource of this machine failed.
    Io,
    /// A defect: something that should not happen did.
    Internal,
}

impl Error {
    /// Makes an error; `message` starts in lower case, has no full stop and puts literals in backticks.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), hint: None, source: None }))
    }

    /// Makes an [`Kind::InvalidInput`] error.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidInput, message)
    }

    /// Adds what to do about it, best the very command that helps.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds the cause, for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Puts `context` and a colon before the message.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.0.message = format!("{context}: {}", self.0.message);
        self
    }

    /// Returns the class of failure.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Returns what to do about it, where something can be said.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Tells whether the resource does not exist.
    pub fn is_not_found(&self) -> bool {
        self.kind() == Kind::NotFound
    }

    /// Tells whether the name is taken.
    pub fn is_already_exists(&self) -> bool {
        self.kind() == Kind::AlreadyExists
    }

    /// Tells whether the input itself is at fault (exit code 2 of the command line).
    pub fn is_invalid_input(&self) -> bool {
        self.kind() == Kind::InvalidInput
    }

    /// Tells whether a guard rail refused (exit code 4 of the command line).
    pub fn is_refused(&self) -> bool {
        self.kind() == Kind::Refused
    }

    /// Tells whether identity or rights are the problem: credentials, permission, or an API that is off.
    pub fn is_access(&self) -> bool {
        matches!(self.kind(), Kind::Unauthenticated | Kind::PermissionDenied | Kind::ApiDisabled)
    }

    /// Tells whether the same call may work later: no connection, time-out or quota.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind(), Kind::Unavailable | Kind::Timeout | Kind::Exhausted)
    }

    /// Tells whether the call may have taken effect although it failed.
    pub fn is_ambiguous(&self) -> bool {
        matches!(self.kind(), Kind::Unavailable | Kind::Timeout | Kind::Cancelled | Kind::Internal)
    }

    /// Tells whether the server does not offer this call.
    pub fn is_unsupported(&self) -> bool {
        self.kind() == Kind::Unsupported
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<std::io::Error> for Error {
    fn from(source: std::io::Error) -> Self {
        Self::new(Kind::Io, source.to_string()).with_source(source)
    }
}
