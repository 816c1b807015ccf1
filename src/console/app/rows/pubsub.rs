//! Rows of topics, subscriptions and dead-letter relations.

use jiff::Timestamp;

use super::{OLD, RATE_SPAN};
use crate::console::app::row::{Column, Row};
use crate::console::app::value::{Value, short};
use crate::console::theme::{Role, State};
use crate::model::dead_letter::{Broken, DeadLetterRelation};
use crate::model::numbers::{Numbers, Series, Source, SubscriptionNumbers};
use crate::model::subscription::{Delivery, Subscription};
use crate::model::topic::Topic;

/// A topic with the names of its subscriptions.
pub(crate) struct TopicRow {
    key: String,
    /// The topic.
    pub(crate) topic: Topic,
    subscriptions: Option<Vec<String>>,
    published: Option<Series>,
    as_of: Option<Timestamp>,
}

impl TopicRow {
    /// Makes the row of a topic; `subscriptions` are all of the project, where they are known.
    pub(crate) fn new(topic: Topic, subscriptions: Option<&[Subscription]>, numbers: Option<&Numbers>) -> Self {
        let names = subscriptions.map(|all| {
            let own = all.iter().filter(|s| s.topic.as_ref() == Some(&topic.name));
            own.map(|s| s.name.id().to_owned()).collect()
        });
        let published = numbers.and_then(|numbers| numbers.topics.get(&topic.name)).cloned();
        let as_of = published.as_ref().and_then(Series::latest).map(|(time, _)| time);
        Self { key: topic.name.to_string(), topic, subscriptions: names, published, as_of }
    }
}

impl Row for TopicRow {
    const COLUMNS: &'static [Column] = &[
        Column::text("topic", "topic", 48, 0),
        Column::number("subs", "subs", 6, 0),
        Column::number("published", "published/min", 13, 1),
        Column::text("trend", "trend", 12, 3),
        Column::text("retention", "retention", 10, 4),
        Column::text("schema", "schema", 24, 5),
        Column::text("subscriptions", "subscriptions", Column::FILL, 2),
    ];

    fn key(&self) -> &str {
        &self.key
    }

    fn value(&self, column: usize) -> Value<'_> {
        match column {
            0 => Value::text(self.topic.name.id()),
            1 => Value::count(self.subscriptions.as_ref().map(|all| all.len() as u64)),
            2 => self.published.as_ref().and_then(|s| s.sum_per_minute(RATE_SPAN)).map_or(Value::Unknown, Value::Number),
            3 => self.published.as_ref().map_or(Value::Unknown, |s| Value::Series(s.values().collect())),
            4 => self.topic.retention.map_or(Value::None, |span| Value::text(short(span))),
            5 => self.topic.schema.as_deref().map_or(Value::None, |name| Value::text(name.rsplit('/').next().unwrap_or(name))),
            _ => match &self.subscriptions {
                None => Value::Unknown,
                Some(names) if names.is_empty() => Value::text("none: what is published here is lost"),
                Some(names) => Value::text(names.join(" ")),
            },
        }
    }

    fn state(&self) -> State {
        if self.subscriptions.as_ref().is_some_and(Vec::is_empty) { State::Warn } else { State::Ok }
    }

    fn tone(&self, column: usize) -> Option<Role> {
        match (column, self.state()) {
            (6, State::Warn) => Some(Role::StateWarn),
            (6, _) => Some(Role::FgMuted),
            _ => None,
        }
    }

    fn measured(&self) -> Option<(Source, Timestamp)> {
        self.as_of.map(|as_of| (Source::Monitoring, as_of))
    }
}

/// A subscription with its numbers.
pub(crate) struct SubscriptionRow {
    key: String,
    /// The subscription.
    pub(crate) subscription: Subscription,
    numbers: SubscriptionNumbers,
}

impl SubscriptionRow {
    /// Makes the row of a subscription.
    pub(crate) fn new(subscription: Subscription, numbers: SubscriptionNumbers) -> Self {
        Self { key: subscription.name.to_string(), subscription, numbers }
    }

    /// Returns its numbers.
    pub(crate) fn numbers(&self) -> &SubscriptionNumbers {
        &self.numbers
    }

    fn health(&self) -> Option<(State, String)> {
        let subscription = &self.subscription;
        if subscription.detached {
            return Some((State::Error, "detached".to_owned()));
        }
        if subscription.topic.is_none() {
            return Some((State::Error, "topic deleted".to_owned()));
        }
        let all: u64 = self.numbers.pushes.iter().map(|(_, count)| count).sum();
        let bad = self.numbers.pushes.iter().find(|(class, count)| *count > 0 && !is_success(class));
        bad.map(|(class, count)| {
            #[expect(clippy::cast_precision_loss, reason = "a share in per cent")]
            let share = *count as f64 * 100.0 / all.max(1) as f64;
            let state = if share >= 50.0 { State::Error } else { State::Warn };
            (state, format!("{share:.0} % {class}"))
        })
    }
}

