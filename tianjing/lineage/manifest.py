"""The manifest of an artefact, and the digest that names its content.

`digest` covers kind, schema version, parameters, input digests and file digests; it holds no time, no place and
no machine, so two runs that did the same work on the same inputs have the same digest.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, Field

from tianjing.config import StrictModel
from tianjing.errors import TianjingError
from tianjing.files import canonical_json, sha256_bytes, sha256_file, validate_row
from tianjing.lineage.environment import Compute
from tianjing.lineage.errors import LineageError

MANIFEST = "manifest.json"
SCHEMA_VERSION = 1
_CHUNK_BYTES = 1 << 20
SHA256_PATTERN = r"^[0-9a-f]{64}$"


class InputRecord(StrictModel):
    """What was read: a file or a folder, by digest."""

    path: str
    """Relative to the artefact's folder where the two share a parent below the root, else absolute."""
    sha256: str = Field(pattern=SHA256_PATTERN)
    """What `artefact_digest` gave before the stage read it."""


class FileRecord(StrictModel):
    """What was written: one file of the artefact."""

    path: str
    """Relative to the artefact's folder, with forward slashes."""
    sha256: str = Field(pattern=SHA256_PATTERN)
    """Of the file's bytes."""
    bytes: int
    """Size in bytes."""
    rows: int | None = None
    """Lines of a .jsonl file, rows of a .parquet file, else null."""


class Manifest(StrictModel):
    """What an artefact is, what it was made from, with what, and on what."""

    kind: str
    """knowledge, dataset, adapter, merged, evals, model, …"""
    schema_version: int
    """Version of this layout; a reader refuses one it does not know."""
    created: AwareDatetime
    """When the artefact was finished. Not part of the digest."""
    digest: str = Field(pattern=SHA256_PATTERN)
    """`content_digest` of this manifest: the artefact's name in every later stage."""
    inputs: tuple[InputRecord, ...] = ()
    files: tuple[FileRecord, ...] = ()
    parameters: dict[str, Any] = Field(default_factory=dict)
    """What changes the result: the stage's configuration. No machine paths, or the digest depends on the place."""
    counts: dict[str, int | dict[str, int]] = Field(default_factory=dict)
    """Rows read, kept, and dropped by reason."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Of tianjing, its commit and the main libraries that are installed."""
    compute: Compute
    """The machine it was made on."""
    seal: str = Field(pattern=SHA256_PATTERN)
    """`seal_of` this manifest: covers what `digest` leaves out (times, counts, versions, machine)."""


def content_digest(
    kind: str,
    schema_version: int,
    parameters: dict[str, Any],
    inputs: Sequence[InputRecord],
    files: Sequence[FileRecord],
) -> str:
    """SHA-256 of the canonical JSON of what was done, from what, to what result."""
    body = {
        "kind": kind,
        "schema_version": schema_version,
        "parameters": parameters,
        "inputs": [record.sha256 for record in inputs],
        "files": [[record.path, record.sha256] for record in files],
    }
    return sha256_bytes(canonical_json(body).encode())


def seal_of(manifest: Manifest) -> str:
    """SHA-256 of the canonical JSON of every field but `seal`."""
    return sha256_bytes(canonical_json(manifest.model_dump(mode="json", exclude={"seal"})).encode())


def is_unchanged(manifest: Manifest) -> bool:
    """Whether the manifest is as it was written, by its digest and its seal."""
    digest = content_digest(
        manifest.kind, manifest.schema_version, manifest.parameters, manifest.inputs, manifest.files
    )
    return digest == manifest.digest and seal_of(manifest) == manifest.seal


