//! `redrive emulator`.

use std::path::PathBuf;

use clap::Args;

use super::session::Session;
use super::{Exit, signals, snippets};
use crate::emulator::Emulator;
use crate::error::Result;
use crate::ops::EMULATOR_PROJECT;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Emulate {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8085")]
    listen: String,
    /// YAML or TOML file with topics, subscriptions, queues, jobs, messages and tasks to begin with
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,
    /// Print one line, `ready HOST:PORT`, on stdout once everything is served; `/healthz` answers from then on
    #[arg(long)]
    wait_ready: bool,
}

const EXAMPLES: &str = "\
Examples:
  redrive emulator
  redrive emulator --listen 127.0.0.1:0 --seed shop.yaml --project shop
  redrive emulator --wait-ready -q | { read -r _ host; PUBSUB_EMULATOR_HOST=$host pytest; }

What was sent is logged with `-v`. Nothing is kept when it stops (ctrl-c or SIGTERM).
Any project is served; `--project` is the one of the seed and of the lines that are printed.";

impl Emulate {
    pub(super) async fn run(self, session: &mut Session<'_, '_>) -> Result<Exit> {
        let stop = signals::stop()?;
        let mut builder = Emulator::builder().listen(self.listen);
        if let Some(project) = &session.global.project {
            builder = builder.project(project.clone());
        } else if self.seed.is_none() {
            builder = builder.project(EMULATOR_PROJECT.parse()?);
        }
        if let Some(seed) = self.seed {
            builder = builder.seed_file(seed);
        }
        let emulator = builder.start().await?;
        let address = emulator.address();
        session
            .output
            .note(&format!("Pub/Sub, Cloud Tasks, Cloud Scheduler and Monitoring on {address}, gRPC and HTTP/JSON, until ctrl-c"));
        session.output.note(&format!("console: redrive --emulator {address} --project {}", emulator.project()));
        session.output.note(&snippets::all(address, emulator.project().as_str()));
        if self.wait_ready {
            session.output.data(&format!("ready {address}\n"))?;
        }
        stop.await;
        emulator.shutdown().await;
        session.output.note("stopped");
        Ok(Exit::Done)
    }
}
