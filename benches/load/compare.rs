//! The comparison: every server started once and warmed up, then all of them in turn, round after round, so that what else the machine does meets
//! all alike.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::args::Compare;
use crate::process::{Kind, Server};
use crate::report::{self, Sample, Samples};
use crate::rpc::Client;
use crate::workload::{self, Size, Workload, pubsub, tasks};

/// Starts of which the median is the time to be ready.
const STARTS: usize = 11;
const READY_MS_MAX: f64 = 10.0;
const IDLE_RSS_MB_MAX: f64 = 15.0;
const IDLE_CPU_PERCENT_MAX: f64 = 0.1;
/// How long idle servers are watched.
const IDLE: Duration = Duration::from_secs(20);
/// What a server does once after a burden is no idling: ours samples what was touched every ten seconds.
const SETTLE: Duration = Duration::from_secs(11);
/// Servers are quiet once all of them together used less processor time than this, in seconds, between two looks; a tick is 0.01.
const QUIET_CPU_S: f64 = 0.015;
const QUIET_LOOK: Duration = Duration::from_millis(100);
const QUIET_LOOKS_MAX: usize = 30;
/// The part of a workload that warms a server up, a virtual machine above all.
const WARM_UP: f64 = 0.3;
/// What a laden server has besides: subscriptions that nobody uses, tasks for later, and a backlog.
const LADEN_SUBSCRIPTIONS: usize = 10_000;
const LADEN_TASKS: usize = 100_000;
const LADEN_BACKLOG: usize = 200_000;

/// Measures everything that is here, prints it, and fails where a target is missed.
pub(crate) async fn run(options: &Compare) -> Result<()> {
    print_machine();
    let workloads: Vec<Workload> = Workload::value_variants().iter().copied().filter(|workload| options.wants(*workload)).collect();
    let mut good = true;
    if options.only.is_empty() {
        good &= starts(options).await?;
    }
    let servers = start_all(options, &workloads).await?;
    if let Some(laden) = servers.get(&Kind::Laden) {
        burden(laden, &options.size()).await?;
    }
    if options.only.is_empty() {
        good &= idle(&servers).await?;
    }
    let mut samples = Samples::new();
    let warm_up = Size { scale: options.size().scale * WARM_UP, ..options.size() };
    rounds(&servers, &workloads, &warm_up, 1, &mut Samples::new()).await?;
    rounds(&servers, &workloads, &options.size(), options.rounds, &mut samples).await?;
    report::print_samples(&samples);
    good &= report::print_targets(&samples);
    print_machine();
    for server in servers.into_values() {
        server.stop().await?;
    }
    if good { Ok(()) } else { bail!("a target is missed") }
}

/// How busy the machine is by others belongs to the figures.
pub(crate) fn print_machine() {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("      {cores} cores, load {}", load.split(' ').take(3).collect::<Vec<_>>().join(" "));
}

/// The time from starting the process to its first answer.
async fn starts(options: &Compare) -> Result<bool> {
    let mut good = true;
    for (kind, starts) in [(Kind::Ours, STARTS), (Kind::TasksPeer, STARTS), (Kind::Google, 3)] {
        if let Some(why) = kind.missing(options).await {
            println!("  –   {} not measured: {why}", kind.name());
            continue;
        }
        let mut ready_ms = Vec::new();
        for _ in 0..starts {
            let server = Server::start(kind, options).await?;
            ready_ms.push(server.ready.as_secs_f64() * 1000.0);
            server.stop().await?;
        }
        let ready_ms = report::median(ready_ms);
        if kind == Kind::Ours {
            good &= report::verdict("ready to serve", ready_ms, "ms", READY_MS_MAX, false);
        } else {
            println!("      {:<48} {ready_ms:>8.2} ms", format!("ready to serve: {}", kind.name()));
        }
    }
    Ok(good)
}

async fn start_all(options: &Compare, workloads: &[Workload]) -> Result<BTreeMap<Kind, Server>> {
    let mut servers = BTreeMap::new();
    for kind in workloads.iter().flat_map(|workload| report::kinds(*workload)) {
        if !servers.contains_key(&kind) && kind.missing(options).await.is_none() {
            servers.insert(kind, Server::start(kind, options).await?);
        }
    }
    Ok(servers)
}

