"""Taking up a changed configuration without a restart, where that is safe."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from serving.config import ServeConfig
from serving.upstreams.pool import Pool
from tianjing.errors import TianjingError

_log = logging.getLogger(__name__)


class Reloader:
    """Reads the configuration again when asked, or when its file or an engine's key file has changed.

    `upstreams` are taken up; any other change is logged as waiting for a restart. A configuration that is wrong changes
    nothing.

    Args:
        read: the configuration as it is now, the command line's options included.
        source: its file.
    """

    def __init__(self, read: Callable[[], ServeConfig], source: Path, current: ServeConfig, pool: Pool):
        self._read = read
        self._source = source
        self._current = current
        self._pool = pool
        self._seen = self._stamps()

    def look(self) -> None:
        """Reload when a file has changed since the last look."""
        if self._stamps() != self._seen:
            self.reload()

    def reload(self) -> None:
        """Read the configuration and take up what can be."""
        self._seen = self._stamps()
        try:
            config = self._read()
            upstreams = [(one, one.secret()) for one in config.upstreams]
        except TianjingError as error:
            _log.error("the configuration is not taken up, the one before stays: %s", error.message)
            return
        waiting = [name for name in ServeConfig.model_fields if getattr(config, name) != getattr(self._current, name)]
        if config.upstreams and self._current.upstreams:
            self._pool.submit(self._pool.apply(upstreams, config.drain_s)).add_done_callback(_tell)
            self._current = self._current.model_copy(update={"upstreams": config.upstreams})
            waiting = [name for name in waiting if name != "upstreams"]
        if waiting:
            _log.warning("changed, but taken up only after a restart: %s", ", ".join(waiting))
        self._seen = self._stamps()

    def _stamps(self) -> dict[Path, tuple[int, int] | None]:
        """Time and size of each file; None where there is none."""
        files = [self._source, *(one.key_file for one in self._current.upstreams if one.key_file)]
        return {path: _stamp(path) for path in files}


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _tell(done: Future[list[str]]) -> None:
    if (error := done.exception()) is not None:
        _log.error("the engines could not be changed: %s", error)
    else:
        _log.warning("engines: %s", "; ".join(done.result()) or "unchanged")
