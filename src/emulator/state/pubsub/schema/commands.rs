//! The calls of `SchemaService`.

use std::collections::BTreeMap;

use super::definition::{Definition, kind_of};
use super::stamp::misfit;
use super::{DELETED_SCHEMA, Name, Revision, Schema, Schemas, no_revision};
use crate::emulator::pb::google::pubsub::v1 as pb;
use crate::emulator::state::pubsub::names;
use crate::emulator::state::pubsub::page::Page;
use crate::emulator::state::{Code, Command, Effects, Moment, Refusal, State};

/// Schemas of a project at most.
const SCHEMAS_MAX: usize = 10_000;
/// Revisions of a schema at most.
const REVISIONS_MAX: usize = 20;

/// Whether a view has the definition; `default` is what a request without one means.
fn is_full(view: pb::SchemaView, default: bool) -> bool {
    match view {
        pb::SchemaView::Unspecified => default,
        pb::SchemaView::Basic => false,
        pb::SchemaView::Full => true,
    }
}

impl Schema {
    /// Adds a revision, with an id that it never had.
    fn add(&mut self, text: String, definition: Definition, at: Moment) -> &Revision {
        let mut seed = at.seed;
        // Eight hexadecimal digits, as Google's.
        let id = loop {
            let id = format!("{:08x}", seed & 0xffff_ffff);
            if !self.numbers.contains_key(&id) {
                break id;
            }
            seed += 1;
        };
        let number = self.numbers.len() as u64;
        self.numbers.insert(id.clone(), number);
        self.revisions.entry(number).or_insert(Revision { id, text, created: at.now, definition })
    }

    fn require_room(&self) -> Result<(), Refusal> {
        if self.revisions.len() < REVISIONS_MAX {
            return Ok(());
        }
        Err(Refusal::new(
            Code::ResourceExhausted,
            format!("A schema can have at most {REVISIONS_MAX} revisions. Delete one of them first."),
        ))
    }
}

impl Command for pb::CreateSchemaRequest {
    type Reply = pb::Schema;

    fn apply(self, state: &mut State, at: Moment, _out: &mut Effects) -> Result<pb::Schema, Refusal> {
        let Schemas(schemas) = &mut state.pubsub.schemas;
        names::check_project(&self.parent)?;
        let new = self.schema.ok_or_else(|| Refusal::invalid("The schema must be set."))?;
        let prefix = format!("{}/schemas/", self.parent);
        // Some clients put the name into the schema instead.
        let name = if self.schema_id.is_empty() { new.name.clone() } else { format!("{prefix}{}", self.schema_id) };
        names::check(&name, "schemas")?;
        if !name.starts_with(&prefix) {
            return Err(Refusal::invalid("The name of the schema does not begin with the parent."));
        }
        let kind = kind_of(&new)?;
        let definition = Definition::parse(kind, &new.definition)?;
        if schemas.contains_key(&name) {
            return Err(names::exists(&name));
        }
        if schemas.range(prefix.clone()..).take_while(|(name, _)| name.starts_with(&prefix)).nth(SCHEMAS_MAX - 1).is_some() {
            return Err(Refusal::new(Code::ResourceExhausted, format!("A project can have at most {SCHEMAS_MAX} schemas.")));
        }
        let mut schema = Schema { kind, revisions: BTreeMap::new(), numbers: BTreeMap::new() };
        schema.add(new.definition, definition, at);
        let shown = schema.show(&name, schema.revision(Name::new(&name))?, true);
        schemas.insert(name, schema);
        Ok(shown)
    }
}

impl Command for pb::GetSchemaRequest {
    type Reply = pb::Schema;

    fn apply(self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<pb::Schema, Refusal> {
        let name = Name::new(&self.name);
        let schema = state.pubsub.schemas.get(name.schema)?;
        Ok(schema.show(name.schema, schema.revision(name)?, is_full(self.view(), true)))
    }
}

impl Command for pb::ListSchemasRequest {
    type Reply = pb::ListSchemasResponse;

    fn apply(self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<pb::ListSchemasResponse, Refusal> {
        names::check_project(&self.parent)?;
        let page = Page::new(self.page_size, &self.page_token)?;
        let (prefix, full) = (format!("{}/schemas/", self.parent), is_full(self.view(), false));
        let found = names::below(&state.pubsub.schemas.0, &page, &prefix);
        let latest = found.filter_map(|(name, schema)| {
            let revision = schema.revisions.values().next_back()?;
            Some((name.as_str(), schema.show(name, revision, full)))
        });
        let (schemas, next_page_token) = page.take(latest);
        Ok(pb::ListSchemasResponse { schemas, next_page_token })
    }
}

/// Lists the revisions, the latest first.
impl Command for pb::ListSchemaRevisionsRequest {
    type Reply = pb::ListSchemaRevisionsResponse;

    fn apply(self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<pb::ListSchemaRevisionsResponse, Refusal> {
        let schema = state.pubsub.schemas.get(&self.name)?;
        let page = Page::new(self.page_size, &self.page_token)?;
        let full = is_full(self.view(), false);
        let before = page.after().map(|id| schema.numbers.get(id).copied().unwrap_or(0));
        let rest = schema.revisions.iter().rev().filter(|(number, _)| before.is_none_or(|before| **number < before));
        let (schemas, next_page_token) =
            page.take(rest.map(|(_, revision)| (revision.id.as_str(), schema.show(&self.name, revision, full))));
        Ok(pb::ListSchemaRevisionsResponse { schemas, next_page_token })
    }
}

/// Adds a revision, which must be compatible with all that are there.
impl Command for pb::CommitSchemaRequest {
    type Reply = pb::Schema;

