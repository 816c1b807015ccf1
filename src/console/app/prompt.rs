//! The line at the bottom that is typed into: a command, or a filter.

use crossterm::event::{Event, KeyCode};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use crate::console::action::{ACTIONS, Kind};
use crate::console::app::filter::FILTER_CHARS_MAX;
use crate::console::key::Key;

/// Suggestions are at most so many.
const SUGGESTIONS_MAX: usize = 8;

/// What is being typed.
pub(crate) struct Prompt {
    /// Whether it is a command or a filter.
    pub(crate) mode: Mode,
    /// The text.
    pub(crate) input: Input,
    /// What it may be meant to become.
    pub(crate) suggestions: Vec<String>,
    /// The suggestion under the cursor.
    pub(crate) picked: Option<usize>,
}

/// What a prompt is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A command.
    Command,
    /// A filter; the one before it comes back on `esc`.
    Filter(String),
}

/// What a key in a prompt leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// Nothing changed but the text.
    Stay,
    /// The filter's text changed.
    Changed,
    /// It closes; a filter goes back to what it was.
    Close,
    /// It closes, and the text counts.
    Enter(String),
}

impl Prompt {
    /// Opens the line for a command.
    pub(crate) fn command(names: &Names) -> Self {
        let mut this = Self { mode: Mode::Command, input: Input::default(), suggestions: Vec::new(), picked: None };
        this.suggest(names);
        this
    }

    /// Opens the line for a filter.
    pub(crate) fn filter(before: &str) -> Self {
        Self { mode: Mode::Filter(before.to_owned()), input: Input::new(before.to_owned()), suggestions: Vec::new(), picked: None }
    }

    /// Hands a key to the line.
    pub(crate) fn key(&mut self, key: Key, names: &Names) -> Typed {
        let command = self.mode == Mode::Command;
        match key.code {
            KeyCode::Esc => return Typed::Close,
            KeyCode::Backspace if command && self.input.value().is_empty() => return Typed::Close,
            KeyCode::Enter => {
                let text =
                    self.picked.and_then(|index| self.suggestions.get(index)).cloned().unwrap_or_else(|| self.input.value().to_owned());
                return Typed::Enter(text);
            }
            KeyCode::Tab | KeyCode::Down if command => self.pick(1),
            KeyCode::BackTab | KeyCode::Up if command => self.pick(self.suggestions.len().saturating_sub(1)),
            _ => {
                let before = self.input.value().to_owned();
                if self.input.value().chars().count() < FILTER_CHARS_MAX || key.typed().is_none() {
                    self.input.handle_event(&Event::Key(key.event()));
                }
                if before != self.input.value() {
                    self.suggest(names);
                    return Typed::Changed;
                }
            }
        }
        Typed::Stay
    }

    /// Puts pasted text at the end; only its first line.
    pub(crate) fn paste(&mut self, text: &str, names: &Names) {
        let joined: String =
            self.input.value().chars().chain(text.lines().next().unwrap_or_default().chars()).take(FILTER_CHARS_MAX).collect();
        self.input = Input::new(joined);
        self.suggest(names);
    }

    fn pick(&mut self, by: usize) {
        if self.suggestions.is_empty() {
            return;
        }
        let next = self.picked.map_or(if by == 1 { 0 } else { by }, |at| (at + by) % self.suggestions.len());
        self.picked = Some(next.min(self.suggestions.len() - 1));
    }

    fn suggest(&mut self, names: &Names) {
        self.picked = None;
        self.suggestions.clear();
        if self.mode == Mode::Command {
            let text = self.input.value().trim_start();
            self.suggestions = names.complete(text);
            self.suggestions.truncate(SUGGESTIONS_MAX);
        }
    }
}

/// What commands can be completed to.
#[derive(Default)]
pub(crate) struct Names {
    /// Queues by id.
    pub(crate) queues: Vec<String>,
    /// Subscriptions by id.
    pub(crate) subscriptions: Vec<String>,
    /// Topics by id.
    pub(crate) topics: Vec<String>,
    /// Themes.
    pub(crate) themes: Vec<String>,
    /// Projects that the configuration names.
    pub(crate) projects: Vec<String>,
}

