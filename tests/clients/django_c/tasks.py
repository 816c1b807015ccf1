"""The tasks of the shop. Each notes that it ran; their counterparts in Rust are called `tasks.NAME`."""

from control import receive
from django.tasks import task


@task
def price(price, quantity, label=""):
    receive("price", said={"price": price, "quantity": quantity, "label": label})
    return {"total": price * quantity}


@task(queue_name="slow", takes_context=True)
def reported(context, month):
    receive("reported", said={"month": month}, id=context.task_result.id, attempt=context.attempt)


@task
def fails():
    raise ValueError("broken")
