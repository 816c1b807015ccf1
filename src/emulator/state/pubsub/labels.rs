//! The rules for labels of topics, subscriptions and snapshots (<https://cloud.google.com/pubsub/docs/labels>).

use std::collections::BTreeMap;

use crate::emulator::state::Refusal;

/// Labels of a resource at most.
const LABELS_MAX: usize = 64;
/// Characters of a key or a value at most.
const CHARS_MAX: usize = 63;

pub(super) fn check(labels: &BTreeMap<String, String>) -> Result<(), Refusal> {
    if labels.len() > LABELS_MAX {
        return Err(Refusal::invalid(format!("Invalid labels given: there are {}, and a resource may have {LABELS_MAX}.", labels.len())));
    }
    for (key, value) in labels {
        if !key.starts_with(is_letter) || !is_text(key) {
            let rule = "begins with a lowercase letter, and has 63 lowercase letters, digits, _ and - at most";
            return Err(Refusal::invalid(format!("Invalid label key given (key={}): it {rule}.", key.escape_debug())));
        }
        if !is_text(value) {
            let rule = "has 63 lowercase letters, digits, _ and - at most";
            return Err(Refusal::invalid(format!("Invalid label value given (key={key}, value={}): it {rule}.", value.escape_debug())));
        }
    }
    Ok(())
}

/// Of any script, as long as it is not an uppercase one.
fn is_letter(letter: char) -> bool {
    letter.is_alphabetic() && !letter.is_uppercase()
}

fn is_text(text: &str) -> bool {
    text.chars().count() <= CHARS_MAX && text.chars().all(|one| is_letter(one) || one.is_numeric() || matches!(one, '_' | '-'))
}
