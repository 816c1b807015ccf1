//! What each action does with the screen it is asked for on.

use std::collections::BTreeSet;

use super::dialog::{Button, Choice};
use super::doc::{self, Doc};
use super::screen::{Messages, Tasks};
use super::value::grouped;
use super::{App, Confirm, Debug, Dialog, Effect, Level, Overlay, Pick, Prompt, Publish, Screen};
use crate::console::action::Act;
use crate::console::app::Link;
use crate::console::message::{Fetch, Operation, Session};
use crate::model::job::JobState;
use crate::model::queue::QueueState;
use crate::names::{SubscriptionName, TaskName, TopicName};
use crate::ops::PeekMode;
use crate::ops::Place;
use crate::ops::Typed;
use crate::ops::transfer::{Kind, Request, Selection, Source};

/// Messages under way at once in a transfer: the bound of duplicates per crash.
const TRANSFER_WINDOW: u32 = 100;

impl App {
    /// Does an action.
    pub(super) fn act(&mut self, act: Act) -> Vec<Effect> {
        let page = isize::try_from(self.rows_visible()).unwrap_or(1);
        match act {
            Act::Up => self.moved(-1),
            Act::Down => self.moved(1),
            Act::PageUp => self.moved(-page),
            Act::PageDown => self.moved(page),
            Act::Top => self.moved(isize::MIN),
            Act::Bottom => self.moved(isize::MAX),
            Act::Left => self.shifted(-8),
            Act::Right => self.shifted(8),
            Act::Open => self.drill(),
            Act::Back => self.back(),
            Act::HistoryForward => self.history_step(1),
            Act::Favourite(kind) => self.go(kind),
            Act::Refresh => self.refresh(),
            Act::Quit if self.screen().is_top() || matches!(self.link, Link::Broken(_)) => self.quit(),
            Act::Quit | Act::HistoryBack => self.history_step(-1),
            Act::Command | Act::Filter | Act::Help | Act::SortPick => self.open_overlay(act),
            Act::Mark | Act::MarkRange | Act::MarkClear => self.mark(act),
            Act::SortInvert | Act::ColumnLeft | Act::ColumnRight => self.resort(act),
            Act::Wide => {
                self.wide = !self.wide;
                vec![]
            }
            Act::Mouse => {
                self.mouse = !self.mouse;
                self.flash(Level::Info, if self.mouse { "mouse on" } else { "mouse off: the terminal selects text again" });
                vec![Effect::Mouse(self.mouse)]
            }
            Act::Describe => self.describe(),
            Act::Raw => self.raw(),
            Act::Copy => self.copy(),
            Act::WebConsole => self.web_console(),
            Act::Save => self.save(),
            act => self.act_on_resource(act),
        }
    }

    fn act_on_resource(&mut self, act: Act) -> Vec<Effect> {
        match act {
            Act::Publish => self.publish(),
            Act::RunTask => self.run_tasks(),
            Act::DebugTask => self.debug_task(),
            Act::DiscardTasks => self.discard_tasks(),
            Act::ToggleQueue => self.toggle_queue(),
            Act::PurgeQueue => self.purge_queue(),
            Act::RunJob | Act::ToggleJob => self.job_action(act),
            Act::Redrive => self.transfer(Kind::Redrive),
            Act::EditMessage => self.edit_message(),
            Act::Undo => self.undo(),
            Act::Hold => self.hold(),
            Act::MoveTasks => self.pick_queue(),
            Act::EditTask => self.edit_task(),
            Act::DiscardMessages => self.transfer(Kind::Discard),
            Act::ReplayMessages => self.transfer(Kind::Replay),
            Act::ExportMessages => self.transfer(Kind::Export),
            Act::Group => {
                let screen = if let Screen::Messages(messages) = self.screen() { Some(Screen::causes(messages)) } else { None };
                screen.map(|screen| self.open(screen)).unwrap_or_default()
            }
            Act::Lease => self.ask_lease(),
            Act::ResumeTransfer | Act::CancelTransfer => self.transfer_action(act),
            Act::PruneTransfers => self.prune(),
            _ => vec![],
        }
    }

    fn moved(&mut self, by: isize) -> Vec<Effect> {
        self.move_cursor(by);
        vec![]
    }

