//! The log under crashes, a full disk, failing syncs and damage.

use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;

use super::sim::{Dice, Ignore, SimDisk};
use super::*;

const PATH: &str = "/home/t/journal";

fn disk() -> SimDisk {
    disk_ignoring(None)
}

fn disk_ignoring(ignore: Option<Ignore>) -> SimDisk {
    let disk = SimDisk::ignoring(ignore);
    make_dir(&disk, Path::new("/home/t")).unwrap();
    disk
}

fn append(wal: &mut Wal, records: &[&str]) {
    for record in records {
        wal.append(record.as_bytes()).unwrap();
    }
}

fn open(disk: &dyn Disk) -> Result<(Wal, Scanned, Vec<String>)> {
    let mut records = Vec::new();
    let (wal, scanned) = Wal::open(disk, Path::new(PATH), &mut |record| {
        records.push(String::from_utf8(record.to_vec()).unwrap());
        Ok(())
    })?;
    Ok((wal, scanned, records))
}

#[test]
fn reads_what_was_committed() {
    let disk = disk();
    let mut wal = Wal::create(&disk, Path::new(PATH)).unwrap();
    append(&mut wal, &["one", "", "three"]);
    let before = disk.syncs();
    wal.commit().unwrap();
    assert_eq!(disk.syncs(), before + 1, "several records, one sync");
    append(&mut wal, &["lost"]);
    drop(wal);
    let (_, scanned, records) = open(&disk).unwrap();
    assert_eq!(records, ["one", "", "three"]);
    assert_eq!((scanned.records, scanned.torn_bytes), (3, 0));
}

#[test]
fn cuts_a_torn_tail_and_says_so() {
    let disk = disk();
    let mut wal = Wal::create(&disk, Path::new(PATH)).unwrap();
    append(&mut wal, &["whole", "torn"]);
    wal.commit().unwrap();
    drop(wal);
    disk.damage(Path::new(PATH), |bytes| bytes.truncate(bytes.len() - 1));
    let (mut wal, scanned, records) = open(&disk).unwrap();
    assert_eq!((records.as_slice(), scanned.torn_bytes), (&["whole".to_owned()][..], 11));
    append(&mut wal, &["next"]);
    wal.commit().unwrap();
    drop(wal);
    assert_eq!(open(&disk).unwrap().2, ["whole", "next"]);
}

#[test]
fn zeros_are_no_records() {
    let disk = disk();
    drop(Wal::create(&disk, Path::new(PATH)).unwrap());
    disk.damage(Path::new(PATH), |bytes| bytes.resize(200, 0));
    let (_, scanned, records) = open(&disk).unwrap();
    assert_eq!((records.len(), scanned.torn_bytes), (0, 184));
}

#[test]
fn refuses_a_newer_version_and_foreign_files() {
    let disk = disk();
    drop(Wal::create(&disk, Path::new(PATH)).unwrap());
    disk.damage(Path::new(PATH), |bytes| {
        bytes[8] = 9;
        let crc = crc32fast::hash(&bytes[..12]);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    });
    let error = open(&disk).err().unwrap();
    assert!(error.is_unsupported(), "{error}");
    assert!(error.to_string().contains("format version 9"), "{error}");
    disk.damage(Path::new(PATH), |bytes| *bytes = b"a letter to a friend".to_vec());
    assert!(open(&disk).err().unwrap().to_string().contains("is not a journal"));
}

#[test]
fn one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let mut wal = Wal::create(&RealDisk, &path).unwrap();
    append(&mut wal, &["mine"]);
    wal.commit().unwrap();
    assert!(is_in_use(&RealDisk, &path));
    let error = Wal::open(&RealDisk, &path, &mut |_| Ok(())).err().unwrap();
    assert_eq!(error.kind(), Kind::FailedPrecondition);
    assert_eq!(read(&RealDisk, &path, &mut |_| Ok(())).unwrap().records, 1, "reading is allowed");
    drop(wal);
    assert!(!is_in_use(&RealDisk, &path));
    assert!(Wal::open(&RealDisk, &path, &mut |_| Ok(())).is_ok());
}

#[test]
fn who_looks_whether_it_is_in_use_keeps_nobody_from_opening_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    drop(Wal::create(&RealDisk, &path).unwrap());
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    is_in_use(&RealDisk, &path);
                }
            });
        }
        let failed = (0..2000).find_map(|_| Wal::open(&RealDisk, &path, &mut |_| Ok(())).err());
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(failed.is_none(), "{failed:?}");
    });
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/journal");
    make_dir(&RealDisk, path.parent().unwrap()).unwrap();
    drop(Wal::create(&RealDisk, &path).unwrap());
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap()), mode(&folder.path().join("a"))), (0o600, 0o700, 0o700));
}

