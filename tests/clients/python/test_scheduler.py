"""CloudScheduler v1 over gRPC and REST: every call, what it answers, what it refuses, and what reaches the target."""

import base64
import json
from datetime import datetime, timedelta, timezone

import pytest
from conftest import MISSING, connect, refused, until
from google.cloud.scheduler_v1 import CloudSchedulerClient
from google.cloud.scheduler_v1.types import HttpMethod, Job
from google.protobuf.duration_pb2 import Duration
from google.pubsub_v1 import PublisherClient, SubscriberClient


@pytest.fixture
def client(transport):
    return connect(CloudSchedulerClient, transport)


@pytest.fixture
def location(project):
    return f"projects/{project}/locations/europe-west1"


@pytest.fixture
def job(client, location, target):
    """A job that is due on New Year's Eve."""
    return client.create_job(parent=location, job=Job(name=f"{location}/jobs/report", schedule="0 0 31 12 *", http_target={"uri": f"{target.url}/report"})).name


def test_create_and_get_job_with_defaults(client, location):
    before = datetime.now(timezone.utc) - timedelta(seconds=5)
    wanted = Job(name=f"{location}/jobs/report", schedule="*/5 * * * *", http_target={"uri": "http://127.0.0.1:9/report"})
    created = client.create_job(parent=location, job=wanted)
    assert created.name == wanted.name
    assert created.schedule == "*/5 * * * *"
    assert created.state == Job.State.ENABLED
    assert created.time_zone in ("UTC", "Etc/UTC")
    assert created.http_target.http_method == HttpMethod.POST
    assert created.attempt_deadline == timedelta(minutes=3)
    retry = created.retry_config
    assert (retry.retry_count, retry.min_backoff_duration, retry.max_backoff_duration, retry.max_doublings) == (0, timedelta(seconds=5), timedelta(hours=1), 5)
    assert before < created.user_update_time < datetime.now(timezone.utc) + timedelta(seconds=5)
    assert created.schedule_time.minute % 5 == 0
    assert created.schedule_time.second == 0
    assert before < created.schedule_time <= datetime.now(timezone.utc) + timedelta(minutes=5, seconds=5)
    assert "last_attempt_time" not in created
    assert client.get_job(name=created.name) == created
    with refused("ALREADY_EXISTS"):
        client.create_job(parent=location, job=wanted)


def test_create_job_as_asked_for(client, location):
    wanted = Job(
        name=f"{location}/jobs/nightly",
        description="every night",
        schedule="30 2 * * 1-5",
        time_zone="Europe/Paris",
        retry_config={"retry_count": 3, "max_retry_duration": Duration(seconds=90), "min_backoff_duration": Duration(seconds=7), "max_backoff_duration": Duration(seconds=70), "max_doublings": 2},
        attempt_deadline=Duration(seconds=15),
        http_target={"uri": "https://shop.example/x", "http_method": HttpMethod.PUT, "body": b"\x00\xff", "headers": {"X-Shop": "1"}, "oidc_token": {"service_account_email": "a@b.example", "audience": "aud"}},
    )
    created = client.create_job(parent=location, job=wanted)
    for field in ("description", "schedule", "time_zone", "retry_config", "attempt_deadline"):
        assert getattr(created, field) == getattr(wanted, field), field
    assert (created.http_target.uri, created.http_target.body, created.http_target.headers["X-Shop"]) == ("https://shop.example/x", b"\x00\xff", "1")
    assert created.http_target.oidc_token == wanted.http_target.oidc_token
    assert created.schedule_time.weekday() < 5
    assert created.schedule_time.hour in (0, 1), "half past two in Paris"
    assert created.schedule_time.minute == 30


