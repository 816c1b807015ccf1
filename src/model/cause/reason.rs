//! Finds what the attributes of a message say of its error, and makes it the same for all messages that failed alike.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::model::message::DEAD_LETTER_PREFIX;

/// What Pub/Sub itself says of the last delivery.
const DELIVERY_ERROR: &str = "CloudPubSubDeadLetterSourceDeliveryErrorMessage";

/// Attributes that begin so are Pub/Sub's, a transfer's or a trace's: none of them tells of an error.
const NEVER: [&str; 5] = [DEAD_LETTER_PREFIX, "redrive-", "googclient_", "ce-", "traceparent"];

/// Words in the name of an attribute that tells of an error, the most telling first.
const WORDS: [&str; 12] =
    ["error", "err", "exception", "failure", "reason", "cause", "fault", "traceback", "stacktrace", "panic", "rejected", "rejection"];

/// Words that make it a number, a time or a place about the error, and not the error.
const ASIDES: [&str; 14] =
    ["count", "at", "time", "timestamp", "date", "id", "url", "uri", "rate", "topic", "queue", "retries", "attempts", "handler"];

/// Words that make it the text of the error, before its code or class.
const TEXTS: [&str; 5] = ["message", "msg", "text", "description", "detail"];

/// Values that say that there is no error.
const NOTHING: [&str; 9] = ["", "0", "none", "null", "nil", "ok", "false", "true", "success"];

/// Characters of a value that are looked at: Pub/Sub allows 1024 bytes.
const VALUE_CHARS_MAX: usize = 1024;

/// Errors are compared by at most so many characters.
const ERROR_CHARS_MAX: usize = 160;

/// How the text of an error reads, whatever its attribute is called.
static READS_AS_ERROR: LazyLock<Regex> = LazyLock::new(|| {
    let class = r"\b[A-Z][A-Za-z0-9_]*(Error|Exception|Failure|Fault)\b";
    let python = r"^Traceback \(most recent call last\)";
    let rust = r"\bpanicked at\b";
    let grpc = r"^(UNKNOWN|INVALID_ARGUMENT|DEADLINE_EXCEEDED|NOT_FOUND|ALREADY_EXISTS|PERMISSION_DENIED|RESOURCE_EXHAUSTED|FAILED_PRECONDITION|ABORTED|OUT_OF_RANGE|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS|UNAUTHENTICATED)\b";
    let http = r"(?i)^(HTTP([/ ][0-9.]+)?[ :]+)?(status( code)?[ :]+)?[45][0-9]{2} [a-z]|^HTTP([/ ][0-9.]+)?[ :]+[45][0-9]{2}\b";
    let words = r"(?i)\b(failed to|could not|cannot|can't|timed out|connection (refused|reset)|permission denied|does not exist|no such|missing field|unexpected (end|token|character|value))\b";
    Regex::new(&[class, python, rust, grpc, http, words].map(|part| format!("(?:{part})")).join("|"))
        .expect("a constant that is a regular expression")
});

/// What differs from message to message of one cause: addresses, UUIDs, moments, longer numbers and words with them, hexadecimal ids.
static DIFFERS: LazyLock<Regex> = LazyLock::new(|| {
    let mail = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+";
    let uuid = r"\b[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b";
    let moment = r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?";
    let number = r"\b[A-Za-z0-9_-]*[0-9]{4}[A-Za-z0-9_-]*(\.[0-9]+)?\b";
    let hex = r"\b(0x)?[0-9a-fA-F]{8,}\b";
    Regex::new(&[mail, uuid, moment, number, hex].join("|")).expect("a constant that is a regular expression")
});

/// Returns the attribute that tells of the error, and what it says.
pub(super) fn find(attributes: &BTreeMap<String, String>) -> Option<(String, String)> {
    if let Some(said) = attributes.get(DELIVERY_ERROR).and_then(|value| telling(value)) {
        return Some((DELIVERY_ERROR.to_owned(), said));
    }
    let own = || attributes.iter().filter(|(name, _)| !NEVER.iter().any(|prefix| name.starts_with(prefix)));
    let named = own().filter_map(|(name, value)| Some((rank(name)?, name, telling(value)?))).min();
    if let Some((_, name, said)) = named {
        return Some((name.clone(), said));
    }
    let reads = own().find(|(_, value)| READS_AS_ERROR.is_match(clip(value)));
    reads.and_then(|(name, value)| Some((name.clone(), telling(value)?)))
}

/// Tells how telling a name is, the less the more; `None` where it does not name an error.
fn rank(name: &str) -> Option<(usize, usize, bool)> {
    let words = words(name);
    if words.iter().any(|word| ASIDES.contains(&word.as_str())) {
        return None;
    }
    let singular = |word: &String| word.strip_suffix('s').map(str::to_owned);
    let place = |word: &String| WORDS.iter().position(|known| word == known || singular(word).as_deref() == Some(known));
    let best = words.iter().filter_map(place).min()?;
    let text = words.iter().any(|word| TEXTS.contains(&word.as_str()));
    Some((best, words.len(), !text))
}

/// Splits a name as people write them: `errorMessage`, `x-error_message`, `ERROR.MESSAGE`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && before.is_lowercase()) {
            words.push(String::new());
        }
        if c.is_alphanumeric() {
            words.last_mut().expect("is never empty").extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Returns what a value says in one line, without what differs from message to message; `None` where it says that there is no error.
fn telling(value: &str) -> Option<String> {
    let value = clip(value).trim();
    if NOTHING.iter().any(|nothing| value.eq_ignore_ascii_case(nothing)) {
        return None;
    }
    let mut lines = value.lines().map(str::trim).filter(|line| !line.is_empty());
    // Python says it last, all others first.
    let line = if value.starts_with("Traceback (") { lines.next_back()? } else { lines.next()? };
    let blotted = DIFFERS.replace_all(line, |found: &Captures<'_>| {
        if found[0].bytes().any(|byte| byte.is_ascii_digit() || byte == b'@') { "#".to_owned() } else { found[0].to_owned() }
    });
    Some(blotted.chars().take(ERROR_CHARS_MAX).collect())
}

fn clip(value: &str) -> &str {
    value.char_indices().nth(VALUE_CHARS_MAX).map_or(value, |(end, _)| &value[..end])
}
