//! The activity log: each action asked for, with its result, as lines of JSON in the home folder.

use std::collections::VecDeque;
use std::fmt::Display;
use std::fs::{self, File};
use std::future::Future;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::model::text;
use crate::ops::{Ops, home};

/// A log that has grown to this size is put aside; the one put aside before is dropped.
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The log is read from its end in blocks of this size.
const BLOCK_BYTES: u64 = 64 * 1024;

/// One entry of the activity log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Activity {
    /// When it was asked for.
    pub at: Timestamp,
    /// Project.
    pub project: String,
    /// What was asked: `queue.pause`, `task.run`, `dlq.redrive` …
    pub action: String,
    /// On what: a full resource name, or `12 tasks of …`.
    pub target: String,
    /// `ok`, or the error.
    pub result: String,
}

impl Ops {
    /// Reads the newest `max` entries of the activity log, newest first.
    ///
    /// ```
    /// use redrive::cloud::Cloud;
    /// use redrive::ops::Ops;
    ///
    /// let home = tempfile::tempdir()?;
    /// let ops = Ops::new(Cloud::emulator("127.0.0.1:8085", "shop".parse()?)?, home.path().join("redrive"), false)?;
    /// assert!(ops.activity(10)?.is_empty());
    /// # Ok::<(), redrive::Error>(())
    /// ```
    pub fn activity(&self, max: usize) -> Result<Vec<Activity>> {
        let mut entries = newest(&self.log_path(), max)?;
        if entries.len() < max {
            entries.extend(newest(&put_aside(&self.log_path()), max - entries.len())?);
        }
        Ok(entries)
    }

    /// Carries out a changing action unless the context is read-only, and logs how it ended.
    pub(crate) async fn act<T>(&self, action: &str, target: &impl Display, work: impl Future<Output = Result<T>>) -> Result<T> {
        let at = Timestamp::now();
        let result = match self.refuse_read_only() {
            Ok(()) => work.await,
            Err(refusal) => Err(refusal),
        };
        let outcome = result.as_ref().map_or_else(ToString::to_string, |_| "ok".to_owned());
        self.record(at, action, target, &outcome);
        result
    }

    /// Appends to the log. An action that was done is not undone because the log is full: then it is only warned.
    pub(crate) fn record(&self, at: Timestamp, action: &str, target: &impl Display, result: &str) {
        let entry = Activity {
            at,
            project: self.0.cloud.project().id().to_owned(),
            action: action.to_owned(),
            target: text::line(&target.to_string()).into_owned(),
            result: text::line(result).into_owned(),
        };
        if let Err(error) = append(&self.log_path(), &entry) {
            tracing::warn!(%error, action, "the activity log cannot be written");
        }
    }

    fn log_path(&self) -> PathBuf {
        self.0.home.join("activity.jsonl")
    }
}

fn put_aside(path: &Path) -> PathBuf {
    path.with_extension("1.jsonl")
}

fn append(path: &Path, entry: &Activity) -> Result<()> {
    if fs::metadata(path).is_ok_and(|about| about.len() >= LOG_BYTES_MAX) {
        fs::rename(path, put_aside(path)).map_err(|error| home::unusable(path, error))?;
    }
    let mut file = home::append(path)?;
    let mut line = Vec::new();
    // After a crash the last line may be torn; the next one must not be torn with it.
    if !ends_with_line_break(&mut file).map_err(|error| home::unusable(path, error))? {
        line.push(b'\n');
    }
    serde_json::to_writer(&mut line, entry)
        .map_err(|error| Error::new(Kind::Internal, "an activity cannot be written as JSON").with_source(error))?;
    line.push(b'\n');
    file.write_all(&line).map_err(|error| home::unusable(path, error))
}

fn ends_with_line_break(file: &mut File) -> std::io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// Reads entries from the end of the file; lines that are none are skipped.
fn newest(path: &Path, max: usize) -> Result<Vec<Activity>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(home::unusable(path, error)),
    };
    let mut entries = Vec::new();
    let mut end = file.metadata().map_err(|error| home::unusable(path, error))?.len();
    // Bytes read whose line begins further to the front.
    let mut rest: VecDeque<u8> = VecDeque::new();
    while end > 0 && entries.len() < max {
        let begin = end.saturating_sub(BLOCK_BYTES);
        let mut block = vec![0; usize::try_from(end - begin).unwrap_or_default()];
        file.seek(SeekFrom::Start(begin)).and_then(|_| file.read_exact(&mut block)).map_err(|error| home::unusable(path, error))?;
        end = begin;
        for &byte in block.iter().rev() {
            if byte != b'\n' {
                rest.push_front(byte);
                continue;
            }
            take_line(&mut rest, &mut entries, max);
        }
    }
    take_line(&mut rest, &mut entries, max);
    Ok(entries)
}

fn take_line(line: &mut VecDeque<u8>, entries: &mut Vec<Activity>, max: usize) {
    if entries.len() < max
        && let Ok(entry) = serde_json::from_slice(line.make_contiguous())
    {
        entries.push(entry);
    }
    line.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: usize, padding: usize) -> Activity {
        let at = Timestamp::from_second(i64::try_from(n).unwrap()).unwrap();
        Activity { at, project: "p".into(), action: "task.run".into(), target: format!("t{n}{}", "x".repeat(padding)), result: "ok".into() }
    }

    #[test]
    fn reads_the_newest_first_across_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("activity.jsonl");
        assert_eq!(newest(&path, 5).unwrap(), []);
        let all: Vec<_> = (0..300).map(|n| entry(n, n * 5)).collect();
        for entry in &all {
            append(&path, entry).unwrap();
        }
        assert!(fs::metadata(&path).unwrap().len() > 2 * BLOCK_BYTES);
        for max in [0, 1, 7, 299, 300, 1000] {
            let expected: Vec<_> = all.iter().rev().take(max).cloned().collect();
            assert_eq!(newest(&path, max).unwrap(), expected, "{max}");
        }
    }

    #[test]
    fn a_torn_line_costs_itself_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("activity.jsonl");
        append(&path, &entry(1, 0)).unwrap();
        home::append(&path).unwrap().write_all(b"{\"at\":\"2026").unwrap();
        append(&path, &entry(2, 0)).unwrap();
        assert_eq!(newest(&path, 9).unwrap(), [entry(2, 0), entry(1, 0)]);
    }

    #[cfg(unix)]
    #[test]
    fn is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("activity.jsonl");
        append(&path, &entry(1, 0)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let home = folder.path().join("a/home");
        home::create_folder(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).unwrap();
        home::create_folder(&home).unwrap();
        assert_eq!(fs::metadata(&home).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
