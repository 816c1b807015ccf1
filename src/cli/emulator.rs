//! `redrive emulator`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use jiff::SignedDuration;

use super::session::Session;
use super::{Exit, signals, snippets};
use crate::emulator::Emulator;
use crate::error::{Error, Kind, Result};
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
    /// Move dead letters only where policies grant it to Pub/Sub's service agent, as on Google Cloud
    #[arg(long)]
    dead_letter_grants: bool,
    /// Keep everything in this directory and go on from there: what was answered survives `kill -9` and a power cut
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Write the state of the data directory anew after so many bytes of log; 256 MiB, or what takes two seconds to read again, unless given
    #[arg(long, value_name = "BYTES", requires = "data_dir")]
    log_limit: Option<u64>,
    /// Print one line, `ready HOST:PORT`, on stdout once everything is served; `/healthz` answers from then on
    #[arg(long)]
    wait_ready: bool,
    /// Refuse calls without a valid token of this emulator's own, as Google does
    #[arg(long)]
    require_auth: bool,
    /// Write the key of a service account to a file for `GOOGLE_APPLICATION_CREDENTIALS`; its tokens come from this emulator
    #[arg(long, value_name = "FILE")]
    service_account_key: Option<PathBuf>,
    /// Issuer of the ID tokens sent with pushes, tasks and jobs; `self` is this emulator's own address
    #[arg(long, value_name = "URL", default_value = "https://accounts.google.com")]
    issuer: String,
    /// Base URL of the app that tasks and jobs with App Engine targets are sent to
    #[arg(long, value_name = "URL")]
    app_engine: Option<String>,
    /// How late Monitoring shows its points, such as `3m`: Google's come minutes late
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = delay)]
    monitoring_delay: Duration,
    /// Have pushes, tasks and jobs for a host go elsewhere, such as `localhost=host.docker.internal` in a container; repeatable
    #[arg(long, value_name = "HOST=HOST", value_parser = pair)]
    rewrite_host: Vec<(String, String)>,
}

const EXAMPLES: &str = "\
Examples:
  redrive emulator
  redrive emulator --listen 127.0.0.1:0 --seed shop.yaml --project shop
  redrive emulator --data-dir ~/.local/share/emulator
  redrive emulator --wait-ready -q | { read -r _ host; PUBSUB_EMULATOR_HOST=$host pytest; }
  redrive emulator --require-auth --service-account-key key.json

Keys that check ID tokens: /oauth2/v3/certs (JWKS), /oauth2/v1/certs (PEM). As a metadata server: GCE_METADATA_HOST=HOST:PORT.
What was sent is logged with `-v`. Nothing is kept when it stops (ctrl-c or SIGTERM), unless
there is a `--data-dir`; a `--seed` counts only while that is new.
Any project is served; `--project` is the one of the seed and of the lines that are printed.";

/// Open files that are enough for 10,000 connections.
const FILES_WANTED: u64 = 10_500;

/// Raises the limit of open files to what the system allows; returns what it is then.
fn raise_file_limit() -> u64 {
    // Where it cannot be read it is not known to be in the way.
    rlimit::increase_nofile_limit(u64::MAX).unwrap_or(u64::MAX)
}

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
        if self.dead_letter_grants {
            builder = builder.require_dead_letter_grants();
        }
        if self.require_auth {
            builder = builder.require_auth();
        }
        if let Some(url) = self.app_engine {
            builder = builder.app_engine(url);
        }
        if let Some(dir) = self.data_dir {
            builder = builder.data_dir(dir);
        }
        if let Some(bytes) = self.log_limit {
            builder = builder.log_limit(bytes);
        }
        let files = raise_file_limit();
        for (from, to) in self.rewrite_host {
            builder = builder.rewrite_host(from, to);
        }
        let emulator = builder.monitoring_delay(self.monitoring_delay).issuer(self.issuer).start().await?;
        if let Some(path) = self.service_account_key {
            let email = format!("tests@{}.iam.gserviceaccount.com", emulator.project());
            write_private(&path, &emulator.service_account_key(&email).await?)?;
            session.output.note(&format!("export GOOGLE_APPLICATION_CREDENTIALS={}", path.display()));
        }
        let address = emulator.address();
        session
            .output
            .note(&format!("Pub/Sub, Cloud Tasks, Cloud Scheduler and Monitoring on {address}, gRPC and HTTP/JSON, until ctrl-c"));
        session.output.note(&format!("console: redrive --emulator {address} --project {}", emulator.project()));
        if files < FILES_WANTED {
            session.output.note(&format!(
                "at most {files} files may be open here, and each connection is one; `ulimit -Hn {FILES_WANTED}` raises that, where it may"
            ));
        }
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

fn delay(text: &str) -> Result<Duration, String> {
    let span: Option<SignedDuration> = text.parse().ok();
    span.and_then(|span| span.try_into().ok()).ok_or_else(|| "it looks like `3m` or `90s`".to_owned())
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (from, to) = text.split_once('=').ok_or("it looks like `localhost=host.docker.internal`")?;
    Ok((from.to_owned(), to.to_owned()))
}

/// Writes a file that only this user may read.
fn write_private(path: &Path, text: &str) -> Result<()> {
    let failed =
        |error: std::io::Error| Error::new(Kind::Io, format!("`{}` cannot be written: {error}", path.display())).with_source(error);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(failed)?.write_all(text.as_bytes()).map_err(failed)
}
