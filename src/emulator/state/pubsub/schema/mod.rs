//! Schemas: definitions in revisions, and what they make of the messages of topics that name them.
//!
//! `commands` are the calls, `definition` is one definition (`avro`, `protobuf`), `stamp` is what publishing and delivering do.
//! Limits are those of <https://cloud.google.com/pubsub/docs/schemas> (2026); the reading of it where it is silent is said at the code.

mod avro;
mod commands;
mod definition;
mod protobuf;
mod stamp;

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::convert::pb_timestamp;
use super::names;
use crate::emulator::pb::google::pubsub::v1 as pb;
use crate::emulator::state::Refusal;
use crate::emulator::state::saved::{Reader, Saved, Writer, damaged, saved};
use crate::error::Result;
use definition::Definition;

/// What a topic or a message names in place of a schema that was deleted.
const DELETED_SCHEMA: &str = "_deleted-schema_";
/// What a message names in place of a revision that was deleted.
const DELETED_REVISION: &str = "_deleted-schema-revision_";

/// All schemas by their full names.
#[derive(Debug, Default)]
pub(super) struct Schemas(BTreeMap<String, Schema>);

saved!(tuple Schemas);

/// A schema: at least one revision.
#[derive(Debug)]
struct Schema {
    kind: pb::schema::Type,
    /// By number, which is the order of their creation.
    revisions: BTreeMap<u64, Revision>,
    /// The numbers of all ids ever given, so that a range that names a deleted revision still has its place.
    numbers: BTreeMap<String, u64>,
}

saved!(struct Schema { kind, revisions, numbers });

#[derive(Debug)]
struct Revision {
    id: String,
    text: String,
    created: Timestamp,
    definition: Definition,
}

/// A schema's name as requests have it: with or without a revision.
#[derive(Debug, Clone, Copy)]
struct Name<'a> {
    schema: &'a str,
    revision: Option<&'a str>,
}

impl<'a> Name<'a> {
    fn new(text: &'a str) -> Self {
        match text.rsplit_once('@') {
            Some((schema, revision)) => Self { schema, revision: Some(revision) },
            None => Self { schema: text, revision: None },
        }
    }
}

impl Schemas {
    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn get(&self, name: &str) -> Result<&Schema, Refusal> {
        self.0.get(name).ok_or_else(|| names::not_found(name, "schemas"))
    }

    fn get_mut(&mut self, name: &str) -> Result<&mut Schema, Refusal> {
        self.0.get_mut(name).ok_or_else(|| names::not_found(name, "schemas"))
    }
}

impl Schema {
    /// The revision of this id, or the latest.
    fn revision(&self, name: Name<'_>) -> Result<&Revision, Refusal> {
        let found = match name.revision {
            None => self.revisions.values().next_back(),
            Some(id) => self.numbers.get(id).and_then(|number| self.revisions.get(number)),
        };
        found.ok_or_else(|| no_revision(name.schema, name.revision.unwrap_or_default()))
    }

    /// The revisions of a topic's range, the latest first. A bound that was deleted stands for the nearest revision inside the range.
    fn range(&self, settings: &pb::SchemaSettings) -> impl Iterator<Item = &Revision> {
        let number = |id: &str| self.numbers.get(id).copied();
        let first = number(&settings.first_revision_id).unwrap_or(0);
        let last = number(&settings.last_revision_id).unwrap_or(u64::MAX);
        self.revisions.iter().rev().filter(move |(number, _)| (first..=last).contains(number)).map(|(_, revision)| revision)
    }

    /// The schema at one of its revisions, as clients see it.
    fn show(&self, name: &str, revision: &Revision, full: bool) -> pb::Schema {
        pb::Schema {
            name: name.to_owned(),
            r#type: self.kind.into(),
            definition: if full { revision.text.clone() } else { String::new() },
            revision_id: revision.id.clone(),
            revision_create_time: Some(pb_timestamp(revision.created)),
        }
    }
}

fn no_revision(schema: &str, id: &str) -> Refusal {
    Refusal::not_found(format!("Schema revision not found (schema={}, revision_id={id}).", names::id(schema)))
}

/// A definition is kept as its text.
impl Saved for Revision {
    fn save(&self, to: &mut Writer) {
        let Self { id, text, created, definition } = self;
        id.save(to);
        text.save(to);
        created.save(to);
        matches!(definition, Definition::Avro(_)).save(to);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self> {
        let (id, text) = <(String, String)>::load(from)?;
        let created = Saved::load(from)?;
        let kind = if bool::load(from)? { pb::schema::Type::Avro } else { pb::schema::Type::ProtocolBuffer };
        let definition = Definition::parse(kind, &text).map_err(|refusal| damaged(&refusal.message))?;
        Ok(Self { id, text, created, definition })
    }
}

impl Saved for pb::schema::Type {
    fn save(&self, to: &mut Writer) {
        i32::from(*self).save(to);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self> {
        Self::try_from(i32::load(from)?).map_err(|_| damaged("an unknown kind of schema"))
    }
}
