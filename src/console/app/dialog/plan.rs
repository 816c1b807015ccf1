//! The look before a transfer: from where, to where, who receives it, and why it may be refused.

use std::collections::BTreeSet;
use std::time::Duration;

use crossterm::event::{Event, KeyCode};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use super::{Choice, Reply};
use crate::console::app::load::Load;
use crate::console::app::value::grouped;
use crate::console::key::Key;
use crate::console::message::Operation;
use crate::error::Error;
use crate::ops::Typed;
use crate::ops::transfer::{Canary, Delivery, Kind, Plan, Request, Selection, Source};

/// A canary of the console is so many.
const CANARY: u64 = 10;

/// Where a handler listens, unless another address is entered.
const HANDLER: &str = "http://127.0.0.1:8080/";

/// It is waited for so long; then the operator is asked.
const CANARY_WAIT: Duration = Duration::from_secs(30);

/// What has the focus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlanFocus {
    Cancel,
    /// Where names or a count are typed.
    Field,
    Go,
}

/// What can be entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Messages a second.
    Rate,
    /// An expression that selects.
    Filter,
    /// Where a local handler listens.
    Handler,
    /// The file to write.
    File,
}

/// A field that is open: it takes the keys.
pub(crate) struct Entry {
    /// What is entered.
    pub(crate) wanted: Wanted,
    /// What was typed.
    pub(crate) input: Input,
    /// Why what was typed will not do.
    pub(crate) error: Option<String>,
}

/// A transfer that is asked about.
pub(crate) struct PlanDialog {
    /// What was asked for.
    pub(crate) request: Request,
    /// What it would do.
    pub(crate) plan: Load<Plan>,
    /// How many of the marked ones the filter hides.
    pub(crate) hidden: usize,
    /// What has the focus.
    pub(crate) focus: PlanFocus,
    /// What the context wants to be typed.
    context: Typed,
    /// What was typed.
    pub(crate) typed: Input,
    /// The field that is open, if one is.
    pub(crate) entry: Option<Entry>,
    /// The first line shown.
    pub(crate) top: usize,
}

impl PlanDialog {
    /// Makes the dialog, waiting for its plan, or first for where messages are to go.
    pub(crate) fn new(request: Request, hidden: usize, context: Typed) -> Self {
        let mut dialog =
            Self { request, plan: Load::Loading, hidden, focus: PlanFocus::Cancel, context, typed: Input::default(), entry: None, top: 0 };
        if let Some(wanted) = dialog.destination() {
            dialog.plan = Load::Idle;
            dialog.open_entry(wanted);
        }
        dialog
    }

    /// Returns what says where messages go, where that is entered.
    pub(crate) fn destination(&self) -> Option<Wanted> {
        match self.request.kind {
            Kind::Replay => Some(Wanted::Handler),
            Kind::Export => Some(Wanted::File),
            Kind::Redrive | Kind::Discard | Kind::Undo | Kind::Run => None,
        }
    }

    /// Returns what is to be typed before: who receives the messages again, and what the context asks for.
    pub(crate) fn words(&self) -> Vec<String> {
        let Some(plan) = self.ready() else { return vec![] };
        let mut words: Vec<String> = plan.fan_out().into_iter().map(|name| name.id().to_owned()).collect();
        match (self.context, self.count()) {
            (Typed::Nothing, _) => {}
            (Typed::Count, Some(count)) => words.push(count.to_string()),
            (Typed::Count | Typed::Name, _) => words.push(plan.request.source.id()),
        }
        words
    }

    /// Tells whether all that is to be typed was typed.
    pub(crate) fn is_confirmed(&self) -> bool {
        let typed: BTreeSet<&str> = self.typed.value().split([' ', ',']).filter(|word| !word.is_empty()).collect();
        let words = self.words();
        typed == words.iter().map(String::as_str).collect()
    }

    /// Puts pasted text into the field.
    pub(crate) fn paste(&mut self, text: &str) {
        let into = match &mut self.entry {
            Some(entry) => &mut entry.input,
            None if self.focus == PlanFocus::Field => &mut self.typed,
            None => return,
        };
        *into = Input::new(format!("{}{}", into.value(), text.lines().next().unwrap_or_default()));
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
        if self.entry.is_some() {
            return self.enter_value(key);
        }
        match key.code {
            KeyCode::Esc => return Reply::Close,
            KeyCode::Tab => self.move_focus(1),
            KeyCode::BackTab => self.move_focus(2),
            KeyCode::Up => self.top = self.top.saturating_sub(1),
            KeyCode::Down => self.top = (self.top + 1).min(self.lines_max()),
            KeyCode::Enter => return self.enter(),
            _ if self.focus == PlanFocus::Field => {
                self.typed.handle_event(&Event::Key(key.event()));
            }
            KeyCode::Char('q' | 'n') => return Reply::Close,
            KeyCode::Left | KeyCode::Char('h') if self.focus == PlanFocus::Go => self.move_focus(2),
            KeyCode::Right | KeyCode::Char('l') if self.focus == PlanFocus::Cancel => self.move_focus(1),
            KeyCode::Char('k') => self.top = self.top.saturating_sub(1),
            KeyCode::Char('j') => self.top = (self.top + 1).min(self.lines_max()),
            KeyCode::Char('d' | 'c') => return self.vary(key.code),
            KeyCode::Char('r') if self.is_paced() => self.open_entry(Wanted::Rate),
            KeyCode::Char('f') if self.is_filtered() => self.open_entry(Wanted::Filter),
            KeyCode::Char('t') => {
                if let Some(wanted) = self.destination() {
                    self.open_entry(wanted);
                }
            }
            _ => {}
        }
        Reply::Stay
    }