    fn shifted(&mut self, by: isize) -> Vec<Effect> {
        if let Some(doc) = self.screen_mut().doc_mut() {
            doc.shift(by);
        }
        vec![]
    }

    fn open_overlay(&mut self, act: Act) -> Vec<Effect> {
        let dialog = match act {
            Act::Command => {
                let names = super::prompt::Names { themes: self.themes.clone(), ..Default::default() };
                self.overlay = Overlay::Prompt(Prompt::command(&names));
                return vec![];
            }
            Act::Filter => {
                let before = self.screen().table().map(|table| table.filter().text().to_owned()).unwrap_or_default();
                self.overlay = Overlay::Prompt(Prompt::filter(&before));
                return vec![];
            }
            Act::Help => Dialog::Help(0),
            _ => {
                let Some(table) = self.screen().table() else { return vec![] };
                let named = table.columns().iter().enumerate().filter(|(_, column)| !column.title.is_empty());
                let items = named.map(|(index, column)| (column.title.to_owned(), Choice::Sort(index))).collect();
                Dialog::Pick(Pick { title: "sort by".to_owned(), items, cursor: table.sort().map_or(0, |sort| sort.column) })
            }
        };
        self.overlay = Overlay::Dialog(dialog);
        vec![]
    }

    fn mark(&mut self, act: Act) -> Vec<Effect> {
        if let Some(table) = self.screen_mut().table_mut() {
            match act {
                Act::Mark => table.toggle_mark(),
                Act::MarkRange => table.mark_range(),
                _ => table.clear_marks(),
            }
        }
        if act == Act::Mark { self.moved(1) } else { vec![] }
    }

    fn resort(&mut self, act: Act) -> Vec<Effect> {
        let Some(table) = self.screen().table() else { return vec![] };
        let last = table.columns().len() - 1;
        let at = table.sort().map(|sort| sort.column);
        let column = match (act, at) {
            (Act::SortInvert, at) => at.unwrap_or(0),
            (Act::ColumnLeft, at) => at.map_or(last, |at| if at == 0 { last } else { at - 1 }),
            (_, at) => at.map_or(0, |at| if at == last { 0 } else { at + 1 }),
        };
        self.sort_by(column);
        vec![]
    }

    /// Opens the description of what is under the cursor, or shown.
    pub(super) fn describe(&mut self) -> Vec<Effect> {
        let raw = self.screen().raw(&self.data);
        let doc = match self.screen() {
            Screen::Text { .. } | Screen::Message { .. } | Screen::Task { .. } | Screen::Transfer { .. } | Screen::Job { .. } => {
                return vec![];
            }
            Screen::Messages(_) | Screen::Tasks(_) | Screen::Doctor(_) => return self.drill(),
            screen => screen
                .table()
                .filter(|table| table.len() > 0)
                .map(|table| doc::of_row(table, table.cursor(), raw.as_ref().map(|(_, raw)| raw), self.now)),
        };
        let title = raw.as_ref().map_or("describe", |(title, _)| title).to_owned();
        doc.map(|doc| self.open(Screen::Text { title, raw: raw.map(|(_, raw)| raw), json: false, doc })).unwrap_or_default()
    }

    /// Opens the resource as YAML; there, turns it into JSON and back.
    fn raw(&mut self) -> Vec<Effect> {
        if let Screen::Text { raw: Some(raw), json, doc, .. } = self.screen_mut() {
            *json = !*json;
            let panel = if *json { doc::json_panel("JSON", raw) } else { doc::yaml_panel("YAML", raw) };
            doc.replace(Doc { panels: vec![panel], ..Doc::default() });
            return vec![];
        }
        let Some((title, raw)) = self.screen().raw(&self.data) else {
            self.flash(Level::Warn, "nothing here to show raw");
            return vec![];
        };
        let doc = Doc { panels: vec![doc::yaml_panel("YAML", &raw)], ..Doc::default() };
        self.open(Screen::Text { title, raw: Some(raw), json: false, doc })
    }

