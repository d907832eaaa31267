"""The folder of one instance: numbered segments, the lock of its writer, and what retention has removed."""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.audit.checkpoint import REMOVED_KIND
from serving.errors import ServeError
from tianjing.errors import EXIT_STAGE_FAILED

LOCK_FILE = "writer.lock"
REMOVED_FILE = "removed.json"
# No record is longer; a line that is was not written by the account.
MAX_LINE_BYTES = 16 << 20
_NAME = re.compile(r"(\d{8})\.jsonl")
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Segment:
    """One file; the first of an instance has number 1."""

    number: int
    path: Path


def segment_path(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}.jsonl"


def segments(folder: Path) -> list[Segment]:
    """The segment files of an instance's folder, in order."""
    found = [(match, entry) for entry in folder.iterdir() if (match := _NAME.fullmatch(entry.name))]
    return sorted((Segment(int(match[1]), entry) for match, entry in found), key=lambda segment: segment.number)


def instances(folder: Path) -> list[Path]:
    """The folders of instances below `folder`, or itself when it is one.

    Raises:
        ServeError: there is no account in it.
    """
    if not folder.is_dir():
        raise ServeError(f"{folder}: no such folder", "give the folder of the account, `audit` in the state folder")
    if _is_instance(folder):
        return [folder]
    found = sorted(entry for entry in folder.iterdir() if entry.is_dir() and _is_instance(entry))
    if not found:
        raise ServeError(f"{folder}: holds no account", "give the folder of the account, `audit` in the state folder")
    return found


def read_removed(folder: Path) -> dict[str, Any] | None:
    """What retention has removed, as signed; None when nothing was.

    Raises:
        ServeError: the file is not JSON.
    """
    path = folder / REMOVED_FILE
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ServeError(f"{path}: cannot be read: {error}", "restore it from a backup") from None
    if not isinstance(value, dict) or value.get("statement") != REMOVED_KIND:
        raise ServeError(f"{path}: not a statement about removed segments", "restore it from a backup")
    return value


def lines(path: Path, end: int | None = None, start: int = 0) -> Iterator[bytes]:
    """The lines between two offsets of a file, each with its newline; the last may lack it."""
    with open(path, "rb") as stream:
        stream.seek(start)
        left = (os.fstat(stream.fileno()).st_size if end is None else end) - start
        rest = b""
        while left > 0 and (block := stream.read(min(_BLOCK_BYTES, left))):
            left -= len(block)
            *whole, rest = (rest + block).split(b"\n")
            for line in whole:
                yield line + b"\n"
            if len(rest) > MAX_LINE_BYTES:
                break
        if rest:
            yield rest


class WriterLock:
    """One process writes an instance; the lock goes with the process, however it ends."""

    def __init__(self, folder: Path):
        self._path = folder / LOCK_FILE
        self._descriptor: int | None = None

    def take(self) -> None:
        """Raises ServeError when another process has it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode("ascii", errors="replace").strip()
            os.close(descriptor)
            raise ServeError(
                f"{self._path.parent}: another process ({holder or 'unknown'}) writes this account",
                "give each gateway an `instance` of its own, or stop the other one",
                exit_code=EXIT_STAGE_FAILED,
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_written(folder: Path) -> bool:
    """Whether a process writes this instance now."""
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _is_instance(folder: Path) -> bool:
    return any(_NAME.fullmatch(entry.name) or entry.name in (LOCK_FILE, REMOVED_FILE) for entry in folder.iterdir())
