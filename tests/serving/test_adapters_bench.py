"""A few seconds of the simulation of canaries; the whole of it takes minutes."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import REPOSITORY


def test_healthy_canaries_stay_and_clearly_worse_ones_go() -> None:
    command = [sys.executable, "scripts/bench/serving_adapters.py", "--runs", "5", "--requests", "10000", "--seed", "3"]
    done = subprocess.run(
        command, cwd=REPOSITORY, env={"PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "choose and observe" in done.stdout and "0.00% (0 of 5)" in done.stdout
