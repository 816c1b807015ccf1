//! Rows of the causes that messages are grouped by.

use crate::console::app::rows::{CauseRow, MessageRow};
pub(crate) use crate::model::cause::Cause;
use crate::model::cause::group as by_cause;

/// Groups messages by cause, the largest group first.
pub(crate) fn group<'a>(rows: impl ExactSizeIterator<Item = &'a MessageRow>) -> Vec<CauseRow> {
    let of = rows.len() as u64;
    by_cause(rows.map(|row| &*row.message)).into_iter().map(|group| CauseRow::new(group, of)).collect()
}
