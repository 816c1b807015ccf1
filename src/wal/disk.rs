//! The disk as the log needs it: few calls, so that a simulated one can stand in and tear what was not synced.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::panic::Location;
use std::path::Path;

/// Where a sync is called in the source: a simulated disk leaves out one of these calls, and a test must notice.
pub(crate) type Site = &'static Location<'static>;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Must exist; is only read.
    Read,
    /// Must exist.
    Write,
    /// Must not exist; only its owner may read it.
    Create,
}

/// A place for files. Nothing is durable before it is synced: a file's content by the file, its name by the directory.
pub(crate) trait Disk: Send + Sync {
    /// Creates a directory that only its owner may enter; `false` when it was there. Its parent must exist.
    fn create_dir(&self, path: &Path) -> io::Result<bool>;
    /// Makes the names in a directory durable; called as `sync_dir`.
    fn sync_dir_from(&self, site: Site, path: &Path) -> io::Result<()>;
    /// Opens a file.
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Lists the names in a directory; none when it does not exist.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
}

/// An open file.
pub(crate) trait DiskFile: Send + Sync {
    /// Returns its length in bytes.
    fn len(&mut self) -> io::Result<u64>;
    /// Reads some bytes; none at the end.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Writes all bytes; after an error any part of them may be there.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Cuts or extends it to a length.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
    /// Makes its content durable; called as `sync`.
    fn sync_from(&mut self, site: Site) -> io::Result<()>;
    /// Locks it until it is dropped, alone or with other readers; `false` when another holder forbids that.
    fn try_lock(&mut self, exclusive: bool) -> io::Result<bool>;
}

impl dyn Disk + '_ {
    /// Makes the names in a directory durable.
    #[track_caller]
    pub(crate) fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.sync_dir_from(Location::caller(), path)
    }
}

impl dyn DiskFile + '_ {
    /// Makes its content durable.
    #[track_caller]
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.sync_from(Location::caller())
    }
}

/// Creates a directory with its missing parents, durably. One that is there may have been made by a process that died before it could sync the name.
pub(crate) fn make_dir(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match disk.create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_dir(disk, parent.ok_or(error)?)?;
            disk.create_dir(path)?
        }
        other => other?,
    };
    parent.map_or(Ok(()), |parent| disk.sync_dir(parent))
}

/// The file system of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn create_dir(&self, path: &Path) -> io::Result<bool> {
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            other => other.map(|()| true),
        }
    }

    fn sync_dir_from(&self, _site: Site, path: &Path) -> io::Result<()> {
        // Elsewhere a directory cannot be opened as a file, and the file's own sync carries its name.
        if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(access != Access::Read).create_new(access == Access::Create);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Box::new(options.open(path)?))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        match std::fs::read_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            entries => entries?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect(),
        }
    }
}

impl DiskFile for File {
    fn len(&mut self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.seek(SeekFrom::Start(offset))?;
        self.read(buffer)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.seek(SeekFrom::Start(offset))?;
        self.write_all(bytes)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn sync_from(&mut self, _site: Site) -> io::Result<()> {
        self.sync_data()
    }

    fn try_lock(&mut self, exclusive: bool) -> io::Result<bool> {
        let locked = if exclusive { File::try_lock(self) } else { File::try_lock_shared(self) };
        match locked {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}
