"""Source files read in parts: JSON Lines, CSV and Parquet in constant memory, each record with its place.

`plan_shards` cuts a file between two records and depends on nothing but the file, so that any number of workers reads
the same shards. `read_shard` yields what can be read and what cannot, with the reason; checking a record against its
model is `tianjing.files.validate_row`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from data_recipes.errors import DataError
from data_recipes.readers.columns import plan_parquet, read_parquet
from data_recipes.readers.encoding import decode_line, detect, readable
from data_recipes.readers.rows import Row, Shard, head, parse_json, too_long
from data_recipes.readers.tables import plan_csv, read_csv, read_line
from data_recipes.readers.xes import read_xes

__all__ = [
    "FORMATS",
    "MAX_RECORD_BYTES",
    "Line",
    "LineBlock",
    "Row",
    "Shard",
    "line_blocks",
    "parse_row",
    "plan_lines",
    "plan_shards",
    "read_shard",
]

FORMATS = (".jsonl", ".csv", ".parquet")
MAX_RECORD_BYTES = 8 << 20
"""A longer record is kept aside unread: a day's calls of one agent fit in it many times."""
_CHUNK_BYTES = 1 << 20


def plan_shards(path: Path, name: str, shard_bytes: int = 16 << 20) -> list[Shard]:
    """Shards of a file at record boundaries, each of at least `shard_bytes` (the last may be smaller).

    Args:
        name: how the file is cited in a trail.
        shard_bytes: bytes of text (jsonl, csv) or of uncompressed columns (parquet).

    Raises:
        DataError: no such file, another format, UTF-16, no Parquet file, or a faulty header.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file", "check the name")
    if path.suffix == ".jsonl":
        return plan_lines(path, name, shard_bytes)
    if path.suffix == ".csv":
        return plan_csv(path, name, shard_bytes, MAX_RECORD_BYTES)
    if path.suffix == ".parquet":
        return plan_parquet(path, name, shard_bytes)
    if path.suffix == ".xes":
        return [Shard(str(path), name, "xes", 0, path.stat().st_size, 1)]
    raise DataError(f"{path}: not one of {', '.join(FORMATS)}", "convert it to one of them")


def read_shard(shard: Shard, model_is_dialogue: bool = False, max_line_bytes: int = MAX_RECORD_BYTES) -> Iterator[Row]:
    """The records of a shard, blank lines left out.

    Args:
        model_is_dialogue: rows of a table (csv, parquet) hold one turn each, and consecutive ones with the same id
            are one dialogue, unless a column `turns` holds them all.
        max_line_bytes: a longer record (a line, or a dialogue's rows) is skipped unread and is an error row.
    """
    if shard.format == "jsonl":
        return _read_lines(shard, max_line_bytes)
    if shard.format == "csv":
        return read_csv(shard, model_is_dialogue, max_line_bytes)
    if shard.format == "xes":
        return read_xes(Path(shard.path))
    return read_parquet(shard, model_is_dialogue, max_line_bytes)


def plan_lines(path: Path, name: str, shard_bytes: int = 16 << 20) -> list[Shard]:
    """`plan_shards` for JSON Lines under any name."""
    shards: list[Shard] = []
    with open(path, "rb") as stream:
        encoding, start = detect(stream)
        first_line = line = 1
        position = stream.seek(start)  # of `chunk` in the file
        while chunk := stream.read(_CHUNK_BYTES):
            counted = 0
            while (at := chunk.find(b"\n", max(0, start + shard_bytes - position - 1))) >= 0:
                line += chunk.count(b"\n", counted, at + 1)
                counted, end = at + 1, position + at + 1
                shards.append(Shard(str(path), name, "jsonl", start, end, first_line, encoding))
                start, first_line = end, line
            line += chunk.count(b"\n", counted)
            position += len(chunk)
    if position > start:
        shards.append(Shard(str(path), name, "jsonl", start, position, first_line, encoding))
    return shards


class Line(NamedTuple):
    """A line and where it stands. `length` is that of its bytes, more than `data` holds of one that is too long."""

    number: int
    offset: int
    data: bytes
    length: int


@dataclass(frozen=True, slots=True)
class LineBlock:
    """Lines that stand one behind another, without their line feeds; the first of them opens at `offset`."""

    number: int
    offset: int
    lines: list[bytes]
    length: int = 0
    """Of a single line, of which `lines` holds only the beginning."""

    def __iter__(self) -> Iterator[Line]:
        offset = self.offset
        for number, line in enumerate(self.lines, self.number):
            data = line.rstrip(b"\r\n")
            yield Line(number, offset, data, self.length or len(data))
            offset += len(line) + 1


def line_blocks(shard: Shard, limit: int = MAX_RECORD_BYTES) -> Iterator[LineBlock]:
    """The lines of a JSON Lines shard, about a megabyte of them at a time.

    Args:
        limit: of a longer line only the first bytes are kept.
    """
    size = min(_CHUNK_BYTES, limit)
    number, offset = shard.first_line, shard.start
    with open(shard.path, "rb") as stream:
        while offset < shard.end:
            stream.seek(offset)
            chunk = stream.read(min(size, shard.end - offset))
            if offset + len(chunk) < shard.end:
                chunk = chunk[: chunk.rfind(b"\n") + 1]
            if chunk:
                block = LineBlock(number, offset, chunk.removesuffix(b"\n").split(b"\n"))
                length = len(chunk)
            else:  # a line as long as that
                stream.seek(offset)
                data, length = read_line(stream, limit)
                block = LineBlock(number, offset, [data], length if length > len(data) else 0)
            yield block
            number, offset = number + len(block.lines), offset + length


def parse_row(line: Line, shard: Shard, limit: int = MAX_RECORD_BYTES) -> Row | None:
    """The record of a line of JSON Lines; None of a blank one."""
    number, offset, data, length = line
    if length > len(data):
        return Row(number, offset, length, head(data).decode(), None, too_long(length, limit))
    if not data or data.isspace():
        return None
    try:
        raw = decode_line(data, shard.encoding)
    except ValueError as error:
        return Row(number, offset, length, readable(data), None, str(error))
    try:
        # Files that were joined have byte order marks in their middle.
        return Row(number, offset, length, raw, parse_json(raw.removeprefix("\ufeff")))
    except ValueError as error:
        return Row(number, offset, length, raw, None, str(error))


def _read_lines(shard: Shard, limit: int) -> Iterator[Row]:
    for block in line_blocks(shard, limit):
        for line in block:
            row = parse_row(line, shard, limit)
            if row is not None:
                yield row
