//! The metrics that are served: their names, kinds and labels as Google documents them, and how each is read off the state.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::emulator::state::State;
use crate::emulator::state::pubsub::NO_ANSWER;
use crate::emulator::state::target::code_name;
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

/// Reads all series off the state.
pub(super) fn read(state: &State) -> Vec<(Key, Reading)> {
    let mut readings = Vec::new();
    let mut add = |metric, resource: &str, label: String, reading| {
        readings.push((Key { metric, resource: resource.to_owned(), label }, reading));
    };
    for (name, stats) in state.pubsub.subscription_stats() {
        let counters = stats.counters;
        add(UNDELIVERED, name, String::new(), value(stats.undelivered));
        add(OLDEST_AGE, name, String::new(), Reading::Since(stats.oldest_unacked));
        add(BACKLOG_BYTES, name, String::new(), value(stats.backlog_bytes));
        for (metric, count) in
            [(DEAD_LETTERED, counters.dead_lettered), (ACKED, counters.acked), (SENT, counters.sent), (EXPIRED, counters.expired)]
        {
            add(metric, name, String::new(), value(count));
        }
        for (&code, &count) in &counters.push_requests {
            let code = if code == NO_ANSWER { "unreachable".to_owned() } else { code.to_string() };
            add(PUSH_REQUESTS, name, code, value(count));
        }
    }
    for (name, stats) in state.pubsub.topic_stats() {
        add(SEND_REQUESTS, name, String::new(), value(stats.publish_requests));
    }
    for queue in state.tasks.queues() {
        let name = queue.name.to_string();
        add(DEPTH, &name, String::new(), value(queue.depth() as u64));
        for (&code, &count) in queue.samples.attempts() {
            add(ATTEMPTS, &name, code_name(code).to_lowercase(), value(count));
        }
    }
    readings
}

fn value(count: u64) -> Reading {
    Reading::Value(i64::try_from(count).unwrap_or(i64::MAX))
}
