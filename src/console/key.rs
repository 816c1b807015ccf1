//! One key press as text and back: `P`, `ctrl-d`, `shift-left`, `ctrl-\`.
//!
//! Not `crokey`: it lowers the case of what it reads, so that `r` and `R` cannot be told apart as they are written in our table.

use std::fmt;
use std::str::FromStr;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::error::{Error, Result};

/// A key with its modifiers; letters carry shift in their case only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// Which key.
    pub(crate) code: KeyCode,
    /// What is held down with it.
    pub(crate) modifiers: KeyModifiers,
}

const NAMED: [(&str, KeyCode); 16] = [
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("space", KeyCode::Char(' ')),
    ("tab", KeyCode::Tab),
    ("backtab", KeyCode::BackTab),
    ("backspace", KeyCode::Backspace),
    ("del", KeyCode::Delete),
    ("ins", KeyCode::Insert),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("pageup", KeyCode::PageUp),
    ("pagedown", KeyCode::PageDown),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
];

const MODIFIERS: [(&str, KeyModifiers); 3] =
    [("ctrl-", KeyModifiers::CONTROL), ("alt-", KeyModifiers::ALT), ("shift-", KeyModifiers::SHIFT)];

impl Key {
    /// Returns the character it types into a text field, if it does.
    pub(crate) fn typed(self) -> Option<char> {
        match self.code {
            KeyCode::Char(c) if self.modifiers.is_empty() => Some(c),
            _ => None,
        }
    }

    /// Returns the event a text field understands.
    pub(crate) fn event(self) -> KeyEvent {
        KeyEvent::new(self.code, self.modifiers)
    }
}

impl From<KeyEvent> for Key {
    fn from(event: KeyEvent) -> Self {
        let mut modifiers = event.modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT);
        let code = match event.code {
            KeyCode::Char(c) => {
                let shifted = modifiers.contains(KeyModifiers::SHIFT);
                modifiers -= KeyModifiers::SHIFT;
                let control = modifiers.contains(KeyModifiers::CONTROL);
                match c {
                    // Terminals send 0x1c for ctrl-\ and crossterm names that byte ctrl-4.
                    '4' if control => KeyCode::Char('\\'),
                    c if control => KeyCode::Char(c.to_ascii_lowercase()),
                    c if shifted && c.is_lowercase() => KeyCode::Char(c.to_uppercase().next().unwrap_or(c)),
                    c => KeyCode::Char(c),
                }
            }
            code => code,
        };
        if code == KeyCode::BackTab {
            modifiers -= KeyModifiers::SHIFT;
        }
        Self { code, modifiers }
    }
}

impl FromStr for Key {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fail = || {
            Error::invalid(format!("`{}` is not a key", text.escape_debug()))
                .with_hint("keys look like `P`, `ctrl-d`, `shift-left`, `alt-enter`, `f5`, `space`")
        };
        let mut modifiers = KeyModifiers::NONE;
        let mut rest = text;
        while let Some((name, modifier)) = MODIFIERS.iter().find(|(name, _)| rest.len() > name.len() && rest.starts_with(name)) {
            modifiers |= *modifier;
            rest = &rest[name.len()..];
        }
        let mut chars = rest.chars();
        let code = match (chars.next(), chars.next()) {
            (Some(c), None) => KeyCode::Char(c),
            _ => match NAMED.iter().find(|(name, _)| *name == rest) {
                Some((_, code)) => *code,
                None => KeyCode::F(rest.strip_prefix('f').and_then(|n| n.parse().ok()).filter(|n| (1..=12).contains(n)).ok_or_else(fail)?),
            },
        };
        Ok(KeyEvent::new(code, modifiers).into())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, modifier) in MODIFIERS {
            if self.modifiers.contains(modifier) {
                f.write_str(name)?;
            }
        }
        match (self.code, NAMED.iter().find(|(_, code)| *code == self.code)) {
            (_, Some((name, _))) => f.write_str(name),
            (KeyCode::Char(c), None) => write!(f, "{c}"),
            (KeyCode::F(n), None) => write!(f, "f{n}"),
            (code, None) => write!(f, "{code}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip() {
        for text in
            ["P", "p", "ctrl-d", "ctrl-\\", "ctrl-space", "shift-left", "alt-enter", "f5", "?", "-", "ctrl--", "pagedown", "backtab"]
        {
            assert_eq!(text.parse::<Key>().unwrap().to_string(), text);
        }
        for text in ["", "f13", "ctrl-", "hyper-x", "enter2"] {
            assert!(text.parse::<Key>().is_err() || text == "ctrl-", "{text}");
        }
    }

    #[test]
    fn terminals_spellings_are_one_key() {
        let event = |code, modifiers| Key::from(KeyEvent::new(code, modifiers));
        assert_eq!(event(KeyCode::Char('4'), KeyModifiers::CONTROL).to_string(), "ctrl-\\");
        assert_eq!(event(KeyCode::Char('r'), KeyModifiers::SHIFT).to_string(), "R");
        assert_eq!(event(KeyCode::Char('R'), KeyModifiers::SHIFT).to_string(), "R");
        assert_eq!(event(KeyCode::Char('?'), KeyModifiers::SHIFT).to_string(), "?");
        assert_eq!(event(KeyCode::BackTab, KeyModifiers::SHIFT).to_string(), "backtab");
    }
}
