//! `redrive dlq causes`.

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Exit;
use super::output::{Column, Row, ago, dash, left, moment, right};
use super::session::Session;
use super::subs::received_message;
use crate::error::Result;
use crate::model::cause::{Group, group};
use crate::names::SubscriptionName;
use crate::ops::{Ops, PeekMode};

#[derive(Debug, Args)]
pub(super) struct Causes {
    /// Subscription that holds the dead letters (the column HELD BY of `redrive dlq list`)
    subscription: String,
    /// Look through a snapshot: everything, and nothing is leased
    #[arg(long)]
    snapshot: bool,
    /// Messages looked at, at most
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max: u32,
}

impl Causes {
    pub(super) async fn run(self, session: &mut Session<'_, '_>, ops: &Ops) -> Result<Exit> {
        let subscription = Session::subscription(ops, &self.subscription)?;
        let mode = if self.snapshot { PeekMode::Snapshot } else { PeekMode::Leased };
        let peek = ops.peek(&subscription, mode, self.max as usize).await?;
        let rows: Vec<_> = group(&peek.messages).into_iter().map(GroupRow).collect();
        let now = session.now();
        session.output.rows(&rows, now)?;
        if peek.truncated {
            session
                .output
                .note(&format!("counted among {} messages: there may be more; see `--max` and `--snapshot`", peek.messages.len()));
        }
        if let Some(note) = &peek.note {
            session.output.note(note);
        }
        Ok(Exit::Done)
    }
}

struct GroupRow<'a>(Group<'a>);

impl Row for GroupRow<'_> {
    const COLUMNS: &'static [Column] = &[
        left("CAUSE"),
        right("COUNT"),
        left("SOURCE"),
        left("ERROR"),
        left("PAYLOAD"),
        right("ATTEMPTS"),
        right("FIRST"),
        right("LAST"),
        left("SAMPLE"),
    ];

    fn cells(&self, now: Timestamp) -> Vec<String> {
        let Group { cause, count, first, last, sample } = &self.0;
        vec![
            cause.id().to_string(),
            count.to_string(),
            dash(cause.source.as_ref().map(SubscriptionName::id)),
            dash(cause.error.clone()),
            cause.shape_short(),
            dash(cause.attempts),
            ago(*first, now),
            ago(*last, now),
            sample.id.clone(),
        ]
    }

    /// Not a resource of Google's: a grouping of ours. The sample is Google's `ReceivedMessage`.
    fn json(&self) -> Value {
        let Group { cause, count, first, last, sample } = &self.0;
        json!({
            "id": cause.id(),
            "count": count,
            "source": cause.source,
            "attribute": cause.attribute,
            "error": cause.error,
            "payload": cause.shape,
            "attempts": cause.attempts,
            "first": moment(*first),
            "last": moment(*last),
            "sample": received_message(sample),
        })
    }
}
