//! Protocol Buffer definitions: one message type, proto2 or proto3, no imports; compiled by `protox`, checked through `prost-reflect`.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value};
use protox::Compiler;
use protox::file::{File, FileResolver};

/// What the definition is called in errors.
const FILE: &str = "schema.proto";
/// Braces and brackets of a definition are nested this deep at most: its parser is recursive.
const NESTING_MAX: u32 = 100;
/// Messages are nested this deep at most; their decoder stops there too.
const DEPTH_MAX: u32 = 100;

/// A compiled definition.
#[derive(Debug)]
pub(super) struct Protobuf {
    message: MessageDescriptor,
}

/// The definition, and nothing else to import.
struct Alone(String);

impl FileResolver for Alone {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        if name == FILE { File::from_source(FILE, &self.0) } else { Err(protox::Error::file_not_found(name)) }
    }
}

impl Protobuf {
    /// Compiles a definition; the error is for people.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if is_nested_too_deep(text) {
            return Err(format!("it is nested more than {NESTING_MAX} deep"));
        }
        let mut compiler = Compiler::with_file_resolver(Alone(text.to_owned()));
        compiler.open_file(FILE).map_err(|error| error.to_string())?;
        let file = compiler.descriptor_pool().get_file_by_name(FILE).ok_or("it has no content")?;
        let mut messages = file.messages();
        match (messages.next(), messages.next()) {
            (Some(message), None) if file.enums().len() == 0 && file.services().len() == 0 => Ok(Self { message }),
            _ => Err("it must have exactly one top-level type, a message".to_owned()),
        }
    }

    /// Checks a message in Protocol Buffers' JSON mapping; fields that the definition does not have are refused.
    pub(super) fn check_json(&self, data: &[u8]) -> Result<(), String> {
        let mut deserializer = serde_json::Deserializer::from_slice(data);
        let message = DynamicMessage::deserialize(self.message.clone(), &mut deserializer).map_err(|error| error.to_string())?;
        deserializer.end().map_err(|error| error.to_string())?;
        check(&message, 0)
    }

    /// Checks a message on the wire; field numbers that the definition does not have are refused.
    pub(super) fn check_binary(&self, data: &[u8]) -> Result<(), String> {
        let message = DynamicMessage::decode(self.message.clone(), data).map_err(|error| error.to_string())?;
        check(&message, 0)
    }

    /// Checks that no field was edited, and that none that is required came or went.
    pub(super) fn compatible(&self, old: &Self) -> Result<(), String> {
        compare(&self.message, &old.message, &mut Vec::new())
    }
}

fn is_nested_too_deep(text: &str) -> bool {
    let mut depth = 0_u32;
    text.bytes().any(|byte| {
        match byte {
            b'{' | b'[' | b'(' | b'<' => depth += 1,
            b'}' | b']' | b')' | b'>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > NESTING_MAX
    })
}

/// Refuses unknown fields, and required ones that are not there.
fn check(message: &DynamicMessage, depth: u32) -> Result<(), String> {
    let descriptor = message.descriptor();
    if depth > DEPTH_MAX {
        return Err(format!("the message is nested more than {DEPTH_MAX} deep"));
    }
    if let Some(unknown) = message.unknown_fields().next() {
        return Err(format!("{} has no field with number {}", descriptor.full_name(), unknown.number()));
    }
    if let Some(missing) = descriptor.fields().find(|field| field.is_required() && !message.has_field(field)) {
        return Err(format!("required field {} is missing", missing.full_name()));
    }
    message.fields().try_for_each(|(_, value)| check_value(value, depth))
}

fn check_value(value: &Value, depth: u32) -> Result<(), String> {
    match value {
        Value::Message(message) => check(message, depth + 1),
        Value::List(values) => values.iter().try_for_each(|value| check_value(value, depth)),
        Value::Map(values) => values.values().try_for_each(|value| check_value(value, depth)),
        _ => Ok(()),
    }
}

fn compare(new: &MessageDescriptor, old: &MessageDescriptor, seen: &mut Vec<String>) -> Result<(), String> {
    if seen.iter().any(|name| name == new.full_name()) {
        return Ok(());
    }
    seen.push(new.full_name().to_owned());
    for field in new.fields() {
        match old.get_field(field.number()) {
            Some(before) => compare_fields(&field, &before, seen)?,
            None if field.is_required() => return Err(format!("required field {} cannot be added", field.name())),
            None => {}
        }
    }
    match old.fields().find(|field| field.is_required() && new.get_field(field.number()).is_none()) {
        Some(gone) => Err(format!("required field {} cannot be removed", gone.name())),
        None => Ok(()),
    }
}

fn compare_fields(new: &FieldDescriptor, old: &FieldDescriptor, seen: &mut Vec<String>) -> Result<(), String> {
    let (is, was) = (describe(new), describe(old));
    if is != was || new.name() != old.name() {
        return Err(format!("{} of type {is} is not compatible with {} of type {was}", new.name(), old.name()));
    }
    match (new.kind(), old.kind()) {
        (Kind::Message(new), Kind::Message(old)) => compare(&new, &old, seen),
        _ => Ok(()),
    }
}

/// A field's type with its label.
fn describe(field: &FieldDescriptor) -> String {
    let kind = match field.kind() {
        Kind::Message(message) => message.name().to_owned(),
        Kind::Enum(of) => of.name().to_owned(),
        scalar => format!("{scalar:?}").to_lowercase(),
    };
    if field.is_list() {
        return format!("repeated {kind}");
    }
    if field.is_required() { format!("required {kind}") } else { kind }
}
