//! The metrics that are served: their names, kinds and labels as Google documents them, and how each is read off the state.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::emulator::state::pubsub::{NO_ANSWER, SubscriptionStats, TopicStats};
use crate::emulator::state::target::code_name;
use crate::emulator::state::tasks::Queue;
use crate::emulator::state::{State, Touched};
use crate::names::{QueueName, SubscriptionName, TopicName};

/// A metric as documented.
#[derive(Debug)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) unit: &'static str,
    pub(crate) resource: Resource,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Gauge,
    Delta,
}

/// What a metric measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource {
    Subscription,
    Topic,
    Queue,
}

/// What a series shows at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    Value(i64),
    /// The time since then, in seconds; none is 0. Kept as the moment, which rests while the age grows.
    Since(Option<Timestamp>),
}

/// Which series: a metric of a resource (its full name), and the value of the label that tells its series apart, if it has one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) metric: usize,
    pub(super) resource: String,
    pub(super) label: String,
}

const fn metric(name: &'static str, kind: Kind, unit: &'static str, resource: Resource) -> Metric {
    Metric { name, kind, unit, resource }
}

const UNDELIVERED: usize = 0;
const OLDEST_AGE: usize = 1;
const BACKLOG_BYTES: usize = 2;
const DEAD_LETTERED: usize = 3;
const PUSH_REQUESTS: usize = 4;
const ACKED: usize = 5;
const SENT: usize = 6;
const EXPIRED: usize = 7;
const SEND_REQUESTS: usize = 8;
const DEPTH: usize = 9;
const ATTEMPTS: usize = 10;

/// All metrics; the constants above are their places.
pub(super) static METRICS: [Metric; 11] = [
    metric("pubsub.googleapis.com/subscription/num_undelivered_messages", Kind::Gauge, "1", Resource::Subscription),
    metric("pubsub.googleapis.com/subscription/oldest_unacked_message_age", Kind::Gauge, "s", Resource::Subscription),
    metric("pubsub.googleapis.com/subscription/backlog_bytes", Kind::Gauge, "By", Resource::Subscription),
    metric("pubsub.googleapis.com/subscription/dead_letter_message_count", Kind::Delta, "1", Resource::Subscription),
    metric("pubsub.googleapis.com/subscription/push_request_count", Kind::Delta, "1", Resource::Subscription),
    metric("pubsub.googleapis.com/subscription/ack_message_count", Kind::Delta, "1", Resource::Subscription),
    metric("pubsub.googleapis.com/subscription/sent_message_count", Kind::Delta, "1", Resource::Subscription),
    metric("pubsub.googleapis.com/subscription/expired_ack_deadlines_count", Kind::Delta, "1", Resource::Subscription),
    metric("pubsub.googleapis.com/topic/send_request_count", Kind::Delta, "1", Resource::Topic),
    metric("cloudtasks.googleapis.com/queue/depth", Kind::Gauge, "1", Resource::Queue),
    metric("cloudtasks.googleapis.com/queue/task_attempt_count", Kind::Delta, "1", Resource::Queue),
];

impl Resource {
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Subscription => "pubsub_subscription",
            Self::Topic => "pubsub_topic",
            Self::Queue => "cloud_tasks_queue",
        }
    }

    /// The labels of the resource with this full name.
    pub(super) fn labels(self, name: &str) -> BTreeMap<&'static str, String> {
        match self {
            Self::Subscription => name.parse().map(|name: SubscriptionName| {
                BTreeMap::from([("project_id", name.project().id().to_owned()), ("subscription_id", name.id().to_owned())])
            }),
            Self::Topic => name.parse().map(|name: TopicName| {
                BTreeMap::from([("project_id", name.project().id().to_owned()), ("topic_id", name.id().to_owned())])
            }),
            Self::Queue => name.parse().map(|name: QueueName| {
                let location = name.location();
                BTreeMap::from([
                    ("project_id", location.project().id().to_owned()),
                    ("location", location.id().to_owned()),
                    ("queue_id", name.id().to_owned()),
                    ("target_type", "http".to_owned()),
                ])
            }),
        }
        .unwrap_or_default()
    }
}

