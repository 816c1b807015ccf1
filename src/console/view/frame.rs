//! What is around every screen: context, way and age, what is said, and hints.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::console::action::{ACTIONS, Act, Action, Danger, Kind};
use crate::console::app::{App, Level, Link, Overlay, Phase, distance, grouped, source_name};
use crate::console::config::Env;
use crate::console::theme::{Role, State, Theme};
use crate::console::widget::text::{put, put_right, width};
use crate::ops::Place;

/// Draws the context: project, locations, where the calls go, and whether what is shown is fresh.
pub(super) fn header(app: &App, theme: &Theme, buffer: &mut Buffer, area: Rect) {
    let mut x = area.x + 1;
    let mut say = |text: &str, role: Role| {
        x += put(buffer, x, area.y, area.right().saturating_sub(x), text, theme.get(role)) + 1;
    };
    match app.link() {
        Link::Connecting | Link::Broken(_) => say(app.title(), Role::HeaderValue),
        Link::Up(session) => {
            match app.rule().env {
                Some(env) => say(&format!(" {} ", session.project), env_role(env)),
                None => say(&session.project, Role::HeaderValue),
            }
            if let Place::Emulator(address) = &session.place {
                say(if session.sample { " SAMPLE DATA " } else { " LOCAL " }, Role::EnvDev);
                say(address, Role::HeaderLabel);
            }
            let locations = if session.locations.is_empty() { "all locations".to_owned() } else { session.locations.join(" ") };
            say(&locations, Role::HeaderLabel);
            if app.rule().read_only {
                say(" READ-ONLY ", Role::EnvReadonly);
            }
        }
    }
    let left = x;
    let (state, text) = freshness(app);
    let text = format!("{} {text} ", theme.glyphs.state(state));
    let own = width(&text);
    if left + own <= area.right() {
        put(buffer, area.right() - own, area.y, own, &text, theme.get(state.role()));
    }
}

fn env_role(env: Env) -> Role {
    match env {
        Env::Prod => Role::EnvProd,
        Env::Stage => Role::EnvStage,
        Env::Dev => Role::EnvDev,
    }
}

fn freshness(app: &App) -> (State, String) {
    match app.link() {
        Link::Connecting => return (State::Pending, "connecting".to_owned()),
        Link::Broken(_) => return (State::Error, "not connected".to_owned()),
        Link::Up(_) => {}
    }
    match app.screen().phase(app.data()) {
        Phase::Loading => (State::Pending, "asking".to_owned()),
        Phase::Failed(_) => (State::Error, "failed".to_owned()),
        Phase::Ready { stale: Some(_), .. } => (State::Warn, format!("stale, {}", app.age_text())),
        Phase::Ready { as_of: None, .. } => (State::Ok, "live".to_owned()),
        Phase::Ready { .. } => (State::Ok, app.age_text()),
    }
}

/// Draws the way to the screen on the left, counts and filter on the right.
pub(super) fn crumbs(app: &App, theme: &Theme, buffer: &mut Buffer, area: Rect) {
    let parts = app.screen().crumbs();
    let right = counts(app);
    let reserved = right.iter().map(|(text, _)| width(text) + 2).sum::<u16>();
    let end = area.right().saturating_sub(reserved + 1);
    let mut x = area.x + 1;
    for (index, part) in parts.iter().enumerate() {
        let last = index + 1 == parts.len();
        x += put(buffer, x, area.y, end.saturating_sub(x), part, theme.get(if last { Role::CrumbActive } else { Role::Crumb }));
        if !last {
            x += put(buffer, x, area.y, end.saturating_sub(x), " › ", theme.get(Role::Crumb));
        }
    }
    let mut x = area.right().saturating_sub(reserved.saturating_sub(1));
    for (text, role) in right {
        x += put(buffer, x, area.y, area.right().saturating_sub(x), &text, theme.get(role)) + 2;
    }
}