def test_create_job_with_a_pubsub_target(client, location, project):
    topic = connect(PublisherClient, "grpc").create_topic(name=f"projects/{project}/topics/reports").name
    subscriber = connect(SubscriberClient, "grpc")
    subscription = subscriber.create_subscription(name=f"projects/{project}/subscriptions/reports", topic=topic).name
    wanted = Job(name=f"{location}/jobs/publish", schedule="0 0 31 12 *", pubsub_target={"topic_name": topic, "data": b"\x00go", "attributes": {"kind": "report"}})
    created = client.create_job(parent=location, job=wanted)
    assert created.pubsub_target == wanted.pubsub_target
    client.run_job(name=created.name)
    [received] = subscriber.pull(subscription=subscription, max_messages=1).received_messages
    assert (received.message.data, received.message.attributes["kind"]) == (b"\x00go", "report")
    ran = until("the run is recorded", lambda: next((job for job in client.list_jobs(parent=location) if "last_attempt_time" in job), None))
    assert ran.status.code == 0


def test_create_job_with_an_app_engine_target(client, location):
    wanted = Job(name=f"{location}/jobs/engine", schedule="0 3 * * *", app_engine_http_target={"relative_uri": "/work", "http_method": HttpMethod.GET, "app_engine_routing": {"service": "worker"}})
    created = client.create_job(parent=location, job=wanted)
    assert created.app_engine_http_target.relative_uri == "/work"
    assert created.app_engine_http_target.http_method == HttpMethod.GET
    assert created.app_engine_http_target.app_engine_routing.service == "worker"


REFUSED = {
    "no schedule": {"schedule": ""},
    "six fields": {"schedule": "0 0 3 * * *"},
    "minute 60": {"schedule": "60 * * * *"},
    "words": {"schedule": "whenever"},
    "31st of February": {"schedule": "0 0 31 2 *"},
    "no such time zone": {"time_zone": "Europe/Atlantis"},
    "6 retries": {"retry_config": {"retry_count": 6}},
    "deadline under 15 s": {"attempt_deadline": Duration(seconds=14)},
    "deadline over 30 min": {"attempt_deadline": Duration(seconds=1801)},
    "no target": {"http_target": None},
    "no address": {"http_target": {"uri": "shop.example"}},
    "topic that is no name": {"http_target": None, "pubsub_target": {"topic_name": "reports", "data": b"x"}},
}


@pytest.mark.parametrize("what", REFUSED)
def test_create_job_refuses(client, location, what):
    fields = {"name": f"{location}/jobs/report", "schedule": "0 3 * * *", "http_target": {"uri": "http://127.0.0.1:9/"}, **REFUSED[what]}
    with refused("INVALID_ARGUMENT", what):
        client.create_job(parent=location, job=Job(**{field: value for field, value in fields.items() if value is not None}))
    with refused("NOT_FOUND"):
        client.get_job(name=f"{location}/jobs/report")


def test_create_job_refuses_names(client, location):
    for wrong in ("dot.ted", "", "j" * 501):
        with refused("INVALID_ARGUMENT", wrong):
            client.create_job(parent=location, job=Job(name=f"{location}/jobs/{wrong}", schedule="0 3 * * *", http_target={"uri": "http://127.0.0.1:9/"}))
    with refused("INVALID_ARGUMENT", "another parent"):
        client.create_job(parent=location, job=Job(name=f"{location}x/jobs/report", schedule="0 3 * * *", http_target={"uri": "http://127.0.0.1:9/"}))


def test_update_job(client, job):
    changed = client.update_job(job=Job(name=job, schedule="0 4 1 1 *", description="kept out"), update_mask={"paths": ["schedule"]})
    assert changed.schedule == "0 4 1 1 *"
    assert changed.description == ""
    assert (changed.schedule_time.month, changed.schedule_time.day, changed.schedule_time.hour) == (1, 1, 4), "the next run follows the schedule"
    changed = client.update_job(job=Job(name=job, time_zone="Asia/Tokyo", description="new"), update_mask={"paths": ["time_zone", "description"]})
    assert (changed.time_zone, changed.description, changed.schedule) == ("Asia/Tokyo", "new", "0 4 1 1 *")
    assert changed.schedule_time.hour == 19, "4 o'clock in Tokyo"
    assert client.get_job(name=job) == changed
    with refused("INVALID_ARGUMENT"):
        client.update_job(job=Job(name=job, schedule="61 * * * *"), update_mask={"paths": ["schedule"]})
    with refused("INVALID_ARGUMENT"):
        client.update_job(job=Job(name=job), update_mask={"paths": ["no_such_field"]})
    with refused("NOT_FOUND"):
        client.update_job(job=Job(name=f"{job}-{MISSING}", schedule="0 3 * * *"), update_mask={"paths": ["schedule"]})


