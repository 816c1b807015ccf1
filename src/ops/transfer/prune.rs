//! Takes the kept copies of ended transfers away, when the operator says so. Their journals stay: they tell what must not be published again.

use jiff::Timestamp;

use super::record::Record;
use super::{State, Summary, TransferId};
use crate::error::{Error, Kind, Result};
use crate::ops::Ops;

/// What was pruned.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The transfers whose copies are gone.
    pub transfers: Vec<TransferId>,
    /// Bytes that they took.
    pub bytes: u64,
}

impl Ops {
    /// Lists the ended transfers that keep copies; with `before`, those that ended earlier.
    pub fn prunable_transfers(&self, before: Option<Timestamp>) -> Result<Vec<Summary>> {
        let mut summaries = self.transfers()?;
        summaries.retain(|summary| {
            let ended = summary.ended.is_some_and(|at| before.is_none_or(|before| at < before));
            ended && summary.is_prunable()
        });
        Ok(summaries)
    }

    /// Deletes the kept copies of discards that ended: from then on they cannot be undone.
    pub async fn prune_transfers(&self, ids: &[TransferId]) -> Result<Pruned> {
        let mut pruned = Pruned::default();
        for id in ids {
            pruned.bytes += self.act("transfer.prune", id, async { self.prune(id) }).await?;
            pruned.transfers.push(id.clone());
        }
        Ok(pruned)
    }

    fn prune(&self, id: &TransferId) -> Result<u64> {
        let summary = self.transfers()?.into_iter().find(|summary| summary.id == *id);
        let summary = summary.ok_or_else(|| Error::new(Kind::NotFound, format!("there is no transfer `{id}` on this machine")))?;
        if !keeps(&summary) {
            return Err(Error::new(Kind::FailedPrecondition, format!("transfer `{id}` keeps no copies")));
        }
        if !matches!(summary.state, State::Done | State::DoneInPart) {
            return Err(Error::new(Kind::FailedPrecondition, format!("transfer `{id}` did not end: its copies are still needed"))
                .with_hint(format!("go on with it first: `redrive transfers resume {id}`")));
        }
        let archive = self.archive();
        let (mut journal, ..) = archive.open(id)?;
        // First it is known that there are none, then there are none.
        journal.commit(Vec::new(), &[Record::Pruned { at: Timestamp::now() }])?;
        archive.remove_copies(id)
    }
}

impl Summary {
    /// Tells whether it ended and keeps copies that may be deleted.
    pub fn is_prunable(&self) -> bool {
        keeps(self) && matches!(self.state, State::Done | State::DoneInPart)
    }
}

/// Tells whether copies are in the transfer's folder; an export's file is its user's.
fn keeps(summary: &Summary) -> bool {
    summary.copy.is_some() && summary.request.kind == super::Kind::Discard
}
