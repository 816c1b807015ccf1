//! What differs between two resources, in words and in the fields to be changed.

use std::collections::BTreeMap;
use std::time::Duration;

use super::desired::{DeadLetterPolicy, Job, Push, Queue, Subscription, Wrapping};
use super::found::FoundQueue;

/// One difference.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    /// The field in the update's mask.
    pub(super) path: &'static str,
    /// `ack deadline 10 s → 30 s`
    pub(super) words: String,
}

impl Change {
    fn new(path: &'static str, what: &str, from: impl AsRef<str>, to: impl AsRef<str>) -> Self {
        Self { path, words: format!("{what} {} → {}", from.as_ref(), to.as_ref()) }
    }
}

/// Collects differences of values that are shown by a function.
struct Differences(Vec<Change>);

impl Differences {
    fn of<T: PartialEq>(&mut self, path: &'static str, what: &str, from: &T, to: &T, show: impl Fn(&T) -> String) {
        if from != to {
            self.0.push(Change::new(path, what, show(from), show(to)));
        }
    }
}

/// What can be changed of a subscription.
pub(super) fn subscription(from: &Subscription, to: &Subscription) -> Vec<Change> {
    let mut all = Differences(Vec::new());
    all.of("push_config", "push", &from.push, &to.push, |it| show_push(it.as_ref()));
    all.of("ack_deadline_seconds", "ack deadline", &from.ack_deadline, &to.ack_deadline, |it| span(*it));
    all.of("dead_letter_policy", "dead letters", &from.dead_letters, &to.dead_letters, |it| show_dead_letters(it.as_ref()));
    all.of("retry_policy", "back-off", &from.backoff, &to.backoff, |it| {
        it.map_or_else(none, |(min, max)| format!("{}–{}", span(min), span(max)))
    });
    if to.retention.is_some() {
        all.of("message_retention_duration", "retention", &from.retention, &to.retention, |it| it.map_or_else(none, span));
    }
    all.of("expiration_policy", "expires", &from.expires, &to.expires, |it| it.map_or_else(|| "never".to_owned(), span));
    all.of("enable_exactly_once_delivery", "exactly once", &from.exactly_once, &to.exactly_once, |it| yes(*it));
    all.0
}

/// What differs and cannot be changed: in words.
pub(super) fn fixed(from: &Subscription, to: &Subscription) -> Vec<String> {
    let mut all = Differences(Vec::new());
    all.of("", "topic", &from.topic, &to.topic, |it| it.as_ref().map_or_else(|| "deleted".to_owned(), |topic| topic.id().to_owned()));
    all.of("", "filter", &from.filter, &to.filter, |it| if it.is_empty() { none() } else { format!("`{it}`") });
    all.of("", "ordered", &from.ordered, &to.ordered, |it| yes(*it));
    all.0.into_iter().map(|change| change.words).collect()
}

/// What can be changed of a queue.
pub(super) fn queue(from: &FoundQueue, to: &Queue) -> Vec<Change> {
    let mut all = Differences(Vec::new());
    if to.endless {
        all.of("retry_config.max_attempts", "attempts", &from.attempts_max, &None, |it| {
            it.map_or_else(|| "endless".to_owned(), |n| n.to_string())
        });
        let show = |it: &Option<Duration>| it.map_or_else(|| "unlimited".to_owned(), span);
        all.of("retry_config.max_retry_duration", "retried for", &from.duration_max, &None, show);
    }
    all.0
}

/// What can be changed of a job.
pub(super) fn job(from: &Job, to: &Job) -> Vec<Change> {
    let mut all = Differences(Vec::new());
    all.of("schedule", "schedule", &from.schedule, &to.schedule, |it| format!("`{it}`"));
    all.of("time_zone", "zone", &from.time_zone, &to.time_zone, Clone::clone);
    all.of("description", "description", &from.description, &to.description, |it| if it.is_empty() { none() } else { format!("“{it}”") });
    all.of("http_target", "url", &from.url, &to.url, Clone::clone);
    if from.body != to.body {
        all.0.push(Change { path: "http_target", words: format!("payload {} B → {} B", from.body.len(), to.body.len()) });
    }
    let present = without_default(&from.headers, &to.headers);
    if present != to.headers {
        let names = |headers: &BTreeMap<String, String>| headers.keys().cloned().collect::<Vec<_>>().join(", ");
        all.0.push(Change { path: "http_target", words: format!("headers ({}) → ({})", names(&present), names(&to.headers)) });
    }
    all.of("http_target", "token", &from.token, &to.token, |it| show_token(it.as_ref()));
    all.of("retry_config", "retries", &from.retries, &to.retries, u32::to_string);
    all.of("attempt_deadline", "attempt deadline", &from.attempt_deadline, &to.attempt_deadline, |it| span(*it));
    all.0
}

/// Cloud Scheduler gives a job without a content type this one.
fn without_default(present: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let added = |name: &str, value: &str| name == "content-type" && value == "application/octet-stream" && !wanted.contains_key(name);
    present.iter().filter(|(name, value)| !added(name, value)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn none() -> String {
    "–".to_owned()
}

fn yes(is: bool) -> String {
    if is { "yes".to_owned() } else { "no".to_owned() }
}

fn show_push(push: Option<&Push>) -> String {
    match push {
        None => "pull".to_owned(),
        Some(Push { endpoint, token, wrapping }) => {
            let packed = match wrapping {
                Wrapping::Wrapped => "",
                Wrapping::WithMetadata => ", unwrapped with metadata",
                Wrapping::Bare => ", unwrapped",
            };
            format!("{endpoint} ({}{packed})", show_token(token.as_ref()))
        }
    }
}

fn show_token(token: Option<&(String, String)>) -> String {
    token.map_or_else(|| "no token".to_owned(), |(account, audience)| format!("token of {account} for {audience}"))
}

fn show_dead_letters(policy: Option<&DeadLetterPolicy>) -> String {
    policy.map_or_else(none, |policy| format!("{} ({} attempts)", policy.topic.id(), policy.attempts_max))
}

/// Writes a span in its largest whole unit: `30 s`, `5 min`, `7 d`.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let units = [(86_400, "d"), (3600, "h"), (60, "min")];
    match units.iter().find(|(unit, _)| seconds >= 2 * unit && seconds.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{} {name}", seconds / unit),
        None => format!("{seconds} s"),
    }
}
