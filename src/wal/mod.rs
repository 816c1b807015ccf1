//! An append-only log of framed records with group commit, over a small disk interface, real or simulated.
//!
//! A file is a header (magic, version, CRC) and frames (length, CRC of length and payload, payload). What was committed survives a crash; what was not
//! may be torn, and is cut off when the log is opened. Must not know what the records mean.

mod disk;
mod scan;
#[cfg(test)]
pub(crate) mod sim;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[cfg(test)]
pub(crate) use disk::Site;
pub(crate) use disk::{Access, Disk, DiskFile, RealDisk, make_dir};
pub(crate) use scan::Scanned;

use crate::error::{Error, Kind, Result};

/// The first bytes of every log.
const MAGIC: [u8; 8] = *b"RDRVWAL\n";
/// The format of this build; a log of a higher version is refused, never guessed at.
const VERSION: u32 = 1;
/// Magic, version, CRC of both.
const HEADER_BYTES: usize = 16;
/// Length and CRC before each payload.
const FRAME_BYTES: usize = 8;
/// A record is at most this long, so that a torn length cannot ask for gigabytes.
pub(crate) const RECORD_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Of the memory for records that wait, this much is kept from one commit to the next.
const PENDING_BYTES_KEPT: usize = 1024 * 1024;
/// A log that is written in one go is written in parts of about this many bytes.
const WRITE_BYTES: usize = 1024 * 1024;

/// Whoever looks whether a log is in use holds it for a moment: that is waited out, for so long at most.
const LOOKS_WAIT: Duration = Duration::from_secs(1);
/// Between two tries.
const LOOKS_PAUSE: Duration = Duration::from_millis(2);

/// Appends one record.
pub(crate) type Append<'a> = dyn FnMut(&[u8]) -> Result<()> + 'a;
/// Appends all records of a log, by what it is given.
pub(crate) type Fill<'a> = dyn FnMut(&mut Append<'_>) -> Result<()> + 'a;

/// Tells whether a record is the first of a commit.
pub(crate) type IsMark<'a> = dyn Fn(&[u8]) -> bool + 'a;
/// Tells how a record is read: called for each in order.
pub(crate) type Replay<'a> = dyn FnMut(&[u8]) -> Result<()> + 'a;

/// A log open for appending; locked against other processes until dropped.
pub(crate) struct Wal {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    committed: u64,
    pending: Vec<u8>,
    broken: bool,
}

impl Wal {
    /// Creates a log that must not exist yet, and makes it durable with its directory entry.
    pub(crate) fn create(disk: &dyn Disk, path: &Path) -> Result<Self> {
        let mut file = disk.open(path, Access::Create).map_err(|e| at(path, e))?;
        lock(file.as_mut(), path)?;
        begin(file.as_mut()).map_err(|e| at(path, e))?;
        disk.sync_dir(parent(path)).map_err(|e| at(path, e))?;
        Ok(Self::at_end(file, path, HEADER_BYTES as u64))
    }

    /// Opens a log, gives its whole records to `replay` and cuts off a torn tail.
    pub(crate) fn open(disk: &dyn Disk, path: &Path, replay: &mut Replay<'_>) -> Result<(Self, Scanned)> {
        Self::open_marked(disk, path, replay, None)
    }

    /// The same for a log whose commits all begin with a short record that `is_mark` knows, but for what precedes the first. A crash tears one commit, the last:
    /// where others follow what is not whole, the file is damaged, which is an error, and the file stays as it is.
    pub(crate) fn open_marked(
        disk: &dyn Disk,
        path: &Path,
        replay: &mut Replay<'_>,
        is_mark: Option<&IsMark<'_>>,
    ) -> Result<(Self, Scanned)> {
        let mut file = disk.open(path, Access::Write).map_err(|e| at(path, e))?;
        lock(file.as_mut(), path)?;
        let within = |e: Error| e.context(format_args!("journal `{}`", path.display()));
        let scanned = scan::scan(file.as_mut(), replay).map_err(within)?;
        if let Some(is_mark) = is_mark.filter(|_| scanned.begun && scanned.torn_bytes > 0) {
            let found = scan::marks(file.as_mut(), scanned.whole_bytes, is_mark).map_err(within)?;
            // The first commit may have torn before its mark.
            if found > u64::from(scanned.records == 0) {
                let whole = scanned.whole_bytes;
                return Err(Error::new(
                    Kind::Io,
                    format!("journal `{}` is damaged at byte {whole}, and goes on behind that", path.display()),
                )
                .with_hint(format!(
                    "put it back from a copy, or go on without what follows: `truncate --size {whole} {}`",
                    path.display()
                )));
            }
        }
        if scanned.begun {
            // Not synced: the next commit does that before anything relies on it, and until then the tail is merely cut again.
            if scanned.torn_bytes > 0 {
                file.truncate(scanned.whole_bytes).map_err(|e| at(path, e))?;
            }
        } else {
            begin(file.as_mut()).map_err(|e| at(path, e))?;
        }
        Ok((Self::at_end(file, path, scanned.whole_bytes), scanned))
    }

    fn at_end(file: Box<dyn DiskFile>, path: &Path, committed: u64) -> Self {
        Self { file, path: path.to_owned(), committed, pending: Vec::new(), broken: false }
    }

