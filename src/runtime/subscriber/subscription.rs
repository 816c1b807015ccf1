//! What a subscriber declares of its subscription.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::model::filter::Filter;
use crate::names::{QueueId, SubscriptionId};
use crate::runtime::subscriber::addressed;

/// Google's limits.
const ACK_DEADLINE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_mins(10));
const BACKOFF_MAX: Duration = Duration::from_mins(10);
const ATTEMPTS: (u32, u32) = (5, 100);
const RETENTION: (Duration, Duration) = (Duration::from_mins(10), Duration::from_hours(31 * 24));

/// Google's default.
const ACK_DEADLINE_DEFAULT: Duration = Duration::from_secs(10);

/// What a subscriber listens to and how that is delivered; `provision` makes the subscription so.
///
/// ```
/// use std::time::Duration;
/// use redrive::runtime::Subscription;
///
/// let billing = Subscription::to("orders")
///     .filter(r#"attributes.kind = "order""#)
///     .ack_deadline(Duration::from_secs(30))
///     .backoff(Duration::from_secs(10), Duration::from_mins(5))
///     .retries(5)
///     .dead_letters("orders-dead");
/// ```
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "settings of a subscription that have nothing to do with each other")]
#[must_use]
pub struct Subscription {
    pub(crate) topic: String,
    pub(crate) own_topic: bool,
    pub(crate) name: Option<SubscriptionId>,
    pub(crate) filter: String,
    pub(crate) ack_deadline: Duration,
    pub(crate) handler_deadline: Option<Duration>,
    pub(crate) backoff: Option<(Duration, Duration)>,
    pub(crate) retries: Option<u32>,
    pub(crate) dead_letters: Option<String>,
    /// The subscription that holds the dead letters, without the app's prefix.
    pub(crate) hold: Option<String>,
    pub(crate) retention: Option<Duration>,
    pub(crate) ordered: bool,
    pub(crate) exactly_once: bool,
    pub(crate) pulled: bool,
    pub(crate) token: bool,
    pub(crate) addressed: bool,
    #[expect(clippy::option_option, reason = "whether it goes by a task, and by which queue where not the app's")]
    pub(crate) via_tasks: Option<Option<QueueId>>,
    pub(crate) concurrent_max: Option<usize>,
}

impl Subscription {
    /// Listens to a topic of this app: named without its prefix.
    pub fn to(topic: impl Into<String>) -> Self {
        Self {
            topic: topic.into(),
            own_topic: true,
            name: None,
            filter: String::new(),
            ack_deadline: ACK_DEADLINE_DEFAULT,
            handler_deadline: None,
            backoff: None,
            retries: None,
            dead_letters: None,
            hold: None,
            retention: None,
            ordered: false,
            exactly_once: false,
            pulled: false,
            token: true,
            addressed: false,
            via_tasks: None,
            concurrent_max: None,
        }
    }

    /// Listens to a topic of another app: by its name as it is, or its full name where it is in another project. Provisioning does not create it.
    pub fn to_foreign(topic: impl Into<String>) -> Self {
        Self { own_topic: false, ..Self::to(topic) }
    }

    /// Sets the subscription's name as it is, without prefix; else it is made of the app's name and the subscriber's.
    pub fn named(mut self, name: SubscriptionId) -> Self {
        self.name = Some(name);
        self
    }

    /// Takes only messages whose attributes fit a filter of Pub/Sub (256 bytes at most; it cannot be changed once the subscription is there).
    pub fn filter(mut self, filter: impl Into<String>) -> Self {
        self.filter = filter.into();
        self
    }

    /// Sets how long a delivery may take before it is made again: 10 s to 600 s, 10 s without this. It is also how long the handler of a pushed message has.
    pub fn ack_deadline(mut self, deadline: Duration) -> Self {
        self.ack_deadline = deadline;
        self
    }

    /// Sets how long the handler may take before it is cut off. Without this it is the ack deadline, for pulled messages the limit of their lease.
    pub fn handler_deadline(mut self, deadline: Duration) -> Self {
        self.handler_deadline = Some(deadline);
        self
    }

    /// Has failed deliveries made again after a growing pause, 0 s to 600 s, instead of at once.
    pub fn backoff(mut self, minimum: Duration, maximum: Duration) -> Self {
        self.backoff = Some((minimum, maximum));
        self
    }

    /// Sets how often a message is delivered before it becomes a dead letter, 5 to 100; needs [`dead_letters`](Self::dead_letters).
    pub fn retries(mut self, attempts: u32) -> Self {
        self.retries = Some(attempts);
        self
    }

    /// Has what fails too often go to a topic of this app. Provisioning creates it, a subscription that holds what is there, and Pub/Sub's own rights to move it.
    pub fn dead_letters(mut self, topic: impl Into<String>) -> Self {
        self.dead_letters = Some(topic.into());
        self
    }

    /// Names the subscription that holds the dead letters, without the app's prefix; else it is `<topic>-hold`, and called as the topic in `django-google-cloud-tasks`.
    pub fn dead_letter_subscription(mut self, name: impl Into<String>) -> Self {
        self.hold = Some(name.into());
        self
    }

