//! The store on a disk that forgets and tears: random commands, crashes at every step, and every sync taken out in turn.

mod world;

use std::collections::BTreeSet;

use super::*;
use crate::emulator::pb::google::pubsub::v1 as pb;
use crate::emulator::state::{Moment, Record, replay};
use crate::wal::Site;
use crate::wal::sim::{Dice, SimDisk, place, sites_in};
use world::{Step, World};

/// Runs of the campaign; `REDRIVE_CAMPAIGN=100` asks for a hundred times as many.
const RUNS: u64 = 300;
/// Steps of a run: batches, crashes, full disks, states written.
const STEPS: usize = 40;
/// Runs in which a missing sync must be noticed.
const RUNS_TO_NOTICE: u64 = 2000;

fn runs() -> u64 {
    RUNS * std::env::var("REDRIVE_CAMPAIGN").map_or(1, |factor| factor.parse().unwrap())
}

/// One run; an error says what was lost.
fn run(seed: u64, left_out: Option<Site>, sites: &mut BTreeSet<Site>) -> Result<world::Counts, String> {
    let disk = SimDisk::default();
    disk.leave_out(left_out);
    let mut world = World::open(disk.clone(), Dice(seed))?;
    for _ in 0..STEPS {
        world.step(None)?;
    }
    world.step(Some(Step::Crash))?;
    sites.extend(disk.sites());
    world.finish()
}

#[test]
fn what_was_answered_is_there_after_any_crash() {
    let (mut sites, mut all) = (BTreeSet::new(), world::Counts::default());
    for seed in 0..runs() {
        all += run(seed, None, &mut sites).unwrap_or_else(|lost| panic!("run {seed}: {lost}"));
    }
    println!("{} runs: {all:?}", runs());
    let least = usize::try_from(runs()).unwrap();
    assert!(all.crashes > least && all.refused > least && all.states > least / 2 && all.messages > least * 5, "{all:?}");
    assert!(all.tasks > least && all.jobs > least / 4 && all.acks > least, "{all:?}");
}

#[test]
fn without_any_one_sync_something_is_lost() {
    let mut sites = BTreeSet::new();
    for seed in 0..50 {
        run(seed, None, &mut sites).unwrap();
    }
    let files =
        ["src/wal/disk.rs", "src/wal/mod.rs", "src/emulator/store/mod.rs", "src/emulator/store/open.rs", "src/emulator/store/snapshot.rs"];
    assert_eq!(sites.iter().map(|site| place(site)).collect::<BTreeSet<_>>(), sites_in(&files), "each call of a sync in the source is met");
    for site in sites {
        let noticed = (0..RUNS_TO_NOTICE).find_map(|seed| run(seed, Some(site), &mut BTreeSet::new()).err().map(|lost| (seed, lost)));
        let (seed, lost) = noticed.unwrap_or_else(|| panic!("nothing is lost without the sync of {}", place(site)));
        println!("without {}: run {seed}: {lost}", place(site));
    }
}

#[test]
fn a_directory_in_use_or_of_a_newer_build_is_refused() {
    let disk = SimDisk::default();
    let dir = Path::new("/data");
    let first = Store::open(Arc::new(disk.clone()), dir).unwrap();
    let refused = Store::open(Arc::new(disk.clone()), dir).err().unwrap();
    assert_eq!(refused.to_string(), "data directory `/data` is in use by another emulator");
    assert!(refused.hint().unwrap().contains("--data-dir"));
    drop(first);
    assert!(Store::open(Arc::new(disk.clone()), dir).is_ok(), "it is let go of");

    let log = Path::new("/data/7.log");
    let mut newer = Wal::create(&disk, log).unwrap();
    let mut to = Writer::default();
    to.bytes.push(BEGIN);
    (FORMAT + 1, 7_u64).save(&mut to);
    newer.append(&to.bytes).unwrap();
    newer.commit().unwrap();
    drop(newer);
    disk.remove(&log_path(dir, 1)).unwrap();
    let refused = Store::open(Arc::new(disk), dir).err().unwrap();
    assert!(refused.to_string().contains("`/data/1.log` is missing"), "{refused}");
}

