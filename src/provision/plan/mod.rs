//! From what is there to what shall be: pure.

use std::collections::BTreeSet;
use std::fmt;

use super::desired::{Desired, Job, Push, Queue, Subscription, Wrapping};
use super::diff::{self, Change};
use super::found::{Found, FoundQueue, Labels};
use super::rights::{self, Right};
use crate::model::text;
use crate::names::{JobName, SubscriptionName, TopicName};

/// What the names of subscriptions that hold dead letters end with, unless they are given another.
pub(crate) const HOLD_SUFFIX: &str = "-hold";

/// What is to be done, as a difference that can be read: `+` is made, `~` changed, `-` deleted, and `!` cannot be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub(super) owner: String,
    pub(super) steps: Vec<Step>,
    pub(super) refusals: Vec<Refusal>,
    /// Whether what is not needed any more is deleted.
    pub(super) prune: bool,
}

/// One thing to be done.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    CreateTopic(TopicName),
    /// It is there, and says of nobody that he made it.
    AdoptTopic(TopicName, Labels),
    CreateSubscription(Subscription),
    /// With the labels by which it becomes this app's, where it says of nobody that he made it.
    UpdateSubscription(Subscription, Vec<Change>, Option<Labels>),
    Grant {
        agent: String,
        rights: Vec<(String, Right)>,
    },
    CreateQueue(Queue),
    UpdateQueue(Queue, Vec<Change>),
    PauseQueue(Queue),
    CreateJob(Job),
    UpdateJob(Job, Vec<Change>),
    DeleteSubscription(SubscriptionName),
    DeleteTopic(TopicName),
    DeleteJob(JobName),
}

/// What cannot be done, and what helps.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) words: String,
}

/// Plans.
pub(super) fn plan(desired: &Desired, found: &Found, prune: bool) -> Plan {
    let mut plan = Plan { owner: desired.owner.clone(), steps: Vec::new(), refusals: Vec::new(), prune };
    plan.topics(desired, found);
    plan.subscriptions(desired, found);
    plan.rights(desired, found);
    plan.queues(desired, found);
    plan.jobs(desired, found);
    for (kind, name, words) in &desired.warnings {
        plan.refuse(kind, name, words.clone());
    }
    // A prefix that is empty, or is that of everybody, is nobody's own.
    if !desired.prefix.is_empty() {
        plan.leftovers(desired, found);
    }
    plan
}

impl Plan {
    fn topics(&mut self, desired: &Desired, found: &Found) {
        for topic in &desired.topics {
            match found.topics.get(topic) {
                None => self.steps.push(Step::CreateTopic(topic.clone())),
                Some(labels) if labels.owner().is_none() => {
                    self.steps.push(Step::AdoptTopic(topic.clone(), labels.clone().adopted_by(&desired.owner)));
                }
                Some(_) => {}
            }
        }
    }

    fn subscriptions(&mut self, desired: &Desired, found: &Found) {
        for wanted in &desired.subscriptions {
            if let Some(topic) = wanted.topic.as_ref().filter(|topic| !is_there(topic, desired, found)) {
                self.refuse(
                    "subscription",
                    wanted.name.id(),
                    format!("its topic `{topic}` is another's and not there: provision that app first"),
                );
                continue;
            }
            let Some((present, labels)) = found.subscriptions.get(&wanted.name) else {
                self.steps.push(Step::CreateSubscription(wanted.clone()));
                continue;
            };
            let fixed = diff::fixed(present, wanted);
            if !fixed.is_empty() {
                let id = wanted.name.id();
                let words = format!(
                    "{} cannot be changed: give the subscription another name, or delete it with its backlog (`gcloud pubsub subscriptions delete {id}`) and provision again",
                    fixed.join(", ")
                );
                self.refuse("subscription", id, words);
            }
            let wanted = packed_as(present, wanted.clone());
            let changes = diff::subscription(present, &wanted);
            let adopted = labels.owner().is_none().then(|| labels.clone().adopted_by(&desired.owner));
            if !changes.is_empty() || adopted.is_some() {
                self.steps.push(Step::UpdateSubscription(wanted, changes, adopted));
            }
        }
    }