#[test]
fn a_full_disk_is_an_error_and_damages_nothing() {
    let disk = disk();
    let mut wal = Wal::create(&disk, Path::new(PATH)).unwrap();
    append(&mut wal, &["kept"]);
    wal.commit().unwrap();
    disk.set_room(Some(13));
    append(&mut wal, &["a", "does not fit"]);
    let error = wal.commit().unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
    assert!(error.hint().unwrap().contains("make room"));
    disk.set_room(None);
    append(&mut wal, &["fits"]);
    wal.commit().unwrap();
    drop(wal);
    let (_, scanned, records) = open(&disk).unwrap();
    assert_eq!((records.as_slice(), scanned.torn_bytes), (&["kept".to_owned(), "fits".to_owned()][..], 0));
}

#[test]
fn after_a_failed_sync_nothing_is_taken_before_it_is_opened_again() {
    let disk = disk();
    let mut wal = Wal::create(&disk, Path::new(PATH)).unwrap();
    append(&mut wal, &["sure"]);
    wal.commit().unwrap();
    disk.set_syncs_fail(true);
    append(&mut wal, &["unsure"]);
    assert!(wal.commit().is_err());
    disk.set_syncs_fail(false);
    append(&mut wal, &["later"]);
    assert!(wal.commit().is_err());
    drop(wal);
    assert_eq!(open(&disk).unwrap().2, ["sure"]);
}

#[test]
fn a_million_records_are_read_quickly() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let mut wal = Wal::create(&RealDisk, &path).unwrap();
    for number in 0..1_000_000_u64 {
        wal.append(&[number.to_le_bytes(); 8].concat()).unwrap();
    }
    wal.commit().unwrap();
    let begun = std::time::Instant::now();
    let mut sum = 0_u64;
    let scanned = read(&RealDisk, &path, &mut |record| {
        sum = sum.wrapping_add(u64::from(record[0]));
        Ok(())
    })
    .unwrap();
    let took = begun.elapsed();
    assert_eq!(scanned.records, 1_000_000);
    assert!(sum > 0);
    // Unoptimised code on a busy machine, so this only tells a square from a line; a release build takes about a tenth of a second.
    assert!(took < std::time::Duration::from_mins(1), "{took:?}");
}

/// Writes batches, crashes at `crash_after` of them, and checks that exactly a prefix is there which holds all that was committed.
fn survives(seed: u64, batches: &[Vec<Vec<u8>>], crash_after: usize, ignore: Option<Ignore>) {
    let disk = disk_ignoring(ignore);
    let mut dice = Dice(seed);
    let mut all: Vec<Vec<u8>> = Vec::new();
    let mut wal = Wal::create(&disk, Path::new(PATH)).unwrap();
    for batch in batches.iter().take(crash_after) {
        for record in batch {
            wal.append(record).unwrap();
        }
        wal.commit().unwrap();
        all.extend(batch.iter().cloned());
    }
    let committed = all.len();
    if let Some(batch) = batches.get(crash_after) {
        // The crash comes between write and sync.
        for record in batch {
            wal.append(record).unwrap();
        }
        let written = wal.pending.clone();
        wal.file.write_at(wal.committed, &written).unwrap();
        all.extend(batch.iter().cloned());
    }
    disk.crash(&mut dice);
    let mut found: Vec<Vec<u8>> = Vec::new();
    let (mut wal, _) = Wal::open(&disk, Path::new(PATH), &mut |record| {
        found.push(record.to_vec());
        Ok(())
    })
    .unwrap();
    assert!(found.len() >= committed, "{} of {committed} committed records are left", found.len());
    assert_eq!(found, all[..found.len()]);
    // And it goes on from there, over another crash.
    wal.append(b"after").unwrap();
    wal.commit().unwrap();
    found.push(b"after".to_vec());
    disk.crash(&mut dice);
    let mut again: Vec<Vec<u8>> = Vec::new();
    Wal::open(&disk, Path::new(PATH), &mut |record| {
        again.push(record.to_vec());
        Ok(())
    })
    .unwrap();
    assert_eq!(again, found);
}

fn batches() -> impl Strategy<Value = Vec<Vec<Vec<u8>>>> {
    prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..5), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn what_was_committed_survives_a_crash(seed in any::<u64>(), batches in batches(), crash_after in 0_usize..6) {
        survives(seed, &batches, crash_after, None);
    }

    #[test]
    fn hostile_bytes_are_never_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), whole_header in any::<bool>()) {
        let disk = disk();
        drop(Wal::create(&disk, Path::new(PATH)).unwrap());
        if whole_header {
            bytes.splice(0..0, header());
        }
        disk.damage(Path::new(PATH), |content| *content = bytes);
        let _ = open(&disk);
    }
}

#[test]
fn each_sync_is_needed() {
    let batch = vec![vec![b"one".to_vec(), b"two".to_vec()], vec![b"three".to_vec()]];
    for ignore in [None, Some(Ignore::Content("journal")), Some(Ignore::Names("t")), Some(Ignore::Names("home"))] {
        let fails = (0..200).filter(|seed| catch_unwind(AssertUnwindSafe(|| survives(*seed, &batch, 2, ignore.clone()))).is_err()).count();
        assert_eq!(fails > 0, ignore.is_some(), "without {ignore:?} {fails} of 200 crashes lost something");
    }
}
