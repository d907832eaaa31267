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
from typing import Literal

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
    workers: int | None = Field(default=None, ge=1)
    """Tasks at once; None takes one for each core. What is written does not depend on it."""
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
            with _Pool(config.processes, sorted({phase.run.__module__ for phase in phases})) as pool:
                for phase in phases:
                    _run_pool(work, phase, pool, progress)
        else:
            from data_recipes.cleaning.datatrove import run_datatrove

            run_datatrove(work, phases, config, progress)
    except OSError as error:
        raise DataError(
            f"{work.root}: {error.strerror or error}",
            "free space or mend the permissions of its folder (it needs about three times the material); then the same "
            "command goes on where it stopped",
        ) from error


class _Pool:
    """Worker processes for all phases, started when the first one needs them: each prepares its rules only once.

    Args:
        modules: imported once, in the process that the workers are forked from.
    """

    def __init__(self, workers: int, modules: Sequence[str]):
        self.workers = workers
        self._modules = list(modules)
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> _Pool:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()

    def end(self) -> None:
        """Wait for what is running; the next task starts new processes."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None

    def submit(self, work: Workspace, phase: Phase, index: int) -> Future[None]:
        if self._executor is None:
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(self._modules)
            self._executor = ProcessPoolExecutor(self.workers, mp_context=context, initializer=_quiet)
        return self._executor.submit(_task, work.root, phase, index)


def _run_pool(work: Workspace, phase: Phase, pool: _Pool, progress: Progress) -> None:
    lost = 0
    while todo := work.open_tasks(phase):
        progress(f"{phase.name}: {phase.count - len(todo)} of {phase.count} shards done")
        if pool.workers == 1 or len(todo) == 1 or phase.light:
            if not phase.light:
                pool.end()  # workers that wait hold on to the memory of what they did
            for index in todo:
                work.run(phase, index)
                progress(f"{phase.name}: {index + 1} of {phase.count} shards done")
            return
        try:
            for done in _pooled(work, phase, todo, pool):
                progress(f"{phase.name}: {phase.count - len(todo) + done} of {phase.count} shards done")
        except BrokenProcessPool:
            # A worker was killed (out of memory, most often). What is finished stays; the rest is begun again.
            pool.end()
            lost += 1
            if lost >= _MAX_LOST:
                raise DataError(
                    f"{phase.name}: worker processes died {lost} times",
                    "they were killed, most often for memory: give fewer --workers; then the same command goes on",
                ) from None


def _pooled(work: Workspace, phase: Phase, todo: Sequence[int], pool: _Pool) -> Iterator[int]:
    """Number of tasks done so far, each time some are."""
    # A few tasks ahead, not all: an interrupted run should not wait for a queue.
    queue = list(reversed(todo))
    running: set[Future[None]] = set()
    finished = 0
    while queue or running:
        while queue and len(running) < 2 * pool.workers:
            running.add(pool.submit(work, phase, queue.pop()))
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()
        finished += len(done)
        yield finished


def _task(root: Path, phase: Phase, index: int) -> None:
    Workspace(root).run(phase, index)


def _quiet() -> None:
    """Ctrl-C is the parent's to handle; libraries with thread pools would fight over the cores."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
