//! The real binary in a pseudo-terminal: what an operator does, and what is left of it in the terminal.

mod path;
mod progress;
mod terminal;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use terminal::Terminal;

const RIGHT: &str = "\x1b[C";
const COMFORTABLE: (u16, u16) = (120, 40);

/// Returns the cells of the row that holds `what`, split at runs of blanks.
fn row<'a>(screen: &'a str, what: &str) -> Option<Vec<&'a str>> {
    let line = screen.lines().find(|line| line.contains(what))?;
    Some(line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
}

/// How many dead letters of `source` its holder has, on the screen of dead letters.
fn held(screen: &str, source: &str, holder: &str) -> Option<u64> {
    let cells = row(screen, source)?;
    let at = cells.iter().position(|cell| *cell == holder)?;
    cells.get(at + 1)?.replace(',', "").parse().ok()
}

#[test]
fn dead_letters_are_found_and_redriven() {
    let mut terminal = Terminal::start(&["demo"], COMFORTABLE);
    terminal.wait_for("SAMPLE DATA");
    terminal.press("5");
    terminal.wait("dead letters held by `mail-hold`", |screen| held(screen, "mailer", "mail-hold").is_some_and(|count| count > 0));
    // The filter leaves the one row, so that the cursor is on it whatever the order.
    terminal.press("/mailer\r");
    terminal.wait("one row", |screen| screen.contains("1 of 4 rows"));
    terminal.press("R");
    let plan =
        terminal.wait("the plan", |screen| screen.contains("redrive") && screen.contains("Cancel") && screen.contains("Redrive all"));
    assert!(plan.contains("mail-hold") && plan.contains("who receives it"), "{plan}");
    terminal.press(&format!("{RIGHT}\r"));
    terminal.wait("the transfer done", |screen| row(screen, "mail-hold").is_some_and(|cells| cells.contains(&"done")));
    terminal.press("5");
    terminal.wait("no dead letter left", |screen| held(screen, "mailer", "mail-hold") == Some(0));
    terminal.press(":q\r");
    terminal.assert_given_back(0);
}

#[test]
fn the_terminal_is_given_back_after_a_panic() {
    let mut terminal = Terminal::start(&["demo"], COMFORTABLE);
    terminal.wait_for("SAMPLE DATA");
    // A command of debug builds only.
    terminal.press(":panic\r");
    let text = terminal.assert_given_back(101);
    assert!(text.contains("panicked at"), "the reason is told on the screen from before:\n{text}");
}

#[test]
fn the_terminal_is_given_back_after_a_panic_beside_the_main_loop() {
    let mut terminal = Terminal::start(&["demo"], COMFORTABLE);
    terminal.wait_for("SAMPLE DATA");
    terminal.press(":panic task\r");
    let text = terminal.assert_given_back(1);
    assert!(text.contains("panicked at"), "the reason is told on the screen from before:\n{text}");
}

#[test]
fn the_terminal_is_given_back_after_sigterm() {
    let mut terminal = Terminal::start(&["demo"], COMFORTABLE);
    terminal.wait_for("SAMPLE DATA");
    terminal.press("M");
    terminal.signal("-TERM");
    terminal.assert_given_back(0);
}

#[test]
fn another_project_of_the_same_place_is_a_command_away() {
    let server = Server::start(&[]);
    let mut terminal = Terminal::start(&["--emulator", &server.1, "--project", "shop"], COMFORTABLE);
    terminal.wait("the first project", |screen| screen.contains("needs attention") && screen.contains(" shop "));
    terminal.press(":ctx warehouse\r");
    terminal.wait("the other project", |screen| {
        screen.contains("needs attention") && screen.contains("warehouse") && !screen.contains(" shop ")
    });
    terminal.press(":ctx No!\r");
    terminal.wait_for("`No!`");
    terminal.press(":q\r");
    terminal.assert_given_back(0);
}

#[test]
fn a_small_terminal_is_told_so_and_recovers() {
    let mut terminal = Terminal::start(&["demo"], (40, 10));
    terminal.wait_for("too small");
    terminal.press("2");
    terminal.resize(120, 40);
    terminal.wait("the queues", |screen| screen.contains("newsletters") && !screen.contains("too small"));
    terminal.resize(40, 10);
    terminal.wait_for("too small");
    terminal.resize(80, 24);
    terminal.wait("the queues again", |screen| screen.contains("newsletters") && !screen.contains("too small"));
    terminal.press(":q\r");
    terminal.assert_given_back(0);
}

#[test]
fn without_a_terminal_there_is_a_hint() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_redrive")).arg("demo").stdin(Stdio::null()).output().expect("the binary was built for this test");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("terminal") && error.contains("hint: ") && error.contains("redrive"), "{error}");
    assert!(output.stdout.is_empty(), "nothing is drawn");
}

/// `redrive emulator` on a free port.
struct Server(Child, String);

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_redrive"))
            .args(["emulator", "--listen", "127.0.0.1:0", "--project", "shop", "--wait-ready", "--quiet"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary was built for this test");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout is piped")).read_line(&mut line).expect("stdout is text");
        let address = line.trim().strip_prefix("ready ").unwrap_or_else(|| panic!("`{line}`")).to_owned();
        Self(child, address)
    }

    fn stop(&mut self) {
        // Fails only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

#[test]
fn a_server_that_goes_away_is_an_error_and_not_a_hang() {
    let mut server = Server::start(&[]);
    let mut terminal = Terminal::start(&["--emulator", &server.1, "--project", "shop"], COMFORTABLE);
    terminal.press("3");
    terminal.wait("the empty list of topics", |screen| screen.contains("topics") && !screen.contains("loading"));
    server.stop();
    terminal.press("\x12");
    terminal.wait("what is wrong, and what helps", |screen| screen.contains("no connection to") && screen.contains("redrive emulator"));
    terminal.press("?");
    terminal.wait_for("Shows the keys of this very screen");
    terminal.press("\x1b");
    terminal.wait("the help closed", |screen| !screen.contains("Shows the keys of this very screen"));
    terminal.press(":q\r");
    terminal.assert_given_back(0);
}

#[test]
fn a_hostile_payload_is_shown_escaped() {
    let seed = tempfile::Builder::new().suffix(".yaml").tempfile().expect("a file for the test");
    let hostile = r#"topics: [{ name: orders }]
subscriptions: [{ name: billing, topic: orders }]
messages:
  - { topic: orders, data: "\e]0;owned\a\e[31mred\u202Eder\x9b2J", attributes: { kind: "\e[2Jattribute" } }
"#;
    std::fs::write(seed.path(), hostile).expect("the file can be written");
    let server = Server::start(&["--seed", seed.path().to_str().expect("a path of ASCII")]);
    let mut terminal = Terminal::start(&["--emulator", &server.1, "--project", "shop"], COMFORTABLE);
    terminal.press("4");
    terminal.wait_for("billing");
    terminal.press("\r");
    terminal.wait("the message in the list", |screen| screen.contains("owned"));
    terminal.press("\r");
    terminal.wait("the message in full", |screen| screen.contains("owned") && screen.contains("attribute"));
    terminal.press(":q\r");
    terminal.assert_given_back(0);
    let raw = terminal.raw();
    for hostile in ["\x1b]0;", "\x1b[31mred", "\u{202e}", "\u{9b}", "\x1b[2Jattribute", "\x07"] {
        assert!(!raw.windows(hostile.len()).any(|bytes| bytes == hostile.as_bytes()), "{hostile:?} reached the terminal");
    }
}
