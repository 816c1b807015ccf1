"""The library's endpoint, and what a test asks for."""

from datetime import timedelta

from control import urls
from django.tasks import default_task_backend as backend
from django.urls import include, path
from django.utils import timezone

import tasks


def enqueue(task, args=(), kwargs=None, seconds=None):
    """Returns the id the library gave the task."""
    wanted = getattr(tasks, task)
    if seconds is not None:
        wanted = wanted.using(run_after=timezone.now() + timedelta(seconds=seconds))
    return wanted.enqueue(*args, **(kwargs or {})).id


def detected():
    """What the library found out about where it is."""
    return [backend.project_id, backend.location, backend.task_handler_host, backend.oidc_service_account_email]


actions = [enqueue, detected]
urlpatterns = [path("cloudtasks/", include("django_tasks_cloud_tasks.urls")), *urls({action.__name__: action for action in actions})]
