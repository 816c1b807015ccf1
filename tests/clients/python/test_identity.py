"""Who is who: tokens of pushes, tasks and jobs, checked by a verifier of Google's; keys and tokens for clients, from the emulator."""

import google.auth.transport.requests
import pytest
import requests
from conftest import ADDRESS, connect
from google.auth import compute_engine, impersonated_credentials
from google.auth.exceptions import GoogleAuthError, RefreshError
from google.cloud.scheduler_v1 import CloudSchedulerClient
from google.cloud.tasks_v2 import CloudTasksClient
from google.oauth2 import credentials, id_token, service_account
from google.pubsub_v1 import PublisherClient, SubscriberClient

URL = f"http://{ADDRESS}"
CERTS = f"{URL}/oauth2/v1/certs"
ACCOUNT = "push@demo.iam.gserviceaccount.com"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
OIDC = {"service_account_email": ACCOUNT, "audience": "https://shop.example/work"}
REQUEST = google.auth.transport.requests.Request()


def check(request, audience=OIDC["audience"]):
    """Checks a request's token as a receiver would: signature, audience, times; returns the claims."""
    return id_token.verify_token(request.headers["authorization"].removeprefix("Bearer "), REQUEST, audience, certs_url=CERTS)


@pytest.fixture
def location(project):
    return f"projects/{project}/locations/europe-west1"


def test_a_push_carries_a_token_that_googles_verifier_accepts(project, target):
    publisher, subscriber = connect(PublisherClient, "grpc"), connect(SubscriberClient, "grpc")
    topic = publisher.create_topic(name=f"projects/{project}/topics/orders").name
    push = {"push_endpoint": target.url, "oidc_token": OIDC}
    subscriber.create_subscription(name=f"projects/{project}/subscriptions/billing", topic=topic, push_config=push)
    publisher.publish(topic=topic, messages=[{"data": b"x"}])
    [request] = target.wait()
    claims = check(request)
    assert (claims["iss"], claims["email"], claims["email_verified"]) == ("https://accounts.google.com", ACCOUNT, True)
    assert claims["azp"] == claims["sub"] and claims["exp"] - claims["iat"] == 3600
    with pytest.raises((ValueError, GoogleAuthError)):
        check(request, "https://elsewhere.example/")
    header, payload, signature = request.headers["authorization"].split(".")
    request.headers["authorization"] = ".".join([header, payload, signature[::-1]])
    with pytest.raises((ValueError, GoogleAuthError)):
        check(request)


def test_tasks_and_jobs_carry_such_tokens(location, target):
    tasks, jobs = connect(CloudTasksClient, "grpc"), connect(CloudSchedulerClient, "grpc")
    queue = tasks.create_queue(parent=location, queue={"name": f"{location}/queues/emails"}).name
    tasks.create_task(parent=queue, task={"http_request": {"url": f"{target.url}/task", "oidc_token": OIDC}})
    [request] = target.wait()
    assert check(request)["email"] == ACCOUNT
    http = {"uri": f"{target.url}/job", "oidc_token": {"service_account_email": ACCOUNT}}
    job = jobs.create_job(parent=location, job={"name": f"{location}/jobs/nightly", "schedule": "0 3 * * *", "http_target": http})
    jobs.run_job(name=job.name)
    request = target.wait(2)[1]
    assert check(request, f"{target.url}/job")["email"] == ACCOUNT, "without an audience it is the URL"


def test_discovery_leads_to_the_keys():
    found = requests.get(f"{URL}/.well-known/openid-configuration", timeout=10).json()
    assert found["issuer"] == "https://accounts.google.com"
    answer = requests.get(found["jwks_uri"], timeout=30)
    kids = {key["kid"] for key in answer.json()["keys"]}
    assert all(key["kty"] == "RSA" and key["alg"] == "RS256" for key in answer.json()["keys"])
    assert kids == set(requests.get(CERTS, timeout=30).json()) and "max-age" in answer.headers["cache-control"]


def key(**wanted):
    return requests.post(f"{URL}/credentials", json=wanted, timeout=30).json()


def test_a_service_accounts_key_is_exchanged_for_tokens():
    info = key(email=ACCOUNT)
    account = service_account.Credentials.from_service_account_info(info, scopes=[SCOPE])
    account.refresh(REQUEST)
    assert account.valid and account.token.startswith("ya29.")
    for_me = service_account.IDTokenCredentials.from_service_account_info(info, target_audience="https://me.example")
    for_me.refresh(REQUEST)
    assert id_token.verify_token(for_me.token, REQUEST, "https://me.example", certs_url=CERTS)["email"] == ACCOUNT
    other = key(email=ACCOUNT) | {"private_key_id": info["private_key_id"]}
    forged = service_account.Credentials.from_service_account_info(other, scopes=[SCOPE])
    with pytest.raises(RefreshError, match="invalid_grant: Invalid JWT Signature"):
        forged.refresh(REQUEST)


def test_a_users_refresh_token_is_exchanged():
    info = key(type="authorized_user", email="ada@example.com")
    user = credentials.Credentials(None, **{name: info[name] for name in ("refresh_token", "client_id", "client_secret", "token_uri")})
    user.refresh(REQUEST)
    assert user.valid
    user = credentials.Credentials(None, **{name: info[name] for name in ("client_id", "client_secret", "token_uri")}, refresh_token="1//0forged")
    with pytest.raises(RefreshError, match="invalid_grant"):
        user.refresh(REQUEST)


def test_one_account_acts_as_another():
    source = service_account.Credentials.from_service_account_info(key(email=ACCOUNT), scopes=[SCOPE])
    info = key(type="impersonated_service_account", email="worker@demo.iam.gserviceaccount.com")
    acting = impersonated_credentials.Credentials(
        source, "worker@demo.iam.gserviceaccount.com", [SCOPE], iam_endpoint_override=info["service_account_impersonation_url"])
    acting.refresh(REQUEST)
    assert acting.valid and acting.token.startswith("ya29.")


def test_the_machine_is_asked_for_project_and_tokens():
    assert compute_engine._metadata.ping(REQUEST)
    assert compute_engine._metadata.get_project_id(REQUEST) == "demo"
    machine = compute_engine.Credentials()
    machine.refresh(REQUEST)
    assert machine.valid and machine.service_account_email.endswith("-compute@developer.gserviceaccount.com")
    for_me = compute_engine.IDTokenCredentials(REQUEST, "https://me.example", use_metadata_identity_endpoint=True)
    for_me.refresh(REQUEST)
    assert id_token.verify_token(for_me.token, REQUEST, "https://me.example", certs_url=CERTS)["email"] == machine.service_account_email
    assert requests.get(f"{URL}/computeMetadata/v1/project/project-id", timeout=10).status_code == 403, "without the header"
