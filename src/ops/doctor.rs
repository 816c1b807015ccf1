//! Looks at what trouble usually comes from, and says what to do about it. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::transfer::{State, Summary};
use super::{Ops, Place, home, peek};
use crate::error::{Error, Kind, Result};
use crate::model::dead_letter::{Broken, DeadLetterRelation, relations};
use crate::model::listing::Listing;
use crate::model::numbers::Numbers;
use crate::model::subscription::Subscription;
use crate::model::text;
use crate::names::SubscriptionName;
use crate::provision::rights::{self, Right};

/// A clock that is wrong by less is not told: the server tells whole seconds, and an answer takes its time.
const CLOCK_OFF_MAX: SignedDuration = SignedDuration::from_secs(10);
/// What expires within this time is told.
const EXPIRES_SOON: Duration = Duration::from_hours(24);
/// So many names are told; the rest is counted.
const NAMED_MAX: usize = 3;
/// Rights of so many topics and subscriptions are read; each is a call.
const RIGHTS_MAX: usize = 100;
/// Calls under way at once.
const CALLS_AT_ONCE: usize = 8;

/// How something fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Something does not work, or loses messages.
    Bad,
    /// It may soon.
    Warn,
    /// It is as it should be.
    Good,
}

/// What was found about one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub about: String,
    /// How it fares.
    pub health: Health,
    /// What was found, escaped.
    pub found: String,
    /// What to do about it, a step each; empty where nothing is.
    pub advice: Vec<String>,
}

impl Finding {
    fn new(about: impl Into<String>, health: Health, found: impl Into<String>) -> Self {
        Self { about: about.into(), health, found: text::line(&found.into()).into_owned(), advice: Vec::new() }
    }

    fn advise(mut self, step: impl Into<String>) -> Self {
        self.advice.push(text::line(&step.into()).into_owned());
        self
    }

    fn failed(about: &str, health: Health, error: &Error) -> Self {
        let finding = Self::new(about, health, error.to_string());
        match error.hint() {
            Some(hint) => finding.advise(hint),
            None => finding,
        }
    }
}

impl Ops {
    /// Looks at connection, rights, clock, data folder, transfers and dead letters; the worst comes first.
    pub async fn doctor(&self) -> Listing<Finding> {
        let as_of = Timestamp::now();
        let (topics, subscriptions, queues, jobs, numbers) =
            tokio::join!(self.topics(), self.subscriptions(), self.queues(), self.jobs(), self.numbers());
        let mut findings = vec![self.here()];
        findings.push(listed("Pub/Sub", &[counted("topics", &topics), counted("subscriptions", &subscriptions)]));
        findings.push(listed("Cloud Tasks", &[counted("queues", &queues)]));
        findings.push(listed("Cloud Scheduler", &[counted("jobs", &jobs)]));
        findings.push(monitoring(&numbers));
        let all = subscriptions.as_ref().map_or(&[][..], |listing| &listing.items);
        findings.extend(self.clock(all, &queues.map_or_else(|_| Vec::new(), |listing| listing.items)).await);
        findings.extend(self.on_disk().await);
        if subscriptions.is_ok() {
            let known = topics.ok().map(|listing| listing.items.into_iter().map(|topic| topic.name).collect::<BTreeSet<_>>());
            let related = relations(all, known.as_ref());
            findings.extend(dead_letters(&related, all, numbers.as_ref().ok()));
            findings.extend(Box::pin(self.rights(&related)).await);
            findings.extend(left_over(all));
        }
        findings.sort_by_key(|finding| finding.health);
        Listing { items: findings, ..Listing::empty(as_of) }
    }

    fn here(&self) -> Finding {
        let cloud = self.cloud();
        let place = match cloud.place() {
            Place::Google => "Google Cloud".to_owned(),
            Place::Emulator(address) => format!("the emulator at {address}"),
        };
        let read_only = if self.guard().read_only { "; read-only: nothing can be changed" } else { "" };
        Finding::new("project", Health::Good, format!("`{}` on {place}{read_only}", cloud.project().id()))
    }

