//! Ten thousand schedules, each all of its own from its seed: sizes, selection, faults, and crashes at every step and in the middle of every change of the
//! disk, while beginning and while recovering too.
//!
//! `REDRIVE_TEST_SCALE=N` plays N times as many. A seed that fails prints the command that replays it.

use std::io::Write as _;

use super::super::super::Kind;
use super::run::{Care, Scene, Way};
use super::service::Faults;
use super::{copies, play, scene};
use crate::wal::sim::Dice;

/// Schedules in CI, in parts that run side by side.
const SCHEDULES: u64 = 10_000;
const PARTS: u64 = 4;

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Makes up a scene. Small ones: what goes wrong, goes wrong among a few messages, and there is time for many.
fn random(seed: u64) -> Scene {
    let mut dice = Dice(seed);
    let mut percent = |max: usize| if dice.chance(30) { 0 } else { dice.roll() % max as u64 };
    let faults = Faults { publish: percent(40), ack: percent(40), pull: percent(30), redeliver: percent(40), slow: percent(20) };
    let (crash, full) = (3 + percent(25), percent(5));
    let selection = dice.below(4);
    let way = WAYS[dice.below(WAYS.len())];
    let kind = if dice.chance(35) { Kind::Discard } else { Kind::Redrive };
    let care = if kind == Kind::Redrive { care(&mut dice, way) } else { Care::default() };
    // Expressions and keys are of messages; those in a file have no order that is kept.
    let selection = match way {
        Way::Tasks | Way::Lines => 0,
        // What is left blocks its key: plans refuse that.
        Way::Handler | Way::File if selection == 3 => 0,
        _ => selection,
    };
    Scene {
        way,
        care,
        kind,
        messages: if selection == 1 { 8 + dice.below(10) } else { 1 + dice.below(14) },
        keys: if selection == 3 { 1 + dice.below(3) } else { 0 },
        matching: selection == 1,
        marked: selection == 2,
        window: 1 + dice.below(8),
        rate_max: dice.chance(15).then(|| 1 + u32::try_from(dice.below(20)).unwrap()),
        faults,
        crash,
        full,
        ..scene(seed)
    }
}

/// Half of them the usual way.
const WAYS: [Way; 13] = [
    Way::Topic,
    Way::Topic,
    Way::Topic,
    Way::Topic,
    Way::Topic,
    Way::Topic,
    Way::Addressed,
    Way::Direct,
    Way::Handler,
    Way::File,
    Way::Copy,
    Way::Tasks,
    Way::Lines,
];

/// Makes up who looks after what was sent, and how: some come straight back.
fn care(dice: &mut Dice, way: Way) -> Care {
    if !matches!(way, Way::Topic | Way::Addressed) || dice.chance(60) {
        return Care::default();
    }
    let canary = dice.chance(50).then(|| 1 + dice.roll() % 4);
    let stop_on_return = dice.chance(50).then(|| u8::try_from(dice.below(60)).unwrap());
    Care { canary, go_on: dice.chance(50), stop_on_return, poison: u8::try_from(dice.below(4)).unwrap() }
}

/// Tells the seed if the schedule fails.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay: REDRIVE_TEST_SEED={} cargo test --lib transfer::engine::tests::campaign", self.0);
        }
    }
}

fn campaign(part: u64) {
    let seed = variable("REDRIVE_TEST_SEED");
    let count = seed.map_or(SCHEDULES / PARTS * variable("REDRIVE_TEST_SCALE").unwrap_or(1), |_| u64::from(part == 0));
    let (mut messages, mut crashes, mut duplicates, mut bound) = (0, 0, 0, 0);
    let mut ways = std::collections::BTreeMap::new();
    for number in 0..count {
        let seed = seed.unwrap_or(number * PARTS + part);
        let _replay = Replay(seed);
        let scene = random(seed);
        let window = scene.window as u64;
        let (run, _) = play(scene);
        messages += run.service.source.len() as u64;
        let way = format!("{:?}", run.scene.way);
        *ways.entry(if run.scene.care == Care::default() { way } else { format!("{way} with care") }).or_insert(0_u32) += 1;
        crashes += run.crashes;
        duplicates += copies(&run).values().map(|count| count - 1).sum::<u64>();
        bound += window * run.crashes + run.service.lost;
    }
    // Past the capture of the test harness, so that the figures are seen; nobody may read them.
    let figures = format!("lost 0 of {messages} messages over {crashes} crashes; duplicates {duplicates} of at most {bound}");
    let _ = writeln!(std::io::stderr(), "{count} schedules of the engine, part {} of {PARTS}: {figures}; {ways:?}", part + 1);
}

#[test]
fn schedules_part_1() {
    campaign(0);
}

#[test]
fn schedules_part_2() {
    campaign(1);
}

#[test]
fn schedules_part_3() {
    campaign(2);
}

#[test]
fn schedules_part_4() {
    campaign(3);
}
