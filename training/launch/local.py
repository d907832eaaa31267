"""A script that trains on this machine."""

from __future__ import annotations

from training.errors import TrainingError
from training.launch.command import exports, shell_command
from training.launch.job import JobConfig

FILE = "local.sh"


def script(job: JobConfig, config: str, accelerate: str) -> str:
    """Bash that gives its place to the training process, or to the launcher of several.

    Raises:
        TrainingError: more than one machine is asked for.
    """
    if job.nodes > 1:
        raise TrainingError(
            f"job '{job.name}': {job.nodes} nodes, and this is one machine",
            "set nodes to 1, or give --on slurm, kubernetes, ray or skypilot",
        )
    lines = ["#!/bin/bash", "set -euo pipefail", *job.setup, *exports(job)]
    if job.world > 1:
        lines.append("NODE_RANK=0 MASTER_ADDR=127.0.0.1 MASTER_PORT=0")  # 0: a port that is free
    lines.append("exec " + shell_command(job, config, accelerate))
    return "\n".join(lines) + "\n"
