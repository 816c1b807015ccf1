//! From keys to effects and to what is seen.

use super::fixture::{Bench, now};
use crate::console::config::Config;
use crate::console::message::{CallId, Effect, Fetch, Message, Operation, Outcome};
use crate::error::{Error, Kind};
use crate::ops::Report;

/// Presses keys and returns what is asked of the outside beside reading.
fn asked(keys: &str) -> String {
    let mut bench = Bench::new(120, 40);
    bench.press(keys);
    bench.asked()
}

fn shown(keys: &str) -> String {
    let mut bench = Bench::new(120, 40);
    bench.press(keys);
    bench.text()
}

fn operation(bench: &Bench) -> (CallId, Operation) {
    match bench.effects.last() {
        Some(Effect::Do(id, operation)) => (*id, operation.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn pausing_shows_at_once_and_ends_with_the_answer() {
    let mut bench = Bench::new(120, 40);
    bench.press("2 P");
    let (id, operation) = operation(&bench);
    assert!(matches!(operation, Operation::PauseQueue(queue) if queue.id() == "emails"));
    assert!(bench.text().contains("pausing…"), "{}", bench.text());
    bench.say(Message::Done(id, Ok(Outcome::Done)));
    let text = bench.text();
    assert!(!text.contains("pausing…") && text.contains("queue `emails` is paused"), "{text}");
}

#[test]
fn a_paused_queue_is_resumed_and_a_failure_is_said() {
    let mut bench = Bench::new(120, 40);
    bench.press("2 down P");
    let (id, operation) = operation(&bench);
    assert!(matches!(operation, Operation::ResumeQueue(_)));
    bench.say(Message::Done(id, Err(Error::new(Kind::PermissionDenied, "permission `x` is missing").with_hint("ask for it"))));
    assert!(bench.text().contains("permission `x` is missing; ask for it"));
}

#[test]
fn enter_alone_never_confirms() {
    for keys in [
        "2 X enter",
        "2 enter ctrl-d enter",
        "5 down R enter",
        "5 down ctrl-d enter",
        "2 X y",
        "5 down R y",
        "2 X esc",
        "2 enter ctrl-d left enter",
        "w down X enter",
        "w X right enter",
    ] {
        assert_eq!(asked(keys), "", "{keys}");
    }
}

#[test]
fn moving_to_the_button_confirms() {
    assert!(asked("2 X right enter").contains("PurgeQueue"));
    assert!(asked("2 enter ctrl-d tab enter").contains("DiscardTasks"));
    assert!(asked("w down X right enter").contains("PruneTransfers([TransferId(\"51c0\")])"));
    assert!(asked("5 down R right type:audit enter enter").contains("StartTransfer"));
}

#[test]
fn where_messages_are_replayed_or_exported_to_is_entered_first() {
    assert_eq!(asked("5 down x"), "", "nothing is looked at before");
    let replay = asked("5 down x enter right enter");
    assert!(
        replay.contains("StartTransfer") && replay.contains("Handler { url: \"http://127.0.0.1:8080/\", anywhere: false }"),
        "{replay}"
    );
    let export = asked("5 down E enter right enter");
    assert!(
        export.contains("kind: Export") && export.contains("File(\"orders-hold.jsonl\")") && export.contains("leave: true"),
        "{export}"
    );
    assert!(shown("5 down x esc").contains("dead-letter topic"), "esc leaves it");
    assert!(shown("5 down E enter").contains("t change"));
}

#[test]
fn who_receives_it_again_is_typed_first() {
    for keys in
        ["R right enter", "R right right enter enter", "R right type:audi enter enter", "R tab tab enter", "R right type:billing tab enter"]
    {
        assert_eq!(asked(&format!("5 down {keys}")), "", "{keys}");
    }
    let text = shown("5 down R right type:audit");
    assert!(text.contains("type `audit` to go on audit"), "{text}");
}

#[test]
fn what_the_context_asks_for_is_typed_first() {
    let config: Config = toml::from_str("[[context]]\nproject = \"*-prod\"\nconfirm = \"name\"\n").unwrap();
    let asked = |keys: &str| {
        let mut bench = Bench::new(120, 40).config(config.clone());
        bench.press(keys);
        bench.asked()
    };
    assert_eq!(asked("2 X right enter"), "");
    assert_eq!(asked("5 down R right type:audit enter enter"), "");
    assert!(asked("5 down R right type:audit,orders-hold enter enter").contains("StartTransfer"));
    let mut bench = Bench::new(120, 40).config(config.clone());
    bench.press("2 X");
    let text = bench.text();
    let name = text.split("type `").nth(1).and_then(|rest| rest.split('`').next()).unwrap().to_owned();
    bench.press(&format!("type:{name} right enter"));
    assert!(bench.asked().contains("PurgeQueue"), "{}", bench.text());
}

#[test]
fn an_edit_becomes_the_plan_of_a_redrive_with_a_patch() {
    let mut bench = Bench::new(120, 40);
    bench.press("5 down enter space down space e");
    let edits = std::mem::take(&mut bench.effects);
    let text = edits.iter().find_map(|effect| if let Effect::Edit(text) = effect { Some(text.clone()) } else { None }).unwrap();
    assert!(text.contains("\"order\": 8812") && !text.contains("CloudPubSubDeadLetter"), "{text}");
    bench.say(Message::Edited(Ok(text.replace("8812", "7"))));
    let asked = bench.asked();
    assert!(asked.contains("/payload/order") && asked.contains("9912001") && asked.contains("9912003"), "{asked}");
    let mut bench = Bench::new(120, 40);
    bench.press("5 down enter e");
    bench.effects.clear();
    bench.say(Message::Edited(Ok("no JSON".into())));
    assert_eq!(bench.asked(), "");
    assert!(bench.text().contains("no JSON any more"), "{}", bench.text());
}

#[test]
fn an_edited_task_becomes_the_plan_of_a_new_one() {
    let mut bench = Bench::new(120, 40);
    bench.press("2 enter enter e");
    let edits = std::mem::take(&mut bench.effects);
    let text = edits.iter().find_map(|effect| if let Effect::Edit(text) = effect { Some(text.clone()) } else { None }).unwrap();
    assert!(text.contains("\"user_id\": 8812") && text.contains("\"scheduleTime\": \"2026-11-21T06:28:50Z\""), "{text}");
    bench.say(Message::Edited(Ok(text.clone())));
    assert_eq!(bench.asked(), "", "nothing was edited");
    bench.press("e");
    bench.effects.clear();
    bench.say(Message::Edited(Ok(text.replace("2026-11-21T06:28:50Z", "2026-12-01T08:00:00Z"))));
    let asked = bench.asked();
    assert!(
        asked.contains("at: Some(2026-12-01T08:00:00Z)") && asked.contains("body: None") && asked.contains("5521000000000000917"),
        "{asked}"
    );
    bench.press("esc e");
    bench.effects.clear();
    bench.say(Message::Edited(Ok(text.replace("url", "uri"))));
    assert!(bench.text().contains("`uri` is no part of a task"), "{}", bench.text());
}

#[test]
fn a_refused_plan_cannot_be_started() {
    let mut bench = Bench::new(120, 40);
    bench.press("5 down");
    bench.say(Message::Key("R".parse().unwrap()));
    let asked = std::mem::take(&mut bench.effects);
    let Some(Effect::Fetch(id, Fetch::Plan(request))) = asked.into_iter().next() else { panic!("a plan is asked for") };
    let crate::console::message::Fetched::Plan(Ok(mut plan)) = super::fixture::answer(&Fetch::Plan(request)) else { panic!("a plan") };
    plan.refusals.push("topic `orders` has no subscription: what is published there is lost".into());
    bench.say(Message::Fetched(id, Box::new(crate::console::message::Fetched::Plan(Ok(plan)))));
    assert!(bench.text().contains("has no subscription"));
    bench.press("right tab enter");
    assert_eq!(bench.asked(), "");
}

#[test]
fn redriving_leads_to_the_transfers() {
    let mut bench = Bench::new(120, 40);
    bench.press("5 down R right type:audit enter enter");
    let (id, _) = operation(&bench);
    bench.say(Message::Done(id, Ok(Outcome::Transfer(crate::ops::transfer::TransferId("7f3a".into())))));
    bench.settle();
    let text = bench.text();
    assert!(text.contains("transfer 7f3a started") && text.contains("702 / 988"), "{text}");
}

#[test]
fn marked_messages_are_chosen_by_id() {
    let asked = asked("5 down enter space down space R right type:audit enter enter");
    assert!(asked.contains(r#"Messages({"9912001", "9912003"})"#), "{asked}");
}

#[test]
fn the_question_counts_what_the_filter_hides() {
    let text = shown("2 enter space space / type:welcome-42 enter ctrl-d");
    assert!(text.contains("Discard 2 marked tasks of `emails`?") && text.contains("(2 of them hidden by the filter)"), "{text}");
    let text = shown("2 enter / type:5521 enter ctrl-d");
    assert!(text.contains("Discard all 2 shown"), "{text}");
}

#[test]
fn a_report_says_where_the_copy_is() {
    let mut bench = Bench::new(120, 40);
    bench.press("2 enter ctrl-d right enter");
    let (id, _) = operation(&bench);
    let report = Report { done: 1, copy: Some("/home/me/.local/state/redrive/kept.jsonl".into()), ..Report::default() };
    bench.say(Message::Progress(id, 1));
    bench.say(Message::Done(id, Ok(Outcome::Report(report))));
    assert!(bench.text().contains("1 done, copy in /home/me/.local/state/redrive/kept.jsonl"), "{}", bench.text());
}

#[test]
fn filters_are_local_and_esc_clears_them_first() {
    let mut bench = Bench::new(120, 40);
    bench.press("2 / type:state=paused enter");
    assert!(bench.text().contains("1 of 3 rows") && bench.text().contains("/state=paused (local)"), "{}", bench.text());
    bench.press("esc");
    assert!(bench.text().contains("3 rows"));
    bench.press("esc");
    assert!(bench.text().contains("needs attention"), "then it goes back");
    for (filter, rows) in [
        ("!emails", "2 of 3 rows"),
        ("~thmb", "1 of 3 rows"),
        ("tasks>40", "2 of 3 rows"),
        ("oldest>30m", "1 of 3 rows"),
        ("EMAIL", "1 of 3 rows"),
        ("tasks<1", "1 of 3 rows"),
    ] {
        let text = shown(&format!("2 / type:{filter} enter"));
        assert!(text.contains(rows), "{filter}: {text}");
    }
}

#[test]
fn an_open_field_takes_the_keys() {
    assert_eq!(asked("2 / type:qPX"), "");
    assert!(shown("2 / type:qPX").contains("qPX"));
}

#[test]
fn a_paste_goes_into_a_field_or_nowhere() {
    let mut bench = Bench::new(120, 40);
    bench.press("2");
    bench.say(Message::Paste("PX\nq".into()));
    assert_eq!(bench.asked(), "");
    bench.press("3 p");
    bench.say(Message::Paste("{\"a\": 1,\n\"b\": 2}".into()));
    assert!(bench.text().contains("JSON, 16 B"), "{}", bench.text());
}

#[test]
fn publishing_sends_what_was_written() {
    let mut bench = Bench::new(120, 40);
    bench.press("3 p type:{\"a\":1} tab type:kind=order tab type:key-1 tab tab enter");
    let (id, operation) = operation(&bench);
    let Operation::Publish(topic, draft) = operation else { panic!("publish") };
    assert_eq!((topic.id(), &draft.data[..], draft.ordering_key.as_str()), ("images", br#"{"a":1}"#.as_slice(), "key-1"));
    assert_eq!(draft.attributes.get("kind").map(String::as_str), Some("order"));
    bench.say(Message::Done(id, Err(Error::new(Kind::PermissionDenied, "permission `pubsub.topics.publish` is missing"))));
    assert!(
        bench.text().contains("publish to images") && bench.text().contains("permission `pubsub.topics.publish` is missing"),
        "what was written is kept"
    );
    bench.press("enter");
    let (id, _) = self::operation(&bench);
    bench.say(Message::Done(id, Ok(Outcome::Published("77".into()))));
    assert!(bench.text().contains("message 77") && !bench.text().contains("publish to"));
}

#[test]
fn broken_json_is_said_while_typing_but_can_be_sent() {
    assert!(shown("3 p type:{\"a\":").contains("no JSON: line 1, column 5"));
    assert!(asked("3 p type:plain alt-enter").contains("Publish"));
    assert!(shown("3 p type:x tab type:novalue alt-enter").contains("attributes, line 1: write `key=value`"));
}

#[test]
fn late_answers_are_dropped() {
    let mut bench = Bench::new(120, 40);
    bench.say(Message::Key("2".parse().unwrap()));
    let first: Vec<_> = bench.effects.drain(..).collect();
    bench.say(Message::Key("ctrl-r".parse().unwrap()));
    bench.effects.clear();
    for effect in first {
        if let Effect::Fetch(id, Fetch::Queues) = effect {
            let empty = crate::model::listing::Listing::empty(now());
            bench.say(Message::Fetched(id, Box::new(crate::console::message::Fetched::Queues(Ok(empty)))));
        }
    }
    assert!(bench.text().contains("emails"), "the replaced answer must not empty the screen");
}

#[test]
fn messages_are_never_looked_at_again_unasked() {
    let mut bench = Bench::new(120, 40);
    bench.press("5 down enter");
    for seconds in 1..120 {
        bench.say_at(Message::Tick, now() + jiff::SignedDuration::from_secs(seconds));
    }
    assert_eq!(bench.asked(), "");
    bench.say(Message::Key("ctrl-r".parse().unwrap()));
    assert!(bench.asked().contains("Fetch"), "asked for, they are");
}

#[test]
fn what_is_shown_is_asked_for_again() {
    let mut bench = Bench::new(120, 40);
    bench.press("2");
    bench.say_at(Message::Tick, now() + jiff::SignedDuration::from_secs(1));
    assert_eq!(bench.asked(), "", "not yet");
    bench.say_at(Message::Tick, now() + jiff::SignedDuration::from_secs(10));
    assert!(bench.asked().contains("Queues"), "{}", bench.asked());
    let count = bench.effects.len();
    bench.say_at(Message::Tick, now() + jiff::SignedDuration::from_secs(20));
    assert_eq!(bench.effects.len(), count, "one in flight is not asked for twice");
}

#[test]
fn the_doctor_is_asked_from_everywhere_and_again_by_hand_only() {
    let mut bench = Bench::new(80, 24);
    bench.press("2 enter enter D");
    assert!(bench.text().contains("Pub/Sub may not publish"), "{}", bench.text());
    bench.say_at(Message::Tick, now() + jiff::SignedDuration::from_secs(60));
    assert_eq!(bench.asked(), "");
    bench.say(Message::Key("ctrl-r".parse().unwrap()));
    assert!(bench.asked().contains("Doctor"), "{}", bench.asked());
    let opened = shown(": type:doctor enter enter");
    assert!(opened.contains("what to do") && opened.contains("add-iam-policy-binding"), "{opened}");
}

#[test]
fn ticks_redraw_only_when_the_text_changes() {
    let mut bench = Bench::new(120, 40);
    bench.press("2");
    assert!(bench.app.take_dirty());
    bench.say(Message::Tick);
    assert!(!bench.app.take_dirty(), "nothing changed");
    bench.say_at(Message::Tick, now() + jiff::SignedDuration::from_secs(1));
    assert!(bench.app.take_dirty(), "the age changed");
}

#[test]
fn read_only_refuses_what_changes() {
    let config: Config = toml::from_str("[[context]]\nproject = \"*-prod\"\nenv = \"prod\"\nread_only = true\n").unwrap();
    let mut bench = Bench::new(120, 40).config(config);
    bench.press("2 P");
    assert_eq!(bench.asked(), "");
    let text = bench.text();
    assert!(text.contains("READ-ONLY") && text.contains("read-only in your configuration"), "{text}");
    bench.press("?");
    assert!(!bench.text().contains("Pauses a running queue"), "{}", bench.text());
    bench.press("esc 5 down R right enter");
    assert_eq!(bench.asked(), "");
}

#[test]
fn quitting_asks_while_a_transfer_runs() {
    assert!(asked("q").contains("Quit"));
    assert_eq!(asked("w q enter"), "", "focus is on Cancel");
    assert!(asked("w q right enter").contains("Quit"));
    assert!(asked(": type:q enter").contains("Quit"));
}

#[test]
fn commands_open_screens() {
    assert!(shown(": type:dlq enter").contains("dead-letter topic"));
    let mut bench = Bench::new(120, 40);
    bench.press(":");
    for c in "tasks emails".chars() {
        let key = if c == ' ' { "space".to_owned() } else { c.to_string() };
        bench.press(&key);
    }
    bench.press("enter");
    assert!(bench.text().contains("SendWelcomeEmail"), "{}", bench.text());
    assert!(shown(": type:nonsense enter").contains("there is no command `nonsense`"));
}

#[test]
fn another_project_is_gone_to_by_name_and_nothing_of_the_first_stays() {
    let mut bench = Bench::new(120, 40);
    bench.press("w : type:ctx space type:other-project enter");
    assert_eq!(bench.asked(), "", "a transfer runs here: {}", bench.text());
    assert!(bench.text().contains("something is under way in this project"), "{}", bench.text());
    let asked = asked("2 : type:ctx space type:other-project enter");
    assert!(asked.contains("Context(") && asked.contains("other-project"), "{asked}");

    let mut bench = Bench::new(120, 40);
    bench.press("2 enter");
    bench.say(Message::Connected(Err(Error::new(Kind::NotFound, "project `nowhere` does not exist"))));
    assert!(bench.text().contains("project `nowhere` does not exist") && bench.text().contains("emails"), "this one stays");
    bench.connect("other-project");
    let text = bench.text();
    assert!(text.contains("other-project") && !text.contains("shop-prod") && text.contains("overview"), "{text}");
    bench.press("[");
    assert!(bench.text().contains("overview"), "there is no way back into it");
}

#[test]
fn history_goes_both_ways() {
    let mut bench = Bench::new(120, 40);
    bench.press("2 enter enter [ [");
    assert!(bench.text().contains("last answer") || bench.text().contains("oldest due"), "{}", bench.text());
    bench.press("] ]");
    assert!(bench.text().contains("headers"), "{}", bench.text());
}

#[test]
fn the_mouse_selects_and_sorts() {
    let mut bench = Bench::new(120, 40);
    bench.press("2");
    bench.say(Message::Mouse(crate::console::message::Mouse::Click, 10, 5));
    bench.press("P");
    let (_, operation) = operation(&bench);
    assert!(matches!(operation, Operation::PauseQueue(queue) if queue.id() == "thumbnails"));
    bench.say(Message::Mouse(crate::console::message::Mouse::Click, 5, 2));
    assert!(bench.text().contains("queue ↑"), "{}", bench.text());
}

#[test]
fn debugging_sends_to_the_address_typed() {
    let mut bench = Bench::new(120, 40);
    bench.press("2 enter enter x");
    assert!(bench.text().contains("curl"), "{}", bench.text());
    bench.press("backspace type:1 enter");
    let (_, operation) = operation(&bench);
    assert!(matches!(operation, Operation::DebugTask(_, base) if base == "http://127.0.0.1:8081"));
}

#[test]
fn what_is_copied_is_escaped() {
    let asked = asked("5 down enter end enter c");
    assert!(asked.contains("Copy") && !asked.contains("\\u{202e}evil\"") || asked.contains("\\\\u{202e}"), "{asked}");
}
