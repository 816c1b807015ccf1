//! IAM policies of queues: stored and returned, and every permission granted.

use prost_types::FieldMask;

use crate::emulator::pb::google::iam::v1 as pb;
use crate::emulator::state::{Command, Effects, Moment, Refusal, State, iam};
use crate::names::QueueName;

use super::no_queue;
use crate::emulator::state::saved::saved;

/// Replaces a queue's policy, unless it changed since the etag that the new one bears.
pub(crate) struct SetQueuePolicy {
    pub(crate) queue: QueueName,
    pub(crate) policy: pb::Policy,
    /// The fields of it that count, if not those that count by default.
    pub(crate) paths: Vec<String>,
}

saved!(struct SetQueuePolicy { queue, policy; paths });

impl super::Queue {
    pub(crate) fn policy(&self) -> pb::Policy {
        self.policy.clone().unwrap_or_else(iam::unset)
    }
}

impl Command for SetQueuePolicy {
    type Reply = pb::Policy;

    fn apply(self, state: &mut State, at: Moment, _out: &mut Effects) -> Result<pb::Policy, Refusal> {
        let queue = state.tasks.queues.get_mut(self.queue.to_string().as_str()).ok_or_else(no_queue)?;
        let mask = Some(FieldMask { paths: self.paths }).filter(|mask| !mask.paths.is_empty());
        let policy = iam::replaced(queue.policy.as_ref(), Some(self.policy), mask, at.seed)?;
        queue.policy = Some(policy.clone());
        Ok(policy)
    }
}
