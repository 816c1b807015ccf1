//! `redrive doctor`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Exit;
use super::output::{Column, Row, left};
use super::session::Session;
use crate::error::Result;
use crate::ops::{Finding, Health};

/// Looks, and says what to do; fails where something does not work.
pub(super) async fn run(session: &mut Session<'_, '_>) -> Result<Exit> {
    let ops = session.ops().await?;
    let listing = Box::pin(ops.doctor()).await;
    let rows: Vec<FindingRow<'_>> = listing.items.iter().map(FindingRow).collect();
    session.output.list(&listing, &rows, listing.as_of)?;
    let bad = listing.items.iter().filter(|finding| finding.health == Health::Bad).count();
    for finding in &listing.items {
        for step in &finding.advice {
            session.output.note(&format!("{}: {step}", finding.about));
        }
    }
    Ok(if bad == 0 { Exit::Done } else { Exit::Failed })
}

struct FindingRow<'a>(&'a Finding);

impl Row for FindingRow<'_> {
    const COLUMNS: &'static [Column] = &[left("HEALTH"), left("WHAT"), left("FOUND")];

    fn cells(&self, _: Timestamp) -> Vec<String> {
        let health = match self.0.health {
            Health::Bad => "BAD",
            Health::Warn => "WARN",
            Health::Good => "ok",
        };
        vec![health.to_owned(), self.0.about.clone(), self.0.found.clone()]
    }

    fn json(&self) -> Value {
        json!(self.0)
    }
}
