//! The state of a list: rows, what is shown of them in which order, cursor, marks. One for all screens that list something.
//!
//! What is shown is a vector of indices, computed only when rows, filter or order change: a frame touches visible rows only.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::console::app::filter::Filter;
use crate::console::app::row::{Column, Row};
use crate::console::app::value::Value;
use crate::console::theme::{Role, State};
use crate::model::numbers::Source;

/// Rows with what is shown of them.
pub(crate) struct List<R> {
    rows: Vec<R>,
    shown: Vec<u32>,
    cursor: usize,
    top: usize,
    marks: HashSet<String>,
    anchor: Option<String>,
    /// Whether the cursor was put somewhere; until then it stays on the first row.
    placed: bool,
    filter: Filter,
    sort: Option<Sort>,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sort {
    /// By which column.
    pub(crate) column: usize,
    /// Whether the largest comes first.
    pub(crate) descending: bool,
}

impl<R: Row> List<R> {
    /// Makes an empty list, in the order its rows come in.
    pub(crate) fn new() -> Self {
        Self {
            rows: Vec::new(),
            shown: Vec::new(),
            cursor: 0,
            top: 0,
            marks: HashSet::new(),
            anchor: None,
            placed: false,
            filter: Filter::default(),
            sort: None,
        }
    }

    /// Makes an empty list sorted by the column `id`.
    pub(crate) fn sorted(id: &str, descending: bool) -> Self {
        let sort = R::COLUMNS.iter().position(|column| column.id == id).map(|column| Sort { column, descending });
        Self { sort, ..Self::new() }
    }

    /// Replaces the rows; cursor and marks stay with the rows of the same keys.
    pub(crate) fn set_rows(&mut self, rows: Vec<R>, now: Timestamp) {
        let at = self.selected().filter(|_| self.placed).map(|row| row.key().to_owned());
        self.rows = rows;
        if !self.marks.is_empty() {
            let mut kept: HashSet<String> = HashSet::new();
            kept.extend(self.rows.iter().map(Row::key).filter(|key| self.marks.contains(*key)).map(str::to_owned));
            self.marks = kept;
        }
        self.recompute(at.as_deref(), now);
    }

    /// Returns the row under the cursor.
    pub(crate) fn selected(&self) -> Option<&R> {
        self.row(self.cursor)
    }

    /// Returns the shown row at `index`.
    pub(crate) fn row(&self, index: usize) -> Option<&R> {
        self.shown.get(index).and_then(|row| self.rows.get(*row as usize))
    }

    /// Returns all rows, shown or not.
    pub(crate) fn all(&self) -> &[R] {
        &self.rows
    }

    /// Returns the rows shown, in their order.
    pub(crate) fn shown(&self) -> impl Iterator<Item = &R> {
        self.shown.iter().filter_map(|row| self.rows.get(*row as usize))
    }

    /// Returns the marked rows, those hidden by the filter included.
    pub(crate) fn marked(&self) -> impl Iterator<Item = &R> {
        self.rows.iter().filter(|row| self.marks.contains(row.key()))
    }

    fn recompute(&mut self, keep: Option<&str>, now: Timestamp) {
        let all = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        self.shown.clear();
        if self.filter.is_empty() {
            self.shown.extend(0..all);
        } else {
            self.shown.extend((0..all).filter(|index| self.filter.matches(&self.rows[*index as usize], now)));
        }
        if let Some(Sort { column, descending }) = self.sort {
            let rows = &self.rows;
            self.shown.sort_by(|a, b| {
                let (a, b) = (rows[*a as usize].value(column), rows[*b as usize].value(column));
                let order = a.order(&b);
                // What is not known comes last, whichever way.
                if descending && !a.is_missing() && !b.is_missing() { order.reverse() } else { order }
            });
        }
        let found = keep.and_then(|key| self.shown.iter().position(|row| self.rows[*row as usize].key() == key));
        self.cursor = found.unwrap_or(self.cursor).min(self.shown.len().saturating_sub(1));
        self.top = self.top.min(self.cursor);
    }
}

/// A list whatever its rows are: what the keys, the mouse and the table widget need.
pub(crate) trait Table {
    /// Returns how many rows are shown.
    fn len(&self) -> usize;
    /// Returns how many rows there are.
    fn total(&self) -> usize;
    /// Returns the columns.
    fn columns(&self) -> &'static [Column];
    /// Returns the key of a shown row.
    fn key(&self, index: usize) -> &str;
    /// Returns a cell of a shown row.
    fn value(&self, index: usize, column: usize) -> Value<'_>;
    /// Tells how a shown row fares.
    fn state(&self, index: usize) -> State;
    /// Returns the role of a cell that stands out.
    fn tone(&self, index: usize, column: usize) -> Option<Role>;
    /// Tells where a row's main number comes from.
    fn measured(&self, index: usize) -> Option<(Source, Timestamp)>;
    /// Returns the index of the row under the cursor.
    fn cursor(&self) -> usize;
    /// Returns the index of the first row on the screen.
    fn top(&self) -> usize;
    /// Puts the cursor on a row and scrolls so that it is within `height` rows.
    fn set_cursor(&mut self, index: usize, height: usize);
    /// Scrolls without moving the cursor more than needed.
    fn scroll(&mut self, by: isize, height: usize);
    /// Tells whether a shown row is marked.
    fn is_marked(&self, index: usize) -> bool;
    /// Returns how many rows are marked, and how many of these the filter hides.
    fn marked_counts(&self) -> (usize, usize);
    /// Marks the row under the cursor, or takes its mark off.
    fn toggle_mark(&mut self);
    /// Marks from the last marked row to the cursor.
    fn mark_range(&mut self);
    /// Takes all marks off.
    fn clear_marks(&mut self);
    /// Returns the filter.
    fn filter(&self) -> &Filter;
    /// Sets the filter.
    fn set_filter(&mut self, text: &str, now: Timestamp);
    /// Returns the order.
    fn sort(&self) -> Option<Sort>;
    /// Sets the order.
    fn set_sort(&mut self, sort: Option<Sort>, now: Timestamp);
}

impl<R: Row> Table for List<R> {
    fn len(&self) -> usize {
        self.shown.len()
    }

