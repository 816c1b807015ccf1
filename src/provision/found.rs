//! What is there, read from Google's services and put into the same values as what is desired.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use super::desired::{DeadLetterPolicy, Desired, Job, Push, Subscription, Wrapping};
use super::rights;
use crate::cloud::Cloud;
use crate::error::Result;
use crate::model;
use crate::model::queue::QueueState;
use crate::names::{JobName, QueueName, SubscriptionName, TopicName};

/// The label that says which app made a topic or a subscription.
pub(super) const OWNER_LABEL: &str = "redrive-app";
/// The label that says that it was there before an app took it over: such a resource is never deleted by it.
const ADOPTED_LABEL: &str = "redrive-adopted";
/// The label that says that a subscription holds dead letters.
const HOLDS_LABEL: &str = "redrive-holds";

/// What is there. A resource of which nothing is known is not there.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) topics: BTreeMap<TopicName, Labels>,
    pub(super) subscriptions: BTreeMap<SubscriptionName, (Subscription, Labels)>,
    pub(super) queues: BTreeMap<QueueName, FoundQueue>,
    pub(super) jobs: BTreeMap<JobName, FoundJob>,
    /// Topics and subscriptions on which Pub/Sub's service agent may do what dead letters need.
    pub(super) granted: BTreeSet<String>,
    /// Those whose rights could not be read, and why.
    pub(super) unread: Vec<(String, String)>,
    /// Pub/Sub's service agent, or why it is not known.
    pub(super) agent: std::result::Result<String, String>,
}

/// Tells whether an app of this crate's runtime serves a subscription: such an app skips what is addressed to another.
#[cfg(feature = "tool")]
pub(crate) fn is_served_by_an_app(subscription: &model::subscription::Subscription) -> bool {
    let labels = labels(&subscription.raw);
    labels.owner().is_some() && !labels.0.contains_key(HOLDS_LABEL)
}

/// The labels of a resource; they say which app made it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Labels(pub(super) BTreeMap<String, String>);

impl Labels {
    /// Returns the app that made it.
    pub(super) fn owner(&self) -> Option<&str> {
        self.0.get(OWNER_LABEL).map(String::as_str)
    }

    /// Returns these labels, with this app as owner.
    pub(super) fn of(mut self, owner: &str) -> Self {
        self.0.insert(OWNER_LABEL.to_owned(), owner.to_owned());
        self
    }

    /// Returns these labels, with this app as owner of what others made.
    pub(super) fn adopted_by(self, owner: &str) -> Self {
        self.of(owner).marked(ADOPTED_LABEL)
    }

    /// Tells whether its owner made it, and did not only take it over.
    pub(super) fn is_made_by(&self, owner: &str) -> bool {
        self.owner() == Some(owner) && !self.0.contains_key(ADOPTED_LABEL)
    }

    /// Returns these labels, with the mark of what holds dead letters.
    pub(super) fn holding(self) -> Self {
        self.marked(HOLDS_LABEL)
    }

    fn marked(mut self, label: &str) -> Self {
        self.0.insert(label.to_owned(), "yes".to_owned());
        self
    }
}

/// A queue that is there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FoundQueue {
    pub(super) attempts_max: Option<u32>,
    pub(super) duration_max: Option<Duration>,
    pub(super) paused: bool,
}

/// A job that is there; `None` is one that does not send a request.
pub(super) type FoundJob = Option<Job>;

/// Reads all that the plan needs.
pub(super) async fn find(cloud: &Cloud, desired: &Desired) -> Result<Found> {
    let mut found = Found {
        topics: BTreeMap::new(),
        subscriptions: BTreeMap::new(),
        queues: BTreeMap::new(),
        jobs: BTreeMap::new(),
        granted: BTreeSet::new(),
        unread: Vec::new(),
        agent: Ok(String::new()),
    };
    for topic in cloud.list_topics().await?.items {
        found.topics.insert(topic.name, labels(&topic.raw));
    }
    for subscription in cloud.list_subscriptions().await?.items {
        let labels = labels(&subscription.raw);
        let read = Subscription { holds: labels.0.contains_key(HOLDS_LABEL), ..subscription_of(&subscription) };
        found.subscriptions.insert(subscription.name, (read, labels));
    }
    if !desired.queues.is_empty() {
        for queue in cloud.list_queues(&desired.location).await?.items {
            let paused = queue.state == QueueState::Paused;
            let retry = queue.retry;
            found.queues.insert(queue.name, FoundQueue { attempts_max: retry.attempts_max, duration_max: retry.duration_max, paused });
        }
    }
    // Without a prefix nothing is deleted, so that a list is for nothing.
    if !desired.jobs.is_empty() || !desired.prefix.is_empty() {
        match cloud.list_jobs(&desired.location).await {
            Ok(jobs) => found.jobs = jobs.items.into_iter().map(|job| (job.name.clone(), job_of(&job))).collect(),
            // An app without periodic tasks may live without Cloud Scheduler.
            Err(error) if desired.jobs.is_empty() => tracing::debug!(%error, "the jobs are not known, so none is deleted"),
            Err(error) => return Err(error),
        }
    }
    rights::find(cloud, desired, &mut found).await?;
    Ok(found)
}

