//! The look before a transfer: from where, to where, who receives it, and why it may be refused.

use crossterm::event::KeyCode;

use super::{Choice, Reply};
use crate::console::app::load::Load;
use crate::console::app::value::grouped;
use crate::console::key::Key;
use crate::console::message::Operation;
use crate::ops::transfer::{Kind, Plan, Request, Selection};

/// A transfer that is asked about.
pub(crate) struct PlanDialog {
    /// What was asked for.
    pub(crate) request: Request,
    /// What it would do.
    pub(crate) plan: Load<Plan>,
    /// How many of the marked ones the filter hides.
    pub(crate) hidden: usize,
    /// Whether the focus is on doing it, rather than on Cancel.
    pub(crate) go: bool,
    /// The first line shown.
    pub(crate) top: usize,
}

impl PlanDialog {
    /// Makes the dialog, waiting for its plan.
    pub(crate) fn new(request: Request, hidden: usize) -> Self {
        Self { request, plan: Load::Loading, hidden, go: false, top: 0 }
    }

    /// Tells whether it can be done.
    pub(crate) fn ready(&self) -> Option<&Plan> {
        match &self.plan {
            Load::Ready(plan) if plan.refusals.is_empty() => Some(plan),
            _ => None,
        }
    }

    /// Returns how many messages it is about, as far as that is known.
    pub(crate) fn count(&self) -> Option<u64> {
        match &self.request.selection {
            Selection::Messages(ids) => Some(ids.len() as u64),
            Selection::Matching(_) | Selection::Cause(_) => None,
            Selection::All => self.plan.value().and_then(|plan| plan.expected).map(|expected| expected.value),
        }
    }

    /// Says what the button does.
    pub(crate) fn verb(&self) -> String {
        let count = match (&self.request.selection, self.count()) {
            (Selection::Messages(_), Some(count)) => grouped(count),
            (_, Some(count)) => format!("all, about {}", grouped(count)),
            (Selection::Matching(_) | Selection::Cause(_), None) => "what is selected".to_owned(),
            (_, None) => "all".to_owned(),
        };
        let verb = match self.request.kind {
            Kind::Redrive => "Redrive",
            Kind::Discard => "Discard",
            Kind::Replay => "Replay",
            Kind::Export => "Export",
            Kind::Undo => "Put back",
            Kind::Run => "Run",
        };
        format!("{verb} {count}")
    }

    /// Hands a key to the dialog.
    pub(crate) fn key(&mut self, key: Key) -> Reply {
        match key.code {
            KeyCode::Esc | KeyCode::Char('q' | 'n') => return Reply::Close,
            KeyCode::Left | KeyCode::Char('h') => self.go = false,
            KeyCode::Right | KeyCode::Char('l') => self.go = self.ready().is_some(),
            KeyCode::Tab | KeyCode::BackTab => self.go = !self.go && self.ready().is_some(),
            KeyCode::Up | KeyCode::Char('k') => self.top = self.top.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.top = (self.top + 1).min(self.lines_max()),
            KeyCode::Enter if !self.go => return Reply::Close,
            KeyCode::Enter => {
                return match self.ready() {
                    Some(plan) => Reply::Do(Choice::Operate(Operation::StartTransfer(Box::new(plan.clone())))),
                    None => Reply::Stay,
                };
            }
            _ => {}
        }
        Reply::Stay
    }

    fn lines_max(&self) -> usize {
        let Some(plan) = self.plan.value() else { return 0 };
        plan.routes.iter().map(|route| route.receivers.len() + 1).sum::<usize>() + plan.warnings.len() + plan.refusals.len()
    }
}
