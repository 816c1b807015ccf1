//! Every call of a sync that a transfer makes, left out in turn: which of them some schedule goes wrong without.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::super::super::journal::Archive;
use super::super::super::record::{Began, Record};
use super::super::super::{Delivery, Kind, Request, Source, TransferId};
use super::run::{Scene, Way};
use super::{play, scene};
use crate::wal::sim::{Dice, SimDisk, place, sites_in};
use crate::wal::{self, Access, Disk as _, Site};

/// Schedules in which a missing sync must be noticed.
const SCHEDULES: u64 = 300;
/// Seeds of what is told step by step.
const CASE_SEEDS: u64 = 20;
/// Schedules after which every call was met.
const SCHEDULES_TO_MEET: u64 = 60;

/// The source of what a transfer writes by.
const FILES: [&str; 3] = ["src/wal/disk.rs", "src/wal/mod.rs", "src/ops/transfer/journal.rs"];

/// Redrives, discards and exports in turn, over many crashes.
fn rough(seed: u64, left_out: Option<Site>) -> Scene {
    let (kind, way) = [(Kind::Redrive, Way::Topic), (Kind::Discard, Way::Topic), (Kind::Export, Way::File)][(seed % 3) as usize];
    Scene { kind, way, messages: 12, crash: 20, full: 8, left_out, ..scene(seed) }
}

/// The calls in a function of a source file, as `FILE:LINE`.
fn within(file: &str, function: &str) -> BTreeSet<String> {
    let source = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let begin = source.lines().position(|line| line.contains(&format!("fn {function}("))).unwrap();
    let end = begin + source.lines().skip(begin).position(|line| line == "}").unwrap();
    sites_in(&[file]).into_iter().filter(|site| (begin + 1..=end).contains(&site.rsplit_once(':').unwrap().1.parse().unwrap())).collect()
}

/// What no schedule comes to, step by step: a sync that is left out shows in some of the seeds.
const CASES: [fn(u64, Option<Site>); 3] = [an_export_stays_ours, the_word_of_another_holds, what_failed_stays_failed];

fn began(id: &str, delivery: Option<Delivery>) -> Began {
    let source: Source = "projects/shop/subscriptions/held".parse().unwrap();
    let mut request = Request::new(if delivery.is_some() { Kind::Export } else { Kind::Redrive }, source);
    request.delivery = delivery.unwrap_or(request.delivery);
    Began {
        id: TransferId(id.into()),
        place: "127.0.0.1:1".into(),
        project: None,
        request,
        cutoff: Timestamp::UNIX_EPOCH,
        expected: None,
        routes: Vec::new(),
        at: Timestamp::UNIX_EPOCH,
    }
}

fn published(id: u64) -> Record {
    Record::Published { ids: vec![format!("{id}@1").into()], new: vec![id.to_string()] }
}

/// A disk with an archive on it.
fn archive(left_out: Option<Site>) -> (SimDisk, Archive) {
    let disk = SimDisk::default();
    disk.leave_out(left_out);
    wal::make_dir(&disk, Path::new("/home")).unwrap();
    (disk.clone(), Archive::new(Arc::new(disk), Path::new("/home")))
}

/// After a power cut an export's file is there as soon as its journal is: else a file that somebody made meanwhile would be taken for it.
fn an_export_stays_ours(seed: u64, left_out: Option<Site>) {
    let (disk, archive) = archive(left_out);
    // Not beside the transfers: beginning them syncs the names there, too.
    wal::make_dir(&disk, Path::new("/exports")).unwrap();
    let export = Path::new("/exports/out.jsonl");
    drop(archive.create(began("t1", Some(Delivery::File(export.to_owned())))).unwrap());
    disk.crash(&mut Dice(seed));
    let taken = disk.open(export, Access::Create).is_err();
    // Where the journal is gone, too, nobody goes on with it.
    assert!(taken || archive.open(&TransferId("t1".into())).is_err(), "the file of an export is gone");
}

/// What the journal of a process that died says, and is acted on, a later power cut does not take back.
fn the_word_of_another_holds(seed: u64, left_out: Option<Site>) {
    let (disk, archive) = archive(left_out);
    let mut journal = archive.create(began("t1", None)).unwrap();
    // It dies between the write and the sync.
    disk.set_fuse(Some(2));
    journal.commit(Vec::new(), &[published(1)]).unwrap_err();
    disk.kill();
    let source = began("t2", None).request.source;
    let past = archive.past(&source, &TransferId("t2".into()), Timestamp::UNIX_EPOCH).unwrap();
    disk.crash(&mut Dice(seed));
    let story = archive.read(&TransferId("t1".into())).unwrap();
    assert!(past.published.iter().all(|id| story.published.contains(id)), "what another transfer was told is forgotten");
}

/// Of a commit for which there was no room nothing comes back.
fn what_failed_stays_failed(seed: u64, left_out: Option<Site>) {
    let (disk, archive) = archive(left_out);
    let mut journal = archive.create(began("t1", None)).unwrap();
    let first = published(1);
    disk.set_room(Some(first.encode().unwrap().len() + 16));
    journal.commit(Vec::new(), &[first, published(2)]).unwrap_err();
    disk.crash(&mut Dice(seed));
    assert!(archive.read(&TransferId("t1".into())).unwrap().published.is_empty(), "a record came back of which an error was told");
}

#[test]
fn each_sync_is_missed_by_some_schedule_or_case() {
    let sites: BTreeSet<Site> = (0..SCHEDULES_TO_MEET).flat_map(|seed| play(rough(seed, None)).0.disk.sites()).collect();
    let met: BTreeSet<String> = sites.iter().map(|site| place(site)).collect();
    // Logs that are written in one go are the emulator's alone.
    let others = within("src/wal/mod.rs", "write_whole");
    assert_eq!(met, sites_in(&FILES).difference(&others).cloned().collect(), "each call of a sync in the source is met");
    for (seed, case) in (0..CASE_SEEDS).flat_map(|seed| CASES.map(|case| (seed, case))) {
        case(seed, None);
    }
    let wrong = |work: &dyn Fn()| catch_unwind(AssertUnwindSafe(work)).is_err();
    let mut unnoticed = BTreeSet::new();
    for site in sites {
        let noticed = (0..CASE_SEEDS).any(|seed| CASES.iter().any(|case| wrong(&|| case(seed, Some(site)))));
        if !noticed && !(0..SCHEDULES).any(|seed| wrong(&|| drop(play(rough(seed, Some(site)))))) {
            unnoticed.insert(place(site));
        }
    }
    assert_eq!(unnoticed, BTreeSet::new(), "nothing went wrong without these");
}
