//! The real binary, killed with SIGKILL at random points under load and resumed each time, until it is done.
//!
//! `REDRIVE_TEST_SCALE=8` kills more than 300 times. A schedule that fails prints the command that replays it; when a process dies by the clock, a
//! replay makes the same choices, not the same microsecond.

use std::path::Path;
use std::process::{ExitStatus, Stdio};

use redrive::emulator::Fault;
use tokio::process::Child;
use tokio::task::JoinSet;

use super::campaign::{self, Dice, Figures};
use super::handler::{Asked, Handler, read_message};
use super::*;
use crate::cli::binary;

/// Schedules in CI.
const SCHEDULES: u64 = 8;
/// Kills of a schedule.
const KILLS: u64 = 6;
/// So many are asked for in CI, with room for a transfer that was done before its last kill.
const KILLS_MIN: u64 = 40;
/// Schedules under way at once: each mostly waits out leases.
const AT_ONCE: usize = 8;
/// Messages of a schedule: more than its runs move before they are killed.
const MESSAGES: usize = 500;
/// A process that moves nothing for so long is killed all the same.
const RUN_MAX: Duration = Duration::from_secs(20);

/// `plain` acknowledges without a word, `strict` confirms, `rows` keeps the order of keys, `posts` holds what a push subscription gave up.
const SEED: &str = "
topics: [{ name: orders }, { name: pushed }, { name: dead }]
subscriptions:
  - { name: billing, topic: orders, ordered: true, dead_letter: { topic: dead, max_attempts: 5 } }
  - { name: plain, topic: dead }
  - { name: strict, topic: dead, exactly_once: true }
  - { name: rows, topic: dead, ordered: true }
";

/// What a schedule moves, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Redrive(&'static str),
    Discard,
    Direct,
}

const WAYS: [Way; 5] = [Way::Redrive("plain"), Way::Redrive("strict"), Way::Redrive("rows"), Way::Discard, Way::Direct];

impl Way {
    fn source(self) -> &'static str {
        match self {
            Self::Redrive(source) => source,
            Self::Discard => "strict",
            Self::Direct => "plain",
        }
    }

    fn arguments(self) -> Vec<&'static str> {
        match self {
            Self::Redrive(source) => vec!["dlq", "redrive", source],
            Self::Discard => vec!["dlq", "discard", "strict"],
            Self::Direct => vec!["dlq", "redrive", "plain", "--delivery", "direct"],
        }
    }
}

struct Schedule {
    seed: u64,
    way: Way,
    window: u64,
    rate: u64,
    dice: Dice,
    world: World,
    handler: Handler,
    sent: BTreeMap<String, Draft>,
    crashes: u64,
}

/// Tells the seed if the schedule fails.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            campaign::say(&format!("replay: REDRIVE_TEST_SEED={} cargo test --test it transfer::killed", self.0));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_points() {
    let (mut figures, mut unsure) = (Figures::default(), 0);
    let mut under_way = JoinSet::new();
    let mut seeds = campaign::seeds(SCHEDULES).into_iter();
    loop {
        while under_way.len() < AT_ONCE
            && let Some(seed) = seeds.next()
        {
            under_way.spawn(schedule(seed));
        }
        let Some(ended) = under_way.join_next().await else { break };
        let (one, reported) = ended.unwrap();
        figures.add(&one);
        unsure += reported;
    }
    if !campaign::replays() {
        assert!(figures.crashes >= KILLS_MIN * campaign::scale(), "{} kills are not enough", figures.crashes);
        assert!(unsure > 0, "no kill struck while something was under way: this shows nothing");
    }
    campaign::say(&format!("kill -9 of the real process: {unsure} messages were under way at a kill"));
    campaign::say(&format!("kill -9 of the real process: {figures}"));
}

async fn schedule(seed: u64) -> (Figures, u64) {
    let _replay = Replay(seed);
    let mut schedule = Schedule::new(seed).await;
    for _ in 0..KILLS {
        if schedule.run_until_killed().await {
            break;
        }
        // What the dead process had leased is free at once, or only later.
        let later = Duration::from_secs(schedule.dice.roll() % 20);
        schedule.world.emulator.advance(later).await.unwrap();
    }
    let done = schedule.finish().await;
    let duplicates = schedule.check(&done).await;
    let figures =
        Figures { messages: MESSAGES as u64, crashes: schedule.crashes, duplicates, duplicates_max: schedule.window * schedule.crashes };
    (figures, done.duplicates_max)
}

