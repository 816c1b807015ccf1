//! What a plan learns from the messages themselves: how many of which cause, whom each would reach, what would be refused and why.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::Timestamp;
use serde::Serialize;

use super::cargo::Cargo;
use super::draft::{GENERATION, GENERATION_MAX, Marks, generation, redriven};
use super::edit::edited;
use super::engine::Target;
use super::{Delivery, Kind, Plan, Selection, TransferId};
use crate::error::Result;
use crate::model::cause::{CauseId, group};
use crate::model::filter::Filter;
use crate::model::message::{Draft, Message};
use crate::model::subscription::Subscription;
use crate::model::text;
use crate::names::{SubscriptionName, TopicName};
use crate::ops::Ops;
use crate::ops::publish::check as check_draft;

/// A plan looks at so many messages at most: one full pull.
pub(super) const LOOK_MESSAGES_MAX: usize = 1000;
/// So many messages of a topic are checked against its schema; each is a call.
const SCHEMA_CHECKS_MAX: usize = 100;
/// Calls under way at once.
const CALLS_AT_ONCE: usize = 8;

/// What was found by looking at messages; they are leased for a moment, and released.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Looked {
    /// How many were looked at.
    pub messages: u64,
    /// Whether those are all there are.
    pub complete: bool,
    /// How many of them are selected; the rest of this is about those.
    pub selected: u64,
    /// Why they failed, the most frequent first.
    pub causes: Vec<LookedCause>,
    /// What is wrong with some of them.
    pub problems: Vec<Problem>,
}

/// Messages that failed for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LookedCause {
    /// Its id.
    pub id: CauseId,
    /// How many.
    pub count: u64,
    /// What it is, escaped.
    pub cause: String,
}

/// Something that is wrong with messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What, after "which", escaped.
    pub what: String,
    /// With how many.
    pub count: u64,
    /// The id of one of them.
    pub sample: String,
    /// Whether they will not be moved for it.
    pub refused: bool,
}

/// Problems as they are found.
#[derive(Default)]
struct Problems(BTreeMap<(bool, String), (u64, String)>);

impl Problems {
    fn add(&mut self, message: &Message, refused: bool, what: impl Into<String>) {
        let entry = self.0.entry((!refused, what.into())).or_insert_with(|| (0, message.id.clone()));
        entry.0 += 1;
    }

    /// What keeps messages from being moved comes first.
    fn into_list(self) -> Vec<Problem> {
        let list = self.0.into_iter();
        list.map(|((kept, what), (count, sample))| Problem { what: text::line(&what).into_owned(), count, sample, refused: !kept })
            .collect()
    }
}

/// A message as it would be published.
struct Sendable<'a> {
    message: &'a Message,
    topic: TopicName,
    draft: Draft,
}

impl Ops {
    /// Puts what the messages tell into a plan whose routes are known.
    pub(super) async fn look_into(
        &self,
        plan: &mut Plan,
        seen: &[Message],
        complete: bool,
        held_by: &Subscription,
        ordered: &BTreeSet<SubscriptionName>,
    ) {
        let selected: Vec<&Message> = seen.iter().filter(|message| selects(&plan.request.selection, message, plan.cutoff)).collect();
        let causes = group(selected.iter().copied()).into_iter();
        let causes =
            causes.map(|one| LookedCause { id: one.cause.id(), count: one.count, cause: text::line(&one.cause.to_string()).into_owned() });
        let mut looked = Looked {
            messages: seen.len() as u64,
            complete,
            selected: selected.len() as u64,
            causes: causes.collect(),
            problems: Vec::new(),
        };
        let mut problems = Problems::default();
        if plan.request.kind == Kind::Redrive
            && matches!(plan.request.delivery, Delivery::SourceTopic | Delivery::Topic(_) | Delivery::Addressed)
        {
            let sendable = sendable(plan, &selected, &mut problems);
            reach(plan, &sendable, ordered, &mut problems);
            self.check_schemas(plan, &sendable, &mut problems).await;
        }
        expiring(plan, &selected, held_by.retention, &mut problems);
        looked.problems = problems.into_list();
        let refused: u64 = looked.problems.iter().filter(|problem| problem.refused).map(|problem| problem.count).sum();
        if complete && looked.selected > 0 && refused >= looked.selected {
            plan.refusals.extend(looked.problems.iter().filter(|problem| problem.refused).map(Problem::words));
        }
        plan.looked = Some(looked);
    }

