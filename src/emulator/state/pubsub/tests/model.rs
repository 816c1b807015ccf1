//! Random sequences of commands against a model that is a list: nothing lost, no ack forgotten, attempts right, keys in order, back-offs kept.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::mutation;
use super::*;
use crate::model::campaign::{explore, first_failure};

/// Cases that CI runs.
const CASES: u64 = 10_000;

const ATTEMPTS_MAX: i32 = 5;
const ACK_DEADLINE_MS: i64 = 10_000;
const STREAM_DEADLINE_MS: i64 = 60_000;
const STREAM_MESSAGES: usize = 3;

/// What a client does; `nth` chooses among all ack ids it ever got.
#[derive(Debug, Clone)]
enum Step {
    Publish { key: u8 },
    Pull { max: i32 },
    Stream { which: usize },
    CloseStream { which: usize, left: bool },
    Ack { nth: usize, count: usize },
    Nack { nth: usize },
    Extend { nth: usize, seconds: i32 },
    Pass { ms: i64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..4u8).prop_map(|key| Step::Publish { key }),
        3 => (1..5).prop_map(|max| Step::Pull { max }),
        2 => (0..2usize).prop_map(|which| Step::Stream { which }),
        1 => (0..2usize, any::<bool>()).prop_map(|(which, left)| Step::CloseStream { which, left }),
        3 => (any::<usize>(), 1..4usize).prop_map(|(nth, count)| Step::Ack { nth, count }),
        4 => any::<usize>().prop_map(|nth| Step::Nack { nth }),
        1 => (any::<usize>(), 1..60).prop_map(|(nth, seconds)| Step::Extend { nth, seconds }),
        2 => (0..15_000i64).prop_map(|ms| Step::Pass { ms }),
    ];
    prop::collection::vec(step, 1..64)
}

/// What the model knows of a message that is neither acked nor dead.
#[derive(Debug, Default)]
struct Known {
    key: u8,
    failures: u32,
    not_before: Timestamp,
    lease: Option<Lease>,
}

#[derive(Debug, Clone)]
struct Lease {
    ack_id: String,
    until: Timestamp,
    stream: Option<u64>,
}

struct Run {
    world: World,
    ordered: bool,
    backoff: bool,
    live: BTreeMap<u64, Known>,
    acked: u64,
    dead: u64,
    expired: u64,
    /// Every ack id ever given, with its message.
    issued: Vec<(String, u64)>,
    streams: [Option<u64>; 2],
}

