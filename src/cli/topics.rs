//! `redrive topics`.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Exit;
use super::output::{Column, Format, Row, age, dash, left, right};
use super::session::{Session, list_hint};
use crate::error::{Error, Result};
use crate::model::message::Draft;
use crate::model::topic::Topic;
use crate::ops::Ops;

/// Pub/Sub takes messages up to this size (10 MB, not MiB); a file is not read further.
const DATA_BYTES_MAX: u64 = 10_000_000;

#[derive(Debug, Subcommand)]
pub(super) enum Topics {
    /// List the topics, with the number of their subscriptions
    #[command(after_help = "Examples:\n  redrive topics list\n  redrive topics list -o jsonl | head -n 3")]
    List,
    /// Publish one message and print its id
    #[command(
        after_help = "Examples:\n  redrive topics publish orders --data '{\"id\": 7}' --attribute kind=order\n  redrive topics publish orders --data-file order.json --ordering-key customer-7\n  jq -c .order dump.json | redrive topics publish orders --data-file -"
    )]
    Publish(Publish),
}

#[derive(Debug, Args)]
pub(super) struct Publish {
    /// Topic: its id, or `projects/P/topics/T`
    topic: String,
    /// Payload, as it is
    #[arg(long, value_name = "TEXT", required_unless_present_any = ["data_file", "attribute"], conflicts_with = "data_file")]
    data: Option<String>,
    /// File whose content is the payload; `-` is stdin
    #[arg(long, value_name = "FILE")]
    data_file: Option<PathBuf>,
    /// Attribute; can be given up to 100 times
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = attribute)]
    attribute: Vec<(String, String)>,
    /// Messages of one key reach ordered subscriptions in order
    #[arg(long, value_name = "KEY", default_value = "", hide_default_value = true)]
    ordering_key: String,
}

impl Topics {
    pub(super) async fn run(self, session: &mut Session<'_, '_>) -> Result<Exit> {
        let ops = session.ops().await?;
        match self {
            Self::List => list(session, &ops).await,
            Self::Publish(publish) => publish.run(session, &ops).await,
        }
    }
}

async fn list(session: &mut Session<'_, '_>, ops: &Ops) -> Result<Exit> {
    let (topics, subscriptions) = tokio::join!(ops.topics(), ops.subscriptions());
    let topics = topics?;
    let mut counts = BTreeMap::new();
    for subscription in subscriptions.as_ref().map(|listing| listing.items.as_slice()).unwrap_or_default() {
        if let Some(topic) = &subscription.topic {
            *counts.entry(topic).or_insert(0_usize) += 1;
        }
    }
    let count = |topic: &Topic| subscriptions.is_ok().then(|| counts.get(&topic.name).copied().unwrap_or(0));
    let rows: Vec<_> = topics.items.iter().map(|topic| TopicRow { topic, subscriptions: count(topic) }).collect();
    let now = session.now();
    session.output.list(&topics, &rows, now)?;
    let failed = topics.failed.len() + usize::from(subscriptions.is_err());
    if let Err(error) = &subscriptions {
        session.output.warn(&format!("subscriptions: {error}"));
    }
    Ok(Exit::of(topics.items.len(), failed))
}

impl Publish {
    async fn run(self, session: &mut Session<'_, '_>, ops: &Ops) -> Result<Exit> {
        let topic = Session::topic(ops, &self.topic)?;
        let mut attributes = BTreeMap::new();
        for (key, value) in self.attribute {
            if attributes.insert(key.clone(), value).is_some() {
                return Err(Error::invalid(format!("attribute `{}` is given twice", key.escape_debug())));
            }
        }
        let data = match (self.data, self.data_file) {
            (_, Some(path)) => read(&path)?,
            (data, None) => data.unwrap_or_default().into(),
        };
        let id = ops.publish(&topic, Draft { data, attributes, ordering_key: self.ordering_key }).await;
        let id = id.map_err(|error| list_hint(error, "redrive topics list"))?;
        match session.output.format() {
            Format::Table => session.output.data(&format!("{}\n", crate::model::text::line(&id)))?,
            _ => session.output.value(&json!({ "messageIds": [id] }))?,
        }
        Ok(Exit::Done)
    }
}

/// Reads a payload, no further than one byte beyond the largest that can be published.
fn read(path: &Path) -> Result<Bytes> {
    let name = path.display().to_string();
    let mut data = Vec::new();
    let done = if path == Path::new("-") {
        std::io::stdin().lock().take(DATA_BYTES_MAX + 1).read_to_end(&mut data)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(DATA_BYTES_MAX + 1).read_to_end(&mut data))
    };
    done.map_err(|error| Error::from(error).context(format!("cannot read `{}`", name.escape_debug())))?;
    if data.len() as u64 > DATA_BYTES_MAX {
        return Err(Error::invalid(format!("`{}` is larger than 10 MB, the most that Pub/Sub takes in one message", name.escape_debug()))
            .with_hint("put the content into Cloud Storage and publish where it lies"));
    }
    Ok(data.into())
}

fn attribute(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("an attribute is written `KEY=VALUE`".to_owned()),
    }
}

struct TopicRow<'a> {
    topic: &'a Topic,
    subscriptions: Option<usize>,
}

impl Row for TopicRow<'_> {
    const COLUMNS: &'static [Column] = &[left("TOPIC"), right("SUBSCRIPTIONS"), right("RETENTION"), left("SCHEMA")];

    fn cells(&self, _: Timestamp) -> Vec<String> {
        vec![
            self.topic.name.id().to_owned(),
            dash(self.subscriptions),
            dash(self.topic.retention.map(age)),
            dash(self.topic.schema.as_deref().map(|schema| schema.rsplit('/').next().unwrap_or(schema))),
        ]
    }

    fn json(&self) -> Value {
        super::output::extended(&self.topic.raw, "redriveNumbers", json!({ "subscriptionsCount": self.subscriptions }))
    }
}
