//! Pub/Sub as hostile as it may be: leases that end, redeliveries, lost answers, acks that do nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::super::cargo::Cargo;
use super::super::super::draft::SOURCE;
use super::super::{Arrival, Call, Elapsed, Event, Fault, FaultKind, Target};
use crate::model::message::{Draft, Message};
use crate::wal::sim::Dice;

/// How often, in percent, what goes wrong.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    pub(super) publish: u64,
    pub(super) ack: u64,
    pub(super) pull: u64,
    pub(super) redeliver: u64,
    /// Answers that take longer than a lease.
    pub(super) slow: u64,
}

pub(super) struct Stored {
    pub(super) message: Message,
    pub(super) acked: bool,
    /// Deliveries: ack id and end of the lease.
    pub(super) leases: Vec<(String, Elapsed)>,
}

pub(super) struct Service {
    pub(super) now: Elapsed,
    pub(super) deadline: Duration,
    pub(super) ordered: bool,
    pub(super) faults: Faults,
    /// The dead letters, in the order in which they came.
    pub(super) source: Vec<Stored>,
    /// What arrived at destinations.
    pub(super) published: Vec<(String, Draft)>,
    /// Messages of publishes whose answer was lost.
    pub(super) lost: u64,
    /// Payloads that are refused.
    pub(super) bad: Vec<u8>,
    /// Payloads that come straight back as dead letters.
    pub(super) poison: Vec<u8>,
    pub(super) base: jiff::Timestamp,
    /// Topics that do not exist, and a service that refuses everything for want of rights.
    pub(super) topic_gone: bool,
    pub(super) no_access: bool,
    pub(super) supply: Supply,
    /// What came back of what was sent, and was not told yet.
    returned: Vec<Message>,
    /// How far a source that is read once was read.
    read: usize,
    next: u64,
}

/// How the source gives its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Supply {
    /// Leased, as a subscription does.
    Leases,
    /// The same, from a copy that each run has for itself.
    Copies,
    /// Each once, as tasks that are deleted after that.
    Tasks,
    /// Each once, as lines of a file that stay.
    Lines,
}

impl Supply {
    pub(super) fn is_leased(self) -> bool {
        matches!(self, Self::Leases | Self::Copies)
    }
}

impl Service {
    pub(super) fn new(deadline: Duration, faults: Faults) -> Self {
        Self {
            now: Elapsed::ZERO,
            deadline,
            ordered: false,
            faults,
            source: Vec::new(),
            published: Vec::new(),
            lost: 0,
            bad: Vec::new(),
            poison: Vec::new(),
            base: "2026-11-21T06:00:00Z".parse().unwrap(),
            topic_gone: false,
            no_access: false,
            supply: Supply::Leases,
            returned: Vec::new(),
            read: 0,
            next: 1000,
        }
    }

    pub(super) fn clock(&self) -> jiff::Timestamp {
        self.base + jiff::SignedDuration::try_from(self.now).unwrap()
    }

    fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Adds a dead letter and returns its id.
    pub(super) fn add(&mut self, data: Vec<u8>, key: &str, mut attributes: BTreeMap<String, String>) -> String {
        let id = self.id().to_string();
        for (name, value) in [("", "billing"), ("Project", "shop")] {
            attributes.insert(format!("CloudPubSubDeadLetterSourceSubscription{name}"), value.into());
        }
        let publish_time = Some(self.clock());
        let message =
            Message { id: id.clone(), data: data.into(), attributes, ordering_key: key.into(), publish_time, delivery_attempt: None };
        self.source.push(Stored { message, acked: false, leases: Vec::new() });
        id
    }

