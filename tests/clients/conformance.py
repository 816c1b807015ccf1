#!/usr/bin/env python3
"""Which cases of the suites each server of Pub/Sub, Cloud Tasks and Cloud Scheduler passes, as a table.

    cargo build && python3 tests/clients/conformance.py            # prints it
    python3 tests/clients/conformance.py --write                   # also into README.md and tests/clients/conformance.md
    REDRIVE_CONFORMANCE_SERVER=HOST:PORT python3 tests/clients/conformance.py    # with one more server of Pub/Sub; _TASKS_SERVER, _SCHEDULER_SERVER

The servers: `redrive emulator` (`target/debug/redrive`, or `--redrive PATH`), which has all three services; Google's own emulator of Pub/Sub, where Java
and its jar are on the machine (gcloud's folder, or `PUBSUB_EMULATOR_JAR`); crates.io's `cloud-tasks-emulator`, where it is installed (`target/tools`, or
`CLOUD_TASKS_EMULATOR`); and those that `REDRIVE_CONFORMANCE_SERVER` (Pub/Sub), `REDRIVE_CONFORMANCE_TASKS_SERVER` and
`REDRIVE_CONFORMANCE_SCHEDULER_SERVER` (which has to publish to a Pub/Sub at its own address) name; one address may be in several of them.
A server that is not there is printed as not measured; a service that it does not have, as a dash. A skipped test is no case.
The suites are written against the documented behaviour and driven by official clients: Python (gRPC and REST), Node, and Rust with `--rust`; the latter
two are of Pub/Sub only. None of them asks for more than the API: nothing needs this emulator's clock or its other admin endpoints.
"""

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import xml.etree.ElementTree as xml
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUITES = ROOT / "tests/clients"
ENVIRONMENTS = ROOT / "target/tmp/clients"
PYTHON_FILES = {
    "pubsub": ["test_topics.py", "test_subscriptions.py", "test_delivery.py", "test_schemas.py"],
    "tasks": ["test_tasks.py"],
    "scheduler": ["test_scheduler.py"],
}
# Each names one more server of a service.
VARIABLES = {"pubsub": "REDRIVE_CONFORMANCE_SERVER", "tasks": "REDRIVE_CONFORMANCE_TASKS_SERVER", "scheduler": "REDRIVE_CONFORMANCE_SCHEDULER_SERVER"}
TASKS_PEER = ROOT / "target/tools/bin/cloud-tasks-emulator"
JARS = ["/usr/lib/google-cloud-sdk", "/opt/google-cloud-sdk", os.path.expanduser("~/google-cloud-sdk"), os.path.expanduser("~/.local/google-cloud-sdk")]
SUITE_SECONDS_MAX = 1800
START_SECONDS_MAX = 60


class Server:
    """A server that is up while this is entered."""

    def __init__(self, name, command=None, address=None):
        self.name, self.command, self.address, self.process = name, command, address, None

    def __enter__(self):
        if self.command:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            self.address = f"127.0.0.1:{port}"
            command = [part.format(port=port, address=self.address) for part in self.command]
            self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            end = time.monotonic() + START_SECONDS_MAX
            while not self.is_open():
                if time.monotonic() > end or self.process.poll() is not None:
                    sys.exit(f"{self.name} did not start: {' '.join(command)}")
                time.sleep(0.05)
        return self

    def is_open(self):
        host, port = self.address.rsplit(":", 1)
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            return False
        return True

    def __exit__(self, *_):
        if self.process:
            self.process.kill()
            self.process.wait()


def google_jar():
    if os.environ.get("PUBSUB_EMULATOR_JAR"):
        return os.environ["PUBSUB_EMULATOR_JAR"]
    gcloud = shutil.which("gcloud")
    folders = [*JARS, *([str(Path(gcloud).resolve().parents[1])] if gcloud else [])]
    jars = [jar for folder in folders for jar in Path(folder).glob("platform/pubsub-emulator/lib/cloud-pubsub-emulator-*.jar")]
    return str(jars[0]) if jars else None


class Column:
    """A server of the table, unless it is not here, the services that it has, and what they passed."""

    def __init__(self, name, services, server):
        self.name, self.services, self.server, self.cases = name, services, server, {}

    def cell(self, service, shown):
        return "–" if service not in self.services else shown or "not measured"


def columns(redrive):
    ours = Server("redrive", [redrive, "emulator", "--listen", "{address}", "-q"]) if Path(redrive).exists() else None
    jar = google_jar()
    version = re.search(r"emulator-([\d.]+\d)", jar or "")
    google = Server("google", ["java", "-jar", jar, "--host=127.0.0.1", "--port={port}"]) if jar and shutil.which("java") else None
    peer = os.environ.get("CLOUD_TASKS_EMULATOR") or str(TASKS_PEER)
    tasks = Server("cloud-tasks-emulator", ["env", "LISTEN_ADDR={address}", "OIDC_ISSUER=http://{address}", "QUEUES=", peer]) if Path(peer).exists() else None
    named = defaultdict(set)
    for service, variable in VARIABLES.items():
        if address := os.environ.get(variable):
            named[address].add(service)
    return [
        Column("redrive", set(VARIABLES), ours),
        Column(f"Google's emulator{' ' + version[1] if version else ''}", {"pubsub"}, google),
        Column("cloud-tasks-emulator", {"tasks"}, tasks),
        *(Column(address, services, Server(address, address=address)) for address, services in named.items()),
    ]


