"""What a test asks of a Django project: to do something (`POST /control/do/NAME`, JSON arguments), and what has arrived (`GET /control/received`)."""

import json
from threading import Lock

from django.http import JsonResponse
from django.urls import path

_received = []
_lock = Lock()


def receive(what, **said):
    """Notes that something has arrived."""
    with _lock:
        _received.append({"what": what, **said})


def urls(actions):
    """The endpoints; `actions` are functions by name, given the arguments of the request."""

    def do(request, name):
        result = actions[name](**json.loads(request.body or b"{}"))
        return JsonResponse({"result": result})

    def received(_request):
        with _lock:
            return JsonResponse({"received": _received})

    return [path("control/do/<name>", do), path("control/received", received)]
