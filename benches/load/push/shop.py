"""The same work behind django-google-cloud-tasks, for the comparison of push endpoints."""

import os
import sys

from django.conf import settings

sys.modules.setdefault("shop", sys.modules[__name__])
settings.configure(
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="not one",
    ROOT_URLCONF="shop",
    INSTALLED_APPS=["django_cloud_tasks"],
    MIDDLEWARE=["django_cloud_tasks.middleware.HeadersContextMiddleware"],
    DATABASES={},
    REST_FRAMEWORK={},
    DJANGO_CLOUD_TASKS_APP_NAME="shop",
    USE_TZ=True,
)

import django

django.setup()

from django.core.wsgi import get_wsgi_application
from django.urls import include, path
from django_cloud_tasks.tasks import Task


class Send(Task):
    def run(self, to, price, quantity):
        return None


urlpatterns = [path("", include("django_cloud_tasks.urls"))]
application = get_wsgi_application()
