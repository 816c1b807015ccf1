//! Random seeks and snapshots against sets of numbers.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::emulator::state::pubsub::convert::pb_timestamp;

#[derive(Debug, Clone)]
enum Step {
    Publish,
    Ack {
        max: i32,
    },
    /// Makes the snapshot, or deletes it.
    Snapshot {
        which: usize,
    },
    SeekToSnapshot {
        which: usize,
    },
    /// To the moment when this message was published.
    SeekToTime {
        nth: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Publish),
        3 => (1..4).prop_map(|max| Step::Ack { max }),
        2 => (0..2usize).prop_map(|which| Step::Snapshot { which }),
        1 => (0..2usize).prop_map(|which| Step::SeekToSnapshot { which }),
        1 => any::<usize>().prop_map(|nth| Step::SeekToTime { nth }),
    ];
    prop::collection::vec(step, 1..60)
}

struct Run {
    world: World,
    /// Whether acknowledged messages can come back by a seek to a time.
    retains: bool,
    published: Vec<(u64, Timestamp)>,
    unacked: BTreeSet<u64>,
    /// What each snapshot had, and how many messages went before it.
    snapshots: [Option<(BTreeSet<u64>, usize)>; 2],
}

fn name(which: usize) -> String {
    format!("projects/shop/snapshots/snap-{which}")
}

impl Run {
    fn new(retain_acked: bool, topic_retains: bool) -> Self {
        let mut world = World::new();
        let message_retention_duration = topic_retains.then_some(prost_types::Duration { seconds: 600, nanos: 0 });
        world.run(pb::Topic { name: topic("orders"), message_retention_duration, ..Default::default() }).unwrap();
        world.add_subscription("billing", "orders", |settings| settings.retain_acked_messages = retain_acked);
        let retains = retain_acked || topic_retains;
        Self { world, retains, published: Vec::new(), unacked: BTreeSet::new(), snapshots: [None, None] }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Publish => {
                let id = self.world.publish("orders", "x").parse().unwrap();
                self.published.push((id, self.world.now));
                self.unacked.insert(id);
                self.world.pass(1);
            }
            Step::Ack { max } => {
                let received = self.world.pull("billing", max);
                if !received.is_empty() {
                    self.world.ack("billing", &received);
                }
                for message in received {
                    let id = message.message.unwrap().message_id.parse().unwrap();
                    assert!(self.unacked.remove(&id), "delivered although acknowledged");
                }
            }
            Step::Snapshot { which } => self.snapshot(which),
            Step::SeekToSnapshot { which } => {
                let target = Some(pb::seek_request::Target::Snapshot(name(which)));
                let result = self.world.run(pb::SeekRequest { subscription: subscription("billing"), target });
                match &self.snapshots[which] {
                    Some((had, before)) => {
                        result.unwrap();
                        self.unacked = self.published[*before..].iter().map(|(id, _)| *id).chain(had.iter().copied()).collect();
                    }
                    None => assert_eq!(result.unwrap_err().code, Code::NotFound),
                }
            }
            Step::SeekToTime { nth } => self.seek_to_time(nth),
        }
        let backlog = &self.world.state.pubsub.subscriptions[subscription("billing").as_str()].backlog;
        assert_eq!(backlog.messages().map(|message| message.id).collect::<BTreeSet<_>>(), self.unacked);
        let bytes = backlog.bytes();
        assert_eq!(bytes, self.unacked.len() as u64);
    }

    fn snapshot(&mut self, which: usize) {
        if self.snapshots[which].take().is_some() {
            self.world.run(pb::DeleteSnapshotRequest { snapshot: name(which) }).unwrap();
            return;
        }
        let request = pb::CreateSnapshotRequest { name: name(which), subscription: subscription("billing"), ..Default::default() };
        self.world.run(request).unwrap();
        self.snapshots[which] = Some((self.unacked.clone(), self.published.len()));
    }

    fn seek_to_time(&mut self, nth: usize) {
        let Some(nth) = nth.checked_rem(self.published.len()) else { return };
        let (first, time) = self.published[nth];
        let target = Some(pb::seek_request::Target::Time(pb_timestamp(time)));
        self.world.run(pb::SeekRequest { subscription: subscription("billing"), target }).unwrap();
        self.unacked.retain(|id| *id >= first);
        if self.retains {
            self.unacked.extend(self.published[nth..].iter().map(|(id, _)| *id));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn seeks_set_exactly_what_is_unacknowledged(retain_acked: bool, topic_retains: bool, steps in steps()) {
        let mut run = Run::new(retain_acked, topic_retains);
        for step in &steps {
            run.step(step);
        }
    }
}
