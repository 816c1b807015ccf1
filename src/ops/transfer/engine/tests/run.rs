//! A run of transfers over crashes: the real engine and the real journal on a simulated disk against the simulated service.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::super::super::draft::Marks;
use super::super::super::journal::{Archive, Journal};
use super::super::super::record::{Began, Record, Story};
use super::super::super::{Canary, Counts, Delivery, Kind, Options, Request, Selection, State, TaskChange, TransferId};
use super::super::{Call, Elapsed, Engine, Event, Settings, Step};
use super::service::{Faults, Service, Supply};
use crate::error::Result;
use crate::model::message::Message;
use crate::ops::PeekMode;
use crate::wal::sim::{Dice, Ignore, SimDisk};
use crate::wal::{Access, Disk as _, Site};

/// The order of work, broken on purpose: a test must fail then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Early {
    Nothing,
    /// Publishes before the intent is durable.
    Publish,
    /// Acknowledges before the outcome is durable.
    Ack,
}

/// What is played.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub(super) seed: u64,
    pub(super) kind: Kind,
    pub(super) messages: usize,
    pub(super) keys: usize,
    pub(super) marked: bool,
    /// Selected by an expression: by attribute and by age, of which every message has its own.
    pub(super) matching: bool,
    pub(super) window: usize,
    pub(super) faults: Faults,
    pub(super) crash: u64,
    pub(super) full: u64,
    pub(super) rate_max: Option<u32>,
    pub(super) max: Option<u64>,
    pub(super) ignore: Option<Ignore>,
    /// A place in the source whose syncs are left out.
    pub(super) left_out: Option<Site>,
    pub(super) early: Early,
    /// Where they come from, and how they go.
    pub(super) way: Way,
    /// Whether some come straight back, and what is done about it.
    pub(super) care: Care,
}

/// From where to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// From a subscription to the topic of who gave them up.
    Topic,
    /// The same, for who gave them up alone.
    Addressed,
    /// To the endpoint of who gave them up.
    Direct,
    /// To a handler; they stay.
    Handler,
    /// To a file; they stay.
    File,
    /// To a file, read from a copy of the subscription that is made for each run.
    Copy,
    /// Tasks, created anew in another queue.
    Tasks,
    /// Lines of a file, to a topic.
    Lines,
}

impl Way {
    fn supply(self) -> Supply {
        match self {
            Self::Tasks => Supply::Tasks,
            Self::Lines => Supply::Lines,
            Self::Copy => Supply::Copies,
            _ => Supply::Leases,
        }
    }

    /// Tells whether what is delivered stays where it was.
    pub(super) fn stays(self) -> bool {
        matches!(self, Self::Handler | Self::File | Self::Copy | Self::Lines)
    }

    /// Where it arrives.
    pub(super) fn target(self) -> &'static str {
        match self {
            Self::Topic | Self::Addressed | Self::Lines | Self::File | Self::Copy => "projects/shop/topics/orders",
            Self::Direct => "the endpoint of projects/shop/subscriptions/billing",
            Self::Handler => "the handler",
            Self::Tasks => "projects/shop/locations/l/queues/other",
        }
    }
}

/// How a transfer looks after what it sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Care {
    /// So many go first.
    pub(super) canary: Option<u64>,
    /// The rest follows by itself where none came back.
    pub(super) go_on: bool,
    pub(super) stop_on_return: Option<u8>,
    /// Payloads that come straight back.
    pub(super) poison: u8,
}

pub(super) struct Run {
    pub(super) scene: Scene,
    pub(super) dice: Dice,
    pub(super) service: Service,
    pub(super) disk: SimDisk,
    pub(super) archive: Archive,
    /// Ids of messages in scope.
    pub(super) scope: Vec<Message>,
    pub(super) crashes: u64,
    /// Calls that are on their way to the service, and answers on their way back.
    calls: Vec<(Elapsed, Call)>,
    answers: Vec<(Elapsed, Event)>,
    transfers: u32,
    pub(super) counts: Counts,
    pub(super) started: Elapsed,
    /// The errors of the last run.
    pub(super) errors: Vec<String>,
    /// Cancelled at this time.
    pub(super) cancel_at: Option<Elapsed>,
    wake: Option<Elapsed>,
    pub(super) log: Vec<String>,
    /// How far the operator's clock is behind the service's.
    clock_behind: jiff::SignedDuration,
    /// Files of somebody else.
    strange: BTreeSet<PathBuf>,
}

/// What a stranger wrote.
const STRANGE: &[u8] = b"a letter to a friend";

