"""How messages reach receivers: streams, the high-level clients, push, order, filters, dead letters."""

import base64
import json
from concurrent.futures import TimeoutError as NotYet
from queue import Queue

import pytest
from conftest import MISSING, connect, refused, until
from google.api_core.exceptions import GoogleAPICallError
from google.cloud import pubsub_v1
from google.cloud.pubsub_v1.subscriber.exceptions import AcknowledgeStatus
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.types import PubsubMessage, PushConfig, StreamingPullRequest, Subscription


@pytest.fixture
def publisher():
    return connect(PublisherClient, "grpc")


@pytest.fixture
def subscriber():
    return connect(SubscriberClient, "grpc")


@pytest.fixture
def name(project):
    return f"projects/{project}/subscriptions/billing"


def publish(publisher, topic, *payloads, **fields):
    return publisher.publish(topic=topic, messages=[PubsubMessage(data=payload, **fields) for payload in payloads]).message_ids


def take(subscriber, subscription, count=1):
    received = []
    until(f"{count} messages", lambda: received.extend(subscriber.pull(subscription=subscription, max_messages=count).received_messages) or len(received) >= count)
    return received


class Stream:
    """A streaming pull, its requests sent one by one."""

    def __init__(self, subscriber, **first):
        self.requests = Queue()
        self.requests.put(StreamingPullRequest(**first))
        self.responses = subscriber.streaming_pull(requests=iter(self.requests.get, None))

    def take(self, count=1):
        received = []
        while len(received) < count:
            self.last = next(self.responses)
            received.extend(self.last.received_messages)
        return received

    def send(self, **request):
        self.requests.put(StreamingPullRequest(**request))

    def close(self):
        self.requests.put(None)
        self.responses.cancel()


def test_streaming_pull(publisher, subscriber, topic, name):
    subscriber.create_subscription(name=name, topic=topic)
    stream = Stream(subscriber, subscription=name, stream_ack_deadline_seconds=10, client_id="test", max_outstanding_messages=10)
    ids = publish(publisher, topic, b"one", b"two", attributes={"kind": "order"})
    received = {found.message.data: found for found in stream.take(2)}
    assert {found.message.message_id for found in received.values()} == set(ids)
    assert received[b"one"].message.attributes == {"kind": "order"}
    assert not stream.last.subscription_properties.exactly_once_delivery_enabled
    assert not stream.last.subscription_properties.message_ordering_enabled
    # Acknowledged on the stream, and given back on the stream.
    stream.send(ack_ids=[received[b"one"].ack_id], modify_deadline_ack_ids=[received[b"two"].ack_id], modify_deadline_seconds=[0])
    [again] = stream.take(1)
    assert again.message == received[b"two"].message
    stream.send(ack_ids=[again.ack_id])
    publish(publisher, topic, b"three")
    [third] = stream.take(1)
    assert third.message.data == b"three", "neither of the acknowledged ones came back"
    stream.close()


def test_streaming_pull_holds_no_more_than_asked_for(publisher, subscriber, topic, name):
    subscriber.create_subscription(name=name, topic=topic)
    stream = Stream(subscriber, subscription=name, stream_ack_deadline_seconds=60, max_outstanding_messages=2)
    publish(publisher, topic, b"1", b"2", b"3")
    first = stream.take(2)
    [third] = take(subscriber, name, 1)
    assert {found.message.data for found in [*first, third]} == {b"1", b"2", b"3"}
    publish(publisher, topic, b"4")
    stream.send(ack_ids=[first[0].ack_id])
    assert stream.take(1)[0].message.data == b"4", "an acknowledged message makes room"
    stream.close()


