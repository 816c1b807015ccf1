//! Which metric of Monitoring fills which field: the one table.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::Timestamp;

use crate::cloud::{Of, TimeSeries};
use crate::model::numbers::{Measured, Numbers, QueueNumbers, Series, Source, SubscriptionNumbers};
use crate::names::{Location, Project, QueueName, SubscriptionName, TopicName};

/// Pushes are counted over this span.
const PUSHES_SPAN: Duration = Duration::from_mins(10);

/// A metric and the field it fills.
pub(super) struct Metric {
    /// Its full name.
    pub(super) name: &'static str,
    /// The service whose resources it describes.
    pub(super) of: Of,
    field: Field,
}

/// The field of a resource that a metric fills, with several series of one resource (by label) added up.
enum Field {
    Subscription(fn(&mut SubscriptionNumbers, Series)),
    /// Each series of a subscription apart: its labels count.
    SubscriptionByLabel(fn(&mut SubscriptionNumbers, &HashMap<String, String>, &Series)),
    Topic,
    Queue(fn(&mut QueueNumbers, Series)),
}

/// Every metric that is read.
pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "pubsub.googleapis.com/subscription/num_undelivered_messages",
        of: Of::PubSub,
        field: Field::Subscription(|numbers, series| {
            numbers.backlog = latest(&series, whole);
            numbers.backlog_series = series;
        }),
    },
    Metric {
        name: "pubsub.googleapis.com/subscription/oldest_unacked_message_age",
        of: Of::PubSub,
        field: Field::Subscription(|numbers, series| numbers.oldest_age = latest(&series, seconds)),
    },
    Metric {
        name: "pubsub.googleapis.com/subscription/backlog_bytes",
        of: Of::PubSub,
        field: Field::Subscription(|numbers, series| numbers.backlog_bytes = latest(&series, whole)),
    },
    Metric {
        name: "pubsub.googleapis.com/subscription/dead_letter_message_count",
        of: Of::PubSub,
        field: Field::Subscription(|numbers, series| numbers.dead_lettered = series),
    },
    Metric {
        name: "pubsub.googleapis.com/subscription/ack_message_count",
        of: Of::PubSub,
        field: Field::Subscription(|numbers, series| numbers.acked = series),
    },
    Metric {
        name: "pubsub.googleapis.com/subscription/push_request_count",
        of: Of::PubSub,
        field: Field::SubscriptionByLabel(count_pushes),
    },
    Metric { name: "pubsub.googleapis.com/topic/send_request_count", of: Of::PubSub, field: Field::Topic },
    Metric {
        name: "cloudtasks.googleapis.com/queue/depth",
        of: Of::Tasks,
        field: Field::Queue(|numbers, series| {
            numbers.depth = latest(&series, whole);
            numbers.depth_series = series;
        }),
    },
];

/// Puts the series of a metric where they belong; those of resources without a valid name are left out.
pub(super) fn put(numbers: &mut Numbers, project: &Project, metric: &Metric, series: Vec<TimeSeries>) {
    match &metric.field {
        Field::Subscription(set) => {
            for (name, series) in by_resource(series, |labels| subscription(project, labels)) {
                set(numbers.subscriptions.entry(name).or_default(), series);
            }
        }
        Field::SubscriptionByLabel(add) => {
            for one in series {
                let Some(name) = subscription(project, &one.resource) else { continue };
                add(numbers.subscriptions.entry(name).or_default(), &one.labels, &Series { points: one.points });
            }
        }
        Field::Topic => {
            let accepted =
                series.into_iter().filter(|one| one.labels.get("response_class").is_none_or(|class| class == "success")).collect();
            numbers.topics.extend(by_resource(accepted, |labels| topic(project, labels)));
        }
        Field::Queue(set) => {
            for (name, series) in by_resource(series, |labels| queue(project, labels)) {
                set(numbers.queues.entry(name).or_default(), series);
            }
        }
    }
}

/// Adds up the series of each resource, point by point.
fn by_resource<N: Ord>(series: Vec<TimeSeries>, name: impl Fn(&HashMap<String, String>) -> Option<N>) -> BTreeMap<N, Series> {
    let mut sums: BTreeMap<N, BTreeMap<Timestamp, f64>> = BTreeMap::new();
    for one in series {
        let Some(name) = name(&one.resource) else { continue };
        let sum = sums.entry(name).or_default();
        for (time, value) in one.points {
            *sum.entry(time).or_default() += value;
        }
    }
    sums.into_iter().map(|(name, points)| (name, Series { points: points.into_iter().collect() })).collect()
}

fn subscription(project: &Project, labels: &HashMap<String, String>) -> Option<SubscriptionName> {
    SubscriptionName::parse_in(labels.get("subscription_id")?, project).ok()
}

fn topic(project: &Project, labels: &HashMap<String, String>) -> Option<TopicName> {
    TopicName::parse_in(labels.get("topic_id")?, project).ok()
}

fn queue(project: &Project, labels: &HashMap<String, String>) -> Option<QueueName> {
    let location = Location::new(project.clone(), labels.get("location")?.parse().ok()?);
    QueueName::parse_in(labels.get("queue_id")?, &location).ok()
}

