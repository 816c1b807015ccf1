//! A choice of one out of a few.

use crossterm::event::KeyCode;

use super::{Choice, Reply};
use crate::console::key::Key;

/// A choice of one.
pub(crate) struct Pick {
    /// What it is about.
    pub(crate) title: String,
    /// What can be chosen.
    pub(crate) items: Vec<(String, Choice)>,
    /// The one under the cursor.
    pub(crate) cursor: usize,
}

impl Pick {
    /// Hands a key to the choice.
    pub(crate) fn key(&mut self, key: Key) -> Reply {
        let last = self.items.len().saturating_sub(1);
        match key.code {
            KeyCode::Esc | KeyCode::Char('q') => return Reply::Close,
            KeyCode::Up | KeyCode::Char('k') => self.cursor = self.cursor.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.cursor = (self.cursor + 1).min(last),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = last,
            KeyCode::Enter => return self.items.get(self.cursor).map_or(Reply::Close, |(_, choice)| Reply::Do(choice.clone())),
            _ => {}
        }
        Reply::Stay
    }
}
