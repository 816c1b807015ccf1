//! THE table of actions: key handling, help, hints, the command palette, remapping and the README's table all derive from it.

mod keymap;
mod table;

use std::fmt::Write as _;

pub(crate) use keymap::Keymap;
pub(crate) use table::ACTIONS;

/// What an operator can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Act {
    Command,
    Filter,
    Help,
    Open,
    Back,
    Quit,
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    Left,
    Right,
    Mark,
    MarkRange,
    MarkClear,
    Describe,
    Raw,
    Copy,
    WebConsole,
    SortPick,
    SortInvert,
    ColumnLeft,
    ColumnRight,
    Wide,
    Save,
    Refresh,
    HistoryBack,
    HistoryForward,
    Favourite(Kind),
    Mouse,
    Publish,
    RunTask,
    DebugTask,
    DiscardTasks,
    ToggleQueue,
    PurgeQueue,
    RunJob,
    ToggleJob,
    Redrive,
    EditMessage,
    Undo,
    Hold,
    MoveTasks,
    EditTask,
    DiscardMessages,
    ReplayMessages,
    ExportMessages,
    Group,
    Lease,
    ResumeTransfer,
    CancelTransfer,
    PruneTransfers,
}

/// The kinds of screens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Kind {
    Overview,
    Queues,
    Tasks,
    Task,
    Topics,
    Subscriptions,
    DeadLetters,
    Messages,
    Causes,
    Message,
    Jobs,
    Job,
    Transfers,
    Transfer,
    Activity,
    Doctor,
    Text,
}

impl Kind {
    /// Returns the screen's title, also the name its command goes by.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Kind::Overview => "overview",
            Kind::Queues => "queues",
            Kind::Tasks => "tasks",
            Kind::Task => "task",
            Kind::Topics => "topics",
            Kind::Subscriptions => "subscriptions",
            Kind::DeadLetters => "dead letters",
            Kind::Messages => "messages",
            Kind::Causes => "by cause",
            Kind::Message => "message",
            Kind::Jobs => "jobs",
            Kind::Job => "job",
            Kind::Transfers => "transfers",
            Kind::Transfer => "transfer",
            Kind::Activity => "activity",
            Kind::Doctor => "doctor",
            Kind::Text => "text",
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u8
    }
}

/// On which screens an action is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct On(u32);

impl On {
    /// Every screen.
    pub(crate) const ALL: On = On(u32::MAX);
    /// Every screen that lists rows.
    pub(crate) const LISTS: On = On(Kind::Overview.bit()
        | Kind::Queues.bit()
        | Kind::Tasks.bit()
        | Kind::Topics.bit()
        | Kind::Subscriptions.bit()
        | Kind::DeadLetters.bit()
        | Kind::Messages.bit()
        | Kind::Causes.bit()
        | Kind::Jobs.bit()
        | Kind::Transfers.bit()
        | Kind::Activity.bit()
        | Kind::Doctor.bit());
    /// Every screen that shows one thing.
    pub(crate) const DETAILS: On = On(Kind::Task.bit() | Kind::Message.bit() | Kind::Job.bit() | Kind::Transfer.bit() | Kind::Text.bit());

    /// Names single screens.
    pub(crate) const fn only(kinds: &[Kind]) -> On {
        let (mut bits, mut index) = (0, 0);
        while index < kinds.len() {
            bits |= kinds[index].bit();
            index += 1;
        }
        On(bits)
    }

    /// Tells whether `kind` is among them.
    pub(crate) const fn has(self, kind: Kind) -> bool {
        self.0 & kind.bit() != 0
    }
}

/// What an action may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Danger {
    /// Changes nothing at the services.
    Reads,
    /// Changes something that can be set back.
    Changes,
    /// Asks first; cannot be undone, or only in part.
    Asks,
}

/// Under which heading help lists an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    /// What acts on the services.
    Actions,
    /// Moving between screens and rows.
    Moving,
    /// What is shown, and how.
    View,
}

/// One action.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Action {
    /// What it is to the program.
    pub(crate) act: Act,
    /// What it is called in the configuration and the palette.
    pub(crate) id: &'static str,
    /// The keys it has unless remapped.
    pub(crate) keys: &'static [&'static str],
    /// Where it is offered.
    pub(crate) on: On,
    /// A few words for the line of hints; empty is not listed there.
    pub(crate) hint: &'static str,
    /// One sentence for help.
    pub(crate) doc: &'static str,
    /// What it may cost.
    pub(crate) danger: Danger,
    /// Its heading.
    pub(crate) group: Group,
}

/// Returns the table of keys for the README, in Markdown.
pub fn markdown_table() -> String {
    let mut out = String::from("| key | action | what it does |\n|---|---|---|\n");
    let cell = |key: &str| match key {
        "|" => "`\\|`".to_owned(),
        key => format!("`{key}`"),
    };
    for action in ACTIONS {
        let keys: Vec<_> = action.keys.iter().map(|key| cell(key)).collect();
        let asks = if action.danger == Danger::Asks { " Asks first." } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(out, "| {} | `{}` | {}.{asks} |", keys.join(" "), action.id, action.doc);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_this_table() {
        let readme = include_str!("../../../README.md");
        let between =
            readme.split_once("<!-- keys -->").and_then(|(_, rest)| rest.split_once("<!-- /keys -->")).map(|(table, _)| table.trim());
        assert_eq!(
            between,
            Some(markdown_table().trim()),
            "put the output of `redrive::console::markdown_table()` between the markers in README.md"
        );
    }

    #[test]
    fn ids_and_docs_are_sound() {
        for (index, action) in ACTIONS.iter().enumerate() {
            assert!(ACTIONS[..index].iter().all(|other| other.id != action.id), "{} is there twice", action.id);
            assert!(!action.doc.ends_with('.') && action.doc.starts_with(char::is_uppercase), "{}", action.id);
            assert!(!action.keys.is_empty(), "{}", action.id);
        }
    }
}