    /// Lets a call take effect; what is answered, if anything.
    pub(super) fn act(&mut self, call: Call, dice: &mut Dice) -> Option<Event> {
        match call {
            Call::Pull { max, .. } => Some(Event::Pulled(self.pull(max, dice))),
            Call::Find(source) => Some(Event::Found(source, Ok("projects/shop/topics/orders".parse().unwrap()))),
            Call::Publish { call, topic, load } => Some(Event::Published(call, self.publish(&topic.to_string(), load.drafts(), dice))),
            Call::Send { call, to, cargo } => Some(Event::Published(call, self.take(&to, *cargo, dice).map(|id| vec![id]))),
            Call::Ack { call, ack_ids } => Some(Event::Acked(call, self.ack(&ack_ids, dice))),
            Call::Extend { call, ack_ids, deadline } => {
                assert!(self.supply.is_leased(), "nothing else is leased");
                self.lease(&ack_ids, self.now + deadline);
                Some(Event::Extended(call, if dice.chance(self.faults.ack) { Err(fault(FaultKind::Lost)) } else { Ok(()) }))
            }
            Call::Look if dice.chance(self.faults.pull) => Some(Event::Looked(Err(fault(FaultKind::Lost)))),
            Call::Look => Some(Event::Looked(Ok(std::mem::take(&mut self.returned)))),
            Call::Release { ack_ids } => {
                self.lease(&ack_ids, self.now);
                None
            }
        }
    }

    /// A new run begins to read at the beginning.
    pub(super) fn rewind(&mut self) {
        self.read = 0;
        if self.supply == Supply::Copies {
            self.source.iter_mut().for_each(|stored| (stored.acked, stored.leases) = (false, Vec::new()));
        }
    }

    fn pull(&mut self, max: usize, dice: &mut Dice) -> Result<Vec<Arrival>, Fault> {
        if !self.supply.is_leased() {
            return self.read_on(max, dice);
        }
        if dice.chance(self.faults.pull) {
            match dice.below(3) {
                0 => return Ok(Vec::new()),
                1 => return Err(fault(FaultKind::Later)),
                _ => {
                    self.deliver(max, dice);
                    return Err(fault(FaultKind::Lost));
                }
            }
        }
        Ok(self.deliver(max, dice))
    }

    fn deliver(&mut self, max: usize, dice: &mut Dice) -> Vec<Arrival> {
        let max = dice.below(max) + 1;
        let mut out = Vec::new();
        let mut blocked: Vec<String> = Vec::new();
        for at in 0..self.source.len() {
            let now = self.now;
            let leased = self.source[at].leases.iter().any(|(_, ends)| *ends > now);
            let again = leased && dice.chance(self.faults.redeliver);
            let stored = &self.source[at];
            let key = stored.message.ordering_key.clone();
            if stored.acked || out.len() >= max || (self.ordered && !key.is_empty() && blocked.contains(&key)) {
                continue;
            }
            if leased && !again {
                // Of an ordering key only one batch is out at a time.
                blocked.push(key);
                continue;
            }
            // An empty answer though there is something is a fault of its own.
            let may_skip = self.faults.pull > 0 || !out.is_empty();
            if may_skip && !leased && !self.ordered && dice.chance(20) {
                continue;
            }
            if may_skip && self.ordered && !key.is_empty() && dice.chance(20) {
                blocked.push(key);
                continue;
            }
            let ack_id = format!("a{}", self.id());
            let ends = self.now + self.deadline;
            let stored = &mut self.source[at];
            stored.leases.push((ack_id.clone(), ends));
            out.push(Arrival { ack_id, cargo: Cargo::Message(stored.message.clone()) });
        }
        if !self.ordered && out.len() > 1 && dice.chance(50) {
            let other = dice.below(out.len());
            out.swap(0, other);
        }
        out
    }

    /// Reads on in a source that gives each once. Nothing is the end, so that is never a fault.
    fn read_on(&mut self, max: usize, dice: &mut Dice) -> Result<Vec<Arrival>, Fault> {
        if dice.chance(self.faults.pull) {
            return Err(fault([FaultKind::Later, FaultKind::Lost][dice.below(2)]));
        }
        let mut out = Vec::new();
        while self.read < self.source.len() && out.len() < max {
            let ack_id = format!("a{}", self.id());
            let tasks = self.supply == Supply::Tasks;
            let stored = &mut self.source[self.read];
            self.read += 1;
            if stored.acked {
                continue;
            }
            stored.leases.push((ack_id.clone(), Elapsed::MAX));
            let cargo = if tasks { as_task(&stored.message) } else { Cargo::Message(stored.message.clone()) };
            out.push(Arrival { ack_id, cargo });
        }
        Ok(out)
    }

