//! The look before the leap: routes, receivers, refusals, warnings. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::SignedDuration;

use super::Source as From;
use super::engine::HELD_MAX;
use super::look::absolute;
use super::{Delivery, Kind, Plan, Receiver, Request, Route, Selection, WINDOW_MAX};
use crate::error::{Error, Result};
use crate::model::dead_letter::relations;
use crate::model::numbers::{Measured, Source};
use crate::model::subscription::{self, Subscription};
use crate::names::{SubscriptionName, TopicName};
use crate::ops::Ops;
use crate::ops::peek::is_ours;

/// Messages looked at where no subscription says that it gives up to this one's topic.
const SAMPLE_MESSAGES: u32 = 10;
/// A subscription with a longer ack deadline is warned about: the transfer waits two of them before it is sure to be done.
const DEADLINE_LONG: Duration = Duration::from_mins(1);

/// The numbers only tell how many to expect: they are not waited for longer than this.
const NUMBERS_WAIT: Duration = Duration::from_secs(4);

/// A destination as it was found.
struct Destination {
    source: Option<SubscriptionName>,
    topic: TopicName,
    /// Its subscriptions, or why nothing can be published there.
    receivers: std::result::Result<Vec<Subscription>, String>,
}

impl Ops {
    /// Looks before the leap: what a transfer would do. Changes nothing.
    ///
    /// Where no subscription is known to give up to the topic that `request.source` listens to, a few of its messages are leased, looked at for where
    /// they came from, and released.
    pub async fn plan_transfer(&self, request: Request) -> Result<Plan> {
        check(&request)?;
        match request.source.clone() {
            From::Subscription(name) => Box::pin(self.plan(request, &name)).await,
            From::Queue(name) => Box::pin(self.plan_tasks(request, &name)).await,
            From::File(_) | From::Kept(_) => Box::pin(self.plan_file(request)).await,
        }
    }

    async fn plan(&self, mut request: Request, name: &SubscriptionName) -> Result<Plan> {
        let (clock, held_by, listed, numbers) = tokio::join!(
            self.cloud().server_time(name),
            self.cloud().get_subscription(name),
            self.subscriptions(),
            tokio::time::timeout(NUMBERS_WAIT, self.numbers())
        );
        let (clock, held_by) = (clock?, held_by?);
        let expected = match &request.selection {
            Selection::Messages(ids) => Some(Measured { value: ids.len() as u64, source: Source::Counted, as_of: clock }),
            Selection::Matching(_) | Selection::Cause(_) => None,
            Selection::All => numbers.ok().and_then(Result::ok).and_then(|numbers| numbers.subscriptions.get(name)?.backlog),
        };
        // The header has whole seconds: the second that has begun counts, and what comes straight back is known by its own mark.
        let cutoff = clock + SignedDuration::from_nanos(999_999_999);
        if let Delivery::File(path) = &mut request.delivery {
            *path = absolute(path)?;
        }
        let mut plan = Plan { expected, ..Plan::of(request, cutoff) };
        self.check_source(&held_by, &mut plan)?;
        if matches!(plan.request.delivery, Delivery::SourceTopic | Delivery::Topic(_) | Delivery::Addressed)
            && plan.request.kind != Kind::Discard
        {
            let subscriptions = listed?.items;
            let destinations = self.destinations(&plan.request.delivery, &held_by, &subscriptions, plan.refusals.is_empty()).await?;
            routes(destinations, &held_by, &mut plan);
        }
        Ok(plan)
    }

    /// Sees whether messages can be taken out of the subscription.
    fn check_source(&self, held_by: &Subscription, plan: &mut Plan) -> Result<()> {
        let name = &held_by.name;
        let id = name.id();
        match &held_by.delivery {
            subscription::Delivery::Pull => {}
            subscription::Delivery::Push { .. } => plan.refusals.push(format!(
                "subscription `{id}` pushes, so its messages cannot be pulled: turn it to pull first (`gcloud pubsub subscriptions modify-push-config {id} --push-endpoint=`)"
            )),
            subscription::Delivery::Export(to) => plan.refusals.push(format!(
                "subscription `{id}` exports to {to}, so its messages cannot be pulled: attach a pull subscription to its topic for the dead letters to come"
            )),
        }
        if held_by.detached {
            plan.refusals.push(format!("subscription `{id}` is detached from its topic: its messages are gone"));
        }
        if let Some(other) = self.archive().running_on(&plan.request.source, None)? {
            plan.refusals.push(format!("transfer `{other}` runs on subscription `{id}`: wait for its end, or cancel it"));
        }
        if plan.request.selection.passes_over() {
            let (which, reached) = match plan.request.selection.count() {
                Some(count) => ("not marked", format!("to reach {count} marked")),
                None => ("not selected", "how many are selected is known only after looking at all: to reach them".to_owned()),
            };
            if held_by.ordered {
                plan.refusals
                    .push(format!("subscription `{id}` is ordered: a message that is {which} would block its key; take all instead"));
            }
            let attempt = if held_by.dead_letters.is_some() { "; that counts as a delivery attempt of theirs" } else { "" };
            plan.warnings.push(format!("{reached}, up to {HELD_MAX} others are leased meanwhile{attempt}"));
        }
        if held_by.ack_deadline > DEADLINE_LONG && plan.request.selection.count().is_none() {
            let seconds = 2 * held_by.ack_deadline.as_secs();
            plan.warnings.push(format!("`done` comes {seconds} s after the last message: two ack deadlines of `{id}`"));
        }
        Ok(())
    }

