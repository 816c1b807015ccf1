"""Leads Google's official clients to the emulator (`EMULATOR`, host:port) instead of Google's hosts. Only addresses and channels are changed, before
anything else is imported: what the libraries under test do with the clients stays as it is."""

import os
import socket

EMULATOR = os.environ["EMULATOR"]
# Google's own variables: Pub/Sub's clients and `google.auth` read them when they are loaded.
os.environ["PUBSUB_EMULATOR_HOST"] = os.environ["GCE_METADATA_HOST"] = os.environ["GCE_METADATA_IP"] = EMULATOR

import grpc  # noqa: E402
from google.oauth2 import id_token  # noqa: E402

METADATA = ("metadata.google.internal", 80)


def channel(cls, host, **_):
    """The clients of Cloud Tasks and Cloud Scheduler know no emulator variable, and open nothing but TLS."""
    return grpc.insecure_channel(EMULATOR)


def lead():
    """Changes the addresses."""
    from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

    CloudTasksGrpcTransport.create_channel = classmethod(channel)
    try:
        from google.cloud.scheduler_v1.services.cloud_scheduler.transports import CloudSchedulerGrpcTransport

        CloudSchedulerGrpcTransport.create_channel = classmethod(channel)
    except ImportError:
        pass  # The third library has no periodic tasks, and does not ask for this client.
    # The keys that tokens are checked with have a fixed address.
    id_token._GOOGLE_OAUTH2_CERTS_URL = f"http://{EMULATOR}/oauth2/v1/certs"
    # The metadata server is asked by its name, past Google's library: as if /etc/hosts led here.
    connect = socket.create_connection

    def connect_here(address, *args, **kwargs):
        host, _, port = EMULATOR.rpartition(":")
        return connect((host, int(port)) if tuple(address) == METADATA else address, *args, **kwargs)

    socket.create_connection = connect_here
