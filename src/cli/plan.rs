//! The look before the leap, as the command line shows it: a table for people, a document for programs, and the question that follows.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::output::{Format, Output, age, dash, measured};
use crate::error::Result;
use crate::model::text;
use crate::names::SubscriptionName;
use crate::ops::transfer::{Kind, Looked, Plan, Route, Selection};

/// Causes that the table shows.
const CAUSES_SHOWN: usize = 10;

/// Writes a plan: how many, from which causes, who gets what, what is refused, what to know before.
pub(super) fn show(output: &mut Output<'_>, plan: &Plan) -> Result<()> {
    if output.format() != Format::Table {
        return output.value(&json(plan));
    }
    let mut lines = vec![format!("would {} from {}", plan.request.kind.verb(), plan.request.source)];
    lines.push(format!("  messages  {}", how_many(plan)));
    if let Some(looked) = &plan.looked {
        lines.extend(causes(looked));
    }
    let width = plan.routes.iter().flat_map(|route| &route.receivers).map(|receiver| receiver.subscription.id().len()).max().unwrap_or(0);
    plan.routes_taken().for_each(|route| route_lines(route, plan.looked.is_some(), width, &mut lines));
    lines.extend(pace(plan));
    let problems = plan.looked.iter().flat_map(|looked| &looked.problems);
    lines.extend(problems.map(|problem| format!("  {}: {}", if problem.refused { "would stay" } else { "note" }, problem.words())));
    lines.extend(plan.warnings.iter().map(|warning| format!("  warning: {warning}")));
    lines.extend(plan.refusals.iter().map(|refusal| format!("  refused: {refusal}")));
    lines.iter().try_for_each(|line| output.data(&format!("{}\n", text::line(line))))
}

fn how_many(plan: &Plan) -> String {
    let before = format!("entered before {}", plan.cutoff);
    let looked = match &plan.looked {
        Some(looked) if looked.complete => String::new(),
        Some(looked) => format!(" ({} of the first {} are selected)", looked.selected, looked.messages),
        None => String::new(),
    };
    match (&plan.request.selection, plan.expected) {
        (Selection::Messages(ids), _) => format!("{} chosen{looked}", ids.len()),
        (Selection::All, Some(expected)) => format!("about {}, {before}{looked}", expected.value),
        (Selection::All, None) => format!("all that {before}{looked}"),
        (selection, Some(expected)) => format!("{} of {selection}, {before}", expected.value),
        (selection, None) => format!("{selection}, {before}: how many is known only after looking at all{looked}"),
    }
}

fn causes(looked: &Looked) -> Vec<String> {
    if looked.causes.is_empty() {
        return Vec::new();
    }
    let mut lines = vec!["  causes".to_owned()];
    lines.extend(looked.causes.iter().take(CAUSES_SHOWN).map(|one| format!("    {:>7}  {}  {}", one.count, one.id, one.cause)));
    let more = looked.causes.len().saturating_sub(CAUSES_SHOWN);
    if more > 0 {
        lines.push(format!("             {more} more causes: `redrive dlq causes` lists all"));
    }
    lines
}

fn route_lines(route: &Route, looked: bool, width: usize, lines: &mut Vec<String>) {
    let of = if looked { format!(": {} of those looked at", route.messages) } else { String::new() };
    lines.push(format!("  from {} to {}{of}", dash(route.source.as_ref().map(SubscriptionName::id)), route.topic));
    for receiver in &route.receivers {
        let who = if receiver.failed { "the one that failed" } else { "ALSO receives it" };
        let filter = if receiver.filter.is_empty() { String::new() } else { format!("  filter {}", receiver.filter) };
        let count = receiver.matches.map_or_else(|| "?".to_owned(), |count| count.to_string());
        lines.push(format!("    {who:<19}  {:<width$}  {count:>7}{filter}", receiver.subscription.id()));
    }
}

/// Says how fast it goes and how long it takes.
pub(super) fn pace(plan: &Plan) -> Option<String> {
    let rate = plan.request.rate_max?;
    let takes = plan.takes.map_or_else(String::new, |takes| format!(", about {}", age(takes.max(Duration::from_secs(1)))));
    Some(format!("  rate      {rate} a second{takes}"))
}

fn json(plan: &Plan) -> Value {
    let mut value = serde_json::to_value(plan).unwrap_or_default();
    if let Value::Object(map) = &mut value {
        map.insert("expected".into(), measured(plan.expected));
        map.insert("takes".into(), plan.takes.map_or(Value::Null, |takes| takes.as_secs().into()));
        map.insert("fanOut".into(), plan.fan_out().into_iter().map(|name| Value::from(name.id())).collect());
    }
    value
}

