//! JSON and YAML that can be shown on a terminal: what [`is_safe`] refuses is written as an escape of the format, so that the value is the same.

use std::fmt::Write as _;

use serde_json::Value;

use crate::model::text::is_safe;

/// Writes a document over several lines.
pub(crate) fn json_pretty(value: &Value) -> String {
    finish(format!("{value:#}"))
}

/// Writes a document on one line.
pub(crate) fn json_line(value: &Value) -> String {
    finish(value.to_string())
}

/// Outside of strings JSON is plain ASCII, so whatever is unsafe is in a string and may be escaped where it stands.
fn finish(json: String) -> String {
    let mut out = if json.chars().all(|c| c == '\n' || is_safe(c)) { json } else { escape(&json) };
    out.push('\n');
    out
}

fn escape(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if c == '\n' || is_safe(c) {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

/// Writes a document as block YAML; strings that could be read as anything else are in double quotes.
pub(crate) fn yaml(value: &Value) -> String {
    let mut out = String::new();
    node(&mut out, value, 0);
    out.push('\n');
    out
}

/// Writes `value` where the cursor stands; lines that follow are indented by `depth` steps. Ends without a line break.
fn node(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                line_break(out, index, depth);
                out.push_str("- ");
                node(out, item, depth + 1);
            }
        }
        Value::Object(map) if !map.is_empty() => {
            for (index, (key, item)) in map.iter().enumerate() {
                line_break(out, index, depth);
                scalar(out, key);
                out.push(':');
                match item {
                    Value::Array(items) if !items.is_empty() => below(out, item, depth),
                    Value::Object(map) if !map.is_empty() => below(out, item, depth + 1),
                    _ => {
                        out.push(' ');
                        node(out, item, depth);
                    }
                }
            }
        }
        Value::String(text) => scalar(out, text),
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

fn below(out: &mut String, value: &Value, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
    node(out, value, depth);
}

fn line_break(out: &mut String, index: usize, depth: usize) {
    if index > 0 {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    }
}

/// Plain where nothing but a string can be meant, else in double quotes with YAML's own escapes.
fn scalar(out: &mut String, text: &str) {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/_.@+-".contains(c);
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') && text.chars().all(plain);
    let reserved = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    if word && !reserved.iter().any(|other| text.eq_ignore_ascii_case(other)) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_safe(c) => out.push(c),
            c => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
        }
    }
    out.push('"');
}

/// Adds to Google's own JSON of a resource what we know beside it. Every key of ours begins with `redrive`, as none of Google's does.
pub(crate) fn extended(raw: &Value, key: &'static str, ours: Value) -> Value {
    debug_assert!(key.starts_with("redrive"), "{key}");
    let mut value = raw.clone();
    if let Value::Object(map) = &mut value {
        map.insert(key.to_owned(), ours);
    }
    value
}
