//! Fills protobuf messages from JSON and from query parameters, with complaints in Google's words.
//!
//! Accepts what Google's servers accept: names in camel case or as in the proto, integers as numbers or strings, enums by name or number,
//! bytes in either alphabet of base64 with or without padding.

use std::collections::HashMap;
use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost_reflect::{DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, Value};
use serde_json::{Value as Json, json};

/// The type of the detail that names the fields that are wrong.
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";
/// So many complaints about one request are told; a request of 10 MB may hold a million.
const COMPLAINTS_MAX: usize = 10;
/// A value is quoted in a complaint up to this many bytes.
const QUOTED_BYTES_MAX: usize = 100;
/// `a.b.c` in a query may go this deep: deeper than any request has fields, and far from the end of the stack.
const QUERY_DEPTH_MAX: usize = 16;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Where in the request a value stands; displays as `subscription.labels[0]`.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Root,
    Field(&'a Place<'a>, &'a str),
    Index(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Index(parent, nth) => write!(f, "{parent}[{nth}]"),
        }
    }
}

/// What is wrong with a request: where, if not at its root, and a line each.
#[derive(Debug, Default)]
pub(super) struct Complaints(Vec<(String, String)>);

impl Complaints {
    fn add(&mut self, place: Place<'_>, complaint: String) {
        if self.0.len() < COMPLAINTS_MAX {
            self.0.push((place.to_string(), complaint));
        }
    }

    fn unknown(&mut self, name: &str, place: Place<'_>, why: &str) {
        let at = match place {
            Place::Root => String::new(),
            place => format!(" at '{place}'"),
        };
        self.add(place, format!("Invalid JSON payload received. Unknown name {}{at}: {why}", quoted(&Json::from(name))));
    }

    fn value(&mut self, place: Place<'_>, what: &str, shown: &str) {
        self.add(place, format!("Invalid value at '{place}' ({what}), {shown}"));
    }

    /// Returns the lines as one text, and what it says for programs (`google.rpc.BadRequest`); nothing when there are none.
    pub(super) fn into_text(self) -> Option<(String, Json)> {
        let lines: Vec<&str> = self.0.iter().map(|(_, line)| line.as_str()).collect();
        let violation = |(place, line): &(String, String)| {
            if place.is_empty() { json!({"description": line}) } else { json!({"field": place, "description": line}) }
        };
        let violations: Vec<Json> = self.0.iter().map(violation).collect();
        (!lines.is_empty()).then(|| (lines.join("\n"), json!([{"@type": BAD_REQUEST, "fieldViolations": violations}])))
    }
}

/// Fills `message` from the members of a JSON object.
pub(super) fn fill(message: &mut DynamicMessage, json: Json, place: Place<'_>, complaints: &mut Complaints) {
    let desc = message.descriptor();
    let Json::Object(members) = json else {
        match place {
            Place::Root => complaints.unknown("", place, "Root element must be a message."),
            place => complaints.value(place, &type_url(&desc), &quoted(&json)),
        }
        return;
    };
    for (name, json) in members {
        match field_of(&desc, &name) {
            Some(field) => set(message, &field, json, place, complaints),
            None => complaints.unknown(&name, place, "Cannot find field."),
        }
    }
}

/// Sets one field from its JSON.
pub(super) fn set(message: &mut DynamicMessage, field: &FieldDescriptor, json: Json, parent: Place<'_>, complaints: &mut Complaints) {
    let null_is_a_value = matches!(field.kind(), Kind::Message(desc) if desc.full_name() == "google.protobuf.Value");
    if json.is_null() && !null_is_a_value {
        return;
    }
    let taken = field.containing_oneof().filter(|oneof| oneof.fields().any(|other| other != *field && message.has_field(&other)));
    let place = Place::Field(&parent, field.name());
    if let Some(oneof) = taken {
        let (oneof, name) = (oneof.name(), field.json_name());
        complaints.value(parent, "oneof", &format!("oneof field '{oneof}' is already set. Cannot set '{name}'"));
    } else if field.is_map() {
        let map = map(field, json, place, complaints);
        message.set_field(field, Value::Map(map));
    } else if field.is_list() {
        let list = list(field, json, place, complaints);
        message.set_field(field, Value::List(list));
    } else if json.is_array() {
        complaints.unknown(field.json_name(), parent, "Proto field is not repeating, cannot start list.");
    } else if let Some(value) = single(&field.kind(), json, place, complaints) {
        message.set_field(field, value);
    }
}

