//! The overview: what needs a look, and the totals.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::console::app::{App, Data, Load, Phase, distance, grouped};
use crate::console::geometry;
use crate::console::theme::{Role, State, Theme};
use crate::console::view::lists;
use crate::console::widget::spark::spark;
use crate::console::widget::text::{pieces, put};
use crate::console::widget::{boxes, table};
use crate::model::job::JobState;
use crate::model::numbers::Series;
use crate::model::queue::QueueState;
use crate::model::subscription::Delivery;

/// Draws the overview.
pub(super) fn draw(app: &App, theme: &Theme, buffer: &mut Buffer, area: Rect) {
    let Some(list) = app.screen().table() else { return };
    let is_stale = match app.screen().phase(app.data()) {
        Phase::Loading => return lists::waiting(theme, buffer, area, "asking for everything…"),
        Phase::Failed(error) => return lists::failure(theme, buffer, area, "nothing could be had", error, "ctrl-r asks again"),
        Phase::Ready { stale, .. } => stale.is_some(),
    };
    let inner = geometry::table_area(app);
    let frame = Rect { x: inner.x - 1, y: inner.y - 1, width: inner.width + 2, height: inner.height + 2 };
    boxes::panel(buffer, theme, frame, "needs attention", Role::Border, Role::Title);
    if list.len() == 0 {
        let (state, role, text) = match (list.filter().text().is_empty(), is_stale) {
            (true, false) => (State::Ok, Role::StateOk, "nothing: all is well, as far as it is known"),
            (true, true) => (State::Warn, Role::StateWarn, "nothing then; what is now is not known"),
            (false, _) => (State::Ok, Role::StateOk, "nothing fits the filter; esc clears it"),
        };
        let room = inner.width.saturating_sub(2);
        put(buffer, inner.x + 2, inner.y + 1, room, &format!("{} {text}", theme.glyphs.state(state)), theme.get(role));
    } else {
        table::draw(app, list, theme, buffer, inner);
    }
    let below = Rect { y: frame.bottom(), height: area.bottom().saturating_sub(frame.bottom()), ..area };
    totals(app, theme, buffer, below);
}

/// One line of totals.
struct Total {
    label: &'static str,
    count: Option<usize>,
    detail: String,
    number: String,
    trend: Vec<f64>,
    bad: bool,
}

fn totals(app: &App, theme: &Theme, buffer: &mut Buffer, area: Rect) {
    let data = app.data();
    let lines = [queues(data), subscriptions(data), dead_letters(data), jobs(app)];
    for (line, total) in (0..).zip(&lines) {
        let row = Rect { x: area.x + 2, y: area.y + line, width: area.width.saturating_sub(3), height: 1 };
        if row.y >= area.bottom() {
            break;
        }
        let count = total.count.map_or_else(|| "?".to_owned(), |count| grouped(count as u64));
        let detail_role = if total.bad { Role::StateWarn } else { Role::FgMuted };
        let used = pieces(
            buffer,
            row,
            &[
                (&format!("{:<14}", total.label), theme.get(Role::HeaderLabel)),
                (&format!("{count:>5}   "), theme.bold(Role::Fg)),
                (&format!("{:<32}", total.detail), theme.get(detail_role)),
                (&format!("{:<18}", total.number), theme.get(Role::Fg)),
            ],
        );
        let room = usize::from(row.right().saturating_sub(used)).min(TREND_WIDTH_MAX);
        put(buffer, used, row.y, row.right().saturating_sub(used), &spark(&total.trend, room, theme.glyphs), theme.get(Role::Chart1));
    }
}

/// A sparkline of totals is at most this wide.
const TREND_WIDTH_MAX: usize = 24;

fn count<T>(load: &Load<crate::model::listing::Listing<T>>) -> Option<usize> {
    load.value().map(|listing| listing.items.len())
}

fn tally(parts: &[(&str, usize)]) -> String {
    parts.iter().filter(|(_, count)| *count > 0).map(|(word, count)| format!("{word} {count}")).collect::<Vec<_>>().join("  ")
}

