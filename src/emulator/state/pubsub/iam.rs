//! IAM policies: stored and returned, and every permission granted.

use super::{PubSub, names};
use crate::emulator::pb::google::iam::v1 as pb;
use crate::emulator::state::{Command, Effects, Moment, Refusal, State, iam};

impl PubSub {
    fn require(&self, resource: &str) -> Result<(), Refusal> {
        let collection = resource.split('/').nth(2).unwrap_or_default();
        let known = match collection {
            "topics" => self.topics.contains_key(resource),
            "subscriptions" => self.subscriptions.contains_key(resource),
            "snapshots" => self.snapshots.contains_key(resource),
            "schemas" => self.schemas.contains(resource),
            _ => false,
        };
        if known { Ok(()) } else { Err(names::not_found(resource, collection)) }
    }
}

impl Command for pb::GetIamPolicyRequest {
    type Reply = pb::Policy;

    fn apply(self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<pb::Policy, Refusal> {
        state.pubsub.require(&self.resource)?;
        let policy = state.pubsub.policies.get(&self.resource).cloned();
        Ok(policy.unwrap_or_else(iam::unset))
    }
}

/// Replaces the policy, unless it changed since the etag that the request bears.
impl Command for pb::SetIamPolicyRequest {
    type Reply = pb::Policy;

    fn apply(self, state: &mut State, at: Moment, _out: &mut Effects) -> Result<pb::Policy, Refusal> {
        let pubsub = &mut state.pubsub;
        pubsub.require(&self.resource)?;
        let etag = pubsub.serial.next(at.now);
        let policy = iam::replaced(pubsub.policies.get(&self.resource), self.policy, self.update_mask, etag)?;
        pubsub.policies.insert(self.resource, policy.clone());
        Ok(policy)
    }
}

impl Command for pb::TestIamPermissionsRequest {
    type Reply = pb::TestIamPermissionsResponse;

    fn apply(self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<pb::TestIamPermissionsResponse, Refusal> {
        // Of what is missing there are no permissions, which is no error.
        let known = state.pubsub.require(&self.resource).is_ok();
        Ok(pb::TestIamPermissionsResponse { permissions: if known { self.permissions } else { Vec::new() } })
    }
}
