//! The one table: draws the visible rows of a list and nothing else.

use std::borrow::Cow;

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::console::app::{App, Column, Table, Value};
use crate::console::geometry;
use crate::console::theme::{Role, State, Theme};
use crate::console::widget::spark::{bar, spark};
use crate::console::widget::text::{put, put_right, width};

/// Cells before the first column: cursor, mark, state, a gap.
const GUTTER: u16 = 4;
/// Cells between columns.
const GAP: u16 = 2;
/// A sparkline is this wide.
const SPARK_WIDTH: u16 = 10;
/// Text columns are not squeezed below this.
const TEXT_WIDTH_MIN: u16 = 16;
/// Text columns of this width can be read.
const TEXT_WIDTH_READABLE: u16 = 26;
/// Columns from this rank on go before others are squeezed.
const RANK_SPARE: u8 = 4;

/// A column that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shown {
    index: usize,
    x: u16,
    width: u16,
}

/// Draws a table into `area`, its heading in the first line.
pub(crate) fn draw(app: &App, table: &dyn Table, theme: &Theme, buffer: &mut Buffer, area: Rect) {
    if area.height < 2 || area.width <= GUTTER {
        return;
    }
    let shown = layout(app, table, area);
    heading(table, theme, buffer, area, &shown);
    let rows = Rect { y: area.y + 1, height: area.height - 1, ..area };
    for line in 0..rows.height {
        let index = table.top() + usize::from(line);
        if index >= table.len() {
            break;
        }
        row(app, table, theme, buffer, Rect { y: rows.y + line, height: 1, ..rows }, index, &shown);
    }
    scrollbar(table, theme, buffer, rows);
}

/// Finds the column whose heading is at `x`.
pub(crate) fn column_at(app: &App, table: &dyn Table, x: u16) -> Option<usize> {
    let area = geometry::table_area(app);
    layout(app, table, area).into_iter().find(|shown| x >= shown.x && x < shown.x + shown.width + GAP).map(|shown| shown.index)
}

fn visible(table: &dyn Table, area: Rect) -> std::ops::Range<usize> {
    table.top()..(table.top() + usize::from(area.height.saturating_sub(1))).min(table.len())
}

/// Chooses the columns that fit, and their widths: by rank, then by what the visible cells need.
fn layout(app: &App, table: &dyn Table, area: Rect) -> Vec<Shown> {
    let now = app.now();
    let room = area.width.saturating_sub(GUTTER + 1);
    let mut wanted: Vec<(usize, &Column, u16, u16)> = Vec::new();
    for (index, column) in table.columns().iter().enumerate() {
        if column.rank >= Column::WIDE && !app.wide() {
            continue;
        }
        let title = heading_width(table, index, column);
        let cells = visible(table, area).map(|row| cell_width(&table.value(row, index), now)).max().unwrap_or(0);
        if column.title.is_empty() && cells == 0 {
            continue;
        }
        let natural = cells.min(column.max).max(title);
        let least = if column.right { natural } else { natural.min(TEXT_WIDTH_MIN.max(title)) };
        wanted.push((index, column, least, natural));
    }
    let total = |all: &[(usize, &Column, u16, u16)]| all.iter().map(|one| one.2 + GAP).sum::<u16>().saturating_sub(GAP);
    // First the least needed columns go so that the others can be read, then as many as must.
    let readable = |all: &[(usize, &Column, u16, u16)]| {
        all.iter().map(|one| one.3.min(TEXT_WIDTH_READABLE.max(one.2)) + GAP).sum::<u16>().saturating_sub(GAP)
    };
    while readable(&wanted) > room {
        let spare = wanted
            .iter()
            .enumerate()
            .filter(|(_, one)| one.1.rank >= RANK_SPARE && one.1.rank < Column::WIDE)
            .max_by_key(|(at, one)| (one.1.rank, *at));
        let Some(at) = spare.map(|(at, _)| at) else { break };
        wanted.remove(at);
    }
    while total(&wanted) > room {
        let Some(at) =
            wanted.iter().enumerate().filter(|(_, one)| one.1.rank > 0).max_by_key(|(at, one)| (one.1.rank, *at)).map(|(at, _)| at)
        else {
            break;
        };
        wanted.remove(at);
    }
    while total(&wanted) > room {
        let Some(widest) = wanted.iter_mut().max_by_key(|one| one.2).filter(|one| one.2 > 4) else { break };
        widest.2 -= 1;
    }
    // What is left goes cell by cell to the narrowest that wants more.
    for _ in 0..room.saturating_sub(total(&wanted)) {
        let Some(narrowest) = wanted.iter_mut().filter(|one| one.2 < one.3).min_by_key(|one| one.2) else { break };
        narrowest.2 += 1;
    }
    let mut x = area.x + GUTTER;
    wanted
        .into_iter()
        .map(|(index, _, width, _)| {
            let shown = Shown { index, x, width };
            x += width + GAP;
            shown
        })
        .collect()
}

fn heading_width(table: &dyn Table, index: usize, column: &Column) -> u16 {
    let sorted = table.sort().is_some_and(|sort| sort.column == index);
    width(column.title) + if sorted { 2 } else { 0 }
}

fn cell_width(value: &Value<'_>, now: Timestamp) -> u16 {
    /// A bar beside `702 / 988`.
    const BAR_WIDTH: u16 = 11;
    match value {
        Value::Series(points) if points.is_empty() => 0,
        Value::Series(_) => SPARK_WIDTH,
        Value::Progress(..) => width(&value.show(now)) + BAR_WIDTH,
        value => width(&value.show(now)),
    }
}

