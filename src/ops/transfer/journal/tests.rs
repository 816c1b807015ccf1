//! What a journal costs to take up again, record by record.

use super::*;
use crate::ops::transfer::Kind as Does;
use crate::wal::RealDisk;

/// Messages of the journal; each has an intent and an outcome. `load redrive` measures a million records on a release build.
const MESSAGES: u64 = 20_000;
/// A debug build on a machine that does much else takes this for a record, at most: a release build is below a microsecond.
const RECORD_NS_MAX: u128 = 150_000;
/// What a record may allocate: a list of ids, and its part of what the sets of ids grow by.
const ALLOCATIONS_MAX: f64 = 1.5;

fn began() -> Began {
    let source: Source = "projects/shop/subscriptions/held".parse().expect("a name");
    Began {
        id: TransferId("t1".into()),
        place: "127.0.0.1:1".into(),
        project: None,
        request: Request::new(Does::Redrive, source),
        cutoff: Timestamp::UNIX_EPOCH,
        expected: None,
        routes: Vec::new(),
        at: Timestamp::UNIX_EPOCH,
    }
}

fn id(number: u64) -> Identity {
    format!("{}@1764000000000000", 17_640_000_000 + number).into()
}

#[test]
fn a_long_journal_is_taken_up_quickly_and_without_a_copy_of_each_id() {
    let home = tempfile::tempdir().expect("a folder");
    let archive = Archive::new(Arc::new(RealDisk), home.path());
    let mut journal = archive.create(began()).expect("begins");
    let mut records = Vec::new();
    for number in 0..MESSAGES {
        records.push(Record::Intent { to: "projects/shop/topics/orders".into(), ids: vec![id(number)] });
        records.push(Record::Published { ids: vec![id(number)], new: vec![number.to_string()] });
    }
    journal.commit(Vec::new(), &records).expect("is written");
    drop((journal, records));

    let begun = std::time::Instant::now();
    let mut story = None;
    let cost = allocation_counter::measure(|| story = Some(archive.open(&TransferId("t1".into())).expect("opens").1));
    let story = story.expect("was read");
    assert_eq!((story.published.len() as u64, story.unsure_max()), (MESSAGES, 0));
    let records = 2 * MESSAGES;
    let each = begun.elapsed().as_nanos() / u128::from(records);
    assert!(each < RECORD_NS_MAX, "{each} ns for each record");
    #[expect(clippy::cast_precision_loss, reason = "a ratio of small counts")]
    let allocations = cost.count_total as f64 / records as f64;
    assert!(allocations < ALLOCATIONS_MAX, "{allocations} allocations for each record");
}
