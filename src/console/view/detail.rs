//! Screens that show one thing in full: facts above, panels below.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::console::app::{App, Doc, Panel, Phase, Value};
use crate::console::geometry;
use crate::console::theme::{Role, Theme};
use crate::console::view::lists;
use crate::console::widget::boxes;
use crate::console::widget::syntax;
use crate::console::widget::text::{put, width};

/// From this width on facts stand in two columns and panels side by side.
const WIDE: u16 = 100;

/// Facts leave at least this many lines to what is below them.
const PANEL_HEIGHT_MIN: u16 = 6;

/// Draws the screen.
pub(super) fn draw(app: &App, theme: &Theme, buffer: &mut Buffer, area: Rect) {
    let Some(doc) = app.screen().doc() else { return };
    let shown = !doc.facts.is_empty() || !doc.panels.is_empty();
    match app.screen().phase(app.data()) {
        Phase::Failed(error) if !shown => {
            return lists::failure(theme, buffer, area, "cannot be shown", error, "ctrl-r asks again, esc goes back");
        }
        Phase::Loading if !shown => return lists::waiting(theme, buffer, area, "asking…"),
        Phase::Ready { .. } if !shown => return lists::waiting(theme, buffer, area, "this is gone; esc goes back"),
        _ => {}
    }
    facts(app, doc, theme, buffer, area);
    for (panel, place) in doc.panels.iter().zip(places(doc, area)) {
        draw_panel(doc, panel, theme, buffer, place);
    }
}

/// Returns the area of the lines that scroll.
pub(crate) fn lines_area(app: &App) -> Rect {
    let body = geometry::areas(app.size()).body;
    let Some(doc) = app.screen().doc() else { return body };
    places(doc, body).first().map_or(body, |place| Rect {
        x: place.x + 1,
        y: place.y + 1,
        width: place.width.saturating_sub(2),
        height: place.height.saturating_sub(2),
    })
}

fn fact_columns(area: Rect) -> usize {
    if area.width >= WIDE { 2 } else { 1 }
}

fn facts_height(doc: &Doc, area: Rect) -> u16 {
    let rows = doc.facts.len().div_ceil(fact_columns(area));
    let most = if doc.panels.is_empty() { area.height } else { area.height.saturating_sub(PANEL_HEIGHT_MIN) };
    u16::try_from(rows).unwrap_or(u16::MAX).min(most)
}

fn places(doc: &Doc, area: Rect) -> Vec<Rect> {
    let top = facts_height(doc, area);
    let rest = Rect { y: area.y + top, height: area.height - top, ..area };
    match doc.panels.len() {
        0 => vec![],
        1 => vec![rest],
        _ if area.width >= WIDE => {
            let left = rest.width * 3 / 5;
            vec![Rect { width: left, ..rest }, Rect { x: rest.x + left, width: rest.width - left, ..rest }]
        }
        _ => {
            let lines = u16::try_from(doc.panels[1].lines.len()).unwrap_or(u16::MAX).saturating_add(2);
            let below = lines.clamp(3, (rest.height / 2).max(3)).min(rest.height);
            vec![Rect { height: rest.height - below, ..rest }, Rect { y: rest.bottom() - below, height: below, ..rest }]
        }
    }
}

fn facts(app: &App, doc: &Doc, theme: &Theme, buffer: &mut Buffer, area: Rect) {
    let columns = fact_columns(area);
    let height = usize::from(facts_height(doc, area));
    let each = area.width / u16::try_from(columns).unwrap_or(1);
    let rows = doc.facts.len().div_ceil(columns);
    for (index, fact) in doc.facts.iter().enumerate() {
        let (column, row) = (index / rows.max(1), index % rows.max(1));
        if row >= height {
            continue;
        }
        let labels = doc.facts[column * rows..].iter().take(rows).map(|fact| width(&fact.label)).max().unwrap_or(0);
        let x = area.x + 2 + each * u16::try_from(column).unwrap_or(0);
        let y = area.y + u16::try_from(row).unwrap_or(0);
        put(buffer, x, y, labels, &fact.label, theme.get(Role::HeaderLabel));
        let style = theme.get(fact.tone.unwrap_or(Role::HeaderValue));
        let text = fact.value.show(app.now());
        let past = matches!(fact.value, Value::Time(time) if time <= app.now());
        let text = if past { format!("{text} ago").into() } else { text };
        put(buffer, x + labels + 2, y, each.saturating_sub(labels + 5), &text, style);
    }
}

fn draw_panel(doc: &Doc, panel: &Panel, theme: &Theme, buffer: &mut Buffer, place: Rect) {
    let inner = boxes::panel(buffer, theme, place, &panel.title, Role::Border, Role::Title);
    let height = usize::from(inner.height);
    let top = doc.top.min(panel.lines.len().saturating_sub(height));
    for (row, text) in (0..inner.height).zip(panel.lines.iter().skip(top)) {
        code_line(
            text,
            panel.code,
            doc.left,
            theme,
            buffer,
            Rect { x: inner.x + 1, y: inner.y + row, width: inner.width.saturating_sub(1), height: 1 },
        );
    }
    let below = panel.lines.len().saturating_sub(top + height);
    if (below > 0 || top > 0) && place.width > 24 {
        let text = format!(" {}–{} of {} ", top + 1, top + height.min(panel.lines.len()), panel.lines.len());
        put(buffer, place.right().saturating_sub(width(&text) + 2), place.bottom() - 1, width(&text), &text, theme.get(Role::FgMuted));
    }
}

/// Draws one line, coloured as code where it is code, scrolled to the right by `left` characters.
fn code_line(text: &str, code: bool, left: usize, theme: &Theme, buffer: &mut Buffer, line: Rect) {
    let start = text.char_indices().nth(left).map_or(text.len(), |(index, _)| index);
    if !code {
        put(buffer, line.x, line.y, line.width, &text[start..], theme.get(Role::Fg));
        return;
    }
    let (mut x, mut at) = (line.x, 0);
    for (piece, role) in syntax::line(text) {
        let from = start.saturating_sub(at).min(piece.len());
        at += piece.len();
        x += put(buffer, x, line.y, line.right().saturating_sub(x), &piece[from..], theme.get(role));
    }
}
