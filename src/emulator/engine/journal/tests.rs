//! The thread that writes, on a disk that dies under it: commands from many callers, and a log so short that it turns all the time.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::task::JoinSet;

use super::super::Calls;
use super::*;
use crate::emulator::pb::google::pubsub::v1 as pb;
use crate::emulator::store::LogLimit;
use crate::wal::Disk;
use crate::wal::sim::{Dice, SimDisk};

/// Runs; `REDRIVE_CAMPAIGN` multiplies them.
const RUNS: u64 = 40;
/// Processes of a run, each of which loses its disk.
const LIVES: usize = 4;
/// A log turns from so many bytes on: after some batches.
const LOG_BYTES: u64 = 2000;
/// Changes of the disk after which it dies, at most.
const FUSE: usize = 150;
const CALLERS: usize = 4;
const DIR: &str = "/data";
const TOPIC: &str = "projects/shop/topics/orders";
const SUBSCRIPTION: &str = "projects/shop/subscriptions/billing";

/// Message ids by what their publishers and receivers were told.
#[derive(Default)]
struct Told {
    published: BTreeSet<String>,
    acked: BTreeSet<String>,
    /// Sent to be acknowledged, with or without an answer.
    asked: BTreeSet<String>,
}

fn open(disk: &SimDisk, seed: u64) -> impl Future<Output = (Engine, Calls)> {
    let mut opened = Store::open(Arc::new(disk.clone()), Path::new(DIR)).unwrap();
    opened.store.set_log_limit(LogLimit::bytes(LOG_BYTES));
    async move { Engine::open(seed, opened, None).await.unwrap() }
}

fn pull(max_messages: i32) -> pb::PullRequest {
    pb::PullRequest { subscription: SUBSCRIPTION.into(), max_messages, ..Default::default() }
}

async fn set_up(engine: &Engine) {
    engine.run(pb::Topic { name: TOPIC.into(), ..Default::default() }).await.unwrap();
    let subscription = pb::Subscription { name: SUBSCRIPTION.into(), topic: TOPIC.into(), ack_deadline_seconds: 600, ..Default::default() };
    engine.run(subscription).await.unwrap();
}

/// Publishes, and acknowledges every other message, until something is refused.
async fn load(engine: Engine, told: Arc<Mutex<Told>>) {
    loop {
        let message = pb::PubsubMessage { data: "payload".into(), ..Default::default() };
        let request = pb::PublishRequest { topic: TOPIC.into(), messages: vec![message; 3] };
        let Ok(published) = engine.run(request).await else { return };
        told.lock().unwrap().published.extend(published.into_texts());
        let Ok(pulled) = engine.run(pull(2)).await else { return };
        let ids: Vec<String> = pulled.received_messages.iter().map(|received| received.message.clone().unwrap().message_id).collect();
        let ack_ids = pulled.received_messages.into_iter().map(|received| received.ack_id).collect();
        told.lock().unwrap().asked.extend(ids.iter().cloned());
        if engine.run(pb::AcknowledgeRequest { subscription: SUBSCRIPTION.into(), ack_ids }).await.is_err() {
            return;
        }
        told.lock().unwrap().acked.extend(ids);
    }
}

/// The highest generation that there is a file of: how often the log has turned.
fn turns(disk: &SimDisk) -> u64 {
    let names = disk.list(Path::new(DIR)).unwrap();
    names.iter().filter_map(|name| name.split_once('.')?.0.parse().ok()).max().unwrap_or(0)
}

