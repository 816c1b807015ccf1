//! A disk in memory that forgets: at a crash each write since the last sync is kept, dropped or torn, and names that were not synced may vanish.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Access, Disk, DiskFile, Site};

/// A small source of chance that replays from its seed (`SplitMix64`).
#[derive(Debug, Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.roll() % n.max(1) as u64).unwrap()
    }

    /// Is true in about `percent` of all calls.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.roll() % 100 < percent
    }
}

/// A sync that is taken out, to see a test fail without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ignore {
    /// Of the content of files of this name.
    Content(&'static str),
    /// Of the names in directories of this name.
    Names(&'static str),
}

/// The simulated disk; clones are the same disk.
#[derive(Clone, Default)]
pub(crate) struct SimDisk(Arc<Mutex<World>>);

#[derive(Default)]
struct World {
    files: BTreeMap<PathBuf, File>,
    dirs: BTreeMap<PathBuf, bool>,
    epoch: u64,
    ignore: Option<Ignore>,
    room: Option<usize>,
    syncs_fail: bool,
    syncs: u64,
    /// Changes until the machine dies in the middle of one; at zero it is dead.
    fuse: Option<u64>,
    /// The places that asked for a sync, and the one whose syncs are left out.
    sites: BTreeSet<Site>,
    left_out: Option<Site>,
}

#[derive(Default)]
struct File {
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    now: Vec<u8>,
    named: bool,
    locked: bool,
}

#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

struct Open {
    disk: SimDisk,
    path: PathBuf,
    epoch: u64,
    holds_lock: bool,
}

impl SimDisk {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    pub(crate) fn ignoring(ignore: Option<Ignore>) -> Self {
        let disk = Self::default();
        disk.world().ignore = ignore;
        disk
    }

    /// Lets only so many more bytes be written.
    pub(crate) fn set_room(&self, bytes: Option<usize>) {
        self.world().room = bytes;
    }

    pub(crate) fn set_syncs_fail(&self, fail: bool) {
        self.world().syncs_fail = fail;
    }

    /// Lets the machine die in the middle of the change after so many more.
    pub(crate) fn set_fuse(&self, changes: Option<u64>) {
        self.world().fuse = changes;
    }

    /// Tells whether it died so; [`SimDisk::crash`] or [`SimDisk::kill`] switches it on again.
    pub(crate) fn is_dead(&self) -> bool {
        self.world().fuse == Some(0)
    }

    /// Takes out the syncs that one place asks for, one of [`SimDisk::sites`].
    pub(crate) fn leave_out(&self, site: Option<Site>) {
        self.world().left_out = site;
    }

    /// The places that asked for a sync so far, left out or not.
    pub(crate) fn sites(&self) -> BTreeSet<Site> {
        self.world().sites.clone()
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.world().syncs
    }

    pub(crate) fn content(&self, path: &Path) -> Vec<u8> {
        self.world().files[path].now.clone()
    }

    pub(crate) fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut world = self.world();
        let file = world.files.get_mut(path).unwrap();
        change(&mut file.now);
        file.durable = file.now.clone();
    }

    /// Ends every process, but not the machine: open files are gone, what was written is there, what was not synced may still be lost by a later crash.
    pub(crate) fn kill(&self) {
        let mut world = self.world();
        world.epoch += 1;
        world.fuse = None;
        world.files.values_mut().for_each(|file| file.locked = false);
    }

    /// Loses power: open files are gone, unsynced writes are kept, dropped or torn.
    pub(crate) fn crash(&self, dice: &mut Dice) {
        let mut world = self.world();
        world.epoch += 1;
        world.fuse = None;
        let gone: Vec<PathBuf> =
            world.dirs.iter().filter(|(_, named)| !**named).map(|(path, _)| path.clone()).filter(|_| dice.chance(50)).collect();
        world.dirs.retain(|path, _| !gone.iter().any(|lost| path.starts_with(lost)));
        world.files.retain(|path, file| !gone.iter().any(|lost| path.starts_with(lost)) && (file.named || dice.chance(50)));
        // What is there after a crash is on the disk.
        world.dirs.values_mut().for_each(|named| *named = true);
        for file in world.files.values_mut() {
            file.locked = false;
            file.named = true;
            let mut content = std::mem::take(&mut file.durable);
            for change in std::mem::take(&mut file.unsynced) {
                match (dice.below(3), change) {
                    (0, _) => {}
                    (1, Change::Write(offset, bytes)) => {
                        Change::Write(offset, bytes[..dice.below(bytes.len())].to_vec()).apply(&mut content);
                    }
                    (_, change) => change.apply(&mut content),
                }
            }
            file.now.clone_from(&content);
            file.durable = content;
        }
    }
}

