//! Sources and deliveries other than a subscription and a topic: what is left, what is read once, what goes to an endpoint.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::super::cargo::{Cargo, Identity};
use super::super::super::draft::Marks;
use super::super::super::record::Story;
use super::super::super::{Delivery, Kind, Request, Selection, Source, State, TaskChange, TransferId};
use super::super::{Arrival, Call, Elapsed, Engine, Event, Fault, FaultKind, Past, Settings};
use crate::model::message::Message;

fn message(n: usize) -> Cargo {
    let attributes = [("", "billing"), ("Project", "shop")]
        .map(|(name, value)| (format!("CloudPubSubDeadLetterSourceSubscription{name}"), value.to_owned()));
    Cargo::Message(Message {
        id: n.to_string(),
        data: vec![0].into(),
        attributes: attributes.into(),
        ordering_key: String::new(),
        publish_time: Some("2026-11-21T06:00:00Z".parse().unwrap()),
        delivery_attempt: None,
    })
}

fn task(n: usize) -> Cargo {
    let name = format!("projects/shop/locations/l/queues/emails/tasks/t{n}");
    Cargo::Task(Box::new(crate::cloud::task_of(serde_json::json!({ "name": name, "httpRequest": { "url": "https://shop/" } })).unwrap()))
}

fn settings(source: &str, kind: Kind, delivery: Delivery, count: u64) -> Settings {
    let request = Request { delivery, max: Some(count), ..Request::new(kind, source.parse().unwrap()) };
    let leased = matches!(request.source, Source::Subscription(_));
    Settings {
        id: TransferId("t1".into()),
        kind,
        leave: request.leaves(),
        drains: false,
        late: Duration::ZERO,
        leased,
        marks: Marks::of(&request.source, &TransferId("t1".into())),
        source: request.source,
        selection: request.selection,
        delivery: request.delivery,
        rate_max: None,
        window: 100,
        max: request.max,
        cutoff: "2026-11-21T07:00:00Z".parse().unwrap(),
        routes: Vec::new(),
        ack_deadline: if leased { Duration::from_secs(10) } else { Duration::ZERO },
        ordered: false,
        exactly_once: !leased,
        options: request.options,
        watched: false,
    }
}

/// A service that answers at once, and notes what it was asked.
struct Desk {
    engine: Engine,
    backlog: VecDeque<Arrival>,
    now: Elapsed,
    asked: Vec<String>,
    /// How many deliveries were under way at once, step by step.
    sends: Vec<usize>,
    answer: fn(usize) -> Result<Vec<String>, Fault>,
    /// Deletions whose answer is lost.
    lost_acks: usize,
    /// Whether with each pull something comes that was published after the begin.
    busy: bool,
}

impl Desk {
    fn new(settings: Settings, story: &Story, cargos: impl IntoIterator<Item = Cargo>) -> Self {
        let backlog = cargos.into_iter().enumerate().map(|(n, cargo)| Arrival { ack_id: format!("a{n}"), cargo }).collect();
        let engine = Engine::new(settings, Past::default(), story);
        Self {
            engine,
            backlog,
            now: Elapsed::ZERO,
            asked: Vec::new(),
            sends: Vec::new(),
            answer: |_| Ok(vec![String::new()]),
            lost_acks: 0,
            busy: false,
        }
    }

    fn run(&mut self) -> State {
        let mut events = Vec::new();
        for _ in 0..1000 {
            let step = self.engine.step(self.now, std::mem::take(&mut events));
            let before = self.asked.len();
            let mut sends = 0;
            for call in step.calls {
                events.extend(self.take(call, &mut sends));
            }
            if sends > 0 {
                self.sends.push(sends);
            }
            if let Some(state) = step.end {
                return state;
            }
            if events.is_empty() {
                assert!(step.wake.is_some() || self.asked.len() > before, "stuck: {:?}", self.engine.counts());
                self.now = self.now.max(step.wake.unwrap_or(self.now));
            }
        }
        panic!("no end: {:?}", self.engine.counts());
    }

