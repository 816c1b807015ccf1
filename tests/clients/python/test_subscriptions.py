"""Subscriber: every unary call, what it answers, and what it refuses."""

from datetime import datetime, timedelta, timezone

import pytest
from conftest import MISSING, refused, until
from google.protobuf.duration_pb2 import Duration
from google.pubsub_v1.types import DeadLetterPolicy, PubsubMessage, PushConfig, RetryPolicy, SeekRequest, Snapshot, Subscription


@pytest.fixture
def name(project):
    return f"projects/{project}/subscriptions/billing"


@pytest.fixture
def subscription(subscriber, topic, name):
    return subscriber.create_subscription(name=name, topic=topic).name


def pull(subscriber, subscription, count):
    """Pulls until `count` messages are leased, and no more come."""
    received = []

    def enough():
        received.extend(subscriber.pull(subscription=subscription, max_messages=count - len(received)).received_messages)
        return len(received) >= count

    until(f"{count} messages", enough)
    return received


def nothing_left(subscriber, subscription):
    return list(subscriber.pull(request={"subscription": subscription, "max_messages": 10, "return_immediately": True}).received_messages) == []


def test_create_and_get_subscription_with_defaults(subscriber, topic, name):
    created = subscriber.create_subscription(name=name, topic=topic)
    assert created.name == name
    assert created.topic == topic
    assert created.ack_deadline_seconds == 10
    assert created.message_retention_duration == timedelta(days=7)
    assert created.expiration_policy.ttl == timedelta(days=31)
    assert created.state == Subscription.State.ACTIVE
    assert not created.push_config.push_endpoint
    assert not (created.retain_acked_messages or created.enable_message_ordering or created.enable_exactly_once_delivery or created.detached)
    assert "dead_letter_policy" not in created
    assert "retry_policy" not in created
    assert subscriber.get_subscription(subscription=name) == created
    with refused("ALREADY_EXISTS"):
        subscriber.create_subscription(name=name, topic=topic)


def test_create_subscription_with_everything(publisher, subscriber, project, topic, name):
    dead = publisher.create_topic(name=f"projects/{project}/topics/orders-dead").name
    wanted = Subscription(
        name=name,
        topic=topic,
        ack_deadline_seconds=600,
        retain_acked_messages=True,
        message_retention_duration=Duration(seconds=600),
        labels={"team": "shop"},
        enable_message_ordering=True,
        enable_exactly_once_delivery=True,
        filter='attributes.kind = "order"',
        dead_letter_policy=DeadLetterPolicy(dead_letter_topic=dead, max_delivery_attempts=7),
        retry_policy=RetryPolicy(minimum_backoff=Duration(seconds=1), maximum_backoff=Duration(seconds=60)),
    )
    created = subscriber.create_subscription(request=wanted)
    for field in ("ack_deadline_seconds", "retain_acked_messages", "message_retention_duration", "labels", "enable_message_ordering"):
        assert getattr(created, field) == getattr(wanted, field), field
    for field in ("enable_exactly_once_delivery", "filter", "dead_letter_policy", "retry_policy"):
        assert getattr(created, field) == getattr(wanted, field), field
    assert subscriber.get_subscription(subscription=name) == created


def test_dead_letter_policy_defaults_to_five_attempts(subscriber, topic, name):
    created = subscriber.create_subscription(request=Subscription(name=name, topic=topic, dead_letter_policy={"dead_letter_topic": topic}))
    assert created.dead_letter_policy.max_delivery_attempts == 5


REFUSED = {
    "deadline under 10 s": {"ack_deadline_seconds": 9},
    "deadline over 600 s": {"ack_deadline_seconds": 601},
    "retention under 10 min": {"message_retention_duration": Duration(seconds=599)},
    "retention over 31 d": {"message_retention_duration": Duration(seconds=31 * 86400 + 1)},
    "4 attempts": {"dead_letter_policy": {"dead_letter_topic": "TOPIC", "max_delivery_attempts": 4}},
    "101 attempts": {"dead_letter_policy": {"dead_letter_topic": "TOPIC", "max_delivery_attempts": 101}},
    "dead-letter topic that is no name": {"dead_letter_policy": {"dead_letter_topic": "dead"}},
    "back-off over 600 s": {"retry_policy": {"maximum_backoff": Duration(seconds=601)}},
    "back-offs the wrong way round": {"retry_policy": {"minimum_backoff": Duration(seconds=60), "maximum_backoff": Duration(seconds=10)}},
    "filter that does not parse": {"filter": "attributes.kind = "},
    "filter of 257 bytes": {"filter": f'attributes.kind = "{"x" * 238}"'},
    "push endpoint that is no address": {"push_config": {"push_endpoint": "orders.example.com"}},
}


