//! Questions, choices, and a task under the glass.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::console::app::{Confirm, Debug, Load, Pick};
use crate::console::theme::{Role, State, Theme};
use crate::console::widget::boxes;
use crate::console::widget::text::{put, width, wrap};

/// Draws a question.
pub(super) fn confirm(confirm: &Confirm, theme: &Theme, buffer: &mut Buffer, area: Rect) {
    let buttons: u16 = confirm.buttons.iter().map(|button| width(&button.label) + 6).sum();
    let longest = confirm.lines.iter().map(|line| width(line)).max().unwrap_or(0);
    let wide = longest.max(buttons).saturating_add(6).clamp(44, area.width.min(90));
    let lines: Vec<String> = confirm.lines.iter().flat_map(|line| wrap(line, wide - 4)).collect();
    let extra = if confirm.word.is_some() { 7 } else { 5 };
    let high = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(extra);
    let inner = boxes::dialog(buffer, theme, area, (wide, high), &confirm.title, confirm.danger);
    for (row, line) in (0..inner.height.saturating_sub(2)).zip(&lines) {
        let role = if row == 0 { theme.bold(Role::Fg) } else { theme.get(Role::Fg) };
        put(buffer, inner.x, inner.y + 1 + row, inner.width, line, role);
    }
    if let Some((word, typed)) = &confirm.word {
        let y = inner.bottom().saturating_sub(3);
        put(buffer, inner.x, y, inner.width, &format!("type `{word}` to go on: {typed}▏"), theme.get(Role::StateWarn));
    }
    let labels: Vec<&str> = confirm.buttons.iter().map(|button| button.label.as_str()).collect();
    let line = Rect { y: inner.bottom().saturating_sub(1), height: 1, ..inner };
    boxes::buttons(buffer, theme, line, &labels, Some(confirm.focus));
}

/// Draws a choice.
pub(super) fn pick(pick: &Pick, theme: &Theme, buffer: &mut Buffer, area: Rect) {
    let longest = pick.items.iter().map(|(text, _)| width(text)).max().unwrap_or(0);
    let high = u16::try_from(pick.items.len()).unwrap_or(u16::MAX).saturating_add(2).min(area.height);
    let inner = boxes::dialog(buffer, theme, area, (longest.max(width(&pick.title)) + 10, high), &pick.title, false);
    let first = (pick.cursor + 1).saturating_sub(usize::from(inner.height.max(1)));
    for (row, (index, (text, _))) in (0..inner.height).zip(pick.items.iter().enumerate().skip(first)) {
        let line = Rect { y: inner.y + row, height: 1, ..inner };
        let chosen = index == pick.cursor;
        if chosen {
            buffer.set_style(line, theme.get(Role::TableCursor));
        }
        let style = if chosen { theme.get(Role::TableCursor) } else { theme.get(Role::Fg) };
        put(buffer, line.x, line.y, 2, if chosen { "▸" } else { " " }, style);
        put(buffer, line.x + 2, line.y, line.width.saturating_sub(2), text, style);
    }
}

/// Draws a task as curl, and what the local handler answered.
pub(super) fn debug(debug: &Debug, theme: &Theme, buffer: &mut Buffer, area: Rect) {
    let size = (area.width.saturating_sub(6).min(110), area.height.saturating_sub(2));
    let inner = boxes::dialog(buffer, theme, area, size, &format!("debug task {}", debug.name.id()), false);
    if inner.height < 8 {
        return;
    }
    // The answer takes half of the room once there is one.
    let half = if matches!(debug.answer, Load::Idle) { inner.height - 3 } else { (inner.height - 3) / 2 };
    let curl = Rect { height: half, ..inner };
    put(buffer, curl.x, curl.y, curl.width, "as curl (with its own address)", theme.get(Role::HeaderLabel));
    match &debug.curl {
        Load::Idle | Load::Loading => {
            put(buffer, curl.x, curl.y + 1, curl.width, "asking for the task…", theme.get(Role::Spinner));
        }
        Load::Failed(error) | Load::Stale(_, error) => {
            put(buffer, curl.x, curl.y + 1, curl.width, &error.to_string(), theme.get(Role::StateError));
        }
        Load::Ready((_, lines)) => {
            let wrapped = lines.iter().flat_map(|line| wrap(line, curl.width));
            for (row, line) in (1..curl.height).zip(wrapped) {
                put(buffer, curl.x, curl.y + row, curl.width, &line, theme.get(Role::Fg));
            }
        }
    }
    let y = inner.y + half;
    let label = "send to ";
    let used = put(buffer, inner.x, y, inner.width, label, theme.get(Role::HeaderLabel));
    boxes::field(buffer, theme, Rect { x: inner.x + used, y, width: inner.width.saturating_sub(used), height: 1 }, &debug.base, true);
    let below = Rect { y: y + 1, height: inner.bottom().saturating_sub(y + 2), ..inner };
    answer(debug, theme, buffer, below);
    let foot = "enter sends it to this machine, without credentials · ↑↓ scroll · esc closes";
    put(buffer, inner.x, inner.bottom() - 1, inner.width, foot, theme.get(Role::FgMuted));
}

fn answer(debug: &Debug, theme: &Theme, buffer: &mut Buffer, area: Rect) {
    match &debug.answer {
        Load::Idle => {}
        Load::Loading => {
            put(
                buffer,
                area.x,
                area.y + 1,
                area.width,
                &format!("{} waiting for the answer…", theme.glyphs.state(State::Pending)),
                theme.get(Role::Spinner),
            );
        }
        Load::Failed(error) | Load::Stale(_, error) => {
            let text = error.hint().map_or_else(|| error.to_string(), |hint| format!("{error}\n{hint}"));
            for (row, line) in (0..area.height).zip(wrap(&text, area.width)) {
                put(buffer, area.x, area.y + row, area.width, &line, theme.get(Role::StateError));
            }
        }
        Load::Ready(lines) => {
            for (row, (index, line)) in (0..area.height).zip(lines.iter().enumerate().skip(debug.top)) {
                let role = if index == 0 { status_role(line) } else { Role::Fg };
                put(buffer, area.x, area.y + row, area.width, line, theme.get(role));
            }
        }
    }
}

fn status_role(line: &str) -> Role {
    if line.starts_with("HTTP 2") { Role::StateOk } else { Role::StateError }
}
