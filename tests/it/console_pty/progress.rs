//! How far a transfer of the command line is: a bar where stderr is a terminal, a line every few seconds elsewhere; and how it ends.

use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use super::terminal::Terminal;
use super::{COMFORTABLE, Server};

/// Dead letters, of which the last two do not say who gave them up.
const MESSAGES: usize = 30;

fn server() -> (Server, tempfile::NamedTempFile) {
    let mut text = "topics: [{ name: orders }, { name: dead }]
subscriptions: [{ name: billing, topic: orders, dead_letter: { topic: dead } }, { name: hold, topic: dead, exactly_once: true }]
messages:
"
    .to_owned();
    for number in 0..MESSAGES {
        let from = "CloudPubSubDeadLetterSourceSubscription: billing, CloudPubSubDeadLetterSourceSubscriptionProject: shop";
        let from = if number + 2 < MESSAGES { from } else { "stray: \"yes\"" };
        writeln!(text, "  - {{ topic: dead, data: \"{number}\", attributes: {{ {from} }} }}").expect("a string takes everything");
    }
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().expect("a file for the test");
    std::fs::write(file.path(), text).expect("the file can be written");
    (Server::start(&["--seed", file.path().to_str().expect("a path of ASCII")]), file)
}

#[test]
fn a_bar_in_a_terminal_and_ctrl_c_stops_within_a_batch() {
    let (server, _seed) = server();
    let arguments = ["--emulator", &server.1, "--project", "shop", "dlq", "redrive", "hold", "--yes", "--rate", "6", "--max", "30"];
    let mut terminal = Terminal::start(&arguments, COMFORTABLE);
    terminal.wait("a bar that grows", |screen| {
        let bar = screen.lines().find(|line| line.contains(" / 30"));
        bar.is_some_and(|bar| bar.contains('█') && bar.contains("/s") && bar.contains(" left"))
    });
    let pressed = Instant::now();
    terminal.press("\x03");
    let text = terminal.wait_for("go on with `redrive transfers resume");
    assert!(pressed.elapsed() < Duration::from_secs(10) && text.contains("cancelled"), "{text}");
    terminal.assert_given_back(3);
}

#[test]
fn lines_elsewhere_and_exit_code_3_where_some_failed() {
    let (server, _seed) = server();
    let home = tempfile::tempdir().expect("a folder for the test");
    let mut command = Command::new(env!("CARGO_BIN_EXE_redrive"));
    command.env("REDRIVE_HOME", home.path()).args(["--emulator", &server.1, "--project", "shop", "-o", "json"]);
    let output = command.args(["dlq", "redrive", "hold", "--yes", "--rate", "4", "--max", "30"]).output().expect("the binary was built");
    let words = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = words.lines().filter(|line| line.contains(" of 30 ")).collect();
    assert!((1..=3).contains(&lines.len()) && lines[0].contains("/s"), "one line in five seconds: {words}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {words}"));
    let counts = &report["counts"];
    let number = |name: &str| counts[name].as_u64().expect("a count");
    assert_eq!((output.status.code(), report["state"].as_str(), report["kind"].as_str()), (Some(3), Some("done_in_part"), Some("redrive")));
    assert_eq!((number("seen"), number("moved"), number("failed")), (30, 28, 2), "{report}");
    let sum = ["moved", "discarded", "skipped", "failed", "remaining"].map(number).iter().sum::<u64>();
    assert_eq!(sum, number("seen"));
    assert!(report["id"].is_string() && words.contains("does not say which subscription gave it up"), "{words}");
}
