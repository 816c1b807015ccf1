//! Logs: to stderr for the command line, to a file for the console, never onto its screen.

use std::fs::OpenOptions;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::home::Home;
use crate::error::Result;

/// Takes a filter such as `redrive=debug,google_cloud_pubsub=info`.
const VARIABLE: &str = "REDRIVE_LOG";

/// A log file larger than this is begun anew when the console starts.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Logs to stderr: nothing without `-v`, own events with one, all with two.
pub fn to_stderr(verbosity: u8) {
    let default = match verbosity {
        0 => "off",
        1 => "redrive=debug,warn",
        _ => "debug",
    };
    // A second subscriber (tests in one process) is refused and does no harm.
    let _ = tracing_subscriber::fmt().with_env_filter(filter(default)).with_writer(std::io::stderr).with_ansi(false).try_init();
}

/// Logs to `redrive.log` in the user's folder.
pub fn to_file(verbosity: u8) -> Result<()> {
    let home = Home::find()?;
    std::fs::create_dir_all(&home.state)?;
    let path = home.state.join("redrive.log");
    let large = std::fs::metadata(&path).is_ok_and(|file| file.len() > FILE_BYTES_MAX);
    let mut options = OpenOptions::new();
    options.create(true).write(true).append(!large).truncate(large);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    // Every request to an embedded emulator is a line too many for a session of days.
    let default = if verbosity == 0 { "redrive=info,redrive::emulator::request=warn,warn" } else { "redrive=debug,warn" };
    let _ = tracing_subscriber::fmt().with_env_filter(filter(default)).with_writer(Mutex::new(file)).with_ansi(false).try_init();
    Ok(())
}

fn filter(default: &str) -> EnvFilter {
    let directives = std::env::var(VARIABLE).unwrap_or_else(|_| default.to_owned());
    EnvFilter::builder().with_default_directive(LevelFilter::OFF.into()).parse_lossy(directives)
}