/// Tells whether a class or code of push answers acknowledges.
fn is_success(class: &str) -> bool {
    matches!(class, "ack" | "102" | "200" | "201" | "202" | "204" | "success")
}

impl Row for SubscriptionRow {
    const COLUMNS: &'static [Column] = &[
        Column::text("subscription", "subscription", 48, 0),
        Column::text("topic", "topic", 32, 2),
        Column::text("kind", "kind", 8, 1),
        Column::number("backlog", "backlog", 12, 0),
        Column::number("oldest", "oldest", 10, 0),
        Column::text("trend", "trend", 12, 4),
        Column::text("health", "health", 16, 1),
        Column::number("acked", "acked/min", 9, 6),
        Column::number("deadline", "ack in", 8, 7),
        Column::text("dead", "dead letters", 28, 5),
        Column::text("filter", "filter", 32, 8),
        Column::text("endpoint", "endpoint", 60, Column::WIDE),
        Column::text("order", "ordered", 7, Column::WIDE),
        Column::text("once", "exactly once", 12, Column::WIDE),
        Column::number("kept", "kept", 8, Column::WIDE),
    ];

    fn key(&self) -> &str {
        &self.key
    }

    fn value(&self, column: usize) -> Value<'_> {
        let (subscription, numbers) = (&self.subscription, &self.numbers);
        let yes = |flag: bool| if flag { Value::text("yes") } else { Value::None };
        match column {
            0 => Value::text(subscription.name.id()),
            1 => Value::text(subscription.topic.as_ref().map_or("(deleted)", |topic| topic.id())),
            2 => Value::text(match &subscription.delivery {
                Delivery::Pull => "pull",
                Delivery::Push { .. } => "push",
                Delivery::Export(_) => "export",
            }),
            3 => Value::count(numbers.backlog.map(|n| n.value)),
            4 => match (numbers.oldest_age, numbers.backlog.map(|n| n.value)) {
                (_, Some(0)) => Value::None,
                (Some(age), _) => Value::Span(age.value),
                (None, _) => Value::Unknown,
            },
            5 => Value::Series(numbers.backlog_series.values().collect()),
            6 => self.health().map_or(Value::None, |(state, text)| Value::State(state, text.into())),
            7 => numbers.acked.sum_per_minute(RATE_SPAN).map_or(Value::Unknown, Value::Number),
            8 => Value::Span(subscription.ack_deadline),
            9 => match &subscription.dead_letters {
                None => Value::None,
                Some(policy) => {
                    Value::text(format!("{} after {}", policy.topic.as_ref().map_or("(deleted)", |t| t.id()), policy.attempts_max))
                }
            },
            10 if subscription.filter.is_empty() => Value::None,
            10 => Value::text(subscription.filter.as_str()),
            11 => match &subscription.delivery {
                Delivery::Push { endpoint, .. } => Value::text(endpoint.as_str()),
                Delivery::Export(to) => Value::text(to.as_str()),
                Delivery::Pull => Value::None,
            },
            12 => yes(subscription.ordered),
            13 => yes(subscription.exactly_once),
            _ => Value::Span(subscription.retention),
        }
    }

    fn state(&self) -> State {
        if let Some((state, _)) = self.health() {
            return state;
        }
        let old = self.numbers.oldest_age.is_some_and(|age| age.value > OLD) && self.numbers.backlog.is_none_or(|n| n.value > 0);
        if old { State::Warn } else { State::Ok }
    }

    fn tone(&self, column: usize) -> Option<Role> {
        match column {
            4 if self.numbers.oldest_age.is_some_and(|age| age.value > OLD) => Some(Role::StateWarn),
            6 => self.health().map(|(state, _)| state.role()),
            _ => None,
        }
    }

    fn measured(&self) -> Option<(Source, Timestamp)> {
        self.numbers.backlog.map(|backlog| (backlog.source, backlog.as_of))
    }
}

/// A dead-letter relation with what its holders hold.
pub(crate) struct DeadLetterRow {
    key: String,
    /// The relation.
    pub(crate) relation: DeadLetterRelation,
    held: Option<u64>,
    oldest: Option<std::time::Duration>,
    per_minute: Option<f64>,
    trend: Vec<f64>,
    measured: Option<(Source, Timestamp)>,
    /// Relations that share its holder: the count is of all of them.
    shares: usize,
}

