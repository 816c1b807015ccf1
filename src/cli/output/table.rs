//! Tables without borders: aligned by the width that characters have on a terminal, never wrapped, escaped.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets::NOTHING};

use crate::model::text;

/// Head of a column, and to which side it is aligned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    name: &'static str,
    right: bool,
}

/// Makes a column of text.
pub(crate) const fn left(name: &'static str) -> Column {
    Column { name, right: false }
}

/// Makes a column of numbers.
pub(crate) const fn right(name: &'static str) -> Column {
    Column { name, right: true }
}

/// Renders rows under their heads, one line each.
pub(super) fn render(columns: &[Column], rows: impl Iterator<Item = Vec<String>>) -> String {
    let cell = |(text, column): (&str, &Column)| {
        let alignment = if column.right { CellAlignment::Right } else { CellAlignment::Left };
        Cell::new(text::line(text)).set_alignment(alignment)
    };
    let mut table = Table::new();
    table.load_style(NOTHING).force_no_tty().set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|column| cell((column.name, column))));
    for row in rows {
        table.add_row(row.iter().map(String::as_str).zip(columns).map(cell));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().flat_map(|line| [line.trim_end().to_owned(), "\n".to_owned()]).collect()
}
