//! What goes on with transfers besides redrive and discard: edit before, undo after; tasks moved to another queue; push subscriptions held.

use std::collections::BTreeSet;

use serde_json::Value;

use super::dialog::{Button, Choice};
use super::value::grouped;
use super::{App, Dialog, Effect, Level, Overlay, Pick, PlanDialog, Screen};
use crate::console::message::{Fetch, Operation};
use crate::error::{Error, Result};
use crate::model::message::Message;
use crate::model::subscription::Delivery as Delivers;
use crate::names::{QueueName, SubscriptionName, TaskName};
use crate::ops::transfer::{
    Delivery, Kind, Options, Request, Selection, Source, Summary, TaskChange, difference, document, replaced, task_change, task_document,
};

/// What is in the editor.
pub(crate) enum Editing {
    /// A message, and those that are changed as it is.
    Message { message: Message, subscription: SubscriptionName, some: BTreeSet<String>, hidden: usize },
    /// A task, as it was.
    Task { name: TaskName, before: Value },
}

impl App {
    /// Opens a message in the editor; what is changed there is changed in all that are marked, or of its cause.
    pub(super) fn edit_message(&mut self) -> Vec<Effect> {
        let ids = |rows: &[&super::rows::MessageRow]| rows.iter().map(|row| row.message.id.clone()).collect::<BTreeSet<_>>();
        let editing = match self.screen() {
            Screen::Message { subscription, message, .. } => {
                Some((Message::clone(message), subscription.clone(), BTreeSet::from([message.id.clone()]), 0))
            }
            Screen::Messages(messages) => {
                let marked: Vec<_> = messages.list.marked().collect();
                let rows = if marked.is_empty() { messages.list.selected().into_iter().collect() } else { marked };
                let (_, hidden) = super::Table::marked_counts(&messages.list);
                rows.first().map(|row| (Message::clone(&row.message), messages.subscription.clone(), ids(&rows), hidden))
            }
            Screen::Causes { subscription, rows, list, .. } => {
                let cause = list.selected().map(|row| row.cause.clone());
                let rows: Vec<_> = rows.iter().filter(|row| Some(super::causes::Cause::of(&row.message)) == cause).collect();
                rows.first().map(|row| (Message::clone(&row.message), subscription.clone(), ids(&rows), 0))
            }
            _ => None,
        };
        let Some((message, subscription, some, hidden)) = editing else { return vec![] };
        let Ok(mut text) = serde_json::to_string_pretty(&document(&message)) else { return vec![] };
        text.push('\n');
        self.editing = Some(Editing::Message { message, subscription, some, hidden });
        vec![Effect::Edit(text)]
    }

    /// Opens the task in the editor.
    pub(super) fn edit_task(&mut self) -> Vec<Effect> {
        let Screen::Task { name, task, .. } = self.screen() else { return vec![] };
        let Some(task) = task.value().filter(|task| task.full) else {
            self.flash(Level::Warn, "its headers and body are not there: they need the permission `cloudtasks.tasks.fullView`");
            return vec![];
        };
        let (name, before) = (name.clone(), task_document(task));
        let Ok(mut text) = serde_json::to_string_pretty(&before) else { return vec![] };
        text.push('\n');
        self.editing = Some(Editing::Task { name, before });
        vec![Effect::Edit(text)]
    }

    /// Takes what came back from the editor: the look before a task is created anew with what was changed.
    fn on_edited_task(&mut self, name: &TaskName, before: &Value, answer: Result<String>) -> Vec<Effect> {
        let change = answer.and_then(|text| {
            let after =
                serde_json::from_str(&text).map_err(|error| Error::invalid(format!("what was edited is no JSON any more: {error}")))?;
            task_change(before, &after)
        });
        match change {
            Err(error) => self.flash_error(&error),
            Ok(None) => self.flash(Level::Info, "nothing was edited"),
            Ok(Some(change)) => {
                // It stays in its queue, also where that is a dead set.
                let change = TaskChange { queue: Some(name.queue().clone()), ..change };
                let request = Request {
                    selection: Selection::Messages(BTreeSet::from([name.to_string()])),
                    delivery: Delivery::Task(Box::new(change)),
                    ..Request::new(Kind::Redrive, Source::Queue(name.queue().clone()))
                };
                return self.plan_of(request, 0);
            }
        }
        vec![]
    }

    /// Takes what came back from the editor: the look before the leap of a redrive with that change.
    pub(super) fn on_edited(&mut self, answer: Result<String>) -> Vec<Effect> {
        let (message, subscription, some, hidden) = match self.editing.take() {
            Some(Editing::Message { message, subscription, some, hidden }) => (message, subscription, some, hidden),
            Some(Editing::Task { name, before }) => return self.on_edited_task(&name, &before, answer),
            None => return vec![],
        };
        let before = document(&message);
        let patch = answer.and_then(|text| {
            let after =
                serde_json::from_str(&text).map_err(|error| Error::invalid(format!("what was edited is no JSON any more: {error}")))?;
            replaced(&message, &before, &after)?;
            Ok(difference(&before, &after))
        });
        match patch {
            Err(error) => self.flash_error(&error),
            Ok(patch) if patch.0.is_empty() => self.flash(Level::Info, "nothing was edited"),
            Ok(patch) => {
                let request = Request {
                    selection: Selection::Messages(some),
                    options: Options { patch: Some(patch), ..Options::default() },
                    ..Request::new(Kind::Redrive, Source::Subscription(subscription))
                };
                return self.plan_of(request, hidden);
            }
        }
        vec![]
    }

