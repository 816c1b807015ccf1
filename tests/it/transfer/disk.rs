//! Folders and disks that do not take a journal: a clear error, the code to go with it, and nothing lost. The real binary, on the file system of
//! this machine.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use super::*;
use crate::cli::binary;

/// Blocks of 512 bytes that a file may have where the disk is as good as full: a journal's first records, and no more.
const BLOCKS_MAX: u32 = 8;

async fn run(world: &World, home: &Path, args: &[&str]) -> Output {
    let address = world.emulator.address().to_string();
    let mut command = binary(home);
    command.args(["--emulator", &address, "--project", "shop", "-o", "json"]).args(args).stdin(Stdio::null());
    tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends").unwrap()
}

fn redrive(count: &str) -> Vec<&str> {
    vec!["dlq", "redrive", "strict", "--yes", "--fan-out", "billing", "--fan-out", "audit", "--window", "5", "--max", count]
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn report(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// The one journal of a home.
fn journal(home: &Path) -> PathBuf {
    let mut folders = std::fs::read_dir(home.join("transfers")).unwrap();
    let folder = folders.next().unwrap().unwrap().path();
    assert!(folders.next().is_none());
    folder.join("journal")
}

/// A home whose transfers cannot be written, not even by root, whom no mode keeps out: what is to be their folder is something else.
#[tokio::test]
async fn a_folder_that_cannot_be_written_is_told_before_anything_is_published() {
    let world = World::start(SHOP).await;
    give_up(&world, 3).await;
    let home = tempfile::tempdir().unwrap();
    let transfers = home.path().join("transfers");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::create_dir(&transfers).unwrap();
        std::fs::set_permissions(&transfers, std::fs::Permissions::from_mode(0o500)).unwrap();
        let root = std::fs::create_dir(transfers.join("probe")).is_ok();
        if root {
            std::fs::remove_dir_all(&transfers).unwrap();
            // Nobody makes folders there.
            std::os::unix::fs::symlink("/sys/kernel", &transfers).unwrap();
        }
    }
    let failed = run(&world, home.path(), &redrive("3")).await;
    let words = err(&failed);
    assert_eq!(failed.status.code(), Some(1), "{words}");
    assert!(words.contains("transfers") && words.contains("let its folder be written to by this user"), "{words}");
    assert!(everything(&world, "stamps").await.is_empty(), "nothing was published");
    // What the plan looked at is free again, at the latest when its leases end.
    assert_eq!(drain(&world, "strict", 3).await.len(), 3, "nothing was taken");
}

#[tokio::test]
async fn a_full_disk_stops_it_and_what_was_begun_goes_on_when_there_is_room() {
    let world = World::start(SHOP).await;
    give_up(&world, 200).await;
    let home = tempfile::tempdir().unwrap();
    let address = world.emulator.address().to_string();
    // The limit of the size of files is as good as a full disk, and needs no disk of its own.
    let script = format!("trap '' XFSZ; ulimit -f {BLOCKS_MAX}; exec \"$0\" \"$@\"");
    let real = binary(home.path());
    let mut command = tokio::process::Command::new("sh");
    command.env_clear().envs(real.as_std().get_envs().filter_map(|(key, value)| Some((key, value?))));
    command.args(["-c", &script]).arg(real.as_std().get_program());
    command.args(["--emulator", &address, "--project", "shop", "-o", "json"]).args(redrive("200")).stdin(Stdio::null());
    let stopped = tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends").unwrap();
    let words = err(&stopped);
    assert!(words.contains("File too large") && words.contains("make room on the disk, then resume"), "{words}");
    assert_eq!((stopped.status.code(), &report(&stopped)["state"]), (Some(3), &"stopped".into()), "{words}");
    let moved = report(&stopped)["counts"]["moved"].as_u64().unwrap();
    assert!((1..200).contains(&moved), "{moved}");

    // Leases of what was under way end.
    world.emulator.advance(Duration::from_secs(20)).await.unwrap();
    let id = report(&stopped)["id"].as_str().unwrap().to_owned();
    let done = run(&world, home.path(), &["transfers", "resume", &id]).await;
    assert_eq!((done.status.code(), &report(&done)["counts"]["moved"]), (Some(0), &200.into()), "{}", err(&done));
    let unsure = report(&done)["duplicates_max"].as_u64().unwrap();
    let arrived = everything(&world, "stamps").await;
    let numbers: BTreeSet<&str> = arrived.iter().map(|message| message.attributes["n"].as_str()).collect();
    assert_eq!(numbers.len(), 200);
    assert!(arrived.len() as u64 - 200 <= unsure && unsure <= 5, "{} arrived, {unsure} unsure", arrived.len());
}

/// A transfer that was cancelled after a few messages; returns its id.
async fn cancelled(world: &World) -> TransferId {
    give_up(world, 30).await;
    let id = start(&world.ops, Request { rate_max: Some(20), max: Some(30), ..request(Kind::Redrive, "strict") }).await;
    follow(&world.ops, &id, |summary| summary.counts.moved >= 3).await;
    world.ops.cancel_transfer(&id).await.unwrap();
    follow(&world.ops, &id, is_over).await;
    id
}

#[tokio::test]
async fn a_journal_of_a_newer_version_is_left_alone() {
    let world = World::start(SHOP).await;
    let id = cancelled(&world).await;
    let path = journal(&world.home);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8..12].copy_from_slice(&2_u32.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..12]);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let refused = run(&world, &world.home, &["transfers", "resume", &id.0]).await;
    let words = err(&refused);
    assert!(
        words.contains("has format version 2, this build reads up to version 1") && words.contains("use the newer `redrive`"),
        "{words}"
    );
    assert_eq!((refused.status.code(), std::fs::read(&path).unwrap()), (Some(1), bytes), "it is as it was");
}

#[tokio::test]
async fn a_torn_tail_is_cut_and_nothing_is_lost() {
    let world = World::start(SHOP).await;
    let id = cancelled(&world).await;
    let path = journal(&world.home);
    let whole = std::fs::read(&path).unwrap();
    // The record of its end is torn, and half of another lies behind.
    let torn = [&whole[..whole.len() - 7], &[0x40, 0, 0, 0, 1, 2, 3][..]].concat();
    std::fs::write(&path, &torn).unwrap();
    let done = run(&world, &world.home, &["transfers", "resume", &id.0]).await;
    assert_eq!((done.status.code(), &report(&done)["counts"]["moved"]), (Some(0), &30.into()), "{}", err(&done));
    let arrived = everything(&world, "stamps").await;
    let numbers: BTreeSet<&str> = arrived.iter().map(|message| message.attributes["n"].as_str()).collect();
    assert_eq!((arrived.len(), numbers.len()), (30, 30), "each once");
}
