//! Avro's JSON encoding (Avro 1.11, "JSON Encoding"): unions other than null are objects with one member, bytes are text of U+0000–U+00FF.

use serde_json::Value as Json;

use super::Node;

/// Checks a value; how deep it goes is bounded by the JSON parser.
pub(super) fn check(nodes: &[Node], id: usize, value: &Json) -> Result<(), String> {
    let wrong = |expected: &str| Err(format!("JSON object with type {} does not match schema which expected {expected}", kind(value)));
    match (&nodes[id], value) {
        (Node::Null, Json::Null)
        | (Node::Boolean, Json::Bool(_))
        | (Node::Float | Node::Double, Json::Number(_))
        | (Node::Text, Json::String(_)) => Ok(()),
        (Node::Int, Json::Number(number)) if number.as_i64().is_some_and(|number| i32::try_from(number).is_ok()) => Ok(()),
        (Node::Long, Json::Number(number)) if number.as_i64().is_some() => Ok(()),
        (Node::Bytes, Json::String(text)) => latin(text).map(|_| ()),
        (Node::Fixed(size), Json::String(text)) => match latin(text)? {
            length if length == *size => Ok(()),
            length => Err(format!("Fixed value has {length} bytes, and the schema expected {size}")),
        },
        (Node::Enum(symbols), Json::String(text)) if symbols.contains(text) => Ok(()),
        (Node::Enum(_), Json::String(text)) => Err(format!("Invalid enum value: {text}")),
        (Node::Array(items), Json::Array(values)) => values.iter().try_for_each(|value| check(nodes, *items, value)),
        (Node::Map(items), Json::Object(members)) => members.values().try_for_each(|value| check(nodes, *items, value)),
        (Node::Record(fields), Json::Object(members)) => fields.iter().try_for_each(|(name, id)| {
            let value = members.get(name).ok_or_else(|| format!("Field was not found in JSON object: {name}"))?;
            check(nodes, *id, value)
        }),
        (Node::Union(branches), value) => union(nodes, branches, value),
        (node, _) => wrong(expected(node)),
    }
}

fn union(nodes: &[Node], branches: &[(String, usize)], value: &Json) -> Result<(), String> {
    let unknown = |what: &str| Err(format!("Union has no branch for {what}"));
    match value {
        Json::Null if branches.iter().any(|(name, _)| name == "null") => Ok(()),
        Json::Object(members) if members.len() == 1 => {
            let Some((name, value)) = members.iter().next() else { return unknown("an empty object") };
            match branches.iter().find(|(branch, _)| branch == name) {
                Some((_, id)) => check(nodes, *id, value),
                None => unknown(name),
            }
        }
        other => unknown(&format!("a JSON value of type {}", kind(other))),
    }
}

/// How many bytes a text stands for, each of its characters being one.
fn latin(text: &str) -> Result<usize, String> {
    if text.chars().all(|char| char <= '\u{ff}') { Ok(text.chars().count()) } else { Err("Bytes have a character above U+00FF".to_owned()) }
}

fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(number) if number.is_u64() => "number_unsigned",
        Json::Number(number) if number.is_i64() => "number_integer",
        Json::Number(_) => "number_float",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

fn expected(node: &Node) -> &'static str {
    match node {
        Node::Null => "null",
        Node::Boolean => "boolean",
        Node::Int | Node::Long => "number_integer",
        Node::Float | Node::Double => "number_float",
        Node::Bytes | Node::Text | Node::Fixed(_) | Node::Enum(_) => "string",
        Node::Array(_) => "array",
        Node::Map(_) | Node::Record(_) | Node::Union(_) => "object",
    }
}