    fn rights(&mut self, desired: &Desired, found: &Found) {
        for (resource, why) in &found.unread {
            let words = format!("whether it may do its part on `{resource}` is not known, for the rights could not be read: {why}");
            self.refuse("iam", "pubsub service agent", words);
        }
        let is_open = |resource: &String| !found.granted.contains(resource) && !found.unread.iter().any(|(unread, _)| unread == resource);
        let missing: Vec<_> = rights::needed(desired).into_iter().filter(|(resource, _)| is_open(resource)).collect();
        match &found.agent {
            _ if missing.is_empty() => {}
            Ok(agent) => self.steps.push(Step::Grant { agent: agent.clone(), rights: missing }),
            Err(why) => self.refuse("iam", "pubsub service agent", format!("nothing becomes a dead letter until it may: {why}")),
        }
    }

    fn queues(&mut self, desired: &Desired, found: &Found) {
        for wanted in &desired.queues {
            let Some(present) = found.queues.get(&wanted.name) else {
                self.steps.push(Step::CreateQueue(wanted.clone()));
                continue;
            };
            self.attempts(wanted, present);
            let changes = diff::queue(present, wanted);
            if !changes.is_empty() {
                self.steps.push(Step::UpdateQueue(wanted.clone(), changes));
            }
            if wanted.paused && !present.paused {
                self.steps.push(Step::PauseQueue(wanted.clone()));
            }
        }
    }

    /// Attempts of a queue that nothing here sets, and that do not fit its tasks.
    fn attempts(&mut self, wanted: &Queue, present: &FoundQueue) {
        let id = wanted.name.id();
        let is_endless = present.attempts_max.is_none() && present.duration_max.is_none();
        if is_endless && !wanted.endless {
            let words = format!(
                "its attempts are endless, and no task in it has a dead set (any more): what fails is tried for ever; limit them (`gcloud tasks queues update {id} --max-attempts=100`)"
            );
            self.refuse("queue", id, words);
        }
        if let (Some(min), Some(max), false) = (wanted.attempts_min, present.attempts_max, wanted.endless)
            && max < min
        {
            let words = format!(
                "it gives a task up after {max} attempts, and messages in it become dead letters only after {min}: give it as many (`gcloud tasks queues update {id} --max-attempts={min}`)"
            );
            self.refuse("queue", id, words);
        }
    }

    fn jobs(&mut self, desired: &Desired, found: &Found) {
        for wanted in &desired.jobs {
            match found.jobs.get(&wanted.name) {
                None => self.steps.push(Step::CreateJob(wanted.clone())),
                Some(None) => {
                    let words = "a job of this name is there that does not send a request: delete it, or name the periodic task otherwise";
                    self.refuse("job", wanted.name.id(), words.to_owned());
                }
                Some(Some(present)) => {
                    let changes = diff::job(present, wanted);
                    if !changes.is_empty() {
                        self.steps.push(Step::UpdateJob(wanted.clone(), changes));
                    }
                }
            }
        }
    }

