"""A service on django-gcp whose tasks, subscriptions and events another service works off: `GCP_TASKS_DOMAIN` leads there."""

import os

from base import *  # noqa: F403

INSTALLED_APPS = ["django.contrib.contenttypes", "django_gcp"]
BASE_URL = GCP_TASKS_DOMAIN = os.environ["RUST_URL"]
GCP_TASKS_DEFAULT_QUEUE_NAME = "shop-queue"
GCP_TASKS_RESOURCE_AFFIX = "shop"
GCP_TASKS_REGION = "europe-west1"
# The library's own way to an emulator; it also lets the domain be without TLS.
GCP_TASKS_EMULATOR_TARGET = os.environ["EMULATOR"]
