//! The filter of `ListQueues`: comparisons of fields, joined by AND, such as `state: PAUSED`.

use crate::emulator::state::Refusal;

use super::queue::{Queue, QueueState};

#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Filter(Vec<Comparison>);

#[derive(Debug, Clone, PartialEq)]
struct Comparison {
    field: Field,
    operator: Operator,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Field {
    Name,
    State,
    PerSecond,
    Concurrent,
    Attempts,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operator {
    Equal,
    NotEqual,
    Has,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Longer ones first, so that `<=` is not read as `<`.
const OPERATORS: [(&str, Operator); 7] = [
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("!=", Operator::NotEqual),
    ("=", Operator::Equal),
    (":", Operator::Has),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

impl Filter {
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self::default());
        }
        text.split(" AND ")
            .map(comparison)
            .collect::<Option<_>>()
            .map(Self)
            .ok_or_else(|| Refusal::invalid(format!("Invalid filter \"{}\".", text.escape_debug())))
    }

    pub(super) fn matches(&self, queue: &Queue) -> bool {
        self.0.iter().all(|comparison| comparison.matches(queue))
    }
}

fn comparison(text: &str) -> Option<Comparison> {
    let at = text.find(['<', '>', '!', '=', ':'])?;
    let (sign, operator) = OPERATORS.into_iter().find(|(sign, _)| text[at..].starts_with(sign))?;
    let field = match text[..at].trim().replace('_', "").to_ascii_lowercase().as_str() {
        "name" => Field::Name,
        "state" => Field::State,
        "ratelimits.maxdispatchespersecond" => Field::PerSecond,
        "ratelimits.maxconcurrentdispatches" => Field::Concurrent,
        "retryconfig.maxattempts" => Field::Attempts,
        _ => return None,
    };
    let value = text[at + sign.len()..].trim().trim_matches('"').to_owned();
    let numeric = matches!(field, Field::PerSecond | Field::Concurrent | Field::Attempts);
    let valid = if numeric { value.parse::<f64>().is_ok() } else { !value.is_empty() };
    valid.then_some(Comparison { field, operator, value })
}

impl Comparison {
    fn matches(&self, queue: &Queue) -> bool {
        let settings = &queue.settings;
        match self.field {
            Field::Name => self.text(&queue.name.to_string()),
            Field::State => self.text(if queue.state == QueueState::Paused { "PAUSED" } else { "RUNNING" }),
            Field::PerSecond => self.number(settings.per_second),
            Field::Concurrent => self.number(f64::from(settings.concurrent)),
            Field::Attempts => self.number(settings.retry.attempts_max.map_or(-1.0, f64::from)),
        }
    }

    fn text(&self, text: &str) -> bool {
        match self.operator {
            Operator::Equal => text == self.value,
            Operator::NotEqual => text != self.value,
            Operator::Has => text.to_lowercase().contains(&self.value.to_lowercase()),
            Operator::Less => text < self.value.as_str(),
            Operator::LessOrEqual => text <= self.value.as_str(),
            Operator::Greater => text > self.value.as_str(),
            Operator::GreaterOrEqual => text >= self.value.as_str(),
        }
    }

    #[expect(clippy::float_cmp, reason = "users compare with the very number they set")]
    fn number(&self, number: f64) -> bool {
        let Ok(value) = self.value.parse::<f64>() else { return false };
        match self.operator {
            Operator::Equal | Operator::Has => number == value,
            Operator::NotEqual => number != value,
            Operator::Less => number < value,
            Operator::LessOrEqual => number <= value,
            Operator::Greater => number > value,
            Operator::GreaterOrEqual => number >= value,
        }
    }
}
