"""The library's endpoints, and what a test asks for."""

from control import urls
from django.apps import apps
from django.urls import include, path
from django_gcp.events.utils import decode_pubsub_message, get_event_url, make_pubsub_message

import tasks


def enqueue(task, kwargs):
    """Returns the task's id, or the name of the error."""
    try:
        return getattr(tasks, task)().enqueue(**kwargs).name.split("/")[-1]
    except Exception as error:
        return type(error).__name__


def later(task, kwargs, seconds):
    return getattr(tasks, task)().enqueue_later(seconds, **kwargs).name.split("/")[-1]


def publish(data, attributes):
    return tasks.OnPlaced().publish(data, attributes)


def set_up():
    """What the library's command does."""
    manager = apps.get_app_config("django_gcp").task_manager
    return {"jobs": manager.create_scheduler_jobs()[0], "subscriptions": manager.create_pubsub_subscriptions()[0]}


def event_url(kind, reference, parameters):
    return get_event_url(kind, reference, event_parameters=parameters)


def message(data, **said):
    return make_pubsub_message(data, as_dict=True, **said)


def decode(body):
    return decode_pubsub_message(body)


actions = [enqueue, later, publish, set_up, event_url, message, decode]
urlpatterns = [path("shop/", include("django_gcp.urls")), *urls({action.__name__: action for action in actions})]
