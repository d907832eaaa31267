"""The fault bench in small: nothing that a customer was told is lost when the gateway is killed or its clock jumps."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("fault", [("gateway", "--kills", "5"), ("clock",)])
def test_nothing_is_lost(fault: tuple[str, ...]) -> None:
    command = [sys.executable, "scripts/bench/serving_faults.py", *fault]
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, cwd=REPOSITORY, env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "answered" in done.stdout and "queue: ok" in done.stdout and "missing 0" in done.stdout
