"""A raw record with its place in the source, and the part of a file that is read at once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from data_recipes.readers.encoding import Encoding, readable

NESTED_COLUMNS = frozenset({"attributes", "schedule", "arrears", "fields", "boxes", "turns"})
"""Columns of a table whose cells hold JSON."""
TURN_COLUMNS = ("speaker", "text", "at")
HEAD_CHARS = 1_000
"""Characters kept of a record that is too long to be read."""
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True)
class Shard:
    """A part of a source file that starts and ends between two records.

    `start` and `end` are byte offsets (jsonl, csv) or rows from 0 (parquet); `first_line` is the line (parquet: the
    row) of `start`, from 1; an operation log in XES is one shard. `header` holds the columns of a csv file.
    """

    path: str
    name: str
    format: Literal["jsonl", "csv", "parquet", "xes"]
    start: int
    end: int
    first_line: int
    encoding: Encoding = "utf-8"
    header: tuple[str, ...] = ()


@dataclass(slots=True)
class Row:
    """One raw record and where it stands: `bytes` from `offset` of the file, opening on `line` (from 1).

    In Parquet `line` is the row from 1, `offset` the row from 0 and `bytes` the number of rows. `raw` is the record as
    it stands (of one that is too long its first 1,000 characters); `value` is what it says, or None where `error`
    tells why it says nothing.
    """

    line: int
    offset: int
    bytes: int
    raw: str
    value: Any
    error: str = ""


@dataclass(slots=True)
class TableRow:
    """One row of a table before it is a record: cells by column, and what is wrong with it."""

    line: int
    offset: int
    bytes: int
    raw: str
    cells: dict[str, Any]
    error: str = ""
    surplus: bool = False  # more cells than columns


def _no_number(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON value")


_DECODER = json.JSONDecoder(parse_constant=_no_number)


def parse_json(text: str) -> Any:
    """The value of a JSON text; raises ValueError with a reason a person can act on."""
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"broken JSON at column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None
    if "\\u" in text and _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("half of a surrogate pair (\\ud800 to \\udfff alone) is no character") from None
    return value


def head(data: bytes) -> bytes:
    """The first 1,000 characters of a record in UTF-8 or GB 18030, as bytes."""
    return readable(data[: 4 * HEAD_CHARS])[:HEAD_CHARS].encode()


def too_long(length: int, limit: int) -> str:
    return f"{length:,} bytes long; a record may have {limit:,}"


def record(row: TableRow) -> Row:
    """A table row as a record: empty cells are absent fields, nested columns are JSON in their cell."""
    error = row.error or ("the line has more cells than the header" if row.surplus else "")
    value: dict[str, Any] | None = None
    if not error:
        value = {name: cell for name, cell in row.cells.items() if cell not in ("", None)}
        try:
            for name in NESTED_COLUMNS & value.keys():
                value[name] = _nested(name, value[name])
        except ValueError as problem:
            value, error = None, str(problem)
    return Row(row.line, row.offset, row.bytes, row.raw, value, error)


def _nested(name: str, cell: Any) -> Any:
    try:
        return parse_json(cell) if isinstance(cell, str) else cell
    except ValueError as error:
        raise ValueError(f"field '{name}': {error}") from None


@dataclass
class _Group:
    rows: list[TableRow] = field(default_factory=list)
    size: int = 0
    end: int = 0


def dialogues(rows: Iterator[TableRow], max_record_bytes: int) -> Iterator[Row]:
    """One dialogue from consecutive rows with the same id; the rows hold one turn each.

    Columns: id, customer, agent, channel, started_at, speaker, text, at. A dialogue of more than `max_record_bytes`
    keeps its first rows only and is an error, so that one id over a whole file needs no memory.
    """
    group = _Group()
    for row in rows:
        if group.rows and row.cells.get("id") != group.rows[0].cells.get("id"):
            yield _dialogue(group, max_record_bytes)
            group = _Group()
        group.end = row.offset + row.bytes
        group.size += len(row.raw)
        if not group.rows or group.size <= max_record_bytes:
            group.rows.append(row)
    if group.rows:
        yield _dialogue(group, max_record_bytes)


def _dialogue(group: _Group, max_record_bytes: int) -> Row:
    first = group.rows[0]
    length = group.end - first.offset
    if group.size > max_record_bytes:
        return Row(first.line, first.offset, length, first.raw[:HEAD_CHARS], None, too_long(length, max_record_bytes))
    raw = "\n".join(row.raw for row in group.rows)
    value: dict[str, Any] | None = None
    error = next((problem for row in group.rows if (problem := _turn_problem(row, first))), "")
    if not error:
        value = {name: cell for name, cell in first.cells.items() if name not in TURN_COLUMNS and cell is not None}
        value["turns"] = [{name: row.cells[name] for name in TURN_COLUMNS if row.cells.get(name)} for row in group.rows]
    return Row(first.line, first.offset, length, raw, value, error)


def _turn_problem(row: TableRow, first: TableRow) -> str:
    if row.error:
        return row.error if row is first else f"line {row.line}: {row.error}"
    if row.surplus:
        return f"line {row.line} has more cells than the header"
    for column in ("customer", "agent", "channel", "started_at"):
        if row.cells.get(column) != first.cells.get(column):
            return f"field '{column}': line {row.line} differs from the dialogue's first line"
    return ""
