//! IAM policies of queues: stored and returned, and every permission granted.

use crate::emulator::pb::google::iam::v1 as pb;
use crate::emulator::state::{Code, Command, Effects, Moment, Refusal, State};
use crate::names::QueueName;

use super::no_queue;
use crate::emulator::state::saved::saved;

/// The etag that Google gives a policy that was never set (`ACAB` in JSON).
const ETAG_UNSET: &[u8] = &[0, 32, 1];

/// Replaces a queue's policy, unless it changed since the etag that the new one bears.
pub(crate) struct SetQueuePolicy {
    pub(crate) queue: QueueName,
    pub(crate) policy: pb::Policy,
}

saved!(struct SetQueuePolicy { queue, policy });

impl super::Queue {
    pub(crate) fn policy(&self) -> pb::Policy {
        self.policy.clone().unwrap_or_else(|| pb::Policy { etag: ETAG_UNSET.to_vec(), ..pb::Policy::default() })
    }
}

impl Command for SetQueuePolicy {
    type Reply = pb::Policy;

    fn apply(self, state: &mut State, at: Moment, _out: &mut Effects) -> Result<pb::Policy, Refusal> {
        let queue = state.tasks.queues.get_mut(self.queue.to_string().as_str()).ok_or_else(no_queue)?;
        let mut policy = self.policy;
        if !policy.etag.is_empty() && policy.etag != queue.policy().etag {
            let text = "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.";
            return Err(Refusal::new(Code::Aborted, text));
        }
        policy.etag = at.seed.to_be_bytes().to_vec();
        policy.version = policy.version.max(1);
        queue.policy = Some(policy.clone());
        Ok(policy)
    }
}
