//! What a seed asks for, as requests to the services, in the order in which one needs the other.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

use super::file::{Encoding, Http, Job, Length, Queue, Schema, Seed, Subscription, Task};
use crate::error::{Error, Result};
use crate::names::{LocationId, ProjectId};

/// One thing to be made.
#[derive(Debug)]
pub(super) struct Wish {
    /// For errors: "topic `orders`".
    pub(super) what: String,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Json,
    /// What is asked right after it was made, with an empty body; not when it was there already.
    pub(super) then: Option<String>,
}

impl Wish {
    fn new(what: String, method: Method, path: String, body: Json) -> Self {
        Self { what, method, path, body: without_nulls(body), then: None }
    }

    fn then(self, path: Option<String>) -> Self {
        Self { then: path, ..self }
    }
}

/// Puts the requests together; fails where the file does not say enough.
pub(super) fn of(seed: &Seed, project: &ProjectId, now: Timestamp) -> Result<Vec<Wish>> {
    let place = Place { seed, project, now };
    let mut wishes = seed.schemas.iter().map(|schema| place.schema(schema)).collect::<Result<Vec<_>>>()?;
    wishes.extend(seed.topics.iter().map(|topic| place.topic(topic)));
    wishes.extend(seed.subscriptions.iter().map(|subscription| place.subscription(subscription)));
    for queue in &seed.queues {
        wishes.push(place.queue(queue)?);
    }
    for job in &seed.jobs {
        wishes.push(place.job(job)?);
    }
    for (nth, message) in seed.messages.iter().enumerate() {
        wishes.push(place.message(nth, message)?);
    }
    for (nth, task) in seed.tasks.iter().enumerate() {
        wishes.push(place.task(nth, task)?);
    }
    Ok(wishes)
}

struct Place<'a> {
    seed: &'a Seed,
    project: &'a ProjectId,
    now: Timestamp,
}

