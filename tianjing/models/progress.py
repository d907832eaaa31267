"""Phases of preparing a model, shown on stderr: a bar on a terminal, a line a phase elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from tianjing.console import make_console

OnPhase = Callable[[str, float], None]
"""Called with a phase in words and the share of it that is done, 0 to 1."""


class PhaseProgress:
    """An `OnPhase` that shows nothing until it is called, so that a ready model answers in silence."""

    def __init__(self) -> None:
        self._console = make_console(stderr=True)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._phase, self._began = "", 0.0

    def __enter__(self) -> PhaseProgress:
        return self

    def __call__(self, phase: str, done: float) -> None:
        if phase != self._phase:
            self._end_phase()
            self._begin_phase(phase)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._end_phase()
        if self._bar is not None:
            self._bar.stop()

    def _begin_phase(self, phase: str) -> None:
        self._phase, self._began = phase, time.monotonic()
        if not self._console.is_terminal:
            self._console.print(f"{phase} …", markup=False, soft_wrap=True)
            return
        if self._bar is None:
            columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, console=self._console)
            self._bar.start()
        self._task = self._bar.add_task(phase, total=1.0)

    def _end_phase(self) -> None:
        if not self._phase:
            return
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=1.0)
        else:
            seconds = time.monotonic() - self._began
            self._console.print(f"{self._phase}: {seconds:.1f} s", markup=False, soft_wrap=True)
        self._phase = ""
