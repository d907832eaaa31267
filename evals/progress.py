"""Progress of an arm on standard error: a live bar on a terminal, a line now and then in a log file."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tianjing.console import make_console

LOG_EVERY_S = 15.0
SHOW_EVERY_S = 0.2


class ArmProgress:
    """`with ArmProgress("base", total, done) as progress: progress.step(errors)`."""

    def __init__(self, title: str, total: int, done: int = 0):
        self._title, self._total, self._done, self._start_done = title, total, done, done
        self._errors = 0
        self._shown = 0.0
        self._began = self._logged = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=make_console(stderr=True),
            refresh_per_second=2,  # drawing must not slow the event loop down
        )
        self._live = sys.stderr.isatty()

    def __enter__(self) -> ArmProgress:
        self._began = self._logged = time.monotonic()
        if self._live:
            self._bar.start()
            self._task = self._bar.add_task(self._title, total=self._total, completed=self._done, rate="")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._live:
            self._show()
            self._bar.stop()
        else:
            self._log()

    def step(self, failed: bool) -> None:
        """One more request is finished."""
        self._done += 1
        self._errors += failed
        now = time.monotonic()
        if self._live:
            if now - self._shown > SHOW_EVERY_S:  # thousands of steps a second must not each be drawn
                self._show()
        elif now - self._logged > LOG_EVERY_S:
            self._log()

    def _show(self) -> None:
        self._shown = time.monotonic()
        self._bar.update(self._task, completed=self._done, rate=self._rate())

    def _rate(self) -> str:
        per_second = (self._done - self._start_done) / max(time.monotonic() - self._began, 1e-9)
        failed = f", {self._errors} failed" if self._errors else ""
        return f"{per_second:.1f} requests/s{failed}"

    def _log(self) -> None:
        self._logged = time.monotonic()
        spent_s = self._logged - self._began
        fresh = self._done - self._start_done
        left = f", {spent_s / fresh * (self._total - self._done):.0f} s left" if fresh else ""
        print(f"{self._title}: {self._done}/{self._total}, {self._rate()}{left}", file=sys.stderr, flush=True)
