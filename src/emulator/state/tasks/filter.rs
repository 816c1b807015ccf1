//! The filter of `ListQueues`: comparisons of fields such as `state: PAUSED`, joined by AND, OR, NOT and parentheses
//! (<https://google.aip.dev/160>).

mod fields;

use std::cmp::Ordering;
use std::time::Duration;

use jiff::Timestamp;

use crate::emulator::state::Refusal;

use super::queue::Queue;
use fields::Field;

/// Parentheses go no deeper: far from the end of the stack.
const DEPTH_MAX: usize = 32;
/// So much of a filter is quoted in a refusal.
const QUOTED_CHARS_MAX: usize = 200;

/// What a filter asks for; nothing is all queues.
#[derive(Debug, Default)]
pub(super) struct Filter(Option<Node>);

#[derive(Debug)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Is(Comparison),
}

#[derive(Debug)]
struct Comparison {
    field: Field,
    operator: Operator,
    value: Value,
}

/// A value as the field's type has it.
#[derive(Debug)]
enum Value {
    /// Whether there is anything at all.
    Present,
    /// In lower case.
    Text(String),
    Number(f64),
    /// The number of an enum's name.
    Nth(usize),
    Span(Duration),
    Time(Timestamp),
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
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let mut parser = Parser { text, rest: text, depth: 0 };
        let node = parser.all()?;
        if parser.rest.is_empty() { Ok(Self(Some(node))) } else { Err(parser.malformed()) }
    }

    pub(super) fn matches(&self, queue: &Queue) -> bool {
        self.0.as_ref().is_none_or(|node| node.matches(queue))
    }
}

/// Reads a filter from front to back.
struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn malformed(&self) -> Refusal {
        Refusal::invalid(format!("Invalid filter \"{}\".", quoted(self.text)))
    }

    /// What is joined by AND, or by nothing but a blank.
    fn all(&mut self) -> Result<Node, Refusal> {
        let mut nodes = vec![self.any()?];
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.is_empty() || self.rest.starts_with(')') {
                return Ok(Node::All(nodes));
            }
            self.takes_word("AND");
            nodes.push(self.any()?);
        }
    }

    fn any(&mut self) -> Result<Node, Refusal> {
        let mut nodes = vec![self.term()?];
        while self.takes_word("OR") {
            nodes.push(self.term()?);
        }
        Ok(Node::Any(nodes))
    }

    fn term(&mut self) -> Result<Node, Refusal> {
        if self.takes_word("NOT") || self.takes("-") {
            return Ok(Node::Not(Box::new(self.simple()?)));
        }
        self.simple()
    }

    fn simple(&mut self) -> Result<Node, Refusal> {
        if !self.takes("(") {
            return self.comparison().map(Node::Is);
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.malformed());
        }
        let inner = self.all()?;
        self.depth -= 1;
        if self.takes(")") { Ok(inner) } else { Err(self.malformed()) }
    }

    fn comparison(&mut self) -> Result<Comparison, Refusal> {
        let name = self.until(|letter| letter.is_whitespace() || "()<>!=:".contains(letter));
        let sign = OPERATORS.into_iter().find(|(sign, _)| self.takes(sign));
        let (Some((_, operator)), false) = (sign, name.is_empty()) else { return Err(self.malformed()) };
        let field = Field::named(name).ok_or_else(|| Refusal::invalid(format!("Field not found: '{}'.", quoted(name))))?;
        let text = if self.takes("\"") {
            let (text, rest) = self.rest.split_once('"').ok_or_else(|| self.malformed())?;
            self.rest = rest;
            text
        } else {
            self.until(|letter| letter.is_whitespace() || "()".contains(letter))
        };
        let value = value(field, name, operator, text)?;
        Ok(Comparison { field, operator, value })
    }

    /// Takes what stands before the first letter of a kind, blanks before it left out.
    fn until(&mut self, is_end: impl Fn(char) -> bool) -> &'a str {
        let text = self.rest.trim_start();
        let (taken, rest) = text.split_at(text.find(is_end).unwrap_or(text.len()));
        self.rest = rest;
        taken
    }

    /// Takes a sign, if it is next.
    fn takes(&mut self, sign: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Takes a word, if it is next and ends there.
    fn takes_word(&mut self, word: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(word);
        let rest = rest.filter(|rest| rest.starts_with(|letter: char| letter.is_whitespace() || letter == '('));
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

/// Reads what a field is compared with.
fn value(field: Field, name: &str, operator: Operator, text: &str) -> Result<Value, Refusal> {
    if operator == Operator::Has && text == "*" {
        return Ok(Value::Present);
    }
    let lower = text.to_lowercase();
    let value = match field {
        Field::Message(_) => {
            let rule = "A member field of scalar or enum type must be provided.";
            return Err(Refusal::invalid(format!("Cannot match a nested type '{}'. {rule}", quoted(name))));
        }
        Field::Text(_) => Some(Value::Text(lower.clone())),
        Field::Number(_) => lower.parse().ok().map(Value::Number),
        Field::Enum(names, _) => names.iter().position(|name| name.eq_ignore_ascii_case(text)).map(Value::Nth),
        Field::Span(_) => span(&lower).map(Value::Span),
        Field::Time(_) => text.parse().ok().map(Value::Time),
    };
    value.ok_or_else(|| Refusal::invalid(format!("The value '{}' is of incorrect type.", quoted(&lower))))
}

/// A text of the client's as a refusal may have it.
fn quoted(text: &str) -> String {
    text.chars().take(QUOTED_CHARS_MAX).flat_map(char::escape_debug).collect()
}

/// Reads a duration such as `1.5s`.
fn span(text: &str) -> Option<Duration> {
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

impl Node {
    fn matches(&self, queue: &Queue) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.matches(queue)),
            Self::Any(nodes) => nodes.iter().any(|node| node.matches(queue)),
            Self::Not(node) => !node.matches(queue),
            Self::Is(comparison) => comparison.matches(queue),
        }
    }
}

impl Comparison {
    fn matches(&self, queue: &Queue) -> bool {
        let holds = |ordering| self.operator.holds(ordering);
        match (self.field, &self.value) {
            (field, Value::Present) => field.is_present(queue),
            (Field::Text(get), Value::Text(wanted)) => self.has_text(&get(queue), wanted),
            (Field::Number(get), Value::Number(wanted)) => get(queue).partial_cmp(wanted).is_some_and(holds),
            (Field::Enum(_, get), Value::Nth(wanted)) => holds(get(queue).cmp(wanted)),
            // What is not set is as long as nothing, and long ago.
            (Field::Span(get), Value::Span(wanted)) => holds(get(queue).unwrap_or_default().cmp(wanted)),
            (Field::Time(get), Value::Time(wanted)) => holds(get(queue).unwrap_or_default().cmp(wanted)),
            _ => false,
        }
    }

    fn has_text(&self, texts: &[String], wanted: &str) -> bool {
        let mut texts = texts.iter().map(|text| text.to_lowercase());
        match self.operator {
            Operator::Has => texts.any(|text| text.contains(wanted)),
            Operator::NotEqual => texts.all(|text| text != wanted),
            operator => texts.any(|text| operator.holds(text.as_str().cmp(wanted))),
        }
    }
}

impl Operator {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal | Self::Has => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

#[cfg(test)]
mod tests;
