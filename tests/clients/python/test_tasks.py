"""CloudTasks v2 over gRPC and REST: every call, what it answers, what it refuses, and what reaches the target."""

import base64
import json
from datetime import datetime, timedelta, timezone

import pytest
from conftest import MISSING, connect, refused, until
from google.cloud.tasks_v2 import CloudTasksClient
from google.cloud.tasks_v2.types import BatchCreateTasksMetadata, CreateTaskRequest, HttpMethod, Queue, Task
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp


@pytest.fixture
def client(transport):
    return connect(CloudTasksClient, transport)


@pytest.fixture
def location(project):
    return f"projects/{project}/locations/europe-west1"


@pytest.fixture
def queue(client, location):
    """A queue that does nothing until it is resumed."""
    client.create_queue(parent=location, queue=Queue(name=f"{location}/queues/emails", retry_config={"min_backoff": Duration(nanos=100_000_000), "max_backoff": Duration(seconds=1)}))
    return client.pause_queue(name=f"{location}/queues/emails").name


def in_the_future(hours=1):
    return Timestamp(seconds=int(datetime.now(timezone.utc).timestamp()) + hours * 3600)


def http(url="http://127.0.0.1:9/", **fields):
    return Task(http_request={"url": url, **fields})


def test_create_and_get_queue_with_defaults(client, location):
    name = f"{location}/queues/emails"
    created = client.create_queue(parent=location, queue=Queue(name=name))
    assert created.name == name
    assert created.state == Queue.State.RUNNING
    limits, retry = created.rate_limits, created.retry_config
    assert (limits.max_dispatches_per_second, limits.max_concurrent_dispatches, limits.max_burst_size) == (500, 1000, 100)
    assert (retry.max_attempts, retry.max_doublings) == (100, 16)
    assert (retry.min_backoff, retry.max_backoff, retry.max_retry_duration) == (timedelta(milliseconds=100), timedelta(hours=1), timedelta(0))
    assert "purge_time" not in created
    assert client.get_queue(name=name) == created
    with refused("ALREADY_EXISTS"):
        client.create_queue(parent=location, queue=Queue(name=name))


def test_create_queue_with_settings(client, location):
    wanted = Queue(
        name=f"{location}/queues/slow",
        rate_limits={"max_dispatches_per_second": 0.5, "max_concurrent_dispatches": 3},
        retry_config={"max_attempts": -1, "max_retry_duration": Duration(seconds=60), "min_backoff": Duration(seconds=2), "max_backoff": Duration(seconds=20), "max_doublings": 3},
        stackdriver_logging_config={"sampling_ratio": 0.25},
    )
    created = client.create_queue(parent=location, queue=wanted)
    assert created.rate_limits.max_dispatches_per_second == 0.5
    assert created.rate_limits.max_concurrent_dispatches == 3
    assert created.retry_config == wanted.retry_config
    assert created.stackdriver_logging_config.sampling_ratio == 0.25


QUEUES_REFUSED = {
    "501 dispatches a second": {"rate_limits": {"max_dispatches_per_second": 501}},
    "5001 at once": {"rate_limits": {"max_concurrent_dispatches": 5001}},
    "-2 attempts": {"retry_config": {"max_attempts": -2}},
    "back-offs the wrong way round": {"retry_config": {"min_backoff": Duration(seconds=9), "max_backoff": Duration(seconds=2)}},
    "negative back-off": {"retry_config": {"min_backoff": Duration(seconds=-1)}},
    "ratio over 1": {"stackdriver_logging_config": {"sampling_ratio": 1.5}},
    "a fraction of a second": {"retry_config": {"max_retry_duration": Duration(seconds=30, nanos=900_000_000)}},
    "a host with a port": {"http_target": {"uri_override": {"host": "example.net:8080"}}},
    "an override of nothing": {"http_target": {"uri_override": {}}},
    "a header of the service's": {"http_target": {"header_overrides": [{"header": {"key": "Host", "value": "example.net"}}]}},
}


