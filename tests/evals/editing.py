"""Edits of an evaluation on disk, and how somebody who knows the format hides them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tianjing.lineage import read_manifest, verify
from tianjing.lineage.manifest import MANIFEST, content_digest, measure, seal_of

Json = dict[str, Any]


def rewrite(path: Path, change: Callable[[Json], Json | None]) -> None:
    """Change every row of a JSONL file; None leaves it out."""
    rows = (change(json.loads(line)) for line in path.read_text().splitlines())
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows if row is not None))


def forge(directory: Path) -> None:
    """Make the manifest fit the files again, as somebody who knows the format would."""
    manifest = read_manifest(directory)
    files = tuple(measure(directory, record.path) for record in manifest.files)
    digest = content_digest(manifest.kind, manifest.schema_version, manifest.parameters, manifest.inputs, files)
    forged = manifest.model_copy(update={"files": files, "digest": digest})
    forged = forged.model_copy(update={"seal": seal_of(forged)})
    (directory / MANIFEST).write_text(forged.model_dump_json(indent=2) + "\n")
    assert verify(directory) == []