    fn total(&self) -> usize {
        self.rows.len()
    }

    fn columns(&self) -> &'static [Column] {
        R::COLUMNS
    }

    fn key(&self, index: usize) -> &str {
        self.row(index).map_or("", Row::key)
    }

    fn value(&self, index: usize, column: usize) -> Value<'_> {
        self.row(index).map_or(Value::None, |row| row.value(column))
    }

    fn state(&self, index: usize) -> State {
        self.row(index).map_or(State::Ok, Row::state)
    }

    fn tone(&self, index: usize, column: usize) -> Option<Role> {
        self.row(index).and_then(|row| row.tone(column))
    }

    fn measured(&self, index: usize) -> Option<(Source, Timestamp)> {
        self.row(index).and_then(Row::measured)
    }

    fn cursor(&self) -> usize {
        self.cursor
    }

    fn top(&self) -> usize {
        self.top
    }

    fn set_cursor(&mut self, index: usize, height: usize) {
        let to = index.min(self.shown.len().saturating_sub(1));
        self.placed |= to != self.cursor;
        self.cursor = to;
        let lowest_top = (self.cursor + 1).saturating_sub(height.max(1));
        self.top = self.top.clamp(lowest_top, self.cursor);
    }

    fn scroll(&mut self, by: isize, height: usize) {
        let last_top = self.shown.len().saturating_sub(height);
        self.top = self.top.saturating_add_signed(by).min(last_top);
        self.cursor = self.cursor.clamp(self.top, (self.top + height.max(1) - 1).min(self.shown.len().saturating_sub(1)).max(self.top));
    }

    fn is_marked(&self, index: usize) -> bool {
        !self.marks.is_empty() && self.marks.contains(self.key(index))
    }

    fn marked_counts(&self) -> (usize, usize) {
        if self.marks.is_empty() {
            return (0, 0);
        }
        let visible = self.shown().filter(|row| self.marks.contains(row.key())).count();
        (self.marks.len(), self.marks.len().saturating_sub(visible))
    }

    fn toggle_mark(&mut self) {
        let Some(key) = self.selected().map(|row| row.key().to_owned()) else { return };
        self.placed = true;
        if self.marks.remove(&key) {
            self.anchor = None;
        } else {
            self.anchor = Some(key.clone());
            self.marks.insert(key);
        }
    }

    fn mark_range(&mut self) {
        let anchor = self.anchor.as_deref().and_then(|key| self.shown().position(|row| row.key() == key)).unwrap_or(self.cursor);
        let range = anchor.min(self.cursor)..=anchor.max(self.cursor);
        let keys: Vec<String> = range.filter_map(|index| self.row(index)).map(|row| row.key().to_owned()).collect();
        self.marks.extend(keys);
        self.anchor = self.selected().map(|row| row.key().to_owned());
    }

    fn clear_marks(&mut self) {
        self.marks.clear();
        self.anchor = None;
    }

    fn filter(&self) -> &Filter {
        &self.filter
    }

    fn set_filter(&mut self, text: &str, now: Timestamp) {
        let at = self.selected().map(|row| row.key().to_owned());
        self.filter = Filter::parse(text, R::COLUMNS);
        self.recompute(at.as_deref(), now);
    }

    fn sort(&self) -> Option<Sort> {
        self.sort
    }

    fn set_sort(&mut self, sort: Option<Sort>, now: Timestamp) {
        let at = self.selected().map(|row| row.key().to_owned());
        self.sort = sort;
        self.recompute(at.as_deref(), now);
    }
}
