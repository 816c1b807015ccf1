//! Rows of the overview: what needs a look, the worst first.

use jiff::Timestamp;

use super::{DeadLetterRow, JobRow, OLD, QueueRow, SubscriptionRow};
use crate::console::app::row::{Column, Row};
use crate::console::app::value::{Value, decimal, distance, short};
use crate::console::theme::{Role, State};
use crate::names::{JobName, QueueName, SubscriptionName};

/// What a row of the overview opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// The tasks of a queue.
    Queue(QueueName),
    /// The messages of a subscription.
    Subscription(SubscriptionName),
    /// The dead letters, since the relation itself is broken.
    DeadLetters,
    /// A job.
    Job(JobName),
}

/// Something that needs a look.
pub(crate) struct AttentionRow {
    key: String,
    kind: &'static str,
    name: String,
    number: Option<u64>,
    what: String,
    trend: Vec<f64>,
    state: State,
    /// What it opens.
    pub(crate) target: Target,
}

/// Finds what needs a look among the rows of the list screens.
pub(crate) fn attention(
    dead: &[DeadLetterRow],
    queues: &[QueueRow],
    subscriptions: &[SubscriptionRow],
    jobs: &[JobRow],
    now: Timestamp,
) -> Vec<AttentionRow> {
    let mut rows: Vec<AttentionRow> = Vec::new();
    rows.extend(dead.iter().filter_map(of_dead_letters));
    let holders: Vec<_> = dead.iter().flat_map(|row| &row.relation.holders).collect();
    rows.extend(queues.iter().filter_map(|row| of_queue(row, now)));
    rows.extend(subscriptions.iter().filter(|row| !holders.contains(&&row.subscription.name)).filter_map(of_subscription));
    rows.extend(jobs.iter().filter_map(|row| of_job(row, now)));
    rows.sort_by(|a, b| a.state.cmp(&b.state).then_with(|| b.number.cmp(&a.number)));
    rows
}

fn of_dead_letters(row: &DeadLetterRow) -> Option<AttentionRow> {
    let state = row.state();
    let relation = &row.relation;
    if !matches!(state, State::Error | State::Warn) {
        return None;
    }
    let what = if let Some(broken) = relation.broken {
        super::pubsub::broken_text(broken).to_owned()
    } else {
        let oldest = if let Value::Span(span) = row.value(5) { format!("oldest {}", short(span)) } else { "waiting".to_owned() };
        match row.value(6) {
            Value::Number(rate) if rate > 0.0 => format!("{oldest}, +{}/min", decimal(rate)),
            _ => oldest,
        }
    };
    Some(AttentionRow {
        key: format!("dead {}", row.key()),
        kind: "dead letters",
        name: format!("{} → {}", relation.source.id(), relation.dead_letter_topic.as_ref().map_or("(deleted)", |t| t.id())),
        number: row.held(),
        what,
        trend: row.trend().to_vec(),
        state,
        target: relation.holders.first().map_or(Target::DeadLetters, |holder| Target::Subscription(holder.clone())),
    })
}

fn of_queue(row: &QueueRow, now: Timestamp) -> Option<AttentionRow> {
    let numbers = row.numbers();
    let depth = numbers.depth.map(|n| n.value);
    let what = match row.state() {
        State::Warn => format!("oldest due {} ago", numbers.oldest.map(|n| distance(n.value, now)).unwrap_or_default()),
        State::Error => "disabled by the service".to_owned(),
        State::Paused if depth.is_some_and(|n| n > 0) => "paused, and tasks wait".to_owned(),
        _ => return None,
    };
    Some(AttentionRow {
        key: format!("queue {}", row.key()),
        kind: "queue",
        name: row.queue.name.id().to_owned(),
        number: depth,
        what,
        trend: numbers.depth_series.values().collect(),
        state: row.state(),
        target: Target::Queue(row.queue.name.clone()),
    })
}

fn of_subscription(row: &SubscriptionRow) -> Option<AttentionRow> {
    let numbers = row.numbers();
    let state = row.state();
    if !matches!(state, State::Error | State::Warn) {
        return None;
    }
    let old = numbers.oldest_age.filter(|age| age.value > OLD).map(|age| format!("no ack for {}", short(age.value)));
    let health = if let Value::State(_, text) = row.value(6) {
        Some(if text.contains('%') { format!("pushes answered {text}") } else { text.into_owned() })
    } else {
        None
    };
    Some(AttentionRow {
        key: format!("subscription {}", row.key()),
        kind: "subscription",
        name: row.subscription.name.id().to_owned(),
        number: numbers.backlog.map(|n| n.value),
        what: [old, health].into_iter().flatten().collect::<Vec<_>>().join(", "),
        trend: numbers.backlog_series.values().collect(),
        state,
        target: Target::Subscription(row.subscription.name.clone()),
    })
}

fn of_job(row: &JobRow, now: Timestamp) -> Option<AttentionRow> {
    if row.state() != State::Error {
        return None;
    }
    let ago = row.job.last_attempt.map(|time| format!(", {} ago", distance(time, now))).unwrap_or_default();
    Some(AttentionRow {
        key: format!("job {}", row.key()),
        kind: "job",
        name: row.job.name.id().to_owned(),
        number: None,
        what: format!("last run failed: {}{ago}", row.status().unwrap_or("?")),
        trend: Vec::new(),
        state: State::Error,
        target: Target::Job(row.job.name.clone()),
    })
}

impl Row for AttentionRow {
    const COLUMNS: &'static [Column] = &[
        Column::text("kind", "what", 14, 1),
        Column::text("name", "name", 44, 0),
        Column::number("number", "waiting", 10, 0),
        Column::text("why", "why", Column::FILL, 0),
        Column::text("trend", "trend", 12, 4),
    ];

    fn key(&self) -> &str {
        &self.key
    }

    fn value(&self, column: usize) -> Value<'_> {
        match column {
            0 => Value::text(self.kind),
            1 => Value::text(self.name.as_str()),
            2 => self.number.map_or(Value::None, Value::Count),
            3 => Value::text(self.what.as_str()),
            _ => Value::Series(self.trend.clone()),
        }
    }

    fn state(&self) -> State {
        self.state
    }

    fn tone(&self, column: usize) -> Option<Role> {
        match column {
            0 => Some(Role::FgMuted),
            2 => Some(self.state.role()),
            _ => None,
        }
    }
}
