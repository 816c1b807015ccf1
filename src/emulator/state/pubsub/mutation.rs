//! Ten deliberate defects, for the test that shows that the random exploration would find them. Outside of tests none can be switched on, and
//! the compiler takes them out.

/// What goes wrong; see where it is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mutation {
    /// An acknowledgement has no effect.
    AckForgotten,
    /// A message whose lease ends is lost.
    ExpiredLost,
    /// A refusal does not count as an attempt.
    AttemptNotCounted,
    /// One delivery too many before a message goes to the dead letters.
    DeadLetterLate,
    /// The back-off grows a step too early.
    BackoffTooLong,
    /// The id of an earlier delivery still acknowledges.
    StaleAckTaken,
    /// A key goes on while a batch of it is out.
    KeyOvertakes,
    /// What was leased of a key after a refused message stays leased.
    BatchNotCalledBack,
    /// A lease ends when it would have without its extension.
    ExtensionForgotten,
    /// What a stream has settled still counts against its limits.
    RoomNotFreed,
}

#[cfg(test)]
pub(super) const ALL: [Mutation; 10] = [
    Mutation::AckForgotten,
    Mutation::ExpiredLost,
    Mutation::AttemptNotCounted,
    Mutation::DeadLetterLate,
    Mutation::BackoffTooLong,
    Mutation::StaleAckTaken,
    Mutation::KeyOvertakes,
    Mutation::BatchNotCalledBack,
    Mutation::ExtensionForgotten,
    Mutation::RoomNotFreed,
];

#[cfg(test)]
thread_local! {
    static ACTIVE: std::cell::Cell<Option<Mutation>> = const { std::cell::Cell::new(None) };
}

/// Tells whether this defect is switched on.
#[cfg(test)]
pub(super) fn strikes(mutation: Mutation) -> bool {
    ACTIVE.get() == Some(mutation)
}

/// Tells whether this defect is switched on: never, outside of tests.
#[cfg(not(test))]
pub(super) const fn strikes(_mutation: Mutation) -> bool {
    false
}

/// Does something with a defect switched on, in this thread.
#[cfg(test)]
pub(super) fn with<T>(mutation: Mutation, work: impl FnOnce() -> T) -> T {
    ACTIVE.set(Some(mutation));
    let result = work();
    ACTIVE.set(None);
    result
}
