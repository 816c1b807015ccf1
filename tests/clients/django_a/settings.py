"""A service on django-google-cloud-tasks whose tasks and subscriptions another service works off: `ENDPOINT` leads there."""

import os

from base import *  # noqa: F403

INSTALLED_APPS = ["django.contrib.contenttypes", "django_cloud_tasks"]
MIDDLEWARE = [
    "django_cloud_tasks.middleware.PubSubHeadersMiddleware",
    "django_cloud_tasks.middleware.HeadersContextMiddleware",
]
REST_FRAMEWORK = {}
DJANGO_CLOUD_TASKS_APP_NAME = "shop"
DJANGO_CLOUD_TASKS_ENDPOINT = os.environ["RUST_URL"]
DJANGO_CLOUD_TASKS_PROPAGATED_HEADERS = ["traceparent", "X-Tenant"]