impl Schedule {
    async fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let way = WAYS[usize::try_from(seed).unwrap() % WAYS.len()];
        let handler = Handler::start(|_| 204).await;
        let failed =
            format!("  - {{ name: poster, topic: pushed, push_endpoint: '{}', dead_letter: {{ topic: dead }} }}\n", handler.url("/"));
        let world = World::start(&format!("{SEED}{failed}")).await;
        let window = 4 + dice.roll() % 40;
        let rate = 100 + dice.roll() % 100;
        let mut schedule = Self { seed, way, window, rate, dice, world, handler, sent: BTreeMap::new(), crashes: 0 };
        schedule.give_up().await;
        // So that there is something under way at almost any time.
        for method in ["Publish", "Acknowledge", "Pull"] {
            let fault = Fault::delay(method, Duration::from_millis(schedule.dice.roll() % 120)).probability(0.7, schedule.dice.roll());
            schedule.world.emulator.inject(fault).unwrap();
        }
        schedule
    }

    /// Puts dead letters there, as the service would have.
    async fn give_up(&mut self) {
        let source = if self.way == Way::Direct { "poster" } else { "billing" };
        let mut drafts = Vec::new();
        for n in 0..MESSAGES {
            let mut attributes = BTreeMap::from([("n".to_owned(), n.to_string())]);
            for (name, value) in [("", source), ("Project", "shop")] {
                attributes.insert(format!("CloudPubSubDeadLetterSourceSubscription{name}"), value.to_owned());
            }
            let data: Vec<u8> = (0..self.dice.below(400)).map(|_| self.dice.roll().to_le_bytes()[0]).collect();
            let ordering_key = if self.way == Way::Redrive("rows") { format!("key {}", self.dice.below(40)) } else { String::new() };
            drafts.push(Draft { data: data.into(), attributes, ordering_key });
        }
        let ids = self.world.ops.cloud().publish_once(&topic("dead"), &drafts).await.unwrap();
        self.sent = ids.into_iter().zip(drafts).collect();
    }

    fn folder(&self) -> std::path::PathBuf {
        self.world.home.join("transfers")
    }

    /// The transfer, once it has begun.
    fn id(&self) -> Option<TransferId> {
        let known = self.world.ops.transfers().unwrap();
        assert!(known.len() <= 1, "{known:?}");
        known.into_iter().next().map(|summary| summary.id)
    }

    /// Begins the transfer, or goes on with it.
    fn spawn(&self) -> Child {
        let address = self.world.emulator.address().to_string();
        let mut command = binary(&self.world.home);
        command.args(["--emulator", &address, "--project", "shop", "-o", "json"]);
        if let Some(id) = self.id() {
            command.args(["transfers", "resume", &id.0]);
        } else {
            let (window, rate) = (self.window.to_string(), self.rate.to_string());
            command.args(self.way.arguments()).args(["--yes", "--window", &window, "--rate", &rate]);
        }
        command.stdin(Stdio::null()).spawn().unwrap()
    }

    /// Runs it until its journal has grown by so much, or for so long, and kills it; `true` when it was done before.
    async fn run_until_killed(&mut self) -> bool {
        let begun = Instant::now();
        let before = journals_bytes(&self.folder());
        let mut child = self.spawn();
        // One in five dies by the clock: while it starts, connects, plans, or waits.
        let (grown, at_most) = if self.dice.below(5) == 0 {
            (u64::MAX, Duration::from_millis(self.dice.roll() % 700))
        } else {
            (self.dice.roll() % 4000, RUN_MAX)
        };
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if journals_bytes(&self.folder()) >= before.saturating_add(grown).saturating_add(1) || begun.elapsed() >= at_most {
                break None;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        if let Some(status) = status {
            assert!(status.success(), "seed {}: {}", self.seed, output(child, status).await);
            return true;
        }
        tokio::time::sleep(Duration::from_micros(self.dice.roll() % 30_000)).await;
        child.start_kill().unwrap();
        let killed = was_killed(child.wait().await.unwrap());
        self.crashes += u64::from(killed);
        !killed
    }

    /// Lets it come to its end.
    async fn finish(&self) -> Summary {
        self.world.emulator.clear_faults();
        self.world.emulator.advance(Duration::from_secs(20)).await.unwrap();
        let over = self.world.ops.transfers().unwrap().into_iter().find(|summary| summary.state == State::Done);
        if over.is_none() {
            let mut child = self.spawn();
            let status = tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap();
            assert!(status.success(), "seed {}: {}", self.seed, output(child, status).await);
        }
        let mut all = self.world.ops.transfers().unwrap();
        assert_eq!((all.len(), all[0].state), (1, State::Done), "seed {}: {all:?}", self.seed);
        all.remove(0)
    }

    /// Checks that nothing is lost, altered or out of order, and returns how many copies were too many.
    async fn check(&self, done: &Summary) -> u64 {
        let count = MESSAGES as u64;
        assert_eq!((done.counts.moved + done.counts.discarded, done.counts.failed), (count, 0), "seed {}: {done:?}", self.seed);
        assert!(done.duplicates_max <= self.window * self.crashes, "seed {}, {} crashes: {done:?}", self.seed, self.crashes);
        self.world.emulator.advance(Duration::from_mins(11)).await.unwrap();
        assert_eq!(everything(&self.world, self.way.source()).await.len(), 0, "seed {}: all are acknowledged", self.seed);
        let arrived = match self.way {
            Way::Redrive(_) => everything(&self.world, "billing").await,
            Way::Discard => kept(done),
            Way::Direct => self.handler.asked().iter().map(Asked::message).collect(),
        };
        let mut copies: BTreeMap<&str, u64> = BTreeMap::new();
        let mut last: BTreeMap<&str, u32> = BTreeMap::new();
        for message in &arrived {
            let id = message.attributes.get("redrive-source").map_or(message.id.as_str(), |source| source.rsplit_once('/').unwrap().1);
            let (id, sent) = self.sent.get_key_value(id).unwrap_or_else(|| panic!("seed {}: nobody sent {id}", self.seed));
            assert_eq!((&message.data, &message.ordering_key), (&sent.data, &sent.ordering_key), "seed {}", self.seed);
            let count = copies.entry(id).or_default();
            *count += 1;
            if *count == 1 && !sent.ordering_key.is_empty() {
                let number: u32 = sent.attributes["n"].parse().unwrap();
                let before = last.insert(&sent.ordering_key, number);
                assert!(before < Some(number), "seed {}: {number} of `{}` came after {before:?}", self.seed, sent.ordering_key);
            }
        }
        assert_eq!(copies.len(), MESSAGES, "seed {}: {} are lost", self.seed, MESSAGES - copies.len());
        let duplicates = copies.values().map(|count| count - 1).sum();
        assert!(duplicates <= done.duplicates_max, "seed {}: {duplicates} duplicates, {done:?}", self.seed);
        duplicates
    }
}

/// The messages in the file of copies.
fn kept(done: &Summary) -> Vec<Message> {
    let text = std::fs::read_to_string(done.copy.as_ref().unwrap()).unwrap();
    text.lines().map(|line| read_message(&serde_json::from_str(line).unwrap())).collect()
}

/// How long all journals together are; a folder that is just being made counts nothing.
fn journals_bytes(folder: &Path) -> u64 {
    let transfers = std::fs::read_dir(folder).into_iter().flatten().flatten();
    transfers.filter_map(|entry| std::fs::metadata(entry.path().join("journal")).ok()).map(|metadata| metadata.len()).sum()
}

#[cfg(unix)]
fn was_killed(status: ExitStatus) -> bool {
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(9)
}

#[cfg(not(unix))]
fn was_killed(status: ExitStatus) -> bool {
    !status.success()
}

async fn output(child: Child, status: ExitStatus) -> String {
    let output = child.wait_with_output().await.unwrap();
    format!("{status}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