impl World {
    /// Counts a change; an error in which the machine dies, and ever after.
    fn burn(&mut self) -> io::Result<()> {
        match &mut self.fuse {
            Some(0) => Err(dead()),
            Some(1) => {
                self.fuse = Some(0);
                Err(dead())
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

fn dead() -> io::Error {
    io::Error::other("the machine crashed")
}

impl World {
    /// Notes a sync; tells whether it is to be left out.
    fn leaves_out(&mut self, site: Site) -> bool {
        self.sites.insert(site);
        self.left_out == Some(site)
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write(offset, bytes) => {
                let end = offset + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*offset..end].copy_from_slice(bytes);
            }
            Self::Truncate(len) => content.resize(*len, 0),
        }
    }
}

fn named(path: &Path, name: &str) -> bool {
    path.file_name().is_some_and(|last| last == name)
}

impl Disk for SimDisk {
    fn create_dir(&self, path: &Path) -> io::Result<bool> {
        let mut world = self.world();
        let parent = path.parent().unwrap_or(Path::new("/"));
        if parent != Path::new("/") && !world.dirs.contains_key(parent) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if world.dirs.contains_key(path) {
            return Ok(false);
        }
        world.burn()?;
        world.dirs.insert(path.to_owned(), false);
        Ok(true)
    }

    fn sync_dir_from(&self, site: Site, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.burn()?;
        if world.leaves_out(site) {
            return Ok(());
        }
        if matches!(world.ignore, Some(Ignore::Names(name)) if named(path, name)) {
            return Ok(());
        }
        let World { files, dirs, .. } = &mut *world;
        dirs.iter_mut().filter(|(child, _)| child.parent() == Some(path)).for_each(|(_, named)| *named = true);
        files.iter_mut().filter(|(child, _)| child.parent() == Some(path)).for_each(|(_, file)| file.named = true);
        Ok(())
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let mut world = self.world();
        match (access, world.files.contains_key(path)) {
            (Access::Create, true) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Access::Create, false) if path.parent().is_none_or(|parent| !world.dirs.contains_key(parent)) => {
                return Err(io::ErrorKind::NotFound.into());
            }
            (Access::Create, false) => {
                world.burn()?;
                world.files.insert(path.to_owned(), File::default());
            }
            (_, true) => {}
            (_, false) => return Err(io::ErrorKind::NotFound.into()),
        }
        Ok(Box::new(Open { disk: self.clone(), path: path.to_owned(), epoch: world.epoch, holds_lock: false }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        // Who is dead tidies nothing up.
        if world.fuse == Some(0) {
            return Err(dead());
        }
        world.files.remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let world = self.world();
        let children = world.dirs.keys().chain(world.files.keys()).filter(|child| child.parent() == Some(path));
        Ok(children.map(|child| child.file_name().unwrap().to_string_lossy().into_owned()).collect())
    }
}

impl Open {
    /// Gives the file, unless the machine crashed since it was opened.
    fn with<T>(&mut self, work: impl FnOnce(&mut World, &Path) -> io::Result<T>) -> io::Result<T> {
        let mut world = self.disk.world();
        if world.epoch != self.epoch {
            return Err(dead());
        }
        work(&mut world, &self.path)
    }

    fn change(&mut self, change: Change) -> io::Result<()> {
        self.with(|world, path| {
            if world.fuse == Some(0) {
                return Err(dead());
            }
            let file = world.files.get_mut(path).unwrap();
            change.apply(&mut file.now);
            file.unsynced.push(change);
            // It dies while the change is on its way: a crash may tear it.
            world.burn()
        })
    }
}

impl DiskFile for Open {
    fn len(&mut self) -> io::Result<u64> {
        self.with(|world, path| Ok(world.files[path].now.len() as u64))
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.with(|world, path| {
            let rest = world.files[path].now.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        })
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let fits = self.with(|world, _| {
            let fits = world.room.map_or(bytes.len(), |room| room.min(bytes.len()));
            world.room = world.room.map(|room| room - fits);
            Ok(fits)
        })?;
        self.change(Change::Write(usize::try_from(offset).unwrap(), bytes[..fits].to_vec()))?;
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.change(Change::Truncate(usize::try_from(len).unwrap()))
    }

    fn sync_from(&mut self, site: Site) -> io::Result<()> {
        self.with(|world, path| {
            world.syncs += 1;
            if world.leaves_out(site) {
                return Ok(());
            }
            world.burn()?;
            if world.syncs_fail {
                return Err(io::Error::other("input/output error"));
            }
            if matches!(world.ignore, Some(Ignore::Content(name)) if named(path, name)) {
                return Ok(());
            }
            let file = world.files.get_mut(path).unwrap();
            file.unsynced.clear();
            file.durable = file.now.clone();
            Ok(())
        })
    }

    fn try_lock(&mut self, exclusive: bool) -> io::Result<bool> {
        let free = self.with(|world, path| {
            let file = world.files.get_mut(path).unwrap();
            let free = !file.locked;
            file.locked |= exclusive;
            Ok(free)
        })?;
        self.holds_lock |= free && exclusive;
        Ok(free)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut world = self.disk.world();
        if self.holds_lock
            && world.epoch == self.epoch
            && let Some(file) = world.files.get_mut(&self.path)
        {
            file.locked = false;
        }
    }
}

/// The places in these source files that ask for a sync, as `FILE:LINE`.
pub(crate) fn sites_in(files: &[&str]) -> BTreeSet<String> {
    let mut sites = BTreeSet::new();
    for file in files {
        let source = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        let calls = source.lines().enumerate().filter(|(_, line)| line.contains(".sync()") || line.contains(".sync_dir("));
        sites.extend(calls.map(|(index, _)| format!("{file}:{}", index + 1)));
    }
    sites
}

/// A place as `FILE:LINE`.
pub(crate) fn place(site: Site) -> String {
    format!("{}:{}", site.file(), site.line())
}
