//! The look before the leap: routes, receivers, refusals, warnings. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Source as From;
use super::delivery::check_addressed;
use super::engine::HELD_MAX;
use super::look::absolute;
use super::mark::foreign;
use super::sample::{LOOK_MESSAGES_MAX, selects};
use super::{Delivery, Kind, Options, Plan, Receiver, Request, Route, Selection, WINDOW_MAX};
use crate::error::{Error, Result};
use crate::model::dead_letter::relations;
use crate::model::message::Message;
use crate::model::numbers::{Measured, Source};
use crate::model::subscription::{self, Subscription};
use crate::names::{SubscriptionName, TopicName};
use crate::ops::peek::{Seen, is_ours};
use crate::ops::{Ops, PeekMode};

/// Messages looked at where that counts as a delivery attempt, and nothing else tells where they came from.
const SAMPLE_MESSAGES: usize = 10;
/// A subscription with a longer ack deadline is warned about: the transfer waits two of them before it is sure to be done.
const DEADLINE_LONG: Duration = Duration::from_mins(1);

/// The numbers only tell how many to expect: they are not waited for longer than this.
const NUMBERS_WAIT: Duration = Duration::from_secs(4);

/// Who gave messages up, and the topic they go back to.
type Way = (Option<SubscriptionName>, TopicName);

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
    /// Messages are leased for a moment, looked at, and released. Where the subscription has a dead-letter policy of its own, that would count as a
    /// delivery attempt of theirs: there only a few are, and only where no subscription is known to give up to its topic.
    pub async fn plan_transfer(&self, request: Request) -> Result<Plan> {
        check(&request)?;
        match request.source.clone() {
            From::Subscription(name) => Box::pin(self.plan(request, &name)).await,
            From::Queue(name) => Box::pin(self.plan_tasks(request, &name)).await,
            From::File(_) | From::Kept(_) => Box::pin(self.plan_file(request)).await,
        }
    }

    /// Returns the first message that is selected, of those that a plan looks at.
    pub async fn sample_message(&self, request: &Request) -> Result<Message> {
        let From::Subscription(name) = &request.source else { return Err(Error::invalid("only messages of a subscription can be edited")) };
        let (clock, held_by) = tokio::join!(self.cloud().server_time(name), self.cloud().get_subscription(name));
        let (cutoff, held_by) = (clock? + SignedDuration::from_secs(1), held_by?);
        let seen = self.look(&held_by, LOOK_MESSAGES_MAX).await?;
        let found = seen.messages.into_iter().find(|message| selects(&request.selection, message, cutoff));
        found.ok_or_else(|| Error::new(crate::error::Kind::NotFound, format!("no message of `{}` is selected", name.id())))
    }

    async fn plan(&self, mut request: Request, name: &SubscriptionName) -> Result<Plan> {
        let (clock, held_by, listed, numbers, ()) = tokio::join!(
            self.cloud().server_time(name),
            self.cloud().get_subscription(name),
            self.subscriptions(),
            tokio::time::timeout(NUMBERS_WAIT, self.numbers()),
            self.cloud().expect_topics()
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
        read_untouched(&held_by, &mut request);
        let mut plan = Plan { expected, ..Plan::of(request, cutoff) };
        self.check_source(&held_by, clock, &mut plan)?;
        let published = matches!(plan.request.delivery, Delivery::SourceTopic | Delivery::Topic(_) | Delivery::Addressed)
            && plan.request.kind != Kind::Discard;
        let direct = matches!(plan.request.delivery, Delivery::Direct { .. });
        let subscriptions = if published || direct { listed?.items } else { Vec::new() };
        let sources = sources(&plan.request, &held_by, &subscriptions);
        let seen = self.seen(&held_by, published && sources.is_empty(), &mut plan).await?;
        choose_reading(&held_by, seen.as_ref(), &mut plan);
        let mut ordered = BTreeSet::new();
        if published {
            let named = named(&plan.request.delivery, &sources, seen.as_ref());
            let destinations = self.destinations(sources, named, &subscriptions).await?;
            let all = destinations.iter().filter_map(|one| one.receivers.as_ref().ok()).flatten();
            ordered = all.filter(|one| one.ordered).map(|one| one.name.clone()).collect();
            routes(destinations, &held_by, &mut plan);
        }
        match &plan.request.delivery {
            Delivery::Direct { .. } => {
                let told = relations(&subscriptions, None).into_iter();
                let told = told.filter(|relation| held_by.topic.is_some() && relation.dead_letter_topic == held_by.topic);
                let names = told.map(|relation| relation.source).chain(provenances(seen.as_ref())).collect();
                self.check_direct(&names, &mut plan).await?;
            }
            Delivery::Handler { .. } => self.check_handler(&mut plan).await?,
            _ => check_addressed(&mut plan),
        }
        if let Some(seen) = seen {
            count(&seen, clock, &mut plan);
            plan.takes = takes(&plan);
            self.look_into(&mut plan, &seen.messages, !seen.truncated, &held_by, &ordered).await;
        }
        plan.takes = takes(&plan);
        check_left(&mut plan);
        warn_of_fan_out(&mut plan);
        self.keep_below_max_bulk(&mut plan);
        Ok(plan)
    }

    /// Refuses what is more than the context allows at once; where nobody knows how many there are, the transfer ends there.
    pub(super) fn keep_below_max_bulk(&self, plan: &mut Plan) {
        let Some(bulk_max) = self.guard().max_bulk else { return };
        let wanted = plan.request.max.unwrap_or(u64::MAX);
        let known = plan.expected.map(|expected| expected.value).or(plan.request.selection.count());
        if let Err(error) = self.refuse_bulk(
            known.map_or(Some(wanted).filter(|wanted| *wanted < u64::MAX), |known| Some(known.min(wanted))).or(Some(0)),
            "messages",
        ) {
            plan.refusals.push(error.to_string());
        } else if wanted > bulk_max {
            plan.request.max = Some(bulk_max);
            plan.warnings.push(format!("this context allows {bulk_max} at once: the transfer ends there"));
        }
    }

    /// Looks at messages as far as that costs nothing that is not said.
    async fn seen(&self, held_by: &Subscription, unsourced: bool, plan: &mut Plan) -> Result<Option<Seen>> {
        if !plan.refusals.is_empty() {
            return Ok(None);
        }
        if held_by.delivery != subscription::Delivery::Pull {
            plan.warnings.push(format!("the messages were not looked at: `{}` pushes", held_by.name.id()));
            return Ok(None);
        }
        let Some(policy) = &held_by.dead_letters else { return self.look(held_by, LOOK_MESSAGES_MAX).await.map(Some) };
        let id = held_by.name.id();
        if !unsourced || self.refuse_read_only().is_err() {
            plan.warnings.push(format!(
                "the messages were not looked at: `{id}` has a dead-letter policy, by which a look counts as a delivery attempt"
            ));
            return Ok(None);
        }
        let attempts = policy.attempts_max;
        plan.warnings.push(format!(
            "up to {SAMPLE_MESSAGES} messages were looked at for where they came from, which counts as one of their {attempts} delivery attempts in `{id}`"
        ));
        self.look(held_by, SAMPLE_MESSAGES).await.map(|seen| Some(Seen { truncated: true, ..seen }))
    }

    /// Sees whether messages can be taken out of the subscription.
    fn check_source(&self, held_by: &Subscription, clock: Timestamp, plan: &mut Plan) -> Result<()> {
        let name = &held_by.name;
        let id = name.id();
        match &held_by.delivery {
            subscription::Delivery::Pull => {}
            subscription::Delivery::Push { .. } if plan.request.reads_snapshot() => {}
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
        let here = self.archive().running_on(&plan.request.source, None)?;
        let here = here.map(|other| format!("transfer `{other}` runs on subscription `{id}`: wait for its end, or cancel it"));
        let elsewhere = foreign(held_by, &self.0.home, clock).map(|words| format!("{words}: wait for its end, or go on with `--force`"));
        for other in [here, elsewhere].into_iter().flatten() {
            if plan.request.options.force { plan.warnings.push(other) } else { plan.refusals.push(other) }
        }
        if plan.request.reads_snapshot() {
            return Ok(());
        }
        if held_by.ordered && plan.request.leave {
            let words = format!(
                "subscription `{id}` is ordered: what is left where it is blocks its key, and what lies behind it may not be reached; read them from a snapshot, take them (a discard keeps copies, `replay --take`), or go on with `--force`"
            );
            if plan.request.options.force { plan.warnings.push(words) } else { plan.refusals.push(words) }
        }
        if plan.request.selection.passes_over() && held_by.ordered && !plan.request.options.force {
            let which = if plan.request.selection.count().is_some() { "not marked" } else { "not selected" };
            plan.refusals.push(format!("subscription `{id}` is ordered: a message that is {which} would block its key; take all instead"));
        }
        if held_by.ack_deadline > DEADLINE_LONG && plan.request.selection.count().is_none() {
            let seconds = 2 * held_by.ack_deadline.as_secs();
            plan.warnings.push(format!("`done` comes {seconds} s after the last message: two ack deadlines of `{id}`"));
        }
        Ok(())
    }

    /// Finds the topics that messages go to, and who receives them there; `named` are sources that only the messages tell of.
    async fn destinations(
        &self,
        mut sources: Vec<Way>,
        named: BTreeSet<SubscriptionName>,
        subscriptions: &[Subscription],
    ) -> Result<Vec<Destination>> {
        for source in named {
            match self.cloud().get_subscription(&source).await {
                Ok(subscription) => sources.extend(subscription.topic.map(|topic| (Some(source), topic))),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        let mut found: BTreeMap<TopicName, std::result::Result<Vec<Subscription>, String>> = BTreeMap::new();
        for (_, topic) in &sources {
            if !found.contains_key(topic) {
                let receivers = self.receivers(topic, subscriptions).await?;
                found.insert(topic.clone(), receivers);
            }
        }
        Ok(sources.into_iter().map(|(source, topic)| Destination { receivers: found[&topic].clone(), source, topic }).collect())
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
    let plain = Options { force: request.options.force, ..Options::default() };
    if request.options != plain && request.kind != Kind::Redrive {
        return Err(Error::invalid("only a redrive can be edited, tried with a canary or watched"));
    }
    if request.reading.is_some() && !(request.leave && request.source.subscription().is_some()) {
        return Err(Error::invalid("only messages that stay in their subscription can be leased meanwhile, or read from a snapshot"));
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

/// Returns the ways back that are known without looking at messages.
fn sources(request: &Request, held_by: &Subscription, subscriptions: &[Subscription]) -> Vec<Way> {
    match &request.delivery {
        Delivery::Topic(topic) => vec![(None, topic.clone())],
        Delivery::SourceTopic | Delivery::Addressed => relations(subscriptions, None)
            .into_iter()
            .filter(|relation| held_by.topic.is_some() && relation.dead_letter_topic == held_by.topic)
            .filter_map(|relation| Some((Some(relation.source), relation.topic?)))
            .collect(),
        Delivery::Direct { .. } | Delivery::Handler { .. } | Delivery::File(_) | Delivery::Task(_) | Delivery::Run => Vec::new(),
    }
}

/// Names the sources that only the messages tell of.
fn named(delivery: &Delivery, sources: &[Way], seen: Option<&Seen>) -> BTreeSet<SubscriptionName> {
    if !matches!(delivery, Delivery::SourceTopic | Delivery::Addressed) {
        return BTreeSet::new();
    }
    provenances(seen).filter(|name| !sources.iter().any(|(known, _)| known.as_ref() == Some(name))).collect()
}

/// Returns the subscriptions that the messages name.
fn provenances(seen: Option<&Seen>) -> impl Iterator<Item = SubscriptionName> {
    seen.into_iter().flat_map(|seen| &seen.messages).filter_map(|message| message.provenance()?.subscription)
}

/// Counts what is selected, where all was seen.
fn count(seen: &Seen, clock: Timestamp, plan: &mut Plan) {
    if seen.truncated {
        return;
    }
    let selected = seen.messages.iter().filter(|message| selects(&plan.request.selection, message, plan.cutoff)).count() as u64;
    match plan.request.selection.count() {
        Some(chosen) if chosen > selected => {
            let missing = chosen - selected;
            plan.warnings.push(format!("{missing} of the {chosen} chosen messages were not seen: gone, or leased by another consumer"));
        }
        _ => plan.expected = Some(Measured { value: selected, source: Source::Counted, as_of: clock }),
    }
}

/// Chooses a snapshot for what stays where leasing it would disturb: pushed messages, keys that would block, attempts that would count.
fn read_untouched(held_by: &Subscription, request: &mut Request) {
    let pushes = matches!(held_by.delivery, subscription::Delivery::Push { .. });
    let disturbs = pushes || held_by.ordered || held_by.dead_letters.is_some();
    if request.leave && request.reading.is_none() && disturbs && has_topic(held_by) {
        request.reading = Some(PeekMode::Snapshot);
    }
}

/// Chooses how else what stays is read: leased where all of it was just seen, or little is wanted; else from a snapshot, which takes any number.
fn choose_reading(held_by: &Subscription, seen: Option<&Seen>, plan: &mut Plan) {
    let id = held_by.name.id();
    let request = &mut plan.request;
    if request.leave && request.reading.is_none() {
        let all_seen = seen.is_some_and(|seen| !seen.truncated);
        let few = !request.selection.passes_over() && request.max.is_some_and(|max| max <= LOOK_MESSAGES_MAX as u64);
        request.reading = Some(if all_seen || few || !has_topic(held_by) { PeekMode::Leased } else { PeekMode::Snapshot });
    }
    if request.reads_snapshot() {
        plan.warnings.push(format!(
            "read from a snapshot, through a subscription made for that and removed at the end: nothing of `{id}` is leased; its whole backlog is delivered, and billed, once more"
        ));
    } else if request.selection.passes_over() {
        let reached = match request.selection.count() {
            Some(count) => format!("to reach {count} marked"),
            None => "how many are selected is known only after looking at all: to reach them".to_owned(),
        };
        let attempt = if held_by.dead_letters.is_some() { "; that counts as a delivery attempt of theirs" } else { "" };
        plan.warnings.push(format!("{reached}, up to {HELD_MAX} others are leased meanwhile{attempt}"));
    }
}

/// Tells whether a snapshot of the subscription can be read.
fn has_topic(held_by: &Subscription) -> bool {
    held_by.topic.is_some() && !held_by.detached
}

/// Refuses what would be leased in one go though that is too much: what is left where it is must not come straight back before the end.
fn check_left(plan: &mut Plan) {
    let wanted = plan.expected.map_or(0, |expected| expected.value).min(plan.request.max.unwrap_or(u64::MAX));
    if plan.request.leave && !plan.request.reads_snapshot() && wanted > HELD_MAX as u64 {
        plan.refusals.push(format!(
            "{wanted} messages are more than can be left where they are: until the end all are leased, {HELD_MAX} at most; read them from a snapshot, take a part (`--max {HELD_MAX}`, `--filter`), or take them away (`--take`, a discard keeps copies)"
        ));
    }
}

/// Tells how long it takes at the rate asked for.
fn takes(plan: &Plan) -> Option<Duration> {
    let (rate, expected) = (plan.request.rate_max?, plan.expected?.value);
    let count = expected.min(plan.request.max.unwrap_or(u64::MAX));
    Some(Duration::from_secs(count.div_ceil(u64::from(rate.max(1)))))
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
                let receivers = receivers.into_iter().map(|one| Receiver::new(one, source.as_ref())).collect();
                plan.routes.push(Route { source, topic, messages: 0, receivers });
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
    if ordered && !held_by.ordered {
        plan.warnings.push(format!("`{}` is not ordered: the order within ordering keys is lost already", held_by.name.id()));
    }
}

fn warn_of_fan_out(plan: &mut Plan) {
    let to_any = matches!(plan.request.delivery, Delivery::Topic(_));
    let again = plan.fan_out();
    let mut others: BTreeMap<&TopicName, BTreeSet<String>> = BTreeMap::new();
    for route in &plan.routes {
        for receiver in route.receivers.iter().filter(|receiver| to_any || again.contains(&receiver.subscription) && !receiver.failed) {
            let filter = if receiver.filter.is_empty() { String::new() } else { format!(" (filter `{}`)", receiver.filter) };
            others.entry(&route.topic).or_default().insert(format!("`{}`{filter}", receiver.subscription.id()));
        }
    }
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
