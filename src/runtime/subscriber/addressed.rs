//! The filter that keeps away what was redriven to another subscription alone, and the same rule for a message that has come all the same.

use crate::error::{Error, Result};
use crate::model::filter::{FILTER_BYTES_MAX, Filter};
use crate::model::message::REDRIVE_TO;
use crate::runtime::MessageInfo;

/// Joins a filter (empty is none) with the one for addressed messages.
pub(super) fn combined(filter: &str, subscription: &str) -> Result<String> {
    let own = format!("NOT attributes:{REDRIVE_TO} OR attributes.{REDRIVE_TO} = \"{subscription}\"");
    let whole = if filter.trim().is_empty() { own } else { format!("({}) AND ({own})", filter.trim()) };
    if whole.len() > FILTER_BYTES_MAX {
        let words = format!(
            "with what keeps addressed messages away, the filter of `{subscription}` has {} bytes, and Pub/Sub takes {FILTER_BYTES_MAX}",
            whole.len()
        );
        return Err(Error::invalid(words)
            .with_hint("shorten the filter or the name, or leave `.addressed()` out: the runtime skips such messages in any case"));
    }
    whole.parse::<Filter>().map_err(|error| error.context(format!("the filter of `{subscription}`")))?;
    Ok(whole)
}

/// Tells whether a message is for another subscription than that which delivered it (or, where that is not said, than `own`).
pub(super) fn is_for_another(info: &MessageInfo, own: &str) -> bool {
    let delivered_by = info.subscription.as_ref().map_or(own, crate::names::SubscriptionName::id);
    info.attributes.get(REDRIVE_TO).is_some_and(|to| to != delivered_by)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn attributes(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_filter_is_the_contracts() {
        assert_eq!(combined("", "shop--Billing").unwrap(), r#"NOT attributes:redrive-to OR attributes.redrive-to = "shop--Billing""#);
        let whole: Filter = combined(r#"attributes.kind = "order""#, "shop--Billing").unwrap().parse().unwrap();
        assert!(whole.matches(&attributes(&[("kind", "order")])));
        assert!(whole.matches(&attributes(&[("kind", "order"), ("redrive-to", "shop--Billing")])));
        assert!(!whole.matches(&attributes(&[("kind", "order"), ("redrive-to", "shop--Mail")])));
        assert!(!whole.matches(&attributes(&[("redrive-to", "shop--Billing")])), "its own filter holds too");
    }

    #[test]
    fn what_is_too_long_is_refused_and_says_the_way_out() {
        let error = combined(&format!(r#"attributes.kind = "{}""#, "x".repeat(180)), "shop--Billing").unwrap_err();
        assert!(error.is_invalid_input() && error.hint().unwrap().contains("addressed"));
    }

    #[test]
    fn a_message_knows_who_it_is_for() {
        let info = |to: Option<&str>, by: Option<&str>| MessageInfo {
            attributes: to.map(|to| attributes(&[("redrive-to", to)])).unwrap_or_default(),
            subscription: by.map(|by| format!("projects/p/subscriptions/{by}").parse().unwrap()),
            ..MessageInfo::default()
        };
        assert!(!is_for_another(&info(None, Some("mail")), "bill"));
        assert!(is_for_another(&info(Some("mail"), None), "bill"));
        assert!(!is_for_another(&info(Some("bill"), None), "bill"));
        assert!(!is_for_another(&info(Some("mail"), Some("mail")), "bill"), "the one that delivers is the one that counts");
    }
}
