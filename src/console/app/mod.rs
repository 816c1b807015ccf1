//! The state of the console and its one pure function, `update(message) -> effects`. Synchronous; knows neither terminal nor network.

mod acting;
mod answers;
mod causes;
mod data;
mod dialog;
mod doc;
mod filter;
mod keys;
mod list;
mod load;
mod moving;
mod navigate;
mod prompt;
mod row;
mod rows;
mod save;
mod screen;
mod value;

pub(crate) use data::Data;
pub(crate) use dialog::{Confirm, Debug, Dialog, Field, Pick, PlanDialog, PlanFocus, Publish, Wanted};
pub(crate) use doc::{Doc, Panel, source_name};
#[cfg(test)]
pub(crate) use list::List;
pub(crate) use list::{Sort, Table};
pub(crate) use load::{Load, Phase};
pub(crate) use prompt::{Mode, Prompt};
pub(crate) use row::Column;
#[cfg(test)]
pub(crate) use row::Row;
pub(crate) use screen::Screen;
pub(crate) use value::{Value, distance, grouped};

use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};

use jiff::Timestamp;

use crate::console::action::Keymap;
use crate::console::config::{Config, ContextRule};
use crate::console::message::{CallId, Effect, Fetch, Message, Operation, Session};
use crate::error::Error;
use crate::ops::Place;

/// How loud a flash is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Something went as asked.
    Info,
    /// Something to know.
    Warn,
    /// Something failed.
    Error,
}

/// One line said to the operator until the next key or a while later.
#[derive(Debug, Clone)]
pub(crate) struct Flash {
    /// How loud.
    pub(crate) level: Level,
    /// What; not escaped.
    pub(crate) text: String,
    since: Timestamp,
}

/// Where the connection stands.
#[derive(Debug)]
pub(crate) enum Link {
    /// Being found and made.
    Connecting,
    /// Made.
    Up(Session),
    /// It cannot be made.
    Broken(Error),
}

/// What is over the screen.
pub(crate) enum Overlay {
    /// Nothing.
    None,
    /// The line that is typed into.
    Prompt(Prompt),
    /// A dialog.
    Dialog(Dialog),
}

/// A change that is under way.
struct Pending {
    operation: Operation,
    targets: Vec<String>,
    progress: u64,
}

/// The state of the console.
pub(crate) struct App {
    title: String,
    link: Link,
    config: Config,
    rule: ContextRule,
    keymap: Keymap,
    themes: Vec<String>,
    data: Data,
    history: Vec<Screen>,
    at: usize,
    overlay: Overlay,
    flash: Option<Flash>,
    next_call: u64,
    fetching: HashMap<Discriminant<Fetch>, (CallId, Timestamp)>,
    fetched: HashMap<Discriminant<Fetch>, Timestamp>,
    changing: HashMap<CallId, Pending>,
    size: (u16, u16),
    now: Timestamp,
    wide: bool,
    mouse: bool,
    dirty: bool,
    editing: Option<moving::Editing>,
}

impl App {
    /// Makes the console before any answer: it opens on the overview.
    pub(crate) fn new(title: String, config: Config, keymap: Keymap, themes: Vec<String>, size: (u16, u16), now: Timestamp) -> Self {
        let mouse = config.mouse;
        let first = Screen::Overview(list::List::new());
        Self {
            title,
            link: Link::Connecting,
            rule: ContextRule::default(),
            config,
            keymap,
            themes,
            data: Data::new(),
            history: vec![first],
            at: 0,
            overlay: Overlay::None,
            flash: None,
            next_call: 0,
            fetching: HashMap::new(),
            fetched: HashMap::new(),
            changing: HashMap::new(),
            size,
            now,
            wide: false,
            mouse,
            dirty: true,
            editing: None,
        }
    }

    /// Takes in what happened and returns what is asked of the outside.
    pub(crate) fn update(&mut self, message: Message, now: Timestamp) -> Vec<Effect> {
        let before = self.age_text();
        self.now = now;
        let quiet = matches!(message, Message::Tick);
        let effects = match message {
            Message::Key(key) => self.on_key(key),
            Message::Paste(text) => self.on_paste(&text),
            Message::Mouse(mouse, column, row) => self.on_mouse(mouse, column, row),
            Message::Resize(width, height) => self.on_resize(width, height),
            Message::Tick => self.on_tick(),
            Message::Connected(answer) => self.on_connected(answer),
            Message::Fetched(id, answer) => self.on_fetched(id, *answer),
            Message::Done(id, answer) => self.on_done(id, answer),
            Message::Progress(id, count) => self.on_progress(id, count),
            Message::Ended(summary) => self.on_ended(&summary),
            Message::Edited(answer) => self.on_edited(answer),
            Message::Saved(answer) => self.on_saved(answer),
            Message::Themed(name, error) => self.on_themed(&name, error),
        };
        self.dirty |= !quiet || before != self.age_text();
        effects
    }

