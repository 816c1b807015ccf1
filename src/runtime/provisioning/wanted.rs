//! From the registry to what there shall be.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::names::{QueueName, SubscriptionName, TopicName};
use crate::provision::{DeadLetterPolicy, Desired, HOLD_SUFFIX, Push, Queue, Subscription, Wrapping};
use crate::runtime::dead_set::dead_set_of;
use crate::runtime::registry::TaskEntry;
use crate::runtime::subscriber::SubscriberEntry;
use crate::runtime::{App, Compat};

/// Names of the runtime's own tasks begin so.
const OWN_TASKS: &str = "redrive.";
/// Dead letters wait for people: as long as Pub/Sub keeps anything.
const HOLD_RETENTION: Duration = Duration::from_hours(31 * 24);
/// Google's default.
const ACK_DEADLINE_DEFAULT: Duration = Duration::from_secs(10);
/// What tasks over Pub/Sub have, in the format that has such.
const TASK_ACK_DEADLINE: Duration = Duration::from_mins(5);
const TASK_BACKOFF: (Duration, Duration) = (Duration::from_secs(10), Duration::from_mins(10));
/// The longest value of a label.
const LABEL_CHARS_MAX: usize = 63;

impl<S: Send + Sync + 'static> App<S> {
    /// Returns all that this app needs.
    pub(crate) fn wanted(&self) -> Result<Desired> {
        let prefix = self.layout().prefix();
        let mut wanted = Desired {
            owner: label_of(&prefix),
            prefix,
            url: self.layout().url(""),
            location: self.location(),
            project_number: self.config().provisioning.project_number.clone(),
            topics: Vec::new(),
            subscriptions: Vec::new(),
            queues: Vec::new(),
            jobs: Vec::new(),
            warnings: Vec::new(),
        };
        for topic in &self.config().provisioning.topics {
            wanted.topics.push(self.topic_name(&self.layout().topic(topic))?);
        }
        for entry in self.registry().subscribers() {
            self.want_subscription(entry, &mut wanted).map_err(|error| error.context(format!("subscriber `{}`", entry.name)))?;
        }
        if self.config().compat == Compat::SingleEndpoint {
            self.want_task_topics(&mut wanted)?;
        } else {
            self.want_queues(&mut wanted)?;
        }
        wanted.jobs = self.registry().periodic().map(|entry| self.job(entry)).collect::<Result<_>>()?;
        let mut seen = std::collections::BTreeSet::new();
        wanted.topics.retain(|topic| seen.insert(topic.clone()));
        unique(&wanted.subscriptions)?;
        Ok(wanted)
    }

    fn want_subscription(&self, entry: &SubscriberEntry<S>, wanted: &mut Desired) -> Result<()> {
        let (name, topic) = (self.subscription_name(entry)?, self.subscribed_topic(entry)?);
        if entry.options.own_topic {
            wanted.topics.push(topic.clone());
        }
        let dead_letters = match &entry.options.dead_letters {
            Some(topic) => Some(DeadLetterPolicy {
                topic: self.want_dead_letters(topic, entry.options.hold.as_deref(), wanted)?,
                attempts_max: entry.attempts_max().unwrap_or_default(),
            }),
            None => None,
        };
        let path = self.layout().subscription_path(entry.name);
        let is_bare = self.config().push.unwrapped.contains(entry.name);
        // With metadata, for those who can choose: without, a message has no id.
        let wrapping = if is_bare { Wrapping::WithMetadata } else { Wrapping::Wrapped };
        let push = (!entry.options.pulled).then(|| Push { wrapping, ..self.push_to(&path, entry.options.token) });
        let filter = entry.options.whole_filter(name.id())?;
        let subscription = Subscription {
            push,
            ack_deadline: entry.options.ack_deadline,
            filter,
            ordered: entry.options.ordered,
            exactly_once: entry.options.exactly_once,
            backoff: entry.options.backoff,
            dead_letters,
            retention: entry.options.retention,
            ..plain(name, topic)
        };
        wanted.subscriptions.push(subscription);
        Ok(())
    }

    /// A dead-letter topic without a subscription loses what is sent there.
    fn want_dead_letters(&self, topic: &str, hold: Option<&str>, wanted: &mut Desired) -> Result<TopicName> {
        let topic = self.dead_letter_topic(topic)?;
        let id = match hold {
            Some(name) => format!("{}{name}", self.layout().prefix()),
            None if self.config().compat == Compat::DjangoGoogleCloudTasks => topic.id().to_owned(),
            None => format!("{}{HOLD_SUFFIX}", topic.id()),
        };
        let name = SubscriptionName::new(self.cloud().project().clone(), id.parse()?);
        wanted.topics.push(topic.clone());
        // Several subscribers may give up to the same topic.
        if !wanted.subscriptions.iter().any(|subscription| subscription.name == name) {
            wanted.subscriptions.push(Subscription { retention: Some(HOLD_RETENTION), holds: true, ..plain(name, topic.clone()) });
        }
        Ok(topic)
    }

    fn push_to(&self, path: &str, with_token: bool) -> Push {
        let account = self.host().account.clone().filter(|_| with_token);
        let token = account.map(|account| (account, self.layout().audience(path).into_owned()));
        Push { endpoint: self.layout().url(path), token, wrapping: Wrapping::Wrapped }
    }

    fn own_tasks(&self) -> impl Iterator<Item = &TaskEntry<S>> {
        self.registry().tasks().filter(|entry| !entry.name.starts_with(OWN_TASKS))
    }

    /// Tasks over Pub/Sub: a topic for each, whose subscription pushes to the one endpoint.
    fn want_task_topics(&self, wanted: &mut Desired) -> Result<()> {
        for entry in self.own_tasks() {
            let (topic, subscription) = self.layout().task_topic(entry.name);
            let topic = self.topic_name(&topic)?;
            let name = SubscriptionName::new(self.cloud().project().clone(), subscription.parse()?);
            wanted.topics.push(topic.clone());
            let push = Some(self.push_to(&self.layout().task_path(entry.name), true));
            let deadline = entry.options.handler_deadline.unwrap_or(TASK_ACK_DEADLINE);
            let ack_deadline = deadline.clamp(ACK_DEADLINE_DEFAULT, Duration::from_mins(10));
            wanted.subscriptions.push(Subscription { push, ack_deadline, backoff: Some(TASK_BACKOFF), ..plain(name, topic) });
        }
        Ok(())
    }

    fn want_queues(&self, wanted: &mut Desired) -> Result<()> {
        let mut queues: BTreeMap<QueueName, Needs> = BTreeMap::new();
        for entry in self.own_tasks() {
            let priorities = entry.options.priorities.iter().map(|(priority, _)| *priority);
            // Whatever priority has no queue of its own gets the task's usual one.
            let unusual = (i32::MIN..=i32::MAX).find(|priority| entry.options.priorities.iter().all(|(of, _)| of != priority));
            for priority in priorities.chain(unusual) {
                let needs = queues.entry(self.queue_of(&entry.options, priority)?).or_default();
                needs.dead_set |= entry.options.dead_set;
                if !entry.options.dead_set {
                    let name = entry.name;
                    needs.without.get_or_insert_with(|| {
                        format!("`{name}` has none and would be tried for ever: give that one `.dead_set(…)` or a queue of its own")
                    });
                }
            }
        }
        for entry in self.registry().subscribers() {
            let Some(queue) = &entry.options.via_tasks else { continue };
            let queue = match queue {
                Some(queue) => self.queue_name(queue),
                None => self.queue_name(&self.layout().queue().parse()?),
            };
            let needs = queues.entry(queue).or_default();
            needs.attempts_min = needs.attempts_min.max(entry.attempts_max());
            if entry.attempts_max().is_none() {
                let name = entry.name;
                needs.without.get_or_insert_with(|| {
                    format!(
                        "messages that `{name}` hands to it have no limit and would be tried for ever: give that one `.dead_letters(…)` or a queue of its own (`.via_queue(…)`)"
                    )
                });
            }
        }
        if self.registry().publishes_by_tasks() {
            let needs = queues.entry(self.queue_name(&self.layout().queue().parse()?)).or_default();
            let words = "messages published by tasks go through it and would be tried for ever: give the tasks with a dead set a queue of their own";
            needs.without.get_or_insert_with(|| words.to_owned());
        }
        for (name, Needs { dead_set, without, attempts_min }) in queues {
            if let (true, Some(without)) = (dead_set, without) {
                let words = format!("its attempts are endless, for it has a dead set; {without}");
                wanted.warnings.push(("queue", name.id().to_owned(), words));
            }
            if dead_set {
                wanted.queues.push(Queue { name: dead_set_of(&name)?, endless: true, paused: true, attempts_min: None });
            }
            wanted.queues.push(Queue { name, endless: dead_set, paused: false, attempts_min });
        }
        wanted.queues.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(())
    }
}