    async fn destinations(
        &self,
        delivery: &Delivery,
        held_by: &Subscription,
        subscriptions: &[Subscription],
        may_pull: bool,
    ) -> Result<Vec<Destination>> {
        let sources: Vec<(Option<SubscriptionName>, TopicName)> = match delivery {
            Delivery::Topic(topic) => vec![(None, topic.clone())],
            Delivery::Direct { .. } | Delivery::Handler { .. } | Delivery::File(_) | Delivery::Task(_) | Delivery::Run => Vec::new(),
            Delivery::SourceTopic | Delivery::Addressed => {
                let mut sources: Vec<_> = relations(subscriptions, None)
                    .into_iter()
                    .filter(|relation| held_by.topic.is_some() && relation.dead_letter_topic == held_by.topic)
                    .filter_map(|relation| Some((Some(relation.source), relation.topic?)))
                    .collect();
                if sources.is_empty() && may_pull {
                    sources = self.sampled(held_by).await?;
                }
                sources
            }
        };
        let mut found: BTreeMap<TopicName, std::result::Result<Vec<Subscription>, String>> = BTreeMap::new();
        for (_, topic) in &sources {
            if !found.contains_key(topic) {
                let receivers = self.receivers(topic, subscriptions).await?;
                found.insert(topic.clone(), receivers);
            }
        }
        Ok(sources.into_iter().map(|(source, topic)| Destination { receivers: found[&topic].clone(), source, topic }).collect())
    }

