//! What a row of a list is: cells by column, a key that survives a refresh, and how it fares.

use jiff::Timestamp;

use crate::console::app::value::Value;
use crate::console::theme::{Role, State};
use crate::model::numbers::Source;

/// One column of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    /// What it is called in a filter: `attempts>5`.
    pub(crate) id: &'static str,
    /// Its heading.
    pub(crate) title: &'static str,
    /// Cells are cut at this width; [`Column::FILL`] takes what is left.
    pub(crate) max: u16,
    /// Whether it is set to the right.
    pub(crate) right: bool,
    /// Who goes first when the screen is narrow: 0 never; from [`Column::WIDE`] on only shown on demand.
    pub(crate) rank: u8,
}

impl Column {
    /// The width that takes what the other columns leave.
    pub(crate) const FILL: u16 = u16::MAX;
    /// Columns of this rank are shown with `ctrl-w` only.
    pub(crate) const WIDE: u8 = 9;

    /// Makes a column of text.
    pub(crate) const fn text(id: &'static str, title: &'static str, max: u16, rank: u8) -> Self {
        Self { id, title, max, right: false, rank }
    }

    /// Makes a column of numbers, set to the right.
    pub(crate) const fn number(id: &'static str, title: &'static str, max: u16, rank: u8) -> Self {
        Self { id, title, max, right: true, rank }
    }
}

/// A row of a list.
pub(crate) trait Row: 'static {
    /// The columns, always in this order.
    const COLUMNS: &'static [Column];

    /// Names the row: equal across refreshes, unique in its list.
    fn key(&self) -> &str;

    /// Returns the cell of a column.
    fn value(&self, column: usize) -> Value<'_>;

    /// Tells how it fares.
    fn state(&self) -> State;

    /// Returns a role for a cell that should stand out.
    fn tone(&self, _column: usize) -> Option<Role> {
        None
    }

    /// Tells where its main number comes from, and when that was true.
    fn measured(&self) -> Option<(Source, Timestamp)> {
        None
    }
}
