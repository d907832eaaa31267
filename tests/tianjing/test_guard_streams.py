"""One minute of fuzzed streams through the guard with every rule and every kind of personal data switched on."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY


@pytest.mark.slow
def test_a_minute_of_fuzzed_streams_leaks_nothing_and_alters_no_clean_text() -> None:
    command = [sys.executable, "scripts/bench/guard_streams.py", "--seconds", "60", "--fuzz", "2000", "--line", "20000"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "characters of protected spans released" in done.stdout
