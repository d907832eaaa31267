"""The benchmark of a GPU step runs where neither a GPU nor TRL is, and its two sides agree on the loss."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

SCRIPT = REPOSITORY / "scripts" / "bench" / "training_gpu.py"


def run(folder: Path, *arguments: str) -> str:
    """The script's output, in a process that cannot import TRL."""
    (folder / "trl.py").write_text("raise ImportError('not here')", encoding="utf-8")
    command = [
        sys.executable,
        "-c",
        f"import sys; sys.path.insert(0, {str(folder)!r}); sys.argv = sys.argv[1:]; "
        "import runpy; runpy.run_path(sys.argv[0], run_name='__main__')",
        str(SCRIPT),
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_the_smoke_run_gives_both_sides_the_same_loss_without_trl(tmp_path: Path) -> None:
    arguments = ("--shape", "tiny", "--device", "cpu", "--steps", "1", "--only", "compile off,plain")
    lines = run(tmp_path, *arguments).splitlines()
    losses = [float(found[1]) for line in lines if (found := re.match(r".{52} +(\d+\.\d{4})", line))]
    assert len(losses) == 3, lines
    assert max(losses) - min(losses) < 2e-4