/// Says what will be done, to how many, and who receives it.
pub(super) fn question(plan: &Plan) -> String {
    let request = &plan.request;
    let what = if request.source.queue().is_some() { "tasks" } else { "messages" };
    let count = match (&request.selection, request.max, plan.expected) {
        (_, max, Some(expected)) if request.source.queue().is_some() => {
            let count = expected.value.min(max.unwrap_or(u64::MAX));
            format!("{count} task{}", if count == 1 { "" } else { "s" })
        }
        (Selection::Messages(ids), ..) => format!("{} chosen {what}", ids.len()),
        (Selection::All, Some(max), Some(expected)) if expected.value > max => format!("{max} of about {} messages", expected.value),
        (Selection::All, _, Some(expected)) => format!("about {} {what}", expected.value),
        (Selection::All, Some(max), None) => format!("up to {max} messages"),
        (Selection::All, None, None) => "all messages".to_owned(),
        (selection, Some(max), _) => format!("up to {max} of {selection}"),
        (selection, None, Some(expected)) => format!("{selection} ({})", expected.value),
        (selection, None, None) => selection.to_string(),
    };
    let from = request.source.id();
    match request.kind {
        Kind::Discard => format!("Discard {count} of `{from}`? A copy of each is kept on this machine."),
        Kind::Undo => {
            let receivers: BTreeSet<_> =
                plan.routes.iter().flat_map(|route| &route.receivers).map(|receiver| receiver.subscription.id()).collect();
            let receivers: Vec<_> = receivers.into_iter().collect();
            let by = if receivers.is_empty() { String::new() } else { format!(" Received by `{}`.", receivers.join("`, `")) };
            format!("Put back {count} of {from} to `{}`?{by}", request.delivery)
        }
        _ => {
            let topics: BTreeSet<_> = plan.routes.iter().map(|route| route.topic.id()).collect();
            let topics: Vec<_> = topics.into_iter().collect();
            let to = if request.kind == Kind::Run {
                String::new()
            } else if topics.is_empty() {
                format!(" to `{}`", request.delivery)
            } else {
                format!(" to `{}`", topics.join("`, `"))
            };
            let also: Vec<_> = plan.fan_out().into_iter().map(SubscriptionName::id).collect();
            let also = if also.is_empty() { String::new() } else { format!(" Also received by `{}`.", also.join("`, `")) };
            format!("{} {count} of `{from}`{to}?{also}", capital(request.kind.verb()))
        }
    }
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::ops::transfer::{Problem, Receiver, Request, Source};

    fn subscription(id: &str) -> SubscriptionName {
        format!("projects/shop/subscriptions/{id}").parse().unwrap()
    }

    fn plan(matches: Option<u64>, complete: bool) -> Plan {
        let receiver =
            |id, failed, matches| Receiver { subscription: subscription(id), filter: String::new(), failed, matches, skips: false };
        let source = Source::Subscription(subscription("orders-hold"));
        let request = Request { rate_max: Some(20), max: Some(7), ..Request::new(Kind::Redrive, source) };
        let route = Route {
            source: Some(subscription("billing")),
            topic: "projects/shop/topics/orders".parse().unwrap(),
            messages: 3,
            receivers: vec![receiver("billing", true, Some(3)), receiver("audit", false, matches)],
        };
        let problem = Problem { what: "is too long".into(), count: 1, sample: "8812".into(), refused: true };
        let looked = Looked { messages: 3, complete, selected: 3, causes: vec![], problems: vec![problem] };
        Plan {
            request,
            cutoff: Timestamp::UNIX_EPOCH,
            expected: None,
            looked: Some(looked),
            takes: Some(Duration::from_secs(90)),
            routes: vec![route],
            refusals: vec![],
            warnings: vec![],
            fan_out_confirmed: false,
        }
    }

    #[test]
    fn the_question_names_how_many_whereto_and_who_else() {
        let asked = "Redrive up to 7 messages of `orders-hold` to `orders`?";
        assert_eq!(question(&plan(Some(2), true)), format!("{asked} Also received by `audit`."));
        assert_eq!(question(&plan(Some(0), false)), format!("{asked} Also received by `audit`."));
        assert_eq!(question(&plan(Some(0), true)), asked);
    }

    #[test]
    fn the_table_says_who_gets_how_many_and_what_stays() {
        let mut out = Vec::new();
        show(&mut Output::new(&mut out, &mut std::io::sink(), Format::Table, false), &plan(Some(2), true)).unwrap();
        let out = String::from_utf8(out).unwrap();
        for line in [
            "  from billing to projects/shop/topics/orders: 3 of those looked at",
            "    the one that failed  billing        3",
            "    ALSO receives it     audit          2",
            "  rate      20 a second, about 1m",
            "  would stay: message `8812` is too long",
        ] {
            assert!(out.lines().any(|shown| shown.starts_with(line)), "{line} is not in\n{out}");
        }
    }
}