@pytest.mark.parametrize("what", QUEUES_REFUSED)
def test_create_queue_refuses_settings(client, location, what):
    with refused("INVALID_ARGUMENT", what):
        client.create_queue(parent=location, queue=Queue(name=f"{location}/queues/emails", **QUEUES_REFUSED[what]))
    with refused("NOT_FOUND"):
        client.get_queue(name=f"{location}/queues/emails")


def test_create_queue_refuses_names(client, location):
    for wrong in ("under_score", "", "q" * 101, "dot.ted"):
        with refused("INVALID_ARGUMENT", wrong):
            client.create_queue(parent=location, queue=Queue(name=f"{location}/queues/{wrong}"))
    with refused("INVALID_ARGUMENT", "another parent"):
        client.create_queue(parent=location, queue=Queue(name=f"{location}x/queues/emails"))


def test_update_queue(client, location, queue):
    change = Queue(name=queue, rate_limits={"max_dispatches_per_second": 7}, retry_config={"max_attempts": 9})
    updated = client.update_queue(queue=change, update_mask={"paths": ["rate_limits.max_dispatches_per_second"]})
    assert updated.rate_limits.max_dispatches_per_second == 7
    assert updated.retry_config.max_attempts == 100
    updated = client.update_queue(queue=change, update_mask={"paths": ["retry_config"]})
    assert updated.retry_config.max_attempts == 9
    assert updated.state == Queue.State.PAUSED, "an update does not change the state"
    assert client.get_queue(name=queue) == updated
    with refused("INVALID_ARGUMENT"):
        client.update_queue(queue=change, update_mask={"paths": ["no_such_field"]})
    with refused("INVALID_ARGUMENT"):
        client.update_queue(queue=Queue(name=queue, rate_limits={"max_dispatches_per_second": 501}), update_mask={"paths": ["rate_limits"]})


def test_list_queues_in_pages_and_filtered(client, location, queue):
    for n in range(3):
        client.create_queue(parent=location, queue=Queue(name=f"{location}/queues/queue-{n}"))
    pages = list(client.list_queues(request={"parent": location, "page_size": 3}).pages)
    assert [len(page.queues) for page in pages if page.queues] == [3, 1], "the last page may be empty"
    assert sorted(found.name for page in pages for found in page.queues) == [queue, *(f"{location}/queues/queue-{n}" for n in range(3))]
    assert [found.name for found in client.list_queues(request={"parent": location, "filter": "state: PAUSED"})] == [queue]
    assert list(client.list_queues(parent=location.replace("europe", "asia"))) == []
    for wrong in ({"filter": "state ! PAUSED"}, {"page_token": "no token of ours"}, {"page_size": -1}):
        with refused("INVALID_ARGUMENT", str(wrong)):
            client.list_queues(request={"parent": location, **wrong})


def test_pause_resume_and_purge(client, queue):
    client.create_task(parent=queue, task=http())
    assert client.get_queue(name=queue).state == Queue.State.PAUSED
    purged = client.purge_queue(name=queue)
    assert purged.name == queue
    age = datetime.now(timezone.utc) - purged.purge_time
    assert timedelta(seconds=-5) < age < timedelta(seconds=60)
    until("an empty queue", lambda: not list(client.list_tasks(parent=queue)))
    assert client.resume_queue(name=queue).state == Queue.State.RUNNING
    assert client.get_queue(name=queue).state == Queue.State.RUNNING


def test_delete_queue(client, location, queue):
    client.delete_queue(name=queue)
    for call in (client.get_queue, client.delete_queue, client.pause_queue, client.resume_queue, client.purge_queue):
        with refused("NOT_FOUND", call.__name__):
            call(name=queue)
    with refused("FAILED_PRECONDITION", "the name is blocked for days"):
        client.create_queue(parent=location, queue=Queue(name=queue))


