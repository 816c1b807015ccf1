//! What a transfer's journal says, record by record, and what follows from it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

use super::cargo::{ByIdentity, Identities, Identity};
use super::quick::{self, Told};
use super::{Counts, Request, State, TransferId};
use crate::error::{Error, Kind, Result};
use crate::model::cause::CauseId;
use crate::names::{ProjectId, SubscriptionName, TopicName};

/// The first record: what this transfer is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Began {
    pub(super) id: TransferId,
    /// Where the calls go: `google`, or an emulator's `host:port`.
    pub(super) place: String,
    /// The project that the calls are made in; journals of the first days do not tell.
    #[serde(default)]
    pub(super) project: Option<ProjectId>,
    pub(super) request: Request,
    pub(super) cutoff: Timestamp,
    pub(super) expected: Option<u64>,
    pub(super) routes: Vec<(SubscriptionName, TopicName)>,
    pub(super) at: Timestamp,
}

/// One entry of the journal; lists of ids are batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Record {
    Began(Box<Began>),
    /// Another process took it up.
    Resumed {
        at: Timestamp,
    },
    /// These are about to be published: from here on they may be at the destination.
    Intent {
        #[serde(alias = "topic")]
        to: String,
        ids: Vec<Identity>,
    },
    /// They are at the destination, under these ids.
    Published {
        ids: Vec<Identity>,
        /// For people who look: nothing is concluded from them.
        #[serde(deserialize_with = "passed_over")]
        new: Vec<String>,
    },
    /// The answer was lost: they may be at the destination.
    Lost {
        ids: Vec<Identity>,
        why: String,
    },
    /// They are not at the destination.
    Refused {
        ids: Vec<Identity>,
        why: String,
    },
    /// Their copies are durable, up to this length of the file of copies.
    Kept {
        ids: Vec<Identity>,
        end: u64,
    },
    /// Their originals are durable among the copies, up to this length of that file: what is delivered was edited.
    Original {
        ids: Vec<Identity>,
        end: u64,
    },
    /// It was sent by this transfer, and was given up again.
    Returned {
        id: Identity,
        cause: CauseId,
        words: String,
    },
    /// Given up; the message stays where it is.
    Failed {
        id: Identity,
        why: String,
    },
    /// The copies were taken away.
    Pruned {
        at: Timestamp,
    },
    Ended {
        at: Timestamp,
        state: State,
        counts: Counts,
        errors: Vec<String>,
    },
}

impl Record {
    /// Writes it as the journal holds it.
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| Error::new(Kind::Internal, "a record cannot be written as JSON").with_source(error))
    }

    /// Reads it.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|error| Error::new(Kind::Io, "holds a record that cannot be read").with_source(error))
    }
}

/// Reads past a list that nobody asks for.
fn passed_over<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<String>, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| Vec::new())
}

/// What all records of a journal come to.
#[derive(Debug, Default)]
pub(super) struct Story {
    pub(super) began: Option<Box<Began>>,
    pub(super) published: Identities,
    pub(super) kept: Identities,
    /// Length of the file of copies that is vouched for.
    pub(super) kept_bytes: u64,
    pub(super) originals: Identities,
    pub(super) returned: Identities,
    pub(super) causes: BTreeMap<CauseId, (String, u64)>,
    pub(super) failed: ByIdentity<String>,
    /// Intents without an answer.
    pub(super) open: Identities,
    /// Publishes whose answer was lost or that a crash cut off.
    pub(super) unsure: u64,
    pub(super) ended: Option<Ended>,
    /// Whether it was taken up again, and whether ever after a run that did not get to its end.
    pub(super) resumed: bool,
    pub(super) crashed: bool,
}

/// How it ended, the last time.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub(super) at: Timestamp,
    pub(super) state: State,
    pub(super) counts: Counts,
    pub(super) errors: Vec<String>,
}

impl Story {
    /// Takes in the next record as it was written.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<()> {
        match quick::told(bytes) {
            Some(Told::Intent(ids)) => self.open.extend(ids),
            Some(Told::Published(ids)) => self.publish(ids),
            None => self.add(Record::decode(bytes)?),
        }
        Ok(())
    }

    fn publish(&mut self, ids: Vec<Identity>) {
        self.close(&ids);
        self.published.extend(ids);
    }

    /// Takes in the next record.
    pub(super) fn add(&mut self, record: Record) {
        match record {
            Record::Began(began) => self.began = Some(began),
            Record::Resumed { .. } => {
                self.unsure += self.open.len() as u64;
                self.open.clear();
                self.failed.clear();
                self.resumed = true;
                self.crashed |= self.ended.is_none();
                self.ended = None;
            }
            Record::Intent { ids, .. } => self.open.extend(ids),
            Record::Published { ids, .. } => self.publish(ids),
            Record::Lost { ids, .. } => {
                self.close(&ids);
                self.unsure += ids.len() as u64;
            }
            Record::Refused { ids, .. } => self.close(&ids),
            Record::Kept { ids, end } => {
                self.kept.extend(ids);
                self.kept_bytes = end;
            }
            Record::Pruned { .. } => self.kept_bytes = 0,
            Record::Original { ids, end } => {
                self.originals.extend(ids);
                self.kept_bytes = end;
            }
            Record::Returned { id, cause, words } => {
                if self.returned.insert(id) {
                    self.causes.entry(cause).or_insert((words, 0)).1 += 1;
                }
            }
            Record::Failed { id, why } => {
                self.failed.insert(id, why);
            }
            Record::Ended { at, state, counts, errors } => self.ended = Some(Ended { at, state, counts, errors }),
        }
    }

    fn close(&mut self, ids: &[Identity]) {
        for id in ids {
            self.open.remove(id);
        }
    }

    /// Returns how many publishes may have reached the destination without our knowing.
    pub(super) fn unsure_max(&self) -> u64 {
        self.unsure + self.open.len() as u64
    }

    /// Returns how many were moved and how many discarded; what an export keeps is moved.
    pub(super) fn delivered(&self) -> (u64, u64) {
        let (published, kept) = (self.published.len() as u64, self.kept.len() as u64);
        let export = self.began.as_ref().is_some_and(|began| began.request.kind == super::Kind::Export);
        if export { (published + kept, 0) } else { (published, kept) }
    }

    /// Returns the counts, as far as the journal knows them.
    pub(super) fn counts(&self) -> Counts {
        if let Some(ended) = &self.ended {
            return ended.counts;
        }
        let (moved, discarded) = self.delivered();
        let failed = self.failed.len() as u64;
        let remaining = self.open.len() as u64;
        Counts { seen: moved + discarded + failed + remaining, moved, discarded, skipped: 0, failed, remaining }
    }
}
