"""Parquet: records by row groups, with nested turns or one turn a row."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from data_recipes.errors import DataError
from data_recipes.readers.rows import HEAD_CHARS, Row, Shard, TableRow, dialogues, record, too_long

_BATCH_ROWS = 512


def plan_parquet(path: Path, name: str, shard_bytes: int) -> list[Shard]:
    """Shards of whole row groups; consecutive rows of one dialogue stay together.

    Raises:
        DataError: it is no Parquet file.
    """
    file = _open(path)
    groups = [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]
    of_turns = {"id", "speaker"} <= set(file.schema_arrow.names)
    shards: list[Shard] = []
    start = end = size = 0
    for index, group in enumerate(groups):
        end += group.num_rows
        size += group.total_byte_size
        last = index == len(groups) - 1
        if end > start and (last or (size >= shard_bytes and not (of_turns and _runs_on(file, index)))):
            shards.append(Shard(str(path), name, "parquet", start, end, start + 1))
            start, size = end, 0
    return shards


def read_parquet(shard: Shard, of_turns: bool, max_record_bytes: int) -> Iterator[Row]:
    """The records of a shard; with `of_turns` consecutive rows with one id are one dialogue."""
    file = _open(Path(shard.path))
    rows = _table_rows(file, shard, max_record_bytes)
    if of_turns and "turns" not in file.schema_arrow.names:
        yield from dialogues(rows, max_record_bytes)
    else:
        yield from map(record, rows)


def _open(path: Path) -> Any:
    import pyarrow
    import pyarrow.parquet

    try:
        return pyarrow.parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: cannot be read as Parquet: {reason}", "write the file again") from None


def _runs_on(file: Any, index: int) -> bool:
    """Whether the next row group opens with the dialogue that this one ends with."""
    following = index + 1
    while following < file.num_row_groups and not file.metadata.row_group(following).num_rows:
        following += 1
    if following == file.num_row_groups:
        return False
    last, first = (file.read_row_group(group, columns=["id"])["id"] for group in (index, following))
    return len(last) > 0 and last[-1].as_py() == first[0].as_py()


def _table_rows(file: Any, shard: Shard, max_record_bytes: int) -> Iterator[TableRow]:
    import pyarrow

    maps = {column.name for column in file.schema_arrow if pyarrow.types.is_map(column.type)}
    position = 0
    for index in range(file.num_row_groups):
        rows = file.metadata.row_group(index).num_rows
        begin, position = position, position + rows
        if not shard.start <= begin < shard.end:
            continue
        row = begin
        try:
            # Without pre-buffering a row group is read page by page, not whole.
            for batch in file.iter_batches(_BATCH_ROWS, row_groups=[index]):
                for value in batch.to_pylist():
                    cells = {
                        name: _plain(dict(cell) if name in maps and cell else cell) for name, cell in value.items()
                    }
                    yield _table_row(row, cells, max_record_bytes)
                    row += 1
        except (pyarrow.ArrowException, OSError) as error:
            reason = f"rows {row + 1} to {position} cannot be read: {str(error).splitlines()[0]}"
            yield TableRow(row + 1, row, position - row, "", {}, reason)


def _table_row(row: int, cells: dict[str, Any], limit: int) -> TableRow:
    cells = {name: cell for name, cell in cells.items() if cell is not None}
    raw = json.dumps(cells, ensure_ascii=False)
    if len(raw) > limit:
        return TableRow(row + 1, row, 1, raw[:HEAD_CHARS], cells, too_long(len(raw), limit))
    return TableRow(row + 1, row, 1, raw, cells)


def _plain(value: Any) -> Any:
    """A cell as JSON would say it; absent fields of a structure go."""
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items() if part is not None}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal | timedelta):
        return str(value)
    if isinstance(value, float) and math.isnan(value):
        return None  # pandas' missing number
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="backslashreplace")
    return value