    fn copy(&mut self) -> Vec<Effect> {
        let text = match self.screen() {
            Screen::Task { task, .. } => task.value().filter(|task| task.full).map(crate::ops::curl),
            Screen::Message { message, .. } => Some(crate::model::text::lines(&String::from_utf8_lossy(&message.data)).into_owned()),
            Screen::Job { name, .. } => Some(name.to_string()),
            Screen::Transfer { id, .. } => Some(id.0.clone()),
            Screen::Text { doc, .. } => Some(doc.text(self.now)),
            screen => screen.table().filter(|table| table.len() > 0).map(|table| table.key(table.cursor()).to_owned()),
        };
        let Some(text) = text else { return vec![] };
        let clean = crate::model::text::lines(&text).into_owned();
        let first = clean.lines().next().unwrap_or_default().to_owned();
        self.flash(Level::Info, format!("copied {first}"));
        vec![Effect::Copy(clean)]
    }

    fn web_console(&mut self) -> Vec<Effect> {
        let Link::Up(Session { project, place, .. }) = &self.link else { return vec![] };
        if let Place::Emulator(_) = place {
            self.flash(Level::Warn, "an emulator has no web console");
            return vec![];
        }
        let Some(address) = super::save::web_address(self.screen(), project) else { return vec![] };
        self.flash(Level::Info, format!("copied {address}"));
        vec![Effect::Copy(address)]
    }

    fn publish(&mut self) -> Vec<Effect> {
        let topic: Option<TopicName> = match self.screen() {
            Screen::Topics(list) => list.selected().map(|row| row.topic.name.clone()),
            Screen::Subscriptions { list, topic } => {
                topic.clone().or_else(|| list.selected().and_then(|row| row.subscription.topic.clone()))
            }
            Screen::Messages(messages) => {
                let found = super::data::items(&self.data.subscriptions).iter().find(|one| one.name == messages.subscription);
                found.and_then(|one| one.topic.clone())
            }
            _ => None,
        };
        match topic {
            Some(topic) => self.overlay = Overlay::Dialog(Dialog::Publish(Box::new(Publish::new(topic)))),
            None => self.flash(Level::Warn, "no topic here to publish to"),
        }
        vec![]
    }

    /// The tasks an action is for: the marked ones, else the one under the cursor or shown.
    pub(super) fn chosen_tasks(&self) -> Vec<TaskName> {
        match self.screen() {
            Screen::Task { name, .. } => vec![name.clone()],
            Screen::Tasks(Tasks { list, .. }) => {
                let marked: Vec<_> = list.marked().map(|row| row.task.name.clone()).collect();
                if marked.is_empty() { list.selected().map(|row| row.task.name.clone()).into_iter().collect() } else { marked }
            }
            _ => vec![],
        }
    }

    fn run_tasks(&mut self) -> Vec<Effect> {
        let tasks = self.chosen_tasks();
        match tasks.len() {
            0 => vec![],
            1 => self.operate(Operation::RunTasks(tasks)),
            count => {
                let hidden = self.hidden_line();
                let mut lines = vec![format!("Dispatches {count} marked tasks now, one after the other.")];
                lines.extend(hidden);
                lines.push("Google allows 60 such calls a minute and region.".to_owned());
                let button = Button::new(format!("Run {count}"), Choice::Operate(Operation::RunTasks(tasks)));
                self.ask("run tasks", false, lines, vec![button])
            }
        }
    }

    fn hidden_line(&self) -> Option<String> {
        let (_, hidden) = self.screen().table()?.marked_counts();
        (hidden > 0).then(|| format!("({hidden} of them hidden by the filter)"))
    }

    pub(super) fn ask(&mut self, title: &str, danger: bool, lines: Vec<String>, buttons: Vec<Button>) -> Vec<Effect> {
        self.overlay = Overlay::Dialog(Dialog::Confirm(Confirm::new(title, danger, lines, buttons)));
        vec![]
    }

    /// Asks before something that may cost data; what the context wants to be typed is typed first.
    pub(super) fn ask_danger(
        &mut self,
        (name, count): (&str, Option<usize>),
        title: &str,
        lines: Vec<String>,
        buttons: Vec<Button>,
    ) -> Vec<Effect> {
        let word = match (self.rule.confirm, count) {
            (Typed::Nothing, _) => None,
            (Typed::Count, Some(count)) => Some(count.to_string()),
            (Typed::Count | Typed::Name, _) => Some(name.to_owned()),
        };
        let confirm = Confirm { word: word.map(|word| (word, String::new())), ..Confirm::new(title, true, lines, buttons) };
        self.overlay = Overlay::Dialog(Dialog::Confirm(confirm));
        vec![]
    }