/// Names the file of an export: each that begins has its own.
fn export(transfer: u32) -> PathBuf {
    format!("/home/{transfer}.jsonl").into()
}

const STEPS_MAX: usize = 40_000;
const HELD: &str = "projects/shop/subscriptions/held";

/// Messages that are younger at the cutoff are not selected by the expression; there is one a second.
const MATCHING_AGE_S: usize = 5;

enum Ending {
    Ended(State),
    Crashed,
}

impl Run {
    pub(super) fn new(scene: Scene) -> Self {
        let mut dice = Dice(scene.seed);
        let deadline = [Duration::from_secs(10), Duration::from_mins(1)][dice.below(2)];
        let mut service = Service::new(deadline, scene.faults);
        service.ordered = scene.keys > 0;
        service.supply = scene.way.supply();
        service.poison = (0..scene.care.poison).collect();
        service.now = Elapsed::from_secs(100);
        for n in 0..scene.messages {
            let key = if scene.keys == 0 { String::new() } else { format!("k{}", dice.below(scene.keys)) };
            let third = n.is_multiple_of(3).to_string();
            let attributes = BTreeMap::from([("n".to_owned(), n.to_string()), ("third".to_owned(), third)]);
            service.add(vec![u8::try_from(n % 250).unwrap(), 0, 255], &key, attributes);
            if scene.matching {
                service.now += Elapsed::from_secs(1);
            }
        }
        let selected = |n: usize| !n.is_multiple_of(3) && scene.messages - n > MATCHING_AGE_S;
        let scope = service.source.iter().enumerate();
        let scope = scope.filter(|(n, _)| if scene.matching { selected(*n) } else { !scene.marked || dice.chance(40) });
        let scope = scope.map(|(_, stored)| stored.message.clone()).collect();
        let disk = SimDisk::ignoring(scene.ignore.clone());
        disk.leave_out(scene.left_out);
        crate::wal::make_dir(&disk, Path::new("/home")).unwrap();
        let archive = Archive::new(Arc::new(disk.clone()), Path::new("/home"));
        Self {
            scene,
            dice,
            service,
            disk,
            archive,
            scope,
            crashes: 0,
            calls: Vec::new(),
            answers: Vec::new(),
            transfers: 0,
            counts: Counts::default(),
            started: Elapsed::ZERO,
            errors: Vec::new(),
            cancel_at: None,
            wake: None,
            log: Vec::new(),
            clock_behind: jiff::SignedDuration::ZERO,
            strange: BTreeSet::new(),
        }
    }

    fn request(&self) -> Request {
        let ids: BTreeSet<String> = self.scope.iter().map(|message| message.id.clone()).collect();
        // By the cutoff: were it by the clock, a resumed run would select more.
        let query = || format!("attribute.third = \"false\" and age > {MATCHING_AGE_S}s").parse().unwrap();
        let selection = match &self.scene {
            Scene { matching: true, .. } => Selection::Matching(query()),
            Scene { marked: true, .. } => Selection::Messages(ids),
            _ => Selection::All,
        };
        let (kind, source, delivery) = match self.scene.way {
            Way::Topic => (self.scene.kind, HELD, Delivery::SourceTopic),
            Way::Addressed => (Kind::Redrive, HELD, Delivery::Addressed),
            Way::Direct => (Kind::Redrive, HELD, Delivery::Direct { private: false }),
            Way::Handler => (Kind::Replay, HELD, Delivery::Handler { url: "http://127.0.0.1:1/".into(), anywhere: false }),
            Way::File | Way::Copy => (Kind::Export, HELD, Delivery::File(export(self.transfers))),
            Way::Tasks => (
                Kind::Redrive,
                "projects/shop/locations/l/queues/emails",
                Delivery::Task(Box::new(TaskChange { queue: Some(Way::Tasks.target().parse().unwrap()), ..TaskChange::default() })),
            ),
            Way::Lines => (Kind::Redrive, "file:/tmp/lines", Delivery::Topic(Way::Lines.target().parse().unwrap())),
        };
        let Care { canary, go_on, stop_on_return, .. } = self.scene.care;
        let canary = canary.map(|count| Canary { count, wait: Duration::from_secs(20), go_on });
        Request {
            kind,
            source: source.parse().unwrap(),
            leave: matches!(kind, Kind::Replay | Kind::Export),
            reading: (self.scene.way == Way::Copy).then_some(PeekMode::Snapshot),
            selection,
            delivery,
            rate_max: self.scene.rate_max,
            window: u32::try_from(self.scene.window).unwrap(),
            max: self.scene.max,
            options: Options { canary, stop_on_return, ..Options::default() },
        }
    }