/// A command as typed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Opens a screen.
    Go(Kind),
    /// Opens the tasks of a queue.
    Tasks(String),
    /// Opens the messages of a subscription.
    Messages(String),
    /// Opens the subscriptions of a topic.
    TopicSubscriptions(String),
    /// Loads a theme.
    Theme(String),
    /// Goes to another project.
    Context(String),
    /// Ends the program.
    Quit,
    /// Panics, so that a test can see what becomes of the terminal. In debug builds only.
    #[cfg(debug_assertions)]
    Panic,
    /// The same in a task beside the main loop.
    #[cfg(debug_assertions)]
    PanicBehind,
    /// Does the action of this id.
    Act(&'static str),
}

/// Screens by the names their commands go by.
const SCREENS: [(&str, Kind); 14] = [
    ("overview", Kind::Overview),
    ("queues", Kind::Queues),
    ("topics", Kind::Topics),
    ("subscriptions", Kind::Subscriptions),
    ("subs", Kind::Subscriptions),
    ("dlq", Kind::DeadLetters),
    ("dead-letters", Kind::DeadLetters),
    ("jobs", Kind::Jobs),
    ("transfers", Kind::Transfers),
    ("activity", Kind::Activity),
    ("doctor", Kind::Doctor),
    ("q", Kind::Text),
    ("quit", Kind::Text),
    ("help", Kind::Text),
];

impl Command {
    /// Reads a command; `None` when there is none of this name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut words = text.trim().trim_start_matches(':').split_whitespace();
        let (name, argument) = (words.next()?, words.next().map(str::to_owned));
        Some(match (name, argument) {
            ("q" | "quit" | "exit", _) => Command::Quit,
            #[cfg(debug_assertions)]
            ("panic", None) => Command::Panic,
            #[cfg(debug_assertions)]
            ("panic", Some(_)) => Command::PanicBehind,
            ("help", _) => Command::Act("app.help"),
            ("tasks", Some(queue)) => Command::Tasks(queue),
            ("tasks", None) => Command::Go(Kind::Queues),
            ("messages", Some(subscription)) => Command::Messages(subscription),
            ("messages", None) => Command::Go(Kind::Subscriptions),
            ("subscriptions" | "subs", Some(topic)) => Command::TopicSubscriptions(topic),
            ("theme", Some(theme)) => Command::Theme(theme),
            ("ctx", Some(project)) => Command::Context(project),
            (name, _) => {
                let screen = SCREENS.iter().find(|(known, _)| *known == name).map(|(_, kind)| Command::Go(*kind));
                return screen.or_else(|| ACTIONS.iter().find(|action| action.id == name).map(|action| Command::Act(action.id)));
            }
        })
    }
}

impl Names {
    /// Lists what `text` can become: screens first, then actions; with a space, the names that fit the command.
    fn complete(&self, text: &str) -> Vec<String> {
        /// Commands that take a name.
        const MORE: [&str; 4] = ["tasks", "messages", "theme", "ctx"];
        let Some((command, rest)) = text.split_once(' ') else {
            let commands = SCREENS.iter().map(|(name, _)| *name).chain(MORE).chain(ACTIONS.iter().map(|action| action.id));
            let fits = |name: &&str| name.starts_with(text) || (text.len() > 1 && name.contains(text));
            return commands.filter(fits).map(str::to_owned).collect();
        };
        let names = match command {
            "tasks" => &self.queues,
            "messages" => &self.subscriptions,
            "subscriptions" | "subs" => &self.topics,
            "theme" => &self.themes,
            "ctx" => &self.projects,
            _ => return vec![],
        };
        let rest = rest.trim();
        let mut fitting: Vec<&String> = names.iter().filter(|one| one.contains(rest)).collect();
        fitting.sort_by_key(|one| !one.starts_with(rest));
        fitting.into_iter().map(|one| format!("{command} {one}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read() {
        assert_eq!(Command::parse(":dlq"), Some(Command::Go(Kind::DeadLetters)));
        assert_eq!(Command::parse("tasks emails"), Some(Command::Tasks("emails".into())));
        assert_eq!(Command::parse("q"), Some(Command::Quit));
        assert_eq!(Command::parse("queue.pause"), Some(Command::Act("queue.pause")));
        assert_eq!((Command::parse(""), Command::parse("nonsense")), (None, None));
    }

    #[test]
    fn commands_are_completed() {
        let names = Names { queues: vec!["slow-mail".into(), "mail".into()], ..Names::default() };
        let complete = |text: &str| names.complete(text);
        assert_eq!(complete("tasks ma"), ["tasks mail", "tasks slow-mail"]);
        assert_eq!(complete("dl").first().map(String::as_str), Some("dlq"));
        assert!(complete("nope x").is_empty());
    }
}