    fn apply(self, state: &mut State, at: Moment, _out: &mut Effects) -> Result<pb::Schema, Refusal> {
        let schema = state.pubsub.schemas.get_mut(&self.name)?;
        let new = self.schema.ok_or_else(|| Refusal::invalid("The schema must be set."))?;
        if !new.name.is_empty() && new.name != self.name {
            return Err(Refusal::invalid("The name of the schema must be the one that the request names."));
        }
        if kind_of(&new)? != schema.kind {
            return Err(Refusal::invalid("The type of a schema cannot be changed."));
        }
        let definition = Definition::parse(schema.kind, &new.definition)?;
        for revision in schema.revisions.values().rev() {
            definition.compatible(&revision.definition).map_err(|why| {
                let (name, id) = (names::id(&self.name), &revision.id);
                Refusal::invalid(format!(
                    "Compatibility checking failed to commit a schema revision (schema={name}): Revision is incompatible with previous revision: {id}. {why}"
                ))
            })?;
        }
        schema.require_room()?;
        schema.add(new.definition, definition, at);
        Ok(schema.show(&self.name, schema.revision(Name::new(&self.name))?, true))
    }
}

/// Adds a revision with the definition of an earlier one.
impl Command for pb::RollbackSchemaRequest {
    type Reply = pb::Schema;

    fn apply(self, state: &mut State, at: Moment, _out: &mut Effects) -> Result<pb::Schema, Refusal> {
        let schema = state.pubsub.schemas.get_mut(&self.name)?;
        if self.revision_id.is_empty() {
            return Err(Refusal::invalid("The revision_id must be set."));
        }
        let text = schema.revision(Name { schema: &self.name, revision: Some(&self.revision_id) })?.text.clone();
        schema.require_room()?;
        let definition = Definition::parse(schema.kind, &text)?;
        schema.add(text, definition, at);
        Ok(schema.show(&self.name, schema.revision(Name::new(&self.name))?, true))
    }
}

impl Command for pb::DeleteSchemaRevisionRequest {
    type Reply = pb::Schema;

    fn apply(self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<pb::Schema, Refusal> {
        let name = Name::new(&self.name);
        let schema = state.pubsub.schemas.get_mut(name.schema)?;
        // The field is deprecated, and still sent by old clients.
        let id = name.revision.unwrap_or(&self.revision_id);
        if id.is_empty() {
            return Err(Refusal::invalid("The name must have the revision: projects/PROJECT/schemas/SCHEMA@REVISION."));
        }
        let number = schema.numbers.get(id).copied().filter(|number| schema.revisions.contains_key(number));
        let number = number.ok_or_else(|| no_revision(name.schema, id))?;
        if schema.revisions.len() == 1 {
            return Err(Refusal::invalid("Cannot delete last revision. Please use DeleteSchema."));
        }
        schema.revisions.remove(&number);
        Ok(schema.show(name.schema, schema.revision(Name::new(name.schema))?, true))
    }
}

/// Deletes the schema; topics that name it take no more messages.
impl Command for pb::DeleteSchemaRequest {
    type Reply = ();

    fn apply(self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<(), Refusal> {
        let pubsub = &mut state.pubsub;
        pubsub.schemas.0.remove(&self.name).ok_or_else(|| names::not_found(&self.name, "schemas"))?;
        pubsub.policies.remove(&self.name);
        let settings = pubsub.topics.values_mut().filter_map(|topic| topic.settings.schema_settings.as_mut());
        settings.filter(|settings| settings.schema == self.name).for_each(|settings| DELETED_SCHEMA.clone_into(&mut settings.schema));
        Ok(())
    }
}

impl Command for pb::ValidateSchemaRequest {
    type Reply = pb::ValidateSchemaResponse;

    fn apply(self, _state: &mut State, _at: Moment, _out: &mut Effects) -> Result<pb::ValidateSchemaResponse, Refusal> {
        names::check_project(&self.parent)?;
        let schema = self.schema.ok_or_else(|| Refusal::invalid("The schema must be set."))?;
        Definition::parse(kind_of(&schema)?, &schema.definition)?;
        Ok(pb::ValidateSchemaResponse {})
    }
}

impl Command for pb::ValidateMessageRequest {
    type Reply = pb::ValidateMessageResponse;

    fn apply(self, state: &mut State, _at: Moment, _out: &mut Effects) -> Result<pb::ValidateMessageResponse, Refusal> {
        names::check_project(&self.parent)?;
        let encoding = self.encoding();
        if encoding == pb::Encoding::Unspecified {
            return Err(Refusal::invalid("The encoding must be JSON or BINARY."));
        }
        let check = |definition: &Definition| match definition.check(encoding, &self.message) {
            Ok(()) => Ok(pb::ValidateMessageResponse {}),
            Err(why) => Err(misfit(definition, encoding, Some(why))),
        };
        match &self.schema_spec {
            Some(pb::validate_message_request::SchemaSpec::Name(name)) => {
                let name = Name::new(name);
                check(&state.pubsub.schemas.get(name.schema)?.revision(name)?.definition)
            }
            Some(pb::validate_message_request::SchemaSpec::Schema(schema)) => {
                check(&Definition::parse(kind_of(schema)?, &schema.definition)?)
            }
            None => Err(Refusal::invalid("The schema must be set, or its name.")),
        }
    }
}