    /// Begins a transfer, over crashes while it does.
    fn begin(&mut self, cutoff: jiff::Timestamp) -> (TransferId, Journal) {
        loop {
            self.set_fuse();
            match self.try_begin(cutoff) {
                Ok(begun) => return begun,
                Err(error) => assert!(self.disk.is_dead(), "{error}"),
            }
            self.die();
        }
    }

    /// Sometimes the machine dies within the next changes of the disk, whatever they are.
    fn set_fuse(&mut self) {
        let dies = self.scene.crash > 0 && self.dice.chance(30);
        let changes = 1 + self.dice.roll() % 12;
        self.disk.set_fuse(dies.then_some(changes));
    }

    fn try_begin(&mut self, cutoff: jiff::Timestamp) -> Result<(TransferId, Journal)> {
        self.transfers += 1;
        let id = TransferId(format!("t{}", self.transfers));
        let began = Began {
            id: id.clone(),
            place: "sim".into(),
            project: None,
            request: self.request(),
            cutoff,
            expected: None,
            routes: Vec::new(),
            at: self.clock(),
        };
        let journal = self.archive.create(began)?;
        Ok((id, journal))
    }

    /// Opens the journal as a resumed transfer does.
    fn recover(&mut self, id: &TransferId) -> Result<(Journal, Story, Began)> {
        let (mut journal, mut story, began) = self.archive.open(id)?;
        let resumed = Record::Resumed { at: self.clock() };
        journal.commit(Vec::new(), std::slice::from_ref(&resumed))?;
        story.add(resumed);
        Ok((journal, story, began))
    }

    /// The operator's own clock, of which nothing may depend.
    fn clock(&self) -> jiff::Timestamp {
        self.service.clock() - self.clock_behind
    }

    /// Plays until a transfer is done, over crashes, stops and second transfers.
    pub(super) fn play(&mut self) -> State {
        let cutoff = self.service.clock();
        self.service.now += Elapsed::from_secs(1);
        let (mut id, journal) = self.begin(cutoff);
        let mut ending = self.transfer(&id, Some(journal));
        for _ in 0..60 {
            if let Ending::Ended(state @ (State::Done | State::DoneInPart)) = ending {
                return state;
            }
            self.disk.set_room(None);
            self.service.now += Duration::from_millis(self.dice.roll() % 30_000);
            // What stays in its source is delivered once more by another transfer: that is no duplicate.
            if self.dice.chance(20) && !self.scene.way.stays() {
                let (other, journal) = self.begin(cutoff);
                id = other;
                ending = self.transfer(&id, Some(journal));
            } else {
                ending = self.transfer(&id, None);
            }
            if self.crashes > 6 {
                self.scene.crash = 0;
                self.scene.full = 0;
            }
        }
        panic!("no end after 60 runs");
    }

    /// Plays one transfer to its end, however that is.
    pub(super) fn play_once(&mut self) -> State {
        let cutoff = self.service.clock();
        self.service.now += Elapsed::from_secs(1);
        let (id, journal) = self.begin(cutoff);
        match self.transfer(&id, Some(journal)) {
            Ending::Ended(state) => state,
            Ending::Crashed => panic!("nobody asked for a crash"),
        }
    }

    fn transfer(&mut self, id: &TransferId, journal: Option<Journal>) -> Ending {
        let past = match self.archive.past(&self.request().source, id, self.clock()) {
            Ok(past) => past,
            Err(error) => {
                assert!(self.disk.is_dead(), "{error}");
                return self.die();
            }
        };
        let (mut journal, story, began) = if let Some(journal) = journal {
            (journal, Story::default(), *self.archive.read(id).unwrap().began.unwrap())
        } else {
            self.set_fuse();
            match self.recover(id) {
                Ok(recovered) => recovered,
                Err(error) => {
                    assert!(self.disk.is_dead(), "{error}");
                    return self.die();
                }
            }
        };
        let mut engine = Engine::new(settings(&began, &self.service), past, &story);
        self.started = self.service.now;
        self.service.rewind();
        self.log.push(format!("{id} from {:?} {:?}", self.started, engine.counts()));
        self.answers.clear();
        let mut events = Vec::new();
        for _ in 0..STEPS_MAX {
            let now = self.service.now.saturating_sub(self.started);
            let step = engine.step(now, events);
            if let Some(ending) = self.perform(&mut engine, &mut journal, step) {
                self.counts = engine.counts();
                self.log.push(format!("{} at {:?} {:?}", matches!(ending, Ending::Crashed), self.service.now, engine.counts()));
                self.errors = engine.errors().map(str::to_owned).collect();
                return ending;
            }
            self.answer_canary(&engine);
            let counts = engine.counts();
            assert_eq!(counts.seen, counts.moved + counts.discarded + counts.skipped + counts.failed + counts.remaining, "{counts:?}");
            events = self.wait();
        }
        panic!("no end after {STEPS_MAX} steps: {:?} {:?} {:?}", engine.counts(), engine.state(), self.scene);
    }
}

