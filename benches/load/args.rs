//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::push::{Push, Serve};
use crate::workload::{Size, Workload};

#[derive(Debug, Parser)]
#[command(name = "load", about = "Puts load on Pub/Sub and Cloud Tasks servers, and compares them")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) what: What,
}

#[derive(Debug, Subcommand)]
pub(crate) enum What {
    /// One workload on a server that runs already
    Run(Run),
    /// All servers that are on this machine, in turn, several rounds; ends with 1 where a target is missed
    Compare(Compare),
    /// The runtime's push endpoint and others, in turn, several rounds; ends with 1 where a target is missed
    Push(Push),
    #[command(hide = true)]
    ServePush(Serve),
    /// Dead letters redriven with the journal on, against other ways to do it; ends with 1 where a target is missed
    Redrive(Redrive),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    #[arg(value_enum)]
    pub(crate) workload: Workload,
    /// Server under load
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) target: String,
    #[command(flatten)]
    size: SizeArgs,
}

impl Run {
    pub(crate) fn size(&self) -> Size {
        self.size.size()
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Compare {
    /// Rounds; each starts every server anew
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Only these workloads
    #[arg(long = "only", value_enum)]
    pub(crate) only: Vec<Workload>,
    /// Measure this `redrive` instead of the one built along
    #[arg(long, default_value = env!("CARGO_BIN_EXE_redrive"))]
    pub(crate) binary: PathBuf,
    /// Start script of Google's Pub/Sub emulator
    #[arg(long, default_value = "/usr/lib/google-cloud-sdk/platform/pubsub-emulator/bin/cloud-pubsub-emulator")]
    pub(crate) google: PathBuf,
    /// Binary of crates.io's `cloud-tasks-emulator`
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/bin/cloud-tasks-emulator"))]
    pub(crate) tasks_peer: PathBuf,
    #[command(flatten)]
    size: SizeArgs,
}

impl Compare {
    pub(crate) fn size(&self) -> Size {
        self.size.size()
    }

    pub(crate) fn wants(&self, workload: Workload) -> bool {
        self.only.is_empty() || self.only.contains(&workload)
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Redrive {
    /// Rounds, in each of which every way has its turn
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Dead letters of a turn
    #[arg(long, default_value_t = 100_000)]
    pub(crate) count: usize,
    /// Dead letters of a turn of who takes them one by one
    #[arg(long, default_value_t = 2_000)]
    pub(crate) one_by_one: usize,
    /// Payload of a message, in bytes
    #[arg(long, default_value_t = 1024)]
    pub(crate) payload_bytes: usize,
    /// Records of the journal that a transfer is resumed from
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) records: usize,
    /// Measure this `redrive` instead of the one built along
    #[arg(long, default_value = env!("CARGO_BIN_EXE_redrive"))]
    pub(crate) binary: PathBuf,
    /// Python that has `google-cloud-pubsub`: the one that the tests of the clients made
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tmp/clients/python/bin/python"))]
    pub(crate) python: PathBuf,
}

#[derive(Debug, Clone, Copy, clap::Args)]
struct SizeArgs {
    /// Messages or tasks of a workload, as a multiple of its own size
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Payload of a message, in bytes
    #[arg(long, default_value_t = 100)]
    payload_bytes: usize,
    /// Requests under way at once
    #[arg(long, default_value_t = 16)]
    concurrency: usize,
}

impl SizeArgs {
    fn size(self) -> Size {
        Size { scale: self.scale, payload_bytes: self.payload_bytes, concurrency: self.concurrency }
    }
}
