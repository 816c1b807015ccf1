//! IAM policies: stored and returned, and every permission granted.

use super::{PubSub, names};
use crate::emulator::pb::google::iam::v1 as pb;
use crate::emulator::state::{Code, Command, Effects, Moment, Refusal, State};

/// The etag that Google gives a policy that was never set (`ACAB` in JSON).
const ETAG_UNSET: &[u8] = &[0, 32, 1];

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
        Ok(policy.unwrap_or_else(|| pb::Policy { etag: ETAG_UNSET.to_vec(), ..pb::Policy::default() }))
    }
}

/// Replaces the policy, unless it changed since the etag that the request bears.
impl Command for pb::SetIamPolicyRequest {
    type Reply = pb::Policy;

    fn apply(self, state: &mut State, at: Moment, _out: &mut Effects) -> Result<pb::Policy, Refusal> {
        let pubsub = &mut state.pubsub;
        pubsub.require(&self.resource)?;
        let mut policy = self.policy.ok_or_else(|| Refusal::invalid("The policy must be set."))?;
        let present = pubsub.policies.get(&self.resource).map_or(ETAG_UNSET, |policy| &policy.etag);
        if !policy.etag.is_empty() && policy.etag != present {
            return Err(Refusal::new(
                Code::Aborted,
                "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.",
            ));
        }
        policy.etag = pubsub.serial.next(at.now).to_be_bytes().to_vec();
        policy.version = policy.version.max(1);
        pubsub.policies.insert(self.resource, policy.clone());
        Ok(policy)
    }
}

impl Command for pb::TestIamPermissionsRequest {
    type Reply = pb::TestIamPermissionsResponse;

    fn apply(self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<pb::TestIamPermissionsResponse, Refusal> {
        state.pubsub.require(&self.resource)?;
        Ok(pb::TestIamPermissionsResponse { permissions: self.permissions })
    }
}