impl Run {
    /// The operator answers a transfer that asks; while it asks, no more than the canary is out.
    fn answer_canary(&mut self, engine: &Engine) {
        let asked = self.answers.iter().any(|(_, event)| matches!(event, Event::Proceed));
        let Some(count) = self.scene.care.canary.filter(|_| engine.state() == State::Asking && !asked) else { return };
        if self.transfers == 1 && self.crashes == 0 && engine.unsure() == 0 {
            assert!(
                self.service.published.len() as u64 <= count,
                "{} are out, not only the {count} of the canary",
                self.service.published.len()
            );
        }
        let delay = self.delay();
        self.answers.push((self.service.now + delay, Event::Proceed));
    }

    /// Does what a step asks for, in its order, unless the machine dies in between.
    fn perform(&mut self, engine: &mut Engine, journal: &mut Journal, step: Step) -> Option<Ending> {
        let Step { copies, records, calls, wake, end, originals } = step;
        assert!(originals.is_empty());
        self.wake = wake;
        let something = !copies.is_empty() || !records.is_empty() || !calls.is_empty();
        let dies_at = if something && self.dice.chance(self.scene.crash) { self.dice.below(4) } else { 4 };
        if dies_at == 0 {
            return Some(self.die());
        }
        let (early, calls): (Vec<Call>, Vec<Call>) = calls.into_iter().partition(|call| match self.scene.early {
            Early::Nothing => false,
            Early::Publish => matches!(call, Call::Publish { .. }),
            Early::Ack => matches!(call, Call::Ack { .. }),
        });
        for call in early {
            self.act(call);
        }
        if dies_at == 1 {
            // Between write and sync.
            self.disk.set_syncs_fail(true);
            let _ = journal.commit(copies, &records);
            self.disk.set_syncs_fail(false);
            return Some(self.die());
        }
        if self.dice.chance(self.scene.full) {
            self.disk.set_room(Some(self.dice.below(400)));
        }
        if let Err(error) = journal.commit(copies, &records) {
            if self.disk.is_dead() {
                return Some(self.die());
            }
            let step = engine.journal_failed(&error.to_string());
            // What is on its way arrives, but nobody hears of it: as bad as a crash.
            self.crashes += 1;
            std::mem::take(&mut self.calls).into_iter().map(|(_, call)| call).chain(step.calls).for_each(|call| self.act(call));
            return Some(Ending::Ended(step.end.unwrap()));
        }
        if dies_at == 2 {
            return Some(self.die());
        }
        for call in calls {
            if dies_at == 3 && self.dice.chance(50) {
                return Some(self.die());
            }
            let delay = self.delay();
            self.calls.push((self.service.now + delay, call));
        }
        if dies_at == 3 {
            return Some(self.die());
        }
        let state = end?;
        for (_, call) in std::mem::take(&mut self.calls) {
            assert!(matches!(call, Call::Release { .. } | Call::Find(_) | Call::Look), "{call:?} is under way at the end");
            self.act(call);
        }
        let ended = Record::Ended { at: self.clock(), state, counts: engine.counts(), errors: Vec::new() };
        let _ = journal.commit(Vec::new(), &[ended]);
        Some(if self.disk.is_dead() { self.die() } else { Ending::Ended(state) })
    }

    fn act(&mut self, call: Call) {
        let answer = self.service.act(call, &mut self.dice);
        let delay = self.delay();
        self.answers.extend(answer.map(|answer| (self.service.now + delay, answer)));
    }

    fn delay(&mut self) -> Duration {
        let ms_max = if self.dice.chance(self.scene.faults.slow) { 40_000 } else { 200 };
        Duration::from_millis(self.dice.roll() % ms_max)
    }

    /// The process or the machine dies, and the clock may be wrong when it is back; what was on its way to the service may arrive all the same.
    fn die(&mut self) -> Ending {
        self.crashes += 1;
        for (_, call) in std::mem::take(&mut self.calls) {
            if self.dice.chance(50) {
                self.act(call);
            }
        }
        self.answers.clear();
        if self.dice.chance(40) {
            self.disk.kill();
        } else {
            self.disk.crash(&mut self.dice);
            self.let_a_stranger_write();
        }
        self.clock_behind = [jiff::SignedDuration::ZERO, jiff::SignedDuration::from_hours(1)][self.dice.below(2)];
        Ending::Crashed
    }

