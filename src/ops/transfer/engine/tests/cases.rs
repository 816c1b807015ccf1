//! Single rules, each in a scene of its own on a service that is otherwise well.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::super::draft::GENERATION;
use super::super::super::{Counts, State};
use super::run::{Run, Scene};
use super::{CALM, copies, in_order, scene};

fn calm(messages: usize) -> Scene {
    Scene { faults: CALM, crash: 0, full: 0, messages, ..scene(7) }
}

/// Every message that was not moved is free for others at once.
fn nothing_is_leased(run: &Run) {
    let now = run.service.now;
    for stored in run.service.source.iter().filter(|stored| !stored.acked) {
        assert!(stored.leases.iter().all(|(_, ends)| *ends <= now), "{} is leased", stored.message.id);
    }
}

#[test]
fn one_bad_message_in_a_batch_stays_and_the_rest_goes() {
    let mut run = Run::new(calm(40));
    run.service.bad = vec![5];
    assert_eq!(run.play_once(), State::DoneInPart);
    assert_eq!(run.counts, Counts { seen: 40, moved: 39, failed: 1, ..Counts::default() });
    assert!(run.errors[0].contains(&run.service.source[5].message.id), "{:?}", run.errors);
    assert_eq!(run.unsure(), 0, "a refusal is no doubt");
    nothing_is_leased(&run);
}

#[test]
fn a_failing_key_pauses_and_the_others_go_on() {
    let mut run = Run::new(Scene { keys: 3, ..calm(40) });
    run.service.bad = vec![5];
    let key = run.service.source[5].message.ordering_key.clone();
    let behind = run.service.source[5..].iter().filter(|stored| stored.message.ordering_key == key).count() as u64;
    assert!(behind > 1);
    assert_eq!(run.play_once(), State::DoneInPart);
    // What the service held back behind the failed one was never seen.
    assert_eq!(run.counts.moved, 40 - behind);
    assert!(run.counts.failed >= 1);
    in_order(&run);
    nothing_is_leased(&run);
}

#[test]
fn marked_messages_that_are_not_there_are_named() {
    let mut run = Run::new(Scene { marked: true, ..calm(10) });
    let missing = run.scope[0].id.clone();
    run.service.source.retain(|stored| stored.message.id != missing);
    assert_eq!(run.play_once(), State::DoneInPart);
    assert_eq!(run.errors, [format!("1 of the marked messages were not found: {missing}")]);
}

#[test]
fn messages_that_match_are_all_found() {
    let mut run = Run::new(Scene { matching: true, ..calm(40) });
    assert_eq!(run.play_once(), State::Done);
    let selected = run.scope.len() as u64;
    assert_eq!(run.counts, Counts { seen: 40, moved: selected, skipped: 40 - selected, ..Counts::default() });
    nothing_is_leased(&run);
}

/// A backlog that takes longer to look through than two ack deadlines is looked through all the same.
#[test]
fn a_match_behind_a_long_backlog_is_found() {
    let mut run = Run::new(Scene { window: 1, ..calm(400) });
    run.service.deadline = Duration::from_secs(10);
    let last = run.service.source.last().unwrap().message.clone();
    run.scope = vec![last];
    run.scene.marked = true;
    assert_eq!(run.play_once(), State::Done, "{:?}", run.errors);
    assert_eq!(run.counts, Counts { seen: 400, moved: 1, skipped: 399, ..Counts::default() });
    nothing_is_leased(&run);
}

#[test]
fn what_comes_straight_back_is_not_moved_twice() {
    let mut run = Run::new(calm(20));
    run.service.poison = vec![3, 4];
    assert_eq!(run.play_once(), State::Done);
    assert_eq!(run.counts, Counts { seen: 22, moved: 20, skipped: 2, ..Counts::default() });
    assert!(copies(&run).values().all(|count| *count == 1));
    nothing_is_leased(&run);
}

#[test]
fn the_rate_is_a_limit() {
    let mut run = Run::new(Scene { rate_max: Some(10), max: Some(50), window: 100, ..calm(60) });
    assert_eq!(run.play_once(), State::Done);
    assert_eq!((run.counts.moved, run.service.published.len()), (50, 50));
    let took = run.service.now.saturating_sub(run.started);
    // The last look waits for the last lease.
    assert!((Duration::from_millis(4900)..Duration::from_secs(30)).contains(&took), "{took:?}");
}

#[test]
fn no_more_than_the_maximum_is_moved() {
    for max in [1, 19, 20] {
        let mut run = Run::new(Scene { max: Some(max), ..calm(20) });
        assert_eq!(run.play_once(), State::Done);
        assert_eq!((run.counts.moved, run.service.published.len() as u64), (max, max));
        nothing_is_leased(&run);
    }
}

#[test]
fn a_cancel_lets_go_at_once() {
    for ms in (0..3000).step_by(100) {
        let mut run = Run::new(Scene { rate_max: Some(10), ..calm(60) });
        run.cancel_at = Some(run.service.now + Duration::from_millis(1000 + ms));
        let asked = run.cancel_at.unwrap();
        assert_eq!(run.play_once(), State::Cancelled);
        let took = run.service.now.saturating_sub(asked);
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert_eq!(run.service.published.len() as u64, run.counts.moved, "what was under way is through");
        nothing_is_leased(&run);
    }
}

#[test]
fn loops_and_strangers_stay() {
    let mut run = Run::new(calm(0));
    run.service.add(b"loop".to_vec(), "", BTreeMap::from([(GENERATION.to_owned(), "20".to_owned())]));
    run.service.add(b"stranger".to_vec(), "", BTreeMap::new());
    run.service.add(b"fine".to_vec(), "", BTreeMap::new());
    run.service.source[1].message.attributes.clear();
    assert_eq!(run.play_once(), State::DoneInPart);
    assert_eq!((run.counts.moved, run.counts.failed), (1, 2));
    let errors = run.errors.join("\n");
    assert!(errors.contains("seems to be in a loop") && errors.contains("does not say which subscription"), "{errors}");
}

#[test]
fn a_topic_that_is_gone_fails_its_messages_once() {
    let mut run = Run::new(calm(30));
    run.service.topic_gone = true;
    assert_eq!(run.play_once(), State::DoneInPart);
    assert_eq!((run.counts.failed, run.unsure()), (30, 0));
    nothing_is_leased(&run);
}

#[test]
fn without_rights_it_stops_and_lets_go() {
    let mut run = Run::new(calm(30));
    run.service.no_access = true;
    assert_eq!(run.play_once(), State::Stopped);
    assert_eq!((run.counts.failed, run.counts.moved), (0, 0));
    nothing_is_leased(&run);
}
