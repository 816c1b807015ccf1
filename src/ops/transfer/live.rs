//! The transfers that run in this process, and what was last read of the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use super::journal::Archive;
use super::record::Story;
use super::{State, Summary, TransferId};
use crate::error::Result;
use crate::model::text;
use crate::names::ProjectId;

/// The transfers of this process. Cheap to clone.
#[derive(Clone, Default)]
pub(in crate::ops) struct Live(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    handles: HashMap<TransferId, Handle>,
    /// By id: the journal's length, and what it tells up to there.
    read: HashMap<TransferId, (u64, Arc<Listed>)>,
}

/// A transfer that runs, or ran, in this process.
#[derive(Clone)]
pub(super) struct Handle {
    pub(super) summary: watch::Receiver<Summary>,
    pub(super) cancel: Arc<Notify>,
    pub(super) proceed: Arc<Notify>,
}

/// A transfer as its journal tells it.
pub(super) struct Listed {
    pub(super) summary: Summary,
    pub(super) place: String,
    pub(super) project: Option<ProjectId>,
}

impl Live {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, id: TransferId, handle: Handle) {
        self.inner().handles.insert(id, handle);
    }

    pub(super) fn get(&self, id: &TransferId) -> Option<Handle> {
        self.inner().handles.get(id).cloned()
    }

    /// Reads what a journal tells, unless that is known; `None` for one that never began.
    pub(super) fn listed(&self, archive: &Archive, id: &TransferId) -> Result<Option<Arc<Listed>>> {
        let bytes = archive.bytes(id)?;
        if let Some((known_bytes, listed)) = self.inner().read.get(id)
            && *known_bytes == bytes
        {
            return Ok(Some(listed.clone()));
        }
        let story = archive.read(id)?;
        let Some(listed) = listed(archive, &story).map(Arc::new) else { return Ok(None) };
        self.inner().read.insert(id.clone(), (bytes, listed.clone()));
        Ok(Some(listed))
    }
}

/// Reads the summary off a journal; a transfer that did not end counts as stopped until somebody says that it runs.
fn listed(archive: &Archive, story: &Story) -> Option<Listed> {
    let began = story.began.as_deref()?;
    let failed = story.failed.iter().map(|(id, why)| format!("{}: {why}", id.shown()));
    let errors = story.ended.as_ref().map_or_else(|| failed.collect(), |ended| ended.errors.clone());
    let summary = Summary {
        id: began.id.clone(),
        request: began.request.clone(),
        state: story.ended.as_ref().map_or(State::Stopped, |ended| ended.state),
        counts: story.counts(),
        expected: began.expected,
        rate: None,
        started: began.at,
        ended: story.ended.as_ref().map(|ended| ended.at),
        errors: errors.iter().map(|error: &String| text::line(error).into_owned()).collect(),
        copy: (story.kept_bytes > 0).then(|| archive.copies(&began.id, &began.request)),
        duplicates_max: story.unsure_max(),
        returned: story.returned.len() as u64,
        returned_causes: super::returned_causes(&story.causes),
    };
    Some(Listed { summary, place: began.place.clone(), project: began.project.clone() })
}