/// Adds up series point by point from the newest back: they are asked for together and end together.
fn sum<'a>(all: impl Iterator<Item = &'a Series>) -> Vec<f64> {
    let mut total: Vec<f64> = Vec::new();
    for series in all {
        for (index, value) in series.values().collect::<Vec<_>>().into_iter().rev().enumerate() {
            if index == total.len() {
                total.push(0.0);
            }
            total[index] += value;
        }
    }
    total.reverse();
    total
}

fn queues(data: &Data) -> Total {
    let all = data.queues.value().map_or(&[][..], |listing| &listing.items);
    let of = |state: QueueState| all.iter().filter(|queue| queue.state == state).count();
    let numbers = data.numbers.value().map(|numbers| &numbers.queues);
    let depth = numbers.map(|all| all.values().filter_map(|n| n.depth).map(|n| n.value).sum::<u64>());
    Total {
        label: "queues",
        count: count(&data.queues),
        detail: tally(&[("running", of(QueueState::Running)), ("paused", of(QueueState::Paused)), ("disabled", of(QueueState::Disabled))]),
        number: depth.map_or_else(|| "tasks ?".to_owned(), |n| format!("tasks {}", grouped(n))),
        trend: numbers.map(|all| sum(all.values().map(|n| &n.depth_series))).unwrap_or_default(),
        bad: of(QueueState::Disabled) > 0,
    }
}

fn subscriptions(data: &Data) -> Total {
    let all = data.subscriptions.value().map_or(&[][..], |listing| &listing.items);
    let push = all.iter().filter(|one| matches!(one.delivery, Delivery::Push { .. })).count();
    let pull = all.iter().filter(|one| one.delivery == Delivery::Pull).count();
    let numbers = data.numbers.value().map(|numbers| &numbers.subscriptions);
    let backlog = numbers.map(|all| all.values().filter_map(|n| n.backlog).map(|n| n.value).sum::<u64>());
    Total {
        label: "subscriptions",
        count: count(&data.subscriptions),
        detail: tally(&[("push", push), ("pull", pull), ("export", all.len() - push - pull)]),
        number: backlog.map_or_else(|| "backlog ?".to_owned(), |n| format!("backlog {}", grouped(n))),
        trend: numbers.map(|all| sum(all.values().map(|n| &n.backlog_series))).unwrap_or_default(),
        bad: false,
    }
}

fn dead_letters(data: &Data) -> Total {
    let all = data.dead_letters.value().map_or(&[][..], |listing| &listing.items);
    let broken = all.iter().filter(|relation| relation.broken.is_some()).count();
    let mut holders: Vec<_> = all.iter().flat_map(|relation| &relation.holders).collect();
    holders.sort();
    holders.dedup();
    let numbers = data.numbers.value().map(|numbers| &numbers.subscriptions);
    let held = numbers.map(|numbers| holders.iter().filter_map(|name| numbers.get(*name)?.backlog).map(|n| n.value).sum::<u64>());
    Total {
        label: "dead letters",
        count: count(&data.dead_letters),
        detail: tally(&[("broken", broken)]),
        number: held.map_or_else(|| "held ?".to_owned(), |n| format!("held {}", grouped(n))),
        trend: numbers
            .map(|numbers| sum(holders.iter().filter_map(|name| numbers.get(*name)).map(|n| &n.backlog_series)))
            .unwrap_or_default(),
        bad: broken > 0,
    }
}

fn jobs(app: &App) -> Total {
    let data = app.data();
    let all = data.jobs.value().map_or(&[][..], |listing| &listing.items);
    let enabled = all.iter().filter(|job| job.state == JobState::Enabled).count();
    let failing = all.iter().filter(|job| job.status.as_ref().is_some_and(|(code, _)| *code != 0)).count();
    let next = all.iter().filter(|job| job.state == JobState::Enabled).filter_map(|job| Some((job.next_run?, job.name.id()))).min();
    Total {
        label: "jobs",
        count: count(&data.jobs),
        detail: tally(&[("enabled", enabled), ("paused", all.len() - enabled), ("failing", failing)]),
        number: next.map_or_else(String::new, |(time, name)| format!("next {name} {}", distance(time, app.now()))),
        trend: Vec::new(),
        bad: failing > 0,
    }
}
