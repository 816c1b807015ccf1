//! The outermost loop: waits for input, answers, the clock and signals, and draws. The only `select!` of the console, and its only clock.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crossterm::event::EventStream;
use futures_util::StreamExt;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::console::action::Keymap;
use crate::console::app::App;
use crate::console::config::Config;
use crate::console::effects::{self, Runner};
use crate::console::input::{ASK_BACKGROUND, Input, Reader};
use crate::console::message::{Effect, Message};
use crate::console::terminal::{self, Screen};
use crate::console::theme::{self, Depth, Theme};
use crate::console::view;
use crate::error::{Error, Kind, Result};
use crate::names::ProjectId;
use crate::ops::Ops;

/// Answers waiting to be taken in; beyond it their senders wait.
const ANSWERS_MAX: usize = 256;

/// Ages are shown in seconds, so the clock is looked at this often.
const TICK: Duration = Duration::from_secs(1);

/// How the console starts.
pub struct Start {
    /// What stands in the header until the project is known.
    pub title: String,
    /// Begins to make the connection; called after the first frame, so that nothing delays that one, and again for another project.
    pub open: Box<dyn FnMut(Option<ProjectId>) + Send>,
    /// Delivers each connection, or why there is none, once it is known; the first frame does not wait for it.
    pub connection: mpsc::Receiver<Result<Connection>>,
    /// The configuration.
    pub config: Config,
    /// The folder of configuration and themes.
    pub config_folder: Option<PathBuf>,
    /// A theme that goes before the configured one.
    pub theme: Option<String>,
    /// Whether to draw with ASCII only; so it is too where the locale is not UTF-8.
    pub ascii: bool,
    /// Whether actions that change something are off, whatever the configuration says.
    pub read_only: bool,
}

/// What the console works on.
pub struct Connection {
    /// The operations of a project.
    pub ops: Ops,
    /// Whether it is sample data, and nothing of the user's.
    pub sample: bool,
}

/// Runs the console until it is quit or a signal ends it; the terminal is as it was before, whatever happens.
///
/// # Errors
///
/// Fails when input or output is no terminal, or the configuration is broken; nothing has been drawn then.
pub async fn run(start: Start) -> Result<()> {
    let env = |name: &str| std::env::var(name).ok();
    let look = Look::new(&start, env)?;
    let keymap = Keymap::new(&start.config.keys)?;
    let mut screen = Screen::take(start.config.mouse)?;
    let size = screen.terminal.size()?;
    let themes = theme::names(look.folder.as_deref());
    let config = if start.read_only { start.config.read_only() } else { start.config };
    let app = App::new(start.title, config, keymap, themes, (size.width, size.height), Timestamp::now());
    let (back, answers) = mpsc::channel(ANSWERS_MAX);
    let mut console = Console { app, look, runner: Runner::new(back), screen: &mut screen, to_edit: None, open: start.open };
    console.draw()?;
    (console.open)(None);
    console.serve(answers, start.connection).await
}

/// How things look: the theme, and what it depends on.
struct Look {
    theme: Theme,
    /// The theme's name, where it was chosen; else it follows the terminal's background.
    chosen: Option<String>,
    /// The user's theme files as they were when they were read.
    files: Vec<ThemeFile>,
    depth: Depth,
    ascii: bool,
    folder: Option<PathBuf>,
    asks: bool,
}