def test_streaming_pull_refuses(subscriber, topic, name, project):
    subscriber.create_subscription(name=name, topic=topic)
    for what, status, first in (
        ("no such subscription", "NOT_FOUND", {"subscription": f"projects/{project}/subscriptions/{MISSING}", "stream_ack_deadline_seconds": 10}),
        ("deadline of 5 s", "INVALID_ARGUMENT", {"subscription": name, "stream_ack_deadline_seconds": 5}),
        ("deadline of 601 s", "INVALID_ARGUMENT", {"subscription": name, "stream_ack_deadline_seconds": 601}),
        ("no subscription", "INVALID_ARGUMENT", {"stream_ack_deadline_seconds": 10}),
    ):
        with refused(status, what):
            Stream(subscriber, **first).take(1)


def test_a_deleted_subscription_ends_its_streams(publisher, subscriber, topic, name):
    subscriber.create_subscription(name=name, topic=topic)
    stream = Stream(subscriber, subscription=name, stream_ack_deadline_seconds=10)
    publish(publisher, topic, b"x")
    stream.take(1)
    subscriber.delete_subscription(subscription=name)
    with refused("NOT_FOUND"):
        stream.take(1)


def test_high_level_clients_move_a_thousand_messages(topic, name):
    publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
    subscriber.create_subscription(name=name, topic=topic)
    sent = {publisher.publish(topic, f"{n}".encode(), number=f"{n}") for n in range(1000)}
    ids = {future.result(timeout=30) for future in sent}
    assert len(ids) == 1000
    arrived = {}

    def receive(message):
        arrived[message.message_id] = (message.data, message.attributes["number"])
        message.ack()

    streaming = subscriber.subscribe(name, receive, flow_control=pubsub_v1.types.FlowControl(max_messages=50))
    until("all messages", lambda: len(arrived) == 1000, 60)
    streaming.cancel()
    streaming.result(timeout=20)
    assert set(arrived) == ids
    assert all(data.decode() == number for data, number in arrived.values())
    assert list(subscriber.pull(request={"subscription": name, "max_messages": 1, "return_immediately": True}).received_messages) == []


def test_high_level_subscriber_nacks_and_reports_a_missing_subscription(topic, name, project):
    publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
    subscriber.create_subscription(name=name, topic=topic)
    deliveries = []

    def receive(message):
        deliveries.append(message.message_id)
        message.nack() if len(deliveries) < 3 else message.ack()

    streaming = subscriber.subscribe(name, receive)
    message_id = publisher.publish(topic, b"x").result(timeout=20)
    until("three deliveries", lambda: len(deliveries) >= 3)
    with pytest.raises(NotYet):
        streaming.result(timeout=0.2)
    streaming.cancel()
    streaming.result(timeout=20)
    assert deliveries == [message_id] * 3
    with refused("NOT_FOUND"):
        subscriber.subscribe(f"projects/{project}/subscriptions/{MISSING}", receive).result(timeout=20)
    with pytest.raises(GoogleAPICallError):
        publisher.publish(f"projects/{project}/topics/{MISSING}", b"x").result(timeout=20)


def test_exactly_once_confirms_acknowledgements(topic, name):
    publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
    subscriber.create_subscription(request=Subscription(name=name, topic=topic, enable_exactly_once_delivery=True))
    outcomes = []

    def receive(message):
        message.ack_with_response().add_done_callback(lambda future: outcomes.append(future.result()))

    streaming = subscriber.subscribe(name, receive)
    publisher.publish(topic, b"once").result(timeout=20)
    until("a confirmed acknowledgement", lambda: outcomes)
    streaming.cancel()
    streaming.result(timeout=20)
    assert outcomes == [AcknowledgeStatus.SUCCESS]


def test_exactly_once_refuses_an_old_ack_id(publisher, subscriber, topic, name):
    subscriber.create_subscription(request=Subscription(name=name, topic=topic, enable_exactly_once_delivery=True))
    publish(publisher, topic, b"once")
    [first] = take(subscriber, name)
    subscriber.modify_ack_deadline(subscription=name, ack_ids=[first.ack_id], ack_deadline_seconds=0)
    [second] = take(subscriber, name)
    with pytest.raises(GoogleAPICallError) as caught:
        subscriber.acknowledge(subscription=name, ack_ids=[first.ack_id])
    assert dict(caught.value.metadata) == {first.ack_id: "PERMANENT_FAILURE_INVALID_ACK_ID"}
    subscriber.acknowledge(subscription=name, ack_ids=[second.ack_id])


