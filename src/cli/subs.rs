//! `redrive subs`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Exit;
use super::args::query;
use super::dlq::Which;
use super::moving::{self, Export, Move, Replay};
use super::output::{Column, Row, age, ago, dash, extended, left, measured, moment, right};
use super::session::{Session, list_hint};
use crate::error::Result;
use crate::model::message::Message;
use crate::model::numbers::{Measured, SubscriptionNumbers};
use crate::model::query::{MessageSubject, Query};
use crate::model::subscription::{Delivery, Subscription};
use crate::model::text;
use crate::ops::{Ops, PeekMode};

/// Characters of a payload in a cell of a table.
const PREVIEW_CHARS_MAX: usize = 60;

#[derive(Debug, Subcommand)]
pub(super) enum Subs {
    /// List the subscriptions, with backlog and oldest message
    #[command(
        after_help = "Examples:\n  redrive subs list\n  redrive subs list -o json\n\nIn JSON and YAML a subscription is Google's own; what we measured beside it is under `redriveNumbers`."
    )]
    List,
    /// Look at messages without taking them
    #[command(
        after_help = "Examples:\n  redrive subs peek orders-hold\n  redrive subs peek orders-hold --snapshot --max 1000 -o jsonl\n  redrive subs peek orders-hold --snapshot --max 1000 --filter 'payload.total > 100'\n\nWithout `--snapshot` messages are leased and released: a sample, and under a dead-letter policy it counts as a delivery attempt.\nWith it a snapshot and a short-lived subscription are made and removed: everything is seen, the original is untouched.\n\nIn JSON a message is Google's `ReceivedMessage`; the decoded payload is beside it under `redrivePayload`."
    )]
    Peek(Peek),
    /// Publish the messages of a subscription to a topic, and take them away here
    #[command(
        after_help = "Examples:\n  redrive subs move orders-old --to orders --dry-run\n  redrive subs move orders-old --to orders --filter 'age < 2d' --rate 50 --yes"
    )]
    Move(Move),
    /// Take messages away, keeping a copy of each on disk first
    #[command(
        after_help = "Example:\n  redrive subs discard orders-old --filter 'age > 30d'\n\n`redrive transfers undo ID` publishes them again."
    )]
    Discard(Which),
    /// Send messages to a handler on this machine as a push subscription would, and leave them where they are
    #[command(after_help = "Example:\n  redrive subs replay orders --to-url http://127.0.0.1:8080/orders --max 1 --yes")]
    Replay(Replay),
    /// Write messages to a file with everything needed to publish them again, and leave them where they are
    #[command(after_help = "Example:\n  redrive subs export orders --to-file orders.jsonl --yes")]
    Export(Export),
}

#[derive(Debug, Args)]
pub(super) struct Peek {
    /// Subscription: its id, or `projects/P/subscriptions/S`
    subscription: String,
    /// Look through a snapshot: everything, and nothing is leased
    #[arg(long)]
    snapshot: bool,
    /// Show only messages that this expression selects, of those looked at
    #[arg(long, value_name = "EXPR", value_parser = query)]
    filter: Option<Query>,
    /// Messages looked at, at most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max: u32,
}

impl Subs {
    pub(super) async fn run(self, session: &mut Session<'_, '_>) -> Result<Exit> {
        let ops = session.ops().await?;
        match self {
            Self::List => list(session, &ops).await,
            Self::Peek(peek) => peek.run(session, &ops).await,
            Self::Move(to) => to.run(session, &ops).await,
            Self::Discard(which) => moving::discard(which, session, &ops).await,
            Self::Replay(replay) => replay.run(session, &ops).await,
            Self::Export(export) => export.run(session, &ops).await,
        }
    }
}

async fn list(session: &mut Session<'_, '_>, ops: &Ops) -> Result<Exit> {
    let (subscriptions, numbers) = tokio::join!(ops.subscriptions(), ops.numbers());
    let subscriptions = subscriptions?;
    let numbers = session.numbers(numbers);
    let row = |subscription| SubscriptionRow { subscription, numbers: numbers.subscriptions.get(&subscription.name) };
    let rows: Vec<_> = subscriptions.items.iter().map(row).collect();
    let now = session.now();
    session.output.list(&subscriptions, &rows, now)?;
    Ok(Exit::of(subscriptions.items.len(), subscriptions.failed.len()))
}

