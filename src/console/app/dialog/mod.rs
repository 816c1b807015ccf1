//! Dialogs: questions, plans, editors and pickers. One is open at a time and takes the keys first.

mod confirm;
mod debug;
mod pick;
mod plan;
mod publish;

pub(crate) use confirm::{Button, Confirm};
pub(crate) use debug::Debug;
pub(crate) use pick::Pick;
pub(crate) use plan::{PlanDialog, PlanFocus, Wanted};
pub(crate) use publish::{Field, Publish};

use crossterm::event::KeyCode;

use crate::console::key::Key;
use crate::console::message::Operation;
use crate::names::{QueueName, SubscriptionName};
use crate::ops::PeekMode;
use crate::ops::transfer::{Kind, Request};

/// What is open over the screen.
pub(crate) enum Dialog {
    /// A question with buttons.
    Confirm(Confirm),
    /// The look before a transfer.
    Plan(Box<PlanDialog>),
    /// The editor of a message.
    Publish(Box<Publish>),
    /// A task as curl, and what a local handler says.
    Debug(Box<Debug>),
    /// A choice of one.
    Pick(Pick),
    /// The keys of this screen, scrolled so far.
    Help(usize),
}

/// What a key in a dialog leads to.
#[derive(Debug)]
pub(crate) enum Reply {
    /// The dialog stays open.
    Stay,
    /// It closes, nothing happens.
    Close,
    /// It closes, and this is done.
    Do(Choice),
    /// It stays open while this is done.
    Start(Choice),
}

/// What can be chosen in a dialog.
#[derive(Debug, Clone)]
pub(crate) enum Choice {
    /// Nothing.
    Cancel,
    /// Change something.
    Operate(Operation),
    /// Look at messages in this way.
    Peek(SubscriptionName, PeekMode),
    /// Sort by this column.
    Sort(usize),
    /// Plan this instead.
    Plan(Box<Request>),
    /// Move the chosen tasks to this queue.
    MoveTasks(QueueName),
    /// Plan a transfer of all that this subscription holds.
    Transfer(Kind, SubscriptionName),
    /// Open the messages of this subscription.
    OpenMessages(SubscriptionName),
    /// End the program.
    Quit,
}

impl Dialog {
    /// Hands a key to the dialog.
    pub(crate) fn key(&mut self, key: Key) -> Reply {
        match self {
            Dialog::Confirm(dialog) => dialog.key(key),
            Dialog::Plan(dialog) => dialog.key(key),
            Dialog::Publish(dialog) => dialog.key(key),
            Dialog::Debug(dialog) => dialog.key(key),
            Dialog::Pick(dialog) => dialog.key(key),
            Dialog::Help(top) => help_key(top, key),
        }
    }

    /// Hands pasted text to the dialog; without a text field it is dropped.
    pub(crate) fn paste(&mut self, text: &str) {
        match self {
            Dialog::Publish(dialog) => dialog.paste(text),
            Dialog::Debug(dialog) => dialog.paste(text),
            Dialog::Plan(dialog) => dialog.paste(text),
            Dialog::Confirm(_) | Dialog::Pick(_) | Dialog::Help(_) => {}
        }
    }
}

fn help_key(top: &mut usize, key: Key) -> Reply {
    /// Lines a page of help moves.
    const PAGE: usize = 10;
    match key.code {
        KeyCode::Down | KeyCode::Char('j') => *top += 1,
        KeyCode::Up | KeyCode::Char('k') => *top = top.saturating_sub(1),
        KeyCode::PageDown | KeyCode::Char(' ') => *top += PAGE,
        KeyCode::PageUp => *top = top.saturating_sub(PAGE),
        KeyCode::Home => *top = 0,
        KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q' | '?') => return Reply::Close,
        _ => {}
    }
    // More than there ever is; the view stops at the last page.
    *top = (*top).min(200);
    Reply::Stay
}