def test_messages_of_a_key_come_in_order(topic, name):
    options = pubsub_v1.types.PublisherOptions(enable_message_ordering=True)
    publisher, subscriber = pubsub_v1.PublisherClient(publisher_options=options), pubsub_v1.SubscriberClient()
    subscriber.create_subscription(request=Subscription(name=name, topic=topic, enable_message_ordering=True))
    futures = [publisher.publish(topic, f"{n}".encode(), ordering_key=f"customer-{n % 3}") for n in range(60)]
    assert all(future.result(timeout=20) for future in futures)
    arrived = {}

    def receive(message):
        arrived.setdefault(message.ordering_key, []).append(int(message.data))
        message.ack()

    streaming = subscriber.subscribe(name, receive)
    until("all messages", lambda: sum(map(len, arrived.values())) >= 60)
    streaming.cancel()
    streaming.result(timeout=20)
    assert arrived == {f"customer-{key}": list(range(key, 60, 3)) for key in range(3)}


def test_a_nacked_message_of_a_key_comes_back_before_its_successors(publisher, subscriber, topic, name):
    subscriber.create_subscription(request=Subscription(name=name, topic=topic, enable_message_ordering=True))
    publish(publisher, topic, b"1", b"2", ordering_key="k")
    first = take(subscriber, name, 1)[0]
    assert first.message.data == b"1"
    subscriber.modify_ack_deadline(subscription=name, ack_ids=[first.ack_id], ack_deadline_seconds=0)
    order = []
    while len(order) < 2:
        for found in take(subscriber, name, 1):
            order.append(found.message.data)
            subscriber.acknowledge(subscription=name, ack_ids=[found.ack_id])
    assert order == [b"1", b"2"]


FILTERS = {
    'attributes.kind = "order"': ["order-eu", "order-us"],
    'attributes.kind != "order"': ["mail", "plain"],
    "attributes:region": ["order-eu", "order-us"],
    "NOT attributes:kind": ["plain"],
    'hasPrefix(attributes.region, "eu")': ["order-eu"],
    'attributes.kind = "mail" OR attributes.region = "us-east1"': ["mail", "order-us"],
    'attributes.kind = "order" AND NOT hasPrefix(attributes.region, "us")': ["order-eu"],
}


@pytest.mark.parametrize("wanted", FILTERS)
def test_filters(publisher, subscriber, topic, name, wanted):
    subscriber.create_subscription(request=Subscription(name=name, topic=topic, filter=wanted))
    messages = {
        "order-eu": {"kind": "order", "region": "europe-west1"},
        "order-us": {"kind": "order", "region": "us-east1"},
        "mail": {"kind": "mail"},
        "plain": {},
    }
    for payload, attributes in messages.items():
        publish(publisher, topic, payload.encode(), attributes=attributes)
    received = take(subscriber, name, len(FILTERS[wanted]))
    assert sorted(found.message.data.decode() for found in received) == FILTERS[wanted]


def test_dead_letters_carry_where_they_come_from(publisher, subscriber, project, topic, name):
    dead = publisher.create_topic(name=f"projects/{project}/topics/orders-dead").name
    hold = subscriber.create_subscription(name=f"projects/{project}/subscriptions/hold", topic=dead).name
    subscriber.create_subscription(request=Subscription(name=name, topic=topic, dead_letter_policy={"dead_letter_topic": dead, "max_delivery_attempts": 5}))
    publish(publisher, topic, b"poison", attributes={"kind": "order"}, ordering_key="k")
    attempts = []
    for _ in range(5):
        [received] = take(subscriber, name)
        attempts.append(received.delivery_attempt)
        subscriber.modify_ack_deadline(subscription=name, ack_ids=[received.ack_id], ack_deadline_seconds=0)
    assert attempts == [1, 2, 3, 4, 5]
    [held] = take(subscriber, hold)
    assert held.message.data == b"poison"
    assert held.message.ordering_key == "k"
    attributes = dict(held.message.attributes)
    assert attributes.pop("CloudPubSubDeadLetterSourceTopicPublishTime").endswith("+00:00")
    assert attributes == {
        "kind": "order",
        "CloudPubSubDeadLetterSourceDeliveryCount": "5",
        "CloudPubSubDeadLetterSourceSubscription": "billing",
        "CloudPubSubDeadLetterSourceSubscriptionProject": project,
    }
    assert list(subscriber.pull(request={"subscription": name, "max_messages": 1, "return_immediately": True}).received_messages) == []


def test_push_sends_the_documented_envelope(publisher, subscriber, topic, name, target):
    config = PushConfig(push_endpoint=f"{target.url}/orders?token=1", oidc_token={"service_account_email": "push@shop.example", "audience": "orders"})
    subscriber.create_subscription(name=name, topic=topic, push_config=config)
    [message_id] = publish(publisher, topic, b"\x00\xffpushed", attributes={"kind": "order"}, ordering_key="k")
    [request] = target.wait(1)
    assert (request.method, request.path) == ("POST", "/orders?token=1")
    assert request.headers["content-type"] == "application/json"
    envelope = json.loads(request.body)
    assert envelope["subscription"] == name
    assert base64.b64decode(envelope["message"]["data"]) == b"\x00\xffpushed"
    assert envelope["message"]["attributes"] == {"kind": "order"}
    assert envelope["message"]["orderingKey"] == "k"
    assert envelope["message"]["messageId"] == envelope["message"]["message_id"] == message_id
    assert envelope["message"]["publishTime"] == envelope["message"]["publish_time"]
    kind, token = request.headers["authorization"].split()
    assert kind == "Bearer"
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert (claims["aud"], claims["email"], claims["email_verified"]) == ("orders", "push@shop.example", True)
    assert (claims["iss"], claims["exp"] - claims["iat"]) == ("https://accounts.google.com", 3600)


def test_push_tries_again_until_it_is_accepted(publisher, subscriber, topic, name, target):
    target.answers = [500, 302, 404, 204]
    policy = {"dead_letter_topic": topic, "max_delivery_attempts": 100}
    retry = {"minimum_backoff": {"seconds": 0}, "maximum_backoff": {"seconds": 0}}
    wanted = Subscription(name=name, topic=topic, push_config={"push_endpoint": target.url}, dead_letter_policy=policy, retry_policy=retry)
    subscriber.create_subscription(request=wanted)
    publish(publisher, topic, b"x")
    requests = target.wait(4)
    assert [json.loads(request.body)["deliveryAttempt"] for request in requests] == [1, 2, 3, 4]
    publish(publisher, topic, b"y")
    later = target.wait(5)[4]
    assert base64.b64decode(json.loads(later.body)["message"]["data"]) == b"y", "what was accepted is not sent again"


def test_push_without_a_wrapper(publisher, subscriber, topic, name, target):
    config = PushConfig(push_endpoint=target.url, no_wrapper={"write_metadata": True})
    subscriber.create_subscription(name=name, topic=topic, push_config=config)
    [message_id] = publish(publisher, topic, b"raw", attributes={"kind": "order"})
    [request] = target.wait(1)
    assert request.body == b"raw"
    assert request.headers["x-goog-pubsub-message-id"] == message_id
    assert request.headers["x-goog-pubsub-subscription-name"] == name
    assert request.headers["kind"] == "order"


@pytest.fixture
def topic(publisher, project):
    return publisher.create_topic(name=f"projects/{project}/topics/orders").name
