//! The whole path of an operator: dead letters of three causes; one is redriven with a fix to the payload, one discarded and put back, one redriven
//! slowly, cancelled half-way and resumed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

use serde_json::Value;

use super::terminal::Terminal;
use super::{COMFORTABLE, RIGHT, Server, row};

/// Dead letters by cause.
const BAD_VAT: usize = 3;
const DUPLICATE: usize = 4;
const TIMEOUT: usize = 33;

fn seed() -> tempfile::NamedTempFile {
    let mut text = "topics: [{ name: orders }, { name: dead }]
subscriptions:
  - { name: billing, topic: orders, dead_letter: { topic: dead } }
  - { name: hold, topic: dead, exactly_once: true }
messages:
"
    .to_owned();
    let mut number = 0;
    for (cause, count, json) in [("bad_vat", BAD_VAT, "vat: null"), ("duplicate", DUPLICATE, "id: 7"), ("timeout", TIMEOUT, "wait: 30")] {
        for _ in 0..count {
            number += 1;
            let from = "CloudPubSubDeadLetterSourceSubscription: billing, CloudPubSubDeadLetterSourceSubscriptionProject: shop";
            writeln!(text, "  - {{ topic: dead, json: {{ order: {number}, {json} }}, attributes: {{ error: {cause}, {from} }} }}")
                .expect("a string takes everything");
        }
    }
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().expect("a file for the test");
    std::fs::write(file.path(), text).expect("the file can be written");
    file
}

/// From anywhere to the messages of `hold` by cause, narrowed to one of them.
fn cause(terminal: &mut Terminal, cause: &str, of: usize) {
    messages(terminal);
    terminal.press("g");
    terminal.wait("the causes", |screen| screen.contains("timeout") && screen.contains(cause));
    terminal.press(&format!("/{cause}\r"));
    terminal.wait("one cause", |screen| screen.contains(&format!("1 of {of} rows")));
}

/// From anywhere to the messages of `hold`.
fn messages(terminal: &mut Terminal) {
    terminal.press("5");
    terminal.wait("who holds dead letters", |screen| row(screen, "billing").is_some_and(|cells| cells.contains(&"hold")));
    terminal.press("\r");
    terminal.wait("the messages", |screen| screen.contains("\"order\""));
}

/// Takes the plan that is asked about.
fn go(terminal: &mut Terminal, button: &str) -> String {
    let plan = terminal.wait(button, |screen| screen.contains("the look before the leap") && screen.contains(button));
    terminal.press(&format!("{RIGHT}\r"));
    plan
}

fn state(terminal: &Terminal, what: &str, state: &str) -> String {
    terminal.wait(&format!("{what}: {state}"), |screen| row(screen, what).is_some_and(|cells| cells.contains(&state)))
}

/// How many are through of a transfer, by its row: `12 / 40`.
fn through(screen: &str, what: &str) -> Option<usize> {
    let cells = row(screen, what)?;
    let progress = cells.iter().find(|cell| cell.contains(" / "))?;
    progress.split_whitespace().find_map(|word| word.parse().ok())
}

#[test]
fn dead_letters_of_three_causes_find_their_ways() {
    let seed = seed();
    let server = Server::start(&["--seed", seed.path().to_str().expect("a path of ASCII")]);
    let arguments = ["--emulator", &server.1, "--project", "shop"];
    let mut terminal = Terminal::start_with(&arguments, COMFORTABLE, &[("EDITOR", "sed -i s/null/19/")]);

    cause(&mut terminal, "bad_vat", 3);
    terminal.press("e");
    let plan = go(&mut terminal, &format!("Redrive {BAD_VAT}"));
    assert!(plan.contains("1 changes to each") && plan.contains("bad_vat") && plan.contains("the one that failed"), "{plan}");
    state(&terminal, "redrive 3 of hold", "done");

    cause(&mut terminal, "duplicate", 2);
    terminal.press("\x04");
    let plan = go(&mut terminal, &format!("Discard {DUPLICATE}"));
    assert!(plan.contains("a full copy on this machine first"), "{plan}");
    state(&terminal, "discard 4 of hold", "done");

    terminal.press("/discard\r");
    terminal.wait("the discard alone", |screen| screen.contains("1 of 2 rows"));
    terminal.press("z");
    let plan = go(&mut terminal, "Put back");
    assert!(plan.contains("hold") && plan.contains("topic dead"), "who receives them is named: {plan}");
    terminal.press("\x1b");
    state(&terminal, "undo", "done");

    messages(&mut terminal);
    terminal.press("R");
    terminal.wait("the plan", |screen| screen.contains("Redrive all, about 37") && screen.contains("as fast as it goes"));
    terminal.press("r");
    terminal.wait_for("messages a second");
    terminal.press("x\r");
    terminal.wait_for("give messages a second as a whole number");
    terminal.press("\x7f6\r");
    // How long it takes is told by the new plan alone, and is drawn before the button that is waited for next.
    terminal.wait_for("6 a second at most, about 7 s");
    go(&mut terminal, "Redrive all, about 37");
    let all = "redrive hold";
    terminal.wait("some of them through", |screen| through(screen, all).is_some_and(|count| count >= 8));
    terminal.wait("the cursor on it", |screen| screen.lines().any(|line| line.contains('▸') && line.contains(all)));
    terminal.press("\x03");
    let cancelled = state(&terminal, all, "cancelled");
    let moved = through(&cancelled, all).expect("it says how far it came");
    assert!((8..37).contains(&moved), "half-way: {moved}");
    terminal.press("r");
    state(&terminal, all, "done");
    terminal.press(":q\r");
    terminal.assert_given_back(0);

    arrived(&server.1);
}

/// All are at the receiver, each once, and those that were to be mended are.
fn arrived(address: &str) {
    let home = tempfile::tempdir().expect("a folder for the test");
    let mut command = Command::new(env!("CARGO_BIN_EXE_redrive"));
    command.env("REDRIVE_HOME", home.path()).args(["--emulator", address, "--project", "shop", "-o", "json"]);
    let output = command.args(["subs", "peek", "billing", "--max", "100"]).output().expect("the binary was built for this test");
    let peeked: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let mut causes: BTreeMap<String, usize> = BTreeMap::new();
    let mut orders = std::collections::BTreeSet::new();
    for one in &peeked {
        let attributes = &one["message"]["attributes"];
        let cause = attributes["error"].as_str().expect("the attributes are as they were");
        *causes.entry(cause.to_owned()).or_default() += 1;
        let payload = payload(&one["message"]);
        assert_eq!(payload["vat"] == 19, cause == "bad_vat", "{payload}");
        orders.insert(payload["order"].as_u64());
    }
    let expected = [("bad_vat", BAD_VAT), ("duplicate", DUPLICATE), ("timeout", TIMEOUT)];
    assert_eq!(causes, expected.map(|(cause, count)| (cause.to_owned(), count)).into());
    assert_eq!(orders.len(), peeked.len(), "each came once");
}

fn payload(message: &Value) -> Value {
    use base64::Engine as _;
    let data = message["data"].as_str().expect("a payload");
    let bytes = base64::engine::general_purpose::STANDARD.decode(data).expect("base64");
    serde_json::from_slice(&bytes).expect("JSON")
}
