//! A file of copies as a source: read line by line, off the async threads.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Take};
use std::path::{Path, PathBuf};

use super::super::cargo::Cargo;
use super::super::copy;
use super::super::engine::Arrival;
use crate::error::{Error, Kind, Result};

/// A line is at most this long: 10 MB of payload as base64, and 100 attributes.
const LINE_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// So much of a file is read ahead at most.
const AHEAD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The lines that are left.
pub(in crate::ops::transfer) struct Lines {
    path: PathBuf,
    reader: BufReader<Take<File>>,
    number: u64,
}

impl Lines {
    /// Opens a file; what lies behind `bytes_max` does not count.
    pub(in crate::ops::transfer) fn open(path: &Path, bytes_max: u64) -> Result<Self> {
        let file = File::open(path).map_err(|error| unreadable(path, error))?;
        Ok(Self { path: path.to_owned(), reader: BufReader::new(file.take(bytes_max)), number: 0 })
    }

    /// Reads the next line that is not blank.
    pub(in crate::ops::transfer) fn next(&mut self) -> Result<Option<Cargo>> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let read =
                self.reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(|error| unreadable(&self.path, error))?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            if line.len() as u64 == LINE_BYTES_MAX {
                return Err(Error::invalid(format!(
                    "line {} of `{}` is longer than {LINE_BYTES_MAX} bytes",
                    self.number,
                    self.path.display()
                )));
            }
            if !line.trim_ascii().is_empty() {
                return copy::read(&line, self.number).map(Some).map_err(|error| error.context(format!("`{}`", self.path.display())));
            }
        }
    }

    fn some(&mut self, max: usize) -> Result<Vec<Arrival>> {
        let (mut arrivals, mut bytes) = (Vec::new(), 0);
        while arrivals.len() < max && bytes < AHEAD_BYTES_MAX {
            let Some(cargo) = self.next()? else { break };
            bytes += cargo.bytes();
            arrivals.push(Arrival { ack_id: self.number.to_string(), cargo });
        }
        Ok(arrivals)
    }
}

/// Reads some lines; after an error there are no more.
pub(super) async fn next(place: &mut Option<Lines>, max: usize) -> Result<Vec<Arrival>> {
    let Some(mut lines) = place.take() else { return Ok(Vec::new()) };
    let read = tokio::task::spawn_blocking(move || {
        let some = lines.some(max)?;
        Ok::<_, Error>((lines, some))
    });
    let (lines, some) = read.await.map_err(|error| Error::new(Kind::Internal, "reading the file broke off").with_source(error))??;
    *place = Some(lines);
    Ok(some)
}

/// Reads a whole file, hands out what it holds, and returns how much that is.
pub(in crate::ops::transfer) fn count(path: &Path, bytes_max: u64, mut each: impl FnMut(&Cargo)) -> Result<u64> {
    let mut lines = Lines::open(path, bytes_max)?;
    let mut count = 0;
    while let Some(cargo) = lines.next()? {
        each(&cargo);
        count += 1;
    }
    Ok(count)
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    let kind = if error.kind() == std::io::ErrorKind::NotFound { Kind::NotFound } else { Kind::Io };
    Error::new(kind, format!("`{}` cannot be read: {error}", path.display())).with_source(error)
}
