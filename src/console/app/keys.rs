//! From a key to an action: an open dialog or text field takes keys first.

use super::dialog::{Choice, Reply};
use super::prompt::{Command, Mode, Names, Prompt, Typed};
use super::{App, Dialog, Effect, Level, Link, Overlay, Screen};
use crate::console::action::{ACTIONS, Act, Action, Danger};
use crate::console::key::Key;

impl App {
    pub(super) fn on_key(&mut self, key: Key) -> Vec<Effect> {
        self.flash = None;
        match std::mem::replace(&mut self.overlay, Overlay::None) {
            Overlay::Dialog(mut dialog) => {
                let reply = dialog.key(key);
                match reply {
                    Reply::Stay => self.overlay = Overlay::Dialog(dialog),
                    Reply::Close => {}
                    Reply::Do(choice) => return self.choose(choice),
                    Reply::Start(choice) => {
                        self.overlay = Overlay::Dialog(dialog);
                        return self.choose(choice);
                    }
                }
                vec![]
            }
            Overlay::Prompt(prompt) => self.on_prompt_key(prompt, key),
            Overlay::None => {
                let found = self.keymap.find(self.screen().kind(), key);
                found.map(|action| self.act_on(action)).unwrap_or_default()
            }
        }
    }

    fn on_prompt_key(&mut self, mut prompt: Prompt, key: Key) -> Vec<Effect> {
        let names = self.names();
        let typed = prompt.key(key, &names);
        match (typed, prompt.mode.clone()) {
            (Typed::Stay, _) | (Typed::Changed, Mode::Command) => self.overlay = Overlay::Prompt(prompt),
            (Typed::Changed, Mode::Filter(_)) => {
                self.set_filter(prompt.input.value());
                self.overlay = Overlay::Prompt(prompt);
            }
            (Typed::Close, Mode::Filter(before)) => self.set_filter(&before),
            (Typed::Close, Mode::Command) => {}
            (Typed::Enter(text), Mode::Filter(_)) => self.set_filter(&text),
            (Typed::Enter(text), Mode::Command) => return self.command(&text),
        }
        vec![]
    }

    fn set_filter(&mut self, text: &str) {
        let now = self.now;
        if let Some(table) = self.screen_mut().table_mut() {
            table.set_filter(text, now);
        }
        self.move_cursor(0);
    }

    pub(super) fn on_paste(&mut self, text: &str) -> Vec<Effect> {
        let names = self.names();
        match &mut self.overlay {
            Overlay::Dialog(dialog) => dialog.paste(text),
            Overlay::Prompt(prompt) => {
                prompt.paste(text, &names);
                if matches!(prompt.mode, Mode::Filter(_)) {
                    let filter = prompt.input.value().to_owned();
                    self.set_filter(&filter);
                }
            }
            // A paste is no series of keys: outside of a field it does nothing.
            Overlay::None => {}
        }
        vec![]
    }

    /// What commands can be completed to now.
    fn names(&self) -> Names {
        let ids = |all: &mut dyn Iterator<Item = String>| all.collect::<Vec<_>>();
        Names {
            queues: ids(&mut super::data::items(&self.data.queues).iter().map(|queue| queue.name.id().to_owned())),
            subscriptions: ids(&mut super::data::items(&self.data.subscriptions).iter().map(|one| one.name.id().to_owned())),
            topics: ids(&mut super::data::items(&self.data.topics).iter().map(|topic| topic.name.id().to_owned())),
            themes: self.themes.clone(),
            projects: self.config.context.iter().map(|rule| rule.project.clone()).filter(|project| !project.contains('*')).collect(),
        }
    }

    fn command(&mut self, text: &str) -> Vec<Effect> {
        if text.trim().is_empty() {
            return vec![];
        }
        let Some(command) = Command::parse(text) else {
            self.flash(Level::Error, format!("there is no command `{}`; press : and tab for those there are", text.trim()));
            return vec![];
        };
        match command {
            Command::Quit => self.quit(),
            #[cfg(debug_assertions)]
            Command::Panic => panic!("asked for with `:panic`"),
            #[cfg(debug_assertions)]
            Command::PanicBehind => vec![Effect::Panic],
            Command::Go(kind) => self.go(kind),
            Command::Theme(name) => vec![Effect::Theme(name)],
            Command::Context(project) => self.change_context(&project),
            Command::Act(id) => match ACTIONS.iter().find(|action| action.id == id) {
                Some(action) if action.on.has(self.screen().kind()) => self.act_on(action),
                _ => {
                    self.flash(Level::Warn, format!("`{id}` is not for this screen"));
                    vec![]
                }
            },
            Command::Tasks(id) => {
                let found =
                    super::data::items(&self.data.queues).iter().find(|queue| queue.name.id() == id).map(|queue| queue.name.clone());
                self.open_named("queue", &id, found.map(Screen::tasks))
            }
            Command::Messages(id) => {
                let found = super::data::items(&self.data.subscriptions).iter().find(|one| one.name.id() == id).map(|one| one.name.clone());
                let screen = found.map(|name| self.messages_of(name));
                self.open_named("subscription", &id, screen)
            }
            Command::TopicSubscriptions(id) => {
                let found =
                    super::data::items(&self.data.topics).iter().find(|topic| topic.name.id() == id).map(|topic| topic.name.clone());
                let screen = found.map(|topic| Screen::Subscriptions { topic: Some(topic), list: super::list::List::new() });
                self.open_named("topic", &id, screen)
            }
        }
    }

