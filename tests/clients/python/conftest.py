"""What the tests of the official Python clients share. `EMULATOR` (host:port) says where the server is:
this emulator, or any server of the service that a file is about (for Cloud Scheduler, and Pub/Sub); `PRINTED` names the file of what it printed."""

import os
import time
import uuid
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

# The machine's own project and tokens come from the emulator too; Google's library reads this when it is loaded.
os.environ["GCE_METADATA_HOST"] = os.environ["GCE_METADATA_IP"] = os.environ["EMULATOR"]

import grpc
import pytest
from google.api_core.exceptions import GoogleAPICallError
from google.auth.credentials import AnonymousCredentials
from google.pubsub_v1 import PublisherClient, SubscriberClient

ADDRESS = os.environ["EMULATOR"]
# The high-level clients of Pub/Sub take the address from here.
os.environ["PUBSUB_EMULATOR_HOST"] = ADDRESS

MISSING = "does-not-exist"


def connect(client, transport):
    """A generated client on a plaintext connection: gRPC, or HTTP/1.1 and JSON."""
    factory = client.get_transport_class(transport)
    if transport == "grpc":
        return client(transport=factory(channel=grpc.insecure_channel(ADDRESS, options=[("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)])))
    return client(transport=factory(host=f"http://{ADDRESS}", credentials=AnonymousCredentials()))


@contextmanager
def refused(status, what="the call"):
    """Asserts that what is called within is refused with this canonical status, and that the answer says why."""
    try:
        yield
    except GoogleAPICallError as error:
        found = error.response.code().name if isinstance(error.response, grpc.RpcError) else error.response.json()["error"]["status"]
        assert found == status, f"{what}: {found}, {error.message}"
        assert error.message or status == "UNIMPLEMENTED", f"{what}: no message"
    else:
        pytest.fail(f"was accepted: {what}")


def until(what, condition, seconds=20):
    """Waits until `condition` returns something true, and returns it."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.02)


@pytest.fixture
def project():
    """A project of the test's own, so that listings hold its resources only."""
    return f"py-{uuid.uuid4().hex[:10]}"


@pytest.fixture(params=["grpc", "rest"])
def transport(request):
    return request.param


@pytest.fixture
def publisher(transport):
    return connect(PublisherClient, transport)


@pytest.fixture
def subscriber(transport):
    return connect(SubscriberClient, transport)


@pytest.fixture
def topic(publisher, project):
    return publisher.create_topic(name=f"projects/{project}/topics/orders").name


class Target:
    """An HTTP server that keeps what it is sent and answers as it is told."""

    def __init__(self):
        self.requests = []
        self.answers = []
        self.lock = Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                with outer.lock:
                    outer.requests.append(Request(self.command, self.path, dict(self.headers.items()), body))
                    status = outer.answers.pop(0) if outer.answers else 200
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = answer

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, count=1, seconds=20):
        """The requests, once there are `count` of them."""
        until(f"{count} requests at the target", lambda: len(self.requests) >= count, seconds)
        with self.lock:
            return list(self.requests)


class Request:
    def __init__(self, method, path, headers, body):
        self.method, self.path, self.body = method, path, body
        self.headers = {name.lower(): value for name, value in headers.items()}


@pytest.fixture
def target():
    target = Target()
    yield target
    target.server.shutdown()
    target.server.server_close()


def pytest_terminal_summary(terminalreporter):
    stats = terminalreporter.stats
    failed = len(stats.get("failed", [])) + len(stats.get("error", []))
    terminalreporter.write_line(f"{len(stats.get('passed', []))} passed, {failed} failed")