fn counts(app: &App) -> Vec<(String, Role)> {
    let mut out = Vec::new();
    let Some(table) = app.screen().table() else { return out };
    if !matches!(app.screen().phase(app.data()), Phase::Ready { .. }) {
        return out;
    }
    if !table.filter().text().is_empty() {
        out.push((format!("/{} (local)", table.filter().text()), Role::TitleFilter));
    }
    let (marked, hidden) = table.marked_counts();
    if marked > 0 {
        let hidden = if hidden > 0 { format!(", {hidden} hidden") } else { String::new() };
        out.push((format!("{} marked{hidden}", grouped(marked as u64)), Role::TableMark));
    }
    let total = grouped(table.total() as u64);
    let rows = if table.total() == 1 { "row" } else { "rows" };
    out.push(if table.len() == table.total() {
        (format!("{total} {rows}"), Role::TitleCount)
    } else {
        (format!("{} of {total} {rows}", grouped(table.len() as u64)), Role::TitleCount)
    });
    if let Some((source, as_of)) = (0..table.len().min(50)).filter_map(|index| table.measured(index)).min_by_key(|(_, as_of)| *as_of) {
        out.push((format!("{}, {} old", source_name(source), distance(as_of.min(app.now()), app.now())), Role::TitleCount));
    }
    out
}

/// Draws what is said: a flash, else what is under way, else what is to be known of the listing.
pub(super) fn line(app: &App, theme: &Theme, buffer: &mut Buffer, area: Rect) {
    let (text, role, state) = if let Some(flash) = app.flash_line() {
        match flash.level {
            Level::Info => (flash.text.clone(), Role::FlashInfo, State::Done),
            Level::Warn => (flash.text.clone(), Role::FlashWarn, State::Warn),
            Level::Error => (flash.text.clone(), Role::FlashError, State::Error),
        }
    } else if let Some(working) = app.working() {
        (working, Role::Spinner, State::Pending)
    } else if let Some(note) = note(app) {
        (note, Role::FlashWarn, State::Warn)
    } else {
        return;
    };
    put(buffer, area.x + 1, area.y, area.width.saturating_sub(2), &format!("{} {text}", theme.glyphs.state(state)), theme.get(role));
}

fn note(app: &App) -> Option<String> {
    if !matches!(app.link(), Link::Up(_)) {
        return None;
    }
    let Phase::Ready { stale, notes, .. } = app.screen().phase(app.data()) else { return None };
    let mut parts: Vec<String> = Vec::new();
    parts.extend(stale.map(|error| {
        let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
        format!("could not ask again: {error}{hint}")
    }));
    parts.extend(notes.iter().map(ToString::to_string));
    let has_numbers = app.screen().needs().contains(&crate::console::message::Fetch::Numbers);
    if has_numbers {
        match (app.data().numbers.value(), app.data().numbers.error()) {
            (_, Some(error)) => parts.push(format!("numbers: {error}")),
            (Some(numbers), None) => parts.extend(numbers.problems.iter().cloned()),
            (None, None) => {}
        }
    }
    (!parts.is_empty()).then(|| parts.join("  ·  "))
}

/// Draws the hints of this screen, from the table of actions.
pub(super) fn hints(app: &App, theme: &Theme, buffer: &mut Buffer, area: Rect) {
    let kind = app.screen().kind();
    let quits = app.screen().is_top();
    let (key, word) = if quits { (app.keymap().key_of(Act::Quit), "quit") } else { (app.keymap().key_of(Act::Back), "back") };
    if !matches!(app.overlay(), Overlay::None) {
        return;
    }
    let tail = format!("{key} {word} ");
    let end = area.right().saturating_sub(width(&tail) + 2);
    let allowed = |action: &&Action| {
        action.on.has(kind)
            && !action.hint.is_empty()
            && action.act != Act::Quit
            // Offered where one looks first; the key works everywhere.
            && (action.act != Act::Favourite(Kind::Doctor) || kind == Kind::Overview)
            && !(app.rule().read_only && action.danger > Danger::Reads)
    };
    let mut x = area.x + 1;
    for action in ACTIONS.iter().filter(allowed) {
        let key = app.keymap().key_of(action.act);
        if key.is_empty() || x + width(&key) + width(action.hint) + 1 > end {
            continue;
        }
        x += put(buffer, x, area.y, end.saturating_sub(x), &key, theme.get(Role::Key)) + 1;
        x += put(buffer, x, area.y, end.saturating_sub(x), action.hint, theme.get(Role::FgMuted)) + 3;
    }
    put_right(buffer, area.x, area.y, area.width, word, theme.get(Role::FgMuted));
    put(buffer, area.right().saturating_sub(width(&tail)), area.y, width(&tail), &key, theme.get(Role::Key));
    put(buffer, area.right().saturating_sub(width(word) + 1), area.y, width(word) + 1, &format!("{word} "), theme.get(Role::FgMuted));
}
