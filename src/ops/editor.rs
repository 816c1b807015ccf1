//! Text in the user's editor, by a file that only its owner can read.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use crate::error::{Error, Kind, Result};
use crate::ops::Ops;

/// What comes back from the editor is read to this size: a message of 10 MB as base64, and room.
const DOCUMENT_BYTES_MAX: u64 = 32 * 1024 * 1024;

impl Ops {
    /// Opens a text in `$VISUAL` or `$EDITOR` and returns what was made of it; waits for the editor, which has the terminal meanwhile.
    pub fn edit_text(&self, text: &str) -> Result<String> {
        let path = self.0.home.join(format!("edit-{}.json", std::process::id()));
        let edited = write(&path, text).and_then(|()| run_editor(&path)).and_then(|()| read(&path));
        let _ = std::fs::remove_file(&path);
        edited
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes()).map_err(|error| Error::from(error).context(format!("`{}`", path.display())))
}

fn read(path: &Path) -> Result<String> {
    if std::fs::metadata(path)?.len() > DOCUMENT_BYTES_MAX {
        return Err(Error::invalid(format!("`{}` is larger than {DOCUMENT_BYTES_MAX} bytes", path.display())));
    }
    Ok(std::fs::read_to_string(path)?)
}

/// Runs `$VISUAL` or `$EDITOR`, which may hold arguments.
fn run_editor(path: &Path) -> Result<()> {
    let editor = ["VISUAL", "EDITOR"].into_iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.trim().is_empty()));
    let editor = editor.unwrap_or_else(|| "vi".to_owned());
    let mut command = if cfg!(windows) {
        let mut words = editor.split_whitespace();
        let mut command = Command::new(words.next().unwrap_or("notepad"));
        command.args(words).arg(path);
        command
    } else {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(path);
        command
    };
    let status = command.status().map_err(|error| Error::from(error).context(format!("the editor `{editor}` cannot be started")))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::new(Kind::Cancelled, format!("nothing was done: the editor `{editor}` ended with {status}")).with_hint("set `EDITOR`"))
}