def test_create_task_answers_with_what_the_service_fills_in(client, queue):
    before = datetime.now(timezone.utc) - timedelta(seconds=5)
    created = client.create_task(parent=queue, task=http(body=b"hidden", headers={"X-Shop": "1"}))
    assert created.name.startswith(f"{queue}/tasks/")
    assert before < created.create_time < datetime.now(timezone.utc) + timedelta(seconds=5)
    assert before < created.schedule_time < datetime.now(timezone.utc) + timedelta(seconds=5)
    assert created.http_request.http_method == HttpMethod.POST
    assert created.http_request.url == "http://127.0.0.1:9/"
    assert created.http_request.headers["X-Shop"] == "1"
    assert created.http_request.body == b"", "BASIC is the default"
    assert created.dispatch_deadline == timedelta(minutes=10)
    assert (created.dispatch_count, created.response_count, created.view) == (0, 0, Task.View.BASIC)
    assert "first_attempt" not in created
    full = client.get_task(request={"name": created.name, "response_view": Task.View.FULL})
    assert full.http_request.body == b"hidden"
    assert full.view == Task.View.FULL


def test_create_task_as_asked_for(client, queue):
    at = in_the_future()
    task = Task(name=f"{queue}/tasks/welcome_1", schedule_time=at, dispatch_deadline=Duration(seconds=15))
    task.http_request = {"url": "https://shop.example/x?y=1", "http_method": HttpMethod.PUT, "body": b"\x00\xff", "oidc_token": {"service_account_email": "a@b.example", "audience": "aud"}}
    created = client.create_task(request={"parent": queue, "task": task, "response_view": Task.View.FULL})
    assert created.name == f"{queue}/tasks/welcome_1"
    assert created.schedule_time.timestamp() == at.seconds
    assert created.dispatch_deadline == timedelta(seconds=15)
    assert dict(created.http_request.headers) == {"User-Agent": "Google-Cloud-Tasks"}, "added by the service"
    task.http_request.headers = created.http_request.headers
    assert created.http_request == task.http_request
    with refused("ALREADY_EXISTS"):
        client.create_task(parent=queue, task=task)
    client.delete_task(name=created.name)
    with refused("ALREADY_EXISTS", "a used name is blocked for a while"):
        client.create_task(parent=queue, task=task)


def test_create_app_engine_task(client, queue):
    request = {"relative_uri": "/work?x=1", "http_method": HttpMethod.POST, "body": b"b", "app_engine_routing": {"service": "worker"}}
    created = client.create_task(request={"parent": queue, "task": Task(app_engine_http_request=request), "response_view": Task.View.FULL})
    assert created.app_engine_http_request.relative_uri == "/work?x=1"
    assert created.app_engine_http_request.app_engine_routing.service == "worker"
    assert created.app_engine_http_request.body == b"b"


def test_create_task_refuses(client, location, queue):
    refuse = {
        "no target": Task(),
        "no address": http("shop.example/x"),
        "body with GET": http(http_method=HttpMethod.GET, body=b"x"),
        "deadline under 15 s": Task(http_request={"url": "http://127.0.0.1:9/"}, dispatch_deadline=Duration(seconds=14)),
        "deadline over 30 min": Task(http_request={"url": "http://127.0.0.1:9/"}, dispatch_deadline=Duration(seconds=1801)),
        "31 days ahead": Task(http_request={"url": "http://127.0.0.1:9/"}, schedule_time=in_the_future(31 * 24)),
        "over 1 MiB": http(body=b"x" * (1024 * 1024 + 1)),
        "name of another queue": Task(name=f"{location}/queues/other/tasks/t", http_request={"url": "http://127.0.0.1:9/"}),
        "name with a dot": Task(name=f"{queue}/tasks/a.b", http_request={"url": "http://127.0.0.1:9/"}),
    }
    for what, task in refuse.items():
        with refused("INVALID_ARGUMENT", what):
            client.create_task(parent=queue, task=task)
    with refused("NOT_FOUND"):
        client.create_task(parent=f"{location}/queues/{MISSING}", task=http())


def test_list_get_and_delete_tasks(client, queue):
    names = {client.create_task(parent=queue, task=http(body=f"{n}".encode())).name for n in range(5)}
    pages = list(client.list_tasks(request={"parent": queue, "page_size": 2, "response_view": Task.View.FULL}).pages)
    assert [len(page.tasks) for page in pages if page.tasks] == [2, 2, 1], "the last page may be empty"
    tasks = [task for page in pages for task in page.tasks]
    assert {task.name for task in tasks} == names
    assert {task.http_request.body for task in tasks} == {f"{n}".encode() for n in range(5)}
    assert {task.http_request.body for task in client.list_tasks(parent=queue)} == {b""}
    gone = names.pop()
    client.delete_task(name=gone)
    assert {task.name for task in client.list_tasks(parent=queue)} == names
    for call in (client.get_task, client.delete_task, client.run_task):
        with refused("NOT_FOUND", call.__name__):
            call(name=gone)
        with refused("INVALID_ARGUMENT", call.__name__):
            call(name=f"{queue}/tasks/a.b")
    with refused("NOT_FOUND"):
        client.list_tasks(parent=queue + "-not")