    /// Sets how long messages are kept that nobody acknowledges: 10 minutes to 31 days, 7 days without this.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = Some(retention);
        self
    }

    /// Has messages of one ordering key delivered in order (it cannot be changed once the subscription is there).
    pub fn ordered(mut self) -> Self {
        self.ordered = true;
        self
    }

    /// Has Pub/Sub confirm acknowledgements, so that what is acknowledged is not delivered again; only for pulled subscriptions.
    pub fn exactly_once(mut self) -> Self {
        self.exactly_once = true;
        self
    }

    /// Has its messages pulled by [`App::pull`](crate::runtime::App::pull), instead of pushed to the service's endpoint.
    pub fn pulled(mut self) -> Self {
        self.pulled = true;
        self
    }

    /// Has pushes come without an OIDC token: whoever finds the endpoint can call it then, so something else must guard it.
    pub fn without_token(mut self) -> Self {
        self.token = false;
        self
    }

    /// Keeps away, by the filter, messages that were redriven to another subscription of the topic alone. The runtime skips those in any case; this spares their
    /// delivery, and works for receivers in any language.
    pub fn addressed(mut self) -> Self {
        self.addressed = true;
        self
    }

    /// Hands each message to Cloud Tasks and acknowledges it: the work is then a task, with the queue's rates and retries, and up to 29 minutes for an attempt.
    ///
    /// A message that comes twice is one task, known by its id; a bare body has none, so that each is a task of its own. Cloud Tasks remembers ids for up to 24
    /// hours: what is replayed by a seek within that time is acknowledged without work. With [`dead_letters`](Self::dead_letters) the runtime counts the task's
    /// attempts, and publishes what fails too often to that topic, as Pub/Sub would.
    pub fn via_tasks(mut self) -> Self {
        self.via_tasks = Some(None);
        self
    }

    /// As [`via_tasks`](Self::via_tasks), by way of this queue.
    pub fn via_queue(mut self, queue: QueueId) -> Self {
        self.via_tasks = Some(Some(queue));
        self
    }

    /// Limits how many of its messages this process works on at once; what comes beyond is answered with 429 (push), or waits (pull).
    pub fn concurrent(mut self, max: usize) -> Self {
        self.concurrent_max = Some(max);
        self
    }

    /// Returns the filter as the subscription of this short name has it.
    pub(crate) fn whole_filter(&self, subscription: &str) -> Result<String> {
        if self.addressed { addressed::combined(&self.filter, subscription) } else { Ok(self.filter.clone()) }
    }

    /// Checks what can be checked without its names.
    pub(crate) fn check(&self) -> Result<()> {
        let within = |what: &str, value: Duration, (min, max): (Duration, Duration)| {
            if (min..=max).contains(&value) {
                return Ok(());
            }
            Err(Error::invalid(format!("{what} of {} s is not between {} s and {} s", value.as_secs(), min.as_secs(), max.as_secs())))
        };
        within("an ack deadline", self.ack_deadline, ACK_DEADLINE)?;
        if let Some((min, max)) = self.backoff {
            within("a back-off", min, (Duration::ZERO, BACKOFF_MAX))?;
            within("a back-off", max, (min, BACKOFF_MAX))?;
        }
        if let Some(retention) = self.retention {
            within("a retention", retention, RETENTION)?;
        }
        if let Some(attempts) = self.retries {
            let (min, max) = ATTEMPTS;
            if !(min..=max).contains(&attempts) {
                return Err(Error::invalid(format!(
                    "{attempts} deliveries before a message is a dead letter are not between {min} and {max}"
                )));
            }
            if self.dead_letters.is_none() {
                return Err(
                    Error::invalid("a limit of deliveries needs a topic for what exceeds it").with_hint("add `.dead_letters(\"…\")`")
                );
            }
        }
        if self.hold.is_some() && self.dead_letters.is_none() {
            return Err(Error::invalid("a subscription for dead letters needs a topic for them").with_hint("add `.dead_letters(\"…\")`"));
        }
        if self.exactly_once && !self.pulled {
            return Err(Error::invalid("Pub/Sub delivers exactly once only what is pulled")
                .with_hint("add `.pulled()`, or leave `.exactly_once()` out"));
        }
        if !self.filter.is_empty() {
            self.filter.parse::<Filter>()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contradictions_are_said() {
        let to = || Subscription::to("orders");
        let day = Duration::from_hours(24);
        assert!(to().retries(5).dead_letters("dead").backoff(Duration::ZERO, BACKOFF_MAX).retention(day).check().is_ok());
        let wrong = [
            to().ack_deadline(Duration::from_secs(9)),
            to().ack_deadline(Duration::from_secs(601)),
            to().backoff(Duration::from_secs(20), Duration::from_secs(10)),
            to().retention(day * 32),
            to().retries(5),
            to().retries(4).dead_letters("dead"),
            to().exactly_once(),
            to().dead_letter_subscription("held"),
            to().filter("attributes.kind ="),
        ];
        for subscription in wrong {
            assert!(subscription.check().unwrap_err().is_invalid_input(), "{subscription:?}");
        }
    }
}