    /// Takes one message or task, as an endpoint, a handler or a queue does.
    fn take(&mut self, to: &Target, cargo: Cargo, dice: &mut Dice) -> Result<String, Fault> {
        let (id, data, attributes, ordering_key) = match cargo {
            Cargo::Message(message) => (message.id, message.data, message.attributes, message.ordering_key),
            Cargo::Task(task) => (task.name.id().trim_start_matches('t').to_owned(), task.request.body, BTreeMap::new(), String::new()),
        };
        let kind = if dice.chance(self.faults.publish) { dice.below(3) } else { 3 };
        if kind == 0 {
            return Err(fault(FaultKind::Later));
        }
        self.lost += u64::from(kind < 3);
        if kind == 1 {
            return Err(fault(FaultKind::Lost));
        }
        let mut draft = Draft { data, attributes, ordering_key };
        draft.attributes.insert(SOURCE.to_owned(), format!("held/messages/{id}"));
        // A task is created under a name of its own: once.
        let known = |(_, one): &(String, Draft)| one.attributes[SOURCE] == draft.attributes[SOURCE];
        if !(matches!(to, Target::Queue(_)) && self.published.iter().any(known)) {
            self.published.push((to.to_string(), draft));
        }
        if kind == 2 { Err(fault(FaultKind::Lost)) } else { Ok(id) }
    }

    fn publish(&mut self, topic: &str, drafts: Vec<Draft>, dice: &mut Dice) -> Result<Vec<String>, Fault> {
        assert!(super::super::publish::is_within_limits(&drafts));
        if drafts.iter().any(|draft| draft.data.first().is_some_and(|first| self.bad.contains(first))) {
            return Err(fault(FaultKind::Bad));
        }
        if self.topic_gone || self.no_access {
            return Err(fault(if self.no_access { FaultKind::Access } else { FaultKind::Gone }));
        }
        let kind = if dice.chance(self.faults.publish) { dice.below(3) } else { 3 };
        if kind == 0 {
            return Err(fault(FaultKind::Later));
        }
        if kind < 3 {
            self.lost += drafts.len() as u64;
        }
        if kind == 1 {
            return Err(fault(FaultKind::Lost));
        }
        let mut ids = Vec::new();
        for draft in drafts {
            ids.push(self.id().to_string());
            if draft.data.first().is_some_and(|first| self.poison.contains(first)) {
                self.add(draft.data.to_vec(), &draft.ordering_key, draft.attributes.clone());
                self.returned.extend(self.source.last().map(|stored| stored.message.clone()));
            }
            self.published.push((topic.to_owned(), draft));
        }
        if kind == 2 { Err(fault(FaultKind::Lost)) } else { Ok(ids) }
    }

    fn ack(&mut self, ack_ids: &[String], dice: &mut Dice) -> Result<(), Fault> {
        let kind = if dice.chance(self.faults.ack) { dice.below(4) } else { 4 };
        if matches!(kind, 2..=4) {
            for stored in &mut self.source {
                // An id that ran out is accepted and does nothing; one in ten of a lossy service's do nothing either.
                let valid = stored.leases.iter().any(|(id, ends)| *ends > self.now && ack_ids.contains(id));
                stored.acked |= valid && !(kind == 3 && dice.chance(10));
            }
        }
        match kind {
            0 => Err(fault(FaultKind::Later)),
            1 | 2 => Err(fault(FaultKind::Lost)),
            _ => Ok(()),
        }
    }

    fn lease(&mut self, ack_ids: &[String], until: Elapsed) {
        for (_, ends) in self.source.iter_mut().flat_map(|stored| &mut stored.leases).filter(|(id, _)| ack_ids.contains(id)) {
            if *ends > self.now {
                *ends = until;
            }
        }
    }
}

fn as_task(message: &Message) -> Cargo {
    use base64::Engine as _;
    let task = serde_json::json!({
        "name": format!("projects/shop/locations/l/queues/emails/tasks/t{}", message.id),
        "createTime": message.publish_time.unwrap().to_string(),
        "httpRequest": { "url": "https://shop/", "body": base64::engine::general_purpose::STANDARD.encode(&message.data) },
    });
    Cargo::Task(Box::new(crate::cloud::task_of(task).unwrap()))
}

fn fault(kind: FaultKind) -> Fault {
    Fault { kind, words: format!("{kind:?}") }
}
