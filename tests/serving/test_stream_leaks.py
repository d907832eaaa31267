"""Fuzzed streams through the real gateway, for less than a minute."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY


@pytest.mark.slow
def test_fuzzed_streams_through_the_gateway_leak_nothing_and_equal_the_whole_answer() -> None:
    command = [sys.executable, "scripts/bench/serving_leaks.py", "--seconds", "40", "--at-a-time", "16"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "characters of protected spans released" in done.stdout
