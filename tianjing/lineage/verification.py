"""Recompute every digest of an artefact, and of the artefacts and raw files it was made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tianjing.files import sha256_file
from tianjing.lineage.errors import LineageError
from tianjing.lineage.manifest import (
    MANIFEST,
    InputRecord,
    artefact_digest,
    is_artefact,
    is_unchanged,
    read_manifest,
    walk,
)


@dataclass
class ChainReport:
    """What `verify_chain` found. Paths are as a person would type them."""

    differences: list[str] = field(default_factory=list)
    """Each one line; empty when everything matches."""
    absent: list[str] = field(default_factory=list)
    """Inputs that are not on this machine and so could not be checked."""
    artefacts: int = 0
    """Artefacts whose every file was read and compared."""


def locate(directory: Path, record: InputRecord) -> Path:
    """Where an input of the artefact in `directory` should stand."""
    return (Path(directory) / record.path).resolve()


def verify(directory: Path) -> list[str]:
    """Compare one artefact with its manifest: changed, missing and extra files, and the manifest's own digest.

    Returns:
        One line per difference; an empty list when all bytes are as they were written.

    Raises:
        LineageError: there is no readable manifest.
    """
    directory = Path(directory)
    manifest = read_manifest(directory)
    differences = []
    if not is_unchanged(manifest):
        differences.append(f"{directory / MANIFEST}: changed: its digest or its seal does not match its content")
    recorded = {record.path: record for record in manifest.files}
    present = set(walk(directory)) - {MANIFEST}
    for name, record in recorded.items():
        path = directory / name
        if name not in present:
            differences.append(f"{path}: missing")
        elif (size := path.stat().st_size) != record.bytes:
            differences.append(f"{path}: changed: {size} bytes, recorded {record.bytes}")
        elif (digest := sha256_file(path)) != record.sha256:
            differences.append(f"{path}: changed: sha256 {digest[:16]}…, recorded {record.sha256[:16]}…")
    differences.extend(f"{directory / name}: extra: not in the manifest" for name in sorted(present - recorded.keys()))
    return differences


def verify_chain(directory: Path, on_progress: Callable[[str], None] | None = None) -> ChainReport:
    """`verify` this artefact and everything it was made from, as far as it is on this machine.

    Args:
        on_progress: called with the path that is being read.

    Raises:
        LineageError: `directory` itself has no readable manifest.
    """
    report = ChainReport()
    seen: set[Path] = set()

    def visit(current: Path) -> None:
        seen.add(current.resolve())
        if on_progress:
            on_progress(str(current))
        report.differences.extend(verify(current))
        report.artefacts += 1
        for record in read_manifest(current).inputs:
            source = locate(current, record)
            if not source.exists():
                report.absent.append(f"{source}: input of {current}")
                continue
            if on_progress:
                on_progress(str(source))
            try:
                digest = artefact_digest(source)
                if digest != record.sha256:
                    report.differences.append(
                        f"{source}: is not what {current} was made from: "
                        f"digest {digest[:16]}…, recorded {record.sha256[:16]}…"
                    )
                if source not in seen and is_artefact(source):
                    visit(source)
            except LineageError as error:
                report.differences.append(error.message)

    visit(Path(directory))
    return report
