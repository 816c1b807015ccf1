//! `redrive demo`.

use std::time::Duration;

use clap::Args;
use tokio::net::TcpStream;

use super::session::Session;
use super::{Exit, signals};
use crate::demo;
use crate::emulator::Emulator;
use crate::error::{Error, Kind, Result};

/// An emulator on the same machine or network answers at once; longer than this, nobody is there.
const CONNECT_MAX: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Demo {
    /// No console: run the shop, print `ready HOST:PORT` on stdout, and wait for ctrl-c
    #[arg(long)]
    pub(super) headless: bool,
    /// Run the shop on services that are there already, in place of an emulator of its own
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    pub(super) address: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  redrive demo
  redrive demo --headless --quiet        then, elsewhere: redrive --emulator HOST:PORT dlq list
  redrive demo --address 127.0.0.1:8085  the same shop on an emulator that runs already

The shop is a service like yours: it knows an address, uses Google's clients and answers real HTTP requests.
Nothing configured is used, nothing is kept.";

impl Demo {
    /// Runs it without a console.
    pub(super) async fn run(self, session: &mut Session<'_, '_>) -> Result<Exit> {
        let stop = signals::stop()?;
        let project = session.global.project_or_demo();
        let emulator = match self.address {
            Some(_) => None,
            None => Some(Emulator::builder().project(project.clone()).start().await?),
        };
        let address = match (&emulator, self.address) {
            (Some(emulator), _) => emulator.address().to_string(),
            (None, address) => address.unwrap_or_default(),
        };
        answers(&address).await?;
        session.output.note(&format!("the sample shop is in project `{project}` on {address}, until ctrl-c"));
        session.output.data(&format!("ready {address}\n"))?;
        demo::run(&address, &project, stop).await?;
        if let Some(emulator) = emulator {
            emulator.shutdown().await;
        }
        session.output.note("stopped");
        Ok(Exit::Done)
    }
}

/// Fails unless somebody listens: `ready` must not be said of a dead address.
async fn answers(address: &str) -> Result<()> {
    let refused = |source: std::io::Error| {
        Error::new(Kind::Unavailable, format!("nobody answers at `{address}`"))
            .with_hint("start one there: `redrive emulator --listen HOST:PORT`; without `--address` the demo brings its own")
            .with_source(source)
    };
    let connected = tokio::time::timeout(CONNECT_MAX, TcpStream::connect(address)).await;
    connected.unwrap_or_else(|late| Err(late.into())).map(drop).map_err(refused)
}

fn address(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok() => Ok(text.to_owned()),
        _ => Err("an address is written `HOST:PORT`, such as `127.0.0.1:8085`".to_owned()),
    }
}