#[test]
fn a_format_that_is_newer_is_named() {
    let disk = SimDisk::default();
    let dir = Path::new("/data");
    drop(Store::open(Arc::new(disk.clone()), dir).unwrap());
    disk.remove(&log_path(dir, 1)).unwrap();
    let mut newer = Wal::create(&disk, &log_path(dir, 1)).unwrap();
    let mut to = Writer::default();
    to.bytes.push(BEGIN);
    (FORMAT + 1, 1_u64).save(&mut to);
    newer.append(&to.bytes).unwrap();
    newer.commit().unwrap();
    drop(newer);
    let refused = Store::open(Arc::new(disk), dir).err().unwrap();
    assert!(refused.to_string().contains("has data format 2, this build reads up to 1"), "{refused}");
    assert!(refused.hint().unwrap().contains("newer"));
}

#[test]
fn commands_that_lead_elsewhere_are_refused_and_not_applied() {
    let disk = SimDisk::default();
    let dir = Path::new("/data");
    let mut opened = Store::open(Arc::new(disk.clone()), dir).unwrap();
    let clock = Clock { now: Timestamp::UNIX_EPOCH, ahead_ns: 0 };
    // As if a build that behaves otherwise had written it.
    opened.store.begin(clock, opened.state.fingerprint() ^ 1).unwrap();
    opened.store.commit().unwrap();
    drop(opened);
    let refused = Store::open(Arc::new(disk), dir).err().unwrap();
    assert!(refused.to_string().contains("lead to another state"), "{refused}");
}

#[test]
fn a_batch_may_say_what_the_state_was_like_before_the_last_one_and_no_more() {
    let dir = Path::new("/data");
    let clock = Clock { now: Timestamp::UNIX_EPOCH, ahead_ns: 0 };
    let topic = |id: u64| {
        let mut to = Writer::default();
        pb::Topic { name: format!("projects/shop/topics/topic-{id}"), ..Default::default() }.write(&mut to);
        to.bytes
    };
    for (behind, is_taken) in [(0, true), (1, true), (2, false)] {
        let disk = SimDisk::default();
        let mut opened = Store::open(Arc::new(disk.clone()), dir).unwrap();
        let mut seen = Vec::new();
        for id in 0..3 {
            seen.push(opened.state.fingerprint());
            let fingerprint = if id == 2 { seen[2 - behind] } else { seen[usize::try_from(id).unwrap()] };
            opened.store.begin(clock, fingerprint).unwrap();
            opened.store.add(id, &topic(id), 1).unwrap();
            opened.store.commit().unwrap();
            replay(&topic(id), &mut opened.state, Moment { now: clock.now, seed: id }).unwrap();
        }
        assert!(seen[0] != seen[1] && seen[1] != seen[2]);
        drop(opened);
        assert_eq!(Store::open(Arc::new(disk), dir).is_ok(), is_taken, "{behind} behind");
    }
}