def test_batches(client, queue, transport):
    client.create_task(parent=queue, task=Task(name=f"{queue}/tasks/t2", http_request={"url": "http://127.0.0.1:9/"}))
    requests = [CreateTaskRequest(parent=queue, task=Task(name=f"{queue}/tasks/t{n}", http_request={"url": "http://127.0.0.1:9/"})) for n in range(3)]
    operation = client.batch_create_tasks(parent=queue, requests=requests)
    assert operation.done()
    assert operation.metadata.state == BatchCreateTasksMetadata.State.PARTIALLY_SUCCEEDED
    assert {index: status.code for index, status in operation.metadata.failed_requests.items()} == {2: 6}
    assert sorted(task.name for task in operation.result().tasks if task.name) == [f"{queue}/tasks/t0", f"{queue}/tasks/t1"]
    operation = client.batch_delete_tasks(request={"parent": queue, "names": [f"{queue}/tasks/t{n}" for n in range(3)]})
    assert operation.done()
    assert list(client.list_tasks(parent=queue)) == []
    with refused("INVALID_ARGUMENT", "101 at once"):
        client.batch_create_tasks(parent=queue, requests=[CreateTaskRequest(parent=queue, task=http())] * 101)


def test_a_resumed_queue_dispatches_with_the_documented_headers(client, queue, target):
    body = {"to": "ada"}
    task = http(f"{target.url}/mail?x=1", http_method=HttpMethod.PUT, body=json.dumps(body).encode(), headers={"Content-Type": "application/json", "X-Shop": "1"})
    task.http_request.oidc_token = {"service_account_email": "mailer@shop.example"}
    name = client.create_task(parent=queue, task=task).name
    client.resume_queue(name=queue)
    [request] = target.wait(1)
    assert (request.method, request.path) == ("PUT", "/mail?x=1")
    assert json.loads(request.body) == body
    headers = request.headers
    assert headers["x-cloudtasks-queuename"] == "emails"
    assert headers["x-cloudtasks-taskname"] == name.rsplit("/", 1)[1]
    assert headers["x-cloudtasks-taskretrycount"] == "0"
    assert headers["x-cloudtasks-taskexecutioncount"] == "0"
    assert abs(float(headers["x-cloudtasks-tasketa"]) - datetime.now(timezone.utc).timestamp()) < 60
    assert headers["user-agent"] == "Google-Cloud-Tasks"
    assert (headers["content-type"], headers["x-shop"]) == ("application/json", "1")
    claims = json.loads(base64.urlsafe_b64decode(headers["authorization"].removeprefix("Bearer ").split(".")[1] + "=="))
    assert (claims["email"], claims["aud"]) == ("mailer@shop.example", f"{target.url}/mail?x=1")
    until("the task is gone", lambda: not list(client.list_tasks(parent=queue)))


def test_retries_until_it_succeeds(client, queue, target):
    target.answers = [500, 429, 204]
    name = client.create_task(parent=queue, task=http(target.url)).name
    client.resume_queue(name=queue)
    requests = target.wait(3)
    assert [request.headers["x-cloudtasks-taskretrycount"] for request in requests] == ["0", "1", "2"]
    assert requests[1].headers["x-cloudtasks-taskpreviousresponse"] == "500"
    until("the task is gone", lambda: not list(client.list_tasks(parent=queue)))
    with refused("NOT_FOUND"):
        client.get_task(name=name)


