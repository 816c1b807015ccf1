"""The lines that `redrive emulator` prints for Python, pasted as they are."""

import os
from pathlib import Path

from google.cloud.scheduler_v1.types import Job


def test_printed_lines():
    lines = Path(os.environ["PRINTED"]).read_text().split("── Python\n")[1].split("\n── ")[0]
    pasted = {}
    exec(lines, pasted)
    location = "projects/demo/locations/europe-west1"
    topic = pasted["publisher"].create_topic(name="projects/demo/topics/pasted-python").name
    subscription = pasted["subscriber"].create_subscription(name="projects/demo/subscriptions/pasted-python", topic=topic).name
    message_id = pasted["publisher"].publish(topic, b"x").result(timeout=20)
    [received] = pasted["subscriber"].pull(subscription=subscription, max_messages=1).received_messages
    assert received.message.message_id == message_id
    queue = pasted["tasks"].create_queue(parent=location, queue={"name": f"{location}/queues/pasted-python"})
    assert queue.name in [found.name for found in pasted["tasks"].list_queues(parent=location)]
    job = pasted["jobs"].create_job(parent=location, job=Job(name=f"{location}/jobs/pasted-python", schedule="0 3 * * *", http_target={"uri": "http://127.0.0.1:9/"}))
    assert job.name in [found.name for found in pasted["jobs"].list_jobs(parent=location)]