impl Place<'_> {
    fn topic_name(&self, id: impl std::fmt::Display) -> String {
        format!("projects/{}/topics/{id}", self.project)
    }

    fn location(&self, own: Option<&LocationId>, what: &str) -> Result<String> {
        let location = own.or(self.seed.location.as_ref()).ok_or_else(|| {
            Error::invalid(format!("{what} of the seed has no location"))
                .with_hint("add `location: europe-west1` to it, or at the top of the file")
        })?;
        Ok(format!("projects/{}/locations/{location}", self.project))
    }

    fn schema_name(&self, id: impl std::fmt::Display) -> String {
        format!("projects/{}/schemas/{id}", self.project)
    }

    fn schema(&self, schema: &Schema) -> Result<Wish> {
        let what = format!("schema `{}`", schema.name);
        let (kind, definition) = match (&schema.avro, &schema.protobuf) {
            (Some(Json::String(text)), None) => ("AVRO", text.clone()),
            (Some(written), None) => ("AVRO", written.to_string()),
            (None, Some(text)) => ("PROTOCOL_BUFFER", text.clone()),
            _ => return Err(Error::invalid(format!("{what} of the seed needs its definition, as `avro` or as `protobuf`"))),
        };
        let body = json!({"name": self.schema_name(&schema.name), "type": kind, "definition": definition});
        Ok(Wish::new(what, Method::POST, format!("/v1/projects/{}/schemas", self.project), body))
    }

    fn topic(&self, topic: &super::file::Topic) -> Wish {
        let schema = topic.schema.as_ref().map(|schema| {
            let encoding = match schema.encoding {
                Encoding::Json => "JSON",
                Encoding::Binary => "BINARY",
            };
            json!({"schema": self.schema_name(&schema.name), "encoding": encoding})
        });
        let body = json!({"labels": topic.labels, "messageRetentionDuration": topic.retention.map(seconds), "schemaSettings": schema});
        let body = with(body, topic.google.as_ref());
        Wish::new(format!("topic `{}`", topic.name), Method::PUT, format!("/v1/{}", self.topic_name(&topic.name)), body)
    }

    fn subscription(&self, subscription: &Subscription) -> Wish {
        let dead_letter = subscription.dead_letter.as_ref();
        let dead_letter =
            dead_letter.map(|to| json!({"deadLetterTopic": self.topic_name(&to.topic), "maxDeliveryAttempts": to.max_attempts}));
        let retry = subscription.retry.as_ref();
        let retry =
            retry.map(|retry| json!({"minimumBackoff": retry.min_backoff.map(seconds), "maximumBackoff": retry.max_backoff.map(seconds)}));
        let body = json!({
            "topic": self.topic_name(&subscription.topic),
            "labels": subscription.labels,
            "pushConfig": subscription.push_endpoint.as_ref().map(|endpoint| json!({"pushEndpoint": endpoint})),
            "ackDeadlineSeconds": subscription.ack_deadline.map(|Length(length)| length.as_secs()),
            "messageRetentionDuration": subscription.retention.map(seconds),
            "filter": subscription.filter,
            "enableMessageOrdering": subscription.ordered,
            "enableExactlyOnceDelivery": subscription.exactly_once,
            "deadLetterPolicy": dead_letter,
            "retryPolicy": retry,
        });
        let path = format!("/v1/projects/{}/subscriptions/{}", self.project, subscription.name);
        Wish::new(format!("subscription `{}`", subscription.name), Method::PUT, path, with(body, subscription.google.as_ref()))
    }

    fn queue(&self, queue: &Queue) -> Result<Wish> {
        let what = format!("queue `{}`", queue.name);
        let parent = self.location(queue.location.as_ref(), &what)?;
        let name = format!("{parent}/queues/{}", queue.name);
        let retry = queue.retry.as_ref().map(|retry| {
            json!({
                "maxAttempts": retry.max_attempts,
                "maxRetryDuration": retry.max_retry_duration.map(seconds),
                "minBackoff": retry.min_backoff.map(seconds),
                "maxBackoff": retry.max_backoff.map(seconds),
                "maxDoublings": retry.max_doublings,
            })
        });
        let body = json!({
            "name": name,
            "rateLimits": {
                "maxDispatchesPerSecond": queue.max_dispatches_per_second,
                "maxConcurrentDispatches": queue.max_concurrent_dispatches,
            },
            "retryConfig": retry,
        });
        let pause = queue.paused.then(|| format!("/v2/{name}:pause"));
        Ok(Wish::new(what, Method::POST, format!("/v2/{parent}/queues"), with(body, queue.google.as_ref())).then(pause))
    }

    fn job(&self, job: &Job) -> Result<Wish> {
        let what = format!("job `{}`", job.name);
        let parent = self.location(job.location.as_ref(), &what)?;
        let name = format!("{parent}/jobs/{}", job.name);
        let retry = job.retry.as_ref().map(|retry| {
            json!({
                "retryCount": retry.count,
                "maxRetryDuration": retry.max_retry_duration.map(seconds),
                "minBackoffDuration": retry.min_backoff.map(seconds),
                "maxBackoffDuration": retry.max_backoff.map(seconds),
                "maxDoublings": retry.max_doublings,
            })
        });
        let publish = match &job.publish {
            None => None,
            Some(to) => {
                let data = payload(to.data.as_deref(), to.json.as_ref(), &what)?;
                Some(json!({"topicName": self.topic_name(&to.topic), "data": data, "attributes": to.attributes}))
            }
        };
        let http = match &job.http {
            None => None,
            Some(http) => {
                let (method, headers, body) = request_parts(http, &what)?;
                Some(json!({"uri": http.url, "httpMethod": method, "headers": headers, "body": body}))
            }
        };
        let body = json!({
            "name": name,
            "description": job.description,
            "schedule": job.schedule,
            "timeZone": job.time_zone,
            "attemptDeadline": job.attempt_deadline.map(seconds),
            "retryConfig": retry,
            "pubsubTarget": publish,
            "httpTarget": http,
        });
        let pause = job.paused.then(|| format!("/v1/{name}:pause"));
        Ok(Wish::new(what, Method::POST, format!("/v1/{parent}/jobs"), with(body, job.google.as_ref())).then(pause))
    }

    fn message(&self, nth: usize, message: &super::file::Message) -> Result<Wish> {
        let what = format!("message {} for topic `{}`", nth + 1, message.topic);
        let data = payload(message.data.as_deref(), message.json.as_ref(), &what)?;
        let body = json!({"messages": [{"data": data, "attributes": message.attributes, "orderingKey": message.ordering_key}]});
        Ok(Wish::new(what, Method::POST, format!("/v1/{}:publish", self.topic_name(&message.topic)), body))
    }

    fn task(&self, nth: usize, task: &Task) -> Result<Wish> {
        let what = format!("task {} for queue `{}`", nth + 1, task.queue);
        let of_queue = || self.seed.queues.iter().find(|queue| queue.name == task.queue).and_then(|queue| queue.location.as_ref());
        let queue = format!("{}/queues/{}", self.location(task.location.as_ref().or_else(of_queue), &what)?, task.queue);
        let http = match &task.http {
            None => None,
            Some(http) => {
                let (method, headers, body) = request_parts(http, &what)?;
                Some(json!({"url": http.url, "httpMethod": method, "headers": headers, "body": body}))
            }
        };
        let late = || Error::invalid(format!("{what} of the seed is delayed beyond all time"));
        let google = task.google.as_ref();
        let at = task.delay.map(|Length(delay)| self.now.checked_add(delay)).transpose().map_err(|_| late())?;
        let task = json!({
            "name": task.name.as_ref().map(|id| format!("{queue}/tasks/{id}")),
            "scheduleTime": at.map(|at| at.to_string()),
            "dispatchDeadline": task.dispatch_deadline.map(seconds),
            "httpRequest": http,
        });
        let task = with(task, google);
        Ok(Wish::new(what, Method::POST, format!("/v2/{queue}/tasks"), json!({"task": task})))
    }
}

