//! The folder where journals, kept copies and the activity log live: for its owner's eyes only.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::path::Path;

use crate::error::{Error, Kind, Result};

/// Makes a folder with mode 0700, and its parents; takes away what others may do in one that is there.
pub(crate) fn create_folder(path: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).and_then(|()| make_private(path)).map_err(|error| unusable(path, error))
}

#[cfg(unix)]
fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let permissions = fs::metadata(path)?.permissions();
    // The bits of group and others are the lowest six.
    if permissions.mode().trailing_zeros() >= 6 {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn make_private(path: &Path) -> io::Result<()> {
    fs::metadata(path).map(drop)
}

/// Opens a file to append to it, or makes it with mode 0600.
pub(crate) fn append(path: &Path) -> Result<File> {
    private().append(true).read(true).create(true).open(path).map_err(|error| unusable(path, error))
}

/// Makes a file with mode 0600 that was not there, and makes its entry in the folder durable.
pub(crate) fn create_new(path: &Path) -> Result<File> {
    let file = private().write(true).create_new(true).open(path).map_err(|error| unusable(path, error))?;
    if let Some(folder) = path.parent() {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| unusable(folder, error))?;
    }
    Ok(file)
}

fn private() -> OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has modes"))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Says which path failed.
pub(crate) fn unusable(path: &Path, error: io::Error) -> Error {
    Error::new(Kind::Io, format!("`{}`: {error}", path.display())).with_source(error)
}
