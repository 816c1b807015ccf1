//! The look before a transfer.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tui_input::Input;

use crate::console::app::{App, Load, PlanDialog, PlanFocus, Wanted, distance, grouped, source_name};
use crate::console::theme::{Role, State, Theme};
use crate::console::widget::boxes;
use crate::console::widget::text::{put, width, wrap};
use crate::ops::transfer::{Kind, Plan, Route, Selection};

/// A line of the dialog.
type Line = (String, Role);

/// Draws the dialog.
pub(super) fn draw(app: &App, dialog: &PlanDialog, theme: &Theme, buffer: &mut Buffer, area: Rect) {
    let wide = area.width.saturating_sub(4).min(104);
    let words = dialog.words();
    let lines = lines(app, dialog, theme, wide.saturating_sub(4));
    let has_field = dialog.entry.is_some() || !words.is_empty();
    let high = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(if has_field { 6 } else { 5 }).min(area.height);
    let verb = dialog.request.kind.verb();
    let inner = boxes::dialog(buffer, theme, area, (wide, high), &format!("{verb}: the look before the leap"), true);
    let room = inner.height.saturating_sub(if has_field { 3 } else { 2 });
    let top = dialog.top.min(lines.len().saturating_sub(usize::from(room)));
    for (row, (text, role)) in (0..room).zip(lines.iter().skip(top)) {
        put(buffer, inner.x, inner.y + row, inner.width, text, theme.get(*role));
    }
    let go = dialog.verb();
    let mut labels = vec!["Cancel"];
    if dialog.ready().is_some() {
        labels.push(&go);
    }
    let line = Rect { y: inner.bottom().saturating_sub(1), height: 1, ..inner };
    let focus = match dialog.focus {
        PlanFocus::Cancel => Some(0),
        PlanFocus::Field => None,
        PlanFocus::Go => Some(1),
    };
    if let Some(entry) = &dialog.entry {
        let text = match entry.wanted {
            Wanted::Rate => "messages a second ",
            Wanted::Filter => "only those that match ",
            Wanted::Handler => "handler on this machine ",
            Wanted::File => "new file ",
        };
        labelled_field(text, Role::Accent, &entry.input, true, theme, buffer, Rect { y: line.y.saturating_sub(1), ..line });
    } else if !words.is_empty() {
        let text = format!("type `{}` to go on ", words.join(" "));
        let role = if dialog.is_confirmed() { Role::StateOk } else { Role::StateWarn };
        let focused = dialog.focus == PlanFocus::Field;
        labelled_field(&text, role, &dialog.typed, focused, theme, buffer, Rect { y: line.y.saturating_sub(1), ..line });
    }
    boxes::buttons(buffer, theme, line, &labels, focus);
    if lines.len() > usize::from(room) {
        put(buffer, inner.x, line.y, 8, "↑↓ more", theme.get(Role::FgMuted));
    }
    if dialog.varies() && inner.width > 70 {
        put(buffer, inner.x + 9, line.y, 24, "d delivery  c canary", theme.get(Role::FgMuted));
    }
}

fn labelled_field(text: &str, role: Role, input: &Input, focused: bool, theme: &Theme, buffer: &mut Buffer, line: Rect) {
    let used = put(buffer, line.x, line.y, line.width, text, theme.get(role));
    let field = Rect { x: line.x + used, width: line.width.saturating_sub(used), ..line };
    boxes::field(buffer, theme, field, input, focused);
}

fn lines(app: &App, dialog: &PlanDialog, theme: &Theme, wide: u16) -> Vec<Line> {
    let request = &dialog.request;
    let which = match &request.selection {
        Selection::All => "all that entered it before now".to_owned(),
        selection @ (Selection::Matching(_) | Selection::Cause(_)) => selection.to_string(),
        Selection::Messages(ids) => {
            let hidden = if dialog.hidden > 0 { format!(" ({} of them hidden by the filter)", dialog.hidden) } else { String::new() };
            format!("{} chosen {}{hidden}", grouped(ids.len() as u64), if ids.len() == 1 { "message" } else { "messages" })
        }
    };
    let filter = if dialog.is_filtered() { "   f filter" } else { "" };
    let mut out: Vec<Line> =
        vec![(format!("from      {}", request.source.id()), Role::Fg), (format!("which     {which}{filter}"), Role::Fg)];
    if dialog.is_paced() {
        let rate = request.rate_max.map_or_else(|| "as fast as it goes".to_owned(), |rate| format!("{rate} a second at most"));
        let takes =
            dialog.plan.value().and_then(|plan| plan.takes).map_or_else(String::new, |takes| format!(", about {} s", takes.as_secs()));
        out.push((format!("rate      {rate}{takes}   r rate"), Role::Fg));
    }
    if let Some(error) = dialog.entry.as_ref().and_then(|entry| entry.error.as_ref()) {
        let lines = error.lines().flat_map(|line| wrap(line, wide));
        out.extend(lines.map(|line| (line, Role::StateError)));
    }
    match &dialog.plan {
        Load::Idle => {}
        Load::Loading => {
            out.push((format!("{} looking who would receive them…", theme.glyphs.state(State::Pending)), Role::Spinner));
        }
        Load::Failed(error) | Load::Stale(_, error) => {
            out.extend(wrap(&error.to_string(), wide).into_iter().map(|line| (line, Role::StateError)));
            out.extend(error.hint().map(|hint| wrap(hint, wide)).unwrap_or_default().into_iter().map(|line| (line, Role::AccentAlt)));
        }
        Load::Ready(plan) => plan_lines(app, plan, theme, wide, &mut out),
    }
    out
}

