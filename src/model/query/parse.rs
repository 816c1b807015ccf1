//! The reader of expressions, on winnow; errors point at the character.

use jiff::SignedDuration;
use regex::RegexBuilder;
use winnow::ascii::multispace0;
use winnow::combinator::{alt, cut_err, delimited, fail, opt, preceded, repeat};
use winnow::error::{ContextError, StrContext, StrContextValue};
use winnow::prelude::*;
use winnow::token::{any, one_of, take_while};

use super::{Condition, Field, Literal, Number, Operator, QUERY_BYTES_MAX, Step};
use crate::error::{Error, Result};
use crate::model::text;

/// Parentheses and `not`s within each other, at most: the reader is recursive.
const DEPTH_MAX: usize = 64;

/// A compiled regular expression may take this many bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;

type Input<'a> = &'a str;
type Parsed<T> = ModalResult<T, ContextError>;

/// Reads a whole expression.
pub(super) fn query(text: &str) -> Result<Condition> {
    if let Some(column) = too_deep(text) {
        return Err(at(text, column, &format!("more than {DEPTH_MAX} parentheses or `not`s")));
    }
    (|input: &mut Input<'_>| preceded(multispace0, any_of).parse_next(input)).parse(text).map_err(|error| {
        // The first is the innermost, the one that knows best.
        let wanted = error.inner().context().find_map(|context| match context {
            StrContext::Expected(value) => Some(value.to_string()),
            _ => None,
        });
        at(text, error.offset(), wanted.as_deref().unwrap_or("`and`, `or` or the end expected"))
    })
}