    /// Reads off some messages where they came from.
    async fn sampled(&self, held_by: &Subscription) -> Result<Vec<(Option<SubscriptionName>, TopicName)>> {
        let pulled = self.cloud().pull(&held_by.name, SAMPLE_MESSAGES, Duration::ZERO).await?;
        let ack_ids: Vec<String> = pulled.messages.iter().map(|received| received.ack_id.clone()).collect();
        self.cloud().modify_ack_deadline(&held_by.name, &ack_ids, Duration::ZERO).await?;
        let sources: BTreeSet<SubscriptionName> =
            pulled.messages.iter().filter_map(|received| received.message.provenance()?.subscription).collect();
        let mut routes = Vec::new();
        for source in sources {
            match self.cloud().get_subscription(&source).await {
                Ok(subscription) => routes.extend(subscription.topic.map(|topic| (Some(source), topic))),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(routes)
    }

    /// Finds who receives what is published to a topic; words say why nothing can be.
    pub(super) async fn receivers(
        &self,
        topic: &TopicName,
        known: &[Subscription],
    ) -> Result<std::result::Result<Vec<Subscription>, String>> {
        let names = match self.cloud().list_topic_subscriptions(topic).await {
            Ok(names) => names,
            Err(error) if error.is_not_found() => return Ok(Err(format!("topic `{topic}` does not exist"))),
            Err(error) => return Err(error),
        };
        let mut receivers = Vec::new();
        for name in names.into_iter().filter(|name| !is_ours(name)) {
            match known.iter().find(|subscription| subscription.name == name) {
                Some(subscription) => receivers.push(subscription.clone()),
                None => match self.cloud().get_subscription(&name).await {
                    Ok(subscription) => receivers.push(subscription),
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(error),
                },
            }
        }
        receivers.retain(|receiver| !receiver.detached);
        if receivers.is_empty() {
            return Ok(Err(format!("topic `{topic}` has no subscription: what is published there vanishes")));
        }
        Ok(Ok(receivers))
    }
}

fn check(request: &Request) -> Result<()> {
    if !(1..=WINDOW_MAX).contains(&request.window) {
        return Err(Error::invalid(format!("a window of {} is not within 1 and {WINDOW_MAX}", request.window)));
    }
    if request.rate_max == Some(0) || request.max == Some(0) {
        return Err(Error::invalid("a limit of 0 moves nothing").with_hint("leave it out for no limit"));
    }
    if !fits(request) {
        return Err(Error::invalid(format!("this cannot be done: {}", request.words())));
    }
    if matches!(&request.selection, Selection::Messages(ids) if ids.is_empty()) {
        return Err(Error::invalid("no message is selected"));
    }
    Ok(())
}

/// Tells whether what is asked for makes sense together.
fn fits(request: &Request) -> bool {
    use Delivery::{Addressed, Direct, File, Handler, Run, SourceTopic, Task, Topic};
    let delivery = &request.delivery;
    match (request.kind, &request.source) {
        (Kind::Discard, source) => matches!(source, From::Subscription(_) | From::Queue(_)),
        (Kind::Redrive, From::Subscription(_)) => matches!(delivery, SourceTopic | Topic(_) | Addressed | Direct { .. }),
        (Kind::Redrive, From::Queue(_)) => matches!(delivery, Task(_)),
        (Kind::Redrive, From::File(_) | From::Kept(_)) => matches!(delivery, SourceTopic | Topic(_) | Addressed | Direct { .. } | Task(_)),
        (Kind::Replay, _) => matches!(delivery, Handler { .. }),
        (Kind::Export, From::Subscription(_) | From::Queue(_)) => matches!(delivery, File(_)),
        (Kind::Undo, From::Kept(_)) => matches!(delivery, SourceTopic | Topic(_) | Task(_)),
        (Kind::Run, From::Queue(_)) => matches!(delivery, Run | Task(_)),
        _ => false,
    }
}

/// Puts destinations into the plan as routes, refusals and warnings.
fn routes(destinations: Vec<Destination>, held_by: &Subscription, plan: &mut Plan) {
    let mut unusable = Vec::new();
    let mut ordered = false;
    for Destination { source, topic, receivers } in destinations {
        match receivers {
            _ if held_by.topic.as_ref() == Some(&topic) => {
                unusable.push(format!("topic `{topic}` is where these messages lie already: they would come straight back"));
            }
            Ok(receivers) => {
                ordered |= receivers.iter().any(|receiver| receiver.ordered);
                let receivers = receivers
                    .into_iter()
                    .map(|one| Receiver { failed: source.as_ref() == Some(&one.name), subscription: one.name, filter: one.filter })
                    .collect();
                plan.routes.push(Route { source, topic, receivers });
            }
            Err(why) => unusable.push(why),
        }
    }
    unusable.sort();
    unusable.dedup();
    match (plan.routes.is_empty(), unusable.is_empty(), &plan.request.delivery) {
        (false, _, _) => plan.warnings.extend(unusable.into_iter().map(|why| format!("some messages will stay: {why}"))),
        (true, true, Delivery::SourceTopic | Delivery::Addressed) if plan.refusals.is_empty() => plan.refusals.push(format!(
            "nothing tells where the messages of `{}` came from (its source is deleted, or they are no dead letters): name a topic for them (`--to TOPIC`)",
            held_by.name.id()
        )),
        _ => plan.refusals.extend(unusable),
    }
    warn_of_fan_out(plan);
    if ordered && !held_by.ordered {
        plan.warnings.push(format!("`{}` is not ordered: the order within ordering keys is lost already", held_by.name.id()));
    }
}

fn warn_of_fan_out(plan: &mut Plan) {
    let mut others: BTreeMap<&TopicName, BTreeSet<String>> = BTreeMap::new();
    for route in &plan.routes {
        for receiver in route.receivers.iter().filter(|receiver| !receiver.failed) {
            let filter = if receiver.filter.is_empty() { String::new() } else { format!(" (filter `{}`)", receiver.filter) };
            others.entry(&route.topic).or_default().insert(format!("`{}`{filter}", receiver.subscription.id()));
        }
    }
    let to_any = matches!(plan.request.delivery, Delivery::Topic(_));
    let warnings: Vec<String> = others
        .into_iter()
        .map(|(topic, names)| {
            let names = names.into_iter().collect::<Vec<_>>().join(", ");
            if to_any {
                format!("received by {names}")
            } else {
                format!("topic `{}` also reaches {names}: they receive the messages again", topic.id())
            }
        })
        .collect();
    plan.warnings.extend(warnings);
}
