//! What comes back: answers to what was asked, the late ones dropped.

use std::mem::{Discriminant, discriminant};
use std::path::PathBuf;

use super::dialog::Dialog;
use super::load::Meta;
use super::rows::{MessageRow, TaskRow, what};
use super::value::grouped;
use super::{App, Effect, Level, Overlay, Screen, acting, doc};
use crate::console::message::{CallId, Fetch, Fetched, Operation, Outcome};
use crate::error::{Error, Result};
use crate::model::listing::Listing;
use crate::model::task::Task;
use crate::names::{QueueName, SubscriptionName, TaskName};
use crate::ops::transfer::{Plan, State, Summary};
use crate::ops::{Peek, Report};

impl App {
    pub(super) fn on_fetched(&mut self, id: CallId, answer: Fetched) -> Vec<Effect> {
        let Some(slot) = self.fetching.iter().find(|(_, (call, _))| *call == id).map(|(slot, _)| *slot) else {
            return vec![]; // Replaced or left behind: nobody waits for it.
        };
        self.settle(slot);
        match self.data.take(answer) {
            None => {
                let (now, at) = (self.now, self.at);
                self.history[at].sync(&self.data, now);
            }
            Some(Fetched::Tasks(queue, answer)) => self.take_tasks(&queue, answer),
            Some(Fetched::Task(name, answer)) => self.take_task(&name, answer),
            Some(Fetched::Messages(subscription, answer)) => self.take_messages(&subscription, answer),
            Some(Fetched::Plan(answer)) => self.take_plan(answer),
            Some(_) => {}
        }
        self.move_cursor(0);
        vec![]
    }

    fn settle(&mut self, slot: Discriminant<Fetch>) {
        self.fetching.remove(&slot);
        self.note_fetched(slot, self.now);
    }

    fn take_tasks(&mut self, queue: &QueueName, answer: Result<Listing<Task>>) {
        let now = self.now;
        for screen in &mut self.history {
            if let Screen::Tasks(tasks) = screen
                && tasks.queue == *queue
            {
                match answer {
                    Ok(listing) => {
                        tasks.load.finish(Ok(Meta {
                            as_of: Some(listing.as_of),
                            failed: listing.failed,
                            truncated: listing.truncated,
                            note: None,
                        }));
                        tasks.list.set_rows(listing.items.into_iter().map(TaskRow::new).collect(), now);
                    }
                    Err(error) => tasks.load.finish(Err(error)),
                }
                return;
            }
        }
    }

    fn take_task(&mut self, wanted: &TaskName, answer: Result<Task>) {
        let mut waiting = Some(answer);
        if let Overlay::Dialog(Dialog::Debug(debug)) = &mut self.overlay
            && debug.name == *wanted
            && let Some(answer) = waiting.take()
        {
            match answer {
                Ok(task) => {
                    debug.loaded(Ok(&task));
                    waiting = Some(Ok(task));
                }
                Err(error) => debug.loaded(Err(error)),
            }
        }
        let Some(answer) = waiting else { return };
        let found = self.history.iter_mut().find_map(|screen| match screen {
            Screen::Task { name, task, doc } if *name == *wanted => Some((task, doc)),
            _ => None,
        });
        if let Some((load, shown)) = found {
            if let Ok(task) = &answer {
                shown.replace(doc::of_task(task));
            }
            load.finish(answer);
        }
    }

    fn take_messages(&mut self, wanted: &SubscriptionName, answer: Result<Peek>) {
        let now = self.now;
        let at = self.at;
        let mut screens = self.history.iter_mut().enumerate().filter_map(|(index, screen)| match screen {
            Screen::Messages(messages) if messages.subscription == *wanted => Some((index, messages)),
            _ => None,
        });
        let Some((_, messages)) = screens.find(|(index, _)| *index == at).or_else(|| screens.next()) else { return };
        match answer {
            Ok(peek) => {
                messages.load.finish(Ok(Meta { as_of: Some(peek.as_of), failed: vec![], truncated: peek.truncated, note: peek.note }));
                let mut rows: Vec<MessageRow> = peek.messages.into_iter().map(MessageRow::new).collect();
                if let Some(cause) = &messages.cause {
                    rows.retain(|row| cause.matches(&row.message));
                }
                messages.list.set_rows(rows, now);
            }
            Err(error) => messages.load.finish(Err(error)),
        }
    }

    fn take_plan(&mut self, answer: Result<Plan>) {
        if let Overlay::Dialog(Dialog::Plan(dialog)) = &mut self.overlay {
            dialog.plan.finish(answer);
        }
    }

    pub(super) fn on_done(&mut self, id: CallId, answer: Result<Outcome>) -> Vec<Effect> {
        let Some(pending) = self.changing.remove(&id) else { return vec![] };
        let operation = pending.operation;
        match answer {
            Ok(outcome) => self.took_effect(&operation, outcome),
            Err(error) => {
                self.failed(&operation, error);
                self.refresh_unless_messages()
            }
        }
    }