    /// Compares this machine's clock with the server's.
    async fn clock(&self, subscriptions: &[Subscription], queues: &[crate::model::queue::Queue]) -> Option<Finding> {
        let told = match (subscriptions.first(), queues.first()) {
            (Some(one), _) => self.cloud().server_time(&one.name).await,
            (None, Some(queue)) => self.cloud().server_time_of_queue(&queue.name).await,
            (None, None) => return None,
        };
        Some(match told {
            Ok(time) => clock_of(Timestamp::now().duration_since(time), *self.cloud().place() == Place::Google),
            Err(error) => Finding::failed("clock", Health::Warn, &error),
        })
    }

    /// Looks at the data folder, and at the transfers in it.
    async fn on_disk(&self) -> Vec<Finding> {
        let ops = self.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let folder = &ops.0.home;
            let mut findings = vec![match writable(folder) {
                Ok(()) => Finding::new("data folder", Health::Good, format!("`{}` can be written to", folder.display())),
                Err(error) => Finding::failed("data folder", Health::Bad, &error)
                    .advise("journals and kept copies are written there: without it nothing can be moved or discarded"),
            }];
            findings.extend(match (ops.transfers(), ops.unreadable_transfers()) {
                (Ok(known), Ok(unreadable)) => transfers(&known, &unreadable),
                (Err(error), _) | (_, Err(error)) => vec![Finding::failed("transfers", Health::Bad, &error)],
            });
            findings
        });
        looked.await.unwrap_or_else(|error| {
            vec![Finding::failed("data folder", Health::Bad, &Error::new(Kind::Internal, "looking at it broke off").with_source(error))]
        })
    }

    /// Looks whether Pub/Sub itself may move dead letters. An emulator does not ask.
    async fn rights(&self, related: &[DeadLetterRelation]) -> Vec<Finding> {
        let mut needed: BTreeMap<String, Right> = BTreeMap::new();
        for relation in related {
            needed.insert(relation.source.to_string(), Right::Acknowledge);
            if let Some(topic) = relation.dead_letter_topic.as_ref().filter(|_| relation.broken != Some(Broken::TopicMissing)) {
                needed.insert(topic.to_string(), Right::Publish);
            }
        }
        if *self.cloud().place() != Place::Google || needed.is_empty() {
            return Vec::new();
        }
        let agent = match self.cloud().project_number().await {
            Ok(number) => rights::agent(&number),
            Err(error) => return vec![Finding::failed("rights", Health::Warn, &error)],
        };
        let count = needed.len();
        let looks = needed.into_iter().take(RIGHTS_MAX).map(|(resource, right)| {
            let cloud = self.cloud().clone();
            async move {
                let policy = cloud.iam_policy(&resource).await;
                (resource, right, policy)
            }
        });
        let looks: Vec<_> = looks.collect();
        let found: Vec<_> = stream::iter(looks).buffered(CALLS_AT_ONCE).collect().await;
        let found = found.into_iter().filter_map(|(resource, right, policy)| match policy {
            Ok(policy) if rights::holds(&policy, &agent, right) => None,
            Ok(_) => Some(missing_right(&resource, right, &agent)),
            Err(error) => Some(Finding::failed("rights", Health::Warn, &error)),
        });
        let mut findings: Vec<Finding> = found.collect();
        // Who may not read one policy may mostly read none: said once.
        findings.dedup_by(|a, b| a.health == Health::Warn && b.health == Health::Warn);
        if findings.is_empty() {
            findings.push(Finding::new("rights", Health::Good, format!("Pub/Sub may move dead letters: {count} policies grant it")));
        }
        findings
    }
}

/// What a listing came to.
type Counted<'a> = (&'static str, std::result::Result<(usize, &'a [(String, Error)]), &'a Error>);

fn counted<'a, T>(what: &'static str, listing: &'a Result<Listing<T>>) -> Counted<'a> {
    (what, listing.as_ref().map(|listing| (listing.items.len(), listing.failed.as_slice())))
}

