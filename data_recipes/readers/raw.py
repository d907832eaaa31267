"""The raw folder a company brings: dialogues, events, outcomes and customers as .jsonl or .csv, and rules/."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from data_recipes.errors import DataError
from data_recipes.readers.document import RuleDocument
from data_recipes.readers.rules import read_rules
from tianjing.files import OnError, parse_line, validate_row
from tianjing.records import Customer, Dialogue, Event, Outcome

Record = TypeVar("Record", bound=BaseModel)

TABLES = ("dialogues", "events", "outcomes", "customers")
_SKIP_HINT = "mend the line, or pass --on-error skip to keep it aside and go on"
_EXPECTED = (
    "expected " + ", ".join(f"{name}.jsonl (or .csv)" for name in TABLES) + " and rules/ with .md .txt .html .docx .pdf"
)


@dataclass
class RawMaterial:
    """Everything read from a raw folder; `read` counts rows by file, `rejected` keeps bad lines as they were."""

    dialogues: list[Dialogue] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    customers: list[Customer] = field(default_factory=list)
    rules: list[RuleDocument] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    read: dict[str, int] = field(default_factory=dict)


def read_raw(
    folder: Path, on_error: OnError = "stop", progress: Callable[[str], None] = lambda step: None
) -> RawMaterial:
    """Read a raw folder; each file may be absent, but not all.

    Raises:
        DataError: the folder is missing or holds nothing to read, or (`on_error="stop"`) a line is bad.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder", _EXPECTED)
    raw = RawMaterial()
    readers: dict[str, tuple[type[BaseModel], str]] = {
        "dialogues": (Dialogue, "id"),
        "events": (Event, ""),
        "outcomes": (Outcome, ""),
        "customers": (Customer, "customer"),
    }
    for name, (model, key) in readers.items():
        path = _table_path(folder, name)
        if path is not None:
            progress(f"reading {path.name}")
            rows = list(_records(path, model, key, on_error, raw.rejected))
            setattr(raw, name, rows)
            raw.read[name] = len(rows)
    if (folder / "rules").is_dir():
        for document in read_rules(folder / "rules"):
            progress(f"read rules/{document.file}")
            raw.rules.append(document)
        raw.read["rules"] = len(raw.rules)
    if not raw.read:
        raise DataError(f"{folder}: nothing to read here", _EXPECTED)
    return raw


def _table_path(folder: Path, name: str) -> Path | None:
    found = [path for path in (folder / f"{name}.jsonl", folder / f"{name}.csv") if path.is_file()]
    if len(found) == 2:
        raise DataError(f"{folder}: both {name}.jsonl and {name}.csv are here", "keep one of them")
    return found[0] if found else None


def _records(
    path: Path, model: type[Record], key: str, on_error: OnError, rejected: list[dict[str, Any]]
) -> Iterator[Record]:
    """Validated records; a second record with the same `key` is bad, too."""
    lines: dict[str, int] = {}
    rows = _csv_rows(path, model) if path.suffix == ".csv" else _json_rows(path, model)
    for line, text, parse in rows:
        try:
            record: Record = parse()
            identity = str(getattr(record, key)) if key else ""
            if key and identity in lines:
                raise ValueError(f"field '{key}': '{identity}' already stands on line {lines[identity]}")
        except ValueError as error:
            if on_error == "stop":
                raise DataError(f"{path}:{line}: {error}", _SKIP_HINT) from None
            rejected.append({"file": path.name, "line": line, "error": str(error), "text": text})
            continue
        if key:
            lines[identity] = line
        yield record


_Row = tuple[int, str, Callable[[], Any]]


def _json_rows(path: Path, model: type[BaseModel]) -> Iterator[_Row]:
    with open(path, "rb") as stream:
        for line, raw in enumerate(stream, start=1):
            if raw.strip():
                yield line, raw.decode("utf-8", errors="replace").rstrip("\r\n"), partial(parse_line, raw, model)


def _csv_rows(path: Path, model: type[BaseModel]) -> Iterator[_Row]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start}", "save the table as CSV UTF-8") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="_more")
    rows = [(reader.line_num, {name: value for name, value in row.items()}) for row in reader]
    if model is Dialogue:
        yield from _dialogue_rows(rows)
        return
    for line, row in rows:
        yield line, json.dumps(row, ensure_ascii=False), partial(_record, row, model)


def _dialogue_rows(rows: list[tuple[int, dict[str, Any]]]) -> Iterator[_Row]:
    """One dialogue from consecutive rows with the same id.

    Columns: id, customer, agent, channel, started_at, speaker, text, at.
    """
    start = 0
    while start < len(rows):
        end = start
        while end < len(rows) and rows[end][1].get("id") == rows[start][1].get("id"):
            end += 1
        group = rows[start:end]
        yield (
            group[0][0],
            json.dumps([row for _, row in group], ensure_ascii=False),
            partial(_dialogue, group),
        )
        start = end


def _dialogue(group: list[tuple[int, dict[str, Any]]]) -> Dialogue:
    head = group[0][1]
    for line, row in group:
        if "_more" in row:
            raise ValueError(f"line {line} has more cells than the header")
        for column in ("customer", "agent", "channel", "started_at"):
            if row.get(column) != head.get(column):
                raise ValueError(f"field '{column}': line {line} differs from the dialogue's first line")
    turn_columns = ("speaker", "text", "at")
    value = {name: cell for name, cell in head.items() if name not in turn_columns}
    value["turns"] = [{name: row[name] for name in turn_columns if row.get(name)} for _, row in group]
    return validate_row(value, Dialogue)


def _record(row: dict[str, Any], model: type[BaseModel]) -> BaseModel:
    return validate_row(_plain(row), model)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Empty cells are absent fields; `attributes` is JSON in its cell."""
    if "_more" in row:
        raise ValueError("the line has more cells than the header")
    value: dict[str, Any] = {name: cell for name, cell in row.items() if cell not in ("", None)}
    if "attributes" in value:
        try:
            value["attributes"] = json.loads(value["attributes"])
        except json.JSONDecodeError as error:
            raise ValueError(f"field 'attributes': broken JSON at column {error.colno}: {error.msg}") from None
    return value
