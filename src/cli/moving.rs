//! What `redrive dlq` and `redrive subs` share: which messages, and the commands that move them elsewhere.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Exit;
use super::carry::{Consent, carry_out};
use super::dlq::Which;
use super::session::Session;
use crate::error::Result;
use crate::ops::transfer::{Delivery, Kind};
use crate::ops::{Ops, PeekMode};

/// How dead letters go back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Way {
    /// To the topic of the subscription that gave each up: every subscription of it receives it
    #[default]
    Topic,
    /// To that topic, marked as meant for that subscription alone: others need the filter, or a receiver that skips it
    Addressed,
    /// To the endpoint of that push subscription, past the topic: nobody else receives it
    Direct,
}

impl Way {
    pub(super) fn delivery(self, private: bool) -> Delivery {
        match self {
            Self::Topic => Delivery::SourceTopic,
            Self::Addressed => Delivery::Addressed,
            Self::Direct => Delivery::Direct { private },
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Replay {
    #[command(flatten)]
    which: Which,
    /// Where the handler listens, such as `http://127.0.0.1:8080/orders`
    #[arg(long, value_name = "URL")]
    to_url: String,
    /// Send to a handler on another machine, too
    #[arg(long)]
    allow_remote: bool,
    /// Take away what the handler took, in place of leaving it where it is
    #[arg(long, conflicts_with_all = ["snapshot", "lease"])]
    take: bool,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    which: Which,
    /// File to write, a line of JSON for each message; must not exist
    #[arg(long, value_name = "FILE")]
    to_file: PathBuf,
    #[command(flatten)]
    reading: Reading,
}

/// How what stays is read.
#[derive(Debug, Args)]
struct Reading {
    /// Read from a snapshot, which leases nothing there [default: where there are many, or a lease would disturb]
    #[arg(long, conflicts_with = "lease")]
    snapshot: bool,
    /// Lease the messages until the end, 10,000 at most [default: where there are few]
    #[arg(long)]
    lease: bool,
}

impl Reading {
    fn mode(&self) -> Option<PeekMode> {
        if self.snapshot { Some(PeekMode::Snapshot) } else { self.lease.then_some(PeekMode::Leased) }
    }
}

#[derive(Debug, Args)]
pub(super) struct Move {
    #[command(flatten)]
    which: Which,
    /// Topic to publish to
    #[arg(long, value_name = "TOPIC")]
    to: String,
    /// Subscription that may receive them though it did not fail; can be given several times
    #[arg(long, value_name = "SUBSCRIPTION")]
    fan_out: Vec<String>,
}

impl Replay {
    pub(super) async fn run(self, session: &mut Session<'_, '_>, ops: &Ops) -> Result<Exit> {
        let delivery = Delivery::Handler { url: self.to_url, anywhere: self.allow_remote };
        let (mut request, consent) = self.which.request(ops, Kind::Replay, delivery)?;
        request.leave = !self.take;
        request.reading = self.reading.mode();
        carry_out(session, ops, request, &[], &consent).await
    }
}

impl Export {
    pub(super) async fn run(self, session: &mut Session<'_, '_>, ops: &Ops) -> Result<Exit> {
        let (mut request, consent) = self.which.request(ops, Kind::Export, Delivery::File(self.to_file))?;
        request.reading = self.reading.mode();
        carry_out(session, ops, request, &[], &consent).await
    }
}

impl Move {
    pub(super) async fn run(self, session: &mut Session<'_, '_>, ops: &Ops) -> Result<Exit> {
        let delivery = Delivery::Topic(Session::topic(ops, &self.to)?);
        let (request, consent) = self.which.request(ops, Kind::Redrive, delivery)?;
        carry_out(session, ops, request, &self.fan_out, &consent).await
    }
}

/// Takes messages away, keeping a copy of each.
pub(super) async fn discard(which: Which, session: &mut Session<'_, '_>, ops: &Ops) -> Result<Exit> {
    let consent: (_, Consent) = which.request(ops, Kind::Discard, Delivery::SourceTopic)?;
    carry_out(session, ops, consent.0, &[], &consent.1).await
}
