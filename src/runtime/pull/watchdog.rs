//! Looks whether messages should come that do not, and whether handlers hold all places. A stream may be silent because there is nothing, or because it is
//! dead; only the backlog tells.

use std::time::{Duration, Instant};

use crate::cloud::Cloud;
use crate::names::SubscriptionName;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// All places are taken, and none comes free.
    Stuck,
    /// Messages wait, and none comes: the stream is opened anew.
    Stalled { backlog: u64 },
}

/// When something last moved, and when that was last looked at.
#[derive(Debug)]
pub(super) struct Watchdog {
    limit: Duration,
    last_message: Instant,
    last_look: Instant,
}

/// What the watchdog is shown: how many messages are under way, whether all places are taken, and for how long no handler has ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) under_way: u64,
    pub(super) is_full: bool,
    pub(super) idle: Duration,
}

impl Watchdog {
    pub(super) fn new(limit: Duration) -> Self {
        let now = Instant::now();
        Self { limit, last_message: now, last_look: now }
    }

    /// Returns when it wants to look next, from now.
    pub(super) fn next_look(&self) -> Duration {
        let since = self.last_message.max(self.last_look).elapsed();
        self.limit.saturating_sub(since)
    }

    /// Notes that a message came.
    pub(super) fn moved(&mut self) {
        self.last_message = Instant::now();
    }

    /// Looks.
    pub(super) async fn look(&mut self, cloud: &Cloud, subscription: &SubscriptionName, seen: Seen) -> Option<Wrong> {
        self.last_look = Instant::now();
        let silent = self.last_message.elapsed();
        if seen.is_full {
            return (seen.idle >= self.limit).then_some(Wrong::Stuck);
        }
        if silent < self.limit {
            return None;
        }
        match cloud.backlog(subscription, silent).await {
            Ok(newest) => judge(newest, silent, seen.under_way),
            Err(error) => {
                tracing::debug!(target: "redrive::runtime", subscription = subscription.id(), %error, "the backlog is not known, so silence is taken for peace");
                None
            }
        }
    }
}

/// A number from before the silence says nothing of it; what handlers have under way counts as undelivered too.
fn judge(newest: Option<(u64, Duration)>, silent: Duration, under_way: u64) -> Option<Wrong> {
    let (backlog, age) = newest?;
    (age < silent && backlog > under_way).then_some(Wrong::Stalled { backlog })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_a_stall_only_where_messages_are_known_to_wait() {
        let minute = Duration::from_mins(1);
        assert_eq!(judge(None, minute, 0), None);
        assert_eq!(judge(Some((0, Duration::ZERO)), minute, 0), None);
        assert_eq!(judge(Some((2, Duration::ZERO)), minute, 2), None, "they are under way");
        assert_eq!(judge(Some((9, minute * 2)), minute, 0), None, "that was before");
        assert_eq!(judge(Some((3, minute / 2)), minute, 2), Some(Wrong::Stalled { backlog: 3 }));
    }
}
