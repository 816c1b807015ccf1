//! Pub/Sub subscription filters: read, evaluated on attributes, written back. Pure; knows no message and no service.
//!
//! The grammar is the documented one: `attributes:KEY`, `attributes.KEY = "v"`, `attributes.KEY != "v"`, `hasPrefix(attributes.KEY, "v")`,
//! `AND`, `OR`, `NOT` or `-`, parentheses; keys of other than letters, digits, `-` and `_` are quoted. `AND` and `OR` are mixed only with
//! parentheses. `!=` also matches a message without the key (so does Google's own fake, `pstest`).

mod parse;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The longest filter Pub/Sub accepts, in bytes.
pub const FILTER_BYTES_MAX: usize = 256;

/// A parsed subscription filter.
///
/// ```
/// use redrive::model::filter::Filter;
///
/// let filter: Filter = r#"attributes.kind = "order" AND NOT attributes:test"#.parse()?;
/// let mut attributes = std::collections::BTreeMap::from([("kind".to_owned(), "order".to_owned())]);
/// assert!(filter.matches(&attributes));
/// attributes.insert("test".into(), String::new());
/// assert!(!filter.matches(&attributes));
/// # Ok::<(), redrive::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(Condition);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    Has(String),
    Equals(String, String),
    Differs(String, String),
    Prefix(String, String),
    Not(Box<Condition>),
    /// At least two, joined by `AND`.
    All(Vec<Condition>),
    /// At least two, joined by `OR`.
    Any(Vec<Condition>),
}

impl Filter {
    /// Tells whether a message with these attributes passes.
    pub fn matches(&self, attributes: &BTreeMap<String, String>) -> bool {
        self.0.holds(attributes)
    }
}

impl Condition {
    fn holds(&self, attributes: &BTreeMap<String, String>) -> bool {
        match self {
            Self::Has(key) => attributes.contains_key(key),
            Self::Equals(key, value) => attributes.get(key) == Some(value),
            Self::Differs(key, value) => attributes.get(key) != Some(value),
            Self::Prefix(key, prefix) => attributes.get(key).is_some_and(|value| value.starts_with(prefix.as_str())),
            Self::Not(inner) => !inner.holds(attributes),
            Self::All(parts) => parts.iter().all(|part| part.holds(attributes)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(attributes)),
        }
    }
}

impl FromStr for Filter {
    type Err = Error;

    /// Reads a filter.
    ///
    /// # Errors
    ///
    /// Fails with an invalid-input error that names the column (1 is the first character) and what is wrong there.
    fn from_str(text: &str) -> Result<Self> {
        if text.len() > FILTER_BYTES_MAX {
            return Err(Error::invalid(format!("a filter has at most {FILTER_BYTES_MAX} bytes, this one has {}", text.len())));
        }
        parse::condition(text).map(Self)
    }
}

impl fmt::Display for Filter {
    /// Writes the filter so that it reads back as the same one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Has(key) => write!(f, "attributes:{}", Key(key)),
            Self::Equals(key, value) => write!(f, "attributes.{} = {}", Key(key), Quoted(value)),
            Self::Differs(key, value) => write!(f, "attributes.{} != {}", Key(key), Quoted(value)),
            Self::Prefix(key, value) => write!(f, "hasPrefix(attributes.{}, {})", Key(key), Quoted(value)),
            Self::Not(inner) => write!(f, "NOT {}", Inner(inner)),
            Self::All(parts) => joined(parts, " AND ", f),
            Self::Any(parts) => joined(parts, " OR ", f),
        }
    }
}

fn joined(parts: &[Condition], with: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(with)?;
        }
        write!(f, "{}", Inner(part))?;
    }
    Ok(())
}

/// A condition inside another one: in parentheses when it is made of several.
struct Inner<'a>(&'a Condition);

impl fmt::Display for Inner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if matches!(self.0, Condition::All(_) | Condition::Any(_)) { write!(f, "({})", self.0) } else { self.0.fmt(f) }
    }
}

/// A key, quoted where it must be.
struct Key<'a>(&'a str);

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = self.0.starts_with(parse::begins_bare) && self.0.chars().all(parse::is_bare);
        if bare { f.write_str(self.0) } else { Quoted(self.0).fmt(f) }
    }
}

struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
