"""First phases of the chain: the rows that dialogues are joined with, validated and findable by key.

Events, outcomes and customers of any format become JSON Lines in the workspace, with a table of keys beside them, so
that a shard of dialogues finds its rows without any shard reading all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from data_recipes.cleaning.lookup import Lookup, key_hash, merge_places, save_places
from data_recipes.cleaning.plan import JOINED, Plan
from data_recipes.cleaning.workspace import Workspace
from data_recipes.errors import DataError
from data_recipes.readers.raw import SKIP_HINT
from data_recipes.readers.shards import Shard, read_shard
from tianjing.files import validate_row
from tianjing.records import Customer, Dialogue, Event, Outcome

INGEST, INDEX = "ingest", "index"
ROWS, REJECTED = "rows.jsonl", "rejected.jsonl"
MODELS: dict[str, type[BaseModel]] = {"events": Event, "outcomes": Outcome, "customers": Customer}


def ingest(work: Workspace, index: int, folder: Path) -> None:
    """One shard of events, outcomes or customers: valid rows, and what was wrong with the others."""
    plan = Plan.of(work)
    name, shard = plan.joined[index]
    key = JOINED[name]
    keys: list[int] = []
    places: list[tuple[int, int]] = []
    offset = 0
    with open(folder / ROWS, "wb") as rows, open(folder / REJECTED, "w", encoding="utf-8") as rejected:
        for record, reject in validated(plan, shard, MODELS[name]):
            if record is None:
                rejected.write(json.dumps(reject, ensure_ascii=False) + "\n")
                continue
            line = record.model_dump_json(exclude_none=True).encode() + b"\n"
            rows.write(line)
            keys.append(key_hash(getattr(record, key)))
            places.append((offset, len(line)))
            offset += len(line)
    save_places(folder, keys, places)


def validated(plan: Plan, shard: Shard, model: type[BaseModel]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """(record, where it stands), or (None, the row as it was with what is wrong with it).

    Raises:
        DataError: a row is bad and the plan is to stop at one.
    """
    for row in read_shard(shard, model is Dialogue, plan.max_line_bytes):
        where = {"file": shard.name, "line": row.line, "offset": row.offset, "bytes": row.bytes}
        error = row.error
        if not error:
            try:
                yield validate_row(row.value, model), where
                continue
            except ValueError as problem:
                error = str(problem)
        if plan.on_error == "stop":
            raise DataError(f"{shard.path}:{row.line}: {error}", SKIP_HINT)
        yield None, {**where, "error": error, "text": row.raw}


def index(work: Workspace, index: int, folder: Path) -> None:
    """The table of keys of one kind of rows."""
    name = sorted(JOINED)[index]
    merge_places(_parts(work, name), folder)


def lookup(work: Workspace, name: str) -> Lookup:
    """Rows of `name` by key, once they are indexed."""
    parts = _parts(work, name)
    return Lookup(work.folder(INDEX, sorted(JOINED).index(name)), [part / ROWS for part in parts], JOINED[name])


def _parts(work: Workspace, name: str) -> list[Path]:
    return [work.folder(INGEST, number) for number, (kind, _) in enumerate(Plan.of(work).joined) if kind == name]
