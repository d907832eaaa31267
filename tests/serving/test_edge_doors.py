"""Every door of the gateway and of the engine's inner side, tried by the benchmark's own script."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = [sys.executable, "scripts/bench/serving_doors.py"]


def run(*arguments: str, timeout_s: float) -> str:
    done = subprocess.run([*SCRIPT, *arguments], capture_output=True, text=True, timeout=timeout_s)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_nothing_but_health_answers_without_a_key_and_no_odd_request_gets_through() -> None:
    told = run(timeout_s=300)
    rows = {line[:32].strip(): [int(word) for word in line[32:].split()[:3]] for line in told.splitlines()[4:]}
    assert rows["gateway: routes, no good key"][0] > 2000 and rows["inner door: routes, no secret"][0] > 1000
    assert all(wrong == 0 for _, wrong, _ in rows.values()) and len(rows) == 10
    assert rows["gateway: routes, no good key"][2] == rows["gateway: smuggling"][2] == 0


@pytest.mark.slow
def test_real_vllm_answers_nothing_but_health_without_its_secret(tiny_model: Path) -> None:
    told = run("--model", str(tiny_model), timeout_s=900)
    row = next(line for line in told.splitlines() if line.startswith("vLLM itself"))
    assert int(row[32:].split()[0]) > 1000 and int(row[32:].split()[1]) == 0
