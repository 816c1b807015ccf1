"""Serves the Django project in the folder named: Django's own server, on a free port. Prints `ready PORT`; ends when its input ends."""

import os
import sys
from pathlib import Path
from threading import Thread

sys.path[:0] = [str(Path(__file__).parent), sys.argv[1]]

import addresses  # noqa: E402

addresses.lead()

from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler  # noqa: E402

server = ThreadedWSGIServer(("127.0.0.1", 0), WSGIRequestHandler)
os.environ["OWN_URL"] = f"http://127.0.0.1:{server.server_port}"
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"

from django.core.wsgi import get_wsgi_application  # noqa: E402

server.set_app(get_wsgi_application())
import urls  # noqa: E402, F401  What is declared there is registered before the first request.


def end_with_input():
    sys.stdin.read()
    os._exit(0)


Thread(target=end_with_input, daemon=True).start()
print(f"ready {server.server_port}", flush=True)
server.serve_forever()
