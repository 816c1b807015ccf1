//! `redrive doctor`: what is wrong, and what to do about it.

use redrive::emulator::Fault;
use serde_json::Value;

use super::{Bench, Run};

fn findings(run: &Run) -> Vec<Value> {
    serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {run:?}"))
}

/// The finding about something.
#[track_caller]
fn about<'a>(findings: &'a [Value], what: &str) -> &'a Value {
    findings.iter().find(|finding| finding["about"] == what).unwrap_or_else(|| panic!("nothing about {what}: {findings:#?}"))
}

#[tokio::test]
async fn what_is_wrong_is_said_first_with_what_to_do() {
    let bench = Bench::new().await;
    let journal = bench.home.path().join("transfers/0junk/journal");
    std::fs::create_dir_all(journal.parent().unwrap()).unwrap();
    std::fs::write(&journal, "a letter to a friend").unwrap();
    bench.emulator.inject(Fault::status("ListQueues", "PERMISSION_DENIED")).unwrap();
    bench.emulator.advance(std::time::Duration::from_hours(1)).await.unwrap();

    let run = bench.run(&["doctor", "-o", "json"]).await;
    assert_eq!(run.code, 1, "{run:?}");
    let all = findings(&run);
    let healths: Vec<&str> = all.iter().map(|finding| finding["health"].as_str().unwrap()).collect();
    assert!(healths.is_sorted_by_key(|health| ["bad", "warn", "good"].iter().position(|one| one == health)), "{healths:?}");
    let broken = about(&all, "dead letters of audit");
    assert_eq!((&broken["health"], broken["found"].as_str().unwrap().contains("what lands there is lost")), (&"bad".into(), true));
    assert!(
        broken["advice"][0].as_str().unwrap().contains("gcloud pubsub subscriptions create lost-dead-hold --topic=lost-dead"),
        "{broken}"
    );
    let tasks = about(&all, "Cloud Tasks");
    assert!(tasks["health"] == "bad" && tasks["found"].as_str().unwrap().contains("cannot list the queues"), "{tasks}");
    let unreadable = about(&all, "transfer 0junk");
    assert!(unreadable["health"] == "bad" && unreadable["found"].as_str().unwrap().contains("is not a journal"), "{unreadable}");
    assert_eq!(about(&all, "data folder")["health"], "good");
    assert!(about(&all, "clock")["found"].as_str().unwrap().contains("behind the server"), "its clock was moved");

    let table = bench.run(&["doctor"]).await;
    assert!(table.code == 1 && table.out.starts_with("HEALTH") && table.out.lines().nth(1).unwrap().starts_with("BAD"), "{table:?}");
    assert!(table.err.contains("dead letters of audit: give it one: `gcloud"), "{table:?}");
}

#[tokio::test]
async fn where_all_is_well_it_says_so_and_leaves_nothing_behind() {
    let bench = Bench::seeded("project: shop\ntopics: [{ name: orders }]\nsubscriptions: [{ name: billing, topic: orders }]\n").await;
    let run = bench.run(&["doctor", "-o", "json"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    let all = findings(&run);
    assert!(all.iter().all(|finding| finding["health"] == "good" && finding["advice"].as_array().unwrap().is_empty()), "{all:#?}");
    assert!(about(&all, "Pub/Sub")["found"].as_str().unwrap().ends_with("1 topics, 1 subscriptions"));
    let left: Vec<_> = std::fs::read_dir(bench.home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with("doctor")), "{left:?}");
}
