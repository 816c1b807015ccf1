"""A service on django-tasks-cloud-tasks whose tasks another service works off: `SERVICE_URL` leads there. Project, location and account come from the
metadata server, and tokens of tasks that arrive are verified."""

import os

from base import *  # noqa: F403

INSTALLED_APPS = ["django.contrib.contenttypes", "django_tasks_cloud_tasks"]
TASKS = {"default": {"BACKEND": "django_tasks_cloud_tasks.CloudTasksBackend", "QUEUES": ["default", "slow"]}}
CLOUD_TASKS_OIDC_AUDIENCE = os.environ["OWN_URL"]