    fn debug_task(&mut self) -> Vec<Effect> {
        let name = match self.screen() {
            Screen::Task { name, .. } => Some(name.clone()),
            Screen::Tasks(tasks) => tasks.list.selected().map(|row| row.task.name.clone()),
            _ => None,
        };
        let Some(name) = name else { return vec![] };
        let mut debug = Debug::new(name.clone());
        if let Screen::Task { task, .. } = self.screen()
            && let Some(task) = task.value().filter(|task| task.full)
        {
            debug.loaded(Ok(task));
        }
        self.overlay = Overlay::Dialog(Dialog::Debug(Box::new(debug)));
        self.fetch(vec![Fetch::Task(name)])
    }

    fn discard_tasks(&mut self) -> Vec<Effect> {
        let tasks = self.chosen_tasks();
        let count = tasks.len();
        let (queue, marked, filtered): (String, bool, Option<Vec<TaskName>>) = match self.screen() {
            Screen::Tasks(screen) => {
                let marked = screen.list.marked().next().is_some();
                let filter = super::Table::filter(&screen.list);
                let all = (!filter.is_empty() && !marked).then(|| screen.list.shown().map(|row| row.task.name.clone()).collect());
                (screen.queue.id().to_owned(), marked, all)
            }
            Screen::Task { name, .. } => (name.queue().id().to_owned(), false, None),
            _ => return vec![],
        };
        if count == 0 {
            return vec![];
        }
        let mut lines = vec![match (marked, tasks.first()) {
            (true, _) => format!("Discard {} marked {} of `{queue}`?", grouped(count as u64), if count == 1 { "task" } else { "tasks" }),
            (false, Some(task)) => format!("Discard task `{}` of `{queue}`?", task.id()),
            (false, None) => return vec![],
        }];
        lines.extend(self.hidden_line());
        lines.push(format!("A copy{} is kept on this machine first (file mode 0600).", if count == 1 { "" } else { " of each" }));
        lines.push("It cannot be undone at the service: the name stays taken for a while.".to_owned());
        let mut buttons = vec![Button::new(
            if marked { format!("Discard {count}") } else { "Discard this one".to_owned() },
            Choice::Operate(Operation::DiscardTasks(tasks)),
        )];
        if let Some(all) = filtered.filter(|all| all.len() > 1) {
            lines.push(format!("The filter shows {} tasks.", grouped(all.len() as u64)));
            buttons.push(Button::new(
                format!("Discard all {} shown", grouped(all.len() as u64)),
                Choice::Operate(Operation::DiscardTasks(all)),
            ));
        }
        self.ask_danger((&queue, Some(count)), "discard", lines, buttons)
    }

    fn toggle_queue(&mut self) -> Vec<Effect> {
        let Screen::Queues(list) = self.screen() else { return vec![] };
        let Some((name, state)) = list.selected().map(|row| (row.queue.name.clone(), row.queue.state)) else { return vec![] };
        match state {
            QueueState::Running => self.operate(Operation::PauseQueue(name)),
            QueueState::Paused | QueueState::Disabled | QueueState::Unknown => self.operate(Operation::ResumeQueue(name)),
        }
    }

    fn purge_queue(&mut self) -> Vec<Effect> {
        let Screen::Queues(list) = self.screen() else { return vec![] };
        let Some(row) = list.selected() else { return vec![] };
        let name = row.queue.name.clone();
        let count = row
            .numbers()
            .depth
            .map_or_else(|| "all tasks (their number is not known)".to_owned(), |n| format!("about {} tasks", grouped(n.value)));
        let lines = vec![
            format!("Purge `{}`: delete {count}, whatever the filter shows?", name.id()),
            "No copy is kept and nothing brings them back.".to_owned(),
            "It takes up to a minute; tasks created meanwhile may go too.".to_owned(),
        ];
        let id = name.id().to_owned();
        self.ask_danger((&id, None), "purge queue", lines, vec![Button::new("Purge", Choice::Operate(Operation::PurgeQueue(name)))])
    }

    fn job_action(&mut self, act: Act) -> Vec<Effect> {
        let name = match self.screen() {
            Screen::Jobs(list) => list.selected().map(|row| row.job.name.clone()),
            Screen::Job { name, .. } => Some(name.clone()),
            _ => None,
        };
        let Some(name) = name else { return vec![] };
        let paused = super::data::items(&self.data.jobs).iter().any(|job| job.name == name && job.state != JobState::Enabled);
        self.operate(match (act, paused) {
            (Act::RunJob, _) => Operation::RunJob(name),
            (_, true) => Operation::ResumeJob(name),
            (_, false) => Operation::PauseJob(name),
        })
    }

