#!/usr/bin/env python3
"""Redrives dead letters as a good script on Google's own client does: what `redrive dlq redrive` is measured against.

    python3 benches/redrive.py --target 127.0.0.1:8085 --project shop --source hold --topic orders --count 100000             # 1,000 by each call
    python3 benches/redrive.py --target 127.0.0.1:8085 --project shop --source hold --topic orders --count 1000 --batch 1     # one by one

It does what has to be done and nothing else: one pull, one publish, one acknowledgement, on plain protobuf messages, without the batching
publisher's threads. It keeps no journal: killed between publish and acknowledgement it publishes up to a batch twice, and does not know it.
Needs google-cloud-pubsub.
"""

import argparse
import json
import time

import grpc
from google.cloud import pubsub_v1
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import AcknowledgeRequest, PublishRequest, PullRequest, PullResponse

DEAD_LETTER_PREFIX = "CloudPubSubDeadLetter"
# A pull of 1,000 messages is larger than what gRPC takes by default.
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def redrive(target, project, source, topic, count, batch):
    """Moves `count` messages, `batch` by each call; returns the seconds that took."""
    channel = grpc.insecure_channel(target, options=OPTIONS)
    publisher = pubsub_v1.PublisherClient(transport=PublisherGrpcTransport(channel=channel)).api
    subscriber = pubsub_v1.SubscriberClient(transport=SubscriberGrpcTransport(channel=channel)).api
    subscription = f"projects/{project}/subscriptions/{source}"
    topic = f"projects/{project}/topics/{topic}"
    pull = PullRequest(subscription=subscription, max_messages=batch)
    moved = 0
    begun = time.perf_counter()
    while moved < count:
        # The protobuf messages themselves: the client's wrappers cost much more.
        received = PullResponse.pb(subscriber.pull(request=pull)).received_messages
        request = PublishRequest.pb(PublishRequest(topic=topic))
        for one in received:
            message = request.messages.add()
            message.data = one.message.data
            message.ordering_key = one.message.ordering_key
            for key, value in one.message.attributes.items():
                if not key.startswith(DEAD_LETTER_PREFIX):
                    message.attributes[key] = value
        if not request.messages:
            continue
        publisher.publish(request=PublishRequest.wrap(request))
        acknowledge = AcknowledgeRequest(subscription=subscription, ack_ids=[one.ack_id for one in received])
        subscriber.acknowledge(request=acknowledge)
        moved += len(received)
    return time.perf_counter() - begun


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", required=True, metavar="HOST:PORT")
    parser.add_argument("--project", required=True)
    parser.add_argument("--source", required=True, help="subscription that holds the dead letters")
    parser.add_argument("--topic", required=True, help="topic they go back to")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--batch", type=int, default=1000, help="messages by each call")
    options = parser.parse_args()
    seconds = redrive(options.target, options.project, options.source, options.topic, options.count, options.batch)
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
