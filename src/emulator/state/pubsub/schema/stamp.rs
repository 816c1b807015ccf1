//! Topics with a schema: their settings, the check of what is published, and the attributes that tell receivers about it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::definition::Definition;
use super::{DELETED_REVISION, DELETED_SCHEMA, Name, Revision, Schema, Schemas, no_revision};
use crate::emulator::pb::google::pubsub::v1 as pb;
use crate::emulator::state::pubsub::{Draft, names};
use crate::emulator::state::{Info, Refusal};

const ENCODING: &str = "googclient_schemaencoding";
const NAME: &str = "googclient_schemaname";
const REVISION: &str = "googclient_schemarevisionid";

/// The words of every refused message; what is wrong with it is in the details.
const INVALID: &str = "Invalid data in message: Message failed schema validation.";

impl Schemas {
    /// Checks what a topic wants; settings without a schema mean none.
    pub(in super::super) fn check_settings(&self, settings: &mut Option<pb::SchemaSettings>) -> Result<(), Refusal> {
        let Some(wanted) = settings else { return Ok(()) };
        if wanted.schema.is_empty() {
            *settings = None;
            return Ok(());
        }
        if wanted.schema == DELETED_SCHEMA {
            return Ok(());
        }
        names::check(&wanted.schema, "schemas")?;
        let schema = self.get(&wanted.schema)?;
        if wanted.encoding() == pb::Encoding::Unspecified {
            return Err(Refusal::invalid("Invalid schema settings given: the encoding must be JSON or BINARY."));
        }
        let mut numbers = Vec::new();
        for id in [&wanted.first_revision_id, &wanted.last_revision_id].into_iter().filter(|id| !id.is_empty()) {
            numbers.push(*schema.numbers.get(id).ok_or_else(|| no_revision(&wanted.schema, id))?);
        }
        if !numbers.is_sorted() {
            return Err(Refusal::invalid("Invalid schema settings given: the first revision was created after the last one."));
        }
        Ok(())
    }

    /// Checks messages that are published, and adds what tells receivers about their schema.
    pub(in super::super) fn stamp(&self, settings: Option<&pb::SchemaSettings>, drafts: &mut [Draft]) -> Result<(), Refusal> {
        let Some(settings) = settings else { return Ok(()) };
        let schema = self.0.get(&settings.schema).ok_or_else(|| Refusal::not_found("Schema associated with topic deleted."))?;
        let encoding = settings.encoding();
        for draft in drafts {
            let revision = schema.accept(settings, encoding, &draft.data)?;
            let own = [(ENCODING, encoding.as_str_name()), (NAME, &settings.schema), (REVISION, &revision.id)];
            draft.attributes.extend(own.map(|(key, value)| (key.to_owned(), value.to_owned())));
        }
        Ok(())
    }

    /// A message's attributes as receivers get them: a schema or a revision that is gone by now reads as deleted.
    pub(in super::super) fn shown<'a>(&self, attributes: &'a BTreeMap<String, String>) -> Cow<'a, BTreeMap<String, String>> {
        let mut shown = Cow::Borrowed(attributes);
        let Some(name) = attributes.get(NAME) else { return shown };
        let schema = self.0.get(name);
        if schema.is_none() {
            shown.to_mut().insert(NAME.to_owned(), DELETED_SCHEMA.to_owned());
        }
        let id = attributes.get(REVISION).map(String::as_str);
        if schema.is_none_or(|schema| schema.revision(Name { schema: name, revision: id }).is_err()) {
            shown.to_mut().insert(REVISION.to_owned(), DELETED_REVISION.to_owned());
        }
        shown
    }
}

impl Schema {
    /// Finds the revision of a topic's range, the latest first, that a message fits.
    fn accept(&self, settings: &pb::SchemaSettings, encoding: pb::Encoding, data: &[u8]) -> Result<&Revision, Refusal> {
        let mut last = None;
        for revision in self.range(settings) {
            match revision.definition.check(encoding, data) {
                Ok(()) => return Ok(revision),
                Err(why) => last = Some((revision, why)),
            }
        }
        let Some((revision, why)) = last else {
            return Err(Refusal::precondition("No revision of the topic's schema is within its range of revisions."));
        };
        let about = format!(
            "Could not validate message with any schema revision for schema: {}, last checked revision: revision_id={} failed with status: {why}",
            settings.schema, revision.id
        );
        Err(misfit(&revision.definition, encoding, Some(about)))
    }
}

/// The refusal of a message.
pub(super) fn misfit(definition: &Definition, encoding: pb::Encoding, about: Option<String>) -> Refusal {
    let mut metadata = BTreeMap::from([("message".to_owned(), "Message failed schema validation".to_owned())]);
    metadata.extend(about.map(|about| ("revisionInfo".to_owned(), about)));
    Refusal::invalid(INVALID).with_info(Info { reason: definition.reason(encoding), domain: "pubsub.googleapis.com", metadata })
}