async fn one_run(seed: u64) -> (u64, Told) {
    let (disk, mut dice, told) = (SimDisk::default(), Dice(seed), Arc::new(Mutex::new(Told::default())));
    for life in 0..LIVES {
        let (engine, _calls) = open(&disk, dice.roll()).await;
        if life == 0 {
            set_up(&engine).await;
        }
        disk.set_fuse(Some(1 + dice.below(FUSE) as u64));
        let mut callers = JoinSet::new();
        (0..CALLERS).for_each(|_| drop(callers.spawn(load(engine.clone(), Arc::clone(&told)))));
        while let Some(ended) = callers.join_next().await {
            ended.unwrap();
        }
        engine.shut_down();
        engine.close();
        if dice.chance(30) { disk.kill() } else { disk.crash(&mut dice) }
    }
    let (engine, _calls) = open(&disk, dice.roll()).await;
    // All leases end.
    engine.advance(jiff::SignedDuration::from_mins(20));
    let mut got = BTreeSet::new();
    loop {
        let received = engine.run(pull(1000)).await.unwrap().received_messages;
        if received.is_empty() {
            break;
        }
        got.extend(received.into_iter().map(|received| received.message.unwrap().message_id));
    }
    engine.shut_down();
    engine.close();
    let told = std::mem::take(&mut *told.lock().unwrap());
    let lost: Vec<_> = told.published.iter().filter(|id| !told.asked.contains(*id) && !got.contains(*id)).collect();
    let back: Vec<_> = told.acked.intersection(&got).collect();
    assert!(lost.is_empty() && back.is_empty(), "seed {seed}: lost {lost:?}, back {back:?}");
    (turns(&disk), told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_turns_under_load_and_a_disk_that_dies_meanwhile_loses_nothing() {
    let runs = RUNS * std::env::var("REDRIVE_CAMPAIGN").map_or(1, |factor| factor.parse().unwrap());
    let (mut turned, mut published, mut acked) = (0, 0, 0);
    for seed in 0..runs {
        let (turns, told) = one_run(seed).await;
        turned += turns;
        published += told.published.len() as u64;
        acked += told.acked.len() as u64;
    }
    println!("{runs} runs: the log turned {turned} times; of {published} messages none was lost, of {acked} acknowledgements none");
    assert!(turned > runs * LIVES as u64 * 2 && published > runs * 20 && acked > runs * 10, "the load was no load");
}

#[tokio::test]
async fn a_log_of_large_commands_turns_whenever_it_is_long() {
    let disk = SimDisk::default();
    let (engine, _calls) = open(&disk, 1).await;
    set_up(&engine).await;
    for round in 0..20 {
        let message = pb::PubsubMessage { data: vec![b'x'; 2000].into(), ..Default::default() };
        engine.run(pb::PublishRequest { topic: TOPIC.into(), messages: vec![message] }).await.unwrap();
        let received = engine.run(pull(1)).await.unwrap().received_messages.remove(0);
        engine.run(pb::AcknowledgeRequest { subscription: SUBSCRIPTION.into(), ack_ids: vec![received.ack_id] }).await.unwrap();
        // A state that is being written is waited for: then the next long log turns.
        let is_log = |name: &&String| name.rsplit_once('.').is_some_and(|(_, kind)| kind == "log");
        while disk.list(Path::new(DIR)).unwrap().iter().filter(is_log).count() > 1 {
            tokio::task::yield_now().await;
        }
        assert!(turns(&disk) > round / 3, "round {round}: it has turned {} times", turns(&disk));
    }
    engine.shut_down();
    engine.close();
}

#[tokio::test]
async fn after_a_failed_sync_another_log_is_begun_once_the_disk_is_well() {
    let mut dice = Dice(7);
    for power_fails in [false, true] {
        let disk = SimDisk::default();
        let (engine, _calls) = open(&disk, 1).await;
        set_up(&engine).await;
        let publish = async || {
            let message = pb::PubsubMessage { data: "payload".into(), ..Default::default() };
            engine
                .run(pb::PublishRequest { topic: TOPIC.into(), messages: vec![message] })
                .await
                .map(|published| published.into_texts().concat())
        };
        let first = publish().await.unwrap();
        disk.set_syncs_fail(true);
        for _ in 0..3 {
            publish().await.unwrap_err();
        }
        disk.set_syncs_fail(false);
        let second = loop {
            if let Ok(id) = publish().await {
                break id;
            }
            tokio::task::yield_now().await;
        };
        let told = BTreeSet::from([first, second]);
        if power_fails {
            disk.crash(&mut dice);
        } else {
            engine.shut_down();
            engine.close();
            disk.kill();
        }
        let (engine, _calls) = open(&disk, 2).await;
        let received = engine.run(pull(10)).await.unwrap().received_messages;
        let found: BTreeSet<String> = received.into_iter().map(|received| received.message.unwrap().message_id).collect();
        assert_eq!(found, told, "what was refused did not happen, and what was answered is there");
        engine.shut_down();
        engine.close();
    }
}

#[tokio::test]
async fn a_reset_puts_the_clock_back_for_the_next_process_too() {
    let disk = SimDisk::default();
    let (engine, _calls) = open(&disk, 1).await;
    set_up(&engine).await;
    engine.advance(jiff::SignedDuration::from_hours(1));
    engine.run(pull(1)).await.unwrap();
    engine.run(pb::Topic { name: format!("{TOPIC}-2"), ..Default::default() }).await.unwrap();
    engine.reset().await.unwrap();
    assert!(engine.ahead().is_zero());
    disk.kill();
    let (engine, _calls) = open(&disk, 2).await;
    assert!(engine.ahead().is_zero(), "{:?}", engine.ahead());
    assert!(engine.now().duration_since(jiff::Timestamp::now()).abs() < jiff::SignedDuration::from_mins(1));
    engine.shut_down();
    engine.close();
}

#[tokio::test]
async fn a_directory_that_was_closed_has_a_state_and_no_commands() {
    for seed in 0..30 {
        let disk = SimDisk::default();
        let (engine, _calls) = open(&disk, seed).await;
        set_up(&engine).await;
        // Turns all the time, so that a state is being written at the end as well.
        for _ in 0..5 {
            let message = pb::PubsubMessage { data: vec![b'x'; 200_000].into(), ..Default::default() };
            engine.run(pb::PublishRequest { topic: TOPIC.into(), messages: vec![message] }).await.unwrap();
        }
        engine.shut_down();
        engine.close();
        let last = turns(&disk);
        let mut records = 0;
        let mut count = |_: &[u8]| {
            records += 1;
            Ok(())
        };
        crate::wal::read(&disk, &Path::new(DIR).join(format!("{last}.log")), &mut count).unwrap();
        assert_eq!(records, 0, "{last}.log");
        assert!(disk.list(Path::new(DIR)).unwrap().contains(&format!("{last}.state")));
        disk.kill();
    }
}