    fn took_effect(&mut self, operation: &Operation, outcome: Outcome) -> Vec<Effect> {
        match outcome {
            Outcome::Done => self.flash(Level::Info, acting::done_text(operation)),
            Outcome::Published(id) => {
                if matches!(&self.overlay, Overlay::Dialog(Dialog::Publish(_))) {
                    self.overlay = Overlay::None;
                }
                self.flash(Level::Info, format!("{}: message {id}", acting::done_text(operation)));
            }
            Outcome::Report(report) => self.flash_report(operation, &report),
            Outcome::Answered(answer) => {
                if let Overlay::Dialog(Dialog::Debug(debug)) = &mut self.overlay {
                    debug.answered(Ok(&answer));
                }
                return vec![];
            }
            Outcome::Transfer(id) => {
                let effects = self.go(crate::console::action::Kind::Transfers);
                self.flash(Level::Info, format!("transfer {id} started"));
                return if effects.is_empty() { self.refresh() } else { effects };
            }
        }
        self.refresh_unless_messages()
    }

    /// A look at messages may cost a delivery attempt: it is never repeated unasked.
    fn refresh_unless_messages(&mut self) -> Vec<Effect> {
        if matches!(self.screen(), Screen::Messages(_)) { vec![] } else { self.refresh() }
    }

    fn flash_report(&mut self, operation: &Operation, report: &Report) {
        if report.failed.is_empty() && report.gone == 0 && !matches!(operation, Operation::DiscardTasks(_)) {
            self.flash(Level::Info, acting::done_text(operation));
            return;
        }
        let mut parts = vec![format!("{} done", grouped(report.done))];
        if report.gone > 0 {
            parts.push(format!("{} were gone already", grouped(report.gone)));
        }
        if let Some((name, error)) = report.failed.first() {
            let name = name.rsplit('/').next().unwrap_or(name);
            parts.push(format!("{} failed, first `{name}`: {error}", grouped(report.failed.len() as u64)));
        }
        if let Some(copy) = &report.copy {
            parts.push(format!("copy in {}", copy.display()));
        }
        let level = if report.failed.is_empty() { Level::Info } else { Level::Error };
        self.flash(level, parts.join(", "));
    }

    fn failed(&mut self, operation: &Operation, error: Error) {
        match &mut self.overlay {
            Overlay::Dialog(Dialog::Publish(dialog)) if matches!(operation, Operation::Publish(..)) => {
                let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
                dialog.failed(format!("{error}{hint}"));
            }
            Overlay::Dialog(Dialog::Debug(dialog)) if matches!(operation, Operation::DebugTask(..)) => dialog.answered(Err(error)),
            _ => self.flash_error(&error),
        }
    }

    pub(super) fn on_progress(&mut self, id: CallId, count: u64) -> Vec<Effect> {
        if let Some(pending) = self.changing.get_mut(&id) {
            pending.progress = count;
        }
        vec![]
    }

    pub(super) fn on_ended(&mut self, summary: &Summary) -> Vec<Effect> {
        let through = summary.counts.moved + summary.counts.discarded;
        let text = format!("{}: {} through, {} failed", what(&summary.request), grouped(through), grouped(summary.counts.failed));
        match summary.state {
            State::Done => self.flash(Level::Info, text),
            State::Cancelled => self.flash(Level::Warn, format!("{text}; cancelled")),
            State::Running | State::Confirming | State::Watching | State::Asking | State::DoneInPart | State::Stopped => {
                let why = summary.errors.last().map(|error| format!("; {error}")).unwrap_or_default();
                self.flash(Level::Error, format!("{text}{why}"));
            }
        }
        let mut wanted = self.screen().needs();
        if matches!(self.screen(), Screen::Messages(_)) {
            wanted.clear();
        }
        if !wanted.contains(&Fetch::Transfers) {
            wanted.push(Fetch::Transfers);
        }
        wanted.retain(|fetch| !self.fetching.contains_key(&discriminant(fetch)) || *fetch == Fetch::Transfers);
        self.fetch(wanted)
    }

    pub(super) fn on_saved(&mut self, answer: Result<PathBuf>) -> Vec<Effect> {
        match answer {
            Ok(path) => self.flash(Level::Info, format!("saved {}", path.display())),
            Err(error) => self.flash_error(&error),
        }
        vec![]
    }

    pub(super) fn on_themed(&mut self, name: &str, error: Option<Error>) -> Vec<Effect> {
        match error {
            None if name.is_empty() => {}
            None => self.flash(Level::Info, format!("theme {name}")),
            Some(error) => self.flash_error(&error),
        }
        vec![]
    }
}
