//! One definition of a schema, of either kind.

use super::avro::Avro;
use super::protobuf::Protobuf;
use crate::emulator::pb::google::pubsub::v1 as pb;
use crate::emulator::state::Refusal;

/// Bytes of a definition at most (300 KB).
const DEFINITION_BYTES_MAX: usize = 300_000;

/// A parsed definition.
#[derive(Debug)]
pub(super) enum Definition {
    Avro(Box<Avro>),
    Protobuf(Protobuf),
}

/// Reads the type of a schema in a request.
pub(super) fn kind_of(schema: &pb::Schema) -> Result<pb::schema::Type, Refusal> {
    match schema.r#type() {
        pb::schema::Type::Unspecified => Err(Refusal::invalid("Invalid schema type given: it must be AVRO or PROTOCOL_BUFFER.")),
        kind => Ok(kind),
    }
}

impl Definition {
    /// Parses what a request has.
    pub(super) fn parse(kind: pb::schema::Type, text: &str) -> Result<Self, Refusal> {
        if text.len() > DEFINITION_BYTES_MAX {
            let given = text.len();
            return Err(Refusal::invalid(format!(
                "The value for schema_definition_size is too large. You passed {given} in the request, but the maximum value is {DEFINITION_BYTES_MAX}."
            )));
        }
        let parsed = match kind {
            pb::schema::Type::ProtocolBuffer => Protobuf::parse(text).map(Self::Protobuf),
            _ => Avro::parse(text).map(Box::new).map(Self::Avro),
        };
        parsed.map_err(|why| Refusal::invalid(format!("Invalid schema definition: {why}.")))
    }

    /// Checks a message; the error says what is wrong with it.
    pub(super) fn check(&self, encoding: pb::Encoding, data: &[u8]) -> Result<(), String> {
        match (self, encoding) {
            (Self::Avro(avro), pb::Encoding::Json) => avro.check_json(data),
            (Self::Avro(avro), _) => avro.check_binary(data),
            (Self::Protobuf(protobuf), pb::Encoding::Json) => protobuf.check_json(data),
            (Self::Protobuf(protobuf), _) => protobuf.check_binary(data),
        }
    }

    /// Checks that this may follow `old`.
    pub(super) fn compatible(&self, old: &Self) -> Result<(), String> {
        match (self, old) {
            (Self::Avro(new), Self::Avro(old)) => new.compatible(old),
            (Self::Protobuf(new), Self::Protobuf(old)) => new.compatible(old),
            _ => Err("the types of the schemas differ".to_owned()),
        }
    }

    /// What Google's error details call a message that does not fit.
    pub(super) fn reason(&self, encoding: pb::Encoding) -> &'static str {
        match (self, encoding) {
            (Self::Avro(_), pb::Encoding::Json) => "INVALID_JSON_AVRO_MESSAGE",
            (Self::Avro(_), _) => "INVALID_BINARY_AVRO_MESSAGE",
            (Self::Protobuf(_), pb::Encoding::Json) => "INVALID_JSON_PROTO_MESSAGE",
            (Self::Protobuf(_), _) => "INVALID_BINARY_PROTO_MESSAGE",
        }
    }
}