    /// Asks the service whether what would be published fits the schema of its topic.
    async fn check_schemas(&self, plan: &mut Plan, sendable: &[Sendable<'_>], problems: &mut Problems) {
        let topics: BTreeSet<&TopicName> = sendable.iter().map(|one| &one.topic).collect();
        for topic in topics {
            let of_topic: Vec<&Sendable<'_>> = sendable.iter().filter(|one| one.topic == *topic).collect();
            let payloads = of_topic.iter().take(SCHEMA_CHECKS_MAX).map(|one| one.draft.data.clone()).collect();
            let (name, answers) = match self.fit(topic.clone(), payloads).await {
                Ok(None) => continue,
                Ok(Some(answers)) => answers,
                Err(error) => {
                    plan.warnings.push(format!("whether topic `{}` has a schema is not known: {error}", topic.id()));
                    continue;
                }
            };
            let mut unknown = None;
            for (index, answer) in answers {
                match answer {
                    Ok(()) => {}
                    Err(error) if error.is_invalid_input() => {
                        problems.add(of_topic[index].message, true, format!("does not fit schema `{name}`: {error}"));
                    }
                    Err(error) => unknown = Some(error),
                }
            }
            if let Some(error) = unknown {
                plan.warnings.push(format!("whether the messages fit schema `{name}` is not known: {error}"));
            }
            let more = of_topic.len().saturating_sub(SCHEMA_CHECKS_MAX);
            if more > 0 {
                plan.warnings.push(format!("{SCHEMA_CHECKS_MAX} messages were checked against schema `{name}`, {more} were not"));
            }
        }
    }

    /// Asks of each payload whether it fits the schema of a topic: the schema's id, and the answers by index. `None` where the topic has no schema.
    async fn fit(&self, topic: TopicName, payloads: Vec<Bytes>) -> Result<Option<(String, Vec<(usize, Result<()>)>)>> {
        let about = self.cloud().get_topic(&topic).await?;
        let Some(schema) = about.schema else { return Ok(None) };
        let encoding = about.raw.pointer("/schemaSettings/encoding").and_then(serde_json::Value::as_str).unwrap_or("JSON").to_owned();
        let calls: Vec<_> = payloads
            .into_iter()
            .enumerate()
            .map(|(index, payload)| {
                let (cloud, schema, encoding) = (self.cloud().clone(), schema.clone(), encoding.clone());
                async move { (index, cloud.validate_message(&schema, &encoding, &payload).await) }
            })
            .collect();
        let answers = stream::iter(calls).buffer_unordered(CALLS_AT_ONCE).collect().await;
        Ok(Some((schema.rsplit('/').next().unwrap_or_default().to_owned(), answers)))
    }
}

/// Tells whether a message is selected.
pub(super) fn selects(selection: &Selection, message: &Message, cutoff: Timestamp) -> bool {
    *selection == Selection::All || selection.selects(&Cargo::Message(message.clone()), cutoff)
}

/// Makes the messages as they would be published; those that cannot be are problems.
fn sendable<'a>(plan: &Plan, selected: &[&'a Message], problems: &mut Problems) -> Vec<Sendable<'a>> {
    let request = &plan.request;
    // The id is as long as a real one will be.
    let marks = Marks::of(&request.source, &TransferId("000000000".to_owned()));
    let mut out = Vec::with_capacity(selected.len());
    for &message in selected {
        let changed = match request.options.patch.as_ref().map(|patch| edited(message, patch)).transpose() {
            Ok(changed) => changed,
            Err(error) => {
                problems.add(message, true, format!("cannot be edited: {error}"));
                continue;
            }
        };
        let Some(topic) = topic_of(plan, message, problems) else { continue };
        if generation(message) >= GENERATION_MAX {
            problems.add(message, true, format!("was redriven {GENERATION_MAX} times already: it seems to be in a loop"));
            continue;
        }
        let sent = changed.as_ref().unwrap_or(message);
        let to = match (&request.delivery, message.provenance().and_then(|from| from.subscription)) {
            (Delivery::Addressed, Some(subscription)) => Target::Addressed(topic.clone(), subscription),
            _ => Target::Topic(topic.clone()),
        };
        let attributes = redriven(sent, &to, &marks);
        let draft = Draft { data: sent.data.clone(), attributes, ordering_key: sent.ordering_key.clone() };
        if let Err(error) = check_draft(&draft) {
            problems.add(message, true, error.to_string());
            continue;
        }
        if !draft.attributes.contains_key(GENERATION) {
            problems.add(
                message,
                false,
                "has no room for all `redrive-…` attributes, by its number of attributes or its size: what does not fit is left out",
            );
        }
        out.push(Sendable { message, topic, draft });
    }
    out
}

