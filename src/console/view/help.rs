//! Help for this very screen: the actions it offers, with their keys, from the table.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::console::action::{ACTIONS, Danger, Group};
use crate::console::app::App;
use crate::console::theme::{Role, Theme};
use crate::console::widget::boxes;
use crate::console::widget::text::{put, wrap};

/// Keys take so many cells.
const KEYS_WIDTH: u16 = 15;

/// Draws help, `top` lines scrolled.
pub(super) fn draw(app: &App, top: usize, theme: &Theme, buffer: &mut Buffer, area: Rect) {
    let size = (area.width.saturating_sub(4).min(112), area.height);
    let title = format!("keys of {}", app.screen().kind().title());
    let inner = boxes::dialog(buffer, theme, area, size, &title, false);
    let lines = lines(app, inner.width);
    let height = usize::from(inner.height.saturating_sub(1));
    let top = top.min(lines.len().saturating_sub(height));
    let keys = KEYS_WIDTH;
    for (row, (key, text, heading)) in (0..inner.height.saturating_sub(1)).zip(lines.iter().skip(top)) {
        let y = inner.y + row;
        if *heading {
            put(buffer, inner.x, y, inner.width, text, theme.get(Role::Title));
            continue;
        }
        put(buffer, inner.x + 1, y, keys, key, theme.get(Role::Key));
        put(buffer, inner.x + keys + 3, y, inner.width.saturating_sub(keys + 3), text, theme.get(Role::Fg));
    }
    let more = if lines.len() > height {
        format!("{}–{} of {}  ↑↓ scroll  ·  ", top + 1, top + height, lines.len())
    } else {
        String::new()
    };
    put(buffer, inner.x, inner.bottom() - 1, inner.width, &format!("{more}esc closes"), theme.get(Role::FgMuted));
}

fn lines(app: &App, room: u16) -> Vec<(String, String, bool)> {
    let kind = app.screen().kind();
    let mut out = Vec::new();
    for (group, title) in [(Group::Actions, "on this screen"), (Group::View, "what is shown"), (Group::Moving, "moving")] {
        let offered = ACTIONS
            .iter()
            .filter(|action| action.group == group && action.on.has(kind))
            .filter(|action| !(app.rule().read_only && action.danger > Danger::Reads));
        let rows: Vec<_> = offered
            .map(|action| {
                let keys = app.keymap().keys_of(action.act).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
                let asks = if action.danger == Danger::Asks { " (asks first)" } else { "" };
                (keys, format!("{}{asks}", action.doc), false)
            })
            .collect();
        if rows.is_empty() {
            continue;
        }
        if !out.is_empty() {
            out.push((String::new(), String::new(), false));
        }
        out.push((String::new(), title.to_owned(), true));
        let room = room.saturating_sub(KEYS_WIDTH + 3);
        for (keys, text, _) in rows {
            for (index, line) in wrap(&text, room).into_iter().enumerate() {
                out.push((if index == 0 { keys.clone() } else { String::new() }, line, false));
            }
        }
    }
    out
}
