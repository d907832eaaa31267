"""What a reader yields, and reading a folder of tables row by row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evals.errors import EvalError
from evals.suites.definition import Definition
from evals.suites.rows import Columns, Row, Unanswered, make_row
from evals.suites.tables import SUFFIXES, Record, records

Part = Literal["train", "test"]


@dataclass(frozen=True)
class Entry:
    """One row of one task; without a row, one that the file publishes without its answer."""

    definition: Definition
    part: Part
    row: Row | None
    file: Path


def table_entries(
    definition: Definition,
    part: Part,
    file: Path,
    columns: Columns,
    subject: str = "",
    rows: Iterable[Record] | None = None,
    blind: bool = False,
) -> Iterator[Entry]:
    """The rows of one file for one task.

    Args:
        subject: of all rows, where the file is about one.
        rows: the file's records, if they were read already.
        blind: the published file leaves answers out on purpose; otherwise that is an error.
    """
    for number, record in enumerate(records(file) if rows is None else rows, start=1):
        yield entry(definition, part, record, columns, number, subject, blind)


def entry(
    definition: Definition,
    part: Part,
    record: Record,
    columns: Columns,
    number: int,
    subject: str = "",
    blind: bool = False,
) -> Entry:
    """One record as a row of `definition`, its key made unique by the file's name."""
    try:
        row = make_row(record, columns, definition, number, subject)
    except Unanswered:
        if not blind:
            raise record.error(
                columns.answer, "no right answer", "give the split that has answers (often val), or take the row out"
            ) from None
        return Entry(definition, part, None, record.file)
    return Entry(
        definition,
        part,
        Row(record, f"{record.file.stem}/{row.key}", row.group, row.fields, row.reference),
        record.file,
    )


def files_of(path: Path, pattern: str) -> list[Path]:
    """Files below `path` (or itself) whose names fit, in order of name.

    Raises:
        EvalError: there is none.
    """
    found = [path] if path.is_file() else sorted(file for file in path.rglob(pattern) if file.is_file())
    if not found:
        raise EvalError(f"{path}: no file '{pattern}' in it", "give the folder as it was downloaded, unpacked")
    return found


def table_files(path: Path) -> list[Path]:
    """Every file of rows at or below `path`."""
    return [file for file in files_of(path, "*") if file.suffix.lower() in SUFFIXES]