impl Peek {
    async fn run(self, session: &mut Session<'_, '_>, ops: &Ops) -> Result<Exit> {
        let subscription = Session::subscription(ops, &self.subscription)?;
        let mode = if self.snapshot { PeekMode::Snapshot } else { PeekMode::Leased };
        let peek = ops.peek(&subscription, mode, self.max as usize).await.map_err(|error| list_hint(error, "redrive subs list"))?;
        let selects =
            |message: &&Message| self.filter.as_ref().is_none_or(|query| query.matches(&MessageSubject::new(message), peek.as_of));
        let rows: Vec<_> = peek.messages.iter().filter(selects).map(MessageRow).collect();
        let now = session.now();
        session.output.rows(&rows, now)?;
        if self.filter.is_some() {
            session.output.note(&format!("{} of the {} messages looked at match", rows.len(), peek.messages.len()));
        }
        if peek.truncated {
            session.output.note("there may be more messages than these; see `--max` and `--snapshot`");
        }
        if let Some(note) = &peek.note {
            session.output.note(note);
        }
        Ok(Exit::Done)
    }
}

struct SubscriptionRow<'a> {
    subscription: &'a Subscription,
    numbers: Option<&'a SubscriptionNumbers>,
}

impl Row for SubscriptionRow<'_> {
    const COLUMNS: &'static [Column] = &[
        left("SUBSCRIPTION"),
        left("TOPIC"),
        left("DELIVERY"),
        right("BACKLOG"),
        right("OLDEST"),
        right("DEADLINE"),
        left("DEAD LETTERS"),
        left("FILTER"),
    ];

    fn cells(&self, _: Timestamp) -> Vec<String> {
        let subscription = self.subscription;
        let dead_letters = subscription.dead_letters.as_ref().map(|policy| {
            let topic = policy.topic.as_ref().map_or("(deleted)", |topic| topic.id());
            format!("{topic} after {}", policy.attempts_max)
        });
        vec![
            subscription.name.id().to_owned(),
            subscription.topic.as_ref().map_or_else(|| "(deleted)".to_owned(), |topic| topic.id().to_owned()),
            match &subscription.delivery {
                _ if subscription.detached => "detached".to_owned(),
                Delivery::Pull => "pull".to_owned(),
                Delivery::Push { endpoint, .. } => format!("push {endpoint}"),
                Delivery::Export(to) => format!("export {to}"),
            },
            dash(self.numbers.and_then(|n| n.backlog).map(|n| n.value)),
            dash(self.numbers.and_then(|n| n.oldest_age).map(|n| age(n.value))),
            age(subscription.ack_deadline),
            dash(dead_letters),
            dash(Some(subscription.filter.clone()).filter(|filter| !filter.is_empty())),
        ]
    }

    fn json(&self) -> Value {
        extended(&self.subscription.raw, "redriveNumbers", subscription_numbers(self.numbers))
    }
}

/// What is known of a subscription, under the names of Monitoring's metrics.
pub(super) fn subscription_numbers(numbers: Option<&SubscriptionNumbers>) -> Value {
    let numbers = numbers.cloned().unwrap_or_default();
    let seconds = numbers.oldest_age.map(|Measured { value, source, as_of }| Measured { value: value.as_secs(), source, as_of });
    json!({
        "numUndeliveredMessages": measured(numbers.backlog),
        "oldestUnackedMessageAgeSeconds": measured(seconds),
        "backlogBytes": measured(numbers.backlog_bytes),
    })
}

struct MessageRow<'a>(&'a Message);

