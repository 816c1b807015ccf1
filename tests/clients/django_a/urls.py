"""The library's endpoints, and what a test asks for."""

from control import urls
from django.apps import apps
from django.db import transaction
from django.urls import include, path

import tasks


def save(order):
    """Publishes a record when its transaction commits."""
    with transaction.atomic():
        tasks.OrderSaved.sync_on_commit(obj=tasks.Order(pk=order))


def enqueue(task, kwargs):
    return getattr(tasks, task).asap(**kwargs).task_id


def enqueue_once(task):
    """Returns the name of the error of the second."""
    getattr(tasks, task).asap()
    try:
        getattr(tasks, task).asap()
    except Exception as error:
        return type(error).__name__


def later(task, kwargs, seconds):
    return getattr(tasks, task).later(task_kwargs=kwargs, eta=seconds).task_id


def publish(message, attributes):
    return tasks.Placed.sync(message=message, attributes=attributes)


def publish_asap(message, attributes):
    """By way of Cloud Tasks."""
    return tasks.Placed.asap(message=message, attributes=attributes).task_id


def save_asap(order):
    return tasks.OrderSaved.asap(obj=tasks.Order(pk=order)).task_id


def set_up():
    """What the library's commands do."""
    app = apps.get_app_config("django_cloud_tasks")
    return {"jobs": list(app.schedule_tasks()[0]), "subscriptions": list(app.initialize_subscribers()[0])}


def debug(task, id):
    return getattr(tasks, task).debug(task_id=id)


def discard(task):
    return len(getattr(tasks, task).discard())


actions = [save, save_asap, enqueue, enqueue_once, later, publish, publish_asap, set_up, debug, discard]
urlpatterns = [path("", include("django_cloud_tasks.urls")), *urls({action.__name__: action for action in actions})]
