//! Every screen as a snapshot at 80×24 and 120×40.

use std::fmt::Write as _;

use super::fixture::{Bench, failure, now, text};
use crate::console::message::{Effect, Fetch, Fetched, Message};
use crate::console::theme::{Depth, Theme};
use crate::model::listing::Listing;
use crate::model::queue::Queue;

/// Where keys lead, and what the snapshot is called.
const SCREENS: &[(&str, &str)] = &[
    ("overview", ""),
    ("queues", "2"),
    ("tasks", "2 enter"),
    ("task", "2 enter enter"),
    ("topics", "3"),
    ("subscriptions", "4"),
    ("dead-letters", "5"),
    ("messages", "5 down enter"),
    ("causes", "5 down enter g"),
    ("message", "5 down enter enter"),
    ("jobs", "6"),
    ("job", "6 enter"),
    ("transfers", "w"),
    ("transfer", "w enter"),
    ("activity", "@"),
    ("describe", "2 d"),
    ("raw-yaml", "2 y"),
    ("raw-json", "2 y y"),
    ("help", "5 ?"),
    ("palette", ": type:qu"),
    ("filter", "2 / type:state=running"),
    ("filter-nothing", "2 / type:zzz enter"),
    ("sort", "2 s"),
    ("redrive", "5 down R"),
    ("discard-tasks", "2 enter space space / type:welcome-42 enter ctrl-d"),
    ("purge", "2 X"),
    ("publish", "3 p type:{\"order\":"),
    ("debug", "2 enter enter x"),
    ("doctor", "D"),
    ("finding", "D enter"),
];

#[test]
fn every_screen() {
    for (width, height) in [(80, 24), (120, 40)] {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_suffix(format!("{width}x{height}"));
        settings.set_omit_expression(true);
        settings.bind(|| {
            for (name, keys) in SCREENS {
                let mut bench = Bench::new(width, height);
                bench.press(keys);
                insta::assert_snapshot!(*name, bench.text());
            }
        });
    }
}

#[test]
fn before_any_answer() {
    let mut bench = Bench::cold(80, 24);
    insta::assert_snapshot!("connecting", bench.text());
    bench.say(Message::Connected(Err(failure())));
    insta::assert_snapshot!("cannot-start", bench.text());
}

#[test]
fn loading_failed_and_stale() {
    let mut bench = Bench::new(80, 24);
    bench.say(Message::Key("2".parse().unwrap()));
    let asked = std::mem::take(&mut bench.effects);
    let queues = asked.iter().find_map(|effect| if let Effect::Fetch(id, Fetch::Queues) = effect { Some(*id) } else { None }).unwrap();
    bench.say(Message::Fetched(queues, Box::new(Fetched::Queues(Err(failure())))));
    insta::assert_snapshot!("stale", bench.text());

    let mut bench = Bench::cold(80, 24);
    bench.say(Message::Connected(Ok(crate::console::message::Session {
        project: "shop-prod".into(),
        place: crate::ops::Place::Emulator("127.0.0.1:8085".into()),
        locations: vec![],
        sample: true,
    })));
    bench.effects.clear();
    bench.say(Message::Key("2".parse().unwrap()));
    insta::assert_snapshot!("loading", bench.text());
    let asked = std::mem::take(&mut bench.effects);
    let queues = asked.iter().find_map(|effect| if let Effect::Fetch(id, Fetch::Queues) = effect { Some(*id) } else { None }).unwrap();
    bench.say(Message::Fetched(queues, Box::new(Fetched::Queues(Err(failure())))));
    insta::assert_snapshot!("failed", bench.text());
}

#[test]
fn nothing_to_attend_to_is_not_said_to_be_well_once_nobody_answers() {
    let mut bench = Bench::cold(80, 24);
    bench.say(Message::Connected(Ok(crate::console::message::Session {
        project: "shop-prod".into(),
        place: crate::ops::Place::Google,
        locations: vec![],
        sample: false,
    })));
    let mut answer = |queues: fn() -> crate::error::Result<Listing<Queue>>| {
        for effect in std::mem::take(&mut bench.effects) {
            if let Effect::Fetch(id, Fetch::Queues) = effect {
                bench.say(Message::Fetched(id, Box::new(Fetched::Queues(queues()))));
            }
        }
        let text = bench.text();
        bench.say(Message::Key("ctrl-r".parse().unwrap()));
        text
    };
    let well = answer(|| Ok(Listing::empty(now())));
    assert!(well.contains("nothing: all is well"), "{well}");
    let unknown = answer(|| Err(failure()));
    assert!(unknown.contains("nothing then; what is now is not known") && !unknown.contains("all is well"), "{unknown}");
}

#[test]
fn too_small_says_so_and_recovers() {
    let mut bench = Bench::new(80, 24);
    bench.say(Message::Resize(40, 10));
    insta::assert_snapshot!("too-small", bench.text());
    bench.say(Message::Resize(80, 24));
    assert!(bench.text().contains("needs attention"));
}

#[test]
fn ascii_terminals_get_ascii() {
    let bench = Bench::new(100, 30).theme(Theme::standard(false, Depth::Mono, true));
    let shown = bench.text();
    assert!(shown.is_ascii(), "{shown}");
    insta::assert_snapshot!("ascii", shown);
}

/// Styles as runs: `text{fg on bg, modifiers}`.
#[test]
fn styles_of_every_theme() {
    for name in ["dark", "light", "ansi16", "mono", "high-contrast", "colour-blind"] {
        let theme = Theme::load(name, None, Depth::True, false).unwrap();
        let mut bench = Bench::new(80, 15).theme(theme);
        bench.press("2 down space");
        let buffer = bench.buffer();
        let mut out = text(&buffer);
        for y in 0..buffer.area.height {
            let mut last = None;
            for x in 0..buffer.area.width {
                let cell = &buffer[(x, y)];
                let style = (cell.fg, cell.bg, cell.modifier);
                if last != Some(style) {
                    let _ = write!(out, " {x}:{:?}/{:?}/{:?}", cell.fg, cell.bg, cell.modifier);
                    last = Some(style);
                }
            }
            out.push('\n');
        }
        insta::assert_snapshot!(format!("theme-{name}"), out);
    }
}
