//! The ways to redrive that are compared.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use redrive::cloud::Cloud;
use redrive::model::message::Draft;
use redrive::names::{SubscriptionName, TopicName};
use serde_json::Value;
use tokio::process::{Child, Command};

use super::scene::{PROJECT, Scene};
use crate::args::Redrive;

/// The peer, in this repository for everyone to look at.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/redrive.py");
/// Messages of a call where they are not taken one by one.
const BATCH: u32 = 1000;
/// How often the memory of a process is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// How dead letters are redriven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// `redrive dlq redrive`, the whole command: plan, journal, end.
    Ours,
    /// The script, as its client's documentation has it.
    Python,
    /// The script on bare protobuf messages, which few would write: for comparison, without a target.
    PythonBare,
    OneByOne,
    /// Pull, publish, acknowledge with the same client as ours, and nothing else.
    Raw,
}

/// What came of one turn.
pub(super) struct Turn {
    pub(super) took: Duration,
    /// The most memory that the process had.
    pub(super) peak_bytes: Option<f64>,
}

impl Way {
    pub(super) const ALL: [Self; 5] = [Self::Ours, Self::Python, Self::PythonBare, Self::OneByOne, Self::Raw];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours => "redrive, with its journal",
            Self::Python => "Python, 1,000 by each call",
            Self::PythonBare => "Python, the same on bare protobuf messages",
            Self::OneByOne => "Python, one by one",
            Self::Raw => "Rust, the same calls without a journal",
        }
    }

    pub(super) fn is_single(self) -> bool {
        self == Self::OneByOne
    }

    /// Says why it cannot be measured here, if it cannot.
    pub(super) fn missing(self, options: &Redrive) -> Option<String> {
        let python = matches!(self, Self::Python | Self::PythonBare | Self::OneByOne);
        (python && !options.python.exists()).then(|| format!("{} is not there", options.python.display()))
    }

    pub(super) async fn run(self, scene: &Scene, options: &Redrive) -> Result<Turn> {
        match self {
            Self::Ours => ours(scene, &options.binary).await,
            Self::Python => python(scene, &options.python, &[]).await,
            Self::PythonBare => python(scene, &options.python, &["--bare"]).await,
            Self::OneByOne => python(scene, &options.python, &["--batch", "1"]).await,
            Self::Raw => raw(scene).await,
        }
    }
}

/// The command on this emulator, with a folder of its own on a real disk.
pub(super) fn command(binary: &Path, address: &str, home: &Path) -> Command {
    let mut command = Command::new(binary);
    command.env("REDRIVE_HOME", home).args(["--emulator", address, "--project", PROJECT, "-o", "json"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// A folder below `target`: the system's own may be memory.
pub(super) fn folder() -> Result<tempfile::TempDir> {
    let parent = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp");
    std::fs::create_dir_all(&parent)?;
    Ok(tempfile::tempdir_in(parent)?)
}

async fn ours(scene: &Scene, binary: &Path) -> Result<Turn> {
    let home = folder()?;
    let count = scene.count.to_string();
    let mut command = command(binary, &scene.address, home.path());
    command.args(["dlq", "redrive", &scene.hold, "--yes", "--window", "1000", "--max", &count]);
    let begun = Instant::now();
    let mut child = command.spawn()?;
    let peak_bytes = watched(&mut child).await?;
    let took = begun.elapsed();
    let report = report(child).await?;
    ensure!(report["counts"]["moved"] == scene.count && report["state"] == "done", "{report}");
    Ok(Turn { took, peak_bytes: Some(peak_bytes) })
}

/// Waits for the end of a process; returns the most memory that it had, as far as that was seen.
async fn watched(child: &mut Child) -> Result<f64> {
    let status = format!("/proc/{}/status", child.id().context("it runs")?);
    let mut peak = 0.0;
    loop {
        if let Ok(text) = std::fs::read_to_string(&status)
            && let Some(line) = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))
        {
            peak = line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0;
        }
        if tokio::time::timeout(LOOK, child.wait()).await.is_ok() {
            return Ok(peak);
        }
    }
}

/// Reads what a command of ours reported.
pub(super) async fn report(child: Child) -> Result<Value> {
    let output = child.wait_with_output().await?;
    ensure!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

async fn python(scene: &Scene, python: &Path, more: &[&str]) -> Result<Turn> {
    let count = scene.count.to_string();
    let mut command = Command::new(python);
    command.arg(SCRIPT).args(["--target", &scene.address, "--project", PROJECT]);
    command.args(["--source", &scene.hold, "--topic", &scene.orders, "--count", &count]).args(more);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let seconds = report["seconds"].as_f64().context("the script tells its time")?;
    Ok(Turn { took: Duration::from_secs_f64(seconds), peak_bytes: None })
}

async fn raw(scene: &Scene) -> Result<Turn> {
    let cloud = Cloud::emulator(&scene.address, PROJECT.parse()?)?;
    let hold: SubscriptionName = format!("projects/{PROJECT}/subscriptions/{}", scene.hold).parse()?;
    let orders: TopicName = format!("projects/{PROJECT}/topics/{}", scene.orders).parse()?;
    let begun = Instant::now();
    let mut moved = 0;
    while moved < scene.count {
        let received = cloud.pull(&hold, BATCH, Duration::ZERO).await?.messages;
        let mut drafts = Vec::with_capacity(received.len());
        let mut ack_ids = Vec::with_capacity(received.len());
        for one in received {
            ack_ids.push(one.ack_id);
            let mut attributes = one.message.attributes;
            attributes.retain(|key, _| !key.starts_with("CloudPubSubDeadLetter"));
            drafts.push(Draft { data: one.message.data, attributes, ordering_key: one.message.ordering_key });
        }
        cloud.publish_once(&orders, &drafts).await?;
        cloud.acknowledge(&hold, &ack_ids).await?;
        moved += ack_ids.len();
    }
    Ok(Turn { took: begun.elapsed(), peak_bytes: None })
}
