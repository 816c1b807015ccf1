//! Avro definitions: parsed and compared by `apache-avro`, and flattened into nodes against which messages are checked here.
//!
//! The library's own decoder is not used: it takes cut-off strings for null, and allocates what a hostile length asks for.

mod binary;
mod json;

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::schema::{InnerDecimalSchema, Name, UuidSchema};
use apache_avro::schema_compatibility::SchemaCompatibility;

/// A parsed definition.
#[derive(Debug)]
pub(super) struct Avro {
    schema: Schema,
    nodes: Vec<Node>,
    root: usize,
}

/// One type of a definition; those inside it are indices into the same list, so that a type may hold itself.
#[derive(Debug)]
enum Node {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Fixed(usize),
    Enum(Vec<String>),
    Array(usize),
    Map(usize),
    /// The branches with the names by which JSON tells them.
    Union(Vec<(String, usize)>),
    Record(Vec<(String, usize)>),
}

impl Avro {
    /// Parses a definition; the error is for people.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let schema = Schema::parse_str(text).map_err(|error| error.to_string())?;
        let mut flat = Flat { nodes: Vec::new(), names: HashMap::new() };
        let root = flat.add(&schema)?;
        Ok(Self { schema, nodes: flat.nodes, root })
    }

    /// Checks a message in Avro's JSON encoding.
    pub(super) fn check_json(&self, data: &[u8]) -> Result<(), String> {
        let value = serde_json::from_slice(data).map_err(|error| format!("Invalid JSON: {error}"))?;
        json::check(&self.nodes, self.root, &value)
    }

    /// Checks a message in Avro's binary encoding, which has to fill it to the last byte.
    pub(super) fn check_binary(&self, data: &[u8]) -> Result<(), String> {
        binary::check(&self.nodes, self.root, data)
    }

    /// Checks that each of the two reads what the other writes.
    pub(super) fn compatible(&self, old: &Self) -> Result<(), String> {
        SchemaCompatibility::mutual_read(&old.schema, &self.schema).map(|_| ()).map_err(|error| error.to_string())
    }
}

struct Flat {
    nodes: Vec<Node>,
    names: HashMap<String, usize>,
}

impl Flat {
    fn push(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Adds a type; a logical type counts as the one it is stored as.
    fn add(&mut self, schema: &Schema) -> Result<usize, String> {
        let node = match schema {
            Schema::Null => Node::Null,
            Schema::Boolean => Node::Boolean,
            Schema::Int | Schema::Date | Schema::TimeMillis => Node::Int,
            Schema::Long
            | Schema::TimeMicros
            | Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos => Node::Long,
            Schema::Float => Node::Float,
            Schema::Double => Node::Double,
            Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => Node::Bytes,
            Schema::String | Schema::Uuid(UuidSchema::String) => Node::Text,
            Schema::Decimal(decimal) => match &decimal.inner {
                InnerDecimalSchema::Bytes => Node::Bytes,
                InnerDecimalSchema::Fixed(fixed) => return Ok(self.named(&fixed.name, Node::Fixed(fixed.size))),
            },
            Schema::Fixed(fixed) | Schema::Duration(fixed) | Schema::Uuid(UuidSchema::Fixed(fixed)) => {
                return Ok(self.named(&fixed.name, Node::Fixed(fixed.size)));
            }
            Schema::Enum(symbols) => return Ok(self.named(&symbols.name, Node::Enum(symbols.symbols.clone()))),
            Schema::Array(array) => Node::Array(self.add(&array.items)?),
            Schema::Map(map) => Node::Map(self.add(&map.types)?),
            Schema::Union(union) => {
                let branches = union.variants().iter().map(|branch| Ok((branch_name(branch), self.add(branch)?)));
                Node::Union(branches.collect::<Result<_, String>>()?)
            }
            Schema::Record(record) => {
                // Known by its name before its fields are, which may refer to it.
                let id = self.named(&record.name, Node::Null);
                let fields = record.fields.iter().map(|field| Ok((field.name.clone(), self.add(&field.schema)?)));
                self.nodes[id] = Node::Record(fields.collect::<Result<_, String>>()?);
                return Ok(id);
            }
            Schema::Ref { name } => {
                let name = name.fullname(None);
                return self.names.get(&name).copied().ok_or_else(|| format!("Unknown type: {name}"));
            }
        };
        Ok(self.push(node))
    }

    fn named(&mut self, name: &Name, node: Node) -> usize {
        let id = self.push(node);
        self.names.insert(name.fullname(None), id);
        id
    }
}

/// The name of a branch of a union in Avro's JSON encoding.
fn branch_name(schema: &Schema) -> String {
    let plain = match schema {
        Schema::Null => "null",
        Schema::Boolean => "boolean",
        Schema::Int | Schema::Date | Schema::TimeMillis => "int",
        Schema::Float => "float",
        Schema::Double => "double",
        Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => "bytes",
        Schema::String | Schema::Uuid(UuidSchema::String) => "string",
        Schema::Array(_) => "array",
        Schema::Map(_) => "map",
        Schema::Union(_) => "union",
        Schema::Decimal(decimal) => match &decimal.inner {
            InnerDecimalSchema::Bytes => "bytes",
            InnerDecimalSchema::Fixed(fixed) => return fixed.name.fullname(None),
        },
        Schema::Fixed(fixed) | Schema::Duration(fixed) | Schema::Uuid(UuidSchema::Fixed(fixed)) => return fixed.name.fullname(None),
        Schema::Enum(named) => return named.name.fullname(None),
        Schema::Record(named) => return named.name.fullname(None),
        Schema::Ref { name } => return name.fullname(None),
        Schema::Long
        | Schema::TimeMicros
        | Schema::TimestampMillis
        | Schema::TimestampMicros
        | Schema::TimestampNanos
        | Schema::LocalTimestampMillis
        | Schema::LocalTimestampMicros
        | Schema::LocalTimestampNanos => "long",
    };
    plain.to_owned()
}

#[cfg(test)]
mod tests;
