//! The signs the console draws with, and what stands for them where the terminal shows ASCII only.

use ratatui::symbols::border;

use crate::console::theme::Role;

/// How something fares. No status rests on colour alone: each has a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum State {
    /// Broken now.
    Error,
    /// Needs a look.
    Warn,
    /// An action on it is under way.
    Pending,
    /// Halted by an operator.
    Paused,
    /// As it should be.
    Ok,
    /// Over.
    Done,
}

impl State {
    /// Returns the role it is drawn with.
    pub(crate) fn role(self) -> Role {
        match self {
            State::Error => Role::StateError,
            State::Warn => Role::StateWarn,
            State::Pending => Role::StatePending,
            State::Paused => Role::StatePaused,
            State::Ok => Role::StateOk,
            State::Done => Role::StateDone,
        }
    }
}

/// The set of signs in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Glyphs {
    ascii: bool,
}

impl Glyphs {
    /// Makes the set: ASCII only, or Unicode.
    pub(crate) fn new(ascii: bool) -> Self {
        Self { ascii }
    }

    /// Tells whether the terminal shows ASCII only.
    pub(crate) fn ascii(self) -> bool {
        self.ascii
    }

    /// Returns the sign of a state.
    pub(crate) fn state(self, state: State) -> &'static str {
        let (unicode, ascii) = match state {
            State::Error => ("■", "X"),
            State::Warn => ("▲", "!"),
            State::Pending => ("◌", "~"),
            State::Paused => ("‖", "="),
            State::Ok => ("●", "o"),
            State::Done => ("✓", "+"),
        };
        self.pick(unicode, ascii)
    }

    /// Returns the Unicode sign, or the one that stands for it.
    pub(crate) fn pick(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.ascii { ascii } else { unicode }
    }

    /// Returns the border of panels.
    pub(crate) fn border(self) -> border::Set<'static> {
        if self.ascii {
            border::Set {
                top_left: "+",
                top_right: "+",
                bottom_left: "+",
                bottom_right: "+",
                vertical_left: "|",
                vertical_right: "|",
                horizontal_top: "-",
                horizontal_bottom: "-",
            }
        } else {
            border::ROUNDED
        }
    }

    /// Returns the eight steps of a sparkline.
    pub(crate) fn spark(self) -> [&'static str; 8] {
        if self.ascii { ["_", ".", ":", "-", "=", "+", "*", "#"] } else { ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"] }
    }

    /// Replaces what is no ASCII by its nearest stand-in, for terminals whose locale is not UTF-8.
    pub(crate) fn plain(self, symbol: &str) -> Option<&'static str> {
        if !self.ascii || symbol.is_ascii() {
            return None;
        }
        Some(match symbol {
            "…" | "░" => ".",
            "–" | "—" | "─" => "-",
            "›" | "→" | "▸" | "▶" | "≥" => ">",
            "‹" | "←" | "◂" | "≤" => "<",
            "·" | "│" => "|",
            "×" => "x",
            "“" | "”" => "\"",
            "‘" | "’" => "'",
            "↑" | "▴" => "^",
            "↓" | "▾" => "v",
            "█" | "▉" => "#",
            _ => "?",
        })
    }
}
