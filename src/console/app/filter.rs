//! The filter of a list: text, `!inverse`, `~fuzzy` and terms such as `state=paused attempts>5 age>2h`. Works on the rows that were fetched.

use std::cell::RefCell;

use jiff::Timestamp;
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use crate::console::app::row::{Column, Row};
use crate::console::app::value::Value;

/// A filter is at most this long; the rest of what is typed or pasted is cut.
pub(crate) const FILTER_CHARS_MAX: usize = 200;

/// What rows must fulfil to be shown.
#[derive(Default)]
pub(crate) struct Filter {
    text: String,
    tests: Vec<Test>,
}

enum Test {
    Has(String),
    HasNot(String),
    Fuzzy(Box<Fuzzy>),
    Compare { column: usize, op: Op, value: String, number: Option<f64> },
}

/// A fuzzy pattern with the scratch space its matcher needs.
struct Fuzzy {
    pattern: Pattern,
    scratch: RefCell<(Matcher, Vec<char>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Equal,
    Unequal,
    Less,
    Greater,
}

impl Filter {
    /// Reads a filter for a table of these columns.
    pub(crate) fn parse(text: &str, columns: &[Column]) -> Self {
        let text: String = text.chars().take(FILTER_CHARS_MAX).collect();
        let trimmed = text.trim();
        let tests = if let Some(rest) = trimmed.strip_prefix('!') {
            if rest.is_empty() { vec![] } else { vec![Test::HasNot(rest.to_lowercase())] }
        } else if let Some(rest) = trimmed.strip_prefix('~') {
            let pattern = Pattern::parse(rest, CaseMatching::Ignore, Normalization::Smart);
            vec![Test::Fuzzy(Box::new(Fuzzy { pattern, scratch: RefCell::new((Matcher::new(Config::DEFAULT), Vec::new())) }))]
        } else {
            trimmed.split_whitespace().map(|word| term(word, columns).unwrap_or_else(|| Test::Has(word.to_lowercase()))).collect()
        };
        Self { text, tests }
    }

    /// Returns the text as typed.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Tells whether it lets everything through.
    pub(crate) fn is_empty(&self) -> bool {
        self.tests.is_empty()
    }

    /// Tells whether a row is shown.
    pub(crate) fn matches<R: Row>(&self, row: &R, now: Timestamp) -> bool {
        self.tests.iter().all(|test| test.holds(row, now))
    }

    /// Returns the pieces of text that were asked for, in lower case, to be highlighted.
    pub(crate) fn needles(&self) -> impl Iterator<Item = &str> {
        self.tests.iter().filter_map(|test| if let Test::Has(text) = test { Some(text.as_str()) } else { None })
    }
}

impl Test {
    fn holds<R: Row>(&self, row: &R, now: Timestamp) -> bool {
        match self {
            Test::Has(text) => any_cell(row, |cell| contains(cell, text)),
            Test::HasNot(text) => !any_cell(row, |cell| contains(cell, text)),
            Test::Fuzzy(fuzzy) => {
                let (matcher, buffer) = &mut *fuzzy.scratch.borrow_mut();
                any_cell(row, |cell| fuzzy.pattern.score(Utf32Str::new(cell, buffer), matcher).is_some())
            }
            Test::Compare { column, op, value, number } => compare(&row.value(*column), *op, value, *number, now),
        }
    }
}

/// Tells whether a text holds another, which is in lower case, whatever the case.
fn contains(text: &str, lower: &str) -> bool {
    if text.is_ascii() && lower.is_ascii() {
        let (text, lower) = (text.as_bytes(), lower.as_bytes());
        return lower.is_empty() || text.windows(lower.len()).any(|window| window.eq_ignore_ascii_case(lower));
    }
    text.to_lowercase().contains(lower)
}

fn any_cell<R: Row>(row: &R, mut holds: impl FnMut(&str) -> bool) -> bool {
    let mut cells = (0..R::COLUMNS.len()).filter_map(|column| match row.value(column) {
        Value::Text(text) | Value::State(_, text) => Some(text),
        _ => None,
    });
    cells.any(|cell| holds(&cell)) || holds(row.key())
}

fn term(word: &str, columns: &[Column]) -> Option<Test> {
    let at = word.find(['=', '<', '>', '!'])?;
    let name = &word[..at];
    let (op, value) = match &word[at..] {
        rest if rest.starts_with("!=") => (Op::Unequal, &rest[2..]),
        rest if rest.starts_with('=') => (Op::Equal, &rest[1..]),
        rest if rest.starts_with('<') => (Op::Less, &rest[1..]),
        rest if rest.starts_with('>') => (Op::Greater, &rest[1..]),
        _ => return None,
    };
    let column = columns.iter().position(|column| column.id == name)?;
    (!value.is_empty()).then(|| Test::Compare { column, op, value: value.to_lowercase(), number: number(value) })
}

/// Reads `5`, `2.5`, `1k`, or a length of time (`30s`, `5m`, `2h`, `3d`) in seconds.
fn number(text: &str) -> Option<f64> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let value: f64 = text[..split].parse().ok()?;
    let unit = match &text[split..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        "k" => 1000.0,
        _ => return None,
    };
    Some(value * unit)
}

fn compare(cell: &Value<'_>, op: Op, text: &str, number: Option<f64>, now: Timestamp) -> bool {
    if let (Some(cell), Some(number)) = (cell.measure(now), number) {
        return match op {
            Op::Equal => (cell - number).abs() < 1e-9,
            Op::Unequal => (cell - number).abs() >= 1e-9,
            Op::Less => cell < number,
            Op::Greater => cell > number,
        };
    }
    let shown = cell.show(now);
    match op {
        Op::Equal => contains(&shown, text),
        Op::Unequal => !contains(&shown, text),
        Op::Less | Op::Greater => false,
    }
}
