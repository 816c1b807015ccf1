//! The reader of filters: recursive descent over characters; depth is bounded by the filter's length.

use super::Condition;
use crate::error::{Error, Result};

/// Reads a whole filter.
pub(super) fn condition(text: &str) -> Result<Condition> {
    let mut parser = Parser { text, at: 0 };
    let condition = parser.expression()?;
    parser.skip_blanks();
    if parser.at < text.len() {
        return Err(parser.expected("`AND`, `OR` or the end"));
    }
    Ok(condition)
}

/// Tells whether a key without quotes may contain this character.
pub(super) fn is_bare(c: char) -> bool {
    begins_bare(c) || c == '-'
}

/// Tells whether a key without quotes may begin with this character.
pub(super) fn begins_bare(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

struct Parser<'a> {
    text: &'a str,
    /// Byte offset of what is read next; always at a character's start.
    at: usize,
}

impl<'a> Parser<'a> {
    /// `term (AND term)*` or `term (OR term)*`.
    fn expression(&mut self) -> Result<Condition> {
        let mut parts = vec![self.term()?];
        let mut joint = None;
        while let Some(word) = ["AND", "OR"].into_iter().find(|word| self.peek_word() == *word) {
            if *joint.get_or_insert(word) != word {
                return Err(self.wrong("`AND` and `OR` are combined with parentheses only"));
            }
            self.at += word.len();
            parts.push(self.term()?);
        }
        Ok(match joint {
            Some("AND") => Condition::All(parts),
            Some(_) => Condition::Any(parts),
            None => parts.remove(0),
        })
    }

    /// A factor, perhaps negated.
    fn term(&mut self) -> Result<Condition> {
        self.skip_blanks();
        if self.take("-") {
            return Ok(Condition::Not(Box::new(self.term()?)));
        }
        match self.peek_word() {
            "NOT" => {
                self.at += "NOT".len();
                Ok(Condition::Not(Box::new(self.term()?)))
            }
            "hasPrefix" => {
                self.at += "hasPrefix".len();
                self.prefix()
            }
            "attributes" => {
                self.at += "attributes".len();
                self.comparison()
            }
            _ if self.take("(") => {
                let inner = self.expression()?;
                self.require(")", "`)`")?;
                Ok(inner)
            }
            _ => Err(self.expected("`attributes`, `hasPrefix`, `NOT` or `(`")),
        }
    }

    /// `(attributes.KEY, "prefix")`.
    fn prefix(&mut self) -> Result<Condition> {
        self.require("(", "`(`")?;
        if self.peek_word() != "attributes" {
            return Err(self.expected("`attributes`"));
        }
        self.at += "attributes".len();
        self.require(".", "`.`")?;
        let key = self.key()?;
        self.require(",", "`,`")?;
        let value = self.string()?;
        self.require(")", "`)`")?;
        Ok(Condition::Prefix(key, value))
    }

    /// `:KEY`, `.KEY = "v"` or `.KEY != "v"`.
    fn comparison(&mut self) -> Result<Condition> {
        if self.take(":") {
            return Ok(Condition::Has(self.key()?));
        }
        self.require(".", "`:` or `.`")?;
        let key = self.key()?;
        if self.take("=") {
            return Ok(Condition::Equals(key, self.string()?));
        }
        self.require("!=", "`=` or `!=`")?;
        Ok(Condition::Differs(key, self.string()?))
    }

    fn key(&mut self) -> Result<String> {
        self.skip_blanks();
        let rest = self.rest();
        if rest.starts_with(['"', '\'']) {
            return self.string();
        }
        if !rest.starts_with(begins_bare) {
            return Err(self.expected("a key (in quotes unless it is made of letters, digits, `-` and `_`)"));
        }
        let end = rest.find(|c| !is_bare(c)).unwrap_or(rest.len());
        self.at += end;
        Ok(rest[..end].to_owned())
    }

    fn string(&mut self) -> Result<String> {
        self.skip_blanks();
        let Some(quote) = self.rest().chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            return Err(self.expected("a string in quotes"));
        };
        let begin = self.at;
        self.at += 1;
        let mut value = String::new();
        loop {
            match self.next() {
                Some(c) if c == quote => return Ok(value),
                Some('\\') => value.push(self.escape()?),
                Some(c) => value.push(c),
                None => {
                    self.at = begin;
                    return Err(self.wrong("the string has no closing quote"));
                }
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<char> {
        let begin = self.at;
        let c = match self.next() {
            Some(c @ ('"' | '\'' | '\\' | '`' | '?')) => Some(c),
            Some('a') => Some('\u{7}'),
            Some('b') => Some('\u{8}'),
            Some('f') => Some('\u{c}'),
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some('v') => Some('\u{b}'),
            Some('x') => self.code(2, 16),
            Some('u') => self.code(4, 16),
            Some('U') => self.code(8, 16),
            Some('0'..='7') => {
                self.at = begin;
                self.code(3, 8)
            }
            _ => None,
        };
        c.ok_or_else(|| {
            self.at = begin;
            self.wrong("no such escape sequence")
        })
    }

    /// Exactly so many digits, as a character.
    fn code(&mut self, digits: usize, radix: u32) -> Option<char> {
        let digits = self.rest().get(..digits).filter(|digits| digits.chars().all(|c| c.is_digit(radix)))?;
        self.at += digits.len();
        char::from_u32(u32::from_str_radix(digits, radix).ok()?)
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest().chars().next()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// The letters that come next, after blanks.
    fn peek_word(&mut self) -> &'a str {
        self.skip_blanks();
        let rest = self.rest();
        &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())]
    }

    fn take(&mut self, sign: &str) -> bool {
        self.skip_blanks();
        let found = self.rest().starts_with(sign);
        if found {
            self.at += sign.len();
        }
        found
    }

    fn require(&mut self, sign: &str, what: &str) -> Result<()> {
        if self.take(sign) { Ok(()) } else { Err(self.expected(what)) }
    }

    fn expected(&self, what: &str) -> Error {
        self.wrong(&format!("expected {what}"))
    }

    fn wrong(&self, what: &str) -> Error {
        let column = self.text[..self.at].chars().count() + 1;
        Error::invalid(format!("filter, column {column}: {what}"))
            .with_hint(r#"a filter looks like `attributes.kind = "order" AND NOT attributes:test`"#)
    }
}
