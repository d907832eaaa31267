"""A folder written whole or not at all: a temporary sibling, flushed to disk, renamed into place."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from tianjing.files import flush, flush_folder, require_above
from tianjing.lineage.errors import LineageError


@contextlib.contextmanager
def staged(path: Path) -> Iterator[Path]:
    """Fill the yielded folder; on success it becomes `path`, on any exception nothing is left.

    A folder that stands at `path` is replaced at the end, and stays until then; whether it may be is for the caller
    to check. What a killed process left beside `path` is cleared first.

    Raises:
        LineageError: another process is writing it; the disk is full or may not be written to.
        TianjingError: it lies beneath a file.
    """
    target = Path(os.path.abspath(path))
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    require_above(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.parent):
            _clear_leftovers(target)
            temporary.mkdir()
            claim = _claim(temporary)
    except OSError as error:
        raise _explained(error, target) from error
    try:
        yield temporary
        flush_folder(temporary)
        with _locked(target.parent):
            old = _swap(temporary, target)
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)  # what stays behind is cleared by the next writer
    except Exception as error:
        if _is_disk_full(error) or (isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EROFS)):
            raise _explained(error, target) from error
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if claim is not None:
            os.close(claim)


def _swap(temporary: Path, target: Path) -> Path | None:
    """Put `temporary` in the place of `target`; returns where the old one now stands, to be deleted."""
    old = None
    if target.exists():
        old = target.with_name(f".{target.name}.{os.getpid()}.old")
        os.rename(target, old)
    try:
        os.rename(temporary, target)
    except OSError:
        if old is not None:
            os.rename(old, target)
        raise
    flush(target.parent)
    return old


def _clear_leftovers(target: Path) -> None:
    """Remove temporary siblings whose process is gone; put the old artefact back if its replacer died half-way."""
    pattern = re.compile(rf"\.{re.escape(target.name)}\.(\d+)\.(tmp|old)")
    for entry in sorted(target.parent.iterdir()):
        match = pattern.fullmatch(entry.name)
        if not match or not entry.is_dir():
            continue
        if match[2] == "old" and not target.exists():
            os.rename(entry, target)
            continue
        claim = _claim(entry)
        if claim is None:
            raise LineageError(
                f"{target}: process {match[1]} is writing it now",
                "wait for it to end, or stop it, then give the same command again",
            )
        shutil.rmtree(entry, ignore_errors=True)
        os.close(claim)


def _claim(folder: Path) -> int | None:
    """Lock a folder for as long as this process lives: file descriptor, or None if another process holds it.

    A lock says more than the process id in the name: ids start again in every container.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        pass  # a file system without locks: carry on as one process alone would
    return descriptor


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock for the few renames that must not interleave."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # as above
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_disk_full(error: BaseException | None) -> bool:
    """Also through the libraries that wrap or spell out the system's error (safetensors, pyarrow)."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if "No space left on device" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _explained(error: BaseException, target: Path) -> LineageError:
    if _is_disk_full(error):
        standing = next(folder for folder in target.parents if folder.exists())
        free_gib = shutil.disk_usage(standing).free / 2**30
        return LineageError(
            f"{target}: the disk is full ({free_gib:.1f} GiB left)",
            "free space or give --out a folder on another disk, then give the same command again; nothing was replaced",
        )
    return LineageError(f"{target}: cannot be written: {error}", "check its permissions, or give --out another folder")
