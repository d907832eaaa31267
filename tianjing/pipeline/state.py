"""What has been done: one small file a stage, so that a finished stage is skipped and a changed one is not."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from tianjing.config import StrictModel
from tianjing.errors import TianjingError
from tianjing.files import atomic_write, canonical_json, sha256_bytes, sha256_file
from tianjing.lineage import all_there, artefact_digest, is_artefact
from tianjing.locks import sole_writer
from tianjing.pipeline.stages import Stage

_SHIPPED = frozenset((".py", ".j2", ".jinja", ".txt", ".yaml", ".md"))
_NOT_IN_STAGES = frozenset(("pipeline", "simulation"))


class Finished(StrictModel):
    """A finished stage: what it was made from (`key`), what it made, and what it took."""

    key: str
    digest: str
    seconds: float
    peak_memory_gib: float


def stage_key(stage: Stage) -> str:
    """Digest of inputs, settings, options and the code that the stage runs."""
    paths = {str(path) for path in (*stage.inputs, stage.output)}
    # Folders may move; what is in them is digested, so their paths are left out.
    options = [argument for argument in stage.arguments if argument not in paths]
    parts = {
        "arguments": options,
        "settings": stage.settings,
        "inputs": [artefact_digest(path) for path in stage.inputs],
        "code": [code_digest(package) for package in ("tianjing", stage.package, *stage.also)],
    }
    return sha256_bytes(canonical_json(parts).encode())


@cache
def code_digest(package: str) -> str:
    """Digest of what a package runs and ships: code, templates, word lists, rule packs.

    The pipeline itself and the simulation are left out: no stage's output depends on them but of one that names them.
    """
    spec = find_spec(package)
    assert spec is not None and spec.submodule_search_locations
    return _folder_digest(Path(next(iter(spec.submodule_search_locations))))


def _folder_digest(root: Path) -> str:
    files = [path.relative_to(root) for path in sorted(root.rglob("*")) if path.suffix in _SHIPPED]
    taken = [path for path in files if path.parts[0] not in _NOT_IN_STAGES]
    return sha256_bytes("".join(f"{path} {sha256_file(root / path)}\n" for path in taken).encode())


def read_finished(out: Path, stage: Stage) -> Finished | None:
    """The record of a finished stage, when its output still stands as it was made.

    Of its files the sizes are compared: to read them all would cost every start the time that skipping saves.
    """
    path = _record(out, stage)
    try:
        record = Finished.model_validate(json.loads(path.read_text(encoding="utf-8")))
        whole = all_there(stage.output) or not is_artefact(stage.output)
        return record if whole and artefact_digest(stage.output) == record.digest else None
    except (OSError, ValueError, TianjingError):
        return None


def write_finished(out: Path, stage: Stage, record: Finished) -> None:
    """Keep the record of a finished stage in the output folder."""
    atomic_write(_record(out, stage), record.model_dump_json(indent=2))


def _record(out: Path, stage: Stage) -> Path:
    return out / ".state" / f"{stage.name}.json"


def locked(out: Path) -> AbstractContextManager[None]:
    """One run at a time in an output folder.

    Raises:
        TianjingError: another process runs there; names its process id.
    """
    return sole_writer(out, out / ".state" / "lock")