@pytest.mark.parametrize("what", REFUSED)
def test_create_subscription_refuses(subscriber, topic, name, what):
    wanted = Subscription(name=name, topic=topic, **REFUSED[what])
    if wanted.dead_letter_policy.dead_letter_topic == "TOPIC":
        wanted.dead_letter_policy.dead_letter_topic = topic
    with refused("INVALID_ARGUMENT", what):
        subscriber.create_subscription(request=wanted)
    with refused("NOT_FOUND"):
        subscriber.get_subscription(subscription=name)


def test_create_subscription_refuses_wrong_names(subscriber, project, topic, name):
    for wrong in ("1billing", "ab", "googbilling", "b" * 256, "bil!ling"):
        with refused("INVALID_ARGUMENT", wrong):
            subscriber.create_subscription(name=f"projects/{project}/subscriptions/{wrong}", topic=topic)
    with refused("NOT_FOUND"):
        subscriber.create_subscription(name=name, topic=f"projects/{project}/topics/{MISSING}")


def test_update_subscription_changes_what_the_mask_names(subscriber, topic, subscription):
    def update(path, **change):
        return subscriber.update_subscription(subscription=Subscription(name=subscription, **change), update_mask={"paths": [path]})

    assert update("ack_deadline_seconds", ack_deadline_seconds=33, labels={"not": "named"}).ack_deadline_seconds == 33
    assert update("labels", labels={"team": "shop"}).labels == {"team": "shop"}
    assert update("message_retention_duration", message_retention_duration=Duration(seconds=1200)).message_retention_duration.total_seconds() == 1200
    assert update("retain_acked_messages", retain_acked_messages=True).retain_acked_messages
    assert update("push_config", push_config=PushConfig(push_endpoint="http://127.0.0.1:9/x")).push_config.push_endpoint == "http://127.0.0.1:9/x"
    assert not update("push_config").push_config.push_endpoint
    assert update("dead_letter_policy", dead_letter_policy={"dead_letter_topic": topic, "max_delivery_attempts": 9}).dead_letter_policy.max_delivery_attempts == 9
    assert "dead_letter_policy" not in update("dead_letter_policy")
    assert update("retry_policy", retry_policy={"minimum_backoff": Duration(seconds=5)}).retry_policy.minimum_backoff == timedelta(seconds=5)
    final = subscriber.get_subscription(subscription=subscription)
    assert (final.ack_deadline_seconds, final.labels, final.retain_acked_messages) == (33, {"team": "shop"}, True)


def test_update_subscription_refuses(subscriber, project, subscription):
    for path in ("name", "topic", "filter", "enable_message_ordering", "no_such_field"):
        with refused("INVALID_ARGUMENT", path):
            changed = Subscription(name=subscription, topic="projects/p/topics/other", filter="attributes:x", enable_message_ordering=True)
            subscriber.update_subscription(subscription=changed, update_mask={"paths": [path]})
    with refused("INVALID_ARGUMENT", "empty mask"):
        subscriber.update_subscription(subscription=Subscription(name=subscription), update_mask={"paths": []})
    with refused("INVALID_ARGUMENT", "deadline of 5 s"):
        subscriber.update_subscription(subscription=Subscription(name=subscription, ack_deadline_seconds=5), update_mask={"paths": ["ack_deadline_seconds"]})
    with refused("NOT_FOUND"):
        missing = Subscription(name=f"projects/{project}/subscriptions/{MISSING}")
        subscriber.update_subscription(subscription=missing, update_mask={"paths": ["labels"]})


def test_list_subscriptions_in_pages(subscriber, project, topic):
    names = {subscriber.create_subscription(name=f"projects/{project}/subscriptions/sub-{n}", topic=topic).name for n in range(3)}
    pages = list(subscriber.list_subscriptions(request={"project": f"projects/{project}", "page_size": 2}).pages)
    assert [len(page.subscriptions) for page in pages] == [2, 1]
    assert {found.name for page in pages for found in page.subscriptions} == names
    assert {found.topic for page in pages for found in page.subscriptions} == {topic}


def test_delete_subscription(subscriber, project, subscription):
    subscriber.delete_subscription(subscription=subscription)
    for call in (subscriber.get_subscription, subscriber.delete_subscription):
        with refused("NOT_FOUND"):
            call(subscription=subscription)
    assert list(subscriber.list_subscriptions(project=f"projects/{project}")) == []


def test_pull_and_acknowledge(publisher, subscriber, topic, subscription):
    before = datetime.now(timezone.utc) - timedelta(seconds=5)
    sent = PubsubMessage(data=b"\x00\xffone", attributes={"kind": "order", "empty": ""}, ordering_key="customer-1")
    message_id = publisher.publish(topic=topic, messages=[sent]).message_ids[0]
    [received] = pull(subscriber, subscription, 1)
    assert received.message.data == b"\x00\xffone"
    assert received.message.attributes == {"kind": "order", "empty": ""}
    assert received.message.ordering_key == "customer-1"
    assert received.message.message_id == message_id
    assert before < received.message.publish_time < datetime.now(timezone.utc) + timedelta(seconds=5)
    assert received.delivery_attempt == 0, "counted only with a dead-letter policy"
    assert received.ack_id
    assert nothing_left(subscriber, subscription), "what is leased is not given out again"
    subscriber.acknowledge(subscription=subscription, ack_ids=[received.ack_id])
    subscriber.acknowledge(subscription=subscription, ack_ids=[received.ack_id])
    subscriber.modify_ack_deadline(subscription=subscription, ack_ids=[received.ack_id], ack_deadline_seconds=0)
    assert nothing_left(subscriber, subscription), "an acknowledged message does not come back"


def test_pull_gives_at_most_what_was_asked_for(publisher, subscriber, topic, subscription):
    publisher.publish(topic=topic, messages=[PubsubMessage(data=f"{n}".encode()) for n in range(20)])
    first = subscriber.pull(subscription=subscription, max_messages=3).received_messages
    assert 1 <= len(first) <= 3
    rest = pull(subscriber, subscription, 20 - len(first))
    assert {received.message.data for received in [*first, *rest]} == {f"{n}".encode() for n in range(20)}
    assert len({received.ack_id for received in [*first, *rest]}) == 20


def test_nack_brings_a_message_back_at_once(publisher, subscriber, topic, subscription):
    publisher.publish(topic=topic, messages=[PubsubMessage(data=b"again")])
    [first] = pull(subscriber, subscription, 1)
    subscriber.modify_ack_deadline(subscription=subscription, ack_ids=[first.ack_id], ack_deadline_seconds=0)
    [second] = pull(subscriber, subscription, 1)
    assert second.message == first.message
    assert second.ack_id != first.ack_id


def test_deadline_expires_unless_it_is_extended(publisher, subscriber, topic, subscription):
    publisher.publish(topic=topic, messages=[PubsubMessage(data=b"short"), PubsubMessage(data=b"long")])
    received = {found.message.data: found for found in pull(subscriber, subscription, 2)}
    subscriber.modify_ack_deadline(subscription=subscription, ack_ids=[received[b"short"].ack_id], ack_deadline_seconds=1)
    subscriber.modify_ack_deadline(subscription=subscription, ack_ids=[received[b"long"].ack_id], ack_deadline_seconds=600)
    [back] = pull(subscriber, subscription, 1)
    assert back.message.data == b"short"
    assert nothing_left(subscriber, subscription)


