//! Monitoring filters, as far as they choose series: comparisons joined by AND, of which one names the metric.

use super::catalog::{METRICS, Metric};
use super::history::Series;
use crate::emulator::state::Refusal;

#[derive(Debug, PartialEq)]
pub(super) struct Filter {
    metric: String,
    rules: Vec<Rule>,
}

#[derive(Debug, PartialEq)]
struct Rule {
    field: Field,
    negated: bool,
    test: Test,
}

#[derive(Debug, PartialEq)]
enum Field {
    Project,
    ResourceType,
    ResourceLabel(String),
    MetricLabel(String),
}

#[derive(Debug, PartialEq)]
enum Test {
    OneOf(Vec<String>),
    StartsWith(String),
    EndsWith(String),
    HasSubstring(String),
}

#[derive(Debug, PartialEq, Clone)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
    NotEqual,
}

impl Filter {
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        if text.trim().is_empty() {
            return Err(Refusal::invalid("Request was missing field filter."));
        }
        let refuse = |why: &str| Refusal::invalid(format!("Field filter had an invalid value of \"{}\": {why}", text.escape_debug()));
        let words = tokens(text).ok_or_else(|| refuse("Could not parse the filter."))?;
        let (mut metric, mut rules) = (None, Vec::new());
        for part in words.split(|token| matches!(token, Token::Word(word) if word == "AND")) {
            let (name, negated, rule) = comparison(part).ok_or_else(|| refuse("Could not parse the filter."))?;
            match field(&name) {
                Some(field) => rules.push(Rule { field, negated, test: rule }),
                None if name == "metric.type" => match (rule, negated, &metric) {
                    (Test::OneOf(mut types), false, None) if types.len() == 1 => metric = types.pop(),
                    _ => return Err(refuse("The filter must specify a single metric type.")),
                },
                None => {
                    let why =
                        "The lefthand side of each expression must be prefixed with one of {group, metadata, metric, project, resource}.";
                    return Err(refuse(why));
                }
            }
        }
        let metric = metric.ok_or_else(|| refuse("must specify a restriction on \"metric.type\" in the filter; see \"https://cloud.google.com/monitoring/api/resources\" for a list of available metric types."))?;
        Ok(Self { metric, rules })
    }

    /// The metric that is asked for, and its place.
    pub(super) fn metric(&self) -> Result<(usize, &'static Metric), Refusal> {
        METRICS.iter().enumerate().find(|(_, metric)| metric.name == self.metric).ok_or_else(|| {
            Refusal::not_found(format!(
                "Cannot find metric(s) that match type = \"{}\". If a metric was created recently, it could take up to 10 minutes to become available. Please try again soon.",
                self.metric.escape_debug()
            ))
        })
    }

    pub(super) fn matches(&self, metric: &Metric, series: &Series) -> bool {
        self.rules.iter().all(|rule| {
            let value = match &rule.field {
                Field::Project => series.resource_labels.get("project_id").map(String::as_str),
                Field::ResourceType => Some(metric.resource.kind()),
                Field::ResourceLabel(label) => series.resource_labels.get(label.as_str()).map(String::as_str),
                Field::MetricLabel(label) => series.labels.get(label.as_str()).map(String::as_str),
            };
            value.is_some_and(|value| rule.test.passes(value)) != rule.negated
        })
    }
}

impl Test {
    fn passes(&self, value: &str) -> bool {
        match self {
            Self::OneOf(values) => values.iter().any(|one| one == value),
            Self::StartsWith(part) => value.starts_with(part.as_str()),
            Self::EndsWith(part) => value.ends_with(part.as_str()),
            Self::HasSubstring(part) => value.contains(part.as_str()),
        }
    }
}

fn field(name: &str) -> Option<Field> {
    if name == "project" {
        return Some(Field::Project);
    }
    if name == "resource.type" {
        return Some(Field::ResourceType);
    }
    let label = |prefixes: [&str; 2]| prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)).map(str::to_owned);
    label(["resource.labels.", "resource.label."])
        .map(Field::ResourceLabel)
        .or_else(|| label(["metric.labels.", "metric.label."]).map(Field::MetricLabel))
}

/// `name = value`, `name != value`, `name = function(value, …)`; parentheses around it are allowed.
fn comparison(tokens: &[Token]) -> Option<(String, bool, Test)> {
    let tokens = match tokens {
        [Token::Sign('('), inner @ .., Token::Sign(')')] if matches!(inner.first(), Some(Token::Word(_))) => inner,
        tokens => tokens,
    };
    let [Token::Word(name), sign, value @ ..] = tokens else { return None };
    let negated = match sign {
        Token::Sign('=' | ':') => false,
        Token::NotEqual => true,
        _ => return None,
    };
    let test = match value {
        [Token::Word(value) | Token::Text(value)] => Test::OneOf(vec![value.clone()]),
        [Token::Word(function), Token::Sign('('), arguments @ .., Token::Sign(')')] => {
            let list = arguments.split(|token| *token == Token::Sign(','));
            let list = list.map(|one| if let [Token::Text(text)] = one { Some(text.clone()) } else { None }).collect::<Option<Vec<_>>>()?;
            match (function.as_str(), <[String; 1]>::try_from(list)) {
                ("starts_with", Ok([part])) => Test::StartsWith(part),
                ("ends_with", Ok([part])) => Test::EndsWith(part),
                ("has_substring", Ok([part])) => Test::HasSubstring(part),
                ("one_of", Ok([value])) => Test::OneOf(vec![value]),
                ("one_of", Err(values)) => Test::OneOf(values),
                _ => return None,
            }
        }
        _ => return None,
    };
    Some((name.clone(), negated, test))
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            _ if next.is_whitespace() => {}
            '!' => tokens.push(if rest.next()? == '=' { Token::NotEqual } else { return None }),
            '=' | ':' | '(' | ')' | ',' => tokens.push(Token::Sign(next)),
            '"' | '\'' => {
                let mut quoted = String::new();
                loop {
                    match rest.next()? {
                        end if end == next => break,
                        '\\' => quoted.push(rest.next()?),
                        other => quoted.push(other),
                    }
                }
                tokens.push(Token::Text(quoted));
            }
            _ => {
                let mut word = String::from(next);
                while let Some(more) = rest.next_if(|more| !more.is_whitespace() && !"!=:(),\"'".contains(*more)) {
                    word.push(more);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Some(tokens)
}
