"""A batch script for Slurm: one task a machine, each starting its processes; requeued when it was interrupted."""

from __future__ import annotations

import shlex

from tianjing.errors import EXIT_RESUMABLE
from training.errors import TrainingError
from training.launch.command import exports, launcher, quoted, run_command
from training.launch.job import JobConfig

FILE = "job.sbatch"


def sbatch(job: JobConfig, config: str, accelerate: str) -> str:
    """Text of the script; submit it from the folder that its log is to stand in.

    SIGTERM comes `grace_s` before the time limit, to the job's steps alone (`--signal` without `B:`), so to the
    training processes. What comes to the script itself is `scancel` or a preemption: then it must not queue itself
    again, Slurm does that where it is wanted (`--requeue`).

    Raises:
        TrainingError: volumes without an image: without a container the hosts' folders are seen as they are.
    """
    if job.volumes and job.image is None:
        raise TrainingError(
            f"job '{job.name}': volumes are mounted into an image, and none is given",
            "leave 'volumes' out (the job sees the hosts' folders), or set 'image' (needs pyxis on the cluster)",
        )
    run = run_command(job, config)
    lines = ["#!/bin/bash", *(f"#SBATCH {option}" for option in _options(job)), "set -euo pipefail", ""]
    lines += [*job.setup, *exports(job)]
    if job.world > 1:
        lines += [
            'mapfile -t hosts < <(scontrol show hostnames "$SLURM_JOB_NODELIST")',
            "export MASTER_ADDR=${hosts[0]}",
            "export MASTER_PORT=$((20000 + SLURM_JOB_ID % 20000))",
        ]
        # In single quotes: SLURM_PROCID is another one in every task.
        inner = f'export NODE_RANK=$SLURM_PROCID; exec {launcher(job, accelerate)} "$@"'
        step = ["bash", "-c", inner, "launch"]
        run = run[1:]
    else:
        step = []
    lines += ["", "run=(", *(f"  {shlex.quote(word)}" for word in run), ")"]
    step_text = " ".join(filter(None, [quoted([*_step_options(job), *step]), '"${run[@]}"']))
    lines += [
        "",
        "cancelled=",
        "trap 'cancelled=yes' TERM",
        "status=0",
        f"{step_text} || status=$?",
        "",
        "# Interrupted and resumable: Slurm gives the job its number again, and the same command goes on.",
        f'if [ "$status" -eq {EXIT_RESUMABLE} ] && [ -z "$cancelled" ] && \\',
        f'  [ "${{SLURM_RESTART_COUNT:-0}}" -lt {job.retries} ]; then',
        '  scontrol requeue "$SLURM_JOB_ID"',
        "fi",
        'exit "$status"',
    ]
    return "\n".join(lines) + "\n"


def _options(job: JobConfig) -> list[str]:
    options = [
        f"--job-name={job.name}",
        f"--nodes={job.nodes}",
        "--ntasks-per-node=1",
        "--requeue",
        "--open-mode=append",
        f"--signal=TERM@{job.grace_s}",
        "--output=%x-%j.log",
    ]
    own = (
        ("gpus-per-node", job.gpus_per_node or None),
        ("cpus-per-task", job.cpus_per_node),
        ("mem", f"{job.memory_gib}G" if job.memory_gib else None),
        ("time", job.time_limit_minutes),
        ("partition", job.slurm.partition),
        ("account", job.slurm.account),
        ("qos", job.slurm.qos),
    )
    return options + [f"--{name}={value}" for name, value in own if value is not None]


def _step_options(job: JobConfig) -> list[str]:
    """`srun` and how it starts the tasks: all end when one fails, or the others would wait for it."""
    options = ["srun", "--kill-on-bad-exit=1"]
    if job.cpus_per_node is not None:
        options.append(f"--cpus-per-task={job.cpus_per_node}")  # since 22.05 a step no longer takes it from the job
    if job.image is not None:
        options.append(f"--container-image={job.image}")
    if job.volumes:
        options.append("--container-mounts=" + ",".join(f"{volume.source}:{volume.mount}" for volume in job.volumes))
    return options
