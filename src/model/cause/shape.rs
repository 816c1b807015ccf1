//! Says what a payload is made of.

use std::collections::BTreeSet;

use serde_json::Value;

/// Payloads larger than this are not parsed to find their shape.
const PARSED_BYTES_MAX: usize = 256 * 1024;

/// A shape has at most so many paths …
const PATHS_MAX: usize = 64;

/// … of at most so many steps; deeper is the same.
const DEPTH_MAX: usize = 8;

/// A step is compared by at most so many characters.
const STEP_CHARS_MAX: usize = 64;

/// Elements of an array that are looked at.
const ELEMENTS_MAX: usize = 100;

/// Says what a payload is made of: the sorted paths of its JSON, or its kind.
pub(super) fn of(data: &[u8]) -> String {
    if data.is_empty() {
        return "empty".to_owned();
    }
    if data.len() > PARSED_BYTES_MAX {
        return "large".to_owned();
    }
    match serde_json::from_slice::<Value>(data) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => {
            let mut paths = BTreeSet::new();
            walk(&value, String::new(), 0, &mut paths);
            let more = if paths.len() > PATHS_MAX { " …" } else { "" };
            format!("{{{}{more}}}", paths.into_iter().take(PATHS_MAX).collect::<Vec<_>>().join(" "))
        }
        Ok(_) => "JSON value".to_owned(),
        Err(_) if std::str::from_utf8(data).is_ok() => "text".to_owned(),
        Err(_) => "binary".to_owned(),
    }
}

/// Collects the paths to all that is no object or array, and to what is empty.
fn walk(value: &Value, path: String, depth: usize, paths: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) if depth < DEPTH_MAX && !members.is_empty() => {
            for (name, member) in members {
                let dot = if path.is_empty() { "" } else { "." };
                walk(member, format!("{path}{dot}{}", step(name)), depth + 1, paths);
            }
        }
        Value::Array(elements) if depth < DEPTH_MAX && !elements.is_empty() => {
            for element in elements.iter().take(ELEMENTS_MAX) {
                walk(element, format!("{path}[]"), depth + 1, paths);
            }
        }
        Value::Array(_) => drop(paths.insert(format!("{path}[]"))),
        _ if path.is_empty() => {}
        _ => drop(paths.insert(path)),
    }
}

/// Writes the name of a member; one that is an id rather than a name is the same as others.
fn step(name: &str) -> String {
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    let id = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') && (digits >= 4 || digits == name.len());
    if id { "*".to_owned() } else { name.chars().take(STEP_CHARS_MAX).map(|c| if c.is_whitespace() { '_' } else { c }).collect() }
}
