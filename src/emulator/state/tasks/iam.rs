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

/// What may be asked of a queue; the other permissions of the service are of its location.
const PERMISSIONS: [&str; 14] = [
    "cloudtasks.queues.delete",
    "cloudtasks.queues.get",
    "cloudtasks.queues.getIamPolicy",
    "cloudtasks.queues.pause",
    "cloudtasks.queues.purge",
    "cloudtasks.queues.resume",
    "cloudtasks.queues.setIamPolicy",
    "cloudtasks.queues.update",
    "cloudtasks.tasks.create",
    "cloudtasks.tasks.delete",
    "cloudtasks.tasks.fullView",
    "cloudtasks.tasks.get",
    "cloudtasks.tasks.list",
    "cloudtasks.tasks.run",
];

/// Checks permissions that are asked about; those that are none of a queue's are refused.
pub(crate) fn check_permissions(permissions: &[String]) -> Result<(), Refusal> {
    let is_whole = |permission: &&String| {
        let parts: Vec<&str> = permission.split('.').collect();
        parts.len() > 2 && parts.iter().all(|part| !part.is_empty() && !part.contains('*'))
    };
    if permissions.is_empty() {
        return Err(Refusal::invalid("At least one permission must be specified."));
    }
    if let Some(permission) = permissions.iter().find(|permission| !is_whole(permission)) {
        return Err(Refusal::invalid(format!("The permission {permission} is invalid.")));
    }
    match permissions.iter().find(|permission| !PERMISSIONS.contains(&permission.as_str())) {
        Some(permission) => Err(Refusal::invalid(format!("Permission {permission} is not valid for this resource."))),
        None => Ok(()),
    }
}

impl super::Queue {
    pub(crate) fn policy(&self) -> pb::Policy {
        self.policy.clone().unwrap_or_else(iam::unset)
    }
}

impl Command for SetQueuePolicy {
    type Reply = pb::Policy;

    fn apply(self, state: &mut State, at: Moment, _out: &mut Effects) -> Result<pb::Policy, Refusal> {
        let queue = state.tasks.queues.get_mut(self.queue.to_string().as_str()).ok_or_else(no_queue)?;
        if self.policy.bindings.iter().any(|binding| binding.condition.is_some()) {
            return Err(Refusal::invalid("Can't set conditional policy on this resource"));
        }
        let mask = Some(FieldMask { paths: self.paths }).filter(|mask| !mask.paths.is_empty());
        let policy = iam::replaced(queue.policy.as_ref(), Some(self.policy), mask, at.seed)?;
        queue.policy = Some(policy.clone());
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::pb::google::r#type::Expr;
    use crate::emulator::state::tasks::{CreateQueue, QueueDraft};

    #[test]
    fn only_permissions_of_a_queue_are_told() {
        const ROWS: [(&[&str], &str); 7] = [
            (&[], "At least one permission must be specified."),
            (&["foo"], "The permission foo is invalid."),
            (&["cloudtasks.queues."], "The permission cloudtasks.queues. is invalid."),
            (&["cloudtasks.*"], "The permission cloudtasks.* is invalid."),
            (&["storage.objects.get"], "Permission storage.objects.get is not valid for this resource."),
            (&["cloudtasks.queues.create"], "Permission cloudtasks.queues.create is not valid for this resource."),
            (&["cloudtasks.queues.get", "storage.objects.get"], "Permission storage.objects.get is not valid for this resource."),
        ];
        let check = |permissions: &[&str]| {
            let permissions: Vec<String> = permissions.iter().map(ToString::to_string).collect();
            check_permissions(&permissions).map_err(|refusal| refusal.message)
        };
        for (permissions, expected) in ROWS {
            assert_eq!(check(permissions).unwrap_err(), expected);
        }
        check(&["cloudtasks.queues.get", "cloudtasks.queues.setIamPolicy", "cloudtasks.tasks.run", "cloudtasks.tasks.run"]).unwrap();
    }

    #[test]
    fn a_queues_policy_has_no_conditions() {
        let queue: QueueName = "projects/p/locations/l/queues/q".parse().unwrap();
        let (mut state, at) = (State::default(), Moment { now: jiff::Timestamp::UNIX_EPOCH, seed: 1 });
        let out = &mut Effects::default();
        CreateQueue { name: queue.clone(), draft: QueueDraft::default() }.apply(&mut state, at, out).unwrap();
        let mut set = |condition: Option<Expr>| {
            let binding = pb::Binding { role: "roles/cloudtasks.viewer".into(), members: vec!["allUsers".into()], condition };
            let policy = pb::Policy { bindings: vec![binding], ..pb::Policy::default() };
            SetQueuePolicy { queue: queue.clone(), policy, paths: Vec::new() }.apply(&mut state, at, out).map_err(|refusal| refusal.message)
        };
        assert_eq!(set(Some(Expr::default())).unwrap_err(), "Can't set conditional policy on this resource");
        set(None).unwrap();
    }
}
