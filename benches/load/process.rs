//! A server as a child process: started, asked whether it is ready, and what it costs (Linux: `/proc`).

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::process::{Child, Command};

use crate::args::Compare;
use crate::rpc::Client;
use crate::workload::pubsub;

/// A server that does not answer within this time is not there.
const START_SECONDS_MAX: u64 = 60;
/// The pause between two looks at a server that starts, in microseconds.
const LOOK_US: u64 = 200;
/// Clock ticks of `/proc/PID/stat` in a second: fixed in Linux' interface.
const TICKS_PER_SECOND: f64 = 100.0;

/// The servers that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Ours,
    /// Ours, with much that is idle.
    Laden,
    /// Ours with `--data-dir`.
    Durable,
    Google,
    TasksPeer,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "redrive",
            Self::Laden => "redrive, laden",
            Self::Durable => "redrive --data-dir",
            Self::Google => "Google's emulator",
            Self::TasksPeer => "cloud-tasks-emulator",
        }
    }

    /// Says why it cannot be measured here, if it cannot.
    pub(crate) async fn missing(self, options: &Compare) -> Option<String> {
        let needed: &Path = match self {
            Self::Ours | Self::Laden => &options.binary,
            Self::Durable => {
                let help = Command::new(&options.binary).args(["emulator", "--help"]).output().await.ok()?;
                let has = String::from_utf8_lossy(&help.stdout).contains("--data-dir");
                return (!has).then(|| "this emulator has no durable mode".to_owned());
            }
            Self::Google => &options.google,
            Self::TasksPeer => &options.tasks_peer,
        };
        (!needed.exists()).then(|| format!("{} is not there", needed.display()))
    }
}

/// A running server; it is killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    /// From the start of the process to its first answer.
    pub(crate) ready: Duration,
    _folder: Option<tempfile::TempDir>,
}

impl Server {
    pub(crate) async fn start(kind: Kind, options: &Compare) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let folder = (kind == Kind::Durable).then(tempfile::tempdir).transpose()?;
        let command = match kind {
            Kind::Ours | Kind::Laden | Kind::Durable => {
                let mut command = Command::new(&options.binary);
                command.args(["emulator", "--quiet", "--listen", &address]);
                if let Some(folder) = &folder {
                    command.arg("--data-dir").arg(folder.path());
                }
                command
            }
            Kind::Google => {
                let mut command = Command::new(&options.google);
                command.arg("--host=127.0.0.1").arg(format!("--port={port}"));
                command
            }
            Kind::TasksPeer => {
                let mut command = Command::new(&options.tasks_peer);
                command.env("LISTEN_ADDR", &address).env("OIDC_ISSUER", format!("http://{address}")).env("QUEUES", "");
                command
            }
        };
        Self::launch(kind, command, address, folder).await
    }

    /// Starts this `redrive`'s emulator.
    pub(crate) async fn ours(binary: &Path) -> Result<Self> {
        let address = format!("127.0.0.1:{}", TcpListener::bind("127.0.0.1:0")?.local_addr()?.port());
        let mut command = Command::new(binary);
        command.args(["emulator", "--quiet", "--listen", &address]);
        Self::launch(Kind::Ours, command, address, None).await
    }

    async fn launch(kind: Kind, mut command: Command, address: String, folder: Option<tempfile::TempDir>) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let start = Instant::now();
        let child = command.spawn().with_context(|| format!("{} does not start", kind.name()))?;
        let mut server = Self { child, address, ready: Duration::ZERO, _folder: folder };
        server.ready = server.wait_until_ready(kind, start).await?;
        Ok(server)
    }

    /// Ready is who answers a call, not who merely accepts a connection.
    async fn wait_until_ready(&mut self, kind: Kind, start: Instant) -> Result<Duration> {
        while start.elapsed() < Duration::from_secs(START_SECONDS_MAX) {
            if let Ok(client) = Client::connect(&self.address).await
                && (kind == Kind::TasksPeer || pubsub::answers(&client).await)
            {
                return Ok(start.elapsed());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended at its start: {status}", kind.name());
            }
            tokio::time::sleep(Duration::from_micros(LOOK_US)).await;
        }
        bail!("{} did not answer within {START_SECONDS_MAX} s", kind.name())
    }

    /// Returns the processor time used so far, in seconds.
    pub(crate) fn cpu_s(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(self.proc("stat")?)?;
        let fields: Vec<&str> = stat.rsplit_once(") ").context("the format of /proc/PID/stat")?.1.split(' ').collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).context("a number of ticks");
        Ok((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
    }

    /// Returns the memory that is resident, in bytes.
    pub(crate) fn rss_bytes(&self) -> Result<f64> {
        let status = std::fs::read_to_string(self.proc("status")?)?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        let kb: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kb * 1024.0)
    }

    fn proc(&self, what: &str) -> Result<String> {
        Ok(format!("/proc/{}/{what}", self.child.id().context("the server has ended")?))
    }

    pub(crate) async fn stop(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }
}
