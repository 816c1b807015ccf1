//! A dead letter becomes the message it was: payload and key as they are, attributes save those that tell of its way.

use std::collections::BTreeMap;

use super::cargo::{Cargo, Identity};
use super::engine::{Settings, Target};
use super::{Delivery, Kind, Source, TransferId};
use crate::model::message::{DEAD_LETTER_PREFIX, Draft, Message, REDRIVE_SOURCE, REDRIVE_TO, RESERVED_PREFIX};
use crate::model::task::Task;

/// Which transfer published it last.
pub(super) const TRANSFER: &str = "redrive-transfer";
/// How often it was redriven, this time included.
pub(super) const GENERATION: &str = "redrive-generation";
/// The subscription and message id of the dead letter: every copy of one dead letter carries the same, so that receivers can tell them.
pub(super) const SOURCE: &str = REDRIVE_SOURCE;
/// When it was published at the very first.
pub(super) const PUBLISH_TIME: &str = "redrive-publish-time";
/// The subscription that alone is to process it, by its id.
pub(super) const TO: &str = REDRIVE_TO;
/// A task's header: which transfer created it.
pub(super) const TRANSFER_HEADER: &str = "X-Redrive-Transfer";
/// A task's header: how often it was redriven, this time included.
pub(super) const GENERATION_HEADER: &str = "X-Redrive-Generation";
/// Up to so many bytes a message gets attributes of ours: Google takes 10 MB, with what the request costs beside.
const MESSAGE_BYTES_MAX: usize = 10_000_000 - 1024;
/// A message bears at most so many attributes (Google's limit).
const ATTRIBUTES_MAX: usize = 100;
/// So many attributes of ours a message bears at most.
const MARKS_MAX: usize = 5;
/// Attributes have fewer bytes than this, ours included: a key 256 at most and a value 1,024 (Google's limits).
const ATTRIBUTES_BYTES_MAX: usize = 256 * 1024;
/// A message that came back this often is in a loop: it is not redriven again.
pub(super) const GENERATION_MAX: u32 = 20;

