"""The account under kills, damage and full disks: a minute of what scripts/bench/serving_audit.py does at length."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--kills", "10"], "0 logs broken"),
        (["--full", "2"], "lacks the end of 0"),
    ],
)
def test_the_account_survives(tmp_path: Path, arguments: list[str], told: str) -> None:
    command = [sys.executable, "scripts/bench/serving_audit.py", "--folder", str(tmp_path), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert told in done.stdout


@pytest.mark.slow
def test_damage_of_every_kind_is_found(tmp_path: Path) -> None:
    command = [sys.executable, "scripts/bench/serving_audit.py", "--folder", str(tmp_path), "--tamper", "50"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
