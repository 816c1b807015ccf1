//! The form of a seed file, and how mistakes in it are told: with line and field.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

use crate::error::{Error, Result};
use crate::names::{JobId, LocationId, ProjectId, QueueId, SchemaId, SubscriptionId, TaskId, TopicId};

/// The wrong line is shown up to this length.
const LINE_BYTES_MAX: usize = 80;

/// All that a seed may ask for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seed {
    project: Option<ProjectId>,
    /// Where queues and jobs are that do not say it themselves.
    pub(super) location: Option<LocationId>,
    #[serde(default)]
    pub(super) schemas: Vec<Schema>,
    #[serde(default)]
    pub(super) topics: Vec<Topic>,
    #[serde(default)]
    pub(super) subscriptions: Vec<Subscription>,
    #[serde(default)]
    pub(super) queues: Vec<Queue>,
    #[serde(default)]
    pub(super) jobs: Vec<Job>,
    #[serde(default)]
    pub(super) messages: Vec<Message>,
    #[serde(default)]
    pub(super) tasks: Vec<Task>,
}

impl Seed {
    /// The project that the file names.
    pub(crate) fn project(&self) -> Option<&ProjectId> {
        self.project.as_ref()
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Schema {
    pub(super) name: SchemaId,
    /// The definition, as text or written out.
    pub(super) avro: Option<Json>,
    pub(super) protobuf: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TopicSchema {
    pub(super) name: SchemaId,
    pub(super) encoding: Encoding,
}

/// How the messages of a topic with a schema are written.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Encoding {
    Json,
    Binary,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Topic {
    pub(super) name: TopicId,
    pub(super) labels: Option<BTreeMap<String, String>>,
    pub(super) retention: Option<Length>,
    pub(super) schema: Option<TopicSchema>,
    /// What has no field here, as Google's JSON has it.
    pub(super) google: Option<Json>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Subscription {
    pub(super) name: SubscriptionId,
    pub(super) topic: TopicId,
    pub(super) labels: Option<BTreeMap<String, String>>,
    pub(super) push_endpoint: Option<String>,
    pub(super) ack_deadline: Option<Length>,
    pub(super) retention: Option<Length>,
    pub(super) filter: Option<String>,
    pub(super) ordered: Option<bool>,
    pub(super) exactly_once: Option<bool>,
    pub(super) dead_letter: Option<DeadLetter>,
    pub(super) retry: Option<Backoff>,
    /// What has no field here, as Google's JSON has it.
    pub(super) google: Option<Json>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeadLetter {
    pub(super) topic: TopicId,
    pub(super) max_attempts: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Backoff {
    pub(super) min_backoff: Option<Length>,
    pub(super) max_backoff: Option<Length>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Queue {
    pub(super) name: QueueId,
    pub(super) location: Option<LocationId>,
    pub(super) max_dispatches_per_second: Option<f64>,
    pub(super) max_concurrent_dispatches: Option<u32>,
    pub(super) retry: Option<QueueRetry>,
    #[serde(default)]
    pub(super) paused: bool,
    /// What has no field here, as Google's JSON has it.
    pub(super) google: Option<Json>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QueueRetry {
    pub(super) max_attempts: Option<i32>,
    pub(super) max_retry_duration: Option<Length>,
    pub(super) min_backoff: Option<Length>,
    pub(super) max_backoff: Option<Length>,
    pub(super) max_doublings: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Job {
    pub(super) name: JobId,
    pub(super) location: Option<LocationId>,
    pub(super) description: Option<String>,
    pub(super) schedule: String,
    pub(super) time_zone: Option<String>,
    pub(super) attempt_deadline: Option<Length>,
    pub(super) retry: Option<JobRetry>,
    pub(super) http: Option<Http>,
    pub(super) publish: Option<Publish>,
    #[serde(default)]
    pub(super) paused: bool,
    /// What has no field here, as Google's JSON has it.
    pub(super) google: Option<Json>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JobRetry {
    pub(super) count: Option<u32>,
    pub(super) max_retry_duration: Option<Length>,
    pub(super) min_backoff: Option<Length>,
    pub(super) max_backoff: Option<Length>,
    pub(super) max_doublings: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Http {
    pub(super) url: String,
    pub(super) method: Option<String>,
    pub(super) headers: Option<BTreeMap<String, String>>,
    pub(super) body: Option<String>,
    pub(super) json: Option<Json>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Publish {
    pub(super) topic: TopicId,
    pub(super) data: Option<String>,
    pub(super) json: Option<Json>,
    pub(super) attributes: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Message {
    pub(super) topic: TopicId,
    pub(super) data: Option<String>,
    pub(super) json: Option<Json>,
    pub(super) attributes: Option<BTreeMap<String, String>>,
    pub(super) ordering_key: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Task {
    pub(super) queue: QueueId,
    /// That of the queue of this name in the seed, or else the seed's own.
    pub(super) location: Option<LocationId>,
    pub(super) name: Option<TaskId>,
    /// Runs this long after the start, not at once.
    pub(super) delay: Option<Length>,
    pub(super) dispatch_deadline: Option<Length>,
    pub(super) http: Option<Http>,
    /// What has no field here, as Google's JSON has it.
    pub(super) google: Option<Json>,
}

/// A length of time: `30s`, `5m`, `1h 30m`, `7d`, or a number of seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Length(pub(super) SignedDuration);

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Length;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a length of time such as `30s`, `5m` or `7d`, or a number of seconds")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Length, E> {
                length(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }

            fn visit_u64<E: serde::de::Error>(self, seconds: u64) -> Result<Length, E> {
                let seconds = i64::try_from(seconds).map_err(|_| E::custom("too long"))?;
                Ok(Length(SignedDuration::from_secs(seconds)))
            }

            fn visit_i64<E: serde::de::Error>(self, seconds: i64) -> Result<Length, E> {
                let seconds = u64::try_from(seconds).map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(seconds), &self))?;
                self.visit_u64(seconds)
            }
        }
        deserializer.deserialize_any(Text)
    }
}

fn length(text: &str) -> Option<Length> {
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Length(SignedDuration::from_secs(seconds.into())));
    }
    let span: Span = text.parse().ok()?;
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    (!length.is_negative()).then_some(Length(length))
}

/// Parses YAML.
pub(super) fn from_yaml(text: &str) -> Result<Seed> {
    if text.trim().is_empty() {
        return Ok(Seed::default());
    }
    serde_saphyr::from_str(text).map_err(|error| {
        let plain = error.without_snippet();
        let why = plain.to_string();
        let line = plain.location().and_then(|at| usize::try_from(at.line()).ok());
        wrong(text, line, why.rsplit_once(" at line ").map_or(&why, |(why, _)| why))
    })
}

/// Parses TOML.
pub(super) fn from_toml(text: &str) -> Result<Seed> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().and_then(|span| text.get(..span.start)).map(|before| before.matches('\n').count() + 1);
        wrong(text, line, error.message())
    })
}

/// An error with the number of the line and its text, in which the field is seen.
fn wrong(text: &str, line: Option<usize>, why: &str) -> Error {
    let shown = line.and_then(|line| Some((line, text.lines().nth(line.checked_sub(1)?)?)));
    let message = match shown {
        Some((line, content)) => {
            let content = content.trim();
            let content = &content[..content.floor_char_boundary(LINE_BYTES_MAX)];
            format!("line {line} (`{content}`): {why}")
        }
        None => why.to_owned(),
    };
    Error::invalid(crate::model::text::line(&message)).with_hint("`examples/seed.yaml` in the repository shows all fields")
}
