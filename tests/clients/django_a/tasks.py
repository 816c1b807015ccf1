"""The tasks of the shop. Each notes that it ran; their counterparts in Rust have the same names."""

from control import receive
from django.db import models
from django_cloud_tasks.context import get_current_headers
from django_cloud_tasks.exceptions import DiscardTaskException
from django_cloud_tasks.tasks import ModelPublisherTask, PeriodicTask, PublisherTask, SubscriberTask, Task


def note(task, **said):
    """Notes a run, with what the library says of it."""
    metadata = task._metadata
    receive(
        type(task).__name__,
        said=said,
        headers={name.lower(): value for name, value in get_current_headers().items()},
        project=metadata.project_id,
        queue=metadata.queue_name,
        task=metadata.task_id,
        first=metadata.first_attempt,
        scheduler=metadata.is_cloud_scheduler,
        job=metadata.cloud_scheduler_job_name,
    )


class Price(Task):
    def run(self, price, quantity, label=""):
        note(self, price=price, quantity=quantity, label=label)
        return {"total": price * quantity, "label": label}


class OnlyOne(Task):
    only_once = True

    def run(self):
        note(self)


class Discards(Task):
    def run(self):
        raise DiscardTaskException("never")


class Fails(Task):
    def run(self):
        raise ValueError("broken")


class Nightly(PeriodicTask):
    run_every = "0 3 * * *"

    def run(self):
        note(self)


class Placed(PublisherTask):
    """Publishes to `shop--Placed`."""


class Order(models.Model):
    class Meta:
        app_label = "sales"


class OrderSaved(ModelPublisherTask):
    """Publishes to `shop--sales-order`."""

    @classmethod
    def build_message_content(cls, obj, **kwargs):
        return {"order": obj.pk}

    @classmethod
    def build_message_attributes(cls, obj, **kwargs):
        return {"kind": "saved"}


class Billing(SubscriberTask):
    @classmethod
    def topic_name(cls):
        return "shop--Placed"

    def run(self, content, attributes=None):
        note(self, content=content, attributes=attributes)