/// Gives a server much that is not to be felt.
async fn burden(server: &Server, size: &Size) -> Result<()> {
    let client = Client::connect(&server.address).await?;
    let backlog = pubsub::Line::open(&client).await?;
    let before = server.rss_bytes()?;
    backlog.fill(size, LADEN_BACKLOG, 1000).await?;
    #[expect(clippy::cast_precision_loss, reason = "a count of messages")]
    let each = (server.rss_bytes()? - before) / LADEN_BACKLOG as f64;
    println!("      {:<48} {each:>8.0} bytes", format!("memory of a message of {} bytes", size.payload_bytes));
    let idle = pubsub::Line::open(&client).await?;
    idle.add_idle(LADEN_SUBSCRIPTIONS, size.concurrency).await?;
    tasks::hoard(&client, size, LADEN_TASKS).await?;
    Ok(())
}

/// What servers cost that have nothing to do, all at the same time.
async fn idle(servers: &BTreeMap<Kind, Server>) -> Result<bool> {
    let mut good = true;
    tokio::time::sleep(SETTLE).await;
    let mut before = Vec::new();
    for (kind, server) in servers {
        before.push((kind, server, server.cpu_s()?));
    }
    tokio::time::sleep(IDLE).await;
    for (kind, server, before) in before {
        let percent = 100.0 * (server.cpu_s()? - before) / IDLE.as_secs_f64();
        let mb = server.rss_bytes()? / 1e6;
        let name = kind.name();
        if matches!(kind, Kind::Ours | Kind::Laden) {
            good &= report::verdict(&format!("idle processor time: {name}"), percent, "%", IDLE_CPU_PERCENT_MAX, false);
        } else {
            println!("      {:<48} {percent:>8.2} %", format!("idle processor time: {name}"));
        }
        if *kind == Kind::Ours {
            good &= report::verdict("idle resident memory", mb, "MB", IDLE_RSS_MB_MAX, false);
        } else {
            println!("      {:<48} {mb:>8.2} MB", format!("resident memory: {name}"));
        }
    }
    Ok(good)
}

async fn rounds(servers: &BTreeMap<Kind, Server>, workloads: &[Workload], size: &Size, count: usize, samples: &mut Samples) -> Result<()> {
    for round in 0..count {
        for &workload in workloads {
            let mut kinds = report::kinds(workload);
            kinds.retain(|kind| servers.contains_key(kind));
            if !kinds.is_empty() {
                // So that no server always comes first.
                let first = round % kinds.len();
                kinds.rotate_left(first);
            }
            for kind in kinds {
                let Some(server) = servers.get(&kind) else { continue };
                quiet(servers).await?;
                let sample = measure(workload, server, size).await?;
                samples.entry((workload, kind)).or_default().push(sample);
            }
        }
    }
    Ok(())
}

/// Waits until no server does anything any more, for a while at most: what one does after its turn (collecting garbage, writing its state) is no
/// burden of the next.
async fn quiet(servers: &BTreeMap<Kind, Server>) -> Result<()> {
    let used = || servers.values().try_fold(0.0, |sum, server| Ok::<_, anyhow::Error>(sum + server.cpu_s()?));
    let mut before = used()?;
    for _ in 0..QUIET_LOOKS_MAX {
        tokio::time::sleep(QUIET_LOOK).await;
        let now = used()?;
        if now - before < QUIET_CPU_S {
            break;
        }
        before = now;
    }
    Ok(())
}

async fn measure(workload: Workload, server: &Server, size: &Size) -> Result<Sample> {
    let before = server.cpu_s()?;
    let figure = workload::run(workload, &server.address, size).await?;
    #[expect(clippy::cast_precision_loss, reason = "a count of messages")]
    let cpu_us = (server.cpu_s()? - before) * 1e6 / figure.count as f64;
    Ok(Sample { rate: figure.value, cpu_us })
}