def is_artefact(path: Path) -> bool:
    """Whether `path` is a folder with one of our manifests (models and corpora have files of that name too)."""
    try:
        value = json.loads((Path(path) / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(value, dict) and {"kind", "digest", "schema_version"} <= value.keys()


def read_manifest(directory: Path) -> Manifest:
    """Read an artefact's manifest.

    Raises:
        LineageError: there is none, it is not valid, or its schema version is not known here.
    """
    path = Path(directory) / MANIFEST
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise LineageError(
            f"{directory}: no {MANIFEST}, so this is no finished artefact",
            "give the folder that a stage wrote; a stage that was stopped is finished by the same command again",
        ) from None
    except (OSError, ValueError) as error:
        raise LineageError(f"{path}: cannot be read: {error}", "run the stage that wrote it again") from None
    version = value.get("schema_version") if isinstance(value, dict) else None
    if isinstance(version, int) and version != SCHEMA_VERSION:
        raise LineageError(
            f"{path}: schema version {version}; this version of tianjing reads {SCHEMA_VERSION}",
            "use the version of tianjing named under 'versions', or run the stage again",
        )
    try:
        return validate_row(value, Manifest)
    except ValueError as error:
        raise LineageError(f"{path}: not a valid manifest: {error}", "run the stage that wrote it again") from None


def artefact_digest(path: Path) -> str:
    """The digest that names `path` in a manifest, as 64 hex digits.

    An artefact gives its manifest's digest (the files are not read: `verify` does that); a plain file, the SHA-256
    of its bytes; a plain folder, a digest over its files' relative paths and SHA-256 in sorted order. Hidden files
    of a plain folder are left out: editors and download clients keep changing notes there. Links are followed, as who
    reads the folder follows them.

    Raises:
        LineageError: nothing is there, or the manifest contradicts its own digest.
    """
    path = Path(path)
    if not path.exists():
        raise LineageError(f"{path}: no such file or folder", "check the path, or run the stage that writes it")
    try:
        if path.is_file():
            return sha256_file(path)
        if is_artefact(path):
            manifest = read_manifest(path)
            if not is_unchanged(manifest):
                raise LineageError(
                    f"{path / MANIFEST}: was changed after it was written (its digest or its seal does not match)",
                    "run the stage that wrote it again",
                )
            return manifest.digest
        names = walk(path, through_links=True)
        listing = [[name, sha256_file(path / name)] for name in names if not _hidden(name)]
    except TianjingError:
        raise
    except OSError as error:
        raise LineageError(f"{path}: cannot be read: {error}", "check its permissions") from None
    return sha256_bytes(canonical_json(listing).encode())


def measure(root: Path, name: str) -> FileRecord:
    """Digest, size and rows of one file, in one pass over its bytes."""
    path = root / name
    rows: int | None = None
    if path.suffix == ".jsonl":
        digest, rows = _hash_lines(path)
    else:
        digest = sha256_file(path)
        if path.suffix == ".parquet":
            import pyarrow.parquet

            rows = pyarrow.parquet.read_metadata(path).num_rows
    return FileRecord(path=name, sha256=digest, bytes=path.stat().st_size, rows=rows)


def all_there(directory: Path) -> bool:
    """Whether `directory` is an artefact with every recorded file at its size; no file is read, as `verify` does."""
    try:
        records = read_manifest(directory).files
        return all((Path(directory) / record.path).stat().st_size == record.bytes for record in records)
    except (LineageError, OSError):
        return False


def walk(root: Path, through_links: bool = False) -> list[str]:
    """Relative names of all files below `root`, sorted; links to files count as files.

    Args:
        through_links: go on into linked folders too. Otherwise such a link is named itself, as something that an
            artefact does not hold: it leads out of it.
    """
    return sorted(_walk(root, "", (), through_links))


def _walk(root: Path, prefix: str, above: tuple[tuple[int, int], ...], through_links: bool) -> Iterator[str]:
    """Args: above: device and inode of the folders on the way here; a link back to one of them is a circle."""
    place = os.stat(root / prefix)
    if (place.st_dev, place.st_ino) in above:
        return
    above = (*above, (place.st_dev, place.st_ino))
    with os.scandir(root / prefix) as entries:
        for entry in entries:
            name = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=through_links):
                yield from _walk(root, f"{name}/", above, through_links)
            elif entry.is_file() or entry.is_dir():
                yield name


def _hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _hash_lines(path: Path) -> tuple[str, int]:
    digest, rows, last = hashlib.sha256(), 0, b""
    with open(path, "rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
            rows += chunk.count(b"\n")
            last = chunk[-1:]
    return digest.hexdigest(), rows + (last not in (b"", b"\n"))