    /// Returns how long the committed part is, in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.committed
    }

    /// Whether a sync failed, after which it takes nothing more.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Adds a record to those that the next [`Wal::commit`] writes.
    pub(crate) fn append(&mut self, payload: &[u8]) -> Result<()> {
        self.append_parts(&[payload])
    }

    /// The same for a record in parts, which follow one another in it.
    pub(crate) fn append_parts(&mut self, parts: &[&[u8]]) -> Result<()> {
        frame(&mut self.pending, parts)
    }

    /// Forgets the appended records that are not committed.
    pub(crate) fn abandon(&mut self) {
        self.pending.clear();
    }

    /// Writes all appended records and makes them durable, with one sync; on an error none of them is in the log.
    ///
    /// After a failed sync nothing is known of what lies on the disk: the log takes no more records until it is opened again.
    pub(crate) fn commit(&mut self) -> Result<()> {
        if self.broken {
            return Err(Error::new(Kind::Io, format!("journal `{}` failed before and takes no more records", self.path.display())));
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        let written = self.file.write_at(self.committed, &self.pending);
        let written = written.and_then(|()| {
            self.broken = true;
            self.file.sync().inspect(|()| self.broken = false)
        });
        let bytes = self.pending.len() as u64;
        self.pending.clear();
        self.pending.shrink_to(PENDING_BYTES_KEPT);
        match written {
            Ok(()) => {
                self.committed += bytes;
                Ok(())
            }
            Err(error) => {
                // Synced, for else a crash may bring back whole records of what failed.
                if self.file.truncate(self.committed).and_then(|()| self.file.sync()).is_err() {
                    self.broken = true;
                }
                Err(at(&self.path, error))
            }
        }
    }
}

/// Reads a log without locking or changing it, also while another process appends to it.
pub(crate) fn read(disk: &dyn Disk, path: &Path, replay: &mut Replay<'_>) -> Result<Scanned> {
    let mut file = disk.open(path, Access::Read).map_err(|e| at(path, e))?;
    scan::scan(file.as_mut(), replay).map_err(|e| e.context(format_args!("journal `{}`", path.display())))
}

/// Reads the first record only.
pub(crate) fn read_first(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>> {
    let mut file = disk.open(path, Access::Read).map_err(|e| at(path, e))?;
    scan::first(file.as_mut()).map_err(|e| e.context(format_args!("journal `{}`", path.display())))
}

/// Tells whether some process, this one included, has the log open for appending.
#[cfg(feature = "tool")]
pub(crate) fn is_in_use(disk: &dyn Disk, path: &Path) -> bool {
    disk.open(path, Access::Read).and_then(|mut file| file.try_lock(false)).is_ok_and(|locked| !locked)
}

/// Writes a log that is complete from the beginning; once this returns it is durable, with its name. `append` is given what takes a record.
pub(crate) fn write_whole(disk: &dyn Disk, path: &Path, append: &mut Fill<'_>) -> Result<()> {
    let mut file = disk.open(path, Access::Create).map_err(|e| at(path, e))?;
    let (mut buffer, mut offset) = (header().to_vec(), 0);
    append(&mut |payload| {
        frame(&mut buffer, &[payload])?;
        if buffer.len() >= WRITE_BYTES {
            file.write_at(offset, &buffer).map_err(|e| at(path, e))?;
            offset += buffer.len() as u64;
            buffer.clear();
        }
        Ok(())
    })?;
    file.write_at(offset, &buffer).and_then(|()| file.sync()).map_err(|e| at(path, e))?;
    disk.sync_dir(parent(path)).map_err(|e| at(path, e))
}

fn frame(to: &mut Vec<u8>, parts: &[&[u8]]) -> Result<()> {
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    if bytes > RECORD_BYTES_MAX {
        return Err(Error::new(Kind::Internal, format!("a record of {bytes} bytes is over the limit of {RECORD_BYTES_MAX}")));
    }
    let len = u32::try_from(bytes).expect("is below the limit").to_le_bytes();
    to.extend_from_slice(&len);
    to.extend_from_slice(&checksum(&len, parts).to_le_bytes());
    for part in parts {
        to.extend_from_slice(part);
    }
    Ok(())
}

fn begin(file: &mut dyn DiskFile) -> std::io::Result<()> {
    file.truncate(0)?;
    file.write_at(0, &header())?;
    file.sync()
}

fn header() -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let crc = crc32fast::hash(&header[..12]);
    header[12..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// The length counts too, so that a run of zeros is no record.
fn checksum(len: &[u8], parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(len);
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

fn lock(file: &mut dyn DiskFile, path: &Path) -> Result<()> {
    let begun = Instant::now();
    let locked = loop {
        match file.try_lock(true) {
            Ok(false) if begun.elapsed() < LOOKS_WAIT => std::thread::sleep(LOOKS_PAUSE),
            locked => break locked,
        }
    };
    match locked {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::new(Kind::FailedPrecondition, format!("journal `{}` is in use by another process", path.display()))
            .with_hint("wait until that process is done, or stop it")),
        Err(error) => Err(at(path, error)),
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// Puts the path into an error of the disk.
pub(crate) fn at(path: &Path, error: std::io::Error) -> Error {
    use std::io::ErrorKind;
    let kind = match error.kind() {
        ErrorKind::NotFound => Kind::NotFound,
        ErrorKind::AlreadyExists => Kind::AlreadyExists,
        _ => Kind::Io,
    };
    let hint = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Some("make room on the disk, then resume"),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            Some("let its folder be written to by this user, or use another folder")
        }
        _ => None,
    };
    let error = Error::new(kind, format!("`{}`: {error}", path.display())).with_source(error);
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}
