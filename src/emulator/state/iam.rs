//! IAM policies as all services keep them: what a request makes of one, and what it may not hold.

use prost_types::FieldMask;

use super::{Code, Refusal};
use crate::emulator::pb::google::iam::v1::{Binding, Policy};

/// The etag that Google gives a policy that was never set (`ACAB` in JSON).
const ETAG_UNSET: &[u8] = &[0, 32, 1];
/// The versions of policies that there are.
const VERSIONS: [i32; 3] = [0, 1, 3];
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
    if !VERSIONS.contains(&new.version) {
        let more = "For more information, please refer to https://cloud.google.com/iam/help/allow-policies/versions.";
        return Err(Refusal::invalid(format!("Specified policy version ({}) is not supported. {more}", new.version)));
    }
    let mut policy = present.cloned().unwrap_or_else(unset);
    if !new.etag.is_empty() && new.etag != policy.etag {
        let text = "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.";
        let (given, present) = (escaped(&new.etag), escaped(&policy.etag));
        let text = format!("{text} The request's ETag '{given}' did not match the current policy's ETag '{present}'.");
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
    if !is_role(&binding.role) {
        let text = "The role name must be in the form \"roles/{role}\", \"organizations/{organization_id}/roles/{role}\", \
                    or \"projects/{project_id}/roles/{role}\".";
        return Err(Refusal::invalid(text));
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

/// One of Google's roles, or one that was made in a project or an organization.
fn is_role(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    match parts[..] {
        ["roles", role] => !role.is_empty(),
        ["organizations" | "projects", owner, "roles", role] => !owner.is_empty() && !role.is_empty(),
        _ => false,
    }
}

/// Bytes as C writes them in a text: what is no printable ASCII in octal.
fn escaped(bytes: &[u8]) -> String {
    let one = |byte: u8| match byte {
        b'\n' => "\\n".to_owned(),
        b'\r' => "\\r".to_owned(),
        b'\t' => "\\t".to_owned(),
        b'\'' | b'"' | b'\\' => format!("\\{}", char::from(byte)),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\{byte:03o}"),
    };
    bytes.iter().copied().map(one).collect()
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
        let role = "The role name must be in the form \"roles/{role}\"";
        for (role, member, says) in [
            ("owner", "allUsers", role),
            ("roles/", "allUsers", role),
            ("projects/shop/mine", "allUsers", role),
            ("roles/owner", "nobody", "The member nobody is of an unknown type. Please set a valid type prefix for the member."),
            ("roles/owner", "robot:a@b.c", "The member robot:a@b.c is of an unknown type."),
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
        let text = "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff. \
                    The request's ETag '\\000 \\001' did not match the current policy's ETag '\\000\\000\\000\\000\\000\\000\\000\\001'.";
        assert_eq!((refused.code, refused.message.as_str()), (Code::Aborted, text));
        replaced(Some(&old), Some(old.clone()), None, 2).unwrap();
        replaced(Some(&old), Some(Policy::default()), None, 3).unwrap();
    }

    #[test]
    fn a_policy_is_of_a_version_that_there_is() {
        for version in [0, 1, 3] {
            replaced(None, Some(Policy { version, ..Policy::default() }), None, 1).unwrap();
        }
        let refused = replaced(None, Some(Policy { version: 4, ..Policy::default() }), None, 1).unwrap_err();
        assert!(refused.message.starts_with("Specified policy version (4) is not supported."), "{}", refused.message);
    }
}
