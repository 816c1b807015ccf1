//! Publishes one message, after a look at Pub/Sub's limits: what cannot be taken is refused here, in words, before 12 MB are sent.

use crate::error::{Error, Result};
use crate::model::message::Draft;
use crate::model::text;
use crate::names::TopicName;
use crate::ops::Ops;

/// Payload, attributes and ordering key together: 10 MB.
pub const MESSAGE_BYTES_MAX: usize = 10_000_000;

/// A message has at most this many attributes.
pub const ATTRIBUTES_MAX: usize = 100;

/// An attribute's key has at most this many bytes.
pub const ATTRIBUTE_KEY_BYTES_MAX: usize = 256;

/// An attribute's value has at most this many bytes.
pub const ATTRIBUTE_VALUE_BYTES_MAX: usize = 1024;

/// An ordering key has at most this many bytes.
pub const ORDERING_KEY_BYTES_MAX: usize = 1024;

/// A key that is too long is quoted to this many characters.
const QUOTED_CHARS_MAX: usize = 40;

impl Ops {
    /// Publishes one message and returns its id.
    ///
    /// It is tried once: where [`Error::is_ambiguous`] says so, it may have been published although the answer was lost.
    ///
    /// # Errors
    ///
    /// Fails with an invalid-input error where [`check`] does, before anything is sent.
    pub async fn publish(&self, topic: &TopicName, draft: Draft) -> Result<String> {
        let work = async {
            check(&draft)?;
            let ids = self.cloud().publish_once(topic, std::slice::from_ref(&draft)).await?;
            Ok(ids.into_iter().next().unwrap_or_default())
        };
        self.act("topic.publish", topic, work).await
    }
}

/// Checks a message against Pub/Sub's limits.
///
/// ```
/// use redrive::model::message::Draft;
/// use redrive::ops::check_draft;
///
/// assert!(check_draft(&Draft { data: "{}".into(), ..Draft::default() }).is_ok());
/// let error = check_draft(&Draft { data: vec![0; 12_000_000].into(), ..Draft::default() }).unwrap_err();
/// assert_eq!(error.to_string(), "the message has 12.0 MB; Pub/Sub takes 10 MB at most, attributes included");
/// ```
pub fn check(draft: &Draft) -> Result<()> {
    if draft.data.is_empty() && draft.attributes.is_empty() {
        return Err(Error::invalid("a message needs a payload or an attribute"));
    }
    if draft.attributes.len() > ATTRIBUTES_MAX {
        return Err(Error::invalid(format!(
            "the message has {} attributes; Pub/Sub takes {ATTRIBUTES_MAX} at most",
            draft.attributes.len()
        )));
    }
    for (key, value) in &draft.attributes {
        check_attribute(key, value)?;
    }
    let key_bytes = draft.ordering_key.len();
    if key_bytes > ORDERING_KEY_BYTES_MAX {
        return Err(Error::invalid(format!("the ordering key has {key_bytes} bytes; Pub/Sub takes {ORDERING_KEY_BYTES_MAX} at most")));
    }
    let attributes: usize = draft.attributes.iter().map(|(key, value)| key.len() + value.len()).sum();
    let bytes = draft.data.len() + attributes + key_bytes;
    if bytes > MESSAGE_BYTES_MAX {
        let tenths = bytes.div_ceil(100_000);
        let size = format!("{}.{} MB", tenths / 10, tenths % 10);
        return Err(Error::invalid(format!("the message has {size}; Pub/Sub takes 10 MB at most, attributes included"))
            .with_hint("put the payload into Cloud Storage and publish where it lies"));
    }
    Ok(())
}

fn check_attribute(key: &str, value: &str) -> Result<()> {
    if key.is_empty() {
        return Err(Error::invalid("an attribute has an empty key"));
    }
    let quoted = text::preview(key.as_bytes(), QUOTED_CHARS_MAX);
    if key.len() > ATTRIBUTE_KEY_BYTES_MAX {
        let bytes = key.len();
        return Err(Error::invalid(format!(
            "the key of attribute `{quoted}` has {bytes} bytes; Pub/Sub takes {ATTRIBUTE_KEY_BYTES_MAX} at most"
        )));
    }
    if key.starts_with("goog") {
        return Err(Error::invalid(format!("the key of attribute `{quoted}` begins with `goog`, which Google keeps for itself")));
    }
    if value.len() > ATTRIBUTE_VALUE_BYTES_MAX {
        let bytes = value.len();
        return Err(Error::invalid(format!(
            "the value of attribute `{quoted}` has {bytes} bytes; Pub/Sub takes {ATTRIBUTE_VALUE_BYTES_MAX} at most"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(data: usize, attributes: impl IntoIterator<Item = (String, String)>) -> Draft {
        Draft { data: vec![b'x'; data].into(), attributes: attributes.into_iter().collect(), ordering_key: String::new() }
    }

    fn numbered(n: usize) -> impl Iterator<Item = (String, String)> {
        (0..n).map(|n| (format!("k{n}"), String::new()))
    }

    #[test]
    fn takes_what_pubsub_takes() {
        let one = |key: String, value: String| draft(0, [(key, value)]);
        for good in [draft(1, []), draft(0, numbered(100)), draft(MESSAGE_BYTES_MAX, []), one("k".repeat(256), "v".repeat(1024))] {
            check(&good).unwrap();
        }
    }

    #[test]
    fn says_what_is_too_much() {
        let one = |key: &str, value: &str| draft(0, [(key.to_owned(), value.to_owned())]);
        let cases = [
            (draft(0, []), "needs a payload"),
            (draft(1, numbered(101)), "has 101 attributes; Pub/Sub takes 100"),
            (draft(MESSAGE_BYTES_MAX + 1, []), "has 10.1 MB"),
            (draft(MESSAGE_BYTES_MAX, [("k".to_owned(), String::new())]), "10 MB at most"),
            (one("", "v"), "empty key"),
            (one(&"k".repeat(257), "v"), "has 257 bytes"),
            (one("googly", "v"), "begins with `goog`"),
            (one("k", &"v".repeat(1025)), "the value of attribute `k` has 1025 bytes"),
            (Draft { ordering_key: "o".repeat(1025), ..draft(1, []) }, "the ordering key has 1025 bytes"),
        ];
        for (draft, says) in cases {
            let error = check(&draft).unwrap_err();
            assert!(error.is_invalid_input() && error.to_string().contains(says), "{says}: {error}");
        }
    }
}