fn topic_of(plan: &Plan, message: &Message, problems: &mut Problems) -> Option<TopicName> {
    if let Delivery::Topic(topic) = &plan.request.delivery {
        return Some(topic.clone());
    }
    let Some(source) = message.provenance().and_then(|from| from.subscription) else {
        problems.add(message, true, "does not say which subscription gave it up: name a topic for it");
        return None;
    };
    let route = plan.routes.iter().find(|route| route.source.as_ref() == Some(&source));
    if route.is_none() {
        problems.add(message, true, format!("was given up by `{}`, for whose messages there is no way back", source.id()));
    }
    route.map(|route| route.topic.clone())
}

/// Counts for each receiver the messages that its filter lets through.
fn reach(plan: &mut Plan, sendable: &[Sendable<'_>], ordered: &BTreeSet<SubscriptionName>, problems: &mut Problems) {
    let any_topic = matches!(plan.request.delivery, Delivery::Topic(_));
    let mut reached = vec![false; sendable.len()];
    // By message: who takes it in any order though it has a key.
    let mut unordered: BTreeMap<&str, (&Message, BTreeSet<String>)> = BTreeMap::new();
    for route in &mut plan.routes {
        let of_route = |one: &Sendable<'_>| {
            one.topic == route.topic && (any_topic || one.message.provenance().and_then(|from| from.subscription) == route.source)
        };
        route.messages = sendable.iter().filter(|one| of_route(one)).count() as u64;
        for receiver in &mut route.receivers {
            let filter = (!receiver.filter.is_empty()).then(|| receiver.filter.parse::<Filter>());
            let filter = match filter.transpose() {
                Ok(filter) => filter,
                Err(error) => {
                    plan.warnings
                        .push(format!("the filter of `{}` cannot be read, so it counts as a match: {error}", receiver.subscription.id()));
                    None
                }
            };
            let mut matches = 0;
            for (one, reached) in sendable.iter().zip(&mut reached).filter(|(one, _)| of_route(one)) {
                if filter.as_ref().is_none_or(|filter| filter.matches(&one.draft.attributes)) {
                    matches += 1;
                    *reached = true;
                    if !one.draft.ordering_key.is_empty() && !ordered.contains(&receiver.subscription) {
                        unordered
                            .entry(one.message.id.as_str())
                            .or_insert_with(|| (one.message, BTreeSet::new()))
                            .1
                            .insert(receiver.subscription.id().to_owned());
                    }
                } else if receiver.failed {
                    problems.add(
                        one.message,
                        false,
                        format!("does not pass the filter of `{}`, which gave it up", receiver.subscription.id()),
                    );
                }
            }
            receiver.matches = Some(matches);
        }
    }
    for (message, receivers) in unordered.into_values() {
        let are = if receivers.len() == 1 { "is" } else { "are" };
        let names: Vec<_> = receivers.into_iter().collect();
        problems.add(
            message,
            false,
            format!("has an ordering key, and `{}` {are} not ordered: there it may come in any order", names.join("`, `")),
        );
    }
    let lost: Vec<_> = sendable.iter().zip(&reached).filter(|(_, reached)| !**reached).map(|(one, _)| one.message).collect();
    for message in &lost {
        problems.add(message, false, "passes no filter of any subscription: published, it vanishes");
    }
    if let Some(one) = lost.first()
        && !plan.request.options.force
    {
        plan.refusals.push(format!(
            "{} of {} messages, such as `{}`, would vanish: no subscription's filter lets them through",
            lost.len(),
            sendable.len(),
            one.id
        ));
    }
}

/// Finds what the subscription drops before its turn comes.
fn expiring(plan: &Plan, selected: &[&Message], retention: Duration, problems: &mut Problems) {
    let Some(takes) = plan.takes else { return };
    let ends = |from: Timestamp| {
        from.checked_add(retention).is_ok_and(|ends| ends.duration_since(plan.cutoff).unsigned_abs() < takes && ends > plan.cutoff)
    };
    for message in selected.iter().filter(|message| message.publish_time.is_some_and(ends)) {
        problems.add(message, false, "may expire before its turn comes at this rate");
    }
}

impl Problem {
    /// Says it in a sentence.
    pub fn words(&self) -> String {
        match self.count {
            1 => format!("message `{}` {}", self.sample, self.what),
            count => format!("{count} messages, such as `{}`: each {}", self.sample, self.what),
        }
    }
}