    /// What this app made earlier: of its prefix, and marked as its own. Queues stay: Google blocks the name of a deleted one for days, and its tasks go with it.
    fn leftovers(&mut self, desired: &Desired, found: &Found) {
        let ours = |id: &str, labels: &Labels| id.starts_with(&desired.prefix) && labels.is_made_by(&desired.owner);
        let wanted: BTreeSet<&SubscriptionName> = desired.subscriptions.iter().map(|subscription| &subscription.name).collect();
        let mut going = BTreeSet::new();
        for (name, (present, labels)) in &found.subscriptions {
            if !ours(name.id(), labels) || wanted.contains(name) {
                continue;
            }
            if may_hold(present, found) {
                let id = name.id();
                self.keep("subscription", id, format!("may hold dead letters: look (`redrive dlq {id}`), and delete it by hand (`gcloud pubsub subscriptions delete {id}`)"));
            } else {
                going.insert(name);
                self.steps.push(Step::DeleteSubscription(name.clone()));
            }
        }
        let wanted: BTreeSet<&TopicName> = desired.topics.iter().collect();
        for (name, _) in found.topics.iter().filter(|(name, labels)| ours(name.id(), labels) && !wanted.contains(name)) {
            match found.subscriptions.values().find(|(it, _)| !going.contains(&it.name) && uses(it, name, desired)) {
                Some((user, _)) => {
                    self.keep("topic", name.id(), format!("is not needed here any more, but by the subscription `{}`", user.name.id()));
                }
                None => self.steps.push(Step::DeleteTopic(name.clone())),
            }
        }
        let wanted: BTreeSet<&JobName> = desired.jobs.iter().map(|job| &job.name).collect();
        // Jobs have no labels: one of this app calls its service.
        let calls_us = |job: &Job| job.url.strip_prefix(desired.url.trim_end_matches('/')).is_some_and(|path| path.starts_with('/'));
        let jobs = found
            .jobs
            .iter()
            .filter(|(name, job)| name.id().starts_with(&desired.prefix) && !wanted.contains(name) && job.as_ref().is_some_and(calls_us));
        self.steps.extend(jobs.map(|(name, _)| Step::DeleteJob(name.clone())));
    }

    /// Says why something is not deleted; to those who ask for deletions.
    fn keep(&mut self, kind: &'static str, name: &str, words: String) {
        if self.prune {
            self.refuse(kind, name, words);
        }
    }

    fn refuse(&mut self, kind: &'static str, name: &str, words: String) {
        self.refusals.push(Refusal { kind, name: name.to_owned(), words });
    }

    /// Tells whether everything is as it shall be.
    pub fn is_empty(&self) -> bool {
        self.steps.iter().all(|step| step.deletes() && !self.prune) && self.refusals.is_empty()
    }

    /// Returns how many things cannot be done as desired: each has a line with `!` that says what helps.
    pub fn refused(&self) -> usize {
        self.refusals.len()
    }

    /// Returns what is done when the plan is carried out.
    pub(super) fn due(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| self.prune || !step.deletes())
    }
}

/// What is packed so that its receiver can tell stays as it is, unless the app says otherwise.
fn packed_as(present: &Subscription, mut wanted: Subscription) -> Subscription {
    if let (Some(Push { wrapping: Wrapping::WithMetadata, .. }), Some(push)) = (&present.push, &mut wanted.push) {
        push.wrapping = Wrapping::WithMetadata;
    }
    wanted
}

/// Tells whether dead letters may wait in a subscription: it is marked so, named so, or on a topic for such.
fn may_hold(it: &Subscription, found: &Found) -> bool {
    let is_for_dead = |topic: &TopicName| {
        found.subscriptions.values().any(|(other, _)| other.dead_letters.as_ref().is_some_and(|policy| policy.topic == *topic))
    };
    it.holds || it.name.id().ends_with(HOLD_SUFFIX) || it.topic.as_ref().is_some_and(is_for_dead)
}

/// Tells whether a subscription listens to a topic, or gives up to it: also once the plan is carried out.
fn uses(it: &Subscription, topic: &TopicName, desired: &Desired) -> bool {
    let is_ours = desired.subscriptions.iter().any(|wanted| wanted.name == it.name);
    it.topic.as_ref() == Some(topic) || (!is_ours && it.dead_letters.as_ref().is_some_and(|policy| policy.topic == *topic))
}

fn is_there(topic: &TopicName, desired: &Desired, found: &Found) -> bool {
    // What is in another project is not listed.
    desired.topics.contains(topic) || found.topics.contains_key(topic) || topic.project() != desired.location.project()
}

/// One line: sign, kind, name, and what is to be said of it.
struct Line {
    sign: char,
    kind: &'static str,
    name: String,
    words: String,
}

impl Step {
    /// Tells whether it deletes.
    pub(super) fn deletes(&self) -> bool {
        matches!(self, Self::DeleteTopic(_) | Self::DeleteSubscription(_) | Self::DeleteJob(_))
    }

