"""A folder that one process at a time may write: a lock that the system frees when its holder ends, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from tianjing.errors import TianjingError
from tianjing.files import require_above


@contextlib.contextmanager
def sole_writer(folder: Path, lock: Path) -> Iterator[None]:
    """Hold `lock`, the lock file of `folder`, for as long as the context lasts.

    The file stays afterwards: whoever removed it could take it from one that has just opened it.

    Raises:
        TianjingError: another process holds it (names its process id); `folder` lies beneath a file.
        OSError: the lock file cannot be written.
    """
    require_above(folder)
    lock.parent.mkdir(parents=True, exist_ok=True)
    with open(lock, "a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            raise TianjingError(
                f"{folder}: another run is writing here (process {stream.read().strip() or 'unknown'})",
                "wait for it, or choose another folder with --out",
            ) from None
        except OSError:
            pass  # a file system without locks: carry on as one process alone would
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield
