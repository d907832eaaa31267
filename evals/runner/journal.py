"""The file of attempts: it is the state of a run, so a killed run goes on where it stopped.

Rows are handed to the kernel once per turn of the event loop, which survives a kill of this process, and reach the disk
about once a second, which bounds what a power cut can take.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from evals.errors import EvalError
from evals.records import RawAttempt

SYNC_EVERY_S = 1.0
_BLOCK = 1 << 16
# Of a 64-digit key. Two of a million different requests share so much with a chance of 10^-27.
_KEY_BYTES = 16


class Journal:
    """Appends rows to a JSON Lines file: `with Journal(path) as journal: journal.add(line)`."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        cut_torn_line(path)
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._rows: list[str] = []
        self._synced = time.monotonic()
        self._syncing: asyncio.Future[None] | None = None
        self._failure: OSError | None = None

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def add(self, line: str) -> None:
        """Keep one row, given without its line end. Call it inside a running event loop.

        Raises:
            EvalError: rows before this one could not be written.
        """
        self._require_healthy()
        if not self._rows:
            asyncio.get_running_loop().call_soon(self._write)
        self._rows.append(line)

    def close(self) -> None:
        """Write and flush everything.

        Raises:
            EvalError: the disk did not take it.
        """
        if self._file < 0:
            return
        self._write()
        try:
            os.fsync(self._file)
        except OSError as error:
            self._failure = self._failure or error
        finally:
            os.close(self._file)
            self._file = -1
        self._require_healthy()

    def _write(self) -> None:
        if not self._rows or self._file < 0:
            return
        # Half a character, which JSON can escape and UTF-8 cannot hold, becomes a question mark.
        data = memoryview(("\n".join(self._rows) + "\n").encode(errors="replace"))
        self._rows.clear()
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:  # raised in a callback it would only be logged
            self._failure = error
        now = time.monotonic()
        if now - self._synced > SYNC_EVERY_S and (self._syncing is None or self._syncing.done()):
            self._synced = now
            loop = asyncio.get_running_loop()
            self._syncing = loop.run_in_executor(None, _sync, os.dup(self._file))

    def _require_healthy(self) -> None:
        if self._failure is not None:
            raise EvalError(
                f"{self._path}: cannot be written: {self._failure.strerror}",
                "make room, then give the same command again: answered requests are kept",
            )


def _sync(descriptor: int) -> None:
    """Flush to disk, in a thread; the copy of the descriptor outlives the journal."""
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def cut_torn_line(path: Path) -> None:
    """Cut what a kill left behind the last whole line, so that the next row begins on its own."""
    if not path.exists():
        return
    with open(path, "r+b") as stream:
        end = stream.seek(0, os.SEEK_END)
        keep = end
        while keep:
            start = max(0, keep - _BLOCK)
            stream.seek(start)
            at = stream.read(keep - start).rfind(b"\n")
            if at >= 0:
                keep = start + at + 1
                break
            keep = start
        if keep < end:
            stream.truncate(keep)


def read_rows(path: Path) -> Iterator[RawAttempt]:
    """The rows of a journal, one at a time.

    A line that cannot be read (a power cut may leave zeros in the middle) is passed over: its request is asked again.
    """
    if not path.exists():
        return
    cut_torn_line(path)
    with open(path, "rb") as stream:
        for line in stream:
            try:
                yield RawAttempt.model_validate_json(line)
            except ValidationError:
                continue


def load_attempts(path: Path) -> dict[str, RawAttempt]:
    """Attempts by key, the last of each."""
    return {attempt.key: attempt for attempt in read_rows(path)}


def finished_keys(path: Path) -> set[bytes]:
    """The keys, shortened by `short_key`, of requests that were answered; those that ended in an error were not."""
    return {short_key(attempt.key) for attempt in read_rows(path) if attempt.error is None}


def short_key(key: str) -> bytes:
    """Half of a key, in bytes: a set of 200,000 takes 20 MB instead of 40."""
    return bytes.fromhex(key[: 2 * _KEY_BYTES])
