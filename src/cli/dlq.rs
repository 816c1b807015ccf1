//! `redrive dlq`.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Exit;
use super::args::{parse, query};
use super::care::Care;
use super::carry::{Consent, carry_out};
use super::causes::Causes;
use super::edit::edit;
use super::moving::{self, Export, Replay, Way};
use super::output::{Column, Row, age, dash, left, right};
use super::session::Session;
use super::subs::subscription_numbers;
use crate::error::{Error, Result};
use crate::model::cause::CauseId;
use crate::model::dead_letter::{Broken, DeadLetterRelation};
use crate::model::numbers::Numbers;
use crate::model::query::Query;
use crate::names::{SubscriptionName, TopicName};
use crate::ops::Ops;
use crate::ops::transfer::{self, Delivery, Request, Selection, Source};

#[derive(Debug, Subcommand)]
pub(super) enum Dlq {
    /// List the dead-letter relations: which subscription gives up to which topic, and who holds how many
    #[command(after_help = "Examples:\n  redrive dlq list\n  redrive dlq list -o json | jq '.[] | select(.broken)'")]
    List,
    /// Group the messages of a subscription by why they failed
    #[command(
        after_help = "Examples:\n  redrive dlq causes orders-hold --snapshot\n  redrive dlq causes orders-hold -o json | jq -r '.[0].id'\n  redrive dlq discard orders-hold --cause 0f3a6c19b2d4\n\nMessages are of one cause that share the subscription that gave them up, the error that an attribute tells of, the paths of their JSON and\nthe number of deliveries. Without `--snapshot` they are leased and released: a sample."
    )]
    Causes(Causes),
    /// Publish dead letters again to the topic whose subscription gave them up
    #[command(
        after_help = "Examples:\n  redrive dlq redrive orders-hold --dry-run\n  redrive dlq redrive orders-hold --rate 50 --yes\n  redrive dlq redrive orders-hold --message-id 8812 --message-id 8813\n  redrive dlq redrive orders-hold --filter 'age > 2h and attribute.kind = order'\n\nOnly what lay there when it began is moved: a message that comes straight back is not moved twice.\nctrl-c stops it within one batch; `redrive transfers resume ID` goes on."
    )]
    Redrive(Redrive),
    /// Take dead letters away, keeping a copy of each on disk first
    #[command(
        after_help = "Examples:\n  redrive dlq discard orders-hold --dry-run\n  redrive dlq discard orders-hold --message-id 8812 --yes\n  redrive dlq discard orders-hold --cause 0f3a6c19b2d4"
    )]
    Discard(Discard),
    /// Send messages to a handler on this machine as a push subscription would, and leave them where they are
    #[command(
        after_help = "Examples:\n  redrive dlq replay orders-hold --to-url http://127.0.0.1:8080/orders --max 1 --yes\n  redrive dlq replay orders-hold --to-url http://127.0.0.1:8080/orders --filter 'attempts >= 5' --take"
    )]
    Replay(Replay),
    /// Write messages to a file with everything needed to publish them again, and leave them where they are
    #[command(
        after_help = "Example:\n  redrive dlq export orders-hold --to-file orders.jsonl --yes\n\n`redrive transfers import orders.jsonl --to TOPIC` publishes them."
    )]
    Export(Export),
}

#[derive(Debug, Args)]
pub(super) struct Redrive {
    #[command(flatten)]
    which: Which,
    /// Topic to publish to, in place of the source's
    #[arg(long, value_name = "TOPIC")]
    to: Option<String>,
    /// How they go back
    #[arg(long, value_enum, conflicts_with = "to")]
    delivery: Option<Way>,
    /// Deliver to endpoints with private addresses, too (with `--delivery direct`)
    #[arg(long)]
    allow_private: bool,
    /// Confirm that this subscription of the topic receives the messages again, though it did not fail; can be given several times
    #[arg(long, value_name = "SUBSCRIPTION")]
    fan_out: Vec<String>,
    #[command(flatten)]
    care: Care,
}