    fn move_focus(&mut self, by: usize) {
        let mut order = vec![PlanFocus::Cancel];
        if !self.words().is_empty() {
            order.push(PlanFocus::Field);
        }
        if self.ready().is_some() {
            order.push(PlanFocus::Go);
        }
        let at = order.iter().position(|focus| *focus == self.focus).unwrap_or(0);
        let by = if by == 1 { 1 } else { order.len() - 1 };
        self.focus = order[(at + by) % order.len()];
    }

    fn enter(&mut self) -> Reply {
        match (self.focus, self.ready()) {
            (PlanFocus::Cancel, _) => Reply::Close,
            (PlanFocus::Go, Some(plan)) if self.is_confirmed() => {
                Reply::Do(Choice::Operate(Operation::StartTransfer(Box::new(plan.clone().confirmed()))))
            }
            (PlanFocus::Field, Some(_)) if self.is_confirmed() => {
                self.focus = PlanFocus::Go;
                Reply::Stay
            }
            (PlanFocus::Go, Some(_)) => {
                self.focus = PlanFocus::Field;
                Reply::Stay
            }
            _ => Reply::Stay,
        }
    }

    /// Tells whether it can be sent another way, and a few first.
    pub(crate) fn varies(&self) -> bool {
        self.request.kind == Kind::Redrive && matches!(self.request.source, Source::Subscription(_))
    }

    /// Changes the way of delivery, or whether a canary goes first, and asks for the plan of that.
    fn vary(&mut self, key: KeyCode) -> Reply {
        if !self.varies() {
            return Reply::Stay;
        }
        if key == KeyCode::Char('d') {
            self.request.delivery = match self.request.delivery {
                Delivery::SourceTopic => Delivery::Addressed,
                Delivery::Addressed => Delivery::Direct { private: false },
                _ => Delivery::SourceTopic,
            };
        } else {
            let canary = Canary { count: CANARY, wait: CANARY_WAIT, go_on: false };
            self.request.options.canary = if self.request.options.canary.is_some() { None } else { Some(canary) };
        }
        self.replan()
    }

    /// Asks for the plan of what is asked for now.
    fn replan(&mut self) -> Reply {
        self.plan = Load::Loading;
        self.focus = PlanFocus::Cancel;
        self.typed = Input::default();
        Reply::Start(Choice::Plan(Box::new(self.request.clone())))
    }

    /// Tells whether it can be slowed down: not where Cloud Tasks or a file sets the pace.
    pub(crate) fn is_paced(&self) -> bool {
        matches!(self.request.source, Source::Subscription(_))
    }

    /// Tells whether an expression can say which: not where they were chosen one by one.
    pub(crate) fn is_filtered(&self) -> bool {
        self.is_paced() && matches!(self.request.selection, Selection::All | Selection::Matching(_))
    }

    fn open_entry(&mut self, wanted: Wanted) {
        let now = match (wanted, &self.request.selection) {
            (Wanted::Rate, _) => self.request.rate_max.map_or_else(String::new, |rate| rate.to_string()),
            (Wanted::Filter, Selection::Matching(query)) => query.to_string(),
            (Wanted::Filter, _) => String::new(),
            (Wanted::Handler | Wanted::File, _) => match &self.request.delivery {
                Delivery::Handler { url, .. } => url.clone(),
                Delivery::File(path) => path.display().to_string(),
                _ if wanted == Wanted::File => format!("{}.jsonl", self.request.source.id()),
                _ => HANDLER.to_owned(),
            },
        };
        self.entry = Some(Entry { wanted, input: Input::new(now), error: None });
    }

    /// Hands a key to the open field.
    fn enter_value(&mut self, key: Key) -> Reply {
        let Some(entry) = &mut self.entry else { return Reply::Stay };
        match key.code {
            KeyCode::Esc if matches!(self.plan, Load::Idle) => return Reply::Close,
            KeyCode::Esc => self.entry = None,
            KeyCode::Enter => {
                let text = entry.input.value().trim().to_owned();
                match accept(&mut self.request, entry.wanted, &text) {
                    Ok(()) => {
                        self.entry = None;
                        return self.replan();
                    }
                    Err(why) => entry.error = Some(why),
                }
            }
            _ => {
                entry.error = None;
                entry.input.handle_event(&Event::Key(key.event()));
            }
        }
        Reply::Stay
    }

    fn lines_max(&self) -> usize {
        let Some(plan) = self.plan.value() else { return 0 };
        let looked = plan.looked.as_ref().map_or(0, |looked| looked.causes.len().min(5) + looked.problems.len());
        looked + plan.routes.iter().map(|route| route.receivers.len() + 1).sum::<usize>() + plan.warnings.len() + plan.refusals.len()
    }
}

/// Puts what was entered into the request; nothing is no limit, or all.
fn accept(request: &mut Request, wanted: Wanted, text: &str) -> Result<(), String> {
    match wanted {
        Wanted::Rate if text.is_empty() => request.rate_max = None,
        Wanted::Rate => match text.parse() {
            Ok(rate @ 1..) => request.rate_max = Some(rate),
            _ => return Err("give messages a second as a whole number, or nothing for no limit".to_owned()),
        },
        Wanted::Handler if text.is_empty() => return Err(format!("give where a handler on this machine listens, such as {HANDLER}")),
        Wanted::Handler => request.delivery = Delivery::Handler { url: text.to_owned(), anywhere: false },
        Wanted::File if text.is_empty() => return Err("name a file, which must not exist yet".to_owned()),
        Wanted::File => request.delivery = Delivery::File(text.into()),
        Wanted::Filter if text.is_empty() => request.selection = Selection::All,
        Wanted::Filter => request.selection = Selection::Matching(text.parse().map_err(|error: Error| error.to_string())?),
    }
    Ok(())
}