/// Returns the offset at which the expression is nested too deeply.
fn too_deep(text: &str) -> Option<usize> {
    debug_assert!(text.len() <= QUERY_BYTES_MAX);
    let (mut depth, mut nots) = (0_usize, 0_usize);
    for (offset, word) in text.split_inclusive(|c: char| c.is_whitespace() || c == '(' || c == ')').scan(0, |start, word| {
        let offset = *start;
        *start += word.len();
        Some((offset, word))
    }) {
        nots += usize::from(word.trim_end_matches(['(', ' ']).eq_ignore_ascii_case("not"));
        match word.as_bytes().last() {
            Some(b'(') => depth += 1,
            Some(b')') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth + nots > DEPTH_MAX {
            return Some(offset);
        }
    }
    None
}

/// Makes the error at a byte offset.
fn at(whole: &str, offset: usize, what: &str) -> Error {
    let offset = offset.min(whole.len());
    let before = whole.get(..offset).unwrap_or(whole);
    let rest: String = whole.get(offset..).unwrap_or_default().chars().take(20).collect();
    let place = if rest.trim().is_empty() { "at the end".to_owned() } else { format!("at `{}`", text::line(&rest)) };
    Error::invalid(format!("filter, column {}: {what} ({place})", before.chars().count() + 1))
        .with_hint(r#"for example: attribute.kind = "order" and age > 2h and payload.customer.id = 7"#)
}

fn want(text: &'static str) -> StrContext {
    StrContext::Expected(StrContextValue::Description(text))
}

fn any_of(input: &mut Input<'_>) -> Parsed<Condition> {
    joined(all_of, "or", Condition::Any, input)
}

fn all_of(input: &mut Input<'_>) -> Parsed<Condition> {
    joined(factor, "and", Condition::All, input)
}

fn joined<'a>(
    mut part: fn(&mut Input<'a>) -> Parsed<Condition>,
    word: &'static str,
    join: fn(Vec<Condition>) -> Condition,
    input: &mut Input<'a>,
) -> Parsed<Condition> {
    let first = part.parse_next(input)?;
    let mut parts = vec![first];
    while opt(keyword(word)).parse_next(input)?.is_some() {
        parts.push(cut_err(part).parse_next(input)?);
    }
    Ok(if parts.len() == 1 { parts.remove(0) } else { join(parts) })
}

fn factor(input: &mut Input<'_>) -> Parsed<Condition> {
    if opt(keyword("not")).parse_next(input)?.is_some() {
        return cut_err(factor).parse_next(input).map(|inner| Condition::Not(Box::new(inner)));
    }
    if opt(token("(")).parse_next(input)?.is_some() {
        let inner = cut_err(any_of).parse_next(input)?;
        cut_err(token(")")).context(want("`)` expected")).parse_next(input)?;
        return Ok(inner);
    }
    comparison(input)
}

fn comparison(input: &mut Input<'_>) -> Parsed<Condition> {
    let field = field.parse_next(input)?;
    multispace0.parse_next(input)?;
    if let Some(denied) = opt(alt((token("!~").value(true), token("~").value(false)))).parse_next(input)? {
        let found = Condition::Matches(field, cut_err(pattern).parse_next(input)?);
        return Ok(if denied { Condition::Not(Box::new(found)) } else { found });
    }
    match opt(operator).parse_next(input)? {
        None => Ok(Condition::Has(field)),
        Some(operator) => {
            let literal = cut_err(literal_for(&field)).parse_next(input)?;
            Ok(Condition::Compares(field, operator, literal))
        }
    }
}

fn operator(input: &mut Input<'_>) -> Parsed<Operator> {
    alt((
        token("!=").value(Operator::Differs),
        token("<=").value(Operator::AtMost),
        token(">=").value(Operator::AtLeast),
        token("<").value(Operator::Less),
        token(">").value(Operator::Greater),
        token("==").value(Operator::Equal),
        token("=").value(Operator::Equal),
    ))
    .parse_next(input)
}

fn field(input: &mut Input<'_>) -> Parsed<Field> {
    const FIELDS: &str = "one of attribute.KEY, payload[.PATH], header.NAME, age, attempts, source, id, key, size, published, scheduled, url, \
                          method, status expected";
    let start = *input;
    let word = take_while(1.., |c: char| c.is_ascii_alphabetic() || c == '_').context(want(FIELDS)).parse_next(input)?;
    Ok(match word {
        "attribute" | "attributes" => Field::Attribute(cut_err(preceded('.', name)).context(want("`.KEY` expected")).parse_next(input)?),
        "header" => Field::Header(cut_err(preceded('.', name)).context(want("`.NAME` expected")).parse_next(input)?),
        "payload" | "body" => Field::Payload(repeat(0.., step).parse_next(input)?),
        "age" => Field::Age,
        "attempts" => Field::Attempts,
        "source" => Field::Source,
        "id" => Field::Id,
        "key" | "ordering_key" => Field::Key,
        "size" => Field::Size,
        "published" | "created" => Field::Published,
        "scheduled" => Field::Scheduled,
        "url" => Field::Url,
        "method" => Field::Method,
        "status" => Field::Status,
        _ => {
            *input = start;
            return cut_err(fail.context(want(FIELDS))).parse_next(input);
        }
    })
}

fn step(input: &mut Input<'_>) -> Parsed<Step> {
    alt((
        preceded('.', cut_err(name).context(want("a member's name expected"))).map(Step::Member),
        delimited('[', cut_err(take_while(1.., |c: char| c.is_ascii_digit()).parse_to()), cut_err(']'))
            .context(want("`[INDEX]` expected"))
            .map(Step::Element),
    ))
    .parse_next(input)
}

/// A key: quoted, or of letters, digits, `_` and `-`.
fn name(input: &mut Input<'_>) -> Parsed<String> {
    alt((quoted, take_while(1.., |c: char| c.is_alphanumeric() || c == '_' || c == '-').map(str::to_owned))).parse_next(input)
}

/// Text in single or double quotes; a backslash takes the next character as it is, `\n` and `\t` are what they are elsewhere.
fn quoted(input: &mut Input<'_>) -> Parsed<String> {
    let quote = one_of(['"', '\'']).parse_next(input)?;
    let mut text = String::new();
    loop {
        match cut_err(any).context(want("the closing quote expected")).parse_next(input)? {
            '\\' => text.push(match cut_err(any).context(want("a character after `\\` expected")).parse_next(input)? {
                'n' => '\n',
                't' => '\t',
                c => c,
            }),
            c if c == quote => return Ok(text),
            c => text.push(c),
        }
    }
}

/// A regular expression in quotes; a backslash stays as it is, only `\"` ends up as the quote itself.
fn pattern(input: &mut Input<'_>) -> Parsed<regex::Regex> {
    let start = *input;
    let quote = one_of(['"', '\'']).context(want("a regular expression in quotes expected")).parse_next(input)?;
    let mut text = String::new();
    loop {
        match cut_err(any).context(want("the closing quote expected")).parse_next(input)? {
            '\\' => match cut_err(any).context(want("a character after `\\` expected")).parse_next(input)? {
                c if c == quote => text.push(c),
                c => text.extend(['\\', c]),
            },
            c if c == quote => break,
            c => text.push(c),
        }
    }
    multispace0.parse_next(input)?;
    if let Ok(pattern) = RegexBuilder::new(&text).size_limit(PATTERN_BYTES_MAX).build() {
        return Ok(pattern);
    }
    *input = start;
    cut_err(fail.context(want("not a regular expression (syntax of Rust's `regex`)"))).parse_next(input)
}

/// A value; a field that is always a span or a number says so when it is compared with something else.
fn literal_for<'a>(field: &Field) -> impl FnMut(&mut Input<'a>) -> Parsed<Literal> {
    let expected = match field {
        Field::Age => "a span such as `90s`, `2h` or `1d12h` expected",
        Field::Attempts | Field::Size | Field::Status => "a number expected",
        Field::Published | Field::Scheduled => "a time such as \"2026-11-21T06:00:00Z\" in quotes expected",
        _ => "a value expected: text in quotes, a number, a span such as `2h`, true, false or null",
    };
    let fits: fn(&Literal) -> bool = match field {
        Field::Age => |literal| matches!(literal, Literal::Span(_) | Literal::Null),
        Field::Attempts | Field::Size | Field::Status => |literal| matches!(literal, Literal::Number(_) | Literal::Null),
        Field::Published | Field::Scheduled => |literal| match literal {
            Literal::Text(text) => text.parse::<jiff::Timestamp>().is_ok(),
            literal => *literal == Literal::Null,
        },
        _ => |_| true,
    };
    move |input| {
        let start = *input;
        let literal = literal.context(want(expected)).parse_next(input)?;
        if fits(&literal) {
            return Ok(literal);
        }
        *input = start;
        fail.context(want(expected)).parse_next(input)
    }
}

fn literal(input: &mut Input<'_>) -> Parsed<Literal> {
    let value = alt((quoted.map(Literal::Text), span.map(Literal::Span), number.map(Literal::Number), word)).parse_next(input)?;
    multispace0.parse_next(input)?;
    Ok(value)
}

fn word(input: &mut Input<'_>) -> Parsed<Literal> {
    let text = take_while(1.., |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':')).parse_next(input)?;
    Ok(match text {
        "true" => Literal::Bool(true),
        "false" => Literal::Bool(false),
        "null" => Literal::Null,
        text => Literal::Text(text.to_owned()),
    })
}

