//! Screens that list rows: loading, empty, failed, or the table.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::console::action::{Act, Kind};
use crate::console::app::{App, Phase, Screen, Table};
use crate::console::geometry;
use crate::console::theme::{Role, State, Theme};
use crate::console::widget::boxes;
use crate::console::widget::table;
use crate::console::widget::text::{put, width, wrap};
use crate::error::Error;

/// Draws the screen.
pub(super) fn draw(app: &App, theme: &Theme, buffer: &mut Buffer, area: Rect) {
    let Some(list) = app.screen().table() else { return };
    match app.screen().phase(app.data()) {
        Phase::Loading => waiting(theme, buffer, area, &format!("asking for {}…", what(app))),
        Phase::Failed(error) => {
            let again = format!("{} asks again", app.keymap().key_of(Act::Refresh));
            failure(theme, buffer, area, &format!("no {}", what(app)), error, &again);
        }
        Phase::Ready { .. } if list.len() == 0 => empty(app, list, theme, buffer, area),
        Phase::Ready { .. } => table::draw(app, list, theme, buffer, geometry::table_area(app)),
    }
}

fn what(app: &App) -> String {
    match app.screen() {
        Screen::Messages(messages) => format!("messages of {}", messages.subscription.id()),
        Screen::Tasks(tasks) => format!("tasks of {}", tasks.queue.id()),
        screen => screen.kind().title().to_owned(),
    }
}

/// Says what is waited for, in the middle.
pub(super) fn waiting(theme: &Theme, buffer: &mut Buffer, area: Rect, text: &str) {
    let text = format!("{} {text}", theme.glyphs.state(State::Pending));
    let x = area.x + area.width.saturating_sub(width(&text)) / 2;
    put(buffer, x, area.y + area.height / 3, area.width, &text, theme.get(Role::Spinner));
}

/// Shows why there is nothing to show, and what to do about it.
pub(super) fn failure(theme: &Theme, buffer: &mut Buffer, area: Rect, title: &str, error: &Error, footer: &str) {
    /// Lines wider than this are hard to read.
    const TEXT_WIDTH_MAX: u16 = 90;
    let inside = area.width.saturating_sub(8).min(TEXT_WIDTH_MAX);
    let message = wrap(&error.to_string(), inside);
    let hint = error.hint().map(|hint| wrap(hint, inside)).unwrap_or_default();
    let lines = message.len() + hint.len() + usize::from(!hint.is_empty()) + 4;
    let height = u16::try_from(lines).unwrap_or(u16::MAX).min(area.height);
    let place = Rect { x: area.x + (area.width - inside - 4) / 2, y: area.y + (area.height - height) / 3, width: inside + 4, height };
    let inner =
        boxes::panel(buffer, theme, place, &format!("{} {title}", theme.glyphs.state(State::Error)), Role::StateError, Role::StateError);
    let mut y = inner.y;
    let mut say = |text: &str, role: Role| {
        if y < inner.bottom() {
            put(buffer, inner.x + 1, y, inner.width.saturating_sub(2), text, theme.get(role));
        }
        y += 1;
    };
    for line in &message {
        say(line, Role::Fg);
    }
    if !hint.is_empty() {
        say("", Role::Fg);
        for line in &hint {
            say(line, Role::AccentAlt);
        }
    }
    say("", Role::Fg);
    say(footer, Role::FgMuted);
}

fn empty(app: &App, list: &dyn Table, theme: &Theme, buffer: &mut Buffer, area: Rect) {
    let filter = list.filter().text();
    let (headline, advice) = if filter.is_empty() {
        nothing(app)
    } else {
        (format!("none of {} rows fits `/{filter}`", list.total()), format!("{} clears the filter", app.keymap().key_of(Act::Back)))
    };
    let lines: Vec<(String, Role)> = std::iter::once((headline, Role::Fg))
        .chain(wrap(&advice, area.width.saturating_sub(8)).into_iter().map(|line| (line, Role::FgMuted)))
        .collect();
    let y = area.y + area.height / 3;
    for (line, (text, role)) in (0..).zip(lines) {
        let x = area.x + area.width.saturating_sub(width(&text)) / 2;
        put(buffer, x, y + line, area.width, &text, theme.get(role));
    }
}

/// Says that there is nothing, and what to do about it.
fn nothing(app: &App) -> (String, String) {
    let key = |act: Act| app.keymap().key_of(act);
    let (headline, advice) = match app.screen().kind() {
        Kind::Queues => ("no queues", "create one: gcloud tasks queues create NAME --location=LOCATION".to_owned()),
        Kind::Tasks => ("no tasks in this queue", format!("what is created appears here by itself; {} goes back", key(Act::Back))),
        Kind::Topics => ("no topics", "create one: gcloud pubsub topics create NAME".to_owned()),
        Kind::Subscriptions => ("no subscriptions", "create one: gcloud pubsub subscriptions create NAME --topic=TOPIC".to_owned()),
        Kind::DeadLetters => (
            "no subscription has a dead-letter policy",
            "give one to a subscription: gcloud pubsub subscriptions update NAME --dead-letter-topic=TOPIC --max-delivery-attempts=5"
                .to_owned(),
        ),
        Kind::Messages => (
            "no messages found",
            format!("{} looks again; {} looks in the other way (lease or snapshot)", key(Act::Refresh), key(Act::Lease)),
        ),
        Kind::Causes => ("no messages to group", format!("{} goes back", key(Act::Back))),
        Kind::Jobs => (
            "no scheduled jobs",
            "create one: gcloud scheduler jobs create http NAME --schedule='* * * * *' --uri=URL --location=LOCATION".to_owned(),
        ),
        Kind::Transfers => ("no transfers yet", format!("{} on dead letters starts one", key(Act::Redrive))),
        Kind::Doctor => ("nothing was looked at", format!("{} looks again", key(Act::Refresh))),
        Kind::Activity => {
            ("nothing was asked for yet", "actions and their results are listed here, and in a file on this machine".to_owned())
        }
        _ => ("nothing needs attention", String::new()),
    };
    (headline.to_owned(), advice)
}
