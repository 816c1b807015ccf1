//! Queries and paths of URLs: written and read.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything is escaped but what RFC 3986 calls unreserved.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Writes a text as a segment of a path, or as a name or value of a query.
pub(crate) fn percent_encoded(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// Reads a segment of a path; what is no UTF-8 is replaced.
pub(crate) fn percent_decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Reads a query; of several values of a name the last one counts. What begins with `redrive-` is ours.
pub(crate) fn parameters(query: &str) -> BTreeMap<String, String> {
    let decoded = |text: &str| percent_decoded(&text.replace('+', " "));
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).filter(|(name, _)| !name.starts_with("redrive-")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let value = "a b&c=d/é+%";
        let query = format!("x={}&redrive-nonce=1&&flag&y=1+2", percent_encoded(value));
        let read = parameters(&query);
        assert_eq!((read["x"].as_str(), read["flag"].as_str(), read["y"].as_str(), read.len()), (value, "", "1 2", 3));
        assert_eq!(percent_decoded(&percent_encoded("a/b")), "a/b");
        assert_eq!(percent_encoded("a/b~c"), "a%2Fb~c");
    }
}