fn heading(table: &dyn Table, theme: &Theme, buffer: &mut Buffer, area: Rect, shown: &[Shown]) {
    for one in shown {
        let column = &table.columns()[one.index];
        let sort = table.sort().filter(|sort| sort.column == one.index);
        let (text, role) = match sort {
            Some(sort) => (format!("{} {}", column.title, if sort.descending { "↓" } else { "↑" }), Role::TableHeaderSort),
            None => (column.title.to_owned(), Role::TableHeader),
        };
        if column.right {
            put_right(buffer, one.x, area.y, one.width, &text, theme.get(role));
        } else {
            put(buffer, one.x, area.y, one.width, &text, theme.get(role));
        }
    }
}

fn row(app: &App, table: &dyn Table, theme: &Theme, buffer: &mut Buffer, line: Rect, index: usize, shown: &[Shown]) {
    let cursor = index == table.cursor();
    let pending = app.pending(table.key(index));
    let state = if pending.is_some() { State::Pending } else { table.state(index) };
    let base = match (cursor, index % 2) {
        (true, _) => theme.get(Role::TableCursor),
        (false, 1) => theme.get(Role::TableRowAlt),
        (false, _) => Style::new(),
    };
    buffer.set_style(line, base);
    if cursor {
        put(buffer, line.x, line.y, 1, "▸", base);
    }
    if table.is_marked(index) {
        put(buffer, line.x + 1, line.y, 1, "+", base.patch(fg_only(theme.get(Role::TableMark))));
    }
    put(buffer, line.x + 2, line.y, 1, theme.glyphs.state(state), base.patch(fg_only(theme.get(state.role()))));
    let mut said = false;
    for one in shown {
        let value = table.value(index, one.index);
        let (value, tone) = match (pending, &value) {
            (Some(text), Value::State(..)) => {
                said = true;
                (Value::State(State::Pending, Cow::Borrowed(text)), Some(Role::StatePending))
            }
            _ => (value, table.tone(index, one.index)),
        };
        let tone = if table.is_marked(index) && tone.is_none() { Some(Role::TableMark) } else { tone };
        let style = tone.map_or(base, |role| base.patch(fg_only(theme.get(role))));
        cell(app, table, theme, buffer, line.y, *one, &value, style);
    }
    if let Some(text) = pending.filter(|_| !said) {
        let at = shown.last().map_or(line.x + GUTTER, |last| last.x);
        let style = base.patch(fg_only(theme.get(Role::StatePending)));
        put(buffer, at, line.y, line.right().saturating_sub(at), &format!("{text} "), style);
    }
}

/// On the cursor's line a role gives its letters only: the background is the cursor's.
fn fg_only(style: Style) -> Style {
    Style { bg: None, ..style }
}

#[expect(clippy::too_many_arguments, reason = "one cell: where, what and how; a struct for one call would say no more")]
fn cell(app: &App, table: &dyn Table, theme: &Theme, buffer: &mut Buffer, y: u16, shown: Shown, value: &Value<'_>, style: Style) {
    let column = &table.columns()[shown.index];
    match value {
        Value::Series(points) => {
            let style = style.patch(fg_only(theme.get(Role::Chart1)));
            put(buffer, shown.x, y, shown.width, &spark(points, usize::from(shown.width.min(SPARK_WIDTH)), theme.glyphs), style);
        }
        Value::Progress(done, all) => {
            let text = value.show(app.now());
            let room = shown.width.saturating_sub(width(&text) + 1).min(10);
            let used = put(buffer, shown.x, y, room, &bar(*done, *all, room, theme.glyphs), style);
            put(buffer, shown.x + used + u16::from(used > 0), y, shown.width.saturating_sub(used), &text, style);
        }
        value => {
            let text = value.show(app.now());
            if column.right {
                put_right(buffer, shown.x, y, shown.width, &text, style);
            } else {
                put(buffer, shown.x, y, shown.width, &text, style);
                highlight(table, theme, buffer, y, shown, &text);
            }
        }
    }
}

/// Makes the text that was asked for stand out.
fn highlight(table: &dyn Table, theme: &Theme, buffer: &mut Buffer, y: u16, shown: Shown, text: &str) {
    for needle in table.filter().needles() {
        let safe = crate::model::text::line(text).to_ascii_lowercase();
        let Some(at) = safe.find(needle) else { continue };
        let from = width(&safe[..at]);
        let length = width(needle).min(shown.width.saturating_sub(from));
        buffer.set_style(Rect { x: shown.x + from.min(shown.width), y, width: length, height: 1 }, fg_only(theme.get(Role::TableMatch)));
    }
}

fn scrollbar(table: &dyn Table, theme: &Theme, buffer: &mut Buffer, rows: Rect) {
    let (height, len) = (usize::from(rows.height), table.len());
    if len <= height || height == 0 {
        return;
    }
    let thumb = (height * height / len).max(1);
    let span = len - height;
    let start = (table.top() * (height - thumb) + span / 2) / span;
    for line in 0..rows.height {
        let inside = (start..start + thumb).contains(&usize::from(line));
        put(
            buffer,
            rows.right() - 1,
            rows.y + line,
            1,
            if inside { "█" } else { "│" },
            theme.get(if inside { Role::Scrollbar } else { Role::Border }),
        );
    }
}
