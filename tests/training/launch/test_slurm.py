"""The batch script parses, keeps every character of its arguments, and queues itself again only when it should."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.launch.conftest import HOSTILE, Render
from training.errors import TrainingError
from training.launch.job import JobConfig
from training.launch.slurm import sbatch

# `srun` as the script sees it: the arguments and environment of each call go to files, the status is given.
_SRUN = """#!/bin/bash
printf '%s\\0' "$@" > "$RECORD/srun"
env -0 > "$RECORD/environment"
if [ -n "${SRUN_SLEEPS:-}" ]; then touch "$RECORD/started"; sleep "$SRUN_SLEEPS"; fi
exit "${SRUN_STATUS:-0}"
"""
_SCONTROL = """#!/bin/bash
if [ "$1" = show ]; then printf 'node-a\\nnode-b\\n'; else printf '%s ' "$@" >> "$RECORD/scontrol"; fi
"""


def cluster(folder: Path) -> dict[str, str]:
    """Environment of a job in which `srun` and `scontrol` write down what they are given."""
    tools = folder / "tools"
    tools.mkdir(parents=True, exist_ok=True)
    for name, text in (("srun", _SRUN), ("scontrol", _SCONTROL)):
        (tools / name).write_text(text, encoding="utf-8")
        (tools / name).chmod(0o755)
    own = {"SLURM_JOB_ID": "43210", "SLURM_JOB_NODELIST": "node-[a-b]", "RECORD": str(folder)}
    return os.environ | own | {"PATH": f"{tools}:{os.environ['PATH']}"}


def words(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\0")[:-1]


def test_shellcheck_finds_nothing(rendered: Render) -> None:
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed")
    many = rendered("slurm", nodes=2, gpus_per_node=8, env={"A": "x y"}, dataset=HOSTILE).folder / "job.sbatch"
    # SC2016 asks whether `$` in single quotes is meant: it is, a path is no expression.
    check = [shellcheck, "--exclude=SC2016"]
    subprocess.run([*check, str(many)], check=True)
    one = rendered("slurm", dataset=HOSTILE).folder / "job.sbatch"
    subprocess.run([*check, str(one)], check=True)


def test_options_say_what_the_description_says(rendered: Render) -> None:
    job: dict[str, Any] = {"nodes": 2, "gpus_per_node": 8, "cpus_per_node": 96, "memory_gib": 512}
    slurm = {"partition": "h200", "account": "credit"}
    result = rendered("slurm", **job, time_limit_minutes=480, grace_s=300, slurm=slurm)
    text = (result.folder / "job.sbatch").read_text(encoding="utf-8")
    head = text.split("set -euo pipefail")[0].splitlines()
    assert head[0] == "#!/bin/bash"  # sbatch reads options up to the first command
    options = dict(re.fullmatch(r"#SBATCH --([a-z-]+)(?:=(\S+))?", line).groups() for line in head[1:])  # type: ignore[union-attr]
    assert options == {
        "job-name": "demo",
        "nodes": "2",
        "ntasks-per-node": "1",
        "gpus-per-node": "8",
        "cpus-per-task": "96",
        "mem": "512G",
        "time": "480",
        "partition": "h200",
        "account": "credit",
        "requeue": None,
        "open-mode": "append",
        "signal": "TERM@300",
        "output": "%x-%j.log",
    }
    assert result.submit == ("sbatch", "job.sbatch")


def test_each_machine_starts_its_processes_with_its_own_number(rendered: Render, tmp_path: Path) -> None:
    folder = rendered("slurm", nodes=2, gpus_per_node=4, dataset=HOSTILE, model=HOSTILE).folder
    environment = cluster(tmp_path)
    subprocess.run(["bash", str(folder / "job.sbatch")], env=environment, cwd=tmp_path, check=True)
    step = words(tmp_path / "srun")
    # What srun runs, run as task 1: a python that writes down its arguments.
    python = tmp_path / "tools" / "python"
    python.write_text('#!/bin/bash\nprintf "%s\\0" "$@" > "$RECORD/python"\n', encoding="utf-8")
    python.chmod(0o755)
    task = dict(entry.split("=", 1) for entry in words(tmp_path / "environment")) | {"SLURM_PROCID": "1"}
    assert task["HF_HUB_OFFLINE"] == "1"
    subprocess.run(step[step.index("bash") :], env=task, cwd=tmp_path, check=True)
    launch = words(tmp_path / "python")
    at = launch.index("tianjing") - 1
    assert launch[:2] == ["-m", "training.launch.workers"]
    options = dict(zip(launch[2:at:2], launch[3:at:2], strict=True))
    assert options == {
        "--config_file": str(folder / "accelerate.yaml"),
        "--machine_rank": "1",
        "--main_process_ip": "node-a",
        "--main_process_port": str(20000 + 43210 % 20000),
    }
    run = ["-m", "tianjing", "train", "run", HOSTILE, "--model", HOSTILE, "--out", "/data/adapter"]
    assert launch[at:] == [*run, "--config", str(folder / "train.yaml")]
    assert not (tmp_path / "pwned").exists()


_LINE = st.text(
    st.characters(exclude_categories=("C", "Zl", "Zp", "Zs")) | st.sampled_from("  \"'$`\\(){}*"), min_size=1
)


@settings(max_examples=25, deadline=None)
@given(dataset=_LINE.filter(lambda text: not text.startswith("-")), value=_LINE, processes=st.integers(1, 2))
def test_no_character_of_a_path_or_value_is_read_by_the_shell(dataset: str, value: str, processes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        job = JobConfig(dataset=dataset, out=dataset, processes_per_node=processes, env={"GIVEN": value})
        script = Path(folder) / "job.sbatch"
        script.write_text(sbatch(job, f"/x/{dataset}", f"/y/{dataset}"), encoding="utf-8")
        subprocess.run(["bash", "-n", str(script)], check=True)
        subprocess.run(["bash", str(script)], env=cluster(Path(folder)), cwd=folder, check=True)
        step = words(Path(folder) / "srun")
        run = step[step.index("run") :]
        assert run == ["run", dataset, "--model", "embedded", "--out", dataset, "--config", f"/x/{dataset}"]
        assert f"GIVEN={value}" in words(Path(folder) / "environment")
        assert sorted(path.name for path in Path(folder).iterdir()) == ["environment", "job.sbatch", "srun", "tools"]


@pytest.mark.parametrize(
    ("status", "restarts", "queued"),
    [("75", "0", True), ("75", "4", True), ("75", "5", False), ("1", "0", False), ("0", "0", False)],
)
def test_only_an_interrupted_job_is_queued_again_and_not_for_ever(
    rendered: Render, tmp_path: Path, status: str, restarts: str, queued: bool
) -> None:
    folder = rendered("slurm").folder
    environment = cluster(tmp_path) | {"SRUN_STATUS": status, "SLURM_RESTART_COUNT": restarts}
    done = subprocess.run(["bash", str(folder / "job.sbatch")], env=environment, cwd=tmp_path)
    assert done.returncode == int(status)
    said = (tmp_path / "scontrol").read_text(encoding="utf-8") if (tmp_path / "scontrol").exists() else ""
    assert said == ("requeue 43210 " if queued else "")


def test_a_job_that_was_cancelled_waits_for_its_processes_and_stays_cancelled(rendered: Render, tmp_path: Path) -> None:
    folder = rendered("slurm").folder
    environment = cluster(tmp_path) | {"SRUN_STATUS": "75", "SRUN_SLEEPS": "1"}
    script = subprocess.Popen(["bash", str(folder / "job.sbatch")], env=environment, cwd=tmp_path)
    while not (tmp_path / "started").exists():
        time.sleep(0.01)
    script.send_signal(signal.SIGTERM)
    assert script.wait(timeout=30) == 75
    assert not (tmp_path / "scontrol").exists()


def test_volumes_without_an_image_are_refused(rendered: Render) -> None:
    volumes = [{"source": "/lustre", "mount": "/data"}]
    with pytest.raises(TrainingError, match="volumes are mounted into an image"):
        rendered("slurm", volumes=volumes)
    folder = rendered("slurm", volumes=volumes, image="registry/a/b:1").folder
    text = (folder / "job.sbatch").read_text(encoding="utf-8")
    assert "--container-image=registry/a/b:1 --container-mounts=/lustre:/data" in text
