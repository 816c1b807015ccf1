//! Push endpoints under load: the runtime's own with tokens verified, bare axum handlers, and the view of `django-google-cloud-tasks` under gunicorn.

mod client;
mod servers;
mod tokens;

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use crate::report::{median, verdict};
use client::Load;
use servers::{Kind, Server};
use tokens::Issuer;

pub(crate) use servers::{Serve, serve};

/// Different tokens that are sent in turn: more than a verifier remembers (twice 4,096), so that each is new to it when it comes again.
const FRESH_TOKENS: usize = 10_000;
/// How often each token is sent in a row where memory is watched: as Google sends one for minutes, and then another.
const REPEATED: usize = 8;
/// What a service may gain in memory after its first tenth of the requests: its allocator's slack.
const GROWTH_MB_MAX: f64 = 4.0;
/// The part of a round that warms a server up.
const WARM_UP: usize = 5;

#[derive(Debug, clap::Args)]
pub(crate) struct Push {
    /// Rounds, each with all servers in turn
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Requests to a server in a round
    #[arg(long, default_value_t = 20_000)]
    requests: usize,
    /// Connections
    #[arg(long, default_value_t = 32)]
    concurrency: usize,
    /// Only watch the memory of the runtime's endpoint, over this many requests
    #[arg(long, value_name = "REQUESTS")]
    memory: Option<usize>,
}

/// Which tokens are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tokens {
    Fresh,
    Repeated,
}

/// What is measured: in each round in this order.
const RUNS: [(Kind, Tokens); 5] = [
    (Kind::Ours, Tokens::Fresh),
    (Kind::BareVerify, Tokens::Fresh),
    (Kind::Ours, Tokens::Repeated),
    (Kind::BareParse, Tokens::Repeated),
    (Kind::Django, Tokens::Repeated),
];

/// Measures and fails where a target is missed.
pub(crate) async fn run(options: &Push) -> Result<()> {
    crate::compare::print_machine();
    let issuer = Issuer::start().await?;
    if let Some(requests) = options.memory {
        return memory(&issuer, requests, options.concurrency).await;
    }
    let fresh = issuer.tokens(FRESH_TOKENS)?;
    let mut servers = BTreeMap::new();
    for kind in [Kind::Ours, Kind::BareVerify, Kind::BareParse, Kind::Django] {
        match Server::start(kind, &issuer).await {
            Ok(server) => drop(servers.insert(kind, server)),
            Err(error) if kind == Kind::Django => println!("  –   {} not measured: {error:#}", kind.name()),
            Err(error) => return Err(error),
        }
    }
    // Each server is sent all of them in turn, round after round.
    let loads: BTreeMap<(Kind, Tokens), Load> = RUNS
        .map(|(kind, tokens)| ((kind, tokens), Load::new(if tokens == Tokens::Fresh { &fresh } else { &fresh[..1] })))
        .into_iter()
        .collect();
    let mut rates: BTreeMap<(Kind, Tokens), Vec<f64>> = BTreeMap::new();
    for round in 0..=options.rounds {
        for (kind, tokens) in RUNS {
            let Some(server) = servers.get(&kind) else { continue };
            // The view is slower by far: a part of the requests takes as long.
            let requests = if kind == Kind::Django { options.requests.div_ceil(10) } else { options.requests };
            let requests = if round == 0 { requests.div_ceil(WARM_UP) } else { requests };
            let rate = loads[&(kind, tokens)].run(&server.address, requests, options.concurrency).await?;
            if round > 0 {
                rates.entry((kind, tokens)).or_default().push(rate);
            }
        }
    }
    let sent = options.requests * options.rounds + options.requests.div_ceil(WARM_UP);
    let good = all_were_fresh(&servers, sent).await? & report(&rates);
    crate::compare::print_machine();
    if good { Ok(()) } else { bail!("a target is missed") }
}

/// A fresh token that was remembered all the same would flatter us: as many have to be verified as were sent.
async fn all_were_fresh(servers: &BTreeMap<Kind, Server>, sent: usize) -> Result<bool> {
    let Some(ours) = servers.get(&Kind::Ours) else { return Ok(true) };
    let said = client::get(&ours.metrics, "/metrics").await?;
    let verified: usize = said.trim().parse()?;
    let good = verified >= sent;
    println!("{} {verified} tokens were verified, of {sent} fresh ones", if good { "ok   " } else { "FAIL " });
    Ok(good)
}

fn report(rates: &BTreeMap<(Kind, Tokens), Vec<f64>>) -> bool {
    for ((kind, tokens), runs) in rates {
        let (low, high) = (runs.iter().copied().fold(f64::INFINITY, f64::min), runs.iter().copied().fold(0.0, f64::max));
        println!("      {:<28} {tokens:<9?} {:>8.0} requests/s {low:>8.0} to {high:.0}", kind.name(), median(runs.iter().copied()));
    }
    let targets = [
        ("fresh tokens, against bare axum and RS256", Tokens::Fresh, Kind::BareVerify, Tokens::Fresh, 0.8),
        ("a repeated token, against bare axum", Tokens::Repeated, Kind::BareParse, Tokens::Repeated, 0.8),
        ("a repeated token, against Django's view", Tokens::Repeated, Kind::Django, Tokens::Repeated, 8.0),
    ];
    let mut good = true;
    for (what, ours, peer, theirs, least) in targets {
        let of = |key| rates.get(&key).map(|runs: &Vec<f64>| median(runs.iter().copied()));
        match (of((Kind::Ours, ours)), of((peer, theirs))) {
            (Some(ours), Some(theirs)) => good &= verdict(what, ours / theirs, "", least, true),
            _ => println!("  –   {what:<48} not measured"),
        }
    }
    good
}

/// Watches the memory of our own endpoint: with new and repeated tokens, after the first tenth of the requests and at the end.
async fn memory(issuer: &Issuer, requests: usize, concurrency: usize) -> Result<()> {
    let server = Server::start(Kind::Ours, issuer).await?;
    let fresh = issuer.tokens(FRESH_TOKENS)?;
    let repeated: Vec<String> = fresh.into_iter().flat_map(|token| std::iter::repeat_n(token, REPEATED)).collect();
    let load = Load::new(&repeated);
    let mut before = None;
    for tenth in 1..=10 {
        let rate = load.run(&server.address, requests.div_ceil(10), concurrency).await?;
        let mb = server.rss_bytes()? / 1e6;
        println!("      after {:>10} requests {mb:>8.2} MB, {rate:.0} requests/s", tenth * requests.div_ceil(10));
        before.get_or_insert(mb);
    }
    let grown = server.rss_bytes()? / 1e6 - before.unwrap_or_default();
    if verdict("memory gained after the first tenth", grown, "MB", GROWTH_MB_MAX, false) { Ok(()) } else { bail!("a target is missed") }
}