fn labels(raw: &Value) -> Labels {
    let all = raw.pointer("/labels").and_then(Value::as_object).into_iter().flatten();
    Labels(all.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect())
}

fn subscription_of(found: &model::subscription::Subscription) -> Subscription {
    let push = match &found.delivery {
        model::subscription::Delivery::Push { endpoint, account, .. } => {
            let audience = text(&found.raw, "/pushConfig/oidcToken/audience");
            // Without an audience Pub/Sub takes the endpoint.
            let audience = if audience.is_empty() { endpoint.clone() } else { audience };
            let wrapping = match found.raw.pointer("/pushConfig/noWrapper") {
                None | Some(Value::Null) => Wrapping::Wrapped,
                Some(bare) if bare.get("writeMetadata").and_then(Value::as_bool) == Some(true) => Wrapping::WithMetadata,
                Some(_) => Wrapping::Bare,
            };
            Some(Push { endpoint: endpoint.clone(), token: account.clone().map(|account| (account, audience)), wrapping })
        }
        _ => None,
    };
    Subscription {
        name: found.name.clone(),
        topic: found.topic.clone(),
        push,
        ack_deadline: found.ack_deadline,
        filter: found.filter.clone(),
        ordered: found.ordered,
        exactly_once: found.exactly_once,
        backoff: found.backoff,
        dead_letters: found
            .dead_letters
            .as_ref()
            .and_then(|policy| Some(DeadLetterPolicy { topic: policy.topic.clone()?, attempts_max: policy.attempts_max })),
        retention: Some(found.retention),
        expires: found.raw.pointer("/expirationPolicy/ttl").and_then(Value::as_str).and_then(span),
        holds: false,
    }
}

/// Headers that Cloud Scheduler adds by itself.
fn is_added(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["user-agent", "content-length", "host"].contains(&name.as_str())
        || name.starts_with("x-google-")
        || name.starts_with("x-cloudscheduler")
}

fn job_of(found: &model::job::Job) -> FoundJob {
    let model::job::JobTarget::Http { url, .. } = &found.target else { return None };
    let raw = &found.raw;
    let headers = raw.pointer("/httpTarget/headers").and_then(Value::as_object).into_iter().flatten();
    let account = text(raw, "/httpTarget/oidcToken/serviceAccountEmail");
    let audience = text(raw, "/httpTarget/oidcToken/audience");
    let audience = if audience.is_empty() { url.clone() } else { audience };
    Some(Job {
        name: found.name.clone(),
        description: found.description.clone(),
        schedule: found.schedule.clone(),
        time_zone: if found.time_zone.is_empty() { "Etc/UTC".to_owned() } else { found.time_zone.clone() },
        url: url.clone(),
        headers: headers
            .filter(|(name, _)| !is_added(name))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.as_str().unwrap_or_default().to_owned()))
            .collect(),
        body: BASE64.decode(text(raw, "/httpTarget/body")).unwrap_or_default().into(),
        token: (!account.is_empty()).then_some((account, audience)),
        retries: raw.pointer("/retryConfig/retryCount").and_then(Value::as_u64).and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
        attempt_deadline: raw.pointer("/attemptDeadline").and_then(Value::as_str).and_then(span).unwrap_or(Duration::from_mins(3)),
    })
}

fn text(raw: &Value, pointer: &str) -> String {
    raw.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Reads `3600s`, as protobuf's JSON writes a span.
fn span(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.strip_suffix('s')?.parse().ok()?).ok()
}
