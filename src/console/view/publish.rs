//! The editor of a message.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui_textarea::TextArea;

use crate::console::app::{Field, Publish};
use crate::console::theme::{Role, State, Theme};
use crate::console::widget::boxes;
use crate::console::widget::text::{put, width};

/// Draws the editor.
pub(super) fn draw(publish: &Publish, theme: &Theme, buffer: &mut Buffer, area: Rect) {
    /// Lines of the attributes' field.
    const ATTRIBUTES_HEIGHT: u16 = 4;
    let size = (area.width.saturating_sub(6).min(100), area.height.saturating_sub(2));
    let inner = boxes::dialog(buffer, theme, area, size, &format!("publish to {}", publish.topic.id()), false);
    let payload_height = inner.height.saturating_sub(ATTRIBUTES_HEIGHT + 2 + 5);
    if payload_height < 1 {
        return;
    }
    let mut y = inner.y;
    let label = |buffer: &mut Buffer, y: u16, text: &str, field: Field| {
        let role = if publish.focus == field { Role::Accent } else { Role::HeaderLabel };
        put(buffer, inner.x, y, inner.width, text, theme.get(role));
    };
    label(buffer, y, "payload", Field::Payload);
    let (check, role, state) = match &publish.check {
        Ok(text) => (text, Role::StateOk, State::Ok),
        Err(text) => (text, Role::StateWarn, State::Warn),
    };
    let check = format!("{} {check}", theme.glyphs.state(state));
    put(buffer, inner.right().saturating_sub(width(&check)), y, width(&check), &check, theme.get(role));
    y += 1;
    editor(&publish.payload, publish.focus == Field::Payload, theme, buffer, Rect { y, height: payload_height, ..inner });
    y += payload_height;
    label(buffer, y, "attributes, one key=value a line", Field::Attributes);
    y += 1;
    editor(&publish.attributes, publish.focus == Field::Attributes, theme, buffer, Rect { y, height: ATTRIBUTES_HEIGHT, ..inner });
    y += ATTRIBUTES_HEIGHT;
    label(buffer, y, "ordering key", Field::Key);
    boxes::field(
        buffer,
        theme,
        Rect { x: inner.x + 14, y, width: inner.width.saturating_sub(14), height: 1 },
        &publish.key,
        publish.focus == Field::Key,
    );
    y += 2;
    if let Some(problem) = &publish.problem {
        put(buffer, inner.x, y - 1, inner.width, &format!("{} {problem}", theme.glyphs.state(State::Error)), theme.get(Role::PromptError));
    }
    let focus = match publish.focus {
        Field::Cancel => Some(0),
        Field::Send => Some(1),
        _ => None,
    };
    let line = Rect { y: inner.bottom().saturating_sub(1), height: 1, ..inner };
    boxes::buttons(buffer, theme, line, &["Cancel", if publish.sending { "publishing…" } else { "Publish" }], focus);
    put(
        buffer,
        inner.x,
        line.y,
        inner.width.saturating_sub(32),
        "tab next field · alt-enter publishes · esc closes",
        theme.get(Role::FgMuted),
    );
}

/// Draws a text of several lines with its cursor; the text is escaped like all other.
fn editor(area: &TextArea<'_>, focused: bool, theme: &Theme, buffer: &mut Buffer, place: Rect) {
    let style = theme.get(Role::Input);
    buffer.set_style(place, style);
    let cursor = area.cursor();
    let (row, column) = (cursor.0, cursor.1);
    let top = (row + 1).saturating_sub(usize::from(place.height));
    let before: String = area.lines().get(row).map(|line| line.chars().take(column).collect()).unwrap_or_default();
    let left = usize::from((width(&before) + 2).saturating_sub(place.width));
    for (line, text) in (0..place.height).zip(area.lines().iter().skip(top)) {
        let shown: String = text.chars().skip(left).collect();
        put(buffer, place.x, place.y + line, place.width, &shown, style);
    }
    if focused {
        let shown: String = before.chars().skip(left).collect();
        let x = place.x + width(&shown).min(place.width.saturating_sub(1));
        let y = place.y + u16::try_from(row - top).unwrap_or(0);
        boxes::cursor(buffer, x, y);
    }
}