impl Look {
    fn new(start: &Start, env: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let depth = Depth::detect(&env);
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| env(name).filter(|value| !value.is_empty())).unwrap_or_default();
        let utf8 = locale.to_ascii_lowercase().replace('-', "").contains("utf8") || (locale.is_empty() && cfg!(not(target_os = "linux")));
        // An unset locale says nothing in containers and over ssh; terminals of today show UTF-8.
        let ascii = start.ascii || start.config.ascii || !(utf8 || locale.is_empty());
        let folder = start.config_folder.as_ref().map(|folder| folder.join("themes"));
        let name = start.theme.as_ref().or(start.config.theme.as_ref());
        // `COLORFGBG` is `15;0` or so: the last number is the background.
        let light = env("COLORFGBG")
            .and_then(|value| value.rsplit(';').next().and_then(|n| n.parse::<u8>().ok()))
            .is_some_and(|n| n == 7 || n == 15);
        let theme = match name {
            Some(name) => Theme::load(name, folder.as_deref(), depth, ascii)?,
            None => Theme::standard(light, depth, ascii),
        };
        let term = env("TERM").unwrap_or_default();
        let asks = name.is_none() && depth > Depth::Ansi16 && !matches!(term.as_str(), "dumb" | "linux" | "");
        let files = theme_files(folder.as_deref());
        Ok(Self { theme, chosen: name.cloned(), files, depth, ascii, folder, asks })
    }

    fn load(&mut self, name: &str) -> Result<()> {
        self.theme = Theme::load(name, self.folder.as_deref(), self.depth, self.ascii)?;
        self.chosen = Some(name.to_owned());
        Ok(())
    }

    /// Reads the chosen theme again where one of the user's files has changed: it may build on any of them. The last good theme stays.
    fn reload(&mut self) -> Option<Message> {
        let name = self.chosen.clone()?;
        let files = theme_files(self.folder.as_deref());
        if files == self.files {
            return None;
        }
        self.files = files;
        let error = self.load(&name).err();
        Some(Message::Themed(name, error))
    }
}

/// A theme file: its name, when it was written, its length.
type ThemeFile = (std::ffi::OsString, Option<std::time::SystemTime>, u64);

fn theme_files(folder: Option<&Path>) -> Vec<ThemeFile> {
    let entries = folder.and_then(|folder| std::fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    let file = |entry: std::fs::DirEntry| {
        // The target of a link counts: dotfiles are often kept so.
        let about = std::fs::metadata(entry.path()).ok()?;
        Some((entry.file_name(), about.modified().ok(), about.len()))
    };
    let mut files: Vec<ThemeFile> = entries.filter_map(file).collect();
    files.sort();
    files
}

struct Console<'a> {
    app: App,
    look: Look,
    runner: Runner,
    screen: &'a mut Screen,
    /// A text that waits for the editor.
    to_edit: Option<String>,
    /// Begins to make a connection to a project.
    open: Box<dyn FnMut(Option<ProjectId>) + Send>,
}

