//! Everything the command line says: data on one writer, everything else on the other.
//!
//! The only place that writes. What comes from messages, tasks and servers is escaped here: tables and lines by [`text`], JSON and YAML by
//! escapes of their own that keep the value.

mod cells;
mod structured;
mod table;

use std::io::{self, Write};

use clap::ValueEnum;
use jiff::Timestamp;
use serde_json::Value;

pub(crate) use cells::{age, ago, dash, measured, moment};
pub(crate) use structured::extended;
use structured::{json_line, json_pretty, yaml};
pub(crate) use table::{Column, left, right};

use crate::error::{Error, Result};
use crate::model::listing::Listing;
use crate::model::text;

/// How data is written to stdout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns for people
    #[default]
    Table,
    /// One JSON document: an array for lists
    Json,
    /// One JSON document a line
    Jsonl,
    /// YAML
    Yaml,
}

/// Something that is listed: a line of a table, and a JSON document.
pub(crate) trait Row {
    /// The table's columns.
    const COLUMNS: &'static [Column];

    /// One text a column; escaped by the table.
    fn cells(&self, now: Timestamp) -> Vec<String>;

    /// Google's own JSON of the resource, with what we add under keys that begin with `redrive`.
    fn json(&self) -> Value;
}

/// The two writers, and how to write to them.
pub struct Output<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    format: Format,
    quiet: bool,
    /// The reader of stdout has gone (`| head`): nothing more is written there, and that is no error.
    closed: bool,
}

impl<'a> Output<'a> {
    /// Makes an output of stdout (or what takes its place), stderr and the user's wishes.
    pub fn new(out: &'a mut dyn Write, err: &'a mut dyn Write, format: Format, quiet: bool) -> Self {
        Self { out, err, format, quiet, closed: false }
    }

    /// Returns the format asked for.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Tells whether information for people was switched off.
    pub(crate) fn quiet(&self) -> bool {
        self.quiet
    }

    /// Writes a list of resources; what could not be listed goes to stderr.
    pub(crate) fn list<T, R: Row>(&mut self, listing: &Listing<T>, rows: &[R], now: Timestamp) -> Result<()> {
        self.rows(rows, now)?;
        if listing.truncated {
            self.note(&format!("there are more than the {} shown", rows.len()));
        }
        for (place, error) in &listing.failed {
            self.warn(&format!("{place}: {error}"));
            self.hint(error);
        }
        Ok(())
    }

    /// Writes rows in the format asked for.
    pub(crate) fn rows<R: Row>(&mut self, rows: &[R], now: Timestamp) -> Result<()> {
        match self.format {
            Format::Table if rows.is_empty() => {
                self.note("nothing found");
                Ok(())
            }
            Format::Table => self.data(&table::render(R::COLUMNS, rows.iter().map(|row| row.cells(now)))),
            Format::Jsonl => rows.iter().try_for_each(|row| self.value(&row.json())),
            Format::Json | Format::Yaml => self.value(&Value::Array(rows.iter().map(Row::json).collect())),
        }
    }

    /// Writes one document: as YAML where a table was asked for, since a table of one row hides more than it shows.
    pub(crate) fn value(&mut self, value: &Value) -> Result<()> {
        let text = match self.format {
            Format::Json => json_pretty(value),
            Format::Jsonl => json_line(value),
            Format::Table | Format::Yaml => yaml(value),
        };
        self.data(&text)
    }

    /// Writes one document unless a table was asked for: what an action answers is of interest to programs only.
    pub(crate) fn answer(&mut self, value: &Value) -> Result<()> {
        if self.format == Format::Table { Ok(()) } else { self.value(value) }
    }

    /// Writes text that is already fit for a terminal to stdout.
    pub(crate) fn data(&mut self, text: &str) -> Result<()> {
        if self.closed {
            return Ok(());
        }
        match self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            other => other.map_err(|error| Error::from(error).context("cannot write to stdout")),
        }
    }

    /// Says something to people, unless they asked for quiet.
    pub(crate) fn note(&mut self, words: &str) {
        if !self.quiet {
            self.say(words);
        }
    }

    /// Warns people.
    pub(crate) fn warn(&mut self, words: &str) {
        self.say(&format!("warning: {words}"));
    }

    /// Says what failed and what to do about it.
    pub fn error(&mut self, error: &Error) {
        self.say(&format!("error: {error}"));
        self.hint(error);
    }

    /// Asks without a line break.
    pub(crate) fn ask(&mut self, question: &str) {
        let _ = write!(self.err, "{} ", text::line(question)).and_then(|()| self.err.flush());
    }

    fn hint(&mut self, error: &Error) {
        if let Some(hint) = error.hint() {
            self.say(&format!("hint: {hint}"));
        }
    }

    /// A stderr that cannot be written to leaves nobody to tell: ignored.
    fn say(&mut self, words: &str) {
        let _ = writeln!(self.err, "{}", text::lines(words)).and_then(|()| self.err.flush());
    }
}

#[cfg(test)]
mod tests;
