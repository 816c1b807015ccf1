//! The rights that Pub/Sub's own service agent needs to move dead letters: without them nothing becomes one.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::desired::Desired;
use super::found::Found;
use crate::cloud::Cloud;
use crate::error::Result;

/// May publish; needed on the dead-letter topic.
pub(super) const PUBLISHER: &str = "roles/pubsub.publisher";
/// May acknowledge; needed on the subscription that gives up.
pub(super) const SUBSCRIBER: &str = "roles/pubsub.subscriber";

/// Roles that include these.
const PUBLISHERS: [&str; 4] = [PUBLISHER, "roles/pubsub.editor", "roles/pubsub.admin", "roles/pubsub.serviceAgent"];
const SUBSCRIBERS: [&str; 4] = [SUBSCRIBER, "roles/pubsub.editor", "roles/pubsub.admin", "roles/pubsub.serviceAgent"];

/// What dead letters need of one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    Publish,
    Acknowledge,
}

impl Right {
    pub(crate) fn role(self) -> &'static str {
        match self {
            Self::Publish => PUBLISHER,
            Self::Acknowledge => SUBSCRIBER,
        }
    }

    fn roles(self) -> &'static [&'static str] {
        match self {
            Self::Publish => &PUBLISHERS,
            Self::Acknowledge => &SUBSCRIBERS,
        }
    }
}

/// Returns the full names of what needs which right.
pub(super) fn needed(desired: &Desired) -> Vec<(String, Right)> {
    let topics: BTreeSet<String> =
        desired.subscriptions.iter().filter_map(|source| Some(source.dead_letters.as_ref()?.topic.to_string())).collect();
    let sources = desired.subscriptions.iter().filter(|source| source.dead_letters.is_some()).map(|source| source.name.to_string());
    topics.into_iter().map(|topic| (topic, Right::Publish)).chain(sources.map(|source| (source, Right::Acknowledge))).collect()
}

/// Finds out who the agent is and what it may do already.
pub(super) async fn find(cloud: &Cloud, desired: &Desired, found: &mut Found) -> Result<()> {
    let needed = needed(desired);
    if needed.is_empty() {
        return Ok(());
    }
    let number = match &desired.project_number {
        Some(number) => Ok(number.clone()),
        None => cloud.project_number().await,
    };
    let agent = match number {
        Ok(number) => agent(&number),
        Err(error) => {
            found.agent = Err(format!("{error}{}", error.hint().map(|hint| format!("; {hint}")).unwrap_or_default()));
            return Ok(());
        }
    };
    for (resource, right) in needed {
        let is_there = resource.parse().is_ok_and(|name| found.topics.contains_key(&name))
            || resource.parse().is_ok_and(|name| found.subscriptions.contains_key(&name));
        if !is_there {
            continue;
        }
        match cloud.iam_policy(&resource).await {
            Ok(policy) => {
                if holds(&policy, &agent, right) {
                    found.granted.insert(resource);
                }
            }
            // Who may not read rights may do the rest all the same.
            Err(error) => {
                let why = format!("{error}{}", error.hint().map(|hint| format!("; {hint}")).unwrap_or_default());
                found.unread.push((resource, why));
            }
        }
    }
    found.agent = Ok(agent);
    Ok(())
}

/// Returns Pub/Sub's service agent in the project of a number, as a member of policies.
pub(crate) fn agent(number: &str) -> String {
    format!("serviceAccount:service-{number}@gcp-sa-pubsub.iam.gserviceaccount.com")
}

/// Tells whether a policy gives a member a right. What is bound to a condition may not hold, and does not count.
pub(crate) fn holds(policy: &Value, member: &str, right: Right) -> bool {
    bindings(policy).any(|binding| {
        let is_role = binding.get("role").and_then(Value::as_str).is_some_and(|role| right.roles().contains(&role));
        is_role && binding.get("condition").is_none_or(Value::is_null) && members(binding).any(|it| it == member)
    })
}

/// Adds the member; tells whether that changed anything.
pub(super) fn grant(policy: &mut Value, member: &str, right: Right) -> bool {
    if holds(policy, member, right) {
        return false;
    }
    if !policy.is_object() {
        *policy = json!({});
    }
    if !policy["bindings"].is_array() {
        policy["bindings"] = json!([]);
    }
    let Some(all) = policy["bindings"].as_array_mut() else { return false };
    let own = all.iter_mut().find(|binding| binding["role"] == right.role() && binding.get("condition").is_none_or(Value::is_null));
    match own.and_then(|binding| binding.get_mut("members")).and_then(Value::as_array_mut) {
        Some(members) => members.push(member.into()),
        None => all.push(json!({ "role": right.role(), "members": [member] })),
    }
    true
}

fn bindings(policy: &Value) -> impl Iterator<Item = &Value> {
    policy.get("bindings").and_then(Value::as_array).into_iter().flatten()
}

fn members(binding: &Value) -> impl Iterator<Item = &str> {
    binding.get("members").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_is_added_once_and_nothing_else_is_touched() {
        let agent = agent("42");
        assert_eq!(agent, "serviceAccount:service-42@gcp-sa-pubsub.iam.gserviceaccount.com");
        let conditional = json!({ "role": PUBLISHER, "members": [agent], "condition": { "expression": "false" } });
        let mut policy = json!({ "etag": "x", "version": 3, "bindings": [conditional, { "role": SUBSCRIBER, "members": ["user:ada"] }] });
        assert!(grant(&mut policy, &agent, Right::Publish));
        assert!(!grant(&mut policy, &agent, Right::Publish));
        assert!(grant(&mut policy, &agent, Right::Acknowledge));
        let expected = json!({ "etag": "x", "version": 3, "bindings": [
            conditional,
            { "role": SUBSCRIBER, "members": ["user:ada", agent] },
            { "role": PUBLISHER, "members": [agent] },
        ] });
        assert_eq!(policy, expected);
        let mut unset = json!({ "etag": "ACAB" });
        assert!(grant(&mut unset, &agent, Right::Publish) && holds(&unset, &agent, Right::Publish));
    }
}
