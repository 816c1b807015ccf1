//! A transfer's folder: its journal, and the copies of what it discarded. `<home>/transfers/<id>/{journal,kept.jsonl}`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::cargo::{Cargo, Identity};
use super::engine::Past;
use super::record::{Began, Record, Story};
use super::{Delivery, Request, Source, TransferId, copy};
use crate::error::{Error, Kind, Result};
use crate::wal::{self, Access, Disk, DiskFile, Wal};

/// Where transfers lie below the home.
const FOLDER: &str = "transfers";
/// The journal's file.
const JOURNAL: &str = "journal";
/// The file of copies: JSON lines, a line for a message.
const COPIES: &str = "kept.jsonl";
/// A file whose being there asks the process that runs the transfer to stop.
const CANCEL: &str = "cancel";
/// Outcomes are remembered for so long after a transfer began: no subscription keeps a message for more than 31 days, and the transfer itself takes time.
const REMEMBERED: Duration = Duration::from_hours(62 * 24);

/// The folders of all transfers.
#[derive(Clone)]
pub(super) struct Archive {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
}

/// The journal of a transfer that runs here; locked against other processes.
pub(super) struct Journal {
    wal: Wal,
    disk: Arc<dyn Disk>,
    copies_path: PathBuf,
    copies: Option<Box<dyn DiskFile>>,
    copies_bytes: u64,
    source: Source,
}

impl Archive {
    pub(super) fn new(disk: Arc<dyn Disk>, home: &Path) -> Self {
        Self { disk, folder: home.join(FOLDER) }
    }

    fn journal(&self, id: &TransferId) -> PathBuf {
        self.folder.join(&id.0).join(JOURNAL)
    }

    /// Returns where the copies of a transfer lie: in its folder, or for an export in the file that was asked for.
    pub(super) fn copies(&self, id: &TransferId, request: &Request) -> PathBuf {
        match &request.delivery {
            Delivery::File(path) => path.clone(),
            _ => self.folder.join(&id.0).join(COPIES),
        }
    }

