//! Properties: nothing panics, nothing hostile reaches the screen, and a frame costs what is visible.

use std::cell::Cell;

use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::fixture::{Bench, now, task};
use crate::console::message::{Effect, Fetch, Fetched, Message, Mouse};
use crate::error::{Error, Kind};
use crate::model::listing::Listing;
use crate::model::message::Message as Letter;
use crate::model::text::is_safe;
use crate::ops::{Peek, PeekMode};

/// Every cell holds what a terminal may get.
fn all_safe(buffer: &Buffer) -> bool {
    buffer.content.iter().all(|cell| cell.symbol().chars().all(is_safe))
}

fn key() -> impl Strategy<Value = String> {
    const KEYS: &[&str] = &[
        "enter",
        "esc",
        "up",
        "down",
        "left",
        "right",
        "tab",
        "backtab",
        "space",
        "home",
        "end",
        "pageup",
        "pagedown",
        "backspace",
        "ctrl-d",
        "ctrl-r",
        "ctrl-w",
        "ctrl-s",
        "ctrl-c",
        "ctrl-\\",
        "ctrl-space",
        "shift-left",
        "shift-right",
        "alt-enter",
        "/",
        ":",
        "?",
        "s",
        "I",
        "v",
        "g",
        "L",
        "d",
        "y",
        "c",
        "b",
        "p",
        "r",
        "x",
        "P",
        "X",
        "R",
        "w",
        "@",
        "M",
        "[",
        "]",
        "1",
        "2",
        "3",
        "4",
        "5",
        "6",
        "q",
        "G",
        "~",
        "!",
        "=",
        ">",
        "漢",
        "é",
    ];
    prop::sample::select(KEYS).prop_map(str::to_owned)
}

#[derive(Debug, Clone)]
enum Step {
    Key(String),
    Paste(String),
    Resize(u16, u16),
    Mouse(u16, u16, u8),
    Settle,
    Fail,
    Later(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => key().prop_map(Step::Key),
        1 => any::<String>().prop_map(Step::Paste),
        1 => (0..200_u16, 0..60_u16).prop_map(|(w, h)| Step::Resize(w, h)),
        1 => (0..200_u16, 0..60_u16, 0..3_u8).prop_map(|(x, y, kind)| Step::Mouse(x, y, kind)),
        3 => Just(Step::Settle),
        1 => Just(Step::Fail),
        1 => (0..100_000_u32).prop_map(Step::Later),
    ]
}

fn take(bench: &mut Bench, step: Step) {
    match step {
        Step::Key(key) => bench.say(Message::Key(key.parse().unwrap())),
        Step::Paste(text) => bench.say(Message::Paste(text)),
        Step::Resize(width, height) => bench.say(Message::Resize(width, height)),
        Step::Mouse(x, y, kind) => bench.say(Message::Mouse([Mouse::Click, Mouse::ScrollUp, Mouse::ScrollDown][usize::from(kind)], x, y)),
        Step::Settle => bench.settle(),
        Step::Fail => {
            for effect in std::mem::take(&mut bench.effects) {
                match effect {
                    Effect::Fetch(id, Fetch::Queues) => bench.say(Message::Fetched(id, Box::new(Fetched::Queues(Err(hostile()))))),
                    Effect::Do(id, _) => bench.say(Message::Done(id, Err(hostile()))),
                    _ => {}
                }
            }
        }
        Step::Later(seconds) => bench.say_at(Message::Tick, now() + jiff::SignedDuration::from_secs(seconds.into())),
    }
}