fn plan_lines(app: &App, plan: &Plan, theme: &Theme, wide: u16, out: &mut Vec<Line>) {
    if let Some(expected) = plan.expected {
        let age = distance(expected.as_of.min(app.now()), app.now());
        out.push((format!("there are {}  (from {}, as of {age} ago)", grouped(expected.value), source_name(expected.source)), Role::Fg));
    } else {
        out.push(("there are an unknown number of them".to_owned(), Role::StateWarn));
    }
    looked_lines(plan, theme, wide, out);
    match plan.request.kind {
        Kind::Redrive | Kind::Undo => {
            out.push((format!("delivery  {}", plan.request.delivery), Role::Fg));
            out.push((String::new(), Role::Fg));
            out.push(("who receives it".to_owned(), Role::HeaderLabel));
            for route in plan.routes_taken() {
                route_lines(route, theme, out);
            }
        }
        Kind::Discard => {
            out.push(("kept      a full copy on this machine first (file mode 0600), then acknowledged".to_owned(), Role::Fg));
            out.push(("undo      z in the transfers publishes them to the dead-letter topic again".to_owned(), Role::FgMuted));
        }
        Kind::Replay | Kind::Export => out.push((format!("to        {}   t change", plan.request.delivery), Role::Fg)),
        Kind::Run => out.push((format!("to        {}", plan.request.delivery), Role::Fg)),
    }
    let mut say = |texts: &[String], state: State| {
        if !texts.is_empty() {
            out.push((String::new(), Role::Fg));
        }
        for text in texts {
            let sign = theme.glyphs.state(state);
            let lines = wrap(text, wide.saturating_sub(2)).into_iter().enumerate();
            out.extend(lines.map(|(index, line)| (format!("{} {line}", if index == 0 { sign } else { " " }), state.role())));
        }
    };
    say(&plan.warnings, State::Warn);
    say(&plan.refusals, State::Error);
    if !plan.refusals.is_empty() {
        out.push(("refused: it will not be done like this".to_owned(), Role::StateError));
    }
}

/// Says what the messages themselves tell, how they are changed, and how fast they go.
fn looked_lines(plan: &Plan, theme: &Theme, wide: u16, out: &mut Vec<Line>) {
    /// Causes that are shown; the screen by cause has all.
    const CAUSES_SHOWN: usize = 5;
    let request = &plan.request;
    if let Some(patch) = &request.options.patch {
        out.push((format!("edit      {} changes to each; the originals are kept on this machine", patch.0.len()), Role::Accent));
    }
    if let Some(canary) = request.options.canary {
        out.push((format!("canary    {} first, then a question after {} s", canary.count, canary.wait.as_secs()), Role::Accent));
    }
    let Some(looked) = &plan.looked else { return };
    if !looked.complete {
        out.push((format!("looked at {} of them: what follows is about those", grouped(looked.messages)), Role::FgMuted));
    }
    for cause in looked.causes.iter().take(CAUSES_SHOWN) {
        let line = wrap(&format!("{:>9}  {}", grouped(cause.count), cause.cause), wide).into_iter().next().unwrap_or_default();
        out.push((line, Role::Fg));
    }
    for problem in &looked.problems {
        let state = if problem.refused { State::Error } else { State::Warn };
        let lines = wrap(&problem.words(), wide.saturating_sub(2)).into_iter().enumerate();
        let sign = theme.glyphs.state(state);
        out.extend(lines.map(|(index, line)| (format!("{} {line}", if index == 0 { sign } else { " " }), state.role())));
    }
}

fn route_lines(route: &Route, theme: &Theme, out: &mut Vec<Line>) {
    let source = route.source.as_ref().map_or("messages that do not say who gave them up", |source| source.id());
    out.push((format!("{source}  →  topic {}", route.topic.id()), Role::Accent));
    if route.receivers.is_empty() {
        out.push((format!("  {} nobody: what is published there is lost", theme.glyphs.state(State::Error)), Role::StateError));
    }
    let widest = route.receivers.iter().map(|receiver| width(receiver.subscription.id())).max().unwrap_or(0);
    for receiver in &route.receivers {
        let (word, role) =
            if receiver.failed { ("the one that failed", Role::StateOk) } else { ("ALSO: processes it again", Role::StateWarn) };
        let filter = if receiver.filter.is_empty() { "no filter".to_owned() } else { format!("filter {}", receiver.filter) };
        let name = receiver.subscription.id();
        let count = receiver.matches.map_or_else(String::new, grouped);
        out.push((format!("  {word:<24}  {name:<widest$}  {count:>6}  {filter}", widest = usize::from(widest)), role));
    }
}