    /// Begins a transfer's journal, durably. An identity that is taken is an error.
    pub(super) fn create(&self, began: Began) -> Result<Journal> {
        let path = self.journal(&began.id);
        if let Delivery::File(export) = &began.request.delivery {
            // Made here, so that a file that is there is never written over; resumed, it is known to be ours.
            let unwritable = |error: io::Error| wal::at(export, error);
            match self.disk.open(export, Access::Create) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let words = format!("`{}` exists already: an export never writes over a file", export.display());
                    return Err(Error::new(Kind::FailedPrecondition, words).with_hint("name another file"));
                }
                made => drop(made.map_err(unwritable)?),
            }
            self.disk.sync_dir(export.parent().unwrap_or(Path::new("."))).map_err(unwritable)?;
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        for folder in [&self.folder, folder] {
            wal::make_dir(self.disk.as_ref(), folder).map_err(|error| wal::at(folder, error))?;
        }
        let wal = Wal::create(self.disk.as_ref(), &path)?;
        let mut journal = self.held(wal, &began.id, &began.request, 0);
        journal.commit(Vec::new(), &[Record::Began(Box::new(began))])?;
        Ok(journal)
    }

    /// Opens a transfer's journal to go on with it.
    pub(super) fn open(&self, id: &TransferId) -> Result<(Journal, Story, Began)> {
        let mut story = Story::default();
        let path = self.journal(id);
        let opened = Wal::open(self.disk.as_ref(), &path, &mut |bytes| story.read(bytes));
        let (wal, scanned) = opened.map_err(|error| self.missing(id, error))?;
        if scanned.torn_bytes > 0 {
            tracing::warn!(transfer = %id, bytes = scanned.torn_bytes, "cut off what a crash left at the end of the journal");
        }
        let began = story.began.as_deref().cloned().ok_or_else(|| unknown(id))?;
        Ok((self.held(wal, id, &began.request, story.kept_bytes), story, began))
    }

    fn held(&self, wal: Wal, id: &TransferId, request: &Request, copies_bytes: u64) -> Journal {
        let copies_path = self.copies(id, request);
        Journal { wal, disk: self.disk.clone(), copies_path, copies: None, copies_bytes, source: request.source.clone() }
    }

    /// Reads a transfer's journal, also while it runs.
    pub(super) fn read(&self, id: &TransferId) -> Result<Story> {
        let mut story = Story::default();
        let read = wal::read(self.disk.as_ref(), &self.journal(id), &mut |bytes| story.read(bytes));
        read.map_err(|error| self.missing(id, error))?;
        Ok(story)
    }

    /// Returns the length of a transfer's journal: what was read of it stays true while that is the same.
    pub(super) fn bytes(&self, id: &TransferId) -> Result<u64> {
        let mut file = self.disk.open(&self.journal(id), Access::Read).map_err(|error| self.missing(id, error.into()))?;
        Ok(file.len()?)
    }

    /// Tells whether a transfer runs in some process.
    pub(super) fn is_running(&self, id: &TransferId) -> bool {
        wal::is_in_use(self.disk.as_ref(), &self.journal(id))
    }

    /// Asks a transfer that runs in another process to stop.
    pub(super) fn ask_cancel(&self, id: &TransferId) -> Result<()> {
        let path = self.cancel(id);
        match self.disk.open(&path, Access::Create) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(wal::at(&path, error)),
            _ => Ok(()),
        }
    }

    /// Tells whether another process asked to stop.
    pub(super) fn is_cancel_asked(&self, id: &TransferId) -> bool {
        self.disk.open(&self.cancel(id), Access::Read).is_ok()
    }

    /// Takes the request to stop away.
    pub(super) fn forget_cancel(&self, id: &TransferId) {
        if let Err(error) = self.disk.remove(&self.cancel(id))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(transfer = %id, %error, "a request to cancel cannot be taken away");
        }
    }

    fn cancel(&self, id: &TransferId) -> PathBuf {
        self.folder.join(&id.0).join(CANCEL)
    }

    /// Returns the file of copies of a discard, and the length of it that is vouched for.
    pub(super) fn kept(&self, id: &TransferId) -> Result<(PathBuf, u64, Began)> {
        let story = self.read(id)?;
        let began = story.began.as_deref().cloned().ok_or_else(|| unknown(id))?;
        Ok((self.copies(id, &began.request), story.kept_bytes, began))
    }

    /// Removes the file of copies; returns how long it was.
    pub(super) fn remove_copies(&self, id: &TransferId) -> Result<u64> {
        let path = self.folder.join(&id.0).join(COPIES);
        let bytes = match self.disk.open(&path, Access::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            file => file.and_then(|mut file| file.len()).map_err(|error| wal::at(&path, error))?,
        };
        self.disk.remove(&path).map_err(|error| wal::at(&path, error))?;
        Ok(bytes)
    }

    /// Lists the transfers, oldest first.
    pub(super) fn ids(&self) -> Result<Vec<TransferId>> {
        let mut names = self.disk.list(&self.folder).map_err(|error| wal::at(&self.folder, error))?;
        names.sort();
        Ok(names.into_iter().map(TransferId).collect())
    }

    /// Finds another transfer that runs on the source, in whatever process.
    pub(super) fn running_on(&self, source: &Source, except: Option<&TransferId>) -> Result<Option<TransferId>> {
        for id in self.ids()? {
            if Some(&id) != except && self.is_running(&id) && self.first(&id)?.is_some_and(|began| began.request.source == *source) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Finds the last transfer that read a file.
    pub(super) fn read_before(&self, source: &Source) -> Result<Option<TransferId>> {
        for id in self.ids()?.into_iter().rev() {
            if self.first(&id)?.is_some_and(|began| began.request.source == *source) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Gathers what other transfers took from the source.
    pub(super) fn past(&self, source: &Source, except: &TransferId, now: Timestamp) -> Result<Past> {
        let mut past = Past::default();
        for id in self.ids()? {
            if id == *except {
                continue;
            }
            let Some(began) = self.first(&id)? else { continue };
            let takes = began.request.takes() && !matches!(source, Source::File(_));
            if takes && began.request.source == *source && now.duration_since(began.at).unsigned_abs() < REMEMBERED {
                let story = self.read(&id)?;
                // Its process may have died between write and sync: nothing is acknowledged on the word of a record that a crash could still take back.
                self.make_durable(&id)?;
                past.published.extend(story.published);
                past.kept.extend(story.kept);
            }
        }
        Ok(past)
    }

    fn make_durable(&self, id: &TransferId) -> Result<()> {
        let path = self.journal(id);
        let synced = self.disk.open(&path, Access::Write).and_then(|mut file| file.sync());
        synced.map_err(|error| wal::at(&path, error))
    }

    /// Reads what a transfer is; `None` for one that a crash kept from beginning.
    fn first(&self, id: &TransferId) -> Result<Option<Began>> {
        let path = self.journal(id);
        let bytes = match self.disk.open(&path, Access::Read) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
            _ => wal::read_first(self.disk.as_ref(), &path)?,
        };
        match bytes.map(|bytes| Record::decode(&bytes)).transpose()? {
            Some(Record::Began(began)) => Ok(Some(*began)),
            _ => Ok(None),
        }
    }

    fn missing(&self, id: &TransferId, error: Error) -> Error {
        let exists = self.disk.open(&self.journal(id), Access::Read).is_ok();
        if exists { error } else { unknown(id) }
    }
}

/// Says that there is none of this id.
pub(super) fn unknown(id: &TransferId) -> Error {
    let shown = crate::model::text::line(&id.0).into_owned();
    Error::new(Kind::NotFound, format!("there is no transfer `{shown}` on this machine"))
        .with_hint("list them with `redrive transfers list`")
}

impl Journal {
    /// Makes copies durable, then the records with one sync. After an error none of the records holds.
    pub(super) fn commit(&mut self, copies: Vec<(Identity, Arc<Cargo>)>, records: &[Record]) -> Result<()> {
        let kept = self.keep(copies).map_err(|error| wal::at(&self.copies_path, error))?;
        let kept = kept.map(|(ids, end)| Record::Kept { ids, end });
        for record in kept.iter().chain(records) {
            self.wal.append(&record.encode()?)?;
        }
        self.wal.commit()
    }

    /// Makes the originals of what is edited durable; their record is with the next commit.
    pub(super) fn keep_originals(&mut self, originals: Vec<(Identity, Arc<Cargo>)>) -> Result<()> {
        let kept = self.keep(originals).map_err(|error| wal::at(&self.copies_path, error))?;
        match kept {
            Some((ids, end)) => self.wal.append(&Record::Original { ids, end }.encode()?),
            None => Ok(()),
        }
    }

    fn keep(&mut self, copies: Vec<(Identity, Arc<Cargo>)>) -> io::Result<Option<(Vec<Identity>, u64)>> {
        if copies.is_empty() {
            return Ok(None);
        }
        let mut lines = Vec::new();
        let mut ids = Vec::with_capacity(copies.len());
        for (identity, cargo) in copies {
            copy::write(&mut lines, &cargo, &self.source)?;
            ids.push(identity);
        }
        let at = self.copies_bytes;
        let file = self.copies_file()?;
        // Whatever is behind the length that the journal vouches for is of a write that failed or a crash cut off.
        let written = file.truncate(at).and_then(|()| file.write_at(at, &lines)).and_then(|()| file.sync());
        if let Err(error) = written {
            file.truncate(at)?;
            return Err(error);
        }
        self.copies_bytes = at + lines.len() as u64;
        Ok(Some((ids, self.copies_bytes)))
    }

    fn copies_file(&mut self) -> io::Result<&mut dyn DiskFile> {
        let file = match self.copies.take() {
            Some(file) => file,
            None => match self.disk.open(&self.copies_path, Access::Create) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.disk.open(&self.copies_path, Access::Write)?,
                file => file?,
            },
        };
        if self.copies_bytes == 0 {
            self.disk.sync_dir(self.copies_path.parent().unwrap_or(Path::new(".")))?;
        }
        Ok(self.copies.insert(file).as_mut())
    }
}

#[cfg(test)]
mod tests;
