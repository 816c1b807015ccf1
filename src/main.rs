//! The binary: reads the command line and hands over to it, or to the console.

use std::io::{BufWriter, IsTerminal, stderr, stdin, stdout};
use std::process::ExitCode;

use redrive::cli::open::Subject;
use redrive::cli::{self, Cli, Exit, Output};
use redrive::console::{self, Config, Connection, Start};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

fn main() -> ExitCode {
    match start() {
        Ok(exit) | Err(exit) => exit.into(),
    }
}

fn start() -> Result<Exit, Exit> {
    let cli = Cli::read()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build().map_err(|_| Exit::Failed)?;
    let subject = cli.console().filter(|_| stdin().is_terminal() && stdout().is_terminal());
    let exit = match subject {
        Some(subject) => open_console(&cli, subject, &runtime),
        None => {
            cli::log_to_stderr(cli.verbosity());
            let (mut out, mut err) = (BufWriter::new(stdout()), stderr());
            let output = Output::new(&mut out, &mut err, cli.format(), cli.quiet());
            runtime.block_on(cli::run(cli, output))
        }
    };
    // Whatever still runs in the background (keep-alives of clients) is not waited for.
    runtime.shutdown_background();
    Ok(exit)
}

/// Runs the console on `subject`, which is opened behind its first frame.
fn open_console(cli: &Cli, subject: Subject, runtime: &Runtime) -> Exit {
    let (deliver, connection) = oneshot::channel();
    let read_only = cli.read_only();
    let handle = runtime.handle().clone();
    let open = move || {
        // The receiver is gone only when the console has ended.
        let opened =
            subject.open(read_only, move |opened| drop(deliver.send(opened.map(|it| Connection { ops: it.ops, sample: it.sample }))));
        handle.spawn(opened);
    };
    let folder = Config::folder();
    let result = cli::log_to_file(cli.verbosity()).and_then(|()| Config::load(folder.as_deref())).and_then(|config| {
        let start = Start {
            title: "redrive".to_owned(),
            open: Box::new(open),
            connection,
            config,
            config_folder: folder,
            theme: cli.theme().map(str::to_owned),
            ascii: false,
            read_only,
        };
        runtime.block_on(console::run(start))
    });
    match result {
        Ok(()) => Exit::Done,
        Err(error) => {
            let (mut out, mut err) = (stdout(), stderr());
            Output::new(&mut out, &mut err, cli.format(), cli.quiet()).error(&error);
            Exit::from(&error)
        }
    }
}

/// Threads of the runtime: the work is waiting for answers, and a thread more would only cost start-up time.
const WORKERS: usize = 2;
