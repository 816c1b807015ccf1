#!/usr/bin/env python3
"""Redrives dead letters as a good script on Google's own client does: what `redrive dlq redrive` is measured against.

    python3 benches/redrive.py --target 127.0.0.1:8085 --project shop --source hold --topic orders --count 100000             # 1,000 by each call
    python3 benches/redrive.py --target 127.0.0.1:8085 --project shop --source hold --topic orders --count 1000 --batch 1     # one by one

It does what has to be done and nothing else: one pull, one publish, one acknowledgement, without the batching publisher's threads. With `--bare` it
uses the protobuf messages beneath the client's own types, which few would write. It keeps no journal: killed between publish and acknowledgement it
publishes up to a batch twice, and does not know it. Only the moving is timed, not the start of Python. Needs google-cloud-pubsub.
"""

import argparse
import json
import time

import grpc
from google.cloud import pubsub_v1
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import PublishRequest, PubsubMessage, PullRequest, PullResponse

DEAD_LETTER_PREFIX = "CloudPubSubDeadLetter"
# A pull of 1,000 messages may be larger than what gRPC takes by default.
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def documented(subscriber, publisher, subscription, topic, batch):
    """Moves up to `batch` messages with the client's own types; returns how many."""
    received = subscriber.pull(subscription=subscription, max_messages=batch).received_messages
    messages = []
    for one in received:
        attributes = {key: value for key, value in one.message.attributes.items() if not key.startswith(DEAD_LETTER_PREFIX)}
        messages.append(PubsubMessage(data=one.message.data, attributes=attributes, ordering_key=one.message.ordering_key))
    if messages:
        publisher.publish(topic=topic, messages=messages)
        subscriber.acknowledge(subscription=subscription, ack_ids=[one.ack_id for one in received])
    return len(messages)


def bare(subscriber, publisher, subscription, topic, batch):
    """The same on the protobuf messages beneath."""
    received = PullResponse.pb(subscriber.pull(request=PullRequest(subscription=subscription, max_messages=batch))).received_messages
    request = PublishRequest.pb(PublishRequest(topic=topic))
    for one in received:
        message = request.messages.add()
        message.data = one.message.data
        message.ordering_key = one.message.ordering_key
        for key, value in one.message.attributes.items():
            if not key.startswith(DEAD_LETTER_PREFIX):
                message.attributes[key] = value
    if received:
        publisher.publish(request=PublishRequest.wrap(request))
        subscriber.acknowledge(subscription=subscription, ack_ids=[one.ack_id for one in received])
    return len(received)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", required=True, metavar="HOST:PORT")
    parser.add_argument("--project", required=True)
    parser.add_argument("--source", required=True, help="subscription that holds the dead letters")
    parser.add_argument("--topic", required=True, help="topic they go back to")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--batch", type=int, default=1000, help="messages by each call")
    parser.add_argument("--bare", action="store_true", help="without the client's own types")
    options = parser.parse_args()
    channel = grpc.insecure_channel(options.target, options=OPTIONS)
    publisher = pubsub_v1.PublisherClient(transport=PublisherGrpcTransport(channel=channel)).api
    subscriber = pubsub_v1.SubscriberClient(transport=SubscriberGrpcTransport(channel=channel)).api
    subscription = f"projects/{options.project}/subscriptions/{options.source}"
    topic = f"projects/{options.project}/topics/{options.topic}"
    move = bare if options.bare else documented
    moved = 0
    begun = time.perf_counter()
    while moved < options.count:
        moved += move(subscriber, publisher, subscription, topic, options.batch)
    print(json.dumps({"seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    main()
