//! Medians, and what is asked of them.

use std::collections::BTreeMap;

use crate::process::Kind;
use crate::workload::Workload;

/// One run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Messages or tasks per second.
    pub(crate) rate: f64,
    /// Processor time of the server for each, in microseconds.
    pub(crate) cpu_us: f64,
}

/// All runs.
pub(crate) type Samples = BTreeMap<(Workload, Kind), Vec<Sample>>;

/// What is compared of two servers, two workloads, or a server and a fixed rate.
#[derive(Debug, Clone, Copy)]
enum Of {
    /// Rate of the first over that of the second.
    Rate,
    /// Processor time of the first over that of the second.
    Cpu,
    /// Time for each of the first over that of the second.
    Time,
}

/// What the first is compared with.
#[derive(Debug, Clone, Copy)]
enum Against {
    /// What was measured too.
    Runs((Workload, Kind)),
    /// A rate that is known beforehand, per second.
    Rate(f64),
}

impl Against {
    /// Returns what has to be measured for it.
    fn runs(self) -> Option<(Workload, Kind)> {
        match self {
            Self::Runs(runs) => Some(runs),
            Self::Rate(_) => None,
        }
    }
}

/// A ratio and its limit.
struct Target {
    what: &'static str,
    of: Of,
    first: (Workload, Kind),
    second: Against,
    limit: f64,
}

use Kind::{Durable, Google, Laden, Ours, TasksPeer};
use Workload::{CreateTask, Dispatch, PublishBatch, PublishBatch64, PublishSingle, PullAck, RoundTrip, Stream1k, Stream10k, Stream100k};

/// What a queue dispatches at most in a second unless it is told otherwise: the service's default, which `Dispatch` leaves as it is.
const QUEUE_DISPATCHES_PER_SECOND: f64 = 500.0;

const TARGETS: [Target; 14] = [
    ratio("publish, one in a request, against Google's", Of::Rate, (PublishSingle, Ours), (PublishSingle, Google), 2.0),
    ratio("publish, 100 in a request, against Google's", Of::Rate, (PublishBatch, Ours), (PublishBatch, Google), 2.0),
    ratio("pull + ack against Google's", Of::Rate, (PullAck, Ours), (PullAck, Google), 3.0),
    ratio("publish, stream, ack of 1k against Google's", Of::Rate, (Stream1k, Ours), (Stream1k, Google), 15.0),
    ratio("publish, stream, ack of 10k against Google's", Of::Rate, (Stream10k, Ours), (Stream10k, Google), 15.0),
    ratio("publish, stream, ack of 100k against Google's", Of::Rate, (Stream100k, Ours), (Stream100k, Google), 15.0),
    ratio("time for each at 100k over that at 1k", Of::Time, (Stream100k, Ours), (Stream1k, Ours), 1.3),
    ratio("create a task against the peer's", Of::Rate, (CreateTask, Ours), (CreateTask, TasksPeer), 1.5),
    rate("tasks dispatched over the queue's limit", (Dispatch, Ours), QUEUE_DISPATCHES_PER_SECOND, 0.95),
    ratio("processor time of a dispatch over the peer's", Of::Cpu, (Dispatch, Ours), (Dispatch, TasksPeer), 1.0),
    ratio("publish, 100 in a request, 64 at a time, durable", Of::Rate, (PublishBatch64, Durable), (PublishBatch64, Ours), 0.6),
    ratio("time of a round trip, laden over empty", Of::Time, (RoundTrip, Laden), (RoundTrip, Ours), 1.3),
    ratio("processor time of a creation, laden over empty", Of::Cpu, (CreateTask, Laden), (CreateTask, Ours), 1.3),
    ratio("processor time of a dispatch, laden over empty", Of::Cpu, (Dispatch, Laden), (Dispatch, Ours), 1.3),
];

const fn ratio(what: &'static str, of: Of, first: (Workload, Kind), second: (Workload, Kind), limit: f64) -> Target {
    Target { what, of, first, second: Against::Runs(second), limit }
}

/// At least `limit` of `per_second`.
const fn rate(what: &'static str, first: (Workload, Kind), per_second: f64, limit: f64) -> Target {
    Target { what, of: Of::Rate, first, second: Against::Rate(per_second), limit }
}

/// What is measured beside: with few requests at a time it is the disk's time for a sync that decides.
const BESIDE: [(Workload, Kind); 1] = [(PublishBatch, Durable)];

/// The servers that a workload is measured on.
pub(crate) fn kinds(workload: Workload) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = TARGETS
        .iter()
        .flat_map(|target| [Some(target.first), target.second.runs()])
        .flatten()
        .chain(BESIDE)
        .filter(|of| of.0 == workload)
        .map(|of| of.1)
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// A rate as it is shown.
pub(crate) fn figure(workload: Workload, rate: f64) -> String {
    let what = if matches!(workload, CreateTask | Dispatch) { "tasks/s" } else { "messages/s" };
    format!("{rate:>9.0} {what}")
}

/// The middle one; the mean of the two in the middle.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// The median of each figure.
fn middle(runs: &[Sample]) -> Sample {
    Sample { rate: median(runs.iter().map(|run| run.rate)), cpu_us: median(runs.iter().map(|run| run.cpu_us)) }
}

/// Prints what was measured.
pub(crate) fn print_samples(samples: &Samples) {
    for ((workload, kind), runs) in samples {
        let rates = || runs.iter().map(|run| run.rate);
        let (low, high) = (rates().fold(f64::INFINITY, f64::min), rates().fold(0.0, f64::max));
        let cpu = median(runs.iter().map(|run| run.cpu_us));
        let rate = figure(*workload, median(rates()));
        println!("      {:<16} {:<21} {rate:<21} {low:>7.0} to {high:<7.0} {cpu:>7.1} µs of processor each", workload.name(), kind.name());
    }
}

/// Prints each target with what was reached; tells whether none was missed.
pub(crate) fn print_targets(samples: &Samples) -> bool {
    let mut good = true;
    for target in &TARGETS {
        let of = |key| samples.get(&key).filter(|runs| !runs.is_empty()).map(|runs| middle(runs));
        let second = match target.second {
            Against::Runs(key) => of(key),
            Against::Rate(rate) => Some(Sample { rate, cpu_us: f64::NAN }),
        };
        let (Some(first), Some(second)) = (of(target.first), second) else {
            println!("  –   {:<48} not measured", target.what);
            continue;
        };
        let (reached, least) = match target.of {
            Of::Rate => (first.rate / second.rate, true),
            Of::Cpu => (first.cpu_us / second.cpu_us, false),
            Of::Time => (second.rate / first.rate, false),
        };
        good &= verdict(target.what, reached, "", target.limit, least);
    }
    good
}

/// Prints one figure with its limit: the least there may be, or the most.
pub(crate) fn verdict(what: &str, reached: f64, unit: &str, limit: f64, least: bool) -> bool {
    let good = if least { reached >= limit } else { reached <= limit };
    println!(
        "{} {what:<48} {reached:>8.2} {unit:<3} limit {} {limit} {unit}",
        if good { "ok   " } else { "FAIL " },
        if least { "≥" } else { "≤" }
    );
    good
}
