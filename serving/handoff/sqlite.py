"""The queue of cases that people take over: one SQLite file, safe for several processes."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FILE_NAME = "handoffs.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS handoffs (
    id TEXT PRIMARY KEY,
    at TEXT NOT NULL,
    reasons TEXT NOT NULL,
    text TEXT NOT NULL,
    status TEXT NOT NULL
)
"""
_BUSY_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Case:
    """One hand-off. `at` is ISO 8601 in UTC, `text` is masked, `status` starts as "open"."""

    id: str
    at: str
    reasons: tuple[str, ...]
    text: str
    status: str = "open"

    def row(self) -> dict[str, Any]:
        """The case as JSON, as `GET /v1/handoffs` lists it."""
        return {**asdict(self), "reasons": list(self.reasons)}


class CaseQueue:
    """Appends and lists cases; every call opens the file anew, so it may be used from any thread."""

    def __init__(self, path: Path):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute(_SCHEMA)

    def add(self, case: Case) -> None:
        """Store a case; it is on disk when this returns.

        Raises:
            sqlite3.Error: it is not.
        """
        with self._open() as database:
            database.execute("PRAGMA synchronous=FULL")
            row = (case.id, case.at, json.dumps(case.reasons), case.text, case.status)
            database.execute("INSERT INTO handoffs VALUES (?, ?, ?, ?, ?)", row)

    def cases(self, limit: int = 100) -> list[Case]:
        """The newest cases first."""
        with self._open() as database:
            query = "SELECT id, at, reasons, text, status FROM handoffs ORDER BY at DESC, rowid DESC LIMIT ?"
            rows = database.execute(query, (limit,)).fetchall()
        return [Case(id, at, tuple(json.loads(reasons)), text, status) for id, at, reasons, text, status in rows]

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self.path, timeout=_BUSY_TIMEOUT_S)) as database, database:
            yield database
