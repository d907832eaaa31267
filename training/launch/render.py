"""From a training configuration and a job description to the files of one target, checked before any is written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tianjing.config import load
from tianjing.files import atomic_write
from training import full
from training.config import TrainConfig
from training.errors import TrainingError
from training.launch import kubernetes, local, ray_job, skypilot, slurm
from training.launch.command import ACCELERATE, CONFIG, accelerate_config
from training.launch.job import JobConfig, Target
from training.ranks import Ranks

# Fields that a target has no use for; said aloud where they are set.
_UNUSED: dict[Target, tuple[str, ...]] = {
    "local": ("cpus_per_node", "memory_gib", "time_limit_minutes", "image", "volumes"),
    "slurm": (),
    "kubernetes": (),
    "ray": ("memory_gib", "time_limit_minutes", "image", "volumes"),
    "skypilot": ("time_limit_minutes",),
}


@dataclass(frozen=True)
class Rendered:
    """Files written to `folder`, and the command that hands them over from there."""

    folder: Path
    files: tuple[str, ...]
    submit: tuple[str, ...]
    """Run in `folder`; its first word is the scheduler's client."""
    notes: tuple[str, ...]
    """What the target has no use for."""


def render(config: Path, job: JobConfig, target: Target, folder: Path) -> Rendered:
    """Write the files of a job that trains as `config` says.

    The configuration is copied, so that a later edit does not change a queued job.

    Raises:
        TrainingError: the processes cannot share a step evenly or train several scenes; all weights are trained in
            shards; the target lacks what it needs; the configuration names an adapter or an older dataset by a
            relative path.
        TianjingError: the configuration is wrong.
    """
    training = load(TrainConfig, config)
    Ranks(0, job.world, job.processes).share(training.micro_batches)
    if training.tune == "full" and job.distribution == "fsdp2":
        raise TrainingError(
            f"job '{job.name}': {full.NOT_IN_SHARDS}",
            "set distribution: ddp, or train an adapter (tune: lora)",
        )
    _check_more_inputs(training, job)
    job = _complete(job, training, target)
    folder = folder.absolute()
    shared = {CONFIG: config.read_text(encoding="utf-8")}
    if job.world > 1:
        shared[ACCELERATE] = accelerate_config(job)
    here = (str(folder / CONFIG), str(folder / ACCELERATE))
    submit: Sequence[str]
    if target == "slurm":
        own = {slurm.FILE: slurm.sbatch(job, *here)}
        submit = ("sbatch", slurm.FILE)
    elif target == "kubernetes":
        own = {kubernetes.FILE: kubernetes.trainjob(job, shared)}
        submit = ("kubectl", "apply", "-f", kubernetes.FILE)
    elif target == "ray":
        own = {ray_job.FILE: ray_job.description(job), ray_job.SUBMIT: ray_job.submit_script(job)}
        submit = ("bash", ray_job.SUBMIT)
    elif target == "skypilot":
        own = {skypilot.FILE: skypilot.task(job, shared)}
        submit = ("sky", "jobs", "launch", "--yes", "--detach-run", skypilot.FILE)
    else:
        own = {local.FILE: local.script(job, *here)}
        submit = ("bash", local.FILE)
    files = shared | own
    for name, text in files.items():
        atomic_write(folder / name, text)
    unused = [field for field in _UNUSED[target] if field in job.model_fields_set]
    notes = (f"{target} has no use for {', '.join(unused)}",) if unused else ()
    return Rendered(folder, tuple(files), tuple(submit), notes)


def _check_more_inputs(training: TrainConfig, job: JobConfig) -> None:
    """What the job description has no field for must be right in the configuration, which the job reads elsewhere."""
    replayed = training.replay.dataset if training.replay else None
    for name, path in (("adapter", training.adapter), ("replay.dataset", replayed)):
        if path is not None and not os.path.isabs(path):
            raise TrainingError(
                f"job '{job.name}': '{name}' is the relative path '{path}', and the job does not run in this folder",
                f"set {name} in the training configuration to its absolute path as the job's machines see it",
            )
    scenes = len(training.scenes or ())
    if job.world > 1 and scenes > 1:
        raise TrainingError(
            f"job '{job.name}': {job.world} processes cannot train {scenes} scenes one after another",
            "give each scene a job of its own: scenes: [NAME] in its configuration",
        )


def _complete(job: JobConfig, training: TrainConfig, target: Target) -> JobConfig:
    """The job with what the training configuration says of dataset, model and out, as its machines see them."""
    written = training.model_dump()
    found: dict[str, Any] = {name: getattr(job, name) or written.get(name) for name in ("dataset", "model", "out")}
    for name in ("dataset", "out"):
        if found[name] is None:
            raise TrainingError(
                f"job '{job.name}': neither the job description nor the configuration gives '{name}'",
                f"set {name} to the folder as the job's machines see it",
            )
        if target in ("local", "slurm"):
            found[name] = os.path.abspath(found[name])
        elif not os.path.isabs(found[name]):
            raise TrainingError(
                f"job '{job.name}': '{name}' is the relative path '{found[name]}', which means nothing on {target}",
                f"set {name} in the job description to its absolute path on the storage that the machines share",
            )
    if found["model"] and target in ("local", "slurm") and os.path.isdir(found["model"]):
        found["model"] = os.path.abspath(found["model"])
    return JobConfig.model_validate(job.model_dump(exclude_unset=True) | found)