/// Tells whether a service answers.
fn listed(about: &str, parts: &[Counted<'_>]) -> Finding {
    let mut counts = Vec::new();
    for (what, listing) in parts {
        match listing {
            Err(error) => return Finding::failed(about, Health::Bad, error),
            Ok((_, [(place, error), ..])) => return Finding::failed(&format!("{about}, {}", text::line(place)), Health::Warn, error),
            Ok((count, [])) => counts.push(format!("{count} {what}")),
        }
    }
    Finding::new(about, Health::Good, format!("answers: {}", counts.join(", ")))
}

fn monitoring(numbers: &Result<Numbers>) -> Finding {
    match numbers {
        Err(error) => Finding::failed("Monitoring", Health::Warn, error),
        Ok(numbers) => match numbers.problems.first() {
            Some(problem) => Finding::new("Monitoring", Health::Warn, problem.clone()),
            None => Finding::new("Monitoring", Health::Good, "answers: backlogs and rates are known"),
        },
    }
}

fn clock_of(ahead: SignedDuration, matters: bool) -> Finding {
    let seconds = ahead.abs().as_secs();
    let way = if ahead.is_negative() { "behind" } else { "ahead of" };
    if ahead.abs() <= CLOCK_OFF_MAX {
        return Finding::new("clock", Health::Good, "agrees with the server's");
    }
    let words = format!("this machine is {seconds} s {way} the server");
    if !matters {
        return Finding::new("clock", Health::Good, format!("{words}: an emulator's clock can be moved"));
    }
    Finding::new("clock", Health::Warn, words)
        .advise("set the clock by the network (`timedatectl set-ntp true`): tokens may be refused, and ages shown are wrong")
}

/// Tries whether files can be made in a folder.
fn writable(folder: &Path) -> Result<()> {
    let path = folder.join(format!("doctor-{}", std::process::id()));
    drop(home::create_new(&path)?);
    std::fs::remove_file(&path).map_err(|error| home::unusable(&path, error))
}

fn transfers(known: &[Summary], unreadable: &[(String, Error)]) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        unreadable.iter().map(|(id, error)| Finding::failed(&format!("transfer {id}"), Health::Bad, error)).collect();
    let stopped: Vec<&Summary> = known.iter().filter(|summary| summary.state == State::Stopped).collect();
    for summary in stopped.iter().take(NAMED_MAX) {
        let why = summary.errors.last().map_or_else(|| "its process ended".to_owned(), Clone::clone);
        let words = format!("{} stopped before its end: {why}", summary.request.words());
        let finding = Finding::new(format!("transfer {}", summary.id), Health::Warn, words);
        findings.push(finding.advise(format!("go on with it: `redrive transfers resume {}`", summary.id)));
    }
    if stopped.len() > NAMED_MAX {
        let more = Finding::new("transfers", Health::Warn, format!("{} more stopped before their end", stopped.len() - NAMED_MAX));
        findings.push(more.advise("see them all: `redrive transfers list`"));
    }
    if findings.is_empty() {
        findings.push(Finding::new("transfers", Health::Good, format!("{} known here, none stopped before its end", known.len())));
    }
    findings
}

fn dead_letters(related: &[DeadLetterRelation], all: &[Subscription], numbers: Option<&Numbers>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = related.iter().filter_map(|relation| Some(broken(relation, relation.broken?))).collect();
    let holders: BTreeSet<&SubscriptionName> = related.iter().flat_map(|relation| &relation.holders).collect();
    for holder in all.iter().filter(|one| holders.contains(&one.name)) {
        let oldest = numbers.and_then(|numbers| numbers.subscriptions.get(&holder.name)?.oldest_age);
        findings.extend(oldest.and_then(|oldest| expiring(holder.name.id(), holder.retention, oldest.value)));
    }
    if findings.is_empty() {
        let words = if related.is_empty() {
            "no subscription has a dead-letter policy".to_owned()
        } else {
            format!("{} relations, none broken", related.len())
        };
        findings.push(Finding::new("dead letters", Health::Good, words));
    }
    findings
}

fn broken(relation: &DeadLetterRelation, broken: Broken) -> Finding {
    let (source, topic) = (relation.source.id(), relation.dead_letter_topic.as_ref().map_or("TOPIC", |topic| topic.id()));
    let about = format!("dead letters of {source}");
    match broken {
        Broken::TopicMissing => {
            Finding::new(about, Health::Bad, "their topic is missing: nothing is given up, and what fails is tried for ever")
                .advise(format!("name another: `gcloud pubsub subscriptions update {source} --dead-letter-topic=TOPIC`"))
        }
        Broken::NoHolder => Finding::new(about, Health::Bad, format!("topic `{topic}` has no subscription: what lands there is lost"))
            .advise(format!("give it one: `gcloud pubsub subscriptions create {topic}-hold --topic={topic}`")),
        Broken::SourceTopicMissing => {
            Finding::new(about, Health::Warn, "the topic they came from is deleted: there is nowhere to redrive to")
                .advise("redrive to another: `redrive dlq redrive SUBSCRIPTION --to TOPIC`, or discard them")
        }
    }
}

