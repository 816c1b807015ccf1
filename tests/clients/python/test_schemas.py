"""SchemaService: every call, what topics make of a schema, and what receivers are told."""

import json
import struct

import pytest
from conftest import MISSING, connect, refused, until
from google.api_core.exceptions import BadRequest
from google.iam.v1.policy_pb2 import Binding, Policy
from google.pubsub_v1 import SchemaServiceClient
from google.pubsub_v1.types import Encoding, PubsubMessage, Schema, SchemaSettings, SchemaView, Topic

USER = json.dumps({"type": "record", "name": "User", "fields": [{"name": "id", "type": "int"}, {"name": "mail", "type": ["null", "string"], "default": None}]})
USER_2 = json.dumps({**json.loads(USER), "fields": [*json.loads(USER)["fields"], {"name": "age", "type": "int", "default": 0}]})
PROTO = 'syntax = "proto3"; message User { int32 id = 1; repeated string mails = 2; }'


@pytest.fixture
def schemas(transport):
    return connect(SchemaServiceClient, transport)


@pytest.fixture
def parent(project):
    return f"projects/{project}"


def create(schemas, parent, name="user", kind=Schema.Type.AVRO, definition=USER):
    return schemas.create_schema(parent=parent, schema=Schema(type_=kind, definition=definition), schema_id=name)


def commit(schemas, schema, definition=USER_2):
    return schemas.commit_schema(name=schema.name, schema=Schema(name=schema.name, type_=schema.type_, definition=definition))


def checked_topic(publisher, project, schema, encoding, **settings):
    settings = SchemaSettings(schema=schema.name, encoding=encoding, **settings)
    return publisher.create_topic(request=Topic(name=f"projects/{project}/topics/users", schema_settings=settings)).name


def receive(subscriber, subscription):
    received = []
    until("a message", lambda: received.extend(subscriber.pull(subscription=subscription, max_messages=1).received_messages) or received)
    subscriber.acknowledge(subscription=subscription, ack_ids=[received[0].ack_id])
    return received[0].message


def test_create_get_list_and_delete(schemas, parent):
    created = create(schemas, parent)
    assert created.name == f"{parent}/schemas/user"
    assert (created.type_, created.definition) == (Schema.Type.AVRO, USER)
    assert len(created.revision_id) == 8
    assert created.revision_create_time
    assert schemas.get_schema(name=created.name) == created
    assert schemas.get_schema(request={"name": f"{created.name}@{created.revision_id}"}) == created
    assert not schemas.get_schema(request={"name": created.name, "view": SchemaView.BASIC}).definition
    create(schemas, parent, "other")
    pages = list(schemas.list_schemas(request={"parent": parent, "page_size": 1}).pages)
    assert [[schema.name for schema in page.schemas] for page in pages] == [[f"{parent}/schemas/other"], [created.name]]
    assert not any(schema.definition for page in pages for schema in page.schemas)
    assert list(schemas.list_schemas(request={"parent": parent, "view": SchemaView.FULL}))[1] == created
    schemas.delete_schema(name=created.name)
    for call in (schemas.get_schema, schemas.delete_schema):
        with refused("NOT_FOUND"):
            call(name=created.name)


def test_revisions(schemas, parent):
    first = create(schemas, parent)
    second = commit(schemas, first)
    assert second.revision_id != first.revision_id
    assert schemas.get_schema(name=first.name).definition == USER_2
    third = schemas.rollback_schema(name=first.name, revision_id=first.revision_id)
    assert third.definition == USER
    assert third.revision_id not in (first.revision_id, second.revision_id)
    revisions = list(schemas.list_schema_revisions(request={"name": first.name, "page_size": 2, "view": SchemaView.FULL}))
    assert {revision.revision_id: revision.definition for revision in revisions} == {third.revision_id: USER, second.revision_id: USER_2, first.revision_id: USER}
    schemas.delete_schema_revision(request={"name": f"{first.name}@{third.revision_id}"})
    schemas.delete_schema_revision(request={"name": f"{first.name}@{first.revision_id}"})
    assert [revision.revision_id for revision in schemas.list_schema_revisions(name=first.name)] == [second.revision_id]
    with refused("NOT_FOUND"):
        schemas.delete_schema_revision(request={"name": f"{first.name}@{first.revision_id}"})
    with refused("INVALID_ARGUMENT", "the only revision"):
        schemas.delete_schema_revision(request={"name": f"{first.name}@{second.revision_id}"})


