"""CSV: records with quoted line ends, cut and read in constant memory.

A quote that is opened and not closed within the longest record is a fault of its own line: reading goes on with the
line below it, so that one stray quote does not swallow the file.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from data_recipes.errors import DataError
from data_recipes.readers.encoding import Encoding, decode_line, detect, readable
from data_recipes.readers.rows import Row, Shard, TableRow, dialogues, head, record, too_long

# A quote is special only where a cell opens; inside, two stand for one (RFC 4180, as the csv module reads it).
_QUOTED = rb'(?:[^"]|"")*+'
_CELL = rb'(?:"' + _QUOTED + rb'"[^,\n]*+|(?!")[^,\n]*+)'
_COMPLETE = re.compile(_CELL + rb"(?:," + _CELL + rb")*+\n?")
# In a line below, a comma or the end must follow the closing quote: the first quote of a later line's `,"text"` would
# close the cell too, and there it tells that the quote above was a stray one.
_STRICT = rb'(?:"' + _QUOTED + rb'"|(?!")[^,\r\n]*+)'
_CLOSES = re.compile(_QUOTED + rb'"(?:,' + _STRICT + rb")*+\r*\n?")
_STILL_OPEN = re.compile(_QUOTED + rb'(?:"(?:,' + _STRICT + rb')*?,"' + _QUOTED + rb")?")


class _Record(NamedTuple):
    """Bytes of one record (of one that is too long, its first), without the line end."""

    line: int
    offset: int
    data: bytes
    length: int
    error: str = ""


def plan_csv(path: Path, name: str, shard_bytes: int, max_line_bytes: int) -> list[Shard]:
    """Shards between two records; consecutive rows of one dialogue stay together.

    Raises:
        DataError: UTF-16, or a header without names or with one name twice.
    """
    with open(path, "rb") as stream:
        encoding, begin = detect(stream)
        size = stream.seek(0, 2)
        records = _records(stream, begin, size, 1, max_line_bytes)
        header_record = next(records, None)
        if header_record is None:
            return []
        header = _header(path, header_record, encoding)
        of_turns = {"id", "speaker"} <= set(header)
        shards: list[Shard] = []
        last: _Record | None = None
        start, first_line = -1, 0
        for found in records:
            if last is None:
                start, first_line = found.offset, found.line
            elif found.offset - start >= shard_bytes and not (
                of_turns and _id(last, header, encoding) == _id(found, header, encoding)
            ):
                shards.append(Shard(str(path), name, "csv", start, found.offset, first_line, encoding, header))
                start, first_line = found.offset, found.line
            last = found
        if last is not None:
            shards.append(Shard(str(path), name, "csv", start, size, first_line, encoding, header))
        return shards


def read_csv(shard: Shard, of_turns: bool, max_line_bytes: int) -> Iterator[Row]:
    """The records of a shard; with `of_turns` consecutive rows with one id are one dialogue."""
    rows = _table_rows(shard, max_line_bytes)
    if of_turns and "turns" not in shard.header:
        yield from dialogues(rows, max_line_bytes)
    else:
        yield from map(record, rows)


def _table_rows(shard: Shard, max_line_bytes: int) -> Iterator[TableRow]:
    # The module's own limit of 131,072 characters a cell is one for the whole process.
    csv.field_size_limit(max(csv.field_size_limit(), max_line_bytes))
    width = len(shard.header)
    with open(shard.path, "rb") as stream:
        for found in _records(stream, shard.start, shard.end, shard.first_line, max_line_bytes):
            raw, cells, problem = _parse(found, shard.encoding)
            by_name = dict(zip(shard.header, cells, strict=False))
            yield TableRow(found.line, found.offset, found.length, raw, by_name, problem, len(cells) > width)


def _records(stream: BinaryIO, start: int, end: int, line: int, limit: int) -> Iterator[_Record]:
    """Records from `start` to `end`; blank lines are none."""
    stream.seek(start)
    offset = start
    while offset < end:
        data, length = read_line(stream, limit)
        next_line, next_offset = line + 1, offset + length
        if length > len(data):
            yield _Record(line, offset, head(data), length, too_long(length, limit))
        elif b'"' in data and not _COMPLETE.fullmatch(data):
            whole, lines = _quoted(stream, data, end - next_offset, limit)
            if whole:
                next_line, next_offset = line + lines, offset + len(whole)
                yield _record(line, offset, whole)
            else:
                stream.seek(next_offset)
                yield _record(line, offset, data, "a quote opens a cell here and is never closed")
        elif data.strip():
            yield _record(line, offset, data)
        line, offset = next_line, next_offset


def _quoted(stream: BinaryIO, data: bytes, left: int, limit: int) -> tuple[bytes, int]:
    """A record over several lines and their number; nothing if it does not end within `limit` and `left` bytes."""
    parts, size = [data], len(data)
    while left > 0 and size < limit:
        more, length = read_line(stream, limit - size)
        if length > len(more):
            break
        parts.append(more)
        left -= length
        size += length
        if b'"' not in more:
            continue
        if _CLOSES.fullmatch(more):
            return b"".join(parts), len(parts)
        if not _STILL_OPEN.fullmatch(more):
            break
    return b"", 0


def _record(line: int, offset: int, data: bytes, error: str = "") -> _Record:
    data = data.rstrip(b"\r\n")
    return _Record(line, offset, data, len(data), error)


def _header(path: Path, found: _Record, encoding: Encoding) -> tuple[str, ...]:
    try:
        names = tuple(name.strip() for name in next(csv.reader([decode_line(found.data, encoding)])))
    except (ValueError, csv.Error) as error:
        raise DataError(f"{path}:{found.line}: {found.error or error}", "the first line names the columns") from None
    twice = sorted({name for name in names if names.count(name) > 1})
    if found.error or twice:
        reason = found.error or f"column '{twice[0]}' stands twice"
        raise DataError(f"{path}:{found.line}: {reason}", "the first line names each column once")
    return names


def _parse(found: _Record, encoding: Encoding) -> tuple[str, list[str], str]:
    """Text, cells and fault of a record; of a faulty one the cells that can be read, for the sake of its id."""
    try:
        raw = decode_line(found.data, encoding)
        cells = next(csv.reader([raw]))
    except (ValueError, csv.Error) as error:
        raw, fault = readable(found.data), found.error or str(error)
        try:
            cells = next(csv.reader([raw.partition("\n")[0].replace("\r", " ")]))
        except csv.Error:
            cells = []
        return raw, cells, fault
    return raw, cells, found.error


def _id(found: _Record, header: tuple[str, ...], encoding: Encoding) -> str | None:
    cells = _parse(found, encoding)[1]
    column = header.index("id")
    return cells[column] if column < len(cells) else None


def read_line(stream: BinaryIO, limit: int) -> tuple[bytes, int]:
    """The next line and its length with its line end; of one longer than `limit` bytes only the first are kept."""
    data = stream.readline(limit + 1)
    length = len(data)
    if length > limit and not data.endswith(b"\n"):
        data = data[:limit]
        while more := stream.readline(1 << 20):
            length += len(more)
            if more.endswith(b"\n"):
                break
    return data, length
