"""Files that are read again when they change; one that breaks keeps the last good content, and says so."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from tianjing.errors import TianjingError

_log = logging.getLogger(__name__)

Content = TypeVar("Content")
_Print = tuple[tuple[int, int, int] | None, ...]


class Source(Generic[Content]):
    """What `load` makes of some files.

    Args:
        name: for log and answers, e.g. "policy".
        files: those whose change is watched.
        load: reads them; must raise TianjingError for whatever may be wrong with them.
        every_s: seconds between two looks at the files.

    Raises:
        TianjingError: at the start nothing good is there to be kept.
    """

    def __init__(self, name: str, files: Sequence[Path], load: Callable[[], Content], every_s: float):
        self.name = name
        self.problem = ""
        """Why the last change was not taken over, "" when what is on disk is in use."""
        self._files, self._load, self._every_s = tuple(files), load, every_s
        self._print = self._fingerprint()
        self.content = load()
        self._looked = time.monotonic()

    async def refresh(self) -> None:
        """Take over a change; never raises for what is wrong with the files, and never waits where nothing changed."""
        now = time.monotonic()
        if now - self._looked < self._every_s:
            return
        self._looked = now
        fingerprint = self._fingerprint()
        if fingerprint == self._print:
            return
        # Before the files are read: one that changes meanwhile is read again at the next look.
        self._print = fingerprint
        try:
            self.content = await asyncio.to_thread(self._load)
        except (TianjingError, OSError) as error:
            self.problem = error.message if isinstance(error, TianjingError) else f"cannot be read: {error.strerror}"
            _log.error("%s: the last good one stays in use: %s", self.name, self.problem)
            return
        self.problem = ""
        _log.warning("%s: read again", self.name)

    def _fingerprint(self) -> _Print:
        return tuple(_stamp(path) for path in self._files)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
