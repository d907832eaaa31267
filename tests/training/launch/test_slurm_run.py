"""The rendered batch script trains: two machines, played by two tasks on this one, over a real process group."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.material import example, make_dataset
from tianjing.lineage import read_manifest, verify
from training.launch.job import JobConfig
from training.launch.render import render

# Starts the command once a machine, with the number of its task, and ends with the highest status, as srun does.
_SRUN = """#!/bin/bash
while [[ "$1" == --* ]]; do shift; done
SLURM_PROCID=0 "$@" & first=$!
SLURM_PROCID=1 "$@" & second=$!
status=0
wait $first || status=$?
wait $second || status=$?
exit $status
"""
_SCONTROL = """#!/bin/bash
printf '127.0.0.1\\n127.0.0.1\\n'
"""


@pytest.mark.slow
def test_two_machines_train_one_adapter(tmp_path: Path, tiny_model: Path) -> None:
    data = make_dataset(tmp_path / "数据 $(x)", [example(n) for n in range(13)])
    config = tmp_path / "train.yaml"
    config.write_text("{epochs: 1, micro_rows: 2, micro_batches: 2, threads: 1}", encoding="utf-8")
    job = JobConfig(
        nodes=2,
        dataset=str(data),
        model="tiny",
        out=str(tmp_path / "adapter"),
        python=sys.executable,
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
    )
    folder = render(config, job, "slurm", tmp_path / "job").folder
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in (("srun", _SRUN), ("scontrol", _SCONTROL)):
        (tools / name).write_text(text, encoding="utf-8")
        (tools / name).chmod(0o755)
    slurm = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_JOB_NODELIST": "node-[a-b]"}
    environment = os.environ | slurm | {"PATH": f"{tools}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", str(folder / "job.sbatch")], cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr[-3000:]
    manifest = read_manifest(tmp_path / "adapter")
    assert verify(tmp_path / "adapter") == []
    assert manifest.counts["rows"] == 13
    assert manifest.counts["steps"] == 4  # of 2 x 2 rows, shared by the machines
    lines = (tmp_path / "adapter" / "loss.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]
    assert done.stderr.count("13 rows,") == 1  # one process speaks
