//! The turn of the log at a real size: 64 MiB on this machine's disk, under load, killed before, in the middle of and after it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{FACTOR, PATIENCE, turns};
use crate::stress::rpc_server::{Received, Server};

/// When the process is killed: at so many bytes of the log, or so long after a turn has begun. Lives take turns.
#[derive(Debug, Clone, Copy)]
enum End {
    Before(u64),
    Within(Duration),
    /// When the new state is whole, and the old files go.
    After,
}

const MIB: u64 = 1024 * 1024;
const ENDS: [End; 5] = [
    End::Within(Duration::ZERO),
    End::Before(63 * MIB),
    End::Within(Duration::from_millis(15)),
    End::After,
    End::Within(Duration::from_millis(40)),
];
/// Large, so that the log is full in some seconds.
const MESSAGE_BYTES: usize = 900_000;
/// Publishers at once, so that a batch of the log has more than one command.
const PUBLISHERS: u64 = 3;
/// So many messages are never acknowledged: the state takes a while to write, and the log may still be 64 MiB long.
const KEPT: usize = 16;

/// So many messages of a life wait to be received at most: with more, the state would grow with the lives.
const WAITING_MAX: usize = 64;

/// What clients were told, by numbers of messages.
#[derive(Default)]
struct Told {
    published: BTreeSet<u64>,
    acked: BTreeSet<u64>,
    /// Sent to be acknowledged, with or without an answer.
    asked: BTreeSet<u64>,
    kept: BTreeSet<u64>,
    back: Vec<u64>,
}

type Shared = Arc<Mutex<Told>>;

/// A payload that tells its number, and whether it is whole.
fn payload(number: u64) -> Bytes {
    let fill = u8::try_from(number % 251).expect("below 251");
    let mut bytes = vec![fill; MESSAGE_BYTES];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes.into()
}

fn number(data: &[u8]) -> u64 {
    let number = u64::from_be_bytes(data[..8].try_into().unwrap());
    assert!(payload(number) == data, "message {number} came back changed");
    number
}

async fn publish(server: Arc<Server>, told: Shared, room: Arc<Semaphore>, first: u64) {
    for number in (first..).step_by(usize::try_from(PUBLISHERS).unwrap()) {
        let Ok(place) = room.acquire().await else { return };
        place.forget();
        if server.try_publish("orders", vec![payload(number)]).await.is_err() {
            return;
        }
        told.lock().unwrap().published.insert(number);
    }
}

async fn acknowledge(server: Arc<Server>, told: Shared, room: Arc<Semaphore>, first: u64) {
    until_killed(&server, &told, &room, first).await;
    // Nobody makes room any more.
    room.close();
}

async fn until_killed(server: &Server, told: &Shared, room: &Semaphore, first: u64) {
    while let Ok(received) = server.receive("billing").await {
        let mut ids = BTreeMap::new();
        for Received { ack_id, data } in received {
            let number = number(&data);
            // Those of earlier lives had their places then.
            room.add_permits(usize::from(number >= first));
            let mut told = told.lock().unwrap();
            if told.acked.contains(&number) {
                told.back.push(number);
            }
            if told.kept.len() < KEPT || told.kept.contains(&number) {
                told.kept.insert(number);
            } else {
                told.asked.insert(number);
                ids.insert(number, ack_id);
            }
        }
        if !ids.is_empty() {
            if server.acknowledge("billing", ids.values().cloned().collect()).await.is_err() {
                return;
            }
            told.lock().unwrap().acked.extend(ids.into_keys());
        }
        tokio::task::yield_now().await;
    }
}

fn length(dir: &Path, file: &str) -> Option<u64> {
    std::fs::metadata(dir.join(file)).ok().map(|file| file.len())
}

/// Waits for a moment of the directory's life.
async fn until(what: &str, is_there: impl Fn() -> bool) {
    let waits = async {
        while !is_there() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waits).await.unwrap_or_else(|_| panic!("in vain for {what}"));
}

async fn start(dir: &Path) -> Server {
    Server::start_with(":", &format!("--data-dir {} --log-limit {}", dir.display(), 64 * MIB)).await
}

async fn one_life(dir: &Path, told: &Shared, first: u64, end: End) {
    let server = Arc::new(start(dir).await);
    if first == 0 {
        server.subscribe("orders", "billing").await;
    }
    // What the life before had leased comes again at once: else the state, and with it the log that it allows, would grow from life to life.
    server.advance(700).await;
    let generation = turns(dir);
    let (mut workers, room) = (JoinSet::new(), Arc::new(Semaphore::new(WAITING_MAX)));
    for publisher in 0..PUBLISHERS {
        workers.spawn(publish(Arc::clone(&server), Arc::clone(told), Arc::clone(&room), first + publisher));
    }
    workers.spawn(acknowledge(Arc::clone(&server), Arc::clone(told), Arc::clone(&room), first));
    let log = |generation: u64| length(dir, &format!("{generation}.log"));
    match end {
        End::Before(bytes) => until("a long log", || log(generation).is_some_and(|length| length >= bytes)).await,
        End::Within(delay) => {
            until("a turn", || log(generation + 1).is_some()).await;
            tokio::time::sleep(delay).await;
        }
        End::After => until("the old log to go", || log(generation + 1).is_some() && log(generation).is_none()).await,
    }
    server.kill().await;
    while let Some(ended) = workers.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_the_turn_of_a_log_of_64_mib_it_loses_nothing() {
    let factor: usize = std::env::var(FACTOR).map_or(1, |factor| factor.parse().unwrap());
    let lives = ENDS.len() * factor;
    let dir = TempDir::new().unwrap();
    let told = Shared::default();
    for (life, end) in (0..lives).zip(ENDS.into_iter().cycle()) {
        one_life(dir.path(), &told, u64::try_from(life).unwrap() * 1_000_000, end).await;
    }
    let turned = turns(dir.path());
    let server = start(dir.path()).await;
    // All leases end.
    server.advance(700).await;
    let mut got = BTreeSet::new();
    loop {
        let received = server.receive("billing").await.unwrap();
        if received.is_empty() {
            break;
        }
        got.extend(received.into_iter().map(|received| number(&received.data)));
    }
    let told = told.lock().unwrap();
    let lost: Vec<&u64> = told.published.difference(&told.asked).filter(|number| !got.contains(number)).collect();
    let back: Vec<&u64> = told.acked.intersection(&got).chain(&told.back).collect();
    let megabytes = told.published.len() * MESSAGE_BYTES / 1_000_000;
    println!(
        "{lives} kills around turns of a log of 64 MiB, {turned} turns, {megabytes} MB: lost {} of {} publishes; {} of {} acked messages back",
        lost.len(),
        told.published.len(),
        back.len(),
        told.acked.len()
    );
    assert!(lost.is_empty() && back.is_empty(), "lost {lost:?}, back {back:?}");
    let least = u64::try_from(lives).unwrap() / 2;
    assert!(turned > least, "the log turned {turned} times");
    assert!(megabytes as u64 > least * 60 && told.kept.len() == KEPT, "{megabytes} MB: the turns were early");
}
