"""An engine that is started again when it ends."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from serving.config import ServeConfig
from tianjing.engine import Engine, EngineConfig, EngineError
from tianjing.engine.log import failure

WATCH_INTERVAL_S = 0.25

_log = logging.getLogger(__name__)


class Supervisor:
    """One engine, watched by a thread of its own.

    It keeps its address and its secret over restarts, so whoever sends it requests only sees it down for a while. The
    log of the run before is kept as `engine.log.1`.

    Args:
        limits: gives how often and how fast it is started again.
        on_end: called with the reason once it will not be started again.
        on_restart: called when it answers again; what was loaded into it while it ran is gone.

    Attributes:
        restarts: how often it has been started again.
    """

    def __init__(
        self,
        config: EngineConfig,
        log_path: Path,
        limits: ServeConfig,
        on_progress: Callable[[str], None] | None = None,
        on_end: Callable[[str], None] = lambda reason: None,
        on_restart: Callable[[], None] = lambda: None,
    ):
        self.engine = Engine(config, log_path, on_progress)
        self.restarts = 0
        self._limits = limits
        self._on_end = on_end
        self._on_restart = on_restart
        self._stopping = threading.Event()
        self._recent: deque[float] = deque()
        self._thread = threading.Thread(target=self._watch, name=f"watching {config.served_name}", daemon=True)

    def start(self) -> None:
        """Start the engine and, once it answers, watch it.

        Raises:
            EngineError: it does not start, or was stopped meanwhile.
        """
        self.engine.start()
        if self._stopping.is_set():
            self.engine.stop()
            raise EngineError("the engine was stopped while it started")
        self._thread.start()

    def stop(self) -> None:
        """End the engine, also in the middle of a restart."""
        self._stopping.set()
        self.engine.stop()
        while self._thread.is_alive():
            self._thread.join(WATCH_INTERVAL_S)
            self.engine.stop()  # what a restart has begun just now

    def _watch(self) -> None:
        while not self._stopping.wait(WATCH_INTERVAL_S):
            if not self.engine.alive():
                try:
                    self._restart()
                except EngineError as error:
                    if not self._stopping.is_set():
                        _log.error("the engine did not start again: %s", error.message)

    def _restart(self) -> None:
        """Start again after a pause, or give up.

        Raises:
            EngineError: it does not start.
        """
        now, limits = time.monotonic(), self._limits
        while self._recent and self._recent[0] < now - limits.restart_window_s:
            self._recent.popleft()
        reason = failure(self.engine.log_path)
        self.engine.stop()
        if len(self._recent) >= limits.max_restarts:
            self._stopping.set()
            self._on_end(f"it ended {len(self._recent) + 1} times in {limits.restart_window_s:g} s; last:\n  {reason}")
            return
        pause_s = min(limits.restart_pause_s * 2 ** len(self._recent), limits.restart_pause_most_s)
        self._recent.append(now)
        _log.error("the engine ended; it is started again in %.0f s; its log is %s", pause_s, self.engine.log_path)
        if self._stopping.wait(pause_s):
            return
        with contextlib.suppress(OSError):
            self.engine.log_path.replace(self.engine.log_path.with_suffix(".log.1"))
        self.restarts += 1
        self.engine.start()
        self._on_restart()
        _log.warning("the engine answers again after %.0f s", self.engine.start_seconds)