/// Method, headers and body of a call; JSON brings its content type along.
fn request_parts(http: &Http, what: &str) -> Result<(String, BTreeMap<String, String>, Option<String>)> {
    let body = payload(http.body.as_deref(), http.json.as_ref(), what)?;
    let mut headers = http.headers.clone().unwrap_or_default();
    if http.json.is_some() && !headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")) {
        headers.insert("Content-Type".to_owned(), "application/json".to_owned());
    }
    Ok((http.method.as_deref().unwrap_or("POST").to_ascii_uppercase(), headers, body))
}

/// The payload in base64, given as text or as JSON.
fn payload(text: Option<&str>, json: Option<&Json>, what: &str) -> Result<Option<String>> {
    match (text, json) {
        (Some(_), Some(_)) => Err(Error::invalid(format!("{what} of the seed has its content twice, as text and as `json`"))),
        (Some(text), None) => Ok(Some(STANDARD.encode(text))),
        (None, Some(json)) => Ok(Some(STANDARD.encode(json.to_string()))),
        (None, None) => Ok(None),
    }
}

/// A length as JSON has it in protobuf: `1.5s`.
fn seconds(Length(length): Length) -> String {
    match length.subsec_nanos() {
        0 => format!("{}s", length.as_secs()),
        nanos => format!("{}.{nanos:09}s", length.as_secs()),
    }
}

/// Adds what is given in Google's own form; where both say something, that counts.
fn with(mut body: Json, google: Option<&Json>) -> Json {
    fn merge(into: &mut Json, from: &Json) {
        match (into, from) {
            (Json::Object(into), Json::Object(from)) => {
                from.iter().for_each(|(name, json)| merge(into.entry(name.as_str()).or_insert(Json::Null), json));
            }
            (into, from) => into.clone_from(from),
        }
    }
    if let Some(google) = google {
        merge(&mut body, google);
    }
    body
}

/// Leaves out what the seed does not say, so that the services' defaults hold.
fn without_nulls(json: Json) -> Json {
    match json {
        Json::Object(members) => {
            let kept = members.into_iter().filter(|(_, json)| !json.is_null()).map(|(name, json)| (name, without_nulls(json)));
            Json::Object(kept.collect::<Map<_, _>>())
        }
        Json::Array(elements) => elements.into_iter().map(without_nulls).collect(),
        other => other,
    }
}