impl Row for MessageRow<'_> {
    const COLUMNS: &'static [Column] =
        &[left("MESSAGE"), right("AGE"), right("ATTEMPT"), left("SOURCE"), left("KEY"), left("ATTRIBUTES"), left("PAYLOAD")];

    fn cells(&self, now: Timestamp) -> Vec<String> {
        let message = self.0;
        let provenance = message.provenance();
        let attempt = message.delivery_attempt.or(provenance.as_ref().and_then(|from| from.delivery_count));
        let source = provenance.and_then(|from| from.subscription).map(|name| name.id().to_owned());
        let own = message.attributes.iter().filter(|(key, _)| !key.starts_with(crate::model::message::DEAD_LETTER_PREFIX));
        let attributes = own.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ");
        vec![
            message.id.clone(),
            ago(message.publish_time, now),
            dash(attempt),
            dash(source),
            dash(Some(message.ordering_key.clone()).filter(|key| !key.is_empty())),
            text::preview(attributes.as_bytes(), PREVIEW_CHARS_MAX),
            text::preview(&message.data, PREVIEW_CHARS_MAX),
        ]
    }

    fn json(&self) -> Value {
        received_message(self.0)
    }
}

/// Google's `ReceivedMessage` without `ackId`, with the decoded payload beside it where it is text.
pub(super) fn received_message(message: &Message) -> Value {
    let mut inner = Map::new();
    inner.insert("data".into(), STANDARD.encode(&message.data).into());
    if !message.attributes.is_empty() {
        inner.insert("attributes".into(), json!(message.attributes));
    }
    inner.insert("messageId".into(), message.id.clone().into());
    inner.insert("publishTime".into(), moment(message.publish_time));
    if !message.ordering_key.is_empty() {
        inner.insert("orderingKey".into(), message.ordering_key.clone().into());
    }
    let mut outer = Map::new();
    outer.insert("message".into(), inner.into());
    if let Some(attempt) = message.delivery_attempt {
        outer.insert("deliveryAttempt".into(), attempt.into());
    }
    if let Some(payload) = payload(&message.data) {
        outer.insert("redrivePayload".into(), payload);
    }
    outer.into()
}

/// Decodes a payload: JSON as it is, other text as a string; bytes that are no text are not shown decoded.
pub(super) fn payload(data: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(data).ok()?;
    Some(serde_json::from_str(text).unwrap_or_else(|_| text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::{Format, Output};

    fn written(format: Format, messages: &[Message]) -> String {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let rows: Vec<_> = messages.iter().map(MessageRow).collect();
        let now = "2026-01-02T03:00:00Z".parse().unwrap();
        Output::new(&mut out, &mut err, format, false).rows(&rows, now).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn message(data: &'static [u8]) -> Message {
        Message {
            id: "71".into(),
            data: data.into(),
            attributes: [
                ("kind", "order\u{1b}[2J"),
                ("CloudPubSubDeadLetterSourceSubscription", "billing"),
                ("CloudPubSubDeadLetterSourceSubscriptionProject", "shop"),
            ]
            .map(|(key, value)| (key.into(), value.into()))
            .into(),
            ordering_key: "customer-7".into(),
            publish_time: "2026-01-02T02:18:00Z".parse().ok(),
            delivery_attempt: Some(5),
        }
    }

    #[test]
    fn messages_in_a_table_are_one_line_each() {
        insta::assert_snapshot!(written(Format::Table, &[message(b"{\n  \"id\": 7\n}"), message(&[0xff, 0])]), @r#"
        MESSAGE  AGE  ATTEMPT  SOURCE   KEY         ATTRIBUTES           PAYLOAD
        71       42m        5  billing  customer-7  kind=order\u{1b}[2J  { "id": 7 }
        71       42m        5  billing  customer-7  kind=order\u{1b}[2J  ‹binary, 2 B› ff00
        "#);
    }

    #[test]
    fn a_message_in_json_is_googles_with_the_payload_beside_it() {
        insta::assert_snapshot!(written(Format::Json, &[message(b"{\"id\": 7}")]), @r#"
        [
          {
            "message": {
              "data": "eyJpZCI6IDd9",
              "attributes": {
                "CloudPubSubDeadLetterSourceSubscription": "billing",
                "CloudPubSubDeadLetterSourceSubscriptionProject": "shop",
                "kind": "order\u001b[2J"
              },
              "messageId": "71",
              "publishTime": "2026-01-02T02:18:00Z",
              "orderingKey": "customer-7"
            },
            "deliveryAttempt": 5,
            "redrivePayload": {
              "id": 7
            }
          }
        ]
        "#);
        assert_eq!(payload(b"plain"), Some("plain".into()));
        assert_eq!(payload(&[0xff]), None);
    }
}
