//! A question with buttons. Focus starts on Cancel.

use crossterm::event::KeyCode;

use super::{Choice, Reply};
use crate::console::key::Key;

/// A question.
pub(crate) struct Confirm {
    /// What it is about.
    pub(crate) title: String,
    /// What will be done, to how many, and whether it can be undone.
    pub(crate) lines: Vec<String>,
    /// Whether it may cost data.
    pub(crate) danger: bool,
    /// The answers; the first is Cancel.
    pub(crate) buttons: Vec<Button>,
    /// The one that `enter` takes.
    pub(crate) focus: usize,
    /// What is to be typed before, and what was.
    pub(crate) word: Option<(String, String)>,
}

/// An answer.
pub(crate) struct Button {
    /// What it says.
    pub(crate) label: String,
    choice: Choice,
}

impl Button {
    /// Makes a button.
    pub(crate) fn new(label: impl Into<String>, choice: Choice) -> Self {
        Self { label: label.into(), choice }
    }
}

impl Confirm {
    /// Makes a question; Cancel is added and has the focus.
    pub(crate) fn new(title: impl Into<String>, danger: bool, lines: Vec<String>, buttons: Vec<Button>) -> Self {
        let mut all = vec![Button::new("Cancel", Choice::Cancel)];
        all.extend(buttons);
        Self { title: title.into(), lines, danger, buttons: all, focus: 0, word: None }
    }

    /// Hands a key to the question: only a button that was moved to is taken by `enter`.
    pub(crate) fn key(&mut self, key: Key) -> Reply {
        let last = self.buttons.len() - 1;
        if let Some((_, typed)) = &mut self.word {
            match (key.code, key.typed()) {
                (KeyCode::Backspace, _) => {
                    typed.pop();
                    return Reply::Stay;
                }
                (KeyCode::Char(_), Some(c)) => {
                    typed.push(c);
                    return Reply::Stay;
                }
                _ => {}
            }
        }
        match key.code {
            KeyCode::Esc | KeyCode::Char('q' | 'n') => return Reply::Close,
            KeyCode::Left | KeyCode::BackTab | KeyCode::Char('h') => self.focus = self.focus.saturating_sub(1),
            KeyCode::Right | KeyCode::Char('l') => self.focus = (self.focus + 1).min(last),
            KeyCode::Tab => self.focus = if self.focus == last { 0 } else { self.focus + 1 },
            KeyCode::Enter => {
                return match &self.buttons[self.focus].choice {
                    Choice::Cancel => Reply::Close,
                    _ if self.word.as_ref().is_some_and(|(word, typed)| word != typed) => Reply::Stay,
                    choice => Reply::Do(choice.clone()),
                };
            }
            _ => {}
        }
        Reply::Stay
    }
}