def test_pull_acknowledge_and_modify_refuse(publisher, subscriber, project, topic, subscription):
    missing = f"projects/{project}/subscriptions/{MISSING}"
    publisher.publish(topic=topic, messages=[PubsubMessage(data=b"x")])
    [received] = pull(subscriber, subscription, 1)
    for count in (0, -1):
        with refused("INVALID_ARGUMENT", f"pull of {count}"):
            subscriber.pull(subscription=subscription, max_messages=count)
    for seconds in (-1, 601):
        with refused("INVALID_ARGUMENT", f"deadline of {seconds} s"):
            subscriber.modify_ack_deadline(subscription=subscription, ack_ids=[received.ack_id], ack_deadline_seconds=seconds)
    with refused("INVALID_ARGUMENT", "no ack id"):
        subscriber.acknowledge(subscription=subscription, ack_ids=[])
    with refused("INVALID_ARGUMENT", "more than 512 KiB"):
        subscriber.acknowledge(subscription=subscription, ack_ids=[received.ack_id] * 25_000)
    with refused("INVALID_ARGUMENT", "an ack id that was never given out"):
        subscriber.acknowledge(subscription=subscription, ack_ids=["no ack id of ours"])
    for call in (
        lambda: subscriber.pull(subscription=missing, max_messages=1),
        lambda: subscriber.acknowledge(subscription=missing, ack_ids=[received.ack_id]),
        lambda: subscriber.modify_ack_deadline(subscription=missing, ack_ids=[received.ack_id], ack_deadline_seconds=10),
        lambda: subscriber.modify_push_config(subscription=missing, push_config=PushConfig()),
    ):
        with refused("NOT_FOUND"):
            call()


def test_modify_push_config_turns_pull_into_push_and_back(publisher, subscriber, topic, subscription, target):
    subscriber.modify_push_config(subscription=subscription, push_config=PushConfig(push_endpoint=f"{target.url}/orders"))
    assert subscriber.get_subscription(subscription=subscription).push_config.push_endpoint == f"{target.url}/orders"
    with refused("FAILED_PRECONDITION"):
        subscriber.pull(subscription=subscription, max_messages=1)
    publisher.publish(topic=topic, messages=[PubsubMessage(data=b"pushed")])
    assert target.wait(1)[0].path == "/orders"
    subscriber.modify_push_config(subscription=subscription, push_config=PushConfig())
    assert not subscriber.get_subscription(subscription=subscription).push_config.push_endpoint
    publisher.publish(topic=topic, messages=[PubsubMessage(data=b"pulled")])
    assert [received.message.data for received in pull(subscriber, subscription, 1)] == [b"pulled"]
    with refused("INVALID_ARGUMENT"):
        subscriber.modify_push_config(subscription=subscription, push_config=PushConfig(push_endpoint="nowhere"))


def test_snapshots(subscriber, project, topic, subscription):
    name = f"projects/{project}/snapshots/before"
    created = subscriber.create_snapshot(request={"name": name, "subscription": subscription, "labels": {"team": "shop"}})
    assert (created.name, created.topic, created.labels) == (name, topic, {"team": "shop"})
    lives = created.expire_time - datetime.now(timezone.utc)
    assert timedelta(days=6, hours=23) < lives <= timedelta(days=7, seconds=5)
    assert subscriber.get_snapshot(snapshot=name) == created
    with refused("ALREADY_EXISTS"):
        subscriber.create_snapshot(name=name, subscription=subscription)
    updated = subscriber.update_snapshot(request={"snapshot": Snapshot(name=name, labels={"team": "mail"}), "update_mask": {"paths": ["labels"]}})
    assert updated.labels == {"team": "mail"}
    other = subscriber.create_snapshot(name=f"projects/{project}/snapshots/other", subscription=subscription)
    pages = list(subscriber.list_snapshots(request={"project": f"projects/{project}", "page_size": 1}).pages)
    assert [[found.name for found in page.snapshots] for page in pages] == [[name], [other.name]]
    subscriber.delete_snapshot(snapshot=name)
    assert [found.name for found in subscriber.list_snapshots(project=f"projects/{project}")] == [other.name]
    for call in (
        lambda: subscriber.get_snapshot(snapshot=name),
        lambda: subscriber.delete_snapshot(snapshot=name),
        lambda: subscriber.update_snapshot(request={"snapshot": Snapshot(name=name), "update_mask": {"paths": ["labels"]}}),
        lambda: subscriber.create_snapshot(name=name, subscription=f"projects/{project}/subscriptions/{MISSING}"),
    ):
        with refused("NOT_FOUND"):
            call()
    with refused("INVALID_ARGUMENT"):
        subscriber.update_snapshot(request={"snapshot": other, "update_mask": {"paths": ["topic"]}})


