//! A task as curl, and what a handler on this machine answers to it.

use crossterm::event::{Event, KeyCode};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use super::{Choice, Reply};
use crate::console::app::doc;
use crate::console::app::load::Load;
use crate::console::key::Key;
use crate::console::message::Operation;
use crate::error::Result;
use crate::model::task::Task;
use crate::model::text;
use crate::names::TaskName;
use crate::ops::{self, HandlerAnswer};

/// Where handlers commonly listen while they are written.
const BASE_DEFAULT: &str = "http://127.0.0.1:8080";

/// A task under the glass.
pub(crate) struct Debug {
    /// Which task.
    pub(crate) name: TaskName,
    /// The task as curl: the command itself for copying, and its lines, escaped.
    pub(crate) curl: Load<(String, Vec<String>)>,
    /// Where the handler listens.
    pub(crate) base: Input,
    /// What it answered, as lines.
    pub(crate) answer: Load<Vec<String>>,
    /// The first line shown of the answer.
    pub(crate) top: usize,
}

impl Debug {
    /// Opens the dialog.
    pub(crate) fn new(name: TaskName) -> Self {
        Self { name, curl: Load::Loading, base: Input::new(BASE_DEFAULT.to_owned()), answer: Load::Idle, top: 0 }
    }

    /// Takes in the task.
    pub(crate) fn loaded(&mut self, task: Result<&Task, crate::error::Error>) {
        self.curl.finish(task.map(|task| {
            let curl = ops::curl(task);
            let lines = text::lines(&curl).lines().map(str::to_owned).collect();
            (curl, lines)
        }));
    }

    /// Takes in the handler's answer.
    pub(crate) fn answered(&mut self, answer: Result<&HandlerAnswer, crate::error::Error>) {
        self.top = 0;
        self.answer = Load::Idle;
        self.answer.finish(answer.map(doc::answer_lines));
    }

    /// Hands a key to the dialog: `enter` sends, the rest edits the address.
    pub(crate) fn key(&mut self, key: Key) -> Reply {
        match key.code {
            KeyCode::Esc => return Reply::Close,
            KeyCode::Enter => {
                self.answer = Load::Loading;
                return Reply::Start(Choice::Operate(Operation::DebugTask(self.name.clone(), self.base.value().trim().to_owned())));
            }
            KeyCode::Up => self.top = self.top.saturating_sub(1),
            KeyCode::Down => self.top = (self.top + 1).min(self.answer.value().map_or(0, |lines| lines.len().saturating_sub(1))),
            _ => {
                self.base.handle_event(&Event::Key(key.event()));
            }
        }
        Reply::Stay
    }

    /// Puts pasted text into the address.
    pub(crate) fn paste(&mut self, text: &str) {
        let joined = format!("{}{}", self.base.value(), text.lines().next().unwrap_or_default());
        self.base = Input::new(joined);
    }
}
