"""First phases of the chain: the rows that dialogues are joined with, validated and findable by key.

Events, outcomes and customers of any format become JSON Lines in the workspace, with a table of keys beside them, so
that a shard of dialogues finds its rows without any shard reading all of them.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ValidationError

from data_recipes.cleaning.lookup import Lookup, key_hashes, merge_places, save_places
from data_recipes.cleaning.plan import JOINED, Plan
from data_recipes.cleaning.workspace import Workspace
from data_recipes.errors import DataError
from data_recipes.readers.shards import LineBlock, Row, Shard, line_blocks, parse_row, read_shard
from tianjing.files import SKIP_HINT, validate_row
from tianjing.records import Customer, Dialogue, Event, Outcome

INGEST, INDEX = "ingest", "index"
ROWS, REJECTED = "rows.jsonl", "rejected.jsonl"
MODELS: dict[str, type[BaseModel]] = {"events": Event, "outcomes": Outcome, "customers": Customer}
_ROWS_AT_ONCE = 1024


class Checked(NamedTuple):
    """Some rows of a shard: the valid ones, where each dialogue stands, the others as they were with the reason."""

    records: list[Any]
    places: list[dict[str, Any]]
    rejected: list[dict[str, Any]]


def ingest(work: Workspace, index: int, folder: Path) -> None:
    """One shard of events, outcomes or customers: valid rows, and what was wrong with the others."""
    plan = Plan.of(work)
    name, shard = plan.joined[index]
    model = MODELS[name]
    to_json = model.__pydantic_serializer__.to_json
    of_key = attrgetter(JOINED[name])
    keys: list[str] = []
    sizes: list[int] = []
    with (
        without_collector(),
        open(folder / ROWS, "wb") as rows,
        open(folder / REJECTED, "w", encoding="utf-8") as rejected,
    ):
        for checked in validated(plan, shard, model):
            rejected.writelines(json.dumps(reject, ensure_ascii=False) + "\n" for reject in checked.rejected)
            lines = [to_json(record, exclude_none=True) + b"\n" for record in checked.records]
            rows.writelines(lines)
            sizes += map(len, lines)
            keys += map(of_key, checked.records)
    save_places(folder, key_hashes(keys), np.array(sizes, dtype=np.uint64))


def validated(plan: Plan, shard: Shard, model: type[BaseModel]) -> Iterator[Checked]:
    """The rows of a shard, a few hundred to a few thousand at a time.

    Raises:
        DataError: a row is bad and the plan is to stop at one.
    """
    limit = plan.max_line_bytes
    if shard.format != "jsonl":
        rows = read_shard(shard, model is Dialogue, limit)
        while block := list(islice(rows, _ROWS_AT_ONCE)):
            checked = Checked([], [], [])
            for row in block:
                _check(row, plan, shard, model, checked)
            yield checked
        return
    for lines in line_blocks(shard, limit):
        yield _validated_lines(lines, plan, shard, model)


def _validated_lines(lines: LineBlock, plan: Plan, shard: Shard, model: type[BaseModel]) -> Checked:
    """Rows validated as they are read, where that is sure to give what parsing them first gives.

    The others (faulty, blank, with a byte order mark, in another encoding) are parsed first.
    """
    sure = shard.encoding == "utf-8" and not lines.length
    if sure:
        sure = not any(b"NaN" in line or b"Infinity" in line for line in lines.lines)
    at_once = model.__pydantic_validator__.validate_json
    checked = Checked([], [], [])
    records, places, _ = checked
    marks = list(lines) if model is Dialogue else []
    for place, data in enumerate(lines.lines):
        if sure:
            try:
                records.append(at_once(data))
            except ValidationError:
                pass
            else:
                if model is Dialogue:
                    number, offset, _, length = marks[place]
                    places.append({"file": shard.name, "line": number, "offset": offset, "bytes": length})
                continue
        marks = marks or list(lines)
        row = parse_row(marks[place], shard, plan.max_line_bytes)
        if row is not None:
            _check(row, plan, shard, model, checked)
    return checked


def _check(row: Row, plan: Plan, shard: Shard, model: type[BaseModel], checked: Checked) -> None:
    where = {"file": shard.name, "line": row.line, "offset": row.offset, "bytes": row.bytes}
    error = row.error
    if not error:
        try:
            checked.records.append(validate_row(row.value, model))
            checked.places.append(where)
            return
        except ValueError as problem:
            error = str(problem)
    if plan.on_error == "stop":
        raise DataError(f"{shard.path}:{row.line}: {error}", SKIP_HINT)
    checked.rejected.append({**where, "error": error, "text": row.raw})


@contextmanager
def without_collector() -> Iterator[None]:
    """Records hold no cycles; looking for some among millions of objects took a tenth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


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