def test_list_jobs_in_pages(client, location):
    names = [f"{location}/jobs/job-{n}" for n in range(3)]
    for name in names:
        client.create_job(parent=location, job=Job(name=name, schedule="0 3 * * *", http_target={"uri": "http://127.0.0.1:9/"}))
    pages = list(client.list_jobs(request={"parent": location, "page_size": 2}).pages)
    assert [len(page.jobs) for page in pages] == [2, 1]
    assert sorted(job.name for page in pages for job in page.jobs) == names
    assert list(client.list_jobs(parent=location.replace("europe", "asia"))) == []
    with refused("INVALID_ARGUMENT"):
        client.list_jobs(request={"parent": location, "page_token": "no token of ours"})


def test_pause_resume_and_delete(client, location, job):
    assert client.pause_job(name=job).state == Job.State.PAUSED
    assert client.get_job(name=job).state == Job.State.PAUSED
    resumed = client.resume_job(name=job)
    assert resumed.state == Job.State.ENABLED
    assert (resumed.schedule_time.month, resumed.schedule_time.day) == (12, 31)
    client.delete_job(name=job)
    for call in (client.get_job, client.delete_job, client.pause_job, client.resume_job, client.run_job):
        with refused("NOT_FOUND", call.__name__):
            call(name=job)
        with refused("INVALID_ARGUMENT", call.__name__):
            call(name=f"{location}/jobs/dot.ted")
    assert list(client.list_jobs(parent=location)) == []


def test_run_job_sends_the_documented_request(client, job, target):
    client.update_job(job=Job(name=job, http_target={"uri": f"{target.url}/report?x=1", "http_method": HttpMethod.PUT, "body": b"now", "headers": {"X-Shop": "1"}, "oidc_token": {"service_account_email": "cron@shop.example"}}), update_mask={"paths": ["http_target"]})
    ran = client.run_job(name=job)
    assert ran.name == job
    [request] = target.wait(1)
    assert (request.method, request.path, request.body) == ("PUT", "/report?x=1", b"now")
    headers = request.headers
    assert headers["x-cloudscheduler"] == "true"
    assert headers["x-cloudscheduler-jobname"].endswith("report")
    assert datetime.fromisoformat(headers["x-cloudscheduler-scheduletime"].replace("Z", "+00:00"))
    assert headers["user-agent"] == "Google-Cloud-Scheduler"
    assert headers["x-shop"] == "1"
    claims = json.loads(base64.urlsafe_b64decode(headers["authorization"].removeprefix("Bearer ").split(".")[1] + "=="))
    assert (claims["email"], claims["aud"]) == ("cron@shop.example", f"{target.url}/report?x=1")
    done = until("the run is recorded", lambda: next((found for found in client.list_jobs(parent=job.split("/jobs/")[0]) if "last_attempt_time" in found), None))
    assert done.status.code == 0
    assert (done.schedule_time.month, done.schedule_time.day) == (12, 31), "a run by hand does not move the schedule"


def test_a_failed_run_is_recorded_and_a_paused_job_runs_by_hand(client, job, target):
    target.answers = [500]
    client.pause_job(name=job)
    client.run_job(name=job)
    target.wait(1)
    failed = until("the run is recorded", lambda: next((found for found in client.list_jobs(parent=job.split("/jobs/")[0]) if found.status.code), None))
    assert failed.status.code == 13, "500 is INTERNAL"
    assert failed.state == Job.State.PAUSED
    assert "last_attempt_time" in failed


def test_locations(client, project, location):
    locations = {found.location_id: found.name for found in client.list_locations(request={"name": f"projects/{project}"}).locations}
    assert locations["europe-west1"] == location
    assert client.get_location(request={"name": location}).location_id == "europe-west1"