fn expiring(id: &str, retention: Duration, oldest: Duration) -> Option<Finding> {
    let left = retention.saturating_sub(oldest);
    // What is kept for a short time only is not always about to go.
    if left >= EXPIRES_SOON.min(retention / 4) {
        return None;
    }
    let words = format!("the oldest message of `{id}` is deleted within {}: it is kept for {}", span(left), span(retention));
    let finding = Finding::new(format!("dead letters in {id}"), Health::Warn, words);
    Some(finding.advise(format!(
        "redrive them (`redrive dlq redrive {id} --dry-run`), or keep them: `redrive dlq export {id} --to-file {id}.jsonl`"
    )))
}

/// Writes a span in whole units, rounded up.
fn span(span: Duration) -> String {
    match span.as_secs().div_ceil(60) {
        minutes @ 0..120 => format!("{minutes} min"),
        minutes @ 120..2880 => format!("{} h", minutes.div_ceil(60)),
        minutes => format!("{} d", minutes.div_ceil(24 * 60)),
    }
}

fn missing_right(resource: &str, right: Right, agent: &str) -> Finding {
    let id = resource.rsplit('/').next().unwrap_or(resource);
    let (kind, what) = match right {
        Right::Publish => ("topics", "publish to the dead-letter topic"),
        Right::Acknowledge => ("subscriptions", "take messages off the subscription"),
    };
    let words = format!("Pub/Sub may not {what} `{id}`: nothing becomes a dead letter");
    Finding::new("rights", Health::Bad, words)
        .advise(format!("grant it: `gcloud pubsub {kind} add-iam-policy-binding {id} --member={agent} --role={}`", right.role()))
}

fn left_over(all: &[Subscription]) -> Option<Finding> {
    let ours: Vec<&str> = all.iter().filter(|one| peek::is_ours(&one.name)).map(|one| one.name.id()).collect();
    let first = ours.first()?;
    let words = format!("{} made by redrive to look or to watch, such as `{first}`: in use now, or left by a crash", ours.len());
    let finding = Finding::new("subscriptions", Health::Warn, words);
    Some(finding.advise(format!("they expire a day after their last use; at once: `gcloud pubsub subscriptions delete {first}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_is_told_by_how_much_and_which_way() {
        let found = |seconds: i64, matters: bool| {
            let finding = clock_of(SignedDuration::from_secs(seconds), matters);
            (finding.health, finding.found, finding.advice.len())
        };
        assert_eq!(found(-9, true), (Health::Good, "agrees with the server's".into(), 0));
        assert_eq!(found(-90, true), (Health::Warn, "this machine is 90 s behind the server".into(), 1));
        assert_eq!(found(3600, true).1, "this machine is 3600 s ahead of the server");
        assert_eq!(found(3600, false).0, Health::Good);
    }

    #[test]
    fn what_expires_soon_is_told_in_time() {
        let (day, week) = (Duration::from_hours(24), Duration::from_hours(7 * 24));
        assert!(expiring("hold", week, 5 * day).is_none());
        let finding = expiring("hold", week, week.saturating_sub(Duration::from_mins(11 * 60 + 30))).unwrap();
        assert_eq!(finding.found, "the oldest message of `hold` is deleted within 12 h: it is kept for 7 d");
        assert!(finding.advice[0].contains("redrive dlq export hold --to-file hold.jsonl"), "{finding:?}");
        let short = Duration::from_mins(10);
        assert!(expiring("hold", short, Duration::from_mins(2)).is_none(), "it is always gone within a day");
        let finding = expiring("hold", short, Duration::from_mins(9)).unwrap();
        assert_eq!(finding.found, "the oldest message of `hold` is deleted within 1 min: it is kept for 10 min");
    }

    #[test]
    fn a_missing_right_is_told_with_the_command_that_grants_it() {
        let finding = missing_right("projects/p/topics/dead", Right::Publish, "serviceAccount:agent");
        assert_eq!(finding.found, "Pub/Sub may not publish to the dead-letter topic `dead`: nothing becomes a dead letter");
        let command = "`gcloud pubsub topics add-iam-policy-binding dead --member=serviceAccount:agent --role=roles/pubsub.publisher`";
        assert!(finding.advice[0].ends_with(command), "{finding:?}");
    }
}