    /// Opens the look before the leap and asks for it.
    pub(super) fn plan_of(&mut self, request: Request, hidden: usize) -> Vec<Effect> {
        let typed = self.rule.confirm;
        let dialog = PlanDialog::new(request.clone(), hidden, typed);
        // Where to is entered first.
        let waits = dialog.entry.is_some();
        self.overlay = Overlay::Dialog(Dialog::Plan(Box::new(dialog)));
        if waits {
            return vec![];
        }
        self.fetch(vec![Fetch::Plan(Box::new(request))])
    }

    /// Puts back what is to be put back: what a discard took away, or how a held subscription pushed.
    pub(super) fn undo(&mut self) -> Vec<Effect> {
        match self.screen() {
            Screen::Transfers(list) => {
                let Some(summary) = list.selected().map(|row| &row.summary) else { return vec![] };
                if summary.request.kind != Kind::Discard {
                    self.flash(Level::Warn, "only a discard can be undone");
                    return vec![];
                }
                let request = Request::new(Kind::Undo, Source::Kept(summary.id.clone()));
                self.plan_of(request, 0)
            }
            Screen::Subscriptions { list, .. } => {
                let name = list.selected().map(|row| row.subscription.name.clone());
                name.map(|name| self.operate(Operation::Release(name))).unwrap_or_default()
            }
            _ => vec![],
        }
    }

    /// Asks whether to delete the kept copies of the marked discards, else of the one under the cursor.
    pub(super) fn prune(&mut self) -> Vec<Effect> {
        let Screen::Transfers(list) = self.screen() else { return vec![] };
        let marked: Vec<&Summary> = list.marked().map(|row| &row.summary).collect();
        let chosen = if marked.is_empty() { list.selected().map(|row| &row.summary).into_iter().collect() } else { marked };
        let pruned: Vec<&Summary> = chosen.into_iter().filter(|summary| summary.is_prunable()).collect();
        let kept: u64 = pruned.iter().map(|summary| summary.counts.discarded).sum();
        let ids: Vec<_> = pruned.iter().map(|summary| summary.id.clone()).collect();
        let Some(first) = ids.first().cloned() else {
            self.flash(Level::Warn, "only a discard that is done keeps copies that can be deleted");
            return vec![];
        };
        let what = if ids.len() == 1 { format!("discard {first}") } else { format!("{} discards", ids.len()) };
        let lines = vec![
            format!("Delete the kept copies of {what}: {} messages and tasks?", grouped(kept)),
            "They cannot be put back then; what was done stays listed.".to_owned(),
        ];
        let count = usize::try_from(kept).ok();
        let button = Button::new("Delete the copies", Choice::Operate(Operation::PruneTransfers(ids)));
        self.ask_danger((&first.0, count), "delete copies", lines, vec![button])
    }

    /// Asks whether to turn a push subscription to pull.
    pub(super) fn hold(&mut self) -> Vec<Effect> {
        let Screen::Subscriptions { list, .. } = self.screen() else { return vec![] };
        let Some(subscription) = list.selected().map(|row| row.subscription.clone()) else { return vec![] };
        let Delivers::Push { endpoint, .. } = &subscription.delivery else {
            self.flash(Level::Warn, format!("`{}` does not push: there is nothing to hold", subscription.name.id()));
            return vec![];
        };
        let lines = vec![
            format!("Hold `{}`: turn it from push to pull?", subscription.name.id()),
            format!("{} receives nothing any more; messages wait in the subscription.", crate::model::text::line(endpoint)),
            "Its configuration is kept on this machine; z puts it back.".to_owned(),
        ];
        let button = Button::new("Hold", Choice::Operate(Operation::Hold(subscription.name)));
        self.ask("hold", true, lines, vec![button])
    }

    /// Asks for the queue to move tasks to.
    pub(super) fn pick_queue(&mut self) -> Vec<Effect> {
        let from = match self.screen() {
            Screen::Tasks(tasks) => tasks.queue.clone(),
            Screen::Task { name, .. } => name.queue().clone(),
            _ => return vec![],
        };
        let all = super::data::items(&self.data.queues).iter().map(|queue| queue.name.clone());
        let others: Vec<QueueName> = all.filter(|name| *name != from).collect();
        if others.is_empty() || self.chosen_tasks().is_empty() {
            self.flash(Level::Warn, "there is no task here, or no other queue to move it to");
            return vec![];
        }
        let items = others.into_iter().map(|name| (format!("{}  {}", name.id(), name.location().id()), Choice::MoveTasks(name))).collect();
        self.overlay = Overlay::Dialog(Dialog::Pick(Pick { title: "move to queue".to_owned(), items, cursor: 0 }));
        vec![]
    }

    /// Plans to move the chosen tasks to a queue.
    pub(super) fn move_tasks(&mut self, to: QueueName) -> Vec<Effect> {
        let tasks = self.chosen_tasks();
        let Some(from) = tasks.first().map(|task| task.queue().clone()) else { return vec![] };
        let change = TaskChange { queue: Some(to), ..TaskChange::default() };
        let request = Request {
            selection: Selection::Messages(tasks.iter().map(ToString::to_string).collect()),
            delivery: Delivery::Task(Box::new(change)),
            ..Request::new(Kind::Redrive, Source::Queue(from))
        };
        let hidden = self.screen().table().map_or(0, |table| table.marked_counts().1);
        self.plan_of(request, hidden)
    }
}
