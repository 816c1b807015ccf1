//! Schemas: revisions, what topics make of them, and what receivers are told.

use super::*;
use crate::emulator::state::pubsub::publish::Published;

const USER: &str = r#"{"type": "record", "name": "User", "fields": [{"name": "id", "type": "int"}]}"#;
const USER_2: &str =
    r#"{"type": "record", "name": "User", "fields": [{"name": "id", "type": "int"}, {"name": "mail", "type": "string", "default": ""}]}"#;
const PROTO: &str = "syntax = \"proto3\"; message User { int32 id = 1; repeated Line lines = 2; message Line { string text = 1; } }";

fn name(id: &str) -> String {
    format!("projects/shop/schemas/{id}")
}

#[expect(clippy::unnecessary_wraps, reason = "as the fields take it")]
fn schema(kind: pb::schema::Type, definition: &str) -> Option<pb::Schema> {
    Some(pb::Schema { r#type: kind.into(), definition: definition.to_owned(), ..Default::default() })
}

fn create(id: &str, kind: pb::schema::Type, definition: &str) -> pb::CreateSchemaRequest {
    pb::CreateSchemaRequest { parent: "projects/shop".into(), schema: schema(kind, definition), schema_id: id.into() }
}

fn commit(id: &str, kind: pb::schema::Type, definition: &str) -> pb::CommitSchemaRequest {
    pb::CommitSchemaRequest { name: name(id), schema: schema(kind, definition) }
}

use pb::Encoding::{Binary, Json};
use pb::schema::Type::{Avro, ProtocolBuffer};

impl World {
    /// A topic `orders` with a subscription `billing`, whose messages are checked against the schema `user`.
    fn with_schema(kind: pb::schema::Type, definition: &str, encoding: pb::Encoding) -> Self {
        let mut world = Self::new();
        world.run(create("user", kind, definition)).unwrap();
        let settings = pb::SchemaSettings { schema: name("user"), encoding: encoding.into(), ..Default::default() };
        world.run(pb::Topic { name: topic("orders"), schema_settings: Some(settings), ..Default::default() }).unwrap();
        world.add_subscription("billing", "orders", |_| {});
        world
    }

    fn send(&mut self, data: impl Into<bytes::Bytes>) -> Result<Vec<String>, Refusal> {
        let message = pb::PubsubMessage { data: data.into(), ..Default::default() };
        self.run(pb::PublishRequest { topic: topic("orders"), messages: vec![message] }).map(Published::into_texts)
    }

    fn set_range(&mut self, first: &str, last: &str) -> Result<pb::Topic, Refusal> {
        let settings = pb::SchemaSettings { first_revision_id: first.into(), last_revision_id: last.into(), ..Default::default() };
        let update_mask = Some(prost_types::FieldMask {
            paths: vec!["schema_settings.first_revision_id".into(), "schema_settings.last_revision_id".into()],
        });
        let topic = Some(pb::Topic { name: topic("orders"), schema_settings: Some(settings), ..Default::default() });
        self.run(pb::UpdateTopicRequest { topic, update_mask })
    }

    fn told(&mut self) -> Vec<(String, String)> {
        let received = self.pull("billing", 1).remove(0);
        received.message.unwrap().attributes.into_iter().collect()
    }
}

#[test]
fn revisions_are_made_read_and_deleted() {
    let mut world = World::new();
    let first = world.run(create("user", Avro, USER)).unwrap();
    assert_eq!((first.name.as_str(), first.definition.as_str(), first.revision_id.len()), (name("user").as_str(), USER, 8));
    world.refused(create("user", Avro, USER), Code::AlreadyExists, "Resource already exists in the project (resource=user).");
    world.pass(1000);
    let second = world.run(commit("user", Avro, USER_2)).unwrap();
    assert_ne!(second.revision_id, first.revision_id);
    let get = |name: String, view: pb::SchemaView| pb::GetSchemaRequest { name, view: view.into() };
    assert_eq!(world.run(get(name("user"), pb::SchemaView::Unspecified)).unwrap(), second);
    let basic = world.run(get(format!("{}@{}", name("user"), first.revision_id), pb::SchemaView::Basic)).unwrap();
    assert_eq!(basic, pb::Schema { definition: String::new(), ..first.clone() });
    let third = world.run(pb::RollbackSchemaRequest { name: name("user"), revision_id: first.revision_id.clone() }).unwrap();
    assert_eq!(third.definition, USER);
    let list = |page_size, page_token| pb::ListSchemaRevisionsRequest { name: name("user"), view: 2, page_size, page_token };
    let page = world.run(list(2, String::new())).unwrap();
    assert_eq!(page.schemas, [third.clone(), second.clone()]);
    let rest = world.run(list(2, page.next_page_token)).unwrap();
    assert_eq!((rest.schemas, rest.next_page_token), (vec![first.clone()], String::new()));
    let schemas = world.run(pb::ListSchemasRequest { parent: "projects/shop".into(), ..Default::default() }).unwrap();
    assert_eq!(schemas.schemas, [pb::Schema { definition: String::new(), ..third.clone() }]);
    let delete = |id: &str| pb::DeleteSchemaRevisionRequest { name: format!("{}@{id}", name("user")), ..Default::default() };
    assert_eq!(world.run(delete(&third.revision_id)).unwrap(), second);
    world.run(delete(&first.revision_id)).unwrap();
    world.refused(
        delete(&first.revision_id),
        Code::NotFound,
        &format!("Schema revision not found (schema=user, revision_id={}).", first.revision_id),
    );
    let only = "Cannot delete last revision. Please use DeleteSchema.";
    world.refused(delete(&second.revision_id), Code::InvalidArgument, only);
    world.run(pb::DeleteSchemaRequest { name: name("user") }).unwrap();
    world.refused(get(name("user"), pb::SchemaView::Full), Code::NotFound, "Resource not found (resource=user).");
}

#[test]
fn definitions_have_limits_and_must_fit_the_ones_before() {
    let mut world = World::new();
    let first = world.run(create("user", ProtocolBuffer, PROTO)).unwrap().revision_id;
    let edited = PROTO.replace("int32 id", "string id");
    let says = format!(
        "Compatibility checking failed to commit a schema revision (schema=user): Revision is incompatible with previous revision: {first}. id of type string is not compatible with id of type int32"
    );
    world.refused(commit("user", ProtocolBuffer, &edited), Code::InvalidArgument, &says);
    world.refused(commit("user", Avro, USER), Code::InvalidArgument, "The type of a schema cannot be changed.");
    for n in 1..20 {
        world
            .run(commit("user", ProtocolBuffer, &PROTO.replace("int32 id = 1;", &format!("int32 id = 1; string f{n} = {};", n + 2))))
            .unwrap();
    }
    world.refused(
        commit("user", ProtocolBuffer, PROTO),
        Code::ResourceExhausted,
        "A schema can have at most 20 revisions. Delete one of them first.",
    );
    let large = format!("{PROTO}//{}", "x".repeat(300_000));
    let says = format!(
        "The value for schema_definition_size is too large. You passed {} in the request, but the maximum value is 300000.",
        large.len()
    );
    world.refused(create("large", ProtocolBuffer, &large), Code::InvalidArgument, &says);
    let unspecified = pb::schema::Type::Unspecified;
    world.refused(
        create("none", unspecified, USER),
        Code::InvalidArgument,
        "Invalid schema type given: it must be AVRO or PROTOCOL_BUFFER.",
    );
    let deep = format!("syntax = \"proto3\"; {}{}", "message A { ".repeat(10_000), "}".repeat(10_000));
    for text in ["", "message", "syntax = \"proto3\";", &format!("{PROTO} enum E {{ A = 0; }}"), &format!("{PROTO} message B {{}}"), &deep]
    {
        let validate = pb::ValidateSchemaRequest { parent: "projects/shop".into(), schema: schema(ProtocolBuffer, text) };
        let refusal = world.run(validate).unwrap_err();
        assert!(refusal.message.starts_with("Invalid schema definition: "), "{}", refusal.message);
    }
    let imports = "syntax = \"proto3\"; import \"google/protobuf/timestamp.proto\"; message A { google.protobuf.Timestamp t = 1; }";
    assert_eq!(world.run(create("imports", ProtocolBuffer, imports)).unwrap_err().code, Code::InvalidArgument);
    for bad in ["1user", "go", "googuser", ""] {
        assert_eq!(world.run(create(bad, Avro, USER)).unwrap_err().code, Code::InvalidArgument, "{bad}");
    }
}

#[test]
fn a_topic_takes_what_fits_and_tells_receivers() {
    let mut world = World::with_schema(Avro, USER, Json);
    world.send(r#"{"id": 7}"#).unwrap();
    let revision = world.run(pb::GetSchemaRequest { name: name("user"), view: 0 }).unwrap().revision_id;
    let expected =
        [("googclient_schemaencoding", "JSON"), ("googclient_schemaname", &name("user")), ("googclient_schemarevisionid", &revision)];
    assert_eq!(world.told(), expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    let refusal = world.send(r#"{"id": "7"}"#).unwrap_err();
    assert_eq!(
        (refusal.code, refusal.message.as_str()),
        (Code::InvalidArgument, "Invalid data in message: Message failed schema validation.")
    );
    let info = refusal.info.unwrap();
    assert_eq!((info.reason, info.domain), ("INVALID_JSON_AVRO_MESSAGE", "pubsub.googleapis.com"));
    assert_eq!(
        info.metadata["revisionInfo"],
        format!(
            "Could not validate message with any schema revision for schema: {}, last checked revision: revision_id={revision} failed with status: JSON object with type string does not match schema which expected number_integer",
            name("user")
        )
    );
    assert_eq!(world.stats("billing").undelivered, 1, "nothing of a refused request is published");
}

#[test]
fn protocol_buffers_on_the_wire_and_as_json() {
    let mut world = World::with_schema(ProtocolBuffer, PROTO, Binary);
    world.send(vec![8, 7, 0x12, 3, 0x0a, 1, b'x']).unwrap();
    for (wrong, what) in [
        (vec![8], "cut"),
        (vec![0x18, 1], "an unknown field"),
        (vec![0x12, 2, 0x10, 1], "an unknown field inside"),
        (b"{}".to_vec(), "JSON"),
    ] {
        let refusal = world.send(wrong).expect_err(what);
        assert_eq!(refusal.info.unwrap().reason, "INVALID_BINARY_PROTO_MESSAGE");
    }
    let mut world = World::with_schema(ProtocolBuffer, PROTO, Json);
    world.send(r#"{"id": 7, "lines": [{"text": "x"}]}"#).unwrap();
    for wrong in [r#"{"id": "x"}"#, r#"{"other": 1}"#, "{} {}", ""] {
        world.send(wrong).unwrap_err();
    }
    let required = "syntax = \"proto2\"; message A { required int32 id = 1; }";
    let mut world = World::with_schema(ProtocolBuffer, required, Binary);
    world.send(vec![8, 1]).unwrap();
    let attributes = [("a".to_owned(), "b".to_owned())].into();
    let empty = pb::PubsubMessage { attributes, ..Default::default() };
    world.run(pb::PublishRequest { topic: topic("orders"), messages: vec![empty] }).unwrap_err();
}

#[test]
fn a_range_of_revisions_is_tried_from_the_last_to_the_first() {
    let mut world = World::with_schema(Avro, USER, Binary);
    let first = world.run(pb::GetSchemaRequest { name: name("user"), view: 0 }).unwrap().revision_id;
    let second = world.run(commit("user", Avro, USER_2)).unwrap().revision_id;
    let (old, new) = (vec![14], vec![14, 2, b'x']);
    for (data, revision) in [(&new, &second), (&old, &first)] {
        world.send(data.clone()).unwrap();
        let told = world.told();
        assert_eq!(told[2].1, *revision);
    }
    world.set_range("", &first).unwrap();
    world.send(new.clone()).unwrap_err();
    world.set_range(&second, "").unwrap();
    world.send(old.clone()).unwrap_err();
    let refusal = world.set_range(&second, &first).unwrap_err();
    assert_eq!(refusal.message, "Invalid schema settings given: the first revision was created after the last one.");
    assert_eq!(world.set_range("ffffffff", "").unwrap_err().code, Code::NotFound);
    // The next revision stands in for a first one that was deleted.
    let third = world.run(commit("user", Avro, USER_2)).unwrap().revision_id;
    world.send(new.clone()).unwrap();
    world.run(pb::DeleteSchemaRevisionRequest { name: format!("{}@{second}", name("user")), ..Default::default() }).unwrap();
    world.send(new).unwrap();
    world.send(old).unwrap_err();
    let range = world.run(pb::GetTopicRequest { topic: topic("orders") }).unwrap().schema_settings.unwrap();
    assert_eq!((range.first_revision_id, range.last_revision_id), (second, String::new()));
    assert_ne!(third, first);
}

#[test]
fn what_is_deleted_reads_so() {
    let mut world = World::with_schema(Avro, USER, Json);
    world.send(r#"{"id": 1}"#).unwrap();
    world.send(r#"{"id": 2}"#).unwrap();
    let first = world.run(pb::GetSchemaRequest { name: name("user"), view: 0 }).unwrap().revision_id;
    world.run(commit("user", Avro, USER_2)).unwrap();
    world.run(pb::DeleteSchemaRevisionRequest { name: name("user"), revision_id: first }).unwrap();
    let told = world.told();
    assert_eq!((told[1].1.clone(), told[2].1.as_str()), (name("user"), "_deleted-schema-revision_"));
    world.run(pb::DeleteSchemaRequest { name: name("user") }).unwrap();
    let told = world.told();
    assert_eq!((told[1].1.as_str(), told[2].1.as_str()), ("_deleted-schema_", "_deleted-schema-revision_"));
    let refusal = world.send(r#"{"id": 1}"#).unwrap_err();
    assert_eq!((refusal.code, refusal.message.as_str()), (Code::NotFound, "Schema associated with topic deleted."));
    let read = world.run(pb::GetTopicRequest { topic: topic("orders") }).unwrap();
    assert_eq!(read.schema_settings.unwrap().schema, "_deleted-schema_");
    let update_mask = Some(prost_types::FieldMask { paths: vec!["schema_settings".into()] });
    world.run(pb::UpdateTopicRequest { topic: Some(pb::Topic { name: topic("orders"), ..Default::default() }), update_mask }).unwrap();
    world.send("anything").unwrap();
}

#[test]
fn messages_are_validated_on_request() {
    let mut world = World::new();
    world.run(create("user", Avro, USER)).unwrap();
    let validate = |spec, message: &str, encoding: pb::Encoding| pb::ValidateMessageRequest {
        parent: "projects/shop".into(),
        message: message.to_owned().into_bytes(),
        encoding: encoding.into(),
        schema_spec: spec,
    };
    let by_name = |name: String| Some(pb::validate_message_request::SchemaSpec::Name(name));
    let given = |text| schema(Avro, text).map(pb::validate_message_request::SchemaSpec::Schema);
    world.run(validate(by_name(name("user")), r#"{"id": 1}"#, Json)).unwrap();
    world.run(validate(given(r#""string""#), r#""text""#, Json)).unwrap();
    world.run(validate(given(r#""string""#), "\u{2}x", Binary)).unwrap();
    let says = "Invalid data in message: Message failed schema validation.";
    world.refused(validate(by_name(name("user")), r#"{"id": null}"#, Json), Code::InvalidArgument, says);
    world.refused(validate(by_name(name("none")), "1", Json), Code::NotFound, "Resource not found (resource=none).");
    let unspecified = validate(by_name(name("user")), "1", pb::Encoding::Unspecified);
    world.refused(unspecified, Code::InvalidArgument, "The encoding must be JSON or BINARY.");
    world.refused(validate(None, "1", Json), Code::InvalidArgument, "The schema must be set, or its name.");
}

#[test]
fn settings_of_a_topic_are_checked() {
    let mut world = World::new();
    world.run(create("user", Avro, USER)).unwrap();
    let mut create = |schema: String, encoding: pb::Encoding| {
        let settings = pb::SchemaSettings { schema, encoding: encoding.into(), ..Default::default() };
        world.run(pb::Topic { name: topic("orders"), schema_settings: Some(settings), ..Default::default() })
    };
    assert_eq!(create(name("none"), Json).unwrap_err().code, Code::NotFound);
    assert_eq!(create("user".into(), Json).unwrap_err().code, Code::InvalidArgument);
    assert_eq!(create(name("user"), pb::Encoding::Unspecified).unwrap_err().code, Code::InvalidArgument);
    assert_eq!(create(String::new(), pb::Encoding::Unspecified).unwrap().schema_settings, None);
}

#[test]
fn attributes_of_googles_own_are_refused() {
    let mut world = World::with_billing(|_| {});
    let attributes = [("googclient_schemaname".to_owned(), "mine".to_owned())].into();
    let message = pb::PubsubMessage { attributes, ..Default::default() };
    let publish = pb::PublishRequest { topic: topic("orders"), messages: vec![message] };
    world.refused(publish, Code::InvalidArgument, "Attribute keys must not begin with 'goog' (key=googclient_schemaname).");
}
