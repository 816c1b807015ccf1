//! Where something that is fetched stands.

use std::borrow::Cow;

use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::model::listing::Listing;

/// Something that is fetched.
#[derive(Debug)]
pub(crate) enum Load<T> {
    /// Not asked for yet.
    Idle,
    /// Asked for, never had.
    Loading,
    /// Had.
    Ready(T),
    /// Had once; asking again failed.
    Stale(T, Error),
    /// Never had: asking failed.
    Failed(Error),
}

impl<T> Load<T> {
    /// Returns it, fresh or stale.
    pub(crate) fn value(&self) -> Option<&T> {
        match self {
            Load::Ready(value) | Load::Stale(value, _) => Some(value),
            Load::Idle | Load::Loading | Load::Failed(_) => None,
        }
    }

    /// Returns why asking failed.
    pub(crate) fn error(&self) -> Option<&Error> {
        match self {
            Load::Stale(_, error) | Load::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// Notes that it was asked for.
    pub(crate) fn begin(&mut self) {
        if matches!(self, Load::Idle | Load::Failed(_)) {
            *self = Load::Loading;
        }
    }

    /// Notes the answer; what was had before is kept when asking again fails.
    pub(crate) fn finish(&mut self, answer: Result<T>) {
        *self = match (std::mem::replace(self, Load::Idle), answer) {
            (_, Ok(value)) => Load::Ready(value),
            (Load::Ready(value) | Load::Stale(value, _), Err(error)) => Load::Stale(value, error),
            (_, Err(error)) => Load::Failed(error),
        };
    }
}

/// What is to be said of rows beside the rows.
#[derive(Debug, Default)]
pub(crate) struct Meta {
    /// When they were asked for.
    pub(crate) as_of: Option<Timestamp>,
    /// Places that did not answer.
    pub(crate) failed: Vec<(String, Error)>,
    /// Whether a limit cut the rows.
    pub(crate) truncated: bool,
    /// What it cost or leaves behind.
    pub(crate) note: Option<String>,
}

/// Where a screen stands, for its header and its empty body.
#[derive(Debug)]
pub(crate) enum Phase<'a> {
    /// Waiting for the first answer.
    Loading,
    /// There is nothing to show but this.
    Failed(&'a Error),
    /// There is something to show.
    Ready {
        /// When it was asked for.
        as_of: Option<Timestamp>,
        /// Why it could not be asked for again.
        stale: Option<&'a Error>,
        /// What is to be said beside.
        notes: Vec<Cow<'a, str>>,
    },
}

impl<T> Load<Listing<T>> {
    /// Tells where a screen stands that shows this listing.
    pub(crate) fn phase(&self) -> Phase<'_> {
        match self {
            Load::Idle | Load::Loading => Phase::Loading,
            Load::Failed(error) => Phase::Failed(error),
            Load::Ready(listing) => {
                Phase::Ready { as_of: Some(listing.as_of), stale: None, notes: notes(&listing.failed, listing.truncated, None) }
            }
            Load::Stale(listing, error) => {
                Phase::Ready { as_of: Some(listing.as_of), stale: Some(error), notes: notes(&listing.failed, listing.truncated, None) }
            }
        }
    }
}

impl Load<Meta> {
    /// Tells where a screen stands whose rows were fetched with this.
    pub(crate) fn phase(&self) -> Phase<'_> {
        match self {
            Load::Idle | Load::Loading => Phase::Loading,
            Load::Failed(error) => Phase::Failed(error),
            Load::Ready(meta) | Load::Stale(meta, _) => {
                Phase::Ready { as_of: meta.as_of, stale: self.error(), notes: notes(&meta.failed, meta.truncated, meta.note.as_deref()) }
            }
        }
    }
}

fn notes<'a>(failed: &'a [(String, Error)], truncated: bool, note: Option<&'a str>) -> Vec<Cow<'a, str>> {
    let mut notes: Vec<Cow<'a, str>> = failed.iter().map(|(place, error)| format!("{place} did not answer: {error}").into()).collect();
    if truncated {
        notes.push("there are more than are shown".into());
    }
    notes.extend(note.map(Cow::Borrowed));
    notes
}