#[derive(Debug, Args)]
pub(super) struct Discard {
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
pub(super) struct Which {
    /// Subscription that holds the messages (for dead letters: the column HELD BY of `redrive dlq list`)
    subscription: String,
    /// Only the message of this id; can be given several times [default: all]
    #[arg(long, value_name = "ID")]
    message_id: Vec<String>,
    /// Only messages that this expression selects, such as `age > 2h and payload.customer.id = 7`
    #[arg(long, value_name = "EXPR", value_parser = query, conflicts_with = "message_id")]
    filter: Option<Query>,
    /// Only messages of the cause of this id (see `redrive dlq causes`)
    #[arg(long, value_name = "ID", value_parser = parse::<CauseId>, conflicts_with_all = ["message_id", "filter"])]
    cause: Option<CauseId>,
    /// Messages a second at most [default: as fast as it goes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Messages at most [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max: Option<u64>,
    /// Messages under way at once: also the bound of duplicates if this process dies
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    window: u32,
    #[command(flatten)]
    consent: Consent,
}

impl Dlq {
    pub(super) async fn run(self, session: &mut Session<'_, '_>) -> Result<Exit> {
        let ops = session.ops().await?;
        match self {
            Self::List => list(session, &ops).await,
            Self::Causes(causes) => causes.run(session, &ops).await,
            Self::Redrive(redrive) => redrive.run(session, &ops).await.map_err(where_to_look),
            Self::Discard(Discard { which }) => moving::discard(which, session, &ops).await.map_err(where_to_look),
            Self::Replay(replay) => replay.run(session, &ops).await.map_err(where_to_look),
            Self::Export(export) => export.run(session, &ops).await.map_err(where_to_look),
        }
    }
}

impl Redrive {
    async fn run(self, session: &mut Session<'_, '_>, ops: &Ops) -> Result<Exit> {
        let delivery = match self.to {
            Some(topic) => Delivery::Topic(Session::topic(ops, &topic)?),
            None => self.delivery.unwrap_or_default().delivery(self.allow_private),
        };
        let (mut request, consent) = self.which.request(ops, transfer::Kind::Redrive, delivery)?;
        request.options = self.care.options(consent.yes)?;
        if self.care.edit {
            request.options.patch = Some(edit(ops, &request).await?);
        }
        carry_out(session, ops, request, &self.fan_out, &consent).await
    }
}

impl Which {
    /// Makes the request, and hands over what was agreed to beforehand.
    pub(super) fn request(self, ops: &Ops, kind: transfer::Kind, delivery: Delivery) -> Result<(Request, Consent)> {
        let selection = match (self.filter, self.cause) {
            (Some(query), _) => Selection::Matching(query),
            (None, Some(cause)) => Selection::Cause(cause),
            (None, None) if self.message_id.is_empty() => Selection::All,
            (None, None) => Selection::Messages(self.message_id.into_iter().collect()),
        };
        let source = Source::Subscription(Session::subscription(ops, &self.subscription)?);
        let request = Request::new(kind, source);
        Ok((Request { selection, delivery, rate_max: self.rate, window: self.window, max: self.max, ..request }, self.consent))
    }
}

/// A dead-letter topic's name is easily taken for the name of the subscription that holds its messages.
fn where_to_look(error: Error) -> Error {
    if error.is_not_found() && error.hint().is_none() {
        error.with_hint("who holds dead letters is in the column HELD BY of `redrive dlq list`")
    } else {
        error
    }
}

async fn list(session: &mut Session<'_, '_>, ops: &Ops) -> Result<Exit> {
    let (relations, numbers) = tokio::join!(ops.dead_letters(), ops.numbers());
    let relations = relations?;
    let numbers = session.numbers(numbers);
    let rows: Vec<_> = relations.items.iter().map(|relation| RelationRow { relation, numbers: &numbers }).collect();
    let now = session.now();
    session.output.list(&relations, &rows, now)?;
    Ok(Exit::of(relations.items.len(), relations.failed.len()))
}

struct RelationRow<'a> {
    relation: &'a DeadLetterRelation,
    numbers: &'a Numbers,
}

impl Row for RelationRow<'_> {
    const COLUMNS: &'static [Column] = &[
        left("SOURCE"),
        left("TOPIC"),
        left("DEAD-LETTER TOPIC"),
        left("HELD BY"),
        right("HELD"),
        right("OLDEST"),
        right("ATTEMPTS MAX"),
        left("STATE"),
    ];

    fn cells(&self, _: Timestamp) -> Vec<String> {
        let relation = self.relation;
        let holders = || relation.holders.iter().filter_map(|holder| self.numbers.subscriptions.get(holder));
        let held = holders().filter_map(|n| n.backlog).map(|n| n.value).reduce(|a, b| a + b);
        let oldest = holders().filter_map(|n| n.oldest_age).map(|n| n.value).max();
        let names: Vec<_> = relation.holders.iter().map(SubscriptionName::id).collect();
        vec![
            relation.source.id().to_owned(),
            dash(relation.topic.as_ref().map(TopicName::id)),
            dash(relation.dead_letter_topic.as_ref().map(TopicName::id)),
            if names.is_empty() { "-".to_owned() } else { names.join(", ") },
            dash(held),
            dash(oldest.map(age)),
            relation.attempts_max.to_string(),
            relation.broken.map_or("ok", words).to_owned(),
        ]
    }

    /// Not a resource of Google's: a relation between some, under names of ours.
    fn json(&self) -> Value {
        let relation = self.relation;
        let holder = |name| json!({ "subscription": name, "redriveNumbers": subscription_numbers(self.numbers.subscriptions.get(name)) });
        json!({
            "source": relation.source,
            "topic": relation.topic,
            "deadLetterTopic": relation.dead_letter_topic,
            "maxDeliveryAttempts": relation.attempts_max,
            "holders": relation.holders.iter().map(holder).collect::<Vec<_>>(),
            "broken": relation.broken.map(words),
        })
    }
}

fn words(broken: Broken) -> &'static str {
    match broken {
        Broken::TopicMissing => "dead-letter topic is missing: nothing can be forwarded",
        Broken::NoHolder => "no subscription: what lands there is lost",
        Broken::SourceTopicMissing => "source topic is deleted: nowhere to redrive to",
    }
}
