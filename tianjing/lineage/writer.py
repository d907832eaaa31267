"""Write an artefact whole or not at all: a temporary sibling, flushed to disk, renamed into place."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tianjing.files import atomic_write
from tianjing.lineage.environment import compute, versions
from tianjing.lineage.errors import LineageError
from tianjing.lineage.manifest import (
    MANIFEST,
    SCHEMA_VERSION,
    InputRecord,
    Manifest,
    artefact_digest,
    content_digest,
    is_artefact,
    measure,
    read_manifest,
    walk,
)


class Work:
    """The artefact being written: a folder to fill, and the counts that go into its manifest."""

    def __init__(self, directory: Path, parameters: dict[str, Any]):
        self.dir = directory
        self.parameters = parameters
        self.counts: dict[str, int | dict[str, int]] = {}
        self._dropped: dict[str, int] = {}

    def count(self, name: str, n: int = 1) -> None:
        """Add `n` to the count `name`, e.g. `read` or `kept`."""
        before = self.counts.get(name, 0)
        if isinstance(before, dict):
            raise ValueError(f"'{name}' is counted by reason: use drop()")
        self.counts[name] = before + n

    def drop(self, reason: str, n: int = 1) -> None:
        """Add `n` to the rows dropped for `reason`."""
        self._dropped[reason] = self._dropped.get(reason, 0) + n
        self.counts["dropped"] = self._dropped


@contextlib.contextmanager
def artefact(
    path: Path, kind: str, inputs: Sequence[Path] = (), parameters: dict[str, Any] | None = None
) -> Iterator[Work]:
    """Fill `work.dir`; on success it becomes `path` with a manifest, on any exception nothing is left.

    Inputs are digested on entry. An artefact of the same kind that stands at `path` is replaced at the end, and stays
    until then. What a killed process left beside `path` is cleared first.

    Raises:
        LineageError: an input is missing; `path` holds something this did not write; another process is writing it;
            the disk is full or may not be written to.
    """
    target = Path(os.path.abspath(path))
    _check_target(target, kind, inputs)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    records = tuple(InputRecord(path=_relative(source, target), sha256=artefact_digest(source)) for source in inputs)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.parent):
            _clear_leftovers(target)
            temporary.mkdir()
            claim = _claim(temporary)
    except OSError as error:
        raise _explained(error, target) from error
    try:
        work = Work(temporary, dict(parameters or {}))
        yield work
        _finish(work, kind, records)
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


def _finish(work: Work, kind: str, inputs: tuple[InputRecord, ...]) -> None:
    files = tuple(measure(work.dir, name) for name in walk(work.dir) if name != MANIFEST)
    manifest = Manifest(
        kind=kind,
        schema_version=SCHEMA_VERSION,
        created=datetime.now(UTC).replace(microsecond=0),
        digest=content_digest(kind, SCHEMA_VERSION, work.parameters, inputs, files),
        inputs=inputs,
        files=files,
        parameters=work.parameters,
        counts=work.counts,
        versions=versions(),
        compute=compute(),
    )
    for record in files:
        _flush(work.dir / record.path)
    atomic_write(work.dir / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    for folder, _, _ in os.walk(work.dir):
        _flush(Path(folder))


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
    _flush(target.parent)
    return old


def _check_target(target: Path, kind: str, inputs: Sequence[Path]) -> None:
    """Refuse to overwrite what is not ours to overwrite: a user's folder, another kind, or an input."""
    for source in inputs:
        if Path(os.path.abspath(source)).is_relative_to(target):
            raise LineageError(f"{target}: is also the input of this stage", "give --out another folder")
    if not target.exists():
        return
    if not target.is_dir():
        raise LineageError(f"{target}: is a file; a folder is to be written here", "give --out another name")
    if not is_artefact(target):
        if any(target.iterdir()):
            raise LineageError(
                f"{target}: holds files but no {MANIFEST}, so it was not written by a stage and is not replaced",
                "give --out another folder, or move this one away",
            )
        return
    try:
        found = read_manifest(target).kind
    except LineageError:
        return  # a broken manifest is no reason to keep the artefact
    if found != kind:
        raise LineageError(f"{target}: holds an artefact of kind '{found}', not '{kind}'", "give --out another folder")


def _relative(source: Path, target: Path) -> str:
    source = Path(os.path.abspath(source))
    shared = os.path.commonpath([source, target])
    return os.path.relpath(source, target) if shared != os.path.sep else str(source)


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


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
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