def run(command, server, **environment):
    clean = {key: value for key, value in os.environ.items() if not key.upper().endswith("_PROXY") and not key.startswith(("GOOGLE_", "REDRIVE_"))}
    environment = {**clean, "EMULATOR": server.address, "NO_PROXY": "127.0.0.1", **environment}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SUITE_SECONDS_MAX, check=False)


def python_cases(server, services):
    python = ENVIRONMENTS / "python/bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", ENVIRONMENTS / "python"], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", SUITES / "python/requirements.txt"], check=True)
    report = ROOT / "target/tmp/conformance.xml"
    service_of = {name: service for service, names in PYTHON_FILES.items() if service in services for name in names}
    files = [SUITES / "python" / name for name in service_of]
    done = run([python, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *files], server)
    if not report.exists():
        sys.exit(done.stdout + done.stderr)
    for case in xml.parse(report).iter("testcase"):
        if case.find("skipped") is not None:
            continue
        file = case.get("classname").rsplit(".", 1)[-1]
        passed = case.find("failure") is None and case.find("error") is None
        yield service_of[f"{file}.py"], f"Python: {file.removeprefix('test_')}", case.get("name").split("[")[0].removeprefix("test_").replace("_", " "), passed
    report.unlink()


def node_cases(server):
    modules = ENVIRONMENTS / "node/node_modules"
    if not modules.exists():
        (ENVIRONMENTS / "node").mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SUITES / "node" / name, ENVIRONMENTS / "node" / name)
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=ENVIRONMENTS / "node", check=True)
    done = run(["node", SUITES / "node/suite.cjs"], server, NODE_PATH=str(modules))
    for line in done.stdout.splitlines():
        if found := re.match(r"(ok|FAILED)  +(.*)", line):
            yield "pubsub", "Node", found[2], found[1] == "ok"


def rust_cases(server, built):
    command = [built] if built else ["cargo", "test", "--test", "it", "--"]
    done = run([*command, "emulator_pubsub::"], server, REDRIVE_CONFORMANCE_SERVER=server.address)
    for line in done.stdout.splitlines():
        if found := re.match(r"test emulator_pubsub::(.*) \.\.\. (ok|FAILED)", line):
            yield "pubsub", "Rust", found[1].replace("::", ": ").replace("_", " "), found[2] == "ok"


def measure(column, rust):
    """For each service, area and case: how many of its variants passed, of how many."""
    cases = defaultdict(lambda: [0, 0])
    with column.server as server:
        suites = [python_cases(server, column.services)]
        if "pubsub" in column.services:
            suites += [node_cases(server), *([rust_cases(server, rust)] if rust is not None else [])]
        for suite in suites:
            for *key, passed in suite:
                cases[tuple(key)][0] += passed
                cases[tuple(key)][1] += 1
    return cases


def tables(columns):
    """The short table by area, and the long one by case."""
    every = list(dict.fromkeys(key for service in VARIABLES for column in columns for key in column.cases if key[0] == service))
    head = ["| {} | " + " | ".join(column.name for column in columns) + " |", "|---|" + "---|" * len(columns)]
    by_area, by_case = [head[0].format("area"), head[1]], [head[0].format("case"), head[1]]
    for service, area in dict.fromkeys(key[:2] for key in every):
        shown = []
        for column in columns:
            own = [counted for key, counted in column.cases.items() if key[:2] == (service, area)]
            shown.append(column.cell(service, own and f"{sum(done == total for done, total in own)} of {len(own)}"))
        by_area.append(f"| {area} | {' | '.join(shown)} |")
    for service, area, case in every:
        shown = []
        for column in columns:
            done, total = column.cases.get((service, area, case), (0, 0))
            shown.append(column.cell(service, total and ("yes" if done == total else f"{done} of {total}" if done else "no")))
        by_case.append(f"| {area}: {case} | {' | '.join(shown)} |")
    return "\n".join(by_area), "\n".join(by_case)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--redrive", default=str(ROOT / "target/debug/redrive"), help="the binary to measure")
    arguments.add_argument("--rust", nargs="?", const="", metavar="BINARY", help="also the Rust suite, by `cargo test` or this binary that it has built")
    arguments.add_argument("--write", action="store_true", help="into README.md and tests/clients/conformance.md too")
    arguments = arguments.parse_args()
    shown = columns(arguments.redrive)
    for column in shown:
        if column.server:
            column.cases = measure(column, arguments.rust)
    by_area, by_case = tables(shown)
    print(by_case, by_area, sep="\n\n")
    if arguments.write:
        readme = ROOT / "README.md"
        marked = re.compile(r"(<!-- conformance -->\n).*?(<!-- /conformance -->)", re.S)
        readme.write_text(marked.sub(lambda found: f"{found[1]}{by_area}\n{found[2]}", readme.read_text()))
        note = "# Cases of the suites, and who passes them\n\nMade by `python3 tests/clients/conformance.py --write`; `3 of 4` counts the variants of a case (gRPC and REST, values).\n"
        note += "A dash: the server does not have this service. For Cloud Scheduler no other server is known.\n\n"
        (SUITES / "conformance.md").write_text(f"{note}{by_case}\n")


if __name__ == "__main__":
    main()