    fn take(&mut self, call: Call, sends: &mut usize) -> Option<Event> {
        let told: Vec<usize> = self.asked.iter().filter(|asked| *asked == "send").map(|_| 1).collect();
        Some(match call {
            Call::Pull { max, .. } => {
                let mut some: Vec<Arrival> = self.backlog.drain(..max.min(10).min(self.backlog.len())).collect();
                some.extend(self.busy.then(|| self.late()));
                Event::Pulled(Ok(some))
            }
            Call::Find(source) => Event::Found(source, Ok("projects/shop/topics/orders".parse().unwrap())),
            Call::Publish { call, load, .. } => {
                self.asked.push("publish".to_owned());
                Event::Published(call, Ok(load.drafts().iter().map(|_| "new".to_owned()).collect()))
            }
            Call::Send { call, .. } => {
                *sends += 1;
                self.asked.push("send".to_owned());
                Event::Published(call, (self.answer)(told.len()))
            }
            Call::Ack { call, ack_ids } => {
                self.asked.extend(ack_ids.iter().map(|id| format!("ack {id}")));
                self.lost_acks = self.lost_acks.saturating_sub(1);
                Event::Acked(call, if self.lost_acks > 0 { Err(fault(FaultKind::Lost)) } else { Ok(()) })
            }
            Call::Extend { call, ack_ids, .. } => {
                self.asked.extend(ack_ids.iter().map(|id| format!("extend {id}")));
                Event::Extended(call, Ok(()))
            }
            Call::Look => Event::Looked(Ok(Vec::new())),
            Call::Release { ack_ids } => {
                self.asked.extend(ack_ids.iter().map(|id| format!("release {id}")));
                return None;
            }
        })
    }

    /// Makes a message that came too late.
    fn late(&mut self) -> Arrival {
        self.now += Duration::from_millis(1);
        let number = 1_000_000 + usize::try_from(self.now.as_millis()).unwrap();
        let Cargo::Message(mut message) = message(number) else { panic!("it is a message") };
        message.publish_time = Some("2026-11-21T08:00:00Z".parse().unwrap());
        Arrival { ack_id: format!("late {number}"), cargo: Cargo::Message(message) }
    }

    fn count(&self, what: &str) -> usize {
        self.asked.iter().filter(|asked| asked.starts_with(what)).count()
    }
}

fn fault(kind: FaultKind) -> Fault {
    Fault { kind, words: format!("{kind:?}") }
}

const HOLD: &str = "projects/shop/subscriptions/hold";

#[test]
fn what_is_left_is_never_acknowledged_and_all_is_released() {
    let handler = Delivery::Handler { url: "http://127.0.0.1:1/".into(), anywhere: false };
    for (kind, delivery) in [(Kind::Replay, handler), (Kind::Export, Delivery::File("/tmp/x".into()))] {
        let mut desk = Desk::new(settings(HOLD, kind, delivery, 9), &Story::default(), (0..9).map(message));
        assert_eq!(desk.run(), State::Done);
        assert_eq!((desk.engine.counts().moved, desk.engine.counts().seen), (9, 9), "{kind:?}");
        assert_eq!((desk.count("ack"), desk.count("release")), (0, 9), "{kind:?}");
    }
}

#[test]
fn a_copy_is_drained_and_what_comes_too_late_neither_stays_nor_keeps_it_going() {
    let odd = Selection::Messages((0..30).filter(|n| n % 2 == 1).map(|n| n.to_string()).collect());
    for selection in [Selection::All, odd] {
        let wanted = if selection == Selection::All { 30 } else { 15 };
        let export = settings(HOLD, Kind::Export, Delivery::File("/tmp/x".into()), u64::MAX);
        let copy = Settings { leave: false, drains: true, late: Duration::from_mins(1), selection, ..export };
        let mut desk = Desk::new(copy, &Story::default(), (0..30).map(message));
        desk.busy = true;
        assert_eq!(desk.run(), State::Done);
        let counts = desk.engine.counts();
        assert_eq!((counts.moved, counts.remaining), (wanted, 0), "{counts:?}");
        let acknowledged = desk.asked.iter().filter(|asked| asked.starts_with("ack a")).count();
        assert_eq!((acknowledged, desk.count("ack late")), (30, usize::try_from(counts.skipped - (30 - wanted)).unwrap()), "{counts:?}");
        assert!(desk.now > Duration::from_mins(1), "a copy may seem empty at first: {:?}", desk.now);
        assert!(desk.now < Duration::from_mins(2), "{:?}", desk.now);
    }
}

