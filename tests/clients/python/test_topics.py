"""Publisher: every call, what it answers, and what it refuses."""

import pytest
from conftest import MISSING, refused
from google.iam.v1.policy_pb2 import Binding, Policy
from google.protobuf.duration_pb2 import Duration
from google.pubsub_v1.types import PubsubMessage, Topic


def test_create_and_get_topic(publisher, project):
    name = f"projects/{project}/topics/orders"
    wanted = Topic(name=name, labels={"team": "shop"}, message_retention_duration=Duration(seconds=3600))
    wanted.message_storage_policy.allowed_persistence_regions.append("europe-west1")
    created = publisher.create_topic(request=wanted)
    assert created.name == name
    assert created.labels == {"team": "shop"}
    assert created.message_retention_duration.total_seconds() == 3600
    assert created.message_storage_policy.allowed_persistence_regions == ["europe-west1"]
    assert created.state == Topic.State.ACTIVE
    assert publisher.get_topic(topic=name) == created
    with refused("ALREADY_EXISTS"):
        publisher.create_topic(name=name)


@pytest.mark.parametrize("name", ["1orders", "or", "googorders", "a" * 256, "orders!", "orders dead"])
def test_create_topic_refuses_malformed_names(publisher, project, name):
    with refused("INVALID_ARGUMENT"):
        publisher.create_topic(name=f"projects/{project}/topics/{name}")


@pytest.mark.parametrize("seconds", [599, 31 * 86400 + 1])
def test_create_topic_refuses_a_retention_out_of_range(publisher, project, seconds):
    with refused("INVALID_ARGUMENT"):
        publisher.create_topic(request=Topic(name=f"projects/{project}/topics/orders", message_retention_duration=Duration(seconds=seconds)))


def test_update_topic_changes_what_the_mask_names(publisher, topic):
    change = Topic(name=topic, labels={"team": "mail"}, message_retention_duration=Duration(seconds=600))
    updated = publisher.update_topic(topic=change, update_mask={"paths": ["labels"]})
    assert updated.labels == {"team": "mail"}
    assert updated.message_retention_duration.total_seconds() == 0
    updated = publisher.update_topic(topic=change, update_mask={"paths": ["message_retention_duration"]})
    assert updated.message_retention_duration.total_seconds() == 600
    assert publisher.get_topic(topic=topic) == updated


def test_update_topic_refuses(publisher, project, topic):
    for paths in ([], ["name"], ["no_such_field"]):
        with refused("INVALID_ARGUMENT"):
            publisher.update_topic(topic=Topic(name=topic), update_mask={"paths": paths})
    with refused("NOT_FOUND"):
        publisher.update_topic(topic=Topic(name=f"projects/{project}/topics/{MISSING}"), update_mask={"paths": ["labels"]})


def test_list_topics_in_pages(publisher, project):
    names = {publisher.create_topic(name=f"projects/{project}/topics/topic-{n}").name for n in range(5)}
    pages = list(publisher.list_topics(request={"project": f"projects/{project}", "page_size": 2}).pages)
    assert [len(page.topics) for page in pages] == [2, 2, 1]
    assert [bool(page.next_page_token) for page in pages] == [True, True, False]
    assert {topic.name for page in pages for topic in page.topics} == names
    assert list(publisher.list_topics(project=f"projects/{project}-other")) == []
    with refused("INVALID_ARGUMENT"):
        list(publisher.list_topics(request={"project": f"projects/{project}", "page_token": "no token of ours"}))


def test_get_topic_that_is_not_there(publisher, project):
    with refused("NOT_FOUND"):
        publisher.get_topic(topic=f"projects/{project}/topics/{MISSING}")
    with refused("NOT_FOUND"):
        publisher.get_topic(topic=f"projects/no-such-project/topics/{MISSING}")


def test_publish_answers_with_one_id_a_message(publisher, topic):
    messages = [PubsubMessage(data=b"one"), PubsubMessage(attributes={"kind": "two"}), PubsubMessage(data=b"\x00\xff", ordering_key="k")]
    ids = publisher.publish(topic=topic, messages=messages).message_ids
    assert len(ids) == 3
    assert len(set(ids)) == 3
    assert all(ids)


def test_publish_refuses(publisher, project, topic):
    cases = {
        "no message": [],
        "nothing in it": [PubsubMessage()],
        "101 attributes": [PubsubMessage(data=b"x", attributes={f"k{n}": "v" for n in range(101)})],
        "key of Google's own": [PubsubMessage(data=b"x", attributes={"googclient_schemaname": "v"})],
        "key of 257 bytes": [PubsubMessage(data=b"x", attributes={"k" * 257: "v"})],
        "value of 1025 bytes": [PubsubMessage(data=b"x", attributes={"k": "v" * 1025})],
        "ordering key of 1025 bytes": [PubsubMessage(data=b"x", ordering_key="k" * 1025)],
        "1001 messages": [PubsubMessage(data=b"x")] * 1001,
        "12 MB": [PubsubMessage(data=b"x" * 12_000_000)],
    }
    for what, messages in cases.items():
        with refused("INVALID_ARGUMENT", what):
            publisher.publish(topic=topic, messages=messages)
    with refused("NOT_FOUND"):
        publisher.publish(topic=f"projects/{project}/topics/{MISSING}", messages=[PubsubMessage(data=b"x")])


