//! Reading a log from its first to its last whole record.

use super::{DiskFile, FRAME_BYTES, HEADER_BYTES, MAGIC, RECORD_BYTES_MAX, Replay, VERSION, checksum};
use crate::error::{Error, Kind, Result};

/// A record that tells where a batch begins is no longer than this.
const MARK_BYTES_MAX: usize = 64;
/// Bytes asked of the disk at once.
const CHUNK_BYTES: usize = 1024 * 1024;

/// What reading a log found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// Whether the header is whole; without it nothing was ever committed.
    pub(crate) begun: bool,
    /// Whole records.
    pub(crate) records: u64,
    /// Header and whole records.
    pub(crate) whole_bytes: u64,
    /// What lies behind them: writes that a crash tore.
    pub(crate) torn_bytes: u64,
}

/// Gives each whole record to `replay`, in order, up to the first that is not whole.
pub(super) fn scan(file: &mut dyn DiskFile, replay: &mut Replay<'_>) -> Result<Scanned> {
    let len = file.len()?;
    let mut chunks = Chunks { file, len, buffer: Vec::new(), start: 0, end: 0, offset: 0 };
    let mut scanned = Scanned { begun: false, records: 0, whole_bytes: HEADER_BYTES as u64, torn_bytes: 0 };
    if !check_header(&mut chunks, len)? {
        return Ok(Scanned { torn_bytes: len, ..scanned });
    }
    scanned.begun = true;
    chunks.take(HEADER_BYTES);
    while let Some(payload) = chunks.frame()? {
        replay(payload)?;
        let bytes = FRAME_BYTES + payload.len();
        scanned.records += 1;
        scanned.whole_bytes += bytes as u64;
        chunks.take(bytes);
    }
    scanned.torn_bytes = len.saturating_sub(scanned.whole_bytes);
    Ok(scanned)
}

/// Looks for whole records that `is_mark` knows behind `offset`, where the one that stands there is not whole; returns how many there are. Only short ones count.
pub(super) fn marks(file: &mut dyn DiskFile, offset: u64, is_mark: &dyn Fn(&[u8]) -> bool) -> Result<u64> {
    let len = file.len()?;
    let mut chunks = Chunks { file, len, buffer: Vec::new(), start: 0, end: 0, offset };
    let mut found = 0;
    while let Some(head) = chunks.peek(FRAME_BYTES)? {
        let payload_bytes = u32::from_le_bytes(head[..4].try_into().expect("has four bytes")) as usize;
        let is_found = payload_bytes <= MARK_BYTES_MAX && chunks.frame()?.is_some_and(is_mark);
        found += u64::from(is_found);
        chunks.take(1);
    }
    Ok(found)
}

/// Returns the first record, if there is one.
pub(super) fn first(file: &mut dyn DiskFile) -> Result<Option<Vec<u8>>> {
    let len = file.len()?;
    let mut chunks = Chunks { file, len, buffer: Vec::new(), start: 0, end: 0, offset: 0 };
    if !check_header(&mut chunks, len)? {
        return Ok(None);
    }
    chunks.take(HEADER_BYTES);
    Ok(chunks.frame()?.map(<[u8]>::to_vec))
}

/// Tells whether the header is whole. Frames are written only once it is durable, so a broken one before frames is no torn write.
fn check_header(chunks: &mut Chunks<'_>, len: u64) -> Result<bool> {
    let Some(header) = chunks.peek(HEADER_BYTES)? else { return Ok(false) };
    let whole = header[12..] == crc32fast::hash(&header[..12]).to_le_bytes();
    let version = u32::from_le_bytes(header[8..12].try_into().expect("has four bytes"));
    match (whole, header.starts_with(&MAGIC)) {
        (true, true) if version > VERSION => {
            Err(Error::new(Kind::Unsupported, format!("has format version {version}, this build reads up to version {VERSION}"))
                .with_hint("use the newer `redrive` that wrote it"))
        }
        (true, true) => Ok(true),
        _ if len <= HEADER_BYTES as u64 => Ok(false),
        _ => Err(Error::new(Kind::Io, "is not a journal of `redrive`, or its first bytes are damaged")),
    }
}

struct Chunks<'a> {
    file: &'a mut dyn DiskFile,
    len: u64,
    /// Of a fixed length, as long as every frame fits: to make room anew would be to clear it.
    buffer: Vec<u8>,
    /// Of the buffer, what is taken already.
    start: usize,
    /// Of the buffer, what was read.
    end: usize,
    /// Of the file, what is in the buffer or was.
    offset: u64,
}

impl Chunks<'_> {
    /// Returns the next `bytes` without taking them; `None` when the file ends before.
    fn peek(&mut self, bytes: usize) -> Result<Option<&[u8]>> {
        while self.end - self.start < bytes {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            let left = usize::try_from(self.len.saturating_sub(self.offset)).unwrap_or(usize::MAX);
            let full = self.end.saturating_add(left).min(CHUNK_BYTES.max(bytes));
            if self.buffer.len() < full {
                self.buffer.resize(full, 0);
            }
            let got = self.file.read_at(self.offset, &mut self.buffer[self.end..full])?;
            self.end += got;
            self.offset += got as u64;
            if got == 0 {
                return Ok(None);
            }
        }
        Ok(Some(&self.buffer[self.start..self.start + bytes]))
    }

    fn take(&mut self, bytes: usize) {
        self.start += bytes;
    }

    /// Returns the payload of the frame that comes next, if it is whole.
    fn frame(&mut self) -> Result<Option<&[u8]>> {
        let Some(head) = self.peek(FRAME_BYTES)? else { return Ok(None) };
        let len: [u8; 4] = head[..4].try_into().expect("has four bytes");
        let crc = u32::from_le_bytes(head[4..8].try_into().expect("has four bytes"));
        let payload_bytes = u32::from_le_bytes(len) as usize;
        if payload_bytes > RECORD_BYTES_MAX {
            return Ok(None);
        }
        let Some(frame) = self.peek(FRAME_BYTES + payload_bytes)? else { return Ok(None) };
        let payload = &frame[FRAME_BYTES..];
        Ok((checksum(&len, &[payload]) == crc).then_some(payload))
    }
}