impl DeadLetterRow {
    /// Makes the row of a relation.
    pub(crate) fn new(relation: DeadLetterRelation, numbers: Option<&Numbers>, shares: usize) -> Self {
        let of = |name| numbers.and_then(|numbers| numbers.subscriptions.get(name));
        let holders: Vec<&SubscriptionNumbers> = relation.holders.iter().filter_map(of).collect();
        let largest = holders.iter().max_by_key(|n| n.backlog.map(|b| b.value));
        let held = largest.and_then(|n| n.backlog);
        Self {
            key: relation.source.to_string(),
            held: held.map(|n| n.value),
            oldest: holders.iter().filter_map(|n| n.oldest_age).map(|n| n.value).max(),
            per_minute: of(&relation.source).and_then(|n| n.dead_lettered.sum_per_minute(RATE_SPAN)),
            trend: largest.map(|n| n.backlog_series.values().collect()).unwrap_or_default(),
            measured: held.map(|n| (n.source, n.as_of)),
            shares,
            relation,
        }
    }

    /// Returns how many messages its holder holds, where that is known.
    pub(crate) fn held(&self) -> Option<u64> {
        self.held
    }

    /// Returns the points of its sparkline.
    pub(crate) fn trend(&self) -> &[f64] {
        &self.trend
    }
}

/// Says what is wrong with a relation, for a cell.
fn broken_short(broken: Broken) -> &'static str {
    match broken {
        Broken::TopicMissing => "dead-letter topic is gone",
        Broken::NoHolder => "no subscription: all lost",
        Broken::SourceTopicMissing => "topic is gone: no way back",
    }
}

/// Says what is wrong with a relation, and what follows.
pub(crate) fn broken_text(broken: Broken) -> &'static str {
    match broken {
        Broken::TopicMissing => "its dead-letter topic does not exist: nothing can be forwarded",
        Broken::NoHolder => "no subscription: what lands here is lost",
        Broken::SourceTopicMissing => "its topic is deleted: nowhere to redrive to",
    }
}

impl Row for DeadLetterRow {
    const COLUMNS: &'static [Column] = &[
        Column::text("source", "gave up", 32, 0),
        Column::text("topic", "topic", 24, 4),
        Column::text("dead", "dead-letter topic", 28, 3),
        Column::text("holder", "held by", 28, 0),
        Column::number("held", "held", 10, 0),
        Column::number("oldest", "oldest", 10, 0),
        Column::number("rate", "in/min", 8, 1),
        Column::text("trend", "trend", 12, 2),
        Column::number("attempts", "after", 6, Column::WIDE),
        Column::text("broken", "", 64, 0),
    ];

    fn key(&self) -> &str {
        &self.key
    }

    fn value(&self, column: usize) -> Value<'_> {
        let relation = &self.relation;
        match column {
            0 => Value::text(relation.source.id()),
            1 => Value::text(relation.topic.as_ref().map_or("(deleted)", |t| t.id())),
            2 => Value::text(relation.dead_letter_topic.as_ref().map_or("(deleted)", |t| t.id())),
            3 => match relation.holders.as_slice() {
                [] => Value::None,
                [one] => Value::text(one.id()),
                [first, rest @ ..] => Value::text(format!("{} +{}", first.id(), rest.len())),
            },
            4 if relation.holders.is_empty() => Value::None,
            4 => Value::count(self.held),
            5 if relation.holders.is_empty() || self.held == Some(0) => Value::None,
            5 => self.oldest.map_or(Value::Unknown, Value::Span),
            6 => self.per_minute.map_or(Value::Unknown, Value::Number),
            7 => Value::Series(self.trend.clone()),
            8 => Value::Count(relation.attempts_max.into()),
            _ if relation.broken.is_none() && self.shares > 0 => Value::text(format!("held with {} more", self.shares)),
            _ => relation.broken.map_or(Value::text(""), |broken| Value::text(broken_short(broken))),
        }
    }

    fn state(&self) -> State {
        match (self.relation.broken, self.held) {
            (Some(_), _) => State::Error,
            (None, Some(0) | None) => State::Ok,
            (None, Some(_)) if self.per_minute.is_some_and(|rate| rate > 0.0) => State::Error,
            (None, Some(_)) => State::Warn,
        }
    }

    fn tone(&self, column: usize) -> Option<Role> {
        match column {
            4 if self.held.is_some_and(|held| held > 0) => Some(self.state().role()),
            6 if self.per_minute.is_some_and(|rate| rate > 0.0) => Some(Role::StateWarn),
            9 if self.relation.broken.is_none() => Some(Role::FgMuted),
            9 => Some(Role::StateError),
            _ => None,
        }
    }

    fn measured(&self) -> Option<(Source, Timestamp)> {
        self.measured
    }
}