def test_run_task_in_a_paused_queue_keeps_a_task_that_fails(client, queue, target):
    target.answers = [503]
    name = client.create_task(request={"parent": queue, "task": Task(http_request={"url": target.url}, schedule_time=in_the_future())}).name
    ran = client.run_task(name=name)
    assert ran.name == name
    target.wait(1)
    # Not by `response_count`: the reference counts each response, and recordings of the real service (in `cloud-tasks-emulator`) none that failed.
    task = until("the attempt is recorded", lambda: next((task for task in client.list_tasks(parent=queue) if "response_time" in task.last_attempt), None))
    assert task.dispatch_count == 1
    assert task.last_attempt.response_status.code == 14, "503 is UNAVAILABLE"
    assert "dispatch_time" in task.first_attempt
    assert "response_time" in task.last_attempt
    client.run_task(name=name)
    target.wait(2)
    until("the task is gone", lambda: not list(client.list_tasks(parent=queue)))
    with refused("NOT_FOUND"):
        client.run_task(name=name)


def test_attempts_end(client, location, target):
    target.answers = [500] * 10
    queue = Queue(name=f"{location}/queues/short", retry_config={"max_attempts": 3, "min_backoff": Duration(nanos=100_000_000), "max_backoff": Duration(nanos=100_000_000)})
    client.create_queue(parent=location, queue=queue)
    client.create_task(parent=queue.name, task=http(target.url))
    target.wait(3)
    until("the task is given up", lambda: not list(client.list_tasks(parent=queue.name)))
    assert len(target.requests) == 3


def test_a_queue_keeps_to_its_rate(client, location, target):
    queue = Queue(name=f"{location}/queues/slow", rate_limits={"max_dispatches_per_second": 5, "max_concurrent_dispatches": 1})
    client.create_queue(parent=location, queue=queue)
    client.pause_queue(name=queue.name)
    for _ in range(20):
        client.create_task(parent=queue.name, task=http(target.url))
    start = datetime.now(timezone.utc)
    client.resume_queue(name=queue.name)
    target.wait(20, 30)
    taken = (datetime.now(timezone.utc) - start).total_seconds()
    burst = client.get_queue(name=queue.name).rate_limits.max_burst_size
    assert taken > (20 - burst - 1) / 5, f"20 dispatches took {taken} s at 5 a second after a burst of {burst}"


def test_locations(client, project, location):
    locations = {found.location_id: found.name for found in client.list_locations(request={"name": f"projects/{project}"}).locations}
    assert locations["europe-west1"] == location
    assert client.get_location(request={"name": location}).location_id == "europe-west1"


def test_policies_of_a_queue(client, queue):
    assert list(client.get_iam_policy(resource=queue).bindings) == []
    wanted = {"bindings": [{"role": "roles/cloudtasks.enqueuer", "members": ["user:ada@example.com"]}]}
    conditional = {"version": 3, "bindings": [{**wanted["bindings"][0], "condition": {"title": "never", "expression": "false"}}]}
    for wrong in (conditional, {"version": 4}, {"bindings": [{"role": "viewer", "members": ["user:ada@example.com"]}]}):
        with refused("INVALID_ARGUMENT", wrong):
            client.set_iam_policy(request={"resource": queue, "policy": wrong})
    written = client.set_iam_policy(request={"resource": queue, "policy": wanted})
    assert [(binding.role, list(binding.members)) for binding in written.bindings] == [("roles/cloudtasks.enqueuer", ["user:ada@example.com"])]
    assert client.get_iam_policy(resource=queue) == written
    permissions = ["cloudtasks.tasks.create"]
    assert list(client.test_iam_permissions(resource=queue, permissions=permissions).permissions) == permissions
    with refused("NOT_FOUND"):
        client.get_iam_policy(resource=queue + "-not")


def test_the_key_of_a_location_is_told_and_set(client, location):
    name = f"{location}/cmekConfig"
    assert client.get_cmek_config(name=name).kms_key == ""
    key = f"{location}/keyRings/ring/cryptoKeys/key"
    assert client.update_cmek_config(cmek_config={"name": name, "kms_key": key}).kms_key == key
    assert client.get_cmek_config(name=name).kms_key == key
    with refused("INVALID_ARGUMENT"):
        client.update_cmek_config(cmek_config={"name": name, "kms_key": "key"})
