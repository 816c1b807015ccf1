//! Boxes with titles, dialogs in the middle, buttons, text fields.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::widgets::{Block, Clear, Widget};
use tui_input::Input;

use crate::console::theme::{Role, Theme};
use crate::console::widget::text::{put, width};

/// Draws a box with a title and returns what is inside of it.
pub(crate) fn panel(buffer: &mut Buffer, theme: &Theme, area: Rect, title: &str, border: Role, title_role: Role) -> Rect {
    if area.width < 2 || area.height < 2 {
        return Rect { width: 0, height: 0, ..area };
    }
    let block = Block::bordered().border_set(theme.glyphs.border()).border_style(theme.get(border));
    let inner = block.inner(area);
    block.render(area, buffer);
    if !title.is_empty() && area.width > 6 {
        let text = format!(" {title} ");
        put(buffer, area.x + 2, area.y, area.width - 4, &text, theme.get(title_role));
    }
    inner
}

/// Clears a place in the middle of `area` for a dialog, draws its frame, and returns what is inside, with a margin.
pub(crate) fn dialog(buffer: &mut Buffer, theme: &Theme, area: Rect, size: (u16, u16), title: &str, danger: bool) -> Rect {
    let (wide, high) = (size.0.min(area.width), size.1.min(area.height));
    let place = Rect { x: area.x + (area.width - wide) / 2, y: area.y + (area.height - high) / 2, width: wide, height: high };
    Clear.render(place, buffer);
    buffer.set_style(place, theme.base().patch(theme.get(Role::Dialog)));
    let (border, title_role) = if danger { (Role::DialogDanger, Role::DialogDanger) } else { (Role::BorderFocus, Role::Title) };
    let inner = panel(buffer, theme, place, title, border, title_role);
    Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
}

/// Draws buttons from the right edge of a line; the focused one stands out.
pub(crate) fn buttons(buffer: &mut Buffer, theme: &Theme, line: Rect, labels: &[&str], focus: Option<usize>) {
    let total: u16 =
        labels.iter().map(|label| width(label) + 4).sum::<u16>() + u16::try_from(labels.len().saturating_sub(1)).unwrap_or(0) * 2;
    let mut x = line.right().saturating_sub(total).max(line.x);
    for (index, label) in labels.iter().enumerate() {
        let focused = focus == Some(index);
        let style = theme.get(if focused { Role::ButtonFocus } else { Role::Button });
        // The focus is shown by brackets too, not by colour alone.
        let text = if focused { format!("[ {label} ]") } else { format!("  {label}  ") };
        x += put(buffer, x, line.y, line.right().saturating_sub(x), &text, style) + 2;
    }
}

/// Draws a text field of one line with its cursor.
pub(crate) fn field(buffer: &mut Buffer, theme: &Theme, line: Rect, input: &Input, focused: bool) {
    let style = theme.get(Role::Input);
    buffer.set_style(line, style);
    let chars: Vec<char> = input.value().chars().collect();
    let before: String = chars[..input.cursor().min(chars.len())].iter().collect();
    let rest: String = chars[input.cursor().min(chars.len())..].iter().collect();
    // What does not fit is cut on the left, so that the cursor stays in sight.
    let mut skip = 0;
    let indices: Vec<usize> = before.char_indices().map(|(index, _)| index).collect();
    while width(&before[indices.get(skip).copied().unwrap_or(before.len())..]) + 1 > line.width && skip < indices.len() {
        skip += 1;
    }
    let x = line.x + put(buffer, line.x, line.y, line.width, &before[indices.get(skip).copied().unwrap_or(before.len())..], style);
    put(buffer, x, line.y, line.right().saturating_sub(x), &rest, style);
    if focused && x < line.right() {
        cursor(buffer, x, line.y);
    }
}

/// Draws a cursor: reverse video, seen in every theme.
pub(crate) fn cursor(buffer: &mut Buffer, x: u16, y: u16) {
    if let Some(cell) = buffer.cell_mut((x, y)) {
        let style = cell.style().add_modifier(Modifier::REVERSED);
        cell.set_style(style);
    }
}