fn list(field: &FieldDescriptor, json: Json, place: Place<'_>, complaints: &mut Complaints) -> Vec<Value> {
    let Json::Array(elements) = json else {
        complaints.value(place, &type_name(&field.kind()), &quoted(&json));
        return Vec::new();
    };
    let kind = field.kind();
    let elements = elements.into_iter().enumerate();
    elements.filter_map(|(nth, json)| single(&kind, json, Place::Index(&place, nth), complaints)).collect()
}

fn map(field: &FieldDescriptor, json: Json, place: Place<'_>, complaints: &mut Complaints) -> HashMap<MapKey, Value> {
    let kind = field.kind();
    let (Json::Object(members), Kind::Message(entry)) = (json, &kind) else {
        complaints.value(place, "Map", "Cannot bind a non-object to a map.");
        return HashMap::new();
    };
    let (key_kind, value_kind) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
    let mut map = HashMap::with_capacity(members.len());
    for (name, json) in members {
        let place = Place::Field(&place, &name);
        let key = single(&key_kind, Json::String(name.clone()), place, complaints).and_then(Value::into_map_key);
        if let (Some(key), Some(value)) = (key, single(&value_kind, json, place, complaints)) {
            map.insert(key, value);
        }
    }
    map
}

/// Reads one value that is neither list nor map.
fn single(kind: &Kind, json: Json, place: Place<'_>, complaints: &mut Complaints) -> Option<Value> {
    if let Kind::Message(desc) = kind {
        return message(desc, json, place, complaints).map(Value::Message);
    }
    if let (Kind::Bytes, Json::String(text)) = (kind, &json) {
        let engine = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
        let bytes = engine.decode(text);
        if bytes.is_err() {
            complaints.value(place, "TYPE_BYTES", &format!("Base64 decoding failed for {}", quoted(&json)));
        }
        return bytes.ok().map(|bytes| Value::Bytes(bytes.into()));
    }
    match scalar(kind, json) {
        Ok(value) => Some(value),
        Err(json) => {
            complaints.value(place, &type_name(kind), &quoted(&json));
            None
        }
    }
}

fn scalar(kind: &Kind, json: Json) -> Result<Value, Json> {
    let value = match (kind, &json) {
        (Kind::String, Json::String(_)) => {
            let Json::String(text) = json else { return Err(json) };
            return Ok(Value::String(text));
        }
        (Kind::Bool, Json::Bool(value)) => Some(Value::Bool(*value)),
        (Kind::Bool, Json::String(text)) => text.parse().ok().map(Value::Bool),
        (Kind::Double, json) => float(json).map(Value::F64),
        #[expect(clippy::cast_possible_truncation, reason = "a float field holds what a float can")]
        (Kind::Float, json) => float(json).map(|value| Value::F32(value as f32)),
        (Kind::Int32 | Kind::Sint32 | Kind::Sfixed32, json) => integer(json).and_then(|value| value.try_into().ok()).map(Value::I32),
        (Kind::Int64 | Kind::Sint64 | Kind::Sfixed64, json) => integer(json).and_then(|value| value.try_into().ok()).map(Value::I64),
        (Kind::Uint32 | Kind::Fixed32, json) => integer(json).and_then(|value| value.try_into().ok()).map(Value::U32),
        (Kind::Uint64 | Kind::Fixed64, json) => integer(json).and_then(|value| value.try_into().ok()).map(Value::U64),
        (Kind::Enum(desc), json) => enumeration(desc, json).map(Value::EnumNumber),
        _ => None,
    };
    value.ok_or(json)
}

fn message(desc: &MessageDescriptor, json: Json, place: Place<'_>, complaints: &mut Complaints) -> Option<DynamicMessage> {
    if desc.full_name() == "google.protobuf.FieldMask" {
        return field_mask(desc, &json).or_else(|| {
            complaints.value(place, &type_url(desc), &quoted(&json));
            None
        });
    }
    if desc.package_name() == "google.protobuf" {
        return DynamicMessage::deserialize(desc.clone(), &json).ok().or_else(|| {
            complaints.value(place, &type_url(desc), &quoted(&json));
            None
        });
    }
    let mut message = DynamicMessage::new(desc.clone());
    fill(&mut message, json, place, complaints);
    Some(message)
}

