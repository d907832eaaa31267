"""The phases of a chain as datatrove pipelines: the local, Ray and Slurm executors.

A datatrove task is one task of a phase; its own completion markers are not used, since a finished folder says the same
and cannot disagree with what is there.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from data_recipes.cleaning.workspace import Phase, Workspace
from data_recipes.errors import DataError

if TYPE_CHECKING:
    from data_recipes.cleaning.executors import ExecutorConfig, Progress


class Step:
    """One phase as the function that a datatrove executor calls once for each rank."""

    def __init__(self, work: Workspace, phase: Phase):
        self._work, self._phase = work, phase

    def __call__(self, data: object, rank: int, world_size: int) -> Iterator[Any]:
        if world_size != self._phase.count:
            raise ValueError(f"{self._phase.name}: {world_size} tasks asked for, {self._phase.count} expected")
        self._work.run(self._phase, rank)
        return iter(())


def run_datatrove(work: Workspace, phases: Sequence[Phase], config: ExecutorConfig, progress: Progress) -> None:
    """Run the phases, or with `slurm` hand them in as jobs that wait for one another.

    Raises:
        DataError: the extra `scale` is missing; a task failed; with `slurm`, always once the jobs are handed in.
    """
    try:
        import datatrove.executor  # noqa: F401
    except ImportError:
        raise DataError(
            f"--executor {config.kind} needs datatrove, which is not installed", "pip install 'tianjing[scale]'"
        ) from None
    with _cluster(config.kind):
        _run(work, phases, config, progress)


@contextmanager
def _cluster(kind: str) -> Iterator[None]:
    """A Ray that was started or joined for these phases is left again: its daemons would outlive them."""
    if kind != "ray":
        yield
        return
    import ray

    joined = ray.is_initialized()
    try:
        yield
    finally:
        if not joined:
            ray.shutdown()


def _run(work: Workspace, phases: Sequence[Phase], config: ExecutorConfig, progress: Progress) -> None:
    before = None
    for phase in phases:
        if not work.open_tasks(phase):
            continue
        progress(f"{phase.name}: {phase.count} shards under datatrove ({config.kind})")
        executor = _executor(work, phase, config, before)
        executor.run()
        if config.kind == "slurm":
            before = executor
        elif left := work.open_tasks(phase):
            raise DataError(
                f"{phase.name}: {len(left)} of {phase.count} tasks did not finish",
                f"see the logs in {work.root / 'logs' / phase.name}; the same command goes on from here",
            )
    if before is not None:
        raise DataError(
            "the jobs are handed in to Slurm; nothing is written yet",
            "when squeue shows none of them, give the same command again: it gathers what they wrote",
        )


def _executor(work: Workspace, phase: Phase, config: ExecutorConfig, before: Any) -> Any:
    pipeline = [Step(work, phase)]
    logs = str(work.root / "logs" / phase.name)
    if config.kind == "datatrove":
        from datatrove.executor import LocalPipelineExecutor

        return LocalPipelineExecutor(
            pipeline, tasks=phase.count, workers=config.processes, logging_dir=logs, skip_completed=False
        )
    if config.kind == "ray":
        from datatrove.executor import RayPipelineExecutor

        return RayPipelineExecutor(
            pipeline,
            tasks=phase.count,
            workers=config.workers or -1,
            mem_per_cpu_gb=config.memory_gb,
            logging_dir=logs,
            skip_completed=False,
        )
    from datatrove.executor import SlurmPipelineExecutor

    if not config.slurm_partition:
        raise DataError("executor.slurm_partition: not set", "name the partition, e.g. --slurm-partition cpu")
    if shutil.which("sbatch") is None:
        raise DataError("sbatch is not on this machine", "give the command on a login node of the Slurm cluster")
    return SlurmPipelineExecutor(
        pipeline,
        tasks=phase.count,
        time=config.slurm_time,
        partition=config.slurm_partition,
        workers=config.workers or -1,
        mem_per_cpu_gb=config.memory_gb,
        job_name=f"tianjing-{phase.name}",
        depends=before,
        logging_dir=logs,
        skip_completed=False,
    )
