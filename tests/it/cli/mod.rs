//! The command line from the outside: the real binary against an emulator in this process.

mod authenticated;
mod bad_input;
mod commands;
mod doctor;
mod guards;
mod long_running;
mod moving;
mod selecting;
mod shop;
mod snippets;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use redrive::emulator::Emulator;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// What is there for the commands to work on.
const SEED: &str = r#"
project: shop
location: europe-west1
topics:
  - { name: orders, retention: 1d }
  - { name: orders-dead }
  - { name: lost-dead }
subscriptions:
  - { name: orders-hold, topic: orders-dead }
  - { name: billing, topic: orders, dead_letter: { topic: orders-dead, max_attempts: 7 } }
  - { name: audit, topic: orders, filter: 'attributes.kind = "order"', dead_letter: { topic: lost-dead } }
queues:
  - { name: emails, max_dispatches_per_second: 2.5, paused: true, retry: { max_attempts: 3 } }
  - { name: reports, paused: true }
jobs:
  - { name: nightly, schedule: 0 3 * * *, time_zone: Europe/Paris, publish: { topic: orders, json: { kind: report } } }
messages:
  - topic: orders-dead
    json: { order: 1 }
    attributes: &source { error: card_declined, CloudPubSubDeadLetterSourceSubscription: billing, CloudPubSubDeadLetterSourceSubscriptionProject: shop, CloudPubSubDeadLetterSourceDeliveryCount: "7" }
  - { topic: orders-dead, json: { order: 2 }, attributes: *source }
  - { topic: orders-dead, json: { order: 3 }, attributes: *source }
tasks:
  - { queue: emails, name: welcome-1, http: { url: "http://127.0.0.1:1/tasks/Welcome?x=1", json: { user: "\u001b[2J" } } }
  - { queue: emails, name: welcome-2, http: { url: "http://127.0.0.1:1/tasks/Welcome", json: { user: 2 } } }
"#;

/// An emulator with [`SEED`], and a folder of this user's own.
struct Bench {
    emulator: Emulator,
    home: TempDir,
}

/// How a command ended.
#[derive(Debug)]
struct Run {
    code: i32,
    out: String,
    err: String,
}

impl Bench {
    async fn new() -> Self {
        Self::seeded(SEED).await
    }

    async fn seeded(seed: &str) -> Self {
        let home = TempDir::new().unwrap();
        let file = home.path().join("seed.yaml");
        std::fs::write(&file, seed).unwrap();
        let emulator = Emulator::builder().seed_file(file).start().await.unwrap();
        Self { emulator, home }
    }

    fn address(&self) -> SocketAddr {
        self.emulator.address()
    }

    /// Runs a command on the emulator.
    async fn run(&self, args: &[&str]) -> Run {
        self.run_with(args, &[]).await
    }

    /// Runs a command on the emulator, with something on its stdin.
    async fn run_with(&self, args: &[&str], stdin: &[u8]) -> Run {
        let address = self.address().to_string();
        let args: Vec<&str> = ["--emulator", &address, "--project", "shop"].into_iter().chain(args.iter().copied()).collect();
        run(self.home.path(), &args, stdin).await
    }

    /// Runs a command that must be done, and reads its JSON.
    async fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["-o", "json"]).collect();
        let run = self.run(&args).await;
        assert_eq!(run.code, 0, "{args:?}: {run:?}");
        serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{args:?}: {error}: {}", run.out))
    }
}

/// The binary, with nothing of this machine's configuration.
pub(crate) fn binary(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redrive"));
    // Nobody answers as a metadata server, whatever machine this is.
    command.env_clear().env("HOME", home).env("REDRIVE_HOME", home).env("GCE_METADATA_HOST", "127.0.0.1:1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn run(home: &Path, args: &[&str], stdin: &[u8]) -> Run {
    let mut child = binary(home).args(args).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    // A command that does not read all of it ends before: that is its right.
    let _ = pipe.write_all(stdin).await;
    drop(pipe);
    let output =
        tokio::time::timeout(std::time::Duration::from_mins(1), child.wait_with_output()).await.expect("ends within a minute").unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// Checks that a run failed as it should: the code, nothing on stdout, an `error:` line and a `hint:` line that say so, all fit for a terminal.
#[track_caller]
fn check_failed(run: &Run, code: i32, error: &str, hint: &str) {
    assert_eq!(run.code, code, "{run:?}");
    assert_eq!(run.out, "", "{run:?}");
    let line = |start: &str, part: &str| run.err.lines().any(|line| line.starts_with(start) && line.contains(part));
    assert!(line("error: ", error), "no `error: …{error}…` in {run:?}");
    assert!(hint.is_empty() || line("hint: ", hint), "no `hint: …{hint}…` in {run:?}");
    assert!(run.err.chars().all(|c| c == '\n' || redrive::model::text::is_safe(c)), "{run:?}");
}
