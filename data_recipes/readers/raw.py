"""The raw folder a company brings: tables as .jsonl, .csv or .parquet, operation logs also as .xes, and rules/."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel

from data_recipes.errors import DataError
from data_recipes.readers.document import RuleDocument
from data_recipes.readers.rows import Row
from data_recipes.readers.rules import READERS, read_rules, unread_files
from data_recipes.readers.shards import FORMATS, plan_shards, read_shard
from tianjing.files import SKIP_HINT, OnError, validate_row
from tianjing.records import Account, Contact, Customer, Dialogue, Document, Event, Outcome
from tianjing.records import Record as CustomerRecord

Record = TypeVar("Record", bound=BaseModel)


class Table(NamedTuple):
    """A file of a raw folder: what its rows are, and the field that no two rows may share the value of."""

    model: type[BaseModel]
    key: str = ""
    formats: tuple[str, ...] = FORMATS


TABLES: dict[str, Table] = {
    "dialogues": Table(Dialogue, "id"),
    "events": Table(Event, formats=(*FORMATS, ".xes")),
    "outcomes": Table(Outcome),
    "customers": Table(Customer, "customer"),
    "accounts": Table(Account),
    "contacts": Table(Contact),
    "records": Table(CustomerRecord),
    "documents": Table(Document, "id"),
}
_EXPECTED = (
    "expected "
    + ", ".join(f"{name}.jsonl" for name in TABLES)
    + " (or .csv, .parquet; events also .xes) and rules/ with "
    + " ".join(READERS)
)


@dataclass
class RawMaterial:
    """Everything read from a raw folder.

    `read` counts the good rows by file, `rejected` keeps the bad ones as they were, and `unknown` names what lies in
    the folder and is none of the files of a raw folder.
    """

    dialogues: list[Dialogue] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    customers: list[Customer] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    contacts: list[Contact] = field(default_factory=list)
    records: list[CustomerRecord] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    rules: list[RuleDocument] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    read: dict[str, int] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


def read_raw(
    folder: Path,
    on_error: OnError = "stop",
    progress: Callable[[str], None] = lambda step: None,
    streamed: Collection[str] = (),
) -> RawMaterial:
    """Read a raw folder; each file may be absent or empty, but not all.

    Args:
        streamed: tables that are there and are read elsewhere.

    Raises:
        DataError: the folder is missing or holds nothing to read, or (`on_error="stop"`) a line or a rule document is
            bad.
    """
    paths = table_paths(folder)
    raw = RawMaterial(unknown=_unknown(folder, paths))
    if raw.unknown:
        progress(f"left alone, not files of a raw folder: {', '.join(raw.unknown)}")
    for name, path in paths.items():
        if name in streamed:
            continue
        progress(f"reading {path.name}")
        rows: list[Any] = getattr(raw, name)
        rejects = len(raw.rejected)
        rows += _records(path, TABLES[name], on_error, raw.rejected)
        raw.read[name] = len(rows)
        if not rows and len(raw.rejected) == rejects:
            progress(f"{path.name} is empty")
    if (folder / "rules").is_dir():
        for document in read_rules(folder / "rules", on_error=on_error, rejected=raw.rejected):
            progress(f"read rules/{document.file}")
            raw.rules.append(document)
        raw.read["rules"] = len(raw.rules)
    elsewhere = any(path.stat().st_size for name, path in paths.items() if name in streamed)
    if not any(raw.read.values()) and not raw.rejected and not elsewhere:
        empty = f": {', '.join(path.name for path in paths.values())} hold no row" if paths else ""
        raise DataError(f"{folder}: nothing to read here{empty}", _EXPECTED)
    return raw


def table_paths(folder: Path) -> dict[str, Path]:
    """The tables that lie in a raw folder, by name and in the order of `TABLES`.

    Raises:
        DataError: there is no such folder, or one table in two formats.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder", _EXPECTED)
    paths = {}
    for name, table in TABLES.items():
        found = [path for suffix in table.formats if (path := folder / f"{name}{suffix}").is_file()]
        if len(found) > 1:
            raise DataError(f"{folder}: both {found[0].name} and {found[1].name} are here", "keep one of them")
        if found:
            paths[name] = found[0]
    return paths


def _unknown(folder: Path, paths: dict[str, Path]) -> list[str]:
    known = {path.name for path in paths.values()} | {"rules"}
    here = sorted(path for path in folder.iterdir() if path.name not in known and not path.name.startswith("."))
    return [path.name + "/" * path.is_dir() for path in here] + [
        f"rules/{name}" for name in unread_files(folder / "rules")
    ]


def _records(path: Path, table: Table, on_error: OnError, rejected: list[dict[str, Any]]) -> Iterator[BaseModel]:
    """Validated records; a second record with the same key is bad, too."""
    lines: dict[str, int] = {}
    for row in _rows(path, table.model is Dialogue):
        try:
            if row.error:
                raise ValueError(row.error)
            record = validate_row(row.value, table.model)
            identity = str(getattr(record, table.key)) if table.key else ""
            if table.key and identity in lines:
                raise ValueError(f"field '{table.key}': '{identity}' already stands on line {lines[identity]}")
        except ValueError as error:
            if on_error == "stop":
                raise DataError(f"{path}:{row.line}: {error}", SKIP_HINT) from None
            place = {"file": path.name, "line": row.line, "offset": row.offset, "bytes": row.bytes}
            rejected.append({**place, "error": str(error), "text": row.raw})
            continue
        if table.key:
            lines[identity] = row.line
        yield record


def _rows(path: Path, of_dialogues: bool) -> Iterator[Row]:
    for shard in plan_shards(path, path.name):
        yield from read_shard(shard, of_dialogues)