/// The labels of a series of metric number `metric` whose own label is `label`.
pub(super) fn labels(metric: usize, label: &str) -> BTreeMap<&'static str, String> {
    match metric {
        PUSH_REQUESTS => BTreeMap::from([
            ("delivery_type", "push".to_owned()),
            ("response_class", class(label).to_owned()),
            ("response_code", label.to_owned()),
        ]),
        SEND_REQUESTS => BTreeMap::from([("response_class", "success".to_owned()), ("response_code", "success".to_owned())]),
        ATTEMPTS => BTreeMap::from([("response_code", label.to_owned())]),
        _ => BTreeMap::new(),
    }
}

/// The class of a push's response code.
fn class(code: &str) -> &'static str {
    match code {
        "102" | "200" | "201" | "202" | "204" => "ack",
        "unreachable" => "unreachable",
        _ if code.starts_with('4') => "remote_server_4xx",
        _ if code.starts_with('5') => "remote_server_5xx",
        _ => "invalid",
    }
}

/// What is read of one resource: its kind, its full name, and its series; none when it is gone.
pub(super) type Readings = (Resource, String, Vec<(Key, Reading)>);

/// Reads what is in the state of these resources, or of all.
pub(super) fn read(state: &State, touched: &Touched) -> Vec<Readings> {
    match touched {
        Touched::These(names) => names.iter().filter_map(|name| read_one(state, name)).collect(),
        Touched::Everything => {
            let subscriptions = state.pubsub.subscription_stats().map(|(name, stats)| subscription(name, Some(stats)));
            let topics = state.pubsub.topic_stats().map(|(name, stats)| topic(name, Some(stats)));
            let queues = state.tasks.queues().map(|found| queue(&found.name.to_string(), Some(found)));
            subscriptions.chain(topics).chain(queues).collect()
        }
    }
}

fn read_one(state: &State, name: &str) -> Option<Readings> {
    // `projects/P/topics/T`, `projects/P/subscriptions/S`, `projects/P/locations/L/queues/Q`.
    Some(match name.split('/').nth(2)? {
        "subscriptions" => subscription(name, state.pubsub.stats_of_subscription(name)),
        "topics" => topic(name, state.pubsub.stats_of_topic(name)),
        _ => queue(name, state.tasks.queue_of_name(name)),
    })
}

fn subscription(name: &str, stats: Option<SubscriptionStats<'_>>) -> Readings {
    let mut of = Of::new(name);
    if let Some(stats) = stats {
        let counters = stats.counters;
        of.add(UNDELIVERED, String::new(), value(stats.undelivered));
        of.add(OLDEST_AGE, String::new(), Reading::Since(stats.oldest_unacked));
        of.add(BACKLOG_BYTES, String::new(), value(stats.backlog_bytes));
        for (metric, count) in
            [(DEAD_LETTERED, counters.dead_lettered), (ACKED, counters.acked), (SENT, counters.sent), (EXPIRED, counters.expired)]
        {
            of.add(metric, String::new(), value(count));
        }
        for (&code, &count) in &counters.push_requests {
            let code = if code == NO_ANSWER { "unreachable".to_owned() } else { code.to_string() };
            of.add(PUSH_REQUESTS, code, value(count));
        }
    }
    (Resource::Subscription, name.to_owned(), of.readings)
}

fn topic(name: &str, stats: Option<TopicStats>) -> Readings {
    let mut of = Of::new(name);
    if let Some(stats) = stats {
        of.add(SEND_REQUESTS, String::new(), value(stats.publish_requests));
    }
    (Resource::Topic, name.to_owned(), of.readings)
}

fn queue(name: &str, queue: Option<&Queue>) -> Readings {
    let mut of = Of::new(name);
    if let Some(queue) = queue {
        of.add(DEPTH, String::new(), value(queue.depth() as u64));
        for (&code, &count) in queue.samples.attempts() {
            of.add(ATTEMPTS, code_name(code).to_lowercase(), value(count));
        }
    }
    (Resource::Queue, name.to_owned(), of.readings)
}

/// The series of a resource.
struct Of<'a> {
    name: &'a str,
    readings: Vec<(Key, Reading)>,
}

impl<'a> Of<'a> {
    fn new(name: &'a str) -> Self {
        Self { name, readings: Vec::new() }
    }

    fn add(&mut self, metric: usize, label: String, reading: Reading) {
        self.readings.push((Key { metric, resource: self.name.to_owned(), label }, reading));
    }
}

fn value(count: u64) -> Reading {
    Reading::Value(i64::try_from(count).unwrap_or(i64::MAX))
}
