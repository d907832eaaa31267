"""Files are handed to the scheduler's own client or to nobody, and nothing claims otherwise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.launch.conftest import Render
from training.errors import TrainingError
from training.launch.submit import command_line, submit


def client(folder: Path, name: str, text: str) -> str:
    tool = folder / "bin" / name
    tool.parent.mkdir(exist_ok=True)
    tool.write_text(f"#!/bin/bash\n{text}\n", encoding="utf-8")
    tool.chmod(0o755)
    return str(tool.parent)


def test_without_the_client_nothing_is_submitted_and_the_command_is_named(
    rendered: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = rendered("slurm")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TrainingError, match="'sbatch' is not installed here, so nothing was submitted") as failure:
        submit(result, "slurm")
    assert command_line(result) in str(failure.value)
    assert command_line(result).endswith("jobs && sbatch job.sbatch")


def test_the_client_gets_the_file_in_its_folder_and_its_answer_is_passed_on(
    rendered: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = rendered("slurm")
    monkeypatch.setenv(
        "PATH", f"{client(tmp_path, 'sbatch', 'pwd; echo Submitted batch job 7, file $1')}:/usr/bin:/bin"
    )
    assert submit(result, "slurm") == f"{result.folder}\nSubmitted batch job 7, file job.sbatch"


def test_a_refusal_of_the_client_is_an_error_with_its_words(
    rendered: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = rendered("slurm")
    monkeypatch.setenv("PATH", f"{client(tmp_path, 'sbatch', 'echo invalid partition >&2; exit 1')}:/usr/bin:/bin")
    with pytest.raises(TrainingError, match=r"refused the job \(exit status 1\): invalid partition"):
        submit(result, "slurm")


def test_the_command_renders_says_so_and_names_a_wrong_target(tmp_path: Path) -> None:
    (tmp_path / "train.yaml").write_text("micro_batches: 2\n", encoding="utf-8")
    (tmp_path / "job.yaml").write_text("{dataset: /d, out: /o, name: demo}\n", encoding="utf-8")
    command = [sys.executable, "-m", "tianjing", "train", "launch", "train.yaml", "--job", "job.yaml", "--on"]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[3]), "HOME": str(tmp_path)}

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *more], cwd=tmp_path, env=environment, capture_output=True, text=True)

    done = run("slurm", "--nodes", "2")
    assert done.returncode == 0, done.stderr
    assert "not submitted; to submit (the client is not installed here): cd" in done.stderr
    assert "#SBATCH --nodes=2" in (tmp_path / "jobs" / "demo-slurm" / "job.sbatch").read_text(encoding="utf-8")
    wrong = run("slrum")
    assert wrong.returncode == 2 and "give one of local, slurm, kubernetes, ray, skypilot" in wrong.stderr