#[test]
fn a_log_is_long_by_its_bytes_or_by_its_commands_and_never_shorter_than_twice_the_state() {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::default());
    let dir = Path::new("/data");
    let mut topic = Writer::default();
    pb::Topic { name: "projects/shop/topics/orders".into(), ..Default::default() }.write(&mut topic);
    let Opened { mut store, mut state, clock } = Store::open(Arc::clone(&disk), dir).unwrap();
    let keep = |store: &mut Store, fingerprint: u64| {
        store.begin(clock, fingerprint).unwrap();
        store.add(0, &topic.bytes, 1).unwrap();
        store.commit().unwrap();
    };
    for (bytes, work, is_long) in [(1, u64::MAX, true), (u64::MAX, 1, true), (u64::MAX, 2, false)] {
        let Opened { mut store, state, .. } = Store::open(Arc::new(SimDisk::default()), dir).unwrap();
        store.set_log_limit(LogLimit { bytes, work });
        keep(&mut store, state.fingerprint());
        assert_eq!(store.is_long(), is_long, "{bytes} bytes, {work} commands");
    }

    store.set_log_limit(LogLimit { bytes: u64::MAX, work: 3 });
    // The state is a topic of a few hundred bytes.
    for seed in 0..3 {
        keep(&mut store, state.fingerprint());
        // The first creates it, the others are refused.
        replay(&topic.bytes, &mut state, Moment { now: clock.now, seed }).unwrap();
    }
    assert!(store.is_long());
    store.turn(&state, clock).unwrap().write().unwrap();
    assert!(!store.is_long(), "nothing came since");
    drop(store);
    let mut store = Store::open(disk, dir).unwrap().store;
    store.set_log_limit(LogLimit { bytes: u64::MAX, work: 1 });
    assert!(!store.is_long(), "the three are in the state that was read");
    keep(&mut store, state.fingerprint());
    assert!(store.is_long());
    store.state_bytes = store.log.len();
    assert!(!store.is_long(), "the state is as large as the log");
}

/// A directory with a state and, in the log after it, batches of one command each.
fn filled(disk: &SimDisk, batches: u64) {
    let dir = Path::new("/data");
    let Opened { mut store, mut state, clock } = Store::open(Arc::new(disk.clone()), dir).unwrap();
    for id in 0..=batches {
        let mut to = Writer::default();
        pb::Topic { name: format!("projects/shop/topics/topic-{id}"), ..Default::default() }.write(&mut to);
        store.begin(clock, state.fingerprint()).unwrap();
        store.add(id, &to.bytes, 1).unwrap();
        store.commit().unwrap();
        replay(&to.bytes, &mut state, Moment { now: clock.now, seed: id }).unwrap();
        if id == 0 {
            store.turn(&state, clock).unwrap().write().unwrap();
        }
    }
}

#[test]
fn of_a_directory_that_cannot_be_opened_nothing_is_removed() {
    let (disk, dir) = (SimDisk::default(), Path::new("/data"));
    filled(&disk, 0);
    let names = || disk.list(dir).unwrap();
    assert_eq!(names().iter().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(["2.log", "2.state", "lock"]));
    let state = state_path(dir, 2);
    let flip = |bytes: &mut Vec<u8>| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    };
    disk.damage(&state, flip);
    let refused = Store::open(Arc::new(disk.clone()), dir).err().unwrap();
    assert_eq!(refused.to_string(), "`/data/2.state` is damaged, and `/data/1.log` is gone");
    assert_eq!(names().len(), 3);
    disk.damage(&state, flip);
    assert_eq!(Store::open(Arc::new(disk), dir).unwrap().store.commands(), 1);
}

#[test]
fn a_log_that_is_damaged_before_its_end_is_refused_and_left_as_it_is() {
    let (disk, dir) = (SimDisk::default(), Path::new("/data"));
    filled(&disk, 3);
    let log = log_path(dir, 2);
    let whole = disk.content(&log);
    let find = |id: u64| {
        let name = format!("topic-{id}");
        whole.windows(name.len()).position(|window| window == name.as_bytes()).unwrap()
    };
    // In the command and in what tells of its batch; the last one is as a crash leaves it.
    for (at, is_refused) in [(find(1), true), (find(2), true), (find(2) - 60, true), (find(3), false)] {
        disk.damage(&log, |bytes| bytes[at] ^= 1);
        let damaged = disk.content(&log);
        let opened = Store::open(Arc::new(disk.clone()), dir);
        assert_eq!(opened.is_err(), is_refused, "at {at}");
        if let Err(refused) = opened {
            assert!(refused.to_string().contains("is damaged at byte") && refused.hint().unwrap().contains("truncate --size"), "{refused}");
            assert_eq!(disk.content(&log), damaged);
        }
        disk.damage(&log, |bytes| bytes.clone_from(&whole));
    }
}