fn count_pushes(numbers: &mut SubscriptionNumbers, labels: &HashMap<String, String>, series: &Series) {
    let Some(answer) = labels.get("response_code").or_else(|| labels.get("response_class")) else { return };
    let Some(per_minute) = series.sum_per_minute(PUSHES_SPAN) else { return };
    let count = to_whole(per_minute * PUSHES_SPAN.as_secs_f64() / 60.0);
    match numbers.pushes.iter_mut().find(|(known, _)| known == answer) {
        Some((_, sum)) => *sum += count,
        None => numbers.pushes.push((answer.clone(), count)),
    }
    numbers.pushes.sort_by(|(a, many), (b, more)| more.cmp(many).then_with(|| a.cmp(b)));
}

fn latest<T>(series: &Series, convert: fn(f64) -> T) -> Option<Measured<T>> {
    series.latest().map(|(as_of, value)| Measured { value: convert(value), source: Source::Monitoring, as_of })
}

fn whole(value: f64) -> u64 {
    to_whole(value)
}

fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value.max(0.0)).unwrap_or_default()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates, and counts are not negative")]
fn to_whole(value: f64) -> u64 {
    value.max(0.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(resource: &[(&str, &str)], labels: &[(&str, &str)], points: &[(i64, f64)]) -> TimeSeries {
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        let points = points.iter().map(|&(minute, value)| (Timestamp::from_second(minute * 60).unwrap(), value)).collect();
        TimeSeries { resource: map(resource), labels: map(labels), points }
    }

    fn gathered(metric: &str, series: Vec<TimeSeries>) -> Numbers {
        let mut numbers = Numbers::default();
        let metric = METRICS.iter().find(|known| known.name.ends_with(metric)).unwrap();
        put(&mut numbers, &"projects/p".parse().unwrap(), metric, series);
        numbers
    }

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    const ORDERS: &[(&str, &str)] = &[("project_id", "p"), ("subscription_id", "orders")];

    #[test]
    fn gauges_keep_the_newest_and_the_series() {
        let numbers = gathered("num_undelivered_messages", vec![series(ORDERS, &[], &[(1, 5.0), (2, 1204.0)])]);
        let orders = &numbers.subscriptions[&"projects/p/subscriptions/orders".parse().unwrap()];
        assert_eq!(orders.backlog, Some(Measured { value: 1204, source: Source::Monitoring, as_of: at(2) }));
        assert_eq!(orders.backlog_series.points, [(at(1), 5.0), (at(2), 1204.0)]);
        assert_eq!(orders.oldest_age, None);
        let numbers = gathered("oldest_unacked_message_age", vec![series(ORDERS, &[], &[(2, 90.5)])]);
        let orders = &numbers.subscriptions[&"projects/p/subscriptions/orders".parse().unwrap()];
        assert_eq!(orders.oldest_age.unwrap().value, Duration::from_millis(90_500));
    }

    #[test]
    fn labels_are_added_up_or_told_apart() {
        let by = |label, points| series(ORDERS, &[("delivery_type", label)], points);
        let numbers = gathered("ack_message_count", vec![by("pull", &[(1, 2.0), (2, 3.0)]), by("push", &[(2, 4.0), (3, 1.0)])]);
        let orders = &numbers.subscriptions[&"projects/p/subscriptions/orders".parse().unwrap()];
        assert_eq!(orders.acked.points, [(at(1), 2.0), (at(2), 7.0), (at(3), 1.0)]);
        let by = |code, points| series(ORDERS, &[("response_code", code), ("response_class", "x")], points);
        let numbers =
            gathered("push_request_count", vec![by("200", &[(9, 4.0), (10, 5.0)]), by("503", &[(10, 30.0)]), by("200", &[(10, 1.0)])]);
        let orders = &numbers.subscriptions[&"projects/p/subscriptions/orders".parse().unwrap()];
        assert_eq!(orders.pushes, [("503".to_owned(), 30), ("200".to_owned(), 10)]);
    }

    #[test]
    fn queues_have_locations_and_topics_count_successes() {
        let resource = [("resource_container", "p"), ("location", "europe-west1"), ("queue_id", "emails")];
        let numbers = gathered("queue/depth", vec![series(&resource, &[], &[(1, 312.0)]), series(&resource[..1], &[], &[(1, 1.0)])]);
        let emails = &numbers.queues[&"projects/p/locations/europe-west1/queues/emails".parse().unwrap()];
        assert_eq!((numbers.queues.len(), emails.depth.unwrap().value), (1, 312));
        let topic = [("topic_id", "orders")];
        let by = |class, value| series(&topic, &[("response_class", class)], &[(1, value)]);
        let numbers = gathered("topic/send_request_count", vec![by("success", 7.0), by("invalid", 2.0)]);
        assert_eq!(numbers.topics[&"projects/p/topics/orders".parse().unwrap()].points, [(at(1), 7.0)]);
    }

    #[test]
    fn names_that_are_none_are_left_out() {
        let odd = [("subscription_id", "no/slash\u{1b}")];
        assert!(gathered("backlog_bytes", vec![series(&odd, &[], &[(1, 1.0)]), series(&[], &[], &[(1, 1.0)])]).subscriptions.is_empty());
    }
}