    /// Asks for another project; what is under way here must come to its end where it can be seen.
    fn change_context(&mut self, project: &str) -> Vec<Effect> {
        match project.parse() {
            Err(error) => self.flash_error(&error),
            Ok(_) if !self.changing.is_empty() || self.data.transfer_runs() => {
                self.flash(Level::Warn, "something is under way in this project: wait for its end, or cancel it");
            }
            Ok(project) => {
                self.flash(Level::Info, format!("connecting to {project}"));
                return vec![Effect::Context(project)];
            }
        }
        vec![]
    }

    fn open_named(&mut self, what: &str, id: &str, screen: Option<Screen>) -> Vec<Effect> {
        if let Some(screen) = screen {
            return self.open(screen);
        }
        self.flash(Level::Warn, format!("no {what} `{id}` among those listed"));
        vec![]
    }

    /// Does what was chosen in a dialog.
    fn choose(&mut self, choice: Choice) -> Vec<Effect> {
        match choice {
            Choice::Cancel => vec![],
            Choice::Operate(operation) => self.operate(operation),
            Choice::Sort(column) => {
                self.sort_by(column);
                vec![]
            }
            Choice::Peek(subscription, mode) => {
                if let Screen::Messages(messages) = self.screen_mut()
                    && messages.subscription == subscription
                {
                    messages.mode = mode;
                    messages.cause = None;
                }
                self.refresh()
            }
            Choice::OpenMessages(name) => {
                let screen = self.messages_of(name);
                self.open(screen)
            }
            Choice::Transfer(kind, name) => self.plan(kind, name, None, 0),
            Choice::Plan(request) => self.fetch(vec![crate::console::message::Fetch::Plan(request)]),
            Choice::MoveTasks(queue) => self.move_tasks(queue),
            Choice::Quit => vec![Effect::Quit],
        }
    }

    /// Does an action, unless the context forbids it.
    pub(super) fn act_on(&mut self, action: &Action) -> Vec<Effect> {
        if self.rule.read_only && action.danger > Danger::Reads && action.act != Act::Lease {
            self.flash(Level::Warn, format!("`{}` is off: this project is read-only in your configuration", action.id));
            return vec![];
        }
        self.act(action.act)
    }

    pub(super) fn quit(&mut self) -> Vec<Effect> {
        if !self.data.transfer_runs() {
            return vec![Effect::Quit];
        }
        let lines = vec![
            "A transfer of this console is under way.".to_owned(),
            "It stops within one batch and can be resumed later; nothing is lost.".to_owned(),
        ];
        let button = super::dialog::Button::new("Quit", Choice::Quit);
        self.overlay = Overlay::Dialog(Dialog::Confirm(super::Confirm::new("quit", false, lines, vec![button])));
        vec![]
    }

    pub(super) fn on_connected(&mut self, answer: crate::error::Result<crate::console::message::Session>) -> Vec<Effect> {
        match answer {
            Ok(session) => {
                let again = matches!(self.link, Link::Up(_));
                self.rule = self.config.rule(&session.project);
                self.link = Link::Up(session);
                if again {
                    self.forget();
                }
                self.refresh()
            }
            // Another project cannot be had: this one is still there.
            Err(error) if matches!(self.link, Link::Up(_)) => {
                self.flash_error(&error);
                vec![]
            }
            Err(error) => {
                self.link = Link::Broken(error);
                vec![]
            }
        }
    }

    /// Forgets what was of another project; late answers of that are dropped.
    fn forget(&mut self) {
        self.data = super::Data::new();
        self.history = vec![Screen::Overview(super::list::List::new())];
        self.at = 0;
        self.overlay = Overlay::None;
        self.flash = None;
        self.fetching.clear();
        self.fetched.clear();
        self.editing = None;
    }
}