def test_a_revision_must_be_compatible(schemas, parent):
    schema = create(schemas, parent)
    with refused("INVALID_ARGUMENT", "a type that changed"):
        commit(schemas, schema, USER.replace('"int"', '"string"'))
    with refused("INVALID_ARGUMENT", "a new field without a default"):
        commit(schemas, schema, USER_2.replace(', "default": 0', ""))


def test_definitions_are_validated(schemas, parent):
    schemas.validate_schema(parent=parent, schema=Schema(type_=Schema.Type.AVRO, definition=USER))
    with refused("INVALID_ARGUMENT"):
        schemas.validate_schema(parent=parent, schema=Schema(type_=Schema.Type.AVRO, definition='{"type": "record"}'))
    with refused("INVALID_ARGUMENT"):
        create(schemas, parent, definition="no definition")
    with refused("INVALID_ARGUMENT", "more than 300 KB"):
        create(schemas, parent, definition=json.dumps({**json.loads(USER), "doc": "x" * 300_000}))


def test_create_schema_refuses(schemas, parent):
    create(schemas, parent)
    with refused("ALREADY_EXISTS"):
        create(schemas, parent)
    for name in ("1user", "us", "googuser", "u" * 256):
        with refused("INVALID_ARGUMENT", name):
            create(schemas, parent, name)
    with refused("INVALID_ARGUMENT", "no type"):
        create(schemas, parent, "typeless", Schema.Type.TYPE_UNSPECIFIED)


def test_messages_are_validated(schemas, parent):
    schema = create(schemas, parent)

    def validate(message, **request):
        schemas.validate_message(request={"parent": parent, "message": message, "encoding": Encoding.JSON, **request})

    validate(b'{"id": 1, "mail": {"string": "ada@example.com"}}', name=schema.name)
    validate(b'{"id": 1, "mail": null}', schema=Schema(type_=Schema.Type.AVRO, definition=USER))
    validate(b"\x02\x00", name=schema.name, encoding=Encoding.BINARY)
    for wrong in (b'{"id": "1", "mail": null}', b'{"mail": null}', b"{"):
        with refused("INVALID_ARGUMENT", repr(wrong)):
            validate(wrong, name=schema.name)
    with refused("NOT_FOUND"):
        validate(b"{}", name=f"{parent}/schemas/{MISSING}")


@pytest.mark.parametrize("encoding", ["JSON", "BINARY"])
def test_a_topic_takes_what_fits_and_tells_receivers(schemas, publisher, subscriber, project, parent, encoding):
    schema = create(schemas, parent)
    topic = checked_topic(publisher, project, schema, Encoding[encoding])
    subscription = subscriber.create_subscription(name=f"projects/{project}/subscriptions/users", topic=topic).name
    good, bad = {"JSON": (b'{"id": 1, "mail": null}', b"\x02\x00"), "BINARY": (b"\x02\x00", b'{"id": 1}')}[encoding]
    publisher.publish(topic=topic, messages=[PubsubMessage(data=good, attributes={"own": "x"})])
    with refused("INVALID_ARGUMENT"):
        publisher.publish(topic=topic, messages=[PubsubMessage(data=bad)])
    message = receive(subscriber, subscription)
    assert message.data == good
    assert dict(message.attributes) == {
        "own": "x",
        "googclient_schemaencoding": encoding,
        "googclient_schemaname": schema.name,
        "googclient_schemarevisionid": schema.revision_id,
    }


