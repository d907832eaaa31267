"""Write an artefact: a folder and its manifest, whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tianjing.files import atomic_write, require_above
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
    seal_of,
    walk,
)
from tianjing.lineage.staging import staged


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
    path: Path,
    kind: str,
    inputs: Sequence[Path] = (),
    parameters: dict[str, Any] | None = None,
    digests: Sequence[str] | None = None,
) -> Iterator[Work]:
    """Fill `work.dir`; on success it becomes `path` with a manifest, on any exception nothing is left.

    An artefact of the same kind that stands at `path` is replaced at the end, and stays until then. What a killed
    process left beside `path` is cleared first.

    Args:
        digests: `artefact_digest` of each input, for a stage that reads them before it comes here. None takes them on
            entry.

    Raises:
        LineageError: an input is missing; `path` holds something this did not write; another process is writing it;
            the disk is full or may not be written to.
    """
    target = Path(os.path.abspath(path))
    check_target(target, kind, inputs)
    if digests is None:
        digests = [artefact_digest(source) for source in inputs]
    records = tuple(
        InputRecord(path=_relative(source, target), sha256=digest)
        for source, digest in zip(inputs, digests, strict=True)
    )
    with staged(target) as folder:
        work = Work(folder, dict(parameters or {}))
        yield work
        _finish(work, kind, records)


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
        seal="0" * 64,
    )
    manifest = manifest.model_copy(update={"seal": seal_of(manifest)})
    atomic_write(work.dir / MANIFEST, manifest.model_dump_json(indent=2) + "\n")


def check_target(path: Path, kind: str, inputs: Sequence[Path] = ()) -> None:
    """Whether `artefact` may write to `path`; for a stage that works for long before it comes to that.

    Raises:
        LineageError: `path` holds what is not ours to overwrite: a user's folder, another kind, or an input.
        TianjingError: `path` lies beneath a file.
    """
    target = Path(os.path.abspath(path))
    require_above(target)
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
