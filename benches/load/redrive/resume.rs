//! A transfer is resumed from a long journal: of a real one that was cancelled, in which more of the same is said.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use super::scene::Scene;
use super::ways::{command, folder, report};
use crate::args::Redrive;
use crate::report::median;

/// Resumptions of which the median counts.
const TIMES: usize = 5;
/// Messages that are really there.
const REAL: usize = 10;
/// Magic, version and checksum come before the records.
const HEADER_BYTES: usize = 16;
/// Length and checksum before each record.
const FRAME_BYTES: usize = 8;

/// Returns how long the whole command takes, in milliseconds.
pub(super) async fn measure(address: &str, options: &Redrive) -> Result<f64> {
    // Each message has two records: intent and outcome.
    let messages = (options.records / 2).max(REAL + 1);
    let home = folder()?;
    let scene = Scene::open(address, REAL, options.payload_bytes).await?;
    let id = cancelled(&scene, options, home.path(), messages).await?;
    let path = home.path().join("transfers").join(&id).join("journal");
    let long = lengthen(&std::fs::read(&path)?, &scene, messages - REAL)?;
    let mut took_ms = Vec::new();
    for _ in 0..TIMES {
        std::fs::write(&path, &long)?;
        // A journal that was left by a run is on the disk already: writing it is no part of going on with it.
        std::fs::File::open(&path)?.sync_all()?;
        let begun = Instant::now();
        let child = command(&options.binary, address, home.path()).args(["transfers", "resume", &id]).spawn()?;
        let report = report(child).await?;
        took_ms.push(begun.elapsed().as_secs_f64() * 1000.0);
        ensure!(report["counts"]["moved"] == messages && report["state"] == "done", "{report}");
    }
    println!("      {:<48} {:>8} records, {} MB", "journal", messages * 2, long.len() / 1_000_000);
    scene.close().await?;
    Ok(median(took_ms))
}

/// Lets a transfer of more messages than there are move those, and cancels it.
async fn cancelled(scene: &Scene, options: &Redrive, home: &Path, messages: usize) -> Result<String> {
    let mut command_line = command(&options.binary, &scene.address, home);
    let child = command_line.args(["dlq", "redrive", &scene.hold, "--yes", "--max", &messages.to_string()]).spawn()?;
    let pid = child.id().context("it runs")?.to_string();
    let folder = home.join("transfers");
    let begun = Instant::now();
    let id = loop {
        let id = std::fs::read_dir(&folder).ok().and_then(|mut entries| entries.next()?.ok());
        let id = id.map(|entry| entry.file_name().to_string_lossy().into_owned());
        if let Some(id) = id
            && std::fs::read(folder.join(&id).join("journal")).is_ok_and(|journal| has(&journal, b"{\"published\""))
        {
            break id;
        }
        ensure!(begun.elapsed().as_secs() < 30, "nothing was published");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    };
    ensure!(Command::new("kill").args(["-INT", &pid]).status().await?.success(), "`kill` failed");
    let output = child.wait_with_output().await?;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    ensure!(report["state"] == "cancelled" && report["counts"]["moved"] == REAL, "{report}");
    Ok(id)
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Says of so many more messages that they were published, before the last record, which says how it ended.
fn lengthen(journal: &[u8], scene: &Scene, more: usize) -> Result<Vec<u8>> {
    let mut at = HEADER_BYTES;
    let mut last = at;
    while at < journal.len() {
        last = at;
        let length = journal.get(at..at + 4).context("a whole frame")?.try_into()?;
        at += FRAME_BYTES + u32::from_le_bytes(length) as usize;
    }
    let mut long = journal[..last].to_vec();
    for number in 0..more {
        let id = format!("{}@1764000000{:06}", 8_000_000_000 + number, number % 1_000_000);
        let intent = format!(r#"{{"intent":{{"to":"projects/load/topics/{}","ids":["{id}"]}}}}"#, scene.orders);
        let published = format!(r#"{{"published":{{"ids":["{id}"],"new":["{}"]}}}}"#, 9_000_000_000_u64 + number as u64);
        frame(&mut long, intent.as_bytes())?;
        frame(&mut long, published.as_bytes())?;
    }
    long.extend_from_slice(&journal[last..]);
    Ok(long)
}

fn frame(to: &mut Vec<u8>, record: &[u8]) -> Result<()> {
    let length = u32::try_from(record.len())?.to_le_bytes();
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&length);
    checksum.update(record);
    to.extend_from_slice(&length);
    to.extend_from_slice(&checksum.finalize().to_le_bytes());
    to.extend_from_slice(record);
    Ok(())
}
