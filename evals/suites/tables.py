"""Rows of CSV, JSON Lines, JSON and Parquet files, one at a time, each with its place for messages."""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from evals.errors import EvalError

SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
_BATCH_ROWS = 512
_LARGEST_CELL = 1 << 24
_HEAD_BYTES = 4096


@dataclass(frozen=True)
class Record:
    """One row: its cells by column, and where it stands."""

    file: Path
    place: str
    cells: dict[str, Any]

    def error(self, column: str, problem: str, remedy: str) -> EvalError:
        where = f", column '{column}'" if column else ""
        return EvalError(f"{self.file}:{self.place}{where}: {problem}", remedy)

    def text(self, column: str) -> str:
        """The cell as text without white space around it.

        Raises:
            EvalError: there is no such column, or it is empty.
        """
        if column not in self.cells:
            known = ", ".join(str(name) or "(no name)" for name in self.cells)
            raise self.error(column, "no such column", f"columns here: {known}; name the right one under 'columns'")
        value = self.cells[column]
        said = "" if value is None else str(value).strip()
        if not said:
            raise self.error(column, "empty", "fill the cell or take the row out")
        return said

    def optional(self, column: str | None) -> str:
        value = self.cells.get(column) if column is not None else None
        return "" if value is None else str(value).strip()


def records(path: Path) -> Iterator[Record]:
    """The rows of one file, read as they are asked for.

    Raises:
        EvalError: the file is missing, of another form, or broken, with the line.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        raise EvalError(f"{path}: no such file", "check the path; it is relative to the YAML file")
    if suffix not in SUFFIXES:
        raise EvalError(f"{path}: not a file of rows", f"give one of {', '.join(SUFFIXES)}")
    try:
        if suffix in (".csv", ".tsv"):
            yield from _csv(path, "\t" if suffix == ".tsv" else ",")
        elif suffix == ".jsonl":
            yield from _jsonl(path)
        elif suffix == ".json":
            yield from _json(path)
        else:
            yield from _parquet(path)
    except UnicodeDecodeError as error:
        raise EvalError(
            f"{path}: not {error.encoding.upper()} at byte {error.start}",
            f"save it as UTF-8: iconv -f GB18030 -t UTF-8 {path.name}"
            if error.encoding.startswith("utf-8")
            else "the file was cut off: copy it again",
        ) from None


def _encoding(path: Path) -> str:
    """UTF-8, or UTF-16 where a byte order mark says so, as spreadsheets save “Unicode text”.

    Raises:
        EvalError: it has the zero bytes of UTF-16 and no mark.
    """
    with open(path, "rb") as stream:
        head = stream.read(_HEAD_BYTES)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in head:
        order = "LE" if head.index(b"\0") % 2 else "BE"
        raise EvalError(
            f"{path}: UTF-16 without its byte order mark",
            f"save it as UTF-8: iconv -f UTF-16{order} -t UTF-8 {path.name}",
        )
    return "utf-8-sig"


def _csv(path: Path, delimiter: str) -> Iterator[Record]:
    csv.field_size_limit(_LARGEST_CELL)
    with open(path, encoding=_encoding(path), newline="") as stream:
        reader = csv.reader(stream, delimiter=delimiter)
        header = [name.strip() for name in next(reader, [])]
        if not header:
            raise EvalError(f"{path}: empty", "the first line names the columns")
        twice = {name for name in header if header.count(name) > 1}
        if twice:
            raise EvalError(f"{path}:1: column '{min(twice)}' stands twice", "name each column once")
        line = reader.line_num + 1
        for row in reader:
            begun, line = line, reader.line_num + 1
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(header):
                raise EvalError(
                    f"{path}:{begun}: {len(row)} cells where the header has {len(header)}",
                    "put a cell that holds a comma or a line break in double quotes",
                )
            yield Record(path, str(begun), dict(zip(header, row, strict=True)))


def _jsonl(path: Path) -> Iterator[Record]:
    with open(path, encoding=_encoding(path)) as stream:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                yield _object(path, str(number), _parsed(path, number, line))


def _parsed(path: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise EvalError(
            f"{path}:{number}: broken JSON at column {error.colno}: {error.msg}", "mend the line; one object on each"
        ) from None


def _json(path: Path) -> Iterator[Record]:
    """A list of objects, taken one by one, so that each is known by its line."""
    text = path.read_text(encoding=_encoding(path))
    decoder = json.JSONDecoder()
    place = _past_space(text, 0)
    if text[place : place + 1] != "[":
        raise EvalError(f"{path}: not a list of rows", "the file must hold one JSON list of objects; or use .jsonl")
    place, line, counted = _past_space(text, place + 1), 1, 0
    while text[place : place + 1] != "]":
        line, counted = line + text.count("\n", counted, place), place
        try:
            value, place = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            raise EvalError(
                f"{path}:{error.lineno}: broken JSON at column {error.colno}: {error.msg}", "mend the file"
            ) from None
        yield _object(path, str(line), value)
        place = _past_space(text, place)
        if text[place : place + 1] == ",":
            place = _past_space(text, place + 1)
        elif text[place : place + 1] != "]":
            line += text.count("\n", counted, place)
            raise EvalError(f"{path}:{line}: the list ends without ']'", "the file was cut off: copy it again")


def _past_space(text: str, place: int) -> int:
    while place < len(text) and text[place] in " \t\r\n":
        place += 1
    return place


def _object(path: Path, place: str, value: Any) -> Record:
    if not isinstance(value, dict):
        raise EvalError(f"{path}:{place}: not an object", "each row must be an object of column names and values")
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise EvalError(
            f"{path}:{place}: holds half a character, as \\ud83d without its other half", "write the character whole"
        ) from None
    return Record(path, place, value)


def _parquet(path: Path) -> Iterator[Record]:
    try:
        with pq.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(_BATCH_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    yield Record(path, f"row {number}", row)
    except pa.ArrowInvalid as error:
        raise EvalError(f"{path}: not a Parquet file: {error}", "export it again") from None
