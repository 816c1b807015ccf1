//! Parts of settings that an update mask names, such as `push_config.oidc_token.audience`.

use prost_reflect::{DynamicMessage, ReflectMessage as _};

use crate::emulator::pb::POOL;

/// Copies one field inside the messages that `to` is made of from `from`, or empties it where that has none; tells whether there is such a field. `name` is the
/// message's full one.
pub(super) fn copy<M: prost::Message + Default>(to: &mut M, from: &M, name: &str, path: &str) -> bool {
    let Some(desc) = POOL.get_message_by_name(name) else { return false };
    let (mut old, mut new) = (DynamicMessage::new(desc.clone()), DynamicMessage::new(desc));
    if old.transcode_from(to).is_err() || new.transcode_from(from).is_err() || !copy_within(&mut old, Some(&new), path) {
        return false;
    }
    old.transcode_to().map(|copied| *to = copied).is_ok()
}

fn copy_within(to: &mut DynamicMessage, from: Option<&DynamicMessage>, path: &str) -> bool {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let Some(field) = to.descriptor().get_field_by_name(first) else { return false };
    let value = from.filter(|from| from.has_field(&field)).map(|from| from.get_field(&field).into_owned());
    let Some(rest) = rest else {
        match value {
            Some(value) => to.set_field(&field, value),
            None => to.clear_field(&field),
        }
        return true;
    };
    let is_message = !field.is_list() && !field.is_map() && field.kind().as_message().is_some();
    let below = if is_message { to.get_field_mut(&field).as_message_mut() } else { None };
    below.is_some_and(|below| copy_within(below, value.as_ref().and_then(|value| value.as_message()), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::pb::google::pubsub::v1 as pb;

    const NAME: &str = "google.pubsub.v1.Subscription";

    fn pushing(endpoint: &str, audience: &str) -> pb::Subscription {
        let token = pb::push_config::OidcToken { service_account_email: format!("{endpoint}@p"), audience: audience.into() };
        let push_config = pb::PushConfig {
            push_endpoint: endpoint.into(),
            authentication_method: Some(pb::push_config::AuthenticationMethod::OidcToken(token)),
            ..Default::default()
        };
        pb::Subscription { push_config: Some(push_config), ..Default::default() }
    }

    #[test]
    fn one_field_changes_however_deep_it_is() {
        let (mut old, new) = (pushing("old", "before"), pushing("new", "after"));
        assert!(copy(&mut old, &new, NAME, "push_config.oidc_token.audience"));
        let mut wanted = pushing("old", "after");
        assert_eq!(old, wanted);
        assert!(copy(&mut old, &pb::Subscription::default(), NAME, "push_config.oidc_token"));
        wanted.push_config.as_mut().unwrap().authentication_method = None;
        assert_eq!(old, wanted);
        assert!(copy(&mut old, &new, NAME, "dead_letter_policy.max_delivery_attempts"));
        assert_eq!(old.dead_letter_policy, Some(pb::DeadLetterPolicy::default()));
    }

    #[test]
    fn what_is_no_field_changes_nothing() {
        let mut old = pushing("old", "before");
        for path in [
            "push_config.nothing",
            "push_config.attributes.key",
            "labels.key",
            "name.length",
            "push_config.",
            ".",
            "dead_letter_policy.a.b",
        ] {
            assert!(!copy(&mut old, &pushing("new", "after"), NAME, path), "{path}");
        }
        assert_eq!(old, pushing("old", "before"));
    }
}
