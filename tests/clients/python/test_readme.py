"""The fixture of the README, run as it stands there: in a process of its own, as a reader would."""

import os
import subprocess
import sys
from pathlib import Path

import requests
from conftest import ADDRESS

README = Path(__file__).parents[3] / "README.md"


def test_the_readmes_fixture(tmp_path):
    section = README.read_text().split("\n## For your own tests\n")[1].split("\n## ")[0]
    block = section.split("```python\n")[1].split("```")[0]
    assert "@pytest.fixture" in block and "def test_" in block
    (tmp_path / "test_shown.py").write_text(block)
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    try:
        run = subprocess.run(command, cwd=tmp_path, env=os.environ | {"PUBSUB_EMULATOR_HOST": ADDRESS}, capture_output=True, text=True, timeout=120)
        assert run.returncode == 0 and "1 passed" in run.stdout, run.stdout + run.stderr
        assert float(requests.get(f"http://{ADDRESS}/clock", timeout=10).json()["ahead"].rstrip("s")) > 3590, "it moved the clock"
    finally:
        # The clock and the faults of the others are as before.
        requests.post(f"http://{ADDRESS}/reset", timeout=10).raise_for_status()
