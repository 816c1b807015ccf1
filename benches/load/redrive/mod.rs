//! Redriving dead letters with the journal on, against a good Python script, against one by one, and against the same calls in Rust without a
//! journal: every way in turn, round after round, on one server. Each turn has dead letters of its own, and all that arrived is counted.

mod resume;
mod scene;
mod ways;

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use crate::args::Redrive;
use crate::compare::print_machine;
use crate::process::Server;
use crate::report::{median, verdict};
use scene::Scene;
use ways::Way;

/// What each other way is compared by: its rate times this is the least of ours.
const TARGETS: [(&str, Way, f64); 3] = [
    ("against Python, 1,000 by each call", Way::Python, 2.0),
    ("against one by one", Way::OneByOne, 10.0),
    ("against the same calls without a journal", Way::Raw, 0.6),
];
/// What a message that is through may cost in memory until the end: its id, and where it stands.
const BYTES_PER_MESSAGE_MAX: f64 = 256.0;
/// The whole command, from its start to its end, on a journal of a million records.
const RESUME_MS_MAX: f64 = 1000.0;
/// Turns with fewer messages, to tell what each costs from what all together do.
const SMALL_PART: usize = 10;

/// Measures, prints, and fails where a target is missed.
pub(crate) async fn run(options: &Redrive) -> Result<()> {
    print_machine();
    let server = Server::ours(&options.binary).await?;
    let mut rates: BTreeMap<Way, Vec<f64>> = BTreeMap::new();
    let mut memory = Vec::new();
    for _ in 0..options.rounds {
        for way in Way::ALL {
            if let Some(why) = way.missing(options) {
                println!("  –   {:<48} not measured: {why}", way.name());
                continue;
            }
            let count = if way.is_single() { options.one_by_one } else { options.count };
            let scene = Scene::open(&server.address, count, options.payload_bytes).await?;
            let turn = way.run(&scene, options).await?;
            scene.close().await?;
            #[expect(clippy::cast_precision_loss, reason = "a count of messages")]
            rates.entry(way).or_default().push(count as f64 / turn.took.as_secs_f64());
            memory.extend(turn.peak_bytes);
        }
    }
    for (way, rates) in &rates {
        let (low, high) = (rates.iter().copied().fold(f64::INFINITY, f64::min), rates.iter().copied().fold(0.0, f64::max));
        println!("      {:<48} {:>8.0} messages/s   {low:.0} to {high:.0}", way.name(), median(rates.iter().copied()));
    }
    let mut good = true;
    for (what, way, least) in TARGETS {
        match (rates.get(&Way::Ours), rates.get(&way)) {
            (Some(ours), Some(theirs)) => good &= verdict(what, median(ours.clone()) / median(theirs.clone()), "", least, true),
            _ => println!("  –   {what:<48} not measured"),
        }
    }
    good &= memory_of_each(&server, options, median(memory)).await?;
    good &= verdict("resume, whole command", resume::measure(&server.address, options).await?, "ms", RESUME_MS_MAX, false);
    print_machine();
    server.stop().await?;
    if good { Ok(()) } else { bail!("a target is missed") }
}

/// Compares the memory of a long transfer with that of a short one: what is left is ids, no payloads.
async fn memory_of_each(server: &Server, options: &Redrive, of_all: f64) -> Result<bool> {
    let count = options.count / SMALL_PART;
    let mut few = Vec::new();
    for _ in 0..options.rounds {
        let scene = Scene::open(&server.address, count, options.payload_bytes).await?;
        few.extend(Way::Ours.run(&scene, options).await?.peak_bytes);
        scene.close().await?;
    }
    let few = median(few);
    println!("      {:<48} {:>8.1} MB, {:.1} MB for {count}", "memory at most, of all", of_all / 1e6, few / 1e6);
    #[expect(clippy::cast_precision_loss, reason = "a count of messages")]
    let each = (of_all - few) / (options.count - count) as f64;
    Ok(verdict("memory for each message that is through", each, "B", BYTES_PER_MESSAGE_MAX, false))
}
