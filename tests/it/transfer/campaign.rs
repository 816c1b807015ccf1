//! What all campaigns share: seeds, their scale, and the figures at the end.
//!
//! `REDRIVE_TEST_SCALE=N` makes each campaign N times as long; `REDRIVE_TEST_SEED=S` runs the one schedule of that seed.

use std::fmt;
use std::io::Write as _;

/// A small source of chance that replays from its seed (`SplitMix64`).
#[derive(Debug, Clone)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.roll() % n.max(1) as u64).unwrap()
    }
}

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// How many times as much as in CI is asked for.
pub(super) fn scale() -> u64 {
    variable("REDRIVE_TEST_SCALE").unwrap_or(1)
}

/// Tells whether one schedule is asked for, and not the campaign.
pub(super) fn replays() -> bool {
    variable("REDRIVE_TEST_SEED").is_some()
}

/// The seeds of a campaign of `count` schedules in CI.
pub(super) fn seeds(count: u64) -> Vec<u64> {
    match variable("REDRIVE_TEST_SEED") {
        Some(seed) => vec![seed],
        None => (1..=count * scale()).collect(),
    }
}

/// How a campaign went.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) messages: u64,
    pub(super) crashes: u64,
    pub(super) duplicates: u64,
    pub(super) duplicates_max: u64,
}

impl Figures {
    pub(super) fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.crashes += other.crashes;
        self.duplicates += other.duplicates;
        self.duplicates_max += other.duplicates_max;
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { messages, crashes, duplicates, duplicates_max } = self;
        write!(f, "lost 0 of {messages} messages over {crashes} crashes; duplicates {duplicates} of at most {duplicates_max}")
    }
}

/// Writes past the capture of the test harness, so that figures are seen. They are told only after all was checked.
pub(super) fn say(line: &str) {
    // Nobody reads: nothing to be done about it.
    let _ = writeln!(std::io::stderr(), "{line}");
}
