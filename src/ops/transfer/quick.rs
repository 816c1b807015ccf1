//! The two records of which nearly all of a long journal consists, read without the detour over a general parser: intents and publishes of messages
//! whose ids are numbers. Anything that looks different in the least is left to that parser.

use super::cargo::Identity;

/// How an intent begins; its destination follows.
const INTENT: &[u8] = br#"{"intent":{"to":""#;
/// What comes between the destination and the ids.
const INTENT_IDS: &[u8] = br#"","ids":["#;
/// How a publish begins; its ids follow.
const PUBLISHED: &[u8] = br#"{"published":{"ids":["#;
/// What comes between the ids and the new ids, of which nothing is concluded.
const PUBLISHED_NEW: &[u8] = br#","new":["#;
/// How each of them ends.
const END: &[u8] = b"]}}";

/// What a record tells.
#[derive(Debug, PartialEq)]
pub(super) enum Told {
    Intent(Vec<Identity>),
    Published(Vec<Identity>),
}

/// Reads a record if it is one of the two, and written as we write them.
pub(super) fn told(record: &[u8]) -> Option<Told> {
    let rest = record.strip_suffix(END)?;
    if let Some(rest) = rest.strip_prefix(INTENT) {
        let end = rest.iter().position(|byte| !matches!(byte, b' ' | b'!' | b'#'..=b'[' | b']'..=b'~'))?;
        let (ids, rest) = ids(rest[end..].strip_prefix(INTENT_IDS)?)?;
        return rest.is_empty().then_some(Told::Intent(ids));
    }
    let (ids, rest) = ids(rest.strip_prefix(PUBLISHED)?)?;
    let new = rest.strip_prefix(b"]")?.strip_prefix(PUBLISHED_NEW)?;
    let plain = new.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'"' | b','));
    (plain && are_strings(new)).then_some(Told::Published(ids))
}

/// Reads identities of two numbers each, as far as they go.
fn ids(mut rest: &[u8]) -> Option<(Vec<Identity>, &[u8])> {
    let mut ids = Vec::with_capacity(1);
    while let Some(text) = rest.strip_prefix(b"\"") {
        let end = text.iter().position(|byte| *byte == b'"')?;
        ids.push(Identity::of_numbers(&text[..end])?);
        rest = &text[end + 1..];
        match rest.strip_prefix(b",") {
            Some(more) if more.starts_with(b"\"") => rest = more,
            _ => break,
        }
    }
    Some((ids, rest))
}

/// Tells whether a list of digits, quotes and commas is one of strings.
fn are_strings(list: &[u8]) -> bool {
    list.is_empty()
        || list.split(|byte| *byte == b',').all(|one| {
            let inner = one.strip_prefix(b"\"").and_then(|one| one.strip_suffix(b"\""));
            inner.is_some_and(|inner| !inner.contains(&b'"'))
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::record::Record;
    use super::*;
    use crate::model::campaign;

    fn slow(record: &[u8]) -> Option<Told> {
        match Record::decode(record).ok()? {
            Record::Intent { ids, .. } => Some(Told::Intent(ids)),
            Record::Published { ids, .. } => Some(Told::Published(ids)),
            _ => None,
        }
    }

    fn identity() -> impl Strategy<Value = Identity> {
        prop_oneof![
            (any::<u64>(), any::<u64>()).prop_map(|(id, micros)| format!("{id}@{micros}").into()),
            "[a-z0-9@\"\\\\/ü]{0,12}".prop_map(Identity::from),
        ]
    }

    #[test]
    fn what_we_write_is_read_quickly() {
        let ids: Vec<Identity> = (0..3).map(|n| format!("1764000{n}@1764000000000000").into()).collect();
        let intent = Record::Intent { to: "projects/shop/topics/orders".into(), ids: ids.clone() }.encode().unwrap();
        assert_eq!(told(&intent), Some(Told::Intent(ids.clone())));
        let published = Record::Published { ids: ids.clone(), new: vec!["1".into(), "22".into()] }.encode().unwrap();
        assert_eq!(told(&published), Some(Told::Published(ids)));
        assert_eq!(told(br#"{"published":{"ids":["1@2"],"new":["1",2]}}"#), None);
        assert_eq!(told(br#"{"published":{"ids":["1@2",],"new":["1"]}}"#), None);
    }

    #[test]
    fn nothing_is_read_that_the_general_parser_reads_otherwise() {
        let records = (
            prop::collection::vec(identity(), 0..4),
            "[a-zü /\"\\\\,\\]]{0,12}",
            prop::collection::vec("[0-9\"\\\\,]{0,4}", 0..3),
            any::<Option<(u8, u8)>>(),
        );
        campaign::explore(2000, &records, |(ids, text, new, flip)| {
            for record in [Record::Intent { to: text, ids: ids.clone() }, Record::Published { ids, new }] {
                let mut bytes = record.encode().unwrap();
                if let Some((at, byte)) = flip {
                    let at = usize::from(at) % bytes.len();
                    bytes[at] = byte;
                }
                if let Some(quick) = told(&bytes) {
                    assert_eq!(Some(quick), slow(&bytes), "{}", String::from_utf8_lossy(&bytes));
                }
            }
        });
    }
}
