//! Damaged filters: none panics, what is refused is refused with its place, and what is taken means the same when it is written and read again.

use proptest::prelude::*;

use super::*;
use crate::model::campaign::{damaged, explore};

/// Cases that CI runs.
const CASES: u64 = 4_000;

const SAMPLES: &[&str] = &[
    "",
    "attributes:domain",
    r#"attributes.domain = "com" AND NOT attributes:test"#,
    r#"attributes."iana.org/language_tag" != 'en' OR hasPrefix(attributes.kind, "or")"#,
    r#"-(attributes:a AND (attributes:b OR attributes.c = "\x41\102\u0043"))"#,
];
const WORDS: &[&str] = &[
    "attributes",
    "attributes:a",
    "attributes.b",
    "hasPrefix(",
    "NOT ",
    " AND ",
    " OR ",
    "-",
    "(",
    ")",
    "\"",
    "'",
    "\\",
    "\\x4",
    "\\u00e9",
    "\\777",
    "=",
    "!=",
    ",",
    ".",
    ":",
    "a",
    "b",
    "com",
    "\u{0}",
    "ü",
    "((((((((((((((((",
    "NOT NOT NOT NOT NOT ",
];

#[test]
fn damaged_filters_are_refused_in_words_or_mean_something() {
    let attributes = prop::collection::btree_map("[abc]|domain|kind", "[abc]{0,2}|com|order", 0..4);
    explore(CASES, &(damaged(SAMPLES, WORDS), attributes), |(text, attributes)| match text.parse::<Filter>() {
        Ok(filter) => {
            let again = parse::condition(&filter.to_string()).expect("what is written can be read");
            assert_eq!(again, filter.0, "{filter}");
            let inverse = Condition::Not(Box::new(again));
            assert_ne!(filter.matches(&attributes), inverse.holds(&attributes));
        }
        Err(error) => {
            let told = error.to_string();
            let column =
                told.strip_prefix("filter, column ").and_then(|rest| rest.split_once(": ")).map(|(column, _)| column.parse::<usize>());
            match column {
                Some(column) => assert!((1..=text.chars().count() + 1).contains(&column.unwrap()), "{told}"),
                None => assert!(text.len() > FILTER_BYTES_MAX, "{told}"),
            }
        }
    });
}