    /// Tells whether something that is shown changed since it was asked the last time.
    pub(crate) fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    fn on_resize(&mut self, width: u16, height: u16) -> Vec<Effect> {
        self.size = (width, height);
        self.move_cursor(0);
        vec![]
    }

    fn flash(&mut self, level: Level, text: impl Into<String>) {
        self.flash = Some(Flash { level, text: text.into(), since: self.now });
    }

    fn flash_error(&mut self, error: &Error) {
        let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
        self.flash(Level::Error, format!("{error}{hint}"));
    }

    fn call(&mut self) -> CallId {
        self.next_call += 1;
        CallId(self.next_call)
    }

    /// Asks for something that changes; what it is about is shown as pending.
    fn operate(&mut self, operation: Operation) -> Vec<Effect> {
        if self.rule.read_only && !matches!(operation, Operation::DebugTask(..)) {
            self.flash(Level::Warn, "this project is read-only in your configuration");
            return vec![];
        }
        let id = self.call();
        let targets = acting::targets(&operation);
        self.changing.insert(id, Pending { operation: operation.clone(), targets, progress: 0 });
        vec![Effect::Do(id, operation)]
    }

    /// Asks for what a screen needs; a newer request of one kind replaces an older one.
    fn fetch(&mut self, wanted: Vec<Fetch>) -> Vec<Effect> {
        if !matches!(self.link, Link::Up(_)) {
            return vec![];
        }
        let mut effects = Vec::with_capacity(wanted.len());
        for fetch in wanted {
            let id = self.call();
            self.fetching.insert(discriminant(&fetch), (id, self.now));
            effects.push(Effect::Fetch(id, fetch));
        }
        effects
    }
}

/// What the views read.
impl App {
    /// Returns the screen that is shown.
    pub(crate) fn screen(&self) -> &Screen {
        &self.history[self.at]
    }

    fn screen_mut(&mut self) -> &mut Screen {
        &mut self.history[self.at]
    }

    /// Returns what the screens share.
    pub(crate) fn data(&self) -> &Data {
        &self.data
    }

    /// Tells whether the mouse is listened to.
    pub(crate) fn mouse(&self) -> bool {
        self.mouse
    }

    /// Returns what is over the screen.
    pub(crate) fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    /// Returns what is said to the operator.
    pub(crate) fn flash_line(&self) -> Option<&Flash> {
        self.flash.as_ref()
    }

    /// Returns where the connection stands.
    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// Returns the title given at the start.
    pub(crate) fn title(&self) -> &str {
        &self.title
    }

    /// Returns what the configuration says of this project.
    pub(crate) fn rule(&self) -> &ContextRule {
        &self.rule
    }

    /// Returns the keys.
    pub(crate) fn keymap(&self) -> &Keymap {
        &self.keymap
    }

    /// Returns the size of the terminal.
    pub(crate) fn size(&self) -> (u16, u16) {
        self.size
    }

    /// Returns the present time.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Tells whether the wide columns are shown.
    pub(crate) fn wide(&self) -> bool {
        self.wide
    }

    /// Tells whether the calls go to an emulator.
    pub(crate) fn is_local(&self) -> bool {
        matches!(&self.link, Link::Up(Session { place: Place::Emulator(_), .. }))
    }

    /// Returns what is under way with a resource: `pausing…`.
    pub(crate) fn pending(&self, key: &str) -> Option<&'static str> {
        let found = self.changing.values().find(|pending| pending.targets.iter().any(|target| target == key));
        found.map(|pending| acting::gerund(&pending.operation))
    }

    /// Tells whether any change is under way, and what it is.
    pub(crate) fn working(&self) -> Option<String> {
        let pending = self.changing.values().next()?;
        let gerund = acting::gerund(&pending.operation);
        Some(match (pending.progress, pending.targets.len()) {
            (0, _) => gerund.to_owned(),
            (count, of) => format!("{gerund} {count} of {of}"),
        })
    }

    /// Returns the age of what is shown, in words; empty when nothing is.
    pub(crate) fn age_text(&self) -> String {
        match self.screen().phase(&self.data) {
            Phase::Ready { as_of: Some(as_of), .. } if self.now.duration_since(as_of).as_secs() < 1 => "as of now".to_owned(),
            Phase::Ready { as_of: Some(as_of), .. } => format!("as of {} ago", distance(as_of, self.now)),
            _ => String::new(),
        }
    }
}
