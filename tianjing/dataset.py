"""Instruction datasets on disk: one Parquet file per split, loadable by `datasets.load_dataset`.

Preference pairs stand beside them in files of their own (configuration `preferences`), since a trainer of either kind
reads every row of its files.

`fields` and `reference` are JSON strings in the file, so that every task shares one schema.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from tianjing.errors import TianjingError
from tianjing.files import canonical_json, validate_row
from tianjing.records import Example, Preference, Split

SPLITS: tuple[Split, ...] = get_args(Split)

_BATCH_ROWS = 1024
_STRINGS = pa.list_(pa.string())
_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("task", pa.string()),
        ("group", pa.string()),
        ("split", pa.string()),
        ("messages", _MESSAGES),
        ("weight", pa.float64()),
        ("fields", pa.string()),
        ("reference", pa.string()),
        ("surface", pa.string()),
        ("sources", _STRINGS),
        ("clause_ids", _STRINGS),
        ("practice_ids", _STRINGS),
        ("licence", pa.string()),
        ("source", pa.string()),
        ("origin", pa.string()),
        ("tokens", pa.struct([("prompt", pa.int32()), ("answer", pa.int32())])),
    ]
)

_PREFERENCES = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "task", "group", "split")),
        *((name, _MESSAGES) for name in ("prompt", "chosen", "rejected")),
        ("weight", pa.float64()),
        ("why", pa.string()),
        *((n, _STRINGS) for n in ("rules", "sources", "rejected_sources", "practice_ids", "rejected_practice_ids")),
        *((name, pa.string()) for name in ("licence", "source")),
    ]
)
Row = TypeVar("Row", bound=BaseModel)


def preference_file(split: Split) -> str:
    """Name of the file of a split's preference pairs."""
    return f"preferences-{split}.parquet"


def write_preferences(path: Path, rows: Sequence[Preference]) -> None:
    """Write pairs in the order given; the same pairs give the same bytes."""
    columns = [row.model_dump(mode="json") for row in rows]
    pq.write_table(pa.Table.from_pylist(columns, schema=_PREFERENCES), path, compression="zstd")


def read_preferences(path: Path) -> list[Preference]:
    """Read the preference pairs of one split.

    Raises:
        TianjingError: the file is missing or is not such a dataset, naming the row and field.
    """
    return [_record(path, number, row, Preference) for number, row in _rows(path)]


def write_examples(path: Path, rows: Sequence[Example]) -> None:
    """Write rows in the order given; the same rows give the same bytes."""
    columns = [row.model_dump(mode="json") for row in rows]
    for column in columns:
        column["fields"] = canonical_json(column["fields"])
        column["reference"] = canonical_json(column["reference"])
    pq.write_table(pa.Table.from_pylist(columns, schema=_SCHEMA), path, compression="zstd")


def read_examples(path: Path) -> list[Example]:
    """Read one split.

    Raises:
        TianjingError: the file is missing or is not such a dataset, naming the row and field.
    """
    return list(stream_examples(path))


def stream_examples(path: Path) -> Iterator[Example]:
    """Read one split row by row, in the memory of a batch; raises as `read_examples` does."""
    for number, row in _rows(path):
        yield _example(path, number, row)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    if not path.is_file():
        raise TianjingError(
            f"{path}: no such dataset split", "build the dataset first: tianjing data build KNOWLEDGE --out DATASET"
        )
    try:
        with pq.ParquetFile(path) as file:
            rows = (row for batch in file.iter_batches(_BATCH_ROWS) for row in batch.to_pylist())
            yield from enumerate(rows, start=1)
    except pa.ArrowInvalid as error:
        raise TianjingError(f"{path}: not a Parquet file: {error}", "build the dataset again") from None


def _example(path: Path, number: int, row: dict[str, Any]) -> Example:
    try:
        for name in ("fields", "reference"):
            row[name] = json.loads(row[name])
    except (KeyError, ValueError) as error:
        raise TianjingError(f"{path}: row {number}: {error}", "rebuild the dataset with this version") from None
    return _record(path, number, row, Example)


def _record(path: Path, number: int, row: dict[str, Any], model: type[Row]) -> Row:
    try:
        return validate_row(row, model)
    except ValueError as error:
        raise TianjingError(f"{path}: row {number}: {error}", "rebuild the dataset with this version") from None