fn hostile() -> Error {
    Error::new(Kind::Internal, "\u{1b}]52;c;aGk=\u{7} \u{202e}evil\r\n").with_hint("\u{9b}31m\u{200b}")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_and_nothing_unsafe_is_drawn(steps in prop::collection::vec(step(), 1..60)) {
        let mut bench = Bench::new(80, 24);
        for step in steps {
            take(&mut bench, step);
            let buffer = bench.buffer();
            prop_assert!(all_safe(&buffer));
        }
    }

    #[test]
    fn hostile_messages_and_tasks_are_escaped(id in any::<String>(), data in any::<Vec<u8>>(), key in any::<String>(), value in any::<String>(), ordering in any::<String>()) {
        let mut bench = Bench::new(120, 40);
        bench.press("5 down");
        bench.say(Message::Key("enter".parse().unwrap()));
        let letter = Letter { id, data: data.into(), attributes: [(key.clone(), value.clone()), ("error".to_owned(), value.clone())].into(), ordering_key: ordering, publish_time: None, delivery_attempt: Some(3) };
        for effect in std::mem::take(&mut bench.effects) {
            if let Effect::Fetch(call, Fetch::Messages(name, _)) = effect {
                let peek = Peek { messages: vec![letter.clone()], mode: PeekMode::Leased, truncated: true, note: Some(value.clone()), as_of: now() };
                bench.say(Message::Fetched(call, Box::new(Fetched::Messages(name, Ok(peek)))));
            }
        }
        for keys in ["", "ctrl-w", "enter", "y", "y", "esc", "esc", "g", "enter", "space", "R"] {
            bench.press(keys);
            prop_assert!(all_safe(&bench.buffer()), "after `{}`", keys);
        }
        let copied = { bench.press("esc esc esc c"); bench.asked() };
        prop_assert!(copied.chars().all(|c| is_safe(c) || c == '\n'));
    }
}

#[test]
fn a_hostile_task_is_escaped() {
    let mut bench = Bench::new(120, 40);
    bench.press("2");
    bench.say(Message::Key("enter".parse().unwrap()));
    let mut evil = task("t-1", 3);
    evil.request.url = "https://x/\u{1b}[2J\u{202e}".into();
    evil.request.headers = vec![("\u{1b}]0;pwned\u{7}".into(), "\u{2028}".into())];
    evil.request.body = b"\x1b[31m\xff\xfe".as_slice().into();
    evil.last_attempt.as_mut().unwrap().status = Some((13, "\u{9b}2J".into()));
    for effect in std::mem::take(&mut bench.effects) {
        if let Effect::Fetch(call, Fetch::Tasks(queue)) = effect {
            let listing = Listing { items: vec![evil.clone()], ..Listing::empty(now()) };
            bench.say(Message::Fetched(call, Box::new(Fetched::Tasks(queue, Ok(listing)))));
        }
    }
    assert!(all_safe(&bench.buffer()));
    bench.say(Message::Key("enter".parse().unwrap()));
    for effect in std::mem::take(&mut bench.effects) {
        if let Effect::Fetch(call, Fetch::Task(name)) = effect {
            bench.say(Message::Fetched(call, Box::new(Fetched::Task(name, Ok(evil.clone())))));
        }
    }
    assert!(all_safe(&bench.buffer()));
    assert!(bench.text().contains("\\u{1b}"), "{}", bench.text());
}

thread_local! {
    /// How often a cell of a counting row was read.
    static READS: Cell<usize> = const { Cell::new(0) };
}

mod counting {
    //! A row that counts how often it is looked at.

    use super::READS;
    use crate::console::app::{Column, Row, Value};
    use crate::console::theme::State;

    pub(super) struct Counted(pub(super) String, pub(super) u64);

    impl Row for Counted {
        const COLUMNS: &'static [Column] = &[Column::text("name", "name", 40, 0), Column::number("size", "size", 12, 0)];

        fn key(&self) -> &str {
            &self.0
        }

        fn value(&self, column: usize) -> Value<'_> {
            READS.set(READS.get() + 1);
            if column == 0 { Value::text(self.0.as_str()) } else { Value::Count(self.1) }
        }

        fn state(&self) -> State {
            State::Ok
        }
    }
}

/// Counts the cells read to draw a frame in the middle of a list of so many rows.
fn reads_of(rows: u64) -> usize {
    use crate::console::app::{List, Table};
    let bench = Bench::new(120, 40);
    let theme = crate::console::theme::Theme::standard(false, crate::console::theme::Depth::True, false);
    let mut list: List<counting::Counted> = List::new();
    list.set_rows((0..rows).map(|n| counting::Counted(format!("row-{n}"), n)).collect(), now());
    list.set_cursor(usize::try_from(rows / 2).unwrap(), 36);
    let area = Rect::new(0, 0, 120, 37);
    let mut buffer = Buffer::empty(area);
    READS.set(0);
    crate::console::widget::table::draw(&bench.app, &list, &theme, &mut buffer, area);
    READS.get()
}

#[test]
fn a_million_rows_cost_what_a_thousand_cost() {
    let (thousand, million) = (reads_of(1_000), reads_of(1_000_000));
    assert_eq!(thousand, million);
    assert!(million <= 36 * 2 * 3, "only visible cells are read: {million}");
}