fn number(input: &mut Input<'_>) -> Parsed<Number> {
    let text = take_while(1.., |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E'));
    let found = text.verify_map(Number::read).parse_next(input)?;
    boundary(input).map(|()| found)
}

/// `90s`, `1d12h`, `250ms`.
fn span(input: &mut Input<'_>) -> Parsed<SignedDuration> {
    let part = |input: &mut Input<'_>| -> Parsed<SignedDuration> {
        let count: i64 = take_while(1..=12, |c: char| c.is_ascii_digit()).parse_to().parse_next(input)?;
        let unit_ms: i64 =
            alt(("ms".value(1), "s".value(1_000), "m".value(60_000), "h".value(3_600_000), "d".value(86_400_000), "w".value(604_800_000)))
                .parse_next(input)?;
        count.checked_mul(unit_ms).map(SignedDuration::from_millis).map_or_else(|| fail.parse_next(input), Ok)
    };
    let parts: Vec<SignedDuration> = repeat(1..=6, part).parse_next(input)?;
    boundary(input)?;
    parts.into_iter().try_fold(SignedDuration::ZERO, SignedDuration::checked_add).map_or_else(|| fail.parse_next(input), Ok)
}

/// What was read must not go on as a word.
fn boundary(input: &mut Input<'_>) -> Parsed<()> {
    if input.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':')) {
        fail.parse_next(input)
    } else {
        Ok(())
    }
}

/// A word of the language in any case, with the blanks behind it.
fn keyword<'a>(word: &'static str) -> impl Parser<Input<'a>, (), winnow::error::ErrMode<ContextError>> {
    move |input: &mut Input<'a>| {
        let found = take_while(1.., |c: char| c.is_alphanumeric() || c == '_' || c == '.').parse_next(input)?;
        if !found.eq_ignore_ascii_case(word) {
            return fail.parse_next(input);
        }
        multispace0.void().parse_next(input)
    }
}

/// A sign with the blanks behind it.
fn token<'a>(sign: &'static str) -> impl Parser<Input<'a>, (), winnow::error::ErrMode<ContextError>> {
    (sign, multispace0).void()
}
