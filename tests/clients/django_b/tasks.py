"""The tasks of the shop. Each notes that it ran; their counterparts in Rust have the same names."""

from control import receive
from django.dispatch import receiver
from django_gcp.events.signals import event_received
from django_gcp.tasks import OnDemandTask, PeriodicTask, SubscriberTask


class Price(OnDemandTask):
    def run(self, price, quantity, label=""):
        receive("Price", said={"price": price, "quantity": quantity, "label": label})
        return {"total": price * quantity, "label": label}


class MyDedup(OnDemandTask):
    deduplicate = True

    def run(self, **kwargs):
        receive("MyDedup", said=kwargs)


class Fails(OnDemandTask):
    def run(self, **kwargs):
        raise ValueError("broken")


class Nightly(PeriodicTask):
    run_every = "0 3 * * *"

    def run(self, **kwargs):
        receive("Nightly", said=kwargs)


class OnPlaced(SubscriberTask):
    @property
    def topic_id(self):
        return "placed"

    def run(self, data, attributes, message_id, ordering_key, publish_time, subscription, **kwargs):
        receive(
            "OnPlaced",
            said={"data": data, "attributes": attributes},
            id=message_id,
            key=ordering_key,
            published=publish_time.isoformat(),
            subscription=subscription,
        )


@receiver(event_received)
def on_event(sender, event_kind, event_reference, event_payload, event_parameters, **kwargs):
    if event_kind == "broken":
        raise ValueError("broken")
    receive("event", kind=event_kind, reference=event_reference, payload=event_payload, parameters=event_parameters)
