//! From a request to its end: the plan shown or asked about, then the transfer followed. The same for every command that moves something.

use clap::Args;
use jiff::{Span, SpanRelativeTo, Timestamp};

use super::Exit;
use super::plan;
use super::session::{Danger, Session};
use super::transfers::follow;
use crate::error::{Error, Kind, Result};
use crate::names::SubscriptionName;
use crate::ops::Ops;
use crate::ops::transfer::{Plan, Request};

/// Whether it is done, and what is agreed to beforehand.
#[derive(Debug, Default, Args)]
pub(super) struct Consent {
    /// Show what would be done, and do nothing
    #[arg(short = 'n', long)]
    pub(super) dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(super) yes: bool,
    /// Go on although another transfer takes from the same place, or a message would block its ordering key or reach nobody
    #[arg(long)]
    pub(super) force: bool,
}

/// Plans, asks, does, and reports.
pub(super) async fn carry_out(
    session: &mut Session<'_, '_>,
    ops: &Ops,
    mut request: Request,
    fan_out: &[String],
    consent: &Consent,
) -> Result<Exit> {
    request.options.force = consent.force;
    let plan = Box::pin(ops.plan_transfer(request)).await?;
    if consent.dry_run {
        plan::show(session.output, &plan)?;
        return Ok(if plan.refusals.is_empty() { Exit::Done } else { Exit::Refused });
    }
    if let Some(refusal) = plan.refusals.first() {
        plan.refusals.iter().skip(1).for_each(|more| session.output.warn(more));
        return Err(Error::new(Kind::Refused, refusal.clone()).with_hint("see the whole plan with `--dry-run`"));
    }
    if request_is_empty(&plan) {
        session.output.note(&format!("nothing of `{}` is selected", plan.request.source.id()));
        return Ok(Exit::Done);
    }
    plan.warnings.iter().for_each(|warning| session.output.warn(warning));
    let problems = plan.looked.iter().flat_map(|looked| &looked.problems);
    problems.for_each(|problem| session.output.warn(&problem.words()));
    confirm(session, ops, &plan, fan_out, consent.yes)?;
    let id = Box::pin(ops.start_transfer(plan.confirmed())).await?;
    follow(session, ops, &id).await
}

/// Tells whether there is nothing to do: of tasks that is known before.
fn request_is_empty(plan: &Plan) -> bool {
    plan.request.source.queue().is_some() && plan.expected.is_some_and(|expected| expected.value == 0)
}

/// Asks before a transfer. Who would process the messages again though they did not fail is confirmed by name.
fn confirm(session: &mut Session<'_, '_>, ops: &Ops, plan: &Plan, confirmed: &[String], yes: bool) -> Result<()> {
    let again = plan.fan_out().into_iter().map(SubscriptionName::id).filter(|name| !confirmed.iter().any(|known| known == name));
    let count = plan.expected.map(|expected| expected.value.min(plan.request.max.unwrap_or(u64::MAX)));
    let also = again.map(str::to_owned).collect();
    let danger = Danger { question: &plan::question(plan), name: &plan.request.source.id(), count, also };
    session.confirm_danger(ops.guard(), &danger, yes)
}

/// Reads a moment: a time such as `2026-12-01T08:00:00Z`, or a span from now such as `2h`.
pub(super) fn moment(text: &str) -> Result<When, String> {
    if let Ok(time) = text.parse() {
        return Ok(When::At(time));
    }
    span(text).map(When::In).map_err(|_| "give a time such as `2026-12-01T08:00:00Z`, or a span from now such as `2h` or `1d`".to_owned())
}

/// Reads a span such as `30d` or `2h 30m`; days have 24 hours.
pub(super) fn span(text: &str) -> Result<jiff::SignedDuration, String> {
    let words = |_| "give a span such as `30d` or `2h`".to_owned();
    let span: Span = text.parse().map_err(words)?;
    let span = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(words)?;
    if span.is_negative() { Err("it lies in the past".to_owned()) } else { Ok(span) }
}

/// A moment as it is written on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    At(Timestamp),
    In(jiff::SignedDuration),
}

impl When {
    /// Returns the time, counted from `now` where it is a span.
    pub(super) fn time(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::In(span) => now.saturating_add(span).unwrap_or(Timestamp::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_times_or_spans_from_now() {
        let now: Timestamp = "2026-11-21T06:00:00Z".parse().unwrap();
        let time = |text: &str| moment(text).map(|when| when.time(now).to_string());
        assert_eq!(time("2026-12-01T08:00:00Z").unwrap(), "2026-12-01T08:00:00Z");
        assert_eq!(time("90m").unwrap(), "2026-11-21T07:30:00Z");
        assert_eq!(time("1d").unwrap(), "2026-11-22T06:00:00Z");
        assert!(time("-1h").is_err() && time("soon").is_err());
    }
}
