//! Draws the state; changes nothing.

mod detail;
mod dialogs;
mod frame;
mod help;
mod lists;
mod overview;
mod plan;
mod prompt;
mod publish;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

pub(crate) use detail::lines_area as detail_lines_area;

use crate::console::app::{App, Dialog, Link, Overlay, Screen};
use crate::console::geometry::{self, HEIGHT_MIN, WIDTH_MIN};
use crate::console::theme::{Glyphs, Role, Theme};
use crate::console::widget::text::{put, width};

/// Draws a frame.
pub(crate) fn draw(app: &App, theme: &Theme, frame: &mut Frame<'_>) {
    let area = frame.area();
    paint(app, theme, area, frame.buffer_mut());
}

/// Draws the console into a buffer.
pub(crate) fn paint(app: &App, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    buffer.set_style(area, theme.base());
    if geometry::too_small((area.width, area.height)) {
        too_small(theme, area, buffer);
    } else if (area.width, area.height) == app.size() {
        let areas = geometry::areas(app.size());
        frame::header(app, theme, buffer, areas.header);
        frame::crumbs(app, theme, buffer, areas.crumbs);
        body(app, theme, buffer, areas.body);
        frame::line(app, theme, buffer, areas.line);
        frame::hints(app, theme, buffer, areas.hints);
        overlay(app, theme, buffer, area);
    }
    plain(theme.glyphs, buffer);
}

fn body(app: &App, theme: &Theme, buffer: &mut Buffer, area: Rect) {
    match (app.link(), app.screen()) {
        (Link::Broken(error), _) => lists::failure(theme, buffer, area, "cannot start", error, "q quits"),
        (Link::Connecting, _) => lists::waiting(theme, buffer, area, "connecting…"),
        (Link::Up(_), Screen::Overview(_)) => overview::draw(app, theme, buffer, area),
        (Link::Up(_), screen) if screen.table().is_some() => lists::draw(app, theme, buffer, area),
        (Link::Up(_), _) => detail::draw(app, theme, buffer, area),
    }
}

fn overlay(app: &App, theme: &Theme, buffer: &mut Buffer, area: Rect) {
    // Header and hints stay in sight.
    let middle = Rect { y: area.y + 1, height: area.height.saturating_sub(2), ..area };
    match app.overlay() {
        Overlay::None => {}
        Overlay::Prompt(prompt) => prompt::draw(prompt, theme, buffer, geometry::areas(app.size()).line),
        Overlay::Dialog(dialog) => match dialog {
            Dialog::Confirm(confirm) => dialogs::confirm(confirm, theme, buffer, middle),
            Dialog::Pick(pick) => dialogs::pick(pick, theme, buffer, middle),
            Dialog::Debug(debug) => dialogs::debug(debug, theme, buffer, middle),
            Dialog::Plan(plan) => plan::draw(app, plan, theme, buffer, middle),
            Dialog::Publish(publish) => publish::draw(publish, theme, buffer, middle),
            Dialog::Help(top) => help::draw(app, *top, theme, buffer, middle),
        },
    }
}

fn too_small(theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let lines = [
        format!("{}×{} is too small", area.width, area.height),
        format!("the console needs {WIDTH_MIN}×{HEIGHT_MIN}"),
        "enlarge the window, or ctrl-c quits".to_owned(),
    ];
    let y = area.y + area.height.saturating_sub(3) / 2;
    for (line, text) in (0..).zip(&lines) {
        let x = area.x + area.width.saturating_sub(width(text)) / 2;
        put(buffer, x, y + line, area.width, text, theme.get(if line == 0 { Role::StateWarn } else { Role::Fg }));
    }
}

/// Replaces what the terminal cannot show.
fn plain(glyphs: Glyphs, buffer: &mut Buffer) {
    if !glyphs.ascii() {
        return;
    }
    for cell in &mut buffer.content {
        if let Some(stand_in) = glyphs.plain(cell.symbol()) {
            cell.set_symbol(stand_in);
        }
    }
}
