//! The line that is typed into, with its suggestions.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Clear, Widget};

use crate::console::app::{Mode, Prompt};
use crate::console::theme::{Role, Theme};
use crate::console::widget::boxes;
use crate::console::widget::text::{put, width};

/// Draws the prompt.
pub(super) fn draw(prompt: &Prompt, theme: &Theme, buffer: &mut Buffer, area: Rect) {
    Clear.render(area, buffer);
    buffer.set_style(area, theme.base());
    let (sign, role) = if prompt.mode == Mode::Command { (":", Role::PromptCommand) } else { ("/", Role::PromptFilter) };
    let used = put(buffer, area.x + 1, area.y, 2, sign, theme.get(role));
    let field = Rect { x: area.x + 1 + used, width: area.width.saturating_sub(2 + used), ..area };
    boxes::field(buffer, theme, field, &prompt.input, true);
    if prompt.mode != Mode::Command {
        let note = "filters the rows that were fetched · text  !not  ~fuzzy  state=paused attempts>5 age>2h";
        let own = width(note);
        if own + width(prompt.input.value()) + 6 < area.width {
            put(buffer, area.right().saturating_sub(own + 1), area.y, own, note, theme.get(Role::PromptSuggest));
        }
        return;
    }
    suggestions(prompt, theme, buffer, area);
}

fn suggestions(prompt: &Prompt, theme: &Theme, buffer: &mut Buffer, area: Rect) {
    let count = u16::try_from(prompt.suggestions.len()).unwrap_or(0).min(area.y);
    let widest = prompt.suggestions.iter().map(|text| width(text)).max().unwrap_or(0).min(area.width.saturating_sub(6));
    for (index, text) in (0..count).zip(&prompt.suggestions) {
        let line = Rect { x: area.x + 1, y: area.y - count + index, width: (widest + 4).min(area.width), height: 1 };
        Clear.render(line, buffer);
        let picked = prompt.picked == Some(usize::from(index));
        let style = if picked { theme.base().patch(theme.get(Role::TableCursor)) } else { theme.base().patch(theme.get(Role::Dialog)) };
        buffer.set_style(line, style);
        put(buffer, line.x, line.y, 1, if picked { "▸" } else { " " }, style);
        put(buffer, line.x + 2, line.y, line.width.saturating_sub(2), text, style);
    }
}