    fn transfer_action(&mut self, act: Act) -> Vec<Effect> {
        let id = match self.screen() {
            Screen::Transfers(list) => list.selected().map(|row| row.summary.id.clone()),
            Screen::Transfer { id, .. } => Some(id.clone()),
            _ => None,
        };
        let Some(id) = id else { return vec![] };
        self.operate(if act == Act::ResumeTransfer { Operation::ResumeTransfer(id) } else { Operation::CancelTransfer(id) })
    }

    fn ask_lease(&mut self) -> Vec<Effect> {
        let Screen::Messages(Messages { subscription, mode, .. }) = self.screen() else { return vec![] };
        let subscription = subscription.clone();
        if *mode == PeekMode::Leased {
            return self.ask(
                "look by snapshot",
                false,
                vec![
                    "Takes a snapshot and a short-lived subscription: the original is untouched.".to_owned(),
                    "It delivers, and bills, the whole backlog once; both are removed afterwards.".to_owned(),
                ],
                vec![Button::new("Look", Choice::Peek(subscription, PeekMode::Snapshot))],
            );
        }
        self.ask(
            "look by lease",
            false,
            vec![
                "Leases a sample of the messages and releases them at once.".to_owned(),
                "Under a dead-letter policy each release counts as a delivery attempt.".to_owned(),
            ],
            vec![Button::new("Look", Choice::Peek(subscription, PeekMode::Leased))],
        )
    }

    /// Asks for the plan of a redrive or a discard of what is marked, shown as a cause, or held.
    fn transfer(&mut self, kind: Kind) -> Vec<Effect> {
        let ids =
            |rows: &mut dyn Iterator<Item = &super::rows::MessageRow>| rows.map(|row| row.message.id.clone()).collect::<BTreeSet<_>>();
        let (subscription, some, hidden) = match self.screen() {
            Screen::DeadLetters(list) => {
                let holders = list.selected().map(|row| row.relation.holders.clone()).unwrap_or_default();
                return self.transfer_of_held(kind, &holders);
            }
            Screen::Messages(messages) => {
                let marked = ids(&mut messages.list.marked());
                let (_, hidden) = super::Table::marked_counts(&messages.list);
                let narrowed = messages.cause.is_some() || !super::Table::filter(&messages.list).is_empty();
                let some = if !marked.is_empty() {
                    Some(marked)
                } else if narrowed {
                    Some(ids(&mut messages.list.shown()))
                } else {
                    None
                };
                (messages.subscription.clone(), some, hidden)
            }
            Screen::Message { subscription, message, .. } => (subscription.clone(), Some(BTreeSet::from([message.id.clone()])), 0),
            Screen::Causes { subscription, rows, list, .. } => {
                let marked: Vec<_> = list.marked().map(|row| row.cause.clone()).collect();
                let causes = if marked.is_empty() { list.selected().map(|row| row.cause.clone()).into_iter().collect() } else { marked };
                let some = rows.iter().filter(|row| causes.contains(&super::causes::Cause::of(&row.message)));
                (subscription.clone(), Some(some.map(|row| row.message.id.clone()).collect()), 0)
            }
            _ => return vec![],
        };
        if some.as_ref().is_some_and(BTreeSet::is_empty) {
            self.flash(Level::Warn, "nothing is marked or shown");
            return vec![];
        }
        self.plan(kind, subscription, some, hidden)
    }

    fn transfer_of_held(&mut self, kind: Kind, holders: &[SubscriptionName]) -> Vec<Effect> {
        match holders {
            [] => {
                self.flash(Level::Warn, "no subscription holds dead letters here");
                vec![]
            }
            [one] => self.plan(kind, one.clone(), None, 0),
            several => {
                self.pick_subscription("which subscription holds them", several, move |name| Choice::Transfer(kind, name));
                vec![]
            }
        }
    }

    /// Lets one of several subscriptions be chosen.
    pub(super) fn pick_subscription(&mut self, title: &str, names: &[SubscriptionName], choice: impl Fn(SubscriptionName) -> Choice) {
        let items = names.iter().map(|name| (name.id().to_owned(), choice(name.clone()))).collect();
        self.overlay = Overlay::Dialog(Dialog::Pick(Pick { title: title.to_owned(), items, cursor: 0 }));
    }