def test_a_refused_message_says_why_in_the_details(schemas, publisher, project, parent):
    topic = checked_topic(publisher, project, create(schemas, parent), Encoding.JSON)
    with pytest.raises(BadRequest) as caught:
        publisher.publish(topic=topic, messages=[PubsubMessage(data=b'{"id": "1", "mail": null}')])
    assert caught.value.reason == "INVALID_JSON_AVRO_MESSAGE"
    assert caught.value.domain == "pubsub.googleapis.com"
    assert "number_integer" in caught.value.metadata["revisionInfo"]


def test_a_topic_is_held_to_its_range_of_revisions(schemas, publisher, subscriber, project, parent):
    first = create(schemas, parent)
    second = commit(schemas, first)
    topic = checked_topic(publisher, project, first, Encoding.BINARY, first_revision_id=first.revision_id, last_revision_id=second.revision_id)
    subscription = subscriber.create_subscription(name=f"projects/{project}/subscriptions/users", topic=topic).name
    for data, revision in ((b"\x02\x00", first), (b"\x02\x00\x02", second)):
        publisher.publish(topic=topic, messages=[PubsubMessage(data=data)])
        assert receive(subscriber, subscription).attributes["googclient_schemarevisionid"] == revision.revision_id
    narrower = Topic(name=topic, schema_settings=SchemaSettings(schema=first.name, encoding=Encoding.BINARY, first_revision_id=second.revision_id))
    publisher.update_topic(topic=narrower, update_mask={"paths": ["schema_settings"]})
    with refused("INVALID_ARGUMENT"):
        publisher.publish(topic=topic, messages=[PubsubMessage(data=b"\x02\x00")])


def test_protocol_buffers(schemas, publisher, project, parent):
    schema = create(schemas, parent, kind=Schema.Type.PROTOCOL_BUFFER, definition=PROTO)
    topic = checked_topic(publisher, project, schema, Encoding.BINARY)
    publisher.publish(topic=topic, messages=[PubsubMessage(data=b"\x08\x01\x12\x03ada")])
    for wrong in (b"\x08", struct.pack("BB", 5 << 3, 1)):
        with refused("INVALID_ARGUMENT", repr(wrong)):
            publisher.publish(topic=topic, messages=[PubsubMessage(data=wrong)])
    schemas.validate_message(request={"parent": parent, "name": schema.name, "message": b'{"id": 1, "mails": ["ada"]}', "encoding": Encoding.JSON})
    with refused("INVALID_ARGUMENT"):
        schemas.validate_message(request={"parent": parent, "name": schema.name, "message": b'{"other": 1}', "encoding": Encoding.JSON})
    with refused("INVALID_ARGUMENT", "two messages"):
        create(schemas, parent, "two", Schema.Type.PROTOCOL_BUFFER, f"{PROTO} message Other {{}}")


def test_a_deleted_schema_ends_publishing(schemas, publisher, project, parent):
    schema = create(schemas, parent)
    topic = checked_topic(publisher, project, schema, Encoding.JSON)
    schemas.delete_schema(name=schema.name)
    assert publisher.get_topic(topic=topic).schema_settings.schema == "_deleted-schema_"
    with refused("NOT_FOUND"):
        publisher.publish(topic=topic, messages=[PubsubMessage(data=b'{"id": 1, "mail": null}')])


def test_a_topic_refuses_a_schema_that_is_not_there(publisher, project, parent):
    with refused("NOT_FOUND"):
        checked_topic(publisher, project, Schema(name=f"{parent}/schemas/{MISSING}"), Encoding.JSON)


def test_policies_of_a_schema(schemas, parent):
    schema = create(schemas, parent)
    wanted = Policy(bindings=[Binding(role="roles/pubsub.viewer", members=["user:ada@example.com"])])
    written = schemas.set_iam_policy(request={"resource": schema.name, "policy": wanted})
    assert schemas.get_iam_policy(request={"resource": schema.name}) == written
