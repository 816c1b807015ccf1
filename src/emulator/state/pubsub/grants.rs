//! What Pub/Sub's own service agent needs so that dead letters move: publishing to the dead-letter topic, consuming from the subscription.
//!
//! Every permission is granted unless it is asked for that these two be: then the policies that were set decide, as on Google Cloud
//! (<https://cloud.google.com/pubsub/docs/handling-failures#grant_forwarding_permissions>). Without them a message comes again, and counts on.

use super::PubSub;
use super::subscription::Subscription;
use crate::emulator::pb::google::iam::v1::Policy;
use crate::emulator::state::saved::saved;
use crate::emulator::state::{Command, Effects, Moment, Refusal, State};

/// Roles that may publish to a topic.
const PUBLISHERS: [&str; 5] = ["roles/pubsub.publisher", "roles/pubsub.editor", "roles/pubsub.admin", "roles/editor", "roles/owner"];
/// Roles that may consume from a subscription.
const SUBSCRIBERS: [&str; 5] = ["roles/pubsub.subscriber", "roles/pubsub.editor", "roles/pubsub.admin", "roles/editor", "roles/owner"];

/// Whether the service agent needs its grants.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Grants {
    required: bool,
    /// What it is again after a reset.
    from_start: bool,
}

saved!(struct Grants { required, from_start });

impl Grants {
    pub(super) fn at_start(self) -> Self {
        Self { required: self.from_start, ..self }
    }
}

/// Switches whether the service agent needs its grants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequireGrants {
    pub(crate) required: bool,
    /// Whether a reset leaves it so.
    pub(crate) from_start: bool,
}

saved!(struct RequireGrants { required, from_start });

impl Command for RequireGrants {
    type Reply = ();

    fn apply(self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<(), Refusal> {
        let grants = &mut state.pubsub.grants;
        grants.required = self.required;
        if self.from_start {
            grants.from_start = self.required;
        }
        Ok(())
    }
}

impl PubSub {
    /// Tells whether the service agent needs its grants.
    pub(crate) fn grants_are_required(&self) -> bool {
        self.grants.required
    }

    /// Tells whether dead letters of a subscription can move: their topic is there, and the service agent may do it.
    pub(super) fn dead_letters_work(&self, name: &str, subscription: &Subscription) -> bool {
        let Some((topic, _)) = subscription.dead_letters() else { return false };
        let granted = |resource: &str, roles| self.policies.get(resource).is_some_and(|policy| is_granted(policy, roles));
        self.topics.contains_key(topic) && (!self.grants.required || granted(topic, &PUBLISHERS) && granted(name, &SUBSCRIBERS))
    }
}

fn is_granted(policy: &Policy, roles: &[&str]) -> bool {
    let bindings = policy.bindings.iter().filter(|binding| roles.contains(&binding.role.as_str()));
    bindings.flat_map(|binding| &binding.members).any(|member| is_service_agent(member))
}

/// `serviceAccount:service-PROJECT_NUMBER@gcp-sa-pubsub.iam.gserviceaccount.com`, of whatever number: the emulator gives none.
fn is_service_agent(member: &str) -> bool {
    let number =
        member.strip_prefix("serviceAccount:service-").and_then(|rest| rest.strip_suffix("@gcp-sa-pubsub.iam.gserviceaccount.com"));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
        || matches!(member, "allUsers" | "allAuthenticatedUsers")
}