/// What the tasks of one queue need of it.
#[derive(Default)]
struct Needs {
    /// Whether one of them has a dead set.
    dead_set: bool,
    /// What would be tried in it without end, and what helps.
    without: Option<String>,
    /// How many attempts the runtime counts to, for messages that were handed over.
    attempts_min: Option<u32>,
}

/// A subscription without anything special, that never expires.
fn plain(name: SubscriptionName, topic: TopicName) -> Subscription {
    Subscription {
        name,
        topic: Some(topic),
        push: None,
        ack_deadline: ACK_DEADLINE_DEFAULT,
        filter: String::new(),
        ordered: false,
        exactly_once: false,
        backoff: None,
        dead_letters: None,
        retention: None,
        expires: None,
        holds: false,
    }
}

/// Two subscribers of one subscription would take each other's messages.
fn unique(subscriptions: &[Subscription]) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    match subscriptions.iter().find(|subscription| !seen.insert(&subscription.name)) {
        None => Ok(()),
        Some(twice) => Err(Error::invalid(format!("two subscribers have the subscription `{}`", twice.name.id()))
            .with_hint("give one of them another name with `.named(…)`")),
    }
}

/// A prefix as the value of a label: small letters, digits, `-` and `_`.
fn label_of(prefix: &str) -> String {
    let plain: String = prefix.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_lowercase() } else { '-' }).collect();
    let plain = plain.trim_matches('-');
    if plain.is_empty() { "unnamed".to_owned() } else { plain.chars().take(LABEL_CHARS_MAX).collect() }
}

#[cfg(test)]
mod tests {
    use super::label_of;

    #[test]
    fn a_prefix_is_a_label() {
        assert_eq!(label_of("prod--Shop.EU--"), "prod--shop-eu");
        assert_eq!(label_of(""), "unnamed");
        assert_eq!(label_of(&"x".repeat(99)).len(), 63);
    }
}