def test_seek_to_a_snapshot_brings_back_what_was_not_acknowledged_then(publisher, subscriber, project, topic, subscription):
    publisher.publish(topic=topic, messages=[PubsubMessage(data=b"first"), PubsubMessage(data=b"second")])
    received = {found.message.data: found.ack_id for found in pull(subscriber, subscription, 2)}
    subscriber.acknowledge(subscription=subscription, ack_ids=[received[b"first"]])
    snapshot = subscriber.create_snapshot(name=f"projects/{project}/snapshots/before", subscription=subscription).name
    subscriber.acknowledge(subscription=subscription, ack_ids=[received[b"second"]])
    publisher.publish(topic=topic, messages=[PubsubMessage(data=b"third")])
    subscriber.acknowledge(subscription=subscription, ack_ids=[found.ack_id for found in pull(subscriber, subscription, 1)])
    subscriber.seek(request=SeekRequest(subscription=subscription, snapshot=snapshot))
    back = pull(subscriber, subscription, 2)
    assert sorted(found.message.data for found in back) == [b"second", b"third"]
    assert nothing_left(subscriber, subscription)
    # The same snapshot on another subscription of the topic.
    other = subscriber.create_subscription(name=f"projects/{project}/subscriptions/other", topic=topic).name
    subscriber.seek(request=SeekRequest(subscription=other, snapshot=snapshot))
    assert sorted(found.message.data for found in pull(subscriber, other, 2)) == [b"second", b"third"]


def test_seek_to_a_time(publisher, subscriber, topic, name):
    subscriber.create_subscription(request=Subscription(name=name, topic=topic, retain_acked_messages=True))
    start = datetime.now(timezone.utc) - timedelta(minutes=1)
    publisher.publish(topic=topic, messages=[PubsubMessage(data=b"kept")])
    subscriber.acknowledge(subscription=name, ack_ids=[pull(subscriber, name, 1)[0].ack_id])
    assert nothing_left(subscriber, name)
    subscriber.seek(request={"subscription": name, "time": start})
    assert [found.message.data for found in pull(subscriber, name, 1)] == [b"kept"]
    subscriber.seek(request={"subscription": name, "time": start})
    subscriber.seek(request={"subscription": name, "time": datetime.now(timezone.utc) + timedelta(minutes=1)})
    assert nothing_left(subscriber, name), "a time in the future acknowledges all"


def test_seek_refuses(publisher, subscriber, project, topic, subscription):
    now = datetime.now(timezone.utc)
    with refused("NOT_FOUND"):
        subscriber.seek(request={"subscription": f"projects/{project}/subscriptions/{MISSING}", "time": now})
    with refused("NOT_FOUND"):
        subscriber.seek(request={"subscription": subscription, "snapshot": f"projects/{project}/snapshots/{MISSING}"})
    with refused("INVALID_ARGUMENT", "neither time nor snapshot"):
        subscriber.seek(request={"subscription": subscription})
    elsewhere = publisher.create_topic(name=f"projects/{project}/topics/elsewhere").name
    other = subscriber.create_subscription(name=f"projects/{project}/subscriptions/other", topic=elsewhere).name
    snapshot = subscriber.create_snapshot(name=f"projects/{project}/snapshots/elsewhere", subscription=other).name
    with refused("FAILED_PRECONDITION", "a snapshot of another topic"):
        subscriber.seek(request={"subscription": subscription, "snapshot": snapshot})


def test_policies_of_a_subscription(subscriber, subscription):
    wanted = {"bindings": [{"role": "roles/pubsub.subscriber", "members": ["user:ada@example.com"]}]}
    written = subscriber.set_iam_policy(request={"resource": subscription, "policy": wanted})
    assert [(binding.role, list(binding.members)) for binding in written.bindings] == [("roles/pubsub.subscriber", ["user:ada@example.com"])]
    assert subscriber.get_iam_policy(request={"resource": subscription}) == written
    permissions = ["pubsub.subscriptions.consume"]
    assert list(subscriber.test_iam_permissions(request={"resource": subscription, "permissions": permissions}).permissions) == permissions
