//! The binary: reads the command line and hands over to it, or to the console.

use std::io::{BufWriter, IsTerminal as _, stderr, stdin, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use redrive::cli::open::{Opened, Subject};
use redrive::cli::{self, Cli, Exit, Guard, Output};
use redrive::console::{self, Config, Connection, Start};
use redrive::error::Result;
use redrive::names::ProjectId;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

/// Most of what the emulator and a transfer do for a message is small and short-lived memory, given from one thread to another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Threads of the runtime: the work is waiting for answers, and a thread more would only cost start-up time.
const WORKERS: usize = 2;

fn main() -> ExitCode {
    let run = || {
        let cli = Cli::read()?;
        start(cli).map_err(|error| cli::failed(&error))
    };
    match run() {
        Ok(exit) | Err(exit) => exit.into(),
    }
}

fn start(cli: Cli) -> Result<Exit> {
    let folder = cli::home_override().or_else(Config::folder);
    let config = Config::load(folder.as_deref())?;
    let runtime = Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    let at_terminal = stdin().is_terminal() && stdout().is_terminal();
    let exit = match cli.console().filter(|_| at_terminal) {
        Some(subject) => open_console(&runtime, &cli, subject, config, folder),
        None => Ok(run_command(&runtime, cli, &config)),
    };
    // Whatever still runs in the background (keep-alives of clients) is not waited for.
    runtime.shutdown_background();
    exit
}

fn run_command(runtime: &Runtime, cli: Cli, config: &Config) -> Exit {
    cli::log_to_stderr(cli.verbosity());
    let (mut out, mut err) = (BufWriter::new(stdout()), stderr());
    let output = Output::new(&mut out, &mut err, cli.format(), cli.quiet());
    runtime.block_on(cli::run(cli, output, &|project| config.guard(project)))
}

/// Runs the console on `subject`, which is opened behind its first frame.
fn open_console(runtime: &Runtime, cli: &Cli, subject: Subject, config: Config, folder: Option<PathBuf>) -> Result<Exit> {
    cli::log_to_file(cli.verbosity())?;
    let (sender, connection) = mpsc::channel(1);
    let (read_only, rules, handle) = (cli.read_only(), config.clone(), runtime.handle().clone());
    let title = subject.title();
    let open = move |project: Option<ProjectId>| {
        let (sender, rules) = (sender.clone(), rules.clone());
        let deliver = move |opened: Result<Opened>| {
            // It is full or gone only when nobody waits for it any more.
            let _ = sender.try_send(opened.map(|it| Connection { ops: it.ops, sample: it.sample }));
        };
        let guard = move |project: &str| {
            let guard = rules.guard(project);
            Guard { read_only: read_only || guard.read_only, ..guard }
        };
        match subject.of_project(project) {
            Ok(subject) => drop(handle.spawn(subject.open(guard, deliver))),
            Err(error) => deliver(Err(error)),
        }
    };
    let theme = cli.theme().map(str::to_owned);
    let start = Start { title, open: Box::new(open), connection, config, config_folder: folder, theme, ascii: false, read_only };
    runtime.block_on(console::run(start))?;
    Ok(Exit::Done)
}
