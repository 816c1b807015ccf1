//! The binary: reads the command line and hands over to it, or to the console.

use std::io::{BufWriter, stderr, stdout};
use std::process::ExitCode;

use redrive::cli::{self, Cli, Exit, Output};

fn main() -> ExitCode {
    match start() {
        Ok(exit) | Err(exit) => exit.into(),
    }
}

fn start() -> Result<Exit, Exit> {
    let cli = Cli::read()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build().map_err(|_| Exit::Failed)?;
    cli::log_to_stderr(cli.verbosity());
    let (mut out, mut err) = (BufWriter::new(stdout()), stderr());
    let output = Output::new(&mut out, &mut err, cli.format(), cli.quiet());
    let exit = runtime.block_on(cli::run(cli, output));
    // Whatever still runs in the background (keep-alives of clients) is not waited for.
    runtime.shutdown_background();
    Ok(exit)
}

/// Threads of the runtime: the work is waiting for answers, and a thread more would only cost start-up time.
const WORKERS: usize = 2;
