#!/usr/bin/env python3
"""Measures what the console promises: time to the first frame, idle CPU, size of the binary. Linux; Python's standard library only.

    python3 benches/measure.py            # builds the release binary, measures it, ends with 1 if a limit is missed
"""

import argparse
import fcntl
import os
import pty
import re
import select
import signal
import statistics
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLUMNS, ROWS = 120, 40
FIRST_FRAME_MS_MAX = 50
IDLE_CPU_PERCENT_MAX = 0.5
BINARY_MB_MAX = 30
# The last thing that a frame draws: the hints in the bottom line.
LAST_OF_A_FRAME = b"quit"
FRAME_SECONDS_MAX = 10
# What a terminal answers when it is asked for its background colour and for its kind.
ANSWERS = ((b"\x1b]11;?", b"\x1b]11;rgb:0000/0000/0000\x1b\\"), (b"\x1b]10;?", b"\x1b]10;rgb:ffff/ffff/ffff\x1b\\"), (b"\x1b[c", b"\x1b[?62c"))


class Console:
    """The console in a pseudo-terminal of its own."""

    def __init__(self, binary, *arguments, answers=True):
        self.output = b""
        self.answers = list(ANSWERS) if answers else []
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "XDG_CONFIG_HOME": "/nonexistent"}
        self.started = time.perf_counter()
        self.process = subprocess.Popen([binary, *arguments], stdin=follower, stdout=follower, stderr=follower, env=environment, start_new_session=True)
        os.close(follower)
        self.leader = leader

    def read(self, seconds):
        """Reads what has come within this time; False at the end."""
        ready, _, _ = select.select([self.leader], [], [], seconds)
        if not ready:
            return True
        try:
            chunk = os.read(self.leader, 65536)
        except OSError:
            return False
        self.output += chunk
        for asked, answer in list(self.answers):
            if asked in self.output:
                os.write(self.leader, answer)
                self.answers.remove((asked, answer))
        return bool(chunk)

    def first_frame_ms(self):
        end = self.started + FRAME_SECONDS_MAX
        while LAST_OF_A_FRAME not in self.output:
            if time.perf_counter() > end or not self.read(0.05):
                sys.exit(f"no frame within {FRAME_SECONDS_MAX} s; what came: {self.output[-2000:]!r}")
        return (time.perf_counter() - self.started) * 1000

    def drain(self):
        threading.Thread(target=lambda: all(iter(lambda: self.read(1), False)), daemon=True).start()

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        end = time.monotonic() + FRAME_SECONDS_MAX
        while self.process.poll() is None and time.monotonic() < end:
            self.read(0.01)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.leader)


def cpu_seconds(process):
    """User and system time that a process has used so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def report(what, figure, unit, limit, detail):
    ok = figure <= limit
    print(f"{'ok  ' if ok else 'FAIL'}  {what:<28} {figure:>7.2f} {unit:<3} limit {limit} {unit}   {detail}", flush=True)
    return ok


def measure_first_frame(binary, runs):
    """Nobody listens at the address: the frame is drawn before any answer."""
    times = []
    for _ in range(runs):
        console = Console(binary, "--emulator", "127.0.0.1:9", "--project", "shop")
        times.append(console.first_frame_ms())
        console.end()
    spread = f"median of {runs}; {min(times):.1f} to {max(times):.1f}"
    return report("first frame", statistics.median(times), "ms", FIRST_FRAME_MS_MAX, spread)


def measure_idle(binary, seconds):
    emulator = subprocess.Popen([binary, "emulator", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        address = next(found[0] for line in emulator.stdout if (found := re.search(r"127\.0\.0\.1:\d+", line)))
        threading.Thread(target=emulator.stdout.read, daemon=True).start()
        console = Console(binary, "--emulator", address, "--project", "demo")
        console.first_frame_ms()
        console.drain()
        time.sleep(3)
        before, start = cpu_seconds(console.process), time.perf_counter()
        time.sleep(seconds)
        used, passed = cpu_seconds(console.process) - before, time.perf_counter() - start
        console.end()
    finally:
        emulator.terminate()
        emulator.wait()
    return report("idle CPU of the console", 100 * used / passed, "%", IDLE_CPU_PERCENT_MAX, f"{used:.2f} s of {passed:.0f} s, emulator in another process")


def measure_size(binary):
    size = os.stat(binary).st_size
    return report("release binary, stripped", size / 1e6, "MB", BINARY_MB_MAX, f"{size} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", help="measure this one instead of building")
    parser.add_argument("--runs", type=int, default=21, help="starts for the first frame")
    parser.add_argument("--idle-seconds", type=int, default=30)
    arguments = parser.parse_args()
    binary = arguments.binary
    if not binary:
        subprocess.run(["cargo", "build", "--release", "--locked"], cwd=ROOT, check=True)
        binary = str(Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "redrive")
    results = [measure_first_frame(binary, arguments.runs), measure_idle(binary, arguments.idle_seconds), measure_size(binary)]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