impl Console<'_> {
    async fn serve(&mut self, mut answers: mpsc::Receiver<Message>, mut connection: mpsc::Receiver<Result<Connection>>) -> Result<()> {
        let mut events = EventStream::new();
        let mut reader = Reader::default();
        let mut signals = Signals::new()?;
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        if self.look.asks {
            self.screen.write(ASK_BACKGROUND)?;
        }
        loop {
            let message = tokio::select! {
                event = events.next() => match event {
                    Some(Ok(event)) => self.input(reader.read(event)),
                    // The terminal is gone.
                    Some(Err(_)) | None => return Ok(()),
                },
                Some(message) = answers.recv() => Some(message),
                _ = ticks.tick() => Some(self.tick()?),
                Some(answer) = connection.recv() => Some(self.connected(answer)),
                () = signals.ended() => return Ok(()),
                () = terminal::panicked() => return Err(Error::new(Kind::Internal, "a part of the console panicked; the reason is told above")),
            };
            if message.is_some_and(|message| self.step(message) == Flow::End) {
                return Ok(());
            }
            // What waits already is taken in before one frame is drawn.
            while let Ok(message) = answers.try_recv() {
                if self.step(message) == Flow::End {
                    return Ok(());
                }
            }
            if let Some(text) = self.to_edit.take() {
                // While the editor has the terminal, nothing else reads from it.
                drop(events);
                Screen::lend();
                let edited = self.runner.edit(&text);
                self.screen.take_back(self.app.mouse())?;
                events = EventStream::new();
                if self.step(Message::Edited(edited)) == Flow::End {
                    return Ok(());
                }
            }
            if self.app.take_dirty() {
                self.draw()?;
            }
        }
    }

    fn connected(&mut self, answer: Result<Connection>) -> Message {
        Message::Connected(answer.map(|connection| self.runner.connect(connection.ops, connection.sample)))
    }

    /// What a second brings. A new size between the first frame and the first look at the terminal's signals is told by nobody, so it is looked at here.
    fn tick(&mut self) -> Result<Message> {
        if let Some(message) = self.look.reload() {
            return Ok(message);
        }
        let size = self.screen.terminal.size()?;
        let same = (size.width, size.height) == self.app.size();
        Ok(if same { Message::Tick } else { Message::Resize(size.width, size.height) })
    }

    fn input(&mut self, input: Input) -> Option<Message> {
        match input {
            Input::Message(message) => Some(message),
            Input::Nothing => None,
            Input::Background(_) if self.look.chosen.is_some() => None,
            Input::Background(light) => {
                self.look.theme = Theme::standard(light, self.look.depth, self.look.ascii);
                Some(Message::Themed(String::new(), None))
            }
        }
    }

    fn step(&mut self, message: Message) -> Flow {
        let effects = self.app.update(message, Timestamp::now());
        for effect in effects {
            match effect {
                Effect::Fetch(id, fetch) => self.runner.fetch(id, fetch),
                Effect::Do(id, operation) => self.runner.operate(id, operation),
                Effect::Quit => return Flow::End,
                effect => {
                    if let Some(message) = self.local(effect)
                        && self.step(message) == Flow::End
                    {
                        return Flow::End;
                    }
                }
            }
        }
        Flow::On
    }

    /// Does what concerns this machine only.
    fn local(&mut self, effect: Effect) -> Option<Message> {
        match effect {
            Effect::Copy(text) => self.screen.copy(&text).err().map(|error| Message::Themed(String::new(), Some(error))),
            Effect::Save { name, extension, content } => Some(Message::Saved(effects::save(&name, extension, &content))),
            Effect::Edit(text) => {
                self.to_edit = Some(text);
                None
            }
            Effect::Context(project) => {
                (self.open)(Some(project));
                None
            }
            Effect::Mouse(on) => self.screen.mouse(on).err().map(|error| Message::Themed(String::new(), Some(error))),
            Effect::Theme(name) => {
                let error = self.look.load(&name).err();
                Some(Message::Themed(name, error))
            }
            #[cfg(debug_assertions)]
            Effect::Panic => {
                tokio::spawn(async { panic!("asked for with `:panic task`") });
                None
            }
            Effect::Fetch(..) | Effect::Do(..) | Effect::Quit => None,
        }
    }

    fn draw(&mut self) -> Result<()> {
        let (app, theme) = (&self.app, &self.look.theme);
        self.screen.terminal.draw(|frame| view::draw(app, theme, frame))?;
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    End,
}

/// The signals that end the console in good order.
#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, hangup: signal(SignalKind::hangup())? })
    }

    async fn ended(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> Result<Self> {
        Ok(Self)
    }

    async fn ended(&mut self) {
        // ctrl-c is a key here; anything else ends the process.
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_theme_is_read_again_when_its_file_changes_and_a_broken_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mine.toml");
        std::fs::write(&file, "inherits = \"dark\"\n[roles]\nfg = \"#010203\"\n").unwrap();
        let theme = Theme::load("mine", Some(folder.path()), Depth::True, false).unwrap();
        let (chosen, files) = (Some("mine".to_owned()), theme_files(Some(folder.path())));
        let mut look = Look { theme, chosen, files, depth: Depth::True, ascii: false, folder: Some(folder.path().to_owned()), asks: false };
        let before = look.theme.clone();
        assert!(look.reload().is_none(), "nothing changed");
        std::fs::write(&file, "inherits = \"dark\"\n[roles]\nfg = \"#040506\"\nbg = \"#000000\"\n").unwrap();
        assert!(matches!(look.reload(), Some(Message::Themed(name, None)) if name == "mine"));
        let changed = look.theme.clone();
        assert_ne!(changed, before);
        assert!(look.reload().is_none());
        std::fs::write(&file, "[roles]\nfg = \"no colour\"\n").unwrap();
        let Some(Message::Themed(_, Some(error))) = look.reload() else { panic!("it is broken") };
        assert!(error.to_string().contains("mine.toml"), "{error}");
        assert_eq!(look.theme, changed, "the last good theme stays");
    }
}