#[test]
fn an_endpoint_is_asked_by_one_call_at_first_and_more_as_it_goes_well() {
    let direct = Delivery::Direct { private: false };
    let mut desk = Desk::new(settings(HOLD, Kind::Redrive, direct, u64::MAX), &Story::default(), (0..40).map(message));
    assert_eq!(desk.run(), State::Done);
    assert_eq!((desk.engine.counts().moved, desk.count("send"), desk.count("ack")), (40, 40, 40));
    assert!(desk.sends[0] == 1 && *desk.sends.iter().max().unwrap() >= 4, "{:?}", desk.sends);
}

#[test]
fn ten_failures_in_a_row_stop_it_and_fewer_do_not() {
    let direct = || settings(HOLD, Kind::Redrive, Delivery::Direct { private: false }, 40);
    let mut desk = Desk::new(direct(), &Story::default(), (0..40).map(message));
    desk.answer = |_| Err(fault(FaultKind::Bad));
    assert_eq!(desk.run(), State::Stopped);
    assert_eq!((desk.count("send"), desk.engine.counts().failed, desk.count("ack")), (10, 10, 0));
    let mut desk = Desk::new(direct(), &Story::default(), (0..40).map(message));
    desk.answer = |n| if n % 10 == 9 { Ok(vec![String::new()]) } else { Err(fault(FaultKind::Bad)) };
    assert_eq!(desk.run(), State::DoneInPart);
    assert_eq!((desk.engine.counts().moved, desk.engine.counts().failed), (4, 36));
}

#[test]
fn a_file_is_read_to_its_end_though_all_at_its_begin_is_done_already() {
    let mut story = Story::default();
    story.published.extend((0..10).map(|n| Identity::of(&message(n))));
    let to = Delivery::Topic("projects/shop/topics/dead".parse().unwrap());
    let mut desk = Desk::new(settings("file:/tmp/x", Kind::Redrive, to, u64::MAX), &story, (0..20).map(message));
    assert_eq!(desk.run(), State::Done);
    assert_eq!((desk.engine.counts().moved, desk.engine.counts().seen), (20, 20));
    assert_eq!((desk.count("ack"), desk.count("extend"), desk.count("release")), (0, 0, 0), "nothing of a file is leased");
    assert!(desk.now < Duration::from_secs(5), "there is nothing to wait for: {:?}", desk.now);
}

#[test]
fn a_task_is_deleted_once_it_is_created_and_asked_for_again_where_that_is_not_known() {
    let to = Delivery::Task(Box::<TaskChange>::default());
    let mut desk =
        Desk::new(settings("projects/shop/locations/l/queues/emails", Kind::Redrive, to, u64::MAX), &Story::default(), (0..7).map(task));
    desk.lost_acks = 2;
    assert_eq!(desk.run(), State::Done);
    assert_eq!((desk.engine.counts().moved, desk.count("send")), (7, 7));
    assert!(desk.count("ack") > 7, "what was lost is asked for again");
    let first = desk.asked.iter().position(|asked| asked.starts_with("ack")).unwrap();
    assert!(desk.asked[..first].contains(&"send".to_owned()), "create first, then delete: {:?}", desk.asked);
}

#[test]
fn a_task_that_ran_is_not_deleted() {
    let mut desk = Desk::new(
        settings("projects/shop/locations/l/queues/emails", Kind::Run, Delivery::Run, u64::MAX),
        &Story::default(),
        (0..5).map(task),
    );
    assert_eq!(desk.run(), State::Done);
    assert_eq!((desk.engine.counts().moved, desk.count("send"), desk.count("ack")), (5, 5, 0));
    let chosen = Selection::Messages(["projects/shop/locations/l/queues/emails/tasks/t9".to_owned()].into());
    let missing = Settings { selection: chosen, ..settings("projects/shop/locations/l/queues/emails", Kind::Run, Delivery::Run, 5) };
    let mut desk = Desk::new(missing, &Story::default(), (0..5).map(task));
    assert_eq!((desk.run(), desk.count("send")), (State::DoneInPart, 0));
}
