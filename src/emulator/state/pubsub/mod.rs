//! Pub/Sub as a pure state: topics, subscriptions, messages and leases, as commands change them and time passes.
//!
//! Where what happens: `topic`, `subscribe`, `snapshot`, `seek`, `publish`, `lease`, `stream`, `schema` and `iam` are the commands; `subscription` is one
//! subscription, `backlog` its messages, `push` its requests. A command on a subscription goes through [`PubSub::with`], which lets the time pass
//! that has passed, and afterwards pushes, wakes and plans. Must not know gRPC, HTTP servers or clocks.

mod ascending;
mod backlog;
mod convert;
mod expire;
mod grants;
mod iam;
mod labels;
mod lease;
mod mask;
mod message;
mod mutation;
mod names;
mod page;
mod publish;
mod push;
mod schema;
mod seek;
mod serial;
mod settings;
mod snapshot;
mod stats;
mod stream;
mod subscribe;
mod subscription;
mod topic;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::{Answer, Effect, Effects, Moment, Refusal, Touched};
use crate::emulator::pb::google::iam::v1::Policy;

pub(crate) use crate::model::message::Draft;
pub(crate) use grants::RequireGrants;
pub(crate) use lease::Settled;
pub(crate) use message::Message;
pub(crate) use stats::{NO_ANSWER, SubscriptionStats, TopicStats};
pub(crate) use stream::{CloseStream, OpenStream, SetStreamDeadline, StreamLease};

use crate::emulator::state::saved::saved;
use grants::Grants;
use schema::Schemas;
use serial::Serial;
use snapshot::Snapshot;
use subscription::{Cx, Subscription};
use topic::Topic;

/// Topics, subscriptions, messages and leases.
#[derive(Debug, Default)]
pub(crate) struct PubSub {
    topics: BTreeMap<String, Topic>,
    subscriptions: BTreeMap<Arc<str>, Subscription>,
    snapshots: BTreeMap<String, Snapshot>,
    schemas: Schemas,
    policies: BTreeMap<String, Policy>,
    grants: Grants,
    serial: Serial,
    agenda: Agenda,
    pub(super) touched: Touched,
}

saved!(struct PubSub { topics, subscriptions, snapshots, policies, grants, schemas, serial, agenda; touched });

/// What next happens by itself, in order of time; each resource has one entry of a kind at most.
type Agenda = BTreeSet<(Timestamp, Due)>;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Subscription(Arc<str>),
    /// A look whether the subscription has expired.
    Expiry(Arc<str>),
    Snapshot(String),
}

saved!(enum Due { 0 = Subscription(name), 1 = Snapshot(name), 2 = Expiry(name) });

impl PubSub {
    /// Forgets everything but the last number given and what was set from the start.
    pub(crate) fn reset(&mut self) {
        *self = Self { serial: std::mem::take(&mut self.serial), grants: self.grants.at_start(), ..Self::default() };
    }

    /// The dispatcher's report on a push.
    pub(crate) fn push_answered(&mut self, subscription: &str, lease: u64, answer: &Answer, at: Moment, out: &mut Effects) {
        // A subscription that is gone by now needs no answer.
        let _ = self.with_unused(subscription, at, out, |subscription, cx| {
            subscription.push_answered(lease, answer, cx);
            Ok(())
        });
    }

    /// All that fell due by `at.now`: expired leases, back-offs over, retention, expiry of snapshots and subscriptions.
    pub(crate) fn tick(&mut self, at: Moment, out: &mut Effects) {
        while let Some((_, due)) = self.agenda.first().filter(|(time, _)| *time <= at.now).cloned() {
            match due {
                Due::Subscription(name) => {
                    // Only existing subscriptions are on the agenda; what happens is in there.
                    let _ = self.with_unused(&name, at, out, |_, _| Ok(()));
                }
                Due::Expiry(name) => self.expire(&name, at, out),
                Due::Snapshot(name) => drop(self.drop_snapshot(&name)),
            }
        }
    }