    /// Returns the kind and name of what it is about.
    pub(super) fn subject(&self) -> (&'static str, String) {
        match self {
            Self::CreateTopic(name) | Self::AdoptTopic(name, _) | Self::DeleteTopic(name) => ("topic", name.id().to_owned()),
            Self::CreateSubscription(it) | Self::UpdateSubscription(it, ..) => ("subscription", it.name.id().to_owned()),
            Self::DeleteSubscription(name) => ("subscription", name.id().to_owned()),
            Self::Grant { .. } => ("iam", String::new()),
            Self::CreateQueue(queue) | Self::UpdateQueue(queue, _) | Self::PauseQueue(queue) => ("queue", queue.name.id().to_owned()),
            Self::CreateJob(job) | Self::UpdateJob(job, _) => ("job", job.name.id().to_owned()),
            Self::DeleteJob(name) => ("job", name.id().to_owned()),
        }
    }

    fn line(&self, owner: &str, prune: bool) -> Line {
        let joined = |changes: &[Change]| changes.iter().map(|change| change.words.as_str()).collect::<Vec<_>>().join("; ");
        let (sign, words) = match self {
            Self::AdoptTopic(..) => ('~', format!("made by – → {owner}")),
            Self::CreateSubscription(it) => ('+', it.topic.as_ref().map(|topic| format!("on {}", topic.id())).unwrap_or_default()),
            Self::UpdateSubscription(_, changes, adopted) => {
                let made_by = adopted.as_ref().map(|_| format!("made by – → {owner}"));
                ('~', [joined(changes)].into_iter().filter(|words| !words.is_empty()).chain(made_by).collect::<Vec<_>>().join("; "))
            }
            Self::Grant { rights, .. } => ('+', format!("pubsub service agent: {}", granted(rights))),
            Self::CreateQueue(queue) if queue.paused => ('+', "a dead set: paused, endless attempts".to_owned()),
            Self::CreateQueue(queue) if queue.endless => ('+', "endless attempts: the runtime counts them".to_owned()),
            Self::CreateTopic(_) | Self::CreateQueue(_) => ('+', String::new()),
            Self::UpdateQueue(_, changes) | Self::UpdateJob(_, changes) => ('~', joined(changes)),
            Self::PauseQueue(_) => ('~', "running → paused".to_owned()),
            Self::CreateJob(job) => ('+', format!("`{}` {}", job.schedule, job.time_zone)),
            Self::DeleteTopic(_) | Self::DeleteSubscription(_) | Self::DeleteJob(_) if prune => ('-', String::new()),
            Self::DeleteTopic(_) | Self::DeleteSubscription(_) | Self::DeleteJob(_) => ('-', "(with --prune)".to_owned()),
        };
        let (kind, name) = self.subject();
        Line { sign, kind, name, words }
    }
}

/// `publisher on A, subscriber on B`
fn granted(rights: &[(String, Right)]) -> String {
    let short = |resource: &str| resource.rsplit('/').next().unwrap_or(resource).to_owned();
    let one = |(resource, right): &(String, Right)| {
        let role = if *right == Right::Publish { "publisher" } else { "subscriber" };
        format!("{role} on {}", short(resource))
    };
    rights.iter().map(one).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Plan {
    /// Writes a line for each step and refusal, with a line break after each; nothing when there is none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The widest kind is `subscription`.
        const KIND_CHARS: usize = 14;
        let refusals = self.refusals.iter().map(|refusal| Line {
            sign: '!',
            kind: refusal.kind,
            name: refusal.name.clone(),
            words: refusal.words.clone(),
        });
        let lines: Vec<Line> = self.steps.iter().map(|step| step.line(&self.owner, self.prune)).chain(refusals).collect();
        let names = lines.iter().filter(|line| !line.words.is_empty()).map(|line| line.name.chars().count()).max().unwrap_or(0) + 3;
        for Line { sign, kind, name, words } in &lines {
            let whole = match (name.is_empty(), words.is_empty()) {
                (true, _) => format!("{sign} {kind:KIND_CHARS$}{words}"),
                (_, true) => format!("{sign} {kind:KIND_CHARS$}{name}"),
                _ => format!("{sign} {kind:KIND_CHARS$}{name:names$}{words}"),
            };
            // Names and filters of others are data.
            writeln!(f, "{}", text::line(&whole))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