    /// Opens the look before the leap and asks for it.
    pub(super) fn plan(
        &mut self,
        kind: Kind,
        subscription: SubscriptionName,
        some: Option<BTreeSet<String>>,
        hidden: usize,
    ) -> Vec<Effect> {
        let selection = some.map_or(Selection::All, Selection::Messages);
        let request = Request { selection, window: TRANSFER_WINDOW, ..Request::new(kind, Source::Subscription(subscription)) };
        self.plan_of(request, hidden)
    }
}

/// Says what an operation is doing while it does.
pub(super) fn gerund(operation: &Operation) -> &'static str {
    match operation {
        Operation::Publish(..) => "publishing…",
        Operation::RunTasks(_) | Operation::RunJob(_) => "running…",
        Operation::DiscardTasks(_) => "discarding…",
        Operation::DebugTask(..) => "asking the local handler…",
        Operation::PauseQueue(_) | Operation::PauseJob(_) => "pausing…",
        Operation::ResumeQueue(_) | Operation::ResumeJob(_) | Operation::ResumeTransfer(_) => "resuming…",
        Operation::PurgeQueue(_) => "purging…",
        Operation::StartTransfer(_) => "starting…",
        Operation::CancelTransfer(_) => "cancelling…",
        Operation::PruneTransfers(_) => "deleting copies…",
        Operation::Hold(_) => "holding…",
        Operation::Release(_) => "putting back…",
    }
}

/// Names the rows an operation is about.
pub(super) fn targets(operation: &Operation) -> Vec<String> {
    match operation {
        Operation::Publish(topic, _) => vec![topic.to_string()],
        Operation::RunTasks(tasks) | Operation::DiscardTasks(tasks) => tasks.iter().map(ToString::to_string).collect(),
        Operation::DebugTask(task, _) => vec![task.to_string()],
        Operation::PauseQueue(queue) | Operation::ResumeQueue(queue) | Operation::PurgeQueue(queue) => vec![queue.to_string()],
        Operation::RunJob(job) | Operation::PauseJob(job) | Operation::ResumeJob(job) => vec![job.to_string()],
        Operation::StartTransfer(plan) => vec![plan.request.source.to_string()],
        Operation::CancelTransfer(id) | Operation::ResumeTransfer(id) => vec![id.0.clone()],
        Operation::PruneTransfers(ids) => ids.iter().map(|id| id.0.clone()).collect(),
        Operation::Hold(name) | Operation::Release(name) => vec![name.to_string()],
    }
}

/// Says what an operation did.
pub(super) fn done_text(operation: &Operation) -> String {
    match operation {
        Operation::Publish(topic, _) => format!("published to `{}`", topic.id()),
        Operation::RunTasks(tasks) if tasks.len() == 1 => format!("task `{}` is dispatched", tasks[0].id()),
        Operation::RunTasks(tasks) => format!("{} tasks are dispatched", tasks.len()),
        Operation::DiscardTasks(tasks) => format!("{} tasks discarded", tasks.len()),
        Operation::DebugTask(..) => "the local handler answered".to_owned(),
        Operation::Hold(name) => format!("`{}` is held: z puts it back", name.id()),
        Operation::Release(name) => format!("`{}` pushes again", name.id()),
        Operation::PauseQueue(queue) => format!("queue `{}` is paused", queue.id()),
        Operation::ResumeQueue(queue) => format!("queue `{}` runs again", queue.id()),
        Operation::PurgeQueue(queue) => format!("queue `{}` is being purged", queue.id()),
        Operation::RunJob(job) => format!("job `{}` runs", job.id()),
        Operation::PauseJob(job) => format!("job `{}` is paused", job.id()),
        Operation::ResumeJob(job) => format!("job `{}` is enabled again", job.id()),
        Operation::StartTransfer(_) => "transfer started".to_owned(),
        Operation::CancelTransfer(id) => format!("transfer {id} is cancelled; r resumes it"),
        Operation::ResumeTransfer(id) => format!("transfer {id} goes on"),
        Operation::PruneTransfers(ids) => format!("the copies of {} discards are deleted", ids.len()),
    }
}
