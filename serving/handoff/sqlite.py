"""Cases in one SQLite file, safe for several gateways on one host: a writer thread, a reader thread, and no lock that
a reader waits for (write-ahead log)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from serving.errors import ServeError
from serving.handoff import ledger
from serving.handoff.case import Case
from serving.handoff.database import MOST_TRIES, Contended, Result, StoreUnavailable, Work
from serving.handoff.store import CaseStore

FILE_NAME = "handoffs.sqlite"
_BUSY_TIMEOUT_S = 5.0
_log = logging.getLogger(__name__)


class _Statements:
    """Statements of one connection."""

    def __init__(self, connection: sqlite3.Connection):
        self._connection = connection

    def rows(self, sql: str, **values: Any) -> list[Sequence[Any]]:
        return self._connection.execute(sql, values).fetchall()

    def change(self, sql: str, **values: Any) -> int:
        return self._connection.execute(sql, values).rowcount


class _File:
    """One connection to the file, opened when needed. A file that was replaced or removed is opened anew: an open
    connection would go on writing where nobody reads."""

    def __init__(self, path: Path, timeout_s: float, read_only: bool):
        self.path = path
        self._timeout_s = timeout_s
        self._read_only = read_only
        self._connection: sqlite3.Connection | None = None
        self._inode = 0

    @contextlib.contextmanager
    def transaction(self, begin: str) -> Iterator[_Statements]:
        """Statements between `begin` and COMMIT; rolled back on any exception.

        Raises:
            StoreUnavailable: the file cannot be read or written.
        """
        try:
            connection = self._open()
            connection.execute(begin)
            try:
                yield _Statements(connection)
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise StoreUnavailable(f"{self.path}: {error}") from error

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._inode == _inode(self.path):
            return self._connection
        self.close()
        connection = self._look() if self._read_only else self._make()
        self._connection, self._inode = connection, _inode(self.path)
        return connection

    def _look(self) -> sqlite3.Connection:
        return sqlite3.connect(
            _to_read(self.path), uri=True, timeout=self._timeout_s, isolation_level=None, check_same_thread=False
        )

    def _make(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Made before SQLite does, so that nobody else on the host may read it; its log files take the same mode.
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = sqlite3.connect(self.path, timeout=self._timeout_s, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            for statement in ledger.SCHEMA:
                connection.execute(statement)
        except BaseException:
            connection.close()
            raise
        return connection


class SqliteDatabase:
    """`serving.handoff.database.Database` over one file."""

    def __init__(self, path: Path, read_only: bool = False):
        self._writer, self._reader = (_File(path, _BUSY_TIMEOUT_S, read_only) for _ in range(2))
        self._glancer = _File(path, 0, read_only)
        self._writing = ThreadPoolExecutor(1, "handoff-writer")
        self._reading = ThreadPoolExecutor(1, "handoff-reader")

    async def write(self, work: Work[Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._writing, self._write, work)

    async def read(self, work: Work[Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._reading, self.read_now, work)

    async def glance(self, work: Work[Result]) -> Result:
        """On the event loop: a look-up of 10 µs in mapped pages costs less than a change of threads (100 µs)."""
        try:
            with self._glancer.transaction("BEGIN") as statements:
                return work(statements)
        except StoreUnavailable:
            return await self.read(work)

    def read_now(self, work: Work[Result]) -> Result:
        """As `read`, in this thread."""
        with self._reader.transaction("BEGIN") as statements:
            return work(statements)

    def _write(self, work: Work[Result]) -> Result:
        for _ in range(MOST_TRIES):
            with contextlib.suppress(Contended), self._writer.transaction("BEGIN IMMEDIATE") as statements:
                return work(statements)
        raise StoreUnavailable("contended for too long")

    async def close(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._writing, self._writer.close)
        await loop.run_in_executor(self._reading, self._reader.close)
        self._glancer.close()


class CaseQueue(CaseStore):
    """The cases in a file, which is made when first used.

    Args:
        read_only: look at what is there, and change nothing.

    Raises:
        ServeError: the file holds something else.
    """

    def __init__(self, path: Path, read_only: bool = False):
        self.path = Path(path)
        self._require_ours()
        self._file = SqliteDatabase(self.path, read_only)
        super().__init__(self._file)

    def cases(self, limit: int = 100) -> list[Case]:
        """The newest cases of all tenants; waits for the disk, so not for use on an event loop."""
        return self._file.read_now(lambda transaction: ledger.newest(transaction, limit))

    def _require_ours(self) -> None:
        if not self.path.exists() or not self.path.stat().st_size:
            return
        columns = _columns(self.path)
        if columns and "tenant" not in columns:
            raise ServeError(
                f"{self.path}: an older queue, without tenants",
                "read it with `sqlite3 FILE 'SELECT * FROM handoffs'`, then move it away; a new one is made",
            )


def require_queue(path: Path) -> None:
    """Raises ServeError unless a gateway has made a queue of the file at `path`: who only looks makes none of it."""
    if not _columns(path):
        raise ServeError(f"{path}: not a queue of cases", "give the handoffs.sqlite of a gateway's state folder")


def _columns(path: Path) -> set[str]:
    """Columns of the table of cases; none where there is no such table."""
    try:
        with contextlib.closing(sqlite3.connect(_to_read(path), uri=True, timeout=_BUSY_TIMEOUT_S)) as connection:
            return {row[1] for row in connection.execute("PRAGMA table_info(handoffs)")}
    except sqlite3.Error as error:
        raise ServeError(f"{path}: not a queue of cases: {error}", "move the file away") from None


def _to_read(path: Path) -> str:
    """The file as SQLite's URI for reading only."""
    return f"{path.absolute().as_uri()}?mode=ro"


def _inode(path: Path) -> int:
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return -1