/// Tells how often a message was redriven.
pub(super) fn generation(message: &Message) -> u32 {
    message.attributes.get(GENERATION).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Tells how often a task was redriven.
pub(super) fn task_generation(task: &Task) -> u32 {
    header(task, GENERATION_HEADER).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Finds a header of a task's request.
pub(super) fn header<'a>(task: &'a Task, name: &str) -> Option<&'a str> {
    task.request.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// Makes what is delivered of what was taken.
pub(super) fn prepare(cargo: &Cargo, identity: &Identity, to: &Target, settings: &Settings) -> Cargo {
    let Cargo::Message(message) = cargo else { return cargo.clone() };
    let attributes = match settings.kind {
        Kind::Undo => undone(message, identity, &settings.source),
        // As it is: who is asked to try it out strips it, knowing whose it was.
        Kind::Replay => message.attributes.clone(),
        _ => redriven(message, to, &settings.marks),
    };
    match to {
        Target::Endpoint(_) => Cargo::Message(as_pushed(message, attributes)),
        _ => Cargo::Message(with(message, attributes)),
    }
}

/// The same message with other attributes, of which there may be a hundred: the old ones are not copied.
fn with(message: &Message, attributes: BTreeMap<String, String>) -> Message {
    let Message { id, data, attributes: _, ordering_key, publish_time, delivery_attempt } = message;
    let (id, data, ordering_key) = (id.clone(), data.clone(), ordering_key.clone());
    Message { id, data, attributes, ordering_key, publish_time: *publish_time, delivery_attempt: *delivery_attempt }
}

/// As the subscription that gave it up would push it once more: counted on, and with the time at which it was first published.
fn as_pushed(message: &Message, attributes: BTreeMap<String, String>) -> Message {
    let from = message.provenance();
    let attempts = from.as_ref().and_then(|from| from.delivery_count);
    Message {
        delivery_attempt: attempts.map(|count| count.saturating_add(1)),
        publish_time: from.and_then(|from| from.publish_time).or(message.publish_time),
        ..with(message, attributes)
    }
}

/// Makes the message that a handler is to try out: as it would be pushed, without a mark of ours.
pub(super) fn tried_out(message: &Message) -> Message {
    as_pushed(message, replayed(message))
}

/// Returns the message to publish.
pub(super) fn drafted(cargo: Cargo) -> Option<Draft> {
    let Cargo::Message(Message { data, attributes, ordering_key, .. }) = cargo else { return None };
    Some(Draft { data, attributes, ordering_key })
}

/// Tells whether a message can say for whom alone it is meant.
pub(super) fn has_room_for_address(cargo: &Cargo, delivery: &Delivery) -> bool {
    match cargo {
        Cargo::Message(message) if *delivery == Delivery::Addressed => replayed(message).len() < ATTRIBUTES_MAX,
        _ => true,
    }
}

/// Tells whether all marks of a transfer fit; most messages are far from their limits, and only the others are looked at closely.
pub(super) fn has_room_for_marks(cargo: &Cargo, to: &Target, marks: &Marks) -> bool {
    let Cargo::Message(message) = cargo else { return true };
    let few = message.attributes.len() + MARKS_MAX <= ATTRIBUTES_MAX;
    let small = message.data.len() + message.ordering_key.len() + ATTRIBUTES_BYTES_MAX <= MESSAGE_BYTES_MAX;
    (few && small) || redriven(message, to, marks).contains_key(GENERATION)
}

/// As it was before it was given up, without a mark of ours.
fn replayed(message: &Message) -> BTreeMap<String, String> {
    let is_own = |key: &str| !key.starts_with(DEAD_LETTER_PREFIX) && !key.starts_with(RESERVED_PREFIX) && key != TO;
    message.attributes.iter().filter(|(key, _)| is_own(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// As it was when it was discarded; where there is room, copies say that they are copies.
fn undone(message: &Message, identity: &Identity, source: &Source) -> BTreeMap<String, String> {
    let mut attributes = message.attributes.clone();
    attributes.retain(|key, _| !key.starts_with(RESERVED_PREFIX));
    if attributes.len() < ATTRIBUTES_MAX {
        attributes.entry(SOURCE.to_owned()).or_insert_with(|| format!("{source}/messages/{}", identity.id()));
    }
    attributes
}

/// What every message of a transfer bears, in words made once.
#[derive(Debug, Clone)]
pub(super) struct Marks {
    source: String,
    transfer: String,
}

impl Marks {
    pub(super) fn of(source: &Source, transfer: &TransferId) -> Self {
        Self { source: source.to_string(), transfer: transfer.to_string() }
    }
}

/// What does not fit under the limits of attributes and bytes is left out, the least needed first; for whom alone it is meant must fit.
pub(super) fn redriven(message: &Message, to: &Target, marks: &Marks) -> BTreeMap<String, String> {
    let mut attributes = replayed(message);
    let first_published = || {
        let source = message.first_published().or(message.publish_time);
        source.map(|time| time.to_string())
    };
    let first_published = attributes.get(PUBLISH_TIME).cloned().or_else(first_published);
    let addressee = match to {
        Target::Addressed(_, subscription) => Some(subscription.id().to_owned()),
        _ => None,
    };
    let added = [
        (TO, addressee),
        (GENERATION, Some(generation(message).saturating_add(1).to_string())),
        (TRANSFER, Some(marks.transfer.clone())),
        (SOURCE, Some([marks.source.as_str(), "/messages/", &message.id].concat())),
        (PUBLISH_TIME, first_published),
    ];
    let mut bytes = message.data.len() + message.ordering_key.len();
    bytes += attributes.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
    for (key, value) in added {
        let Some(value) = value else { continue };
        if let Some(old) = attributes.get_mut(key) {
            bytes = bytes - old.len() + value.len();
            *old = value;
            continue;
        }
        let more = key.len() + value.len();
        if (bytes + more <= MESSAGE_BYTES_MAX || key == TO) && attributes.len() < ATTRIBUTES_MAX {
            bytes += more;
            attributes.insert(key.to_owned(), value);
        }
    }
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(attributes: impl IntoIterator<Item = (String, String)>) -> (BTreeMap<String, String>, Draft) {
        let attributes: BTreeMap<_, _> = attributes.into_iter().collect();
        let message = Message {
            id: "77".into(),
            data: vec![0, 255, b'\n'].into(),
            attributes: attributes.clone(),
            ordering_key: "k\u{0}".into(),
            publish_time: Some("2026-11-21T06:00:00Z".parse().unwrap()),
            delivery_attempt: None,
        };
        let source = "projects/shop/subscriptions/held".parse().unwrap();
        let to = Target::Topic("projects/shop/topics/orders".parse().unwrap());
        let attributes_made = redriven(&message, &to, &Marks::of(&source, &TransferId("t1".into())));
        (attributes, drafted(Cargo::Message(Message { attributes: attributes_made, ..message })).unwrap())
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn takes_off_the_dead_letter_and_says_where_it_was() {
        let (_, draft) = made(pairs(&[
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
        let (_, draft) = made(pairs(&[("redrive-generation", "2"), ("redrive-publish-time", "2026-01-01T00:00:00Z")]));
        assert_eq!(draft.attributes["redrive-generation"], "3");
        assert_eq!(draft.attributes["redrive-publish-time"], "2026-01-01T00:00:00Z");
        let (_, draft) = made(pairs(&[("redrive-generation", "many")]));
        assert_eq!(draft.attributes["redrive-generation"], "1");
    }

    #[test]
    fn never_goes_over_the_limit_nor_drops_what_is_the_users() {
        for count in 96..=100 {
            let (before, draft) = made((0..count).map(|n| (format!("a{n}"), n.to_string())));
            assert!(draft.attributes.len() <= 100, "{count}");
            assert!(before.iter().all(|(key, value)| draft.attributes.get(key) == Some(value)), "{count}");
            assert_eq!(draft.attributes.contains_key(GENERATION), count < 100);
        }
    }

    #[test]
    fn what_is_addressed_says_so_and_what_is_not_forgets_it() {
        let message = |count: usize| {
            let attributes: BTreeMap<_, _> =
                (0..count).map(|n| (format!("a{n}"), String::new())).chain([(TO.to_owned(), "other".to_owned())]).collect();
            Message { id: "1".into(), data: "".into(), attributes, ordering_key: String::new(), publish_time: None, delivery_attempt: None }
        };
        let topic = "projects/shop/topics/orders".parse::<crate::names::TopicName>().unwrap();
        let source: Source = "projects/shop/subscriptions/held".parse().unwrap();
        let made = |to: &Target, count| {
            let message = message(count);
            redriven(&message, to, &Marks::of(&source, &TransferId("t1".into())))
        };
        let addressed = Target::Addressed(topic.clone(), "projects/shop/subscriptions/billing".parse().unwrap());
        assert_eq!(made(&addressed, 99)[TO], "billing");
        assert_eq!(made(&Target::Topic(topic), 3).get(TO), None);
        assert!(has_room_for_address(&Cargo::Message(message(99)), &Delivery::Addressed));
        assert!(!has_room_for_address(&Cargo::Message(message(100)), &Delivery::Addressed));
    }

    #[test]
    fn what_is_undone_is_as_it_was() {
        let (before, _) = made(pairs(&[("kind", "order"), ("CloudPubSubDeadLetterSourceSubscription", "billing")]));
        let message = Message {
            id: "77".into(),
            data: "".into(),
            attributes: before.clone(),
            ordering_key: String::new(),
            publish_time: None,
            delivery_attempt: None,
        };
        let identity = Identity::of(&Cargo::Message(message.clone()));
        let mut after = undone(&message, &identity, &"transfer:t1".parse().unwrap());
        assert_eq!(after.remove(SOURCE).as_deref(), Some("transfer:t1/messages/77"));
        assert_eq!(after, before);
    }
}
