#!/usr/bin/env python3
"""Which cases of the suites each Pub/Sub server passes, as a table.

    cargo build && python3 tests/clients/conformance.py            # prints it
    python3 tests/clients/conformance.py --write                   # also into README.md and tests/clients/conformance.md
    REDRIVE_CONFORMANCE_SERVER=HOST:PORT python3 tests/clients/conformance.py    # with one more server

The servers: `redrive emulator` (`target/debug/redrive`, or `--redrive PATH`); Google's own emulator, where Java and its jar are on the machine (gcloud's
folder, or `PUBSUB_EMULATOR_JAR`); and the one that `REDRIVE_CONFORMANCE_SERVER` names. One that is not there is printed as not measured.
The suites are written against the documented behaviour and driven by official clients: Python (gRPC and REST), Node, and Rust with `--rust`.
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
PYTHON_FILES = ["test_topics.py", "test_subscriptions.py", "test_delivery.py", "test_schemas.py"]
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


def servers(redrive):
    """Each column's name, and its server unless it is not here."""
    ours = Server("redrive", [redrive, "emulator", "--listen", "{address}", "-q"]) if Path(redrive).exists() else None
    jar = google_jar()
    version = re.search(r"emulator-([\d.]+\d)", jar or "")
    google = Server("google", ["java", "-jar", jar, "--host=127.0.0.1", "--port={port}"]) if jar and shutil.which("java") else None
    columns = {"redrive": ours, f"Google's emulator{' ' + version[1] if version else ''}": google}
    if address := os.environ.get("REDRIVE_CONFORMANCE_SERVER"):
        columns[address] = Server(address, address=address)
    return columns


def run(command, server, **environment):
    clean = {key: value for key, value in os.environ.items() if not key.upper().endswith("_PROXY") and not key.startswith("GOOGLE_")}
    environment = {**clean, "EMULATOR": server.address, "NO_PROXY": "127.0.0.1", **environment}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SUITE_SECONDS_MAX, check=False)


def python_cases(server):
    python = ENVIRONMENTS / "python/bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", ENVIRONMENTS / "python"], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", SUITES / "python/requirements.txt"], check=True)
    report = ROOT / "target/tmp/conformance.xml"
    files = [SUITES / "python" / name for name in PYTHON_FILES]
    done = run([python, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *files], server)
    if not report.exists():
        sys.exit(done.stdout + done.stderr)
    for case in xml.parse(report).iter("testcase"):
        area = case.get("classname").rsplit(".", 1)[-1].removeprefix("test_")
        passed = case.find("failure") is None and case.find("error") is None
        yield f"Python: {area}", case.get("name").split("[")[0].removeprefix("test_").replace("_", " "), passed
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
            yield "Node", found[2], found[1] == "ok"


def rust_cases(server):
    done = run(["cargo", "test", "--test", "it", "--", "emulator_pubsub::"], server, REDRIVE_CONFORMANCE_SERVER=server.address)
    for line in done.stdout.splitlines():
        if found := re.match(r"test emulator_pubsub::(.*) \.\.\. (ok|FAILED)", line):
            yield "Rust", found[1].replace("::", ": ").replace("_", " "), found[2] == "ok"


def measure(server, rust):
    """For each area and case: how many of its variants passed, of how many."""
    cases = defaultdict(lambda: [0, 0])
    with server:
        for suite in [python_cases, node_cases, *([rust_cases] if rust else [])]:
            for area, case, passed in suite(server):
                cases[area, case][0] += passed
                cases[area, case][1] += 1
    return cases


def tables(columns):
    """The short table by area, and the long one by case."""
    every = list(dict.fromkeys(key for cases in columns.values() if cases for key in cases))
    head = ["| {} | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    by_area, by_case = [head[0].format("area"), head[1]], [head[0].format("case"), head[1]]
    for area in dict.fromkeys(area for area, _ in every):
        counts = []
        for cases in columns.values():
            own = [counted for (found, _), counted in (cases or {}).items() if found == area]
            counts.append(f"{sum(done == total for done, total in own)} of {len(own)}" if own else "not measured")
        by_area.append(f"| {area} | {' | '.join(counts)} |")
    for area, case in every:
        shown = []
        for cases in columns.values():
            done, total = (cases or {}).get((area, case), (0, 0))
            shown.append("not measured" if not total else "yes" if done == total else "no" if not done else f"{done} of {total}")
        by_case.append(f"| {area}: {case} | {' | '.join(shown)} |")
    return "\n".join(by_area), "\n".join(by_case)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--redrive", default=str(ROOT / "target/debug/redrive"), help="the binary to measure")
    arguments.add_argument("--rust", action="store_true", help="also the Rust suite, by `cargo test`")
    arguments.add_argument("--write", action="store_true", help="into README.md and tests/clients/conformance.md too")
    arguments = arguments.parse_args()
    columns = {name: server and measure(server, arguments.rust) for name, server in servers(arguments.redrive).items()}
    by_area, by_case = tables(columns)
    print(by_case, by_area, sep="\n\n")
    if arguments.write:
        readme = ROOT / "README.md"
        marked = re.compile(r"(<!-- conformance -->\n).*?(<!-- /conformance -->)", re.S)
        readme.write_text(marked.sub(lambda found: f"{found[1]}{by_area}\n{found[2]}", readme.read_text()))
        note = "# Cases of the suites, and who passes them\n\nMade by `python3 tests/clients/conformance.py --write`; `3 of 4` counts the variants of a case (gRPC and REST, values).\n\n"
        (SUITES / "conformance.md").write_text(f"{note}{by_case}\n")


if __name__ == "__main__":
    main()