impl Run {
    fn new(ordered: bool, backoff: bool) -> Self {
        let mut world = World::new();
        world.add_topic("orders");
        world.add_topic("dead");
        world.add_subscription("graves", "dead", |_| {});
        world.add_subscription("billing", "orders", |settings| {
            settings.enable_message_ordering = ordered;
            settings.dead_letter_policy =
                Some(pb::DeadLetterPolicy { dead_letter_topic: topic("dead"), max_delivery_attempts: ATTEMPTS_MAX });
            settings.retry_policy = backoff.then(|| pb::RetryPolicy { minimum_backoff: pb_duration(1), maximum_backoff: pb_duration(4) });
        });
        let live = BTreeMap::new();
        Self { world, ordered, backoff, live, acked: 0, dead: 0, expired: 0, issued: Vec::new(), streams: [None; 2] }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Publish { key } => {
                let name = if key == 0 { String::new() } else { key.to_string() };
                let id = self.world.publish_keyed("orders", &name, "x").parse().unwrap();
                self.live.insert(id, Known { key, ..Known::default() });
            }
            Step::Pull { max } => {
                let deliverable = self.deliverable();
                let received = self.world.pull("billing", max);
                assert_eq!(received.len(), deliverable.min(usize::try_from(max).unwrap()));
                self.receive(received, ACK_DEADLINE_MS, None);
            }
            Step::Stream { which } => self.stream(which),
            Step::CloseStream { which, left } => self.close_stream(which, left),
            Step::Ack { nth, count } => self.ack(nth, count),
            Step::Nack { nth } => self.modify(nth, 0),
            Step::Extend { nth, seconds } => self.modify(nth, seconds),
            Step::Pass { ms } => self.pass(ms),
        }
        let stats = self.world.stats("billing");
        assert_eq!(stats.undelivered, self.live.len() as u64);
        let counters = stats.counters;
        assert_eq!((counters.acked, counters.dead_lettered, counters.expired), (self.acked, self.dead, self.expired));
        assert_eq!(self.world.stats("graves").undelivered, self.dead);
    }

    fn in_line(&self, key: u8) -> bool {
        self.ordered && key > 0
    }

    /// How many messages could be delivered now.
    fn deliverable(&self) -> usize {
        let now = self.world.now;
        let free = |known: &Known| known.lease.is_none() && known.not_before <= now;
        let single = self.live.values().filter(|known| !self.in_line(known.key) && free(known)).count();
        let lines = (1..4).filter(|key| self.in_line(*key)).map(|key| {
            let line = || self.live.values().filter(move |known| known.key == key);
            if line().any(|known| known.lease.is_some()) { 0 } else { line().take_while(|known| free(known)).count() }
        });
        single + lines.sum::<usize>()
    }

    fn receive(&mut self, received: Vec<pb::ReceivedMessage>, deadline_ms: i64, stream: Option<u64>) {
        let now = self.world.now;
        let batch: Vec<u64> = received.iter().map(|message| message.message.as_ref().unwrap().message_id.parse().unwrap()).collect();
        for (message, id) in received.into_iter().zip(&batch) {
            let known = self.live.get(id).expect("what was acked or given up never comes again");
            assert!(known.lease.is_none(), "leased twice at once");
            assert!(known.not_before <= now, "before its back-off is over");
            assert_eq!(message.delivery_attempt, i32::try_from(known.failures).unwrap() + 1);
            if self.in_line(known.key) {
                let before = self.live.range(..id).filter(|(_, other)| other.key == known.key);
                assert!(before.into_iter().all(|(id, _)| batch.contains(id)), "out of order");
            }
            let until = now + SignedDuration::from_millis(deadline_ms);
            self.live.get_mut(id).unwrap().lease = Some(Lease { ack_id: message.ack_id.clone(), until, stream });
            self.issued.push((message.ack_id, *id));
        }
    }

    fn stream(&mut self, which: usize) {
        let stream = match self.streams[which] {
            Some(stream) => stream,
            None => *self.streams[which].insert(self.world.open("billing", i64::try_from(STREAM_MESSAGES).unwrap(), 0)),
        };
        let held = self.live.values().filter(|known| known.lease.as_ref().is_some_and(|lease| lease.stream == Some(stream))).count();
        let deliverable = self.deliverable();
        let received = self.world.stream("billing", stream);
        assert_eq!(received.len(), deliverable.min(STREAM_MESSAGES - held));
        self.receive(received, STREAM_DEADLINE_MS, Some(stream));
    }

    fn close_stream(&mut self, which: usize, left: bool) {
        let Some(stream) = self.streams[which].take() else { return };
        self.world.close("billing", stream, left);
        let soon = self.world.now + SignedDuration::from_secs(10);
        let leases = self.live.values_mut().filter_map(|known| known.lease.as_mut());
        for lease in leases.filter(|lease| lease.stream == Some(stream)) {
            lease.stream = None;
            lease.until = if left { lease.until.min(soon) } else { lease.until };
        }
    }

    /// One of the ack ids, and its message if the id is still good.
    fn choose(&self, nth: usize) -> Option<(String, Option<u64>)> {
        let (ack_id, id) = self.issued.get(nth.checked_rem(self.issued.len())?)?;
        let good = self.live.get(id).and_then(|known| known.lease.as_ref()).is_some_and(|lease| lease.ack_id == *ack_id);
        Some((ack_id.clone(), good.then_some(*id)))
    }

    /// Acknowledges `count` ids in one request, from the nth on, good ones and stale ones.
    fn ack(&mut self, nth: usize, count: usize) {
        let chosen: Vec<_> = (0..count).filter_map(|next| self.choose(nth.wrapping_add(next))).collect();
        if chosen.is_empty() {
            return;
        }
        // The same id twice is good once.
        let good: BTreeSet<u64> = chosen.iter().filter_map(|(_, id)| *id).collect();
        let ack_ids = chosen.into_iter().map(|(ack_id, _)| ack_id).collect();
        let settled = self.world.run(pb::AcknowledgeRequest { subscription: subscription("billing"), ack_ids }).unwrap();
        assert_eq!(settled.done.len(), good.len());
        for id in good {
            self.live.remove(&id);
            self.acked += 1;
        }
    }

    fn modify(&mut self, nth: usize, seconds: i32) {
        let Some((ack_id, id)) = self.choose(nth) else { return };
        let name = subscription("billing");
        let request = pb::ModifyAckDeadlineRequest { subscription: name, ack_ids: vec![ack_id], ack_deadline_seconds: seconds };
        let settled = self.world.run(request).unwrap();
        assert_eq!(settled.done.len(), usize::from(id.is_some()));
        let Some(id) = id else { return };
        if seconds == 0 {
            self.fail(id, self.world.now);
        } else {
            let lease = self.live.get_mut(&id).unwrap().lease.as_mut().unwrap();
            lease.until = self.world.now + SignedDuration::from_secs(seconds.into());
        }
    }

    fn fail(&mut self, id: u64, when: Timestamp) {
        let known = self.live.get_mut(&id).unwrap();
        known.failures += 1;
        known.lease = None;
        if known.failures >= u32::try_from(ATTEMPTS_MAX).unwrap() {
            self.live.remove(&id);
            self.dead += 1;
            return;
        }
        if self.backoff {
            known.not_before = when + SignedDuration::from_secs([1, 2, 4, 4][known.failures as usize - 1]);
        }
        let key = known.key;
        if self.in_line(key) {
            self.live.range_mut(id..).filter(|(_, known)| known.key == key).for_each(|(_, known)| known.lease = None);
        }
    }

    fn pass(&mut self, ms: i64) {
        let end = self.world.now + SignedDuration::from_millis(ms);
        loop {
            let leases = self.live.iter().filter_map(|(id, known)| Some((known.lease.as_ref()?.until, *id)));
            let Some((until, id)) = leases.min().filter(|(until, _)| *until <= end) else { break };
            self.expired += 1;
            self.fail(id, until);
        }
        self.world.pass(ms);
    }

    /// Acknowledges all there is, to see that nothing got lost.
    fn drain(&mut self) {
        for _ in 0..=self.live.len() * 2 {
            if self.live.is_empty() {
                break;
            }
            self.pass(STREAM_DEADLINE_MS);
            let first = self.issued.len();
            self.step(&Step::Pull { max: 1000 });
            self.ack(first, self.issued.len() - first);
        }
        assert!(self.live.is_empty(), "lost: {:?}", self.live);
        assert_eq!(self.world.stats("billing").undelivered, 0);
        assert_eq!(self.world.stats("billing").backlog_bytes, 0);
        let planned =
            self.world.state.pubsub.agenda.iter().filter(|(_, due)| matches!(due, Due::Subscription(name) if name.ends_with("billing")));
        let planned = planned.count();
        assert_eq!(planned, 0, "nothing is planned for an empty subscription");
    }
}

/// A subscription, ordered or not, with back-offs or not, and what its client does.
type Case = (bool, bool, Vec<Step>);

fn cases() -> impl Strategy<Value = Case> {
    (any::<bool>(), any::<bool>(), steps())
}

fn check((ordered, backoff, steps): Case) {
    let mut run = Run::new(ordered, backoff);
    for step in &steps {
        run.step(step);
    }
    run.drain();
}

#[test]
fn behaves_as_the_model() {
    explore(CASES, &cases(), check);
}

#[test]
fn each_of_ten_deliberate_defects_is_found() {
    for mutation in mutation::ALL {
        let found = mutation::with(mutation, || first_failure(CASES, &cases(), check));
        assert!(found.is_some(), "{mutation:?} went unnoticed");
    }
}