def test_messages_of_10_megabytes_arrive(publisher, subscriber, project, topic):
    name = subscriber.create_subscription(name=f"projects/{project}/subscriptions/large", topic=topic).name
    data = bytes(range(256)) * 39_062
    publisher.publish(topic=topic, messages=[PubsubMessage(data=data)])
    [received] = subscriber.pull(subscription=name, max_messages=2).received_messages
    assert received.message.data == data
    with refused("INVALID_ARGUMENT", "above 10 MB"):
        publisher.publish(topic=topic, messages=[PubsubMessage(data=data + b"x" * 10_000)])


def test_publish_takes_what_is_just_within_the_limits(publisher, topic):
    largest = PubsubMessage(data=b"x" * 9_500_000)
    fullest = PubsubMessage(data=b"x", attributes={f"{n:03}" + "k" * 253: "v" * 1024 for n in range(100)})
    assert publisher.publish(topic=topic, messages=[largest]).message_ids[0]
    assert publisher.publish(topic=topic, messages=[fullest]).message_ids[0]
    assert len(publisher.publish(topic=topic, messages=[PubsubMessage(data=b"x")] * 1000).message_ids) == 1000


def test_lists_of_a_topic(publisher, subscriber, project, topic):
    names = [subscriber.create_subscription(name=f"projects/{project}/subscriptions/sub-{n}", topic=topic).name for n in range(3)]
    snapshot = subscriber.create_snapshot(name=f"projects/{project}/snapshots/before", subscription=names[0])
    pages = list(publisher.list_topic_subscriptions(request={"topic": topic, "page_size": 2}).pages)
    assert [len(page.subscriptions) for page in pages] == [2, 1]
    assert sorted(name for page in pages for name in page.subscriptions) == names
    assert list(publisher.list_topic_snapshots(topic=topic)) == [snapshot.name]
    for listing in (publisher.list_topic_subscriptions, publisher.list_topic_snapshots):
        with refused("NOT_FOUND"):
            list(listing(topic=f"projects/{project}/topics/{MISSING}"))


def test_delete_topic_leaves_its_subscriptions(publisher, subscriber, project, topic):
    name = subscriber.create_subscription(name=f"projects/{project}/subscriptions/left", topic=topic).name
    publisher.publish(topic=topic, messages=[PubsubMessage(data=b"kept")])
    publisher.delete_topic(topic=topic)
    assert subscriber.get_subscription(subscription=name).topic == "_deleted-topic_"
    received = subscriber.pull(subscription=name, max_messages=1).received_messages
    assert [message.message.data for message in received] == [b"kept"]
    for call in (publisher.get_topic, publisher.delete_topic):
        with refused("NOT_FOUND"):
            call(topic=topic)
    # The name may be used again; the old subscriptions stay without a topic.
    publisher.create_topic(name=topic)
    assert list(publisher.list_topic_subscriptions(topic=topic)) == []


def test_detach_subscription(publisher, subscriber, project, topic):
    name = subscriber.create_subscription(name=f"projects/{project}/subscriptions/left", topic=topic).name
    publisher.publish(topic=topic, messages=[PubsubMessage(data=b"gone")])
    publisher.detach_subscription(request={"subscription": name})
    assert subscriber.get_subscription(subscription=name).detached
    assert list(publisher.list_topic_subscriptions(topic=topic)) == []
    with refused("FAILED_PRECONDITION"):
        subscriber.pull(subscription=name, max_messages=1)
    with refused("NOT_FOUND"):
        publisher.detach_subscription(request={"subscription": f"projects/{project}/subscriptions/{MISSING}"})


def test_policies_of_a_topic(publisher, project, topic):
    assert list(publisher.get_iam_policy(request={"resource": topic}).bindings) == []
    wanted = Policy(bindings=[Binding(role="roles/pubsub.publisher", members=["user:ada@example.com"])])
    written = publisher.set_iam_policy(request={"resource": topic, "policy": wanted})
    assert list(written.bindings) == list(wanted.bindings)
    assert written.etag
    assert publisher.get_iam_policy(request={"resource": topic}) == written
    permissions = ["pubsub.topics.publish", "pubsub.topics.get"]
    assert list(publisher.test_iam_permissions(request={"resource": topic, "permissions": permissions}).permissions) == permissions
    with refused("NOT_FOUND"):
        publisher.get_iam_policy(request={"resource": f"projects/{project}/topics/{MISSING}"})
