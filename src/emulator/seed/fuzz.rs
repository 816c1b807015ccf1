//! Damaged seed files: none panics, and what is refused is refused in words, whether it is no file or the services refuse what it asks for.

use proptest::prelude::*;

use super::*;
use crate::emulator::engine::Engine;
use crate::model::campaign::{damaged, explore};

/// Cases that CI runs.
const CASES: u64 = 400;

const YAML: &[&str] = &[
    include_str!("../../../examples/seed.yaml"),
    "topics: [{ name: orders }]\nsubscriptions: [{ name: mail, topic: orders }]\nmessages: [{ topic: orders, data: x }]\n",
    "queues: [{ name: emails }]\ntasks: [{ queue: emails, delay: 5m, http: { url: 'http://localhost/' } }]\nlocation: l1\n",
];
const TOML: &[&str] = &[
    "location = 'l1'\ntopics = [{ name = \"orders\", retention = \"7d\" }]\n[[queues]]\nname = 'emails'\nretry.max_attempts = 3\n",
    "[[topics]]\nname = 'orders'\n[[subscriptions]]\nname = 'mail'\ntopic = 'orders'\nfilter = 'attributes:a'\n",
];
const WORDS: &[&str] = &[
    "\n",
    "  ",
    "- ",
    ": ",
    "{ ",
    " }",
    "[",
    "]",
    "\"",
    "'",
    "#",
    "&a ",
    "*a",
    "|\n",
    "<<: ",
    "---\n",
    "~",
    "!!binary ",
    "true",
    "-1",
    "1e999",
    "99999999999999999999",
    "name: ",
    "topic: ",
    "topics:\n",
    "name = ",
    "= ",
    "[[",
    "]]",
    "5m",
    "-5m",
    "9999999d",
    "0x10",
    "\u{0}",
    "é",
    "*/0 * * * *",
    "http://",
    "%",
    "/",
    "goog",
    "\t",
];

fn check(services: &Services, runtime: &tokio::runtime::Runtime, parsed: Result<Seed>) {
    let project = "shop".parse().expect("a project");
    let now = "2026-01-01T00:00:00Z".parse().expect("a time");
    let made = parsed.and_then(|seed| runtime.block_on(apply(&seed, &project, services, now)));
    if let Err(error) = made {
        assert!(error.to_string().len() > 10, "{error}");
        assert!(!error.to_string().contains("gave no reason"), "{error}");
    }
}

#[test]
fn damaged_seed_files_are_refused_in_words_or_served() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    explore(CASES, &(any::<bool>(), damaged(YAML, WORDS), damaged(TOML, WORDS)), |(yaml, of_yaml, of_toml)| {
        let services = runtime.block_on(async { Services::new(&Engine::start(1).0) });
        let parsed = if yaml { file::from_yaml(&of_yaml) } else { file::from_toml(&of_toml) };
        check(&services, &runtime, parsed);
    });
}
