//! A terminal for tests: a pseudo-terminal with a program in it, and what a person would see.

use std::io::{Read, Write};
use std::num::NonZero;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// Nothing that is waited for takes longer, on two busy cores.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// Runs the console as a shell would, and tells how the terminal was before and after.
const SCRIPT: &str = r#"
trap : INT
printf 'before the console\n'
stty -g > "$FOLDER/before"
sh -c 'echo $$ > "$FOLDER/pid"; exec "$REDRIVE" "$@"' sh "$@"
code=$?
stty -g > "$FOLDER/after"
printf 'after the console, exit %s\n' "$code"
"#;

/// What has come out of the program so far.
struct Seen {
    parser: vt100::Parser,
    raw: Vec<u8>,
    closed: bool,
}

/// The console in a terminal.
pub(super) struct Terminal {
    seen: Arc<(Mutex<Seen>, Condvar)>,
    master: Box<dyn MasterPty + Send>,
    writer: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    folder: tempfile::TempDir,
}

impl Terminal {
    /// Starts `redrive` with these arguments on a machine where nothing is configured.
    pub(super) fn start(arguments: &[&str], size: (u16, u16)) -> Self {
        Self::start_with(arguments, size, &[])
    }

    /// The same with variables besides.
    pub(super) fn start_with(arguments: &[&str], (columns, rows): (u16, u16), variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let pair = native_pty_system().openpty(size(columns, rows)).expect("a pseudo-terminal");
        let mut command = CommandBuilder::new("sh");
        command.args(["-c", SCRIPT, "sh"]);
        command.args(arguments);
        command.env_clear();
        command.env("PATH", std::env::var("PATH").expect("a path"));
        command.env("HOME", folder.path());
        command.env("FOLDER", folder.path());
        command.env("REDRIVE", env!("CARGO_BIN_EXE_redrive"));
        for (name, value) in
            [("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), ("RUST_BACKTRACE", "0"), ("GCE_METADATA_HOST", "127.0.0.1:9")]
        {
            command.env(name, value);
        }
        for (name, value) in variables {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).expect("`sh` is there");
        let writer = pair.master.take_writer().expect("taken once");
        let seen = Arc::new((
            Mutex::new(Seen { parser: vt100::Parser::new(cells(rows), cells(columns), 0), raw: Vec::new(), closed: false }),
            Condvar::new(),
        ));
        listen(pair.master.try_clone_reader().expect("a reader"), Arc::clone(&seen));
        Self { seen, master: pair.master, writer, child, folder }
    }

    /// Waits until the screen shows what `shows` looks for.
    #[track_caller]
    pub(super) fn wait(&self, what: &str, shows: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + WAIT_MAX;
        let (mutex, changed) = &*self.seen;
        let mut seen = mutex.lock().expect("no reader panics");
        loop {
            let text = seen.parser.screen().contents();
            if shows(&text) {
                return text;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || seen.closed {
                drop(seen);
                panic!("not seen: {what}\n{text}");
            }
            seen = changed.wait_timeout(seen, left).expect("no reader panics").0;
        }
    }

    #[track_caller]
    pub(super) fn wait_for(&self, text: &str) -> String {
        self.wait(text, |screen| screen.contains(text))
    }

    /// Types; escape sequences are keys.
    pub(super) fn press(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).and_then(|()| self.writer.flush()).expect("the terminal is open");
    }

    pub(super) fn resize(&mut self, columns: u16, rows: u16) {
        self.seen().parser.screen_mut().set_size(cells(rows), cells(columns));
        self.master.resize(size(columns, rows)).expect("the terminal is open");
    }

    /// Sends a signal to the console itself.
    pub(super) fn signal(&self, name: &str) {
        let pid = self.read("pid");
        assert!(Command::new("kill").args([name, pid.trim()]).status().expect("`kill` is there").success());
    }

    /// Every byte that came, as it came.
    pub(super) fn raw(&self) -> Vec<u8> {
        self.seen().raw.clone()
    }

    /// Waits for the end of the console, and asserts that the terminal is as it was before.
    #[track_caller]
    pub(super) fn assert_given_back(&mut self, exit: u32) -> String {
        let text = self.wait_for(&format!("after the console, exit {exit}"));
        assert!(text.contains("before the console"), "what was there before is there again:\n{text}");
        assert_eq!(self.read("before"), self.read("after"), "the modes of the line");
        let seen = self.seen();
        let screen = seen.parser.screen();
        assert!(!screen.alternate_screen(), "the alternate screen is left");
        assert!(!screen.hide_cursor(), "the cursor is shown");
        assert!(!screen.bracketed_paste(), "pastes are not bracketed");
        assert!(!screen.application_cursor() && !screen.application_keypad(), "keys are as they were");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None, "the mouse is the terminal's");
        text
    }

    fn read(&self, file: &str) -> String {
        let path: PathBuf = self.folder.path().join(file);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("`{}`: {error}", path.display()))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.0.lock().expect("no reader panics")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The hang-up ends the console; either fails only when the shell has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(mut reader: Box<dyn Read + Send>, seen: Arc<(Mutex<Seen>, Condvar)>) {
    std::thread::spawn(move || {
        let mut buffer = vec![0; 65536];
        loop {
            let count = reader.read(&mut buffer).unwrap_or(0);
            let (mutex, changed) = &*seen;
            let mut now = mutex.lock().expect("no test panics while it holds this");
            now.parser.process(&buffer[..count]);
            now.raw.extend_from_slice(&buffer[..count]);
            now.closed = count == 0;
            changed.notify_all();
            if now.closed {
                return;
            }
        }
    });
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).expect("a terminal has rows and columns")
}