    /// Somebody else takes the name of an export that is not there: what lies under it is not ours then.
    fn let_a_stranger_write(&mut self) {
        if !matches!(self.scene.way, Way::File | Way::Copy) {
            return;
        }
        for path in (1..=self.transfers).map(export) {
            if self.disk.open(&path, Access::Create).is_ok() {
                self.disk.damage(&path, |content| *content = STRANGE.to_vec());
                self.strange.insert(path);
            }
        }
    }

    /// Lets time pass until something happens.
    fn wait(&mut self) -> Vec<Event> {
        loop {
            let wake = self.wake.map(|wake| self.started + wake);
            let due = self.calls.iter().map(|(at, _)| *at).chain(self.answers.iter().map(|(at, _)| *at)).chain(wake).min();
            let due = due.into_iter().chain(self.cancel_at).min().expect("nothing is under way and no time is set: stuck");
            self.service.now = self.service.now.max(due);
            let now = self.service.now;
            if self.cancel_at.is_some_and(|at| at <= now) {
                self.cancel_at = None;
                return vec![Event::Cancel];
            }
            let (calls, later) = std::mem::take(&mut self.calls).into_iter().partition(|(at, _)| *at <= now);
            self.calls = later;
            let calls: Vec<(Elapsed, Call)> = calls;
            for (_, call) in calls {
                self.act(call);
            }
            let (answers, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.answers).into_iter().partition(|(at, _)| *at <= now);
            self.answers = later;
            if !answers.is_empty() || wake.is_some_and(|wake| wake <= now) {
                let mut events: Vec<Event> = answers.into_iter().map(|(_, event)| event).collect();
                if self.scene.crash > 0 && self.dice.chance(self.scene.crash) && self.dice.chance(30) {
                    events.push(Event::Cancel);
                }
                return events;
            }
        }
    }

    /// Checks that nothing of somebody else was written over; what a crash took away is gone.
    pub(super) fn leaves_strange_files_alone(&self) {
        for path in self.strange.iter().filter(|path| self.disk.open(path, Access::Read).is_ok()) {
            assert_eq!(self.disk.content(path), STRANGE, "{} is written over", path.display());
        }
    }

    /// Returns what all journals together say may have been published more than once.
    pub(super) fn unsure(&self) -> u64 {
        self.stories().iter().map(|(_, story)| story.unsure_max()).sum()
    }

    /// Reads all journals; a transfer that a crash kept from beginning has none.
    fn stories(&self) -> Vec<(TransferId, Story)> {
        let ids = self.archive.ids().unwrap().into_iter();
        ids.filter_map(|id| match self.archive.read(&id) {
            Err(error) if error.is_not_found() => None,
            story => Some((id, story.unwrap())),
        })
        .collect()
    }

    /// Returns the message ids in the files of copies, as the journals vouch for them.
    pub(super) fn kept(&self) -> Vec<String> {
        let mut kept = Vec::new();
        for (id, story) in self.stories() {
            let bytes = usize::try_from(story.kept_bytes).unwrap();
            if bytes > 0 {
                let request = &story.began.as_ref().unwrap().request;
                let content = self.disk.content(&self.archive.copies(&id, request));
                for line in String::from_utf8(content[..bytes].to_vec()).unwrap().lines() {
                    let copy: serde_json::Value = serde_json::from_str(line).unwrap();
                    kept.push(copy["messageId"].as_str().unwrap().to_owned());
                }
            }
        }
        kept
    }
}

fn settings(began: &Began, service: &Service) -> Settings {
    let request = began.request.clone();
    Settings {
        id: began.id.clone(),
        kind: request.kind,
        leave: request.leaves() && !request.reads_snapshot(),
        drains: request.reads_snapshot(),
        late: Duration::ZERO,
        leased: service.supply.is_leased(),
        marks: Marks::of(&request.source, &began.id),
        source: request.source,
        selection: request.selection,
        delivery: request.delivery,
        rate_max: request.rate_max,
        window: request.window as usize,
        max: request.max,
        cutoff: began.cutoff,
        routes: Vec::new(),
        ack_deadline: if service.supply.is_leased() { service.deadline } else { Duration::ZERO },
        ordered: service.ordered,
        exactly_once: !service.supply.is_leased(),
        watched: request.options.canary.is_some() || request.options.stop_on_return.is_some(),
        options: request.options,
    }
}