/// `"ackDeadlineSeconds,push_config"`: Google takes either spelling.
fn field_mask(desc: &MessageDescriptor, json: &Json) -> Option<DynamicMessage> {
    let mut mask = DynamicMessage::new(desc.clone());
    let paths = json.as_str()?.split(',').map(str::trim).filter(|path| !path.is_empty());
    let paths = paths.map(|path| Value::String(snake_case(path))).collect();
    mask.try_set_field_by_name("paths", Value::List(paths)).ok()?;
    Some(mask)
}

fn snake_case(path: &str) -> String {
    let mut snake = String::with_capacity(path.len() + 8);
    for letter in path.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

fn enumeration(desc: &EnumDescriptor, json: &Json) -> Option<i32> {
    match json.as_str().and_then(|name| desc.get_value_by_name(name)) {
        Some(value) => Some(value.number()),
        None => integer(json)?.try_into().ok(),
    }
}

fn integer(json: &Json) -> Option<i128> {
    let text = match json {
        Json::Number(number) => number.to_string(),
        Json::String(text) => text.clone(),
        _ => return None,
    };
    text.parse().ok().or_else(|| {
        // `1e3` and `5.0` are integers too.
        let float: f64 = text.parse().ok()?;
        if float.fract() == 0.0 { format!("{float:.0}").parse().ok() } else { None }
    })
}

fn float(json: &Json) -> Option<f64> {
    match json {
        Json::Number(number) => number.as_f64(),
        Json::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// Sets the field that a query parameter names (`a.b.c`).
pub(super) fn set_parameter(message: &mut DynamicMessage, name: &str, text: String, complaints: &mut Complaints) {
    let parts: Vec<&str> = name.split('.').take(QUERY_DEPTH_MAX + 1).collect();
    if parts.len() > QUERY_DEPTH_MAX || set_nested(message, &parts, text, Place::Root, complaints).is_none() {
        let name = quoted(&Json::from(name));
        let plain = name.trim_matches('"');
        let why = format!("Cannot bind query parameter. Field '{plain}' could not be found in request message.");
        complaints.add(Place::Root, format!("Invalid JSON payload received. Unknown name {name}: {why}"));
    }
}

/// Sets the field at the path of names; `None` when there is none.
pub(super) fn set_nested<S: AsRef<str>>(
    message: &mut DynamicMessage,
    path: &[S],
    text: String,
    parent: Place<'_>,
    complaints: &mut Complaints,
) -> Option<()> {
    let (name, inner) = path.split_first()?;
    let field = field_of(&message.descriptor(), name.as_ref())?;
    if field.is_map() {
        return None;
    }
    let place = Place::Field(&parent, field.name());
    if inner.is_empty() {
        if !field.is_list() {
            set(message, &field, Json::String(text), parent, complaints);
        } else if let Some(value) = single(&field.kind(), Json::String(text), place, complaints) {
            message.get_field_mut(&field).as_list_mut()?.push(value);
        }
        return Some(());
    }
    if field.is_list() {
        return None;
    }
    // Looked up first, so that an unknown name leaves no empty message behind.
    field_of(field.kind().as_message()?, inner[0].as_ref())?;
    set_nested(message.get_field_mut(&field).as_message_mut()?, inner, text, place, complaints)
}

/// Finds a field by its name in JSON or in the proto.
pub(super) fn field_of(desc: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    desc.get_field_by_json_name(name).or_else(|| desc.get_field_by_name(name))
}

fn type_url(desc: &MessageDescriptor) -> String {
    format!("type.googleapis.com/{}", desc.full_name())
}

fn type_name(kind: &Kind) -> String {
    match kind {
        Kind::Message(desc) => type_url(desc),
        Kind::Enum(desc) => format!("type.googleapis.com/{}", desc.full_name()),
        scalar => format!("TYPE_{}", format!("{scalar:?}").to_ascii_uppercase()),
    }
}

/// The value as JSON, cut to a bound; control characters are escaped by JSON itself.
fn quoted(json: &Json) -> String {
    let mut text = match json {
        Json::Array(_) => return "[…]".to_owned(),
        Json::Object(_) => return "{…}".to_owned(),
        // Cut before it is copied and escaped: it may be 10 MB.
        Json::String(long) => Json::from(&long[..long.floor_char_boundary(2 * QUOTED_BYTES_MAX)]).to_string(),
        short => short.to_string(),
    };
    if text.len() > QUOTED_BYTES_MAX {
        text.truncate(text.floor_char_boundary(QUOTED_BYTES_MAX));
        text.push('…');
    }
    text
}
