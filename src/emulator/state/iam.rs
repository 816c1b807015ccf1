//! IAM policies as all services keep them: what a request makes of one, and what it may not hold.

use prost_types::FieldMask;

use super::{Code, Refusal};
use crate::emulator::pb::google::iam::v1::{Binding, Policy};

/// The etag that Google gives a policy that was never set (`ACAB` in JSON).
const ETAG_UNSET: &[u8] = &[0, 32, 1];
/// What a role begins with: one of Google's, or one that was made in a project or an organization.
const ROLES: [&str; 3] = ["roles/", "projects/", "organizations/"];
/// What a member begins with (<https://cloud.google.com/iam/docs/principal-identifiers>).
const MEMBERS: [&str; 10] = [
    "user:",
    "serviceAccount:",
    "group:",
    "domain:",
    "projectOwner:",
    "projectEditor:",
    "projectViewer:",
    "deleted:",
    "principal:",
    "principalSet:",
];

/// The policy of what never got one.
pub(super) fn unset() -> Policy {
    Policy { etag: ETAG_UNSET.to_vec(), ..Policy::default() }
}

/// Returns the policy that a request makes of `present`: with `new`'s fields as far as the mask names them (`bindings` unless it says otherwise), and another etag.
///
/// Refused where the policy changed since the etag that `new` bears, if it bears one.
pub(super) fn replaced(present: Option<&Policy>, new: Option<Policy>, mask: Option<FieldMask>, etag: u64) -> Result<Policy, Refusal> {
    let new = new.ok_or_else(|| Refusal::invalid("The policy must be set."))?;
    let mut policy = present.cloned().unwrap_or_else(unset);
    if !new.etag.is_empty() && new.etag != policy.etag {
        let text = "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.";
        return Err(Refusal::new(Code::Aborted, text));
    }
    let paths = mask.map(|mask| mask.paths).filter(|paths| !paths.is_empty()).unwrap_or_else(|| vec!["bindings".to_owned()]);
    for path in paths {
        match path.as_str() {
            "bindings" => {
                new.bindings.iter().try_for_each(check)?;
                policy.bindings.clone_from(&new.bindings);
                policy.version = new.version;
            }
            "audit_configs" => policy.audit_configs.clone_from(&new.audit_configs),
            "version" => policy.version = new.version,
            // It is given anew in any case.
            "etag" => {}
            _ => return Err(Refusal::invalid(format!("Invalid update_mask given: '{path}' is not a field of a policy."))),
        }
    }
    policy.etag = etag.to_be_bytes().to_vec();
    policy.version = policy.version.max(1);
    Ok(policy)
}

fn check(binding: &Binding) -> Result<(), Refusal> {
    if !ROLES.iter().any(|prefix| binding.role.starts_with(prefix)) {
        return Err(Refusal::invalid(format!("Role {} is not supported for this resource.", binding.role)));
    }
    let is_known = |member: &String| {
        matches!(member.as_str(), "allUsers" | "allAuthenticatedUsers")
            || MEMBERS.iter().any(|prefix| member.strip_prefix(prefix).is_some_and(|who| !who.is_empty()))
    };
    match binding.members.iter().find(|member| !is_known(member)) {
        Some(member) => {
            Err(Refusal::invalid(format!("The member {member} is of an unknown type. Please set a valid type prefix for the member.")))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(role: &str, member: &str) -> Policy {
        let binding = Binding { role: role.into(), members: vec![member.into()], condition: None };
        Policy { bindings: vec![binding], ..Policy::default() }
    }

    #[test]
    fn only_what_the_mask_names_changes() {
        let old = replaced(None, Some(policy("roles/owner", "user:a@b.c")), None, 1).unwrap();
        let mask = |path: &str| Some(FieldMask { paths: vec![path.to_owned()] });
        let kept = replaced(Some(&old), Some(Policy::default()), mask("etag"), 2).unwrap();
        assert_eq!((&kept.bindings, kept.etag), (&old.bindings, 2_u64.to_be_bytes().to_vec()));
        let emptied = replaced(Some(&old), Some(Policy::default()), None, 3).unwrap();
        assert_eq!((emptied.bindings, emptied.version), (Vec::new(), 1));
        let refused = replaced(Some(&old), Some(Policy::default()), mask("members"), 4).unwrap_err();
        assert_eq!((refused.code, refused.message.contains("'members'")), (Code::InvalidArgument, true));
    }

    #[test]
    fn roles_and_members_have_their_forms() {
        for member in ["allUsers", "serviceAccount:s@p.iam.gserviceaccount.com", "principalSet://iam.googleapis.com/x"] {
            replaced(None, Some(policy("projects/shop/roles/mine", member)), None, 1).unwrap();
        }
        for (role, member, says) in [
            ("owner", "allUsers", "Role owner is not supported"),
            ("roles/owner", "a@b.c", "The member a@b.c is of an unknown type"),
            ("roles/owner", "user:", "The member user: is of an unknown type"),
        ] {
            let refused = replaced(None, Some(policy(role, member)), None, 1).unwrap_err();
            assert!(refused.code == Code::InvalidArgument && refused.message.contains(says), "{}", refused.message);
        }
    }

    #[test]
    fn a_policy_that_changed_meanwhile_is_not_replaced() {
        let old = replaced(None, Some(Policy { etag: ETAG_UNSET.to_vec(), ..Policy::default() }), None, 1).unwrap();
        let refused = replaced(Some(&old), Some(unset()), None, 2).unwrap_err();
        assert_eq!(refused.code, Code::Aborted);
        replaced(Some(&old), Some(old.clone()), None, 2).unwrap();
    }
}
