"""Run the phases of a chain: on all cores of this machine, or as datatrove pipelines on a cluster.

Tasks share nothing but the workspace's folder, so a chain may begin on one executor and end on another.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from data_recipes.cleaning.workspace import Phase, Workspace
from data_recipes.errors import DataError
from tianjing.config import StrictModel

Progress = Callable[[str], None]
_MAX_LOST = 3


class ExecutorConfig(StrictModel):
    """Where the phases of a chain run."""

    kind: Literal["processes", "datatrove", "ray", "slurm"] = "processes"
    """`processes`: this machine, our own pool. The others need the extra `scale`: `datatrove`: this machine under
    datatrove's local executor; `ray`: a Ray cluster (the one that RAY_ADDRESS names, else this machine); `slurm`: jobs
    handed to sbatch."""
    workers: int = Field(default=0, ge=0)
    """Tasks at once; 0 takes one for each core. What is written does not depend on it."""
    slurm_partition: str = ""
    """Partition of the jobs; asked for by `slurm`."""
    slurm_time: str = "04:00:00"
    """Time limit of a job, as sbatch writes it."""
    memory_gb: int = Field(default=2, ge=1)
    """Memory asked for each task, in GB."""

    @property
    def processes(self) -> int:
        """Tasks at once on this machine."""
        return self.workers or len(os.sched_getaffinity(0))


def run_phases(
    work: Workspace, phases: Sequence[Phase], config: ExecutorConfig, progress: Progress = lambda step: None
) -> None:
    """Run every task that is not finished, phase after phase.

    Raises:
        DataError: a task failed, the disk is full, workers died again and again; `slurm`: the jobs are only handed in.
    """
    try:
        if config.kind == "processes":
            for phase in phases:
                _run_pool(work, phase, config.processes, progress)
        else:
            from data_recipes.cleaning.datatrove import run_datatrove

            run_datatrove(work, phases, config, progress)
    except OSError as error:
        raise DataError(
            f"{work.root}: {error.strerror or error}",
            "free space or mend the permissions of its folder (it needs about three times the material); then the same "
            "command goes on where it stopped",
        ) from error


def _run_pool(work: Workspace, phase: Phase, workers: int, progress: Progress) -> None:
    lost = 0
    while todo := work.open_tasks(phase):
        progress(f"{phase.name}: {phase.count - len(todo)} of {phase.count} shards done")
        if workers == 1 or len(todo) == 1 or phase.light:
            for index in todo:
                work.run(phase, index)
                progress(f"{phase.name}: {index + 1} of {phase.count} shards done")
            return
        try:
            for done in _pooled(work, phase, todo, min(workers, len(todo))):
                progress(f"{phase.name}: {phase.count - len(todo) + done} of {phase.count} shards done")
        except BrokenProcessPool:
            # A worker was killed (out of memory, most often). What is finished stays; the rest is begun again.
            lost += 1
            if lost >= _MAX_LOST:
                raise DataError(
                    f"{phase.name}: worker processes died {lost} times",
                    "they were killed, most often for memory: give fewer --workers; then the same command goes on",
                ) from None


def _pooled(work: Workspace, phase: Phase, todo: Sequence[int], workers: int) -> Iterator[int]:
    """Number of tasks done so far, each time some are."""
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_quiet) as pool:
        # A few tasks ahead, not all: an interrupted run should not wait for a queue.
        queue = list(reversed(todo))
        running: set[Future[Any]] = set()
        finished = 0
        try:
            while queue or running:
                while queue and len(running) < 2 * workers:
                    running.add(pool.submit(_task, work.root, phase, queue.pop()))
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                finished += len(done)
                yield finished
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _task(root: Path, phase: Phase, index: int) -> None:
    Workspace(root).run(phase, index)


def _quiet() -> None:
    """Ctrl-C is the parent's to handle; libraries with thread pools would fight over the cores."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