    /// When something next falls due by itself.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.agenda.first().map(|(time, _)| *time)
    }

    /// Ends all streams, and sends the pushes under way again.
    pub(crate) fn restart(&mut self, at: Moment, out: &mut Effects) {
        let names: Vec<Arc<str>> = self.subscriptions.keys().cloned().collect();
        for name in names {
            // It exists, and restarting it refuses nothing.
            let _ = self.with_unused(&name, at, out, |subscription, cx| {
                if !subscription.streams.is_empty() {
                    subscription.last_used = cx.now;
                }
                subscription.end_streams(cx.now);
                Ok(())
            });
            if let Some(subscription) = self.subscriptions.get_mut(&name) {
                subscription.push_again(&name, &self.schemas, out);
            }
        }
    }

    pub(crate) fn fingerprint(&self) -> u64 {
        self.serial.last().wrapping_add((self.topics.len() as u64) << 48).wrapping_add((self.subscriptions.len() as u64) << 56)
    }

    /// Tells whether trying to receive from a subscription changes nothing: nothing can be delivered, and no time has to pass.
    fn is_quiet(&self, subscription: &str, now: Timestamp) -> bool {
        self.subscriptions.get(subscription).is_none_or(|subscription| {
            let waits = subscription.scheduled.is_none_or(|due| due > now);
            waits && subscription.is_use_noted(now) && !subscription.backlog.has_ready() && subscription.push_endpoint().is_none()
        })
    }

    /// Does something on a subscription for a client, which is a use of it.
    fn with<T>(
        &mut self,
        name: &str,
        at: Moment,
        out: &mut Effects,
        work: impl FnOnce(&mut Subscription, &mut Cx<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.with_unused(name, at, out, |subscription, cx| {
            subscription.note_use(cx.now);
            work(subscription, cx)
        })
    }

    /// Does something on a subscription: before it, what fell due happens; after it, what can be pushed is pushed, waiting receivers are woken,
    /// the next moment is planned and dead letters are published.
    fn with_unused<T>(
        &mut self,
        name: &str,
        at: Moment,
        out: &mut Effects,
        work: impl FnOnce(&mut Subscription, &mut Cx<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let Some((name, subscription)) = self.subscriptions.get_key_value(name) else {
            return Err(names::not_found(name, "subscriptions"));
        };
        let (name, dead_letters_work) = (name.clone(), self.dead_letters_work(name, subscription));
        let Some(subscription) = self.subscriptions.get_mut(&name) else { return Err(names::not_found(&name, "subscriptions")) };
        let mut cx = Cx { now: at.now, serial: &mut self.serial, schemas: &self.schemas, dead_letters_work, dead: Vec::new() };
        if subscription.scheduled.is_some_and(|time| time <= at.now) {
            subscription.pass_time(&mut cx);
        }
        let result = work(subscription, &mut cx);
        let dead = cx.dead;
        settle(
            &name,
            subscription,
            &mut Around { serial: &mut self.serial, agenda: &mut self.agenda, touched: &mut self.touched, schemas: &self.schemas },
            at.now,
            out,
        );
        self.publish_dead(&name, dead, at, out);
        result
    }
}

/// What settling needs beside the subscription.
struct Around<'a> {
    serial: &'a mut Serial,
    agenda: &'a mut Agenda,
    touched: &'a mut Touched,
    schemas: &'a Schemas,
}

/// Pushes, wakes and plans after something changed on a subscription.
fn settle(name: &Arc<str>, subscription: &mut Subscription, around: &mut Around<'_>, now: Timestamp, out: &mut Effects) {
    let Around { serial, agenda, touched, schemas } = around;
    touched.touch(name);
    subscription.push_ready(name, now, serial, schemas, out);
    if subscription.backlog.take_stirred() && subscription.backlog.has_ready() && subscription.push_endpoint().is_none() {
        out.list.push(Effect::Ready(name.to_string()));
    }
    let next = subscription.next_due();
    if next != subscription.scheduled {
        unplan(name, subscription, agenda);
        agenda.extend(next.map(|time| (time, Due::Subscription(name.clone()))));
        subscription.scheduled = next;
    }
}

/// Takes a subscription off the agenda.
fn unplan(name: &Arc<str>, subscription: &mut Subscription, agenda: &mut Agenda) {
    if let Some(time) = subscription.scheduled.take() {
        agenda.remove(&(time, Due::Subscription(name.clone())));
    }
}

#[cfg(test)]
mod tests;
