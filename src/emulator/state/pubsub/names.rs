//! Names of resources, and the refusals that quote them in Google's words.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::Bound;

use super::page::Page;
use crate::emulator::state::Refusal;
use crate::names::{Project, TopicName};

/// What a subscription or snapshot names in place of a topic that was deleted.
pub(super) const DELETED_TOPIC: &str = "_deleted-topic_";

/// Checks `projects/P/COLLECTION/ID`; topics, subscriptions and snapshots share the rule for ids.
pub(super) fn check(name: &str, collection: &str) -> Result<(), Refusal> {
    check_field("name", name, collection)
}

/// The same of a name in another field, which the refusal quotes.
pub(super) fn check_field(field: &str, name: &str, collection: &str) -> Result<(), Refusal> {
    let well_formed = || {
        let (project, id) = name.split_once(&format!("/{collection}/"))?;
        format!("{project}/topics/{id}").parse::<TopicName>().ok()
    };
    well_formed().map(|_| ()).ok_or_else(|| {
        Refusal::invalid(format!(
            "Invalid resource name given ({field}={name}). Refer to https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names for more information."
        ))
    })
}

/// Checks `projects/P`.
pub(super) fn check_project(name: &str) -> Result<(), Refusal> {
    match name.parse::<Project>() {
        Ok(_) => Ok(()),
        Err(_) => Err(Refusal::invalid(format!("Invalid project name given (name={name})."))),
    }
}

/// The last segment.
pub(super) fn id(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The project's id in a full name.
pub(super) fn project_id(name: &str) -> &str {
    name.split('/').nth(1).unwrap_or_default()
}

/// What to answer when `name` was not found: malformed names are refused as such.
pub(super) fn not_found(name: &str, collection: &str) -> Refusal {
    match check(name, collection) {
        Ok(()) => Refusal::not_found(format!("Resource not found (resource={}).", id(name))),
        Err(malformed) => malformed,
    }
}

pub(super) fn exists(name: &str) -> Refusal {
    Refusal::exists(format!("Resource already exists in the project (resource={}).", id(name)))
}

/// The entries whose names begin with `prefix`, from where the page begins.
pub(super) fn below<'a, K: Ord + Borrow<str>, V>(
    map: &'a BTreeMap<K, V>,
    page: &Page,
    prefix: &str,
) -> impl Iterator<Item = (&'a K, &'a V)> {
    map.range::<str, _>((page.start(prefix), Bound::Unbounded)).take_while(move |(name, _)| (*name).borrow().starts_with(prefix))
}
