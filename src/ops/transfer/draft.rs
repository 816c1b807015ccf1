//! A dead letter becomes the message it was: payload and key as they are, attributes save those that tell of its way.

use super::TransferId;
use super::record::Identity;
use crate::model::message::{DEAD_LETTER_PREFIX, Draft, Message, RESERVED_PREFIX};
use crate::names::SubscriptionName;

/// Which transfer published it last.
pub(super) const TRANSFER: &str = "redrive-transfer";
/// How often it was redriven, this time included.
pub(super) const GENERATION: &str = "redrive-generation";
/// The subscription and message id of the dead letter: every copy of one dead letter carries the same, so that receivers can tell them.
pub(super) const SOURCE: &str = "redrive-source";
/// When it was published at the very first.
pub(super) const PUBLISH_TIME: &str = "redrive-publish-time";
/// A message bears at most so many attributes (Google's limit).
const ATTRIBUTES_MAX: usize = 100;
/// A message that came back this often is in a loop: it is not redriven again.
pub(super) const GENERATION_MAX: u32 = 20;

/// Tells how often a message was redriven.
pub(super) fn generation(message: &Message) -> u32 {
    message.attributes.get(GENERATION).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Makes the message to publish. What does not fit under the limit of attributes is left out, the least needed first.
pub(super) fn draft(message: &Message, identity: &Identity, subscription: &SubscriptionName, transfer: &TransferId) -> Draft {
    let mut attributes = message.attributes.clone();
    attributes.retain(|key, _| !key.starts_with(DEAD_LETTER_PREFIX) && !key.starts_with(RESERVED_PREFIX));
    let first_published = || {
        let source = message.provenance().and_then(|from| from.publish_time).or(message.publish_time);
        source.map(|time| time.to_string())
    };
    let first_published = attributes.get(PUBLISH_TIME).cloned().or_else(first_published);
    let added = [
        (GENERATION, Some(generation(message).saturating_add(1).to_string())),
        (TRANSFER, Some(transfer.to_string())),
        (SOURCE, Some(format!("{subscription}/messages/{}", identity.id()))),
        (PUBLISH_TIME, first_published),
    ];
    for (key, value) in added {
        if let Some(value) = value
            && (attributes.len() < ATTRIBUTES_MAX || attributes.contains_key(key))
        {
            attributes.insert(key.to_owned(), value);
        }
    }
    Draft { data: message.data.clone(), attributes, ordering_key: message.ordering_key.clone() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn redriven(attributes: impl IntoIterator<Item = (String, String)>) -> (BTreeMap<String, String>, Draft) {
        let attributes: BTreeMap<_, _> = attributes.into_iter().collect();
        let message = Message {
            id: "77".into(),
            data: vec![0, 255, b'\n'].into(),
            attributes: attributes.clone(),
            ordering_key: "k\u{0}".into(),
            publish_time: Some("2026-11-21T06:00:00Z".parse().unwrap()),
            delivery_attempt: None,
        };
        let subscription = "projects/shop/subscriptions/held".parse().unwrap();
        (attributes, draft(&message, &Identity::of(&message), &subscription, &TransferId("t1".into())))
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn takes_off_the_dead_letter_and_says_where_it_was() {
        let (_, draft) = redriven(pairs(&[
            ("kind", "order"),
            ("CloudPubSubDeadLetterSourceSubscription", "billing"),
            ("CloudPubSubDeadLetterSourceSubscriptionProject", "shop"),
            ("CloudPubSubDeadLetterSourceDeliveryCount", "5"),
            ("CloudPubSubDeadLetterSourceTopicPublishTime", "2026-11-20T01:02:03.004+00:00"),
        ]));
        assert_eq!((draft.data.as_ref(), draft.ordering_key.as_str()), (&[0, 255, b'\n'][..], "k\u{0}"));
        let expected = pairs(&[
            ("kind", "order"),
            ("redrive-generation", "1"),
            ("redrive-publish-time", "2026-11-20T01:02:03.004Z"),
            ("redrive-source", "projects/shop/subscriptions/held/messages/77"),
            ("redrive-transfer", "t1"),
        ]);
        assert_eq!(draft.attributes.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn counts_generations_and_keeps_the_first_time() {
        let (_, draft) = redriven(pairs(&[("redrive-generation", "2"), ("redrive-publish-time", "2026-01-01T00:00:00Z")]));
        assert_eq!(draft.attributes["redrive-generation"], "3");
        assert_eq!(draft.attributes["redrive-publish-time"], "2026-01-01T00:00:00Z");
        let (_, draft) = redriven(pairs(&[("redrive-generation", "many")]));
        assert_eq!(draft.attributes["redrive-generation"], "1");
    }

    #[test]
    fn never_goes_over_the_limit_nor_drops_what_is_the_users() {
        for count in 96..=100 {
            let (before, draft) = redriven((0..count).map(|n| (format!("a{n}"), n.to_string())));
            assert!(draft.attributes.len() <= 100, "{count}");
            assert!(before.iter().all(|(key, value)| draft.attributes.get(key) == Some(value)), "{count}");
            assert_eq!(draft.attributes.contains_key(GENERATION), count < 100);
        }
    }
}
