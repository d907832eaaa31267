"""Cases in PostgreSQL, for gateways on several hosts. Needs the extra `postgres`."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from serving.errors import ServeError
from serving.handoff import ledger
from serving.handoff.database import MOST_TRIES, Contended, Result, StoreUnavailable, Work
from serving.handoff.store import CaseStore

if TYPE_CHECKING:
    import psycopg

_NAMED: Final = re.compile(r":([a-z_0-9]+)")
# Only one gateway at a time makes the tables: two at once fail in PostgreSQL's own catalogue.
_SETUP_LOCK: Final = 0x7449414E
# After a failure nobody tries for so long.
_PAUSE_S: Final = 0.5


class _Statements:
    """Statements of one connection."""

    def __init__(self, connection: psycopg.Connection[Any]):
        self._connection = connection

    def rows(self, sql: str, **values: Any) -> list[Sequence[Any]]:
        return self._connection.execute(_placeholders(sql).encode(), values).fetchall()

    def change(self, sql: str, **values: Any) -> int:
        return self._connection.execute(_placeholders(sql).encode(), values).rowcount


class PostgresDatabase:
    """`serving.handoff.database.Database`: a thread for each connection, so that no wait touches the event loop."""

    def __init__(self, conninfo: str, connections: int, timeout_s: float):
        self._conninfo = _with_limits(conninfo, timeout_s)
        self._threads = ThreadPoolExecutor(connections, "handoff-postgres")
        self._mine = threading.local()
        self._open: set[psycopg.Connection[Any]] = set()
        self._ready = False
        self._down_until = 0.0

    async def write(self, work: Work[Result]) -> Result:
        return await self._run(work)

    async def read(self, work: Work[Result]) -> Result:
        return await self._run(work)

    async def glance(self, work: Work[Result]) -> Result:
        return await self._run(work)

    async def close(self) -> None:
        for connection in list(self._open):
            self._open.discard(connection)
            connection.close()

    async def _run(self, work: Work[Result]) -> Result:
        self._require_up()
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._transaction, work)

    def _transaction(self, work: Work[Result]) -> Result:
        import psycopg

        for _ in range(MOST_TRIES):
            self._require_up()
            used = self._used()
            try:
                with self._connection() as connection, connection.transaction():
                    return work(_Statements(connection))
            except (Contended, psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected):
                continue
            except psycopg.Error as error:
                # A used connection may have been idle since the server's restart: a new one is tried. Whether its
                # commit was made is not known, and need not be: what is done twice has been done once.
                if used and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
                    continue
                if isinstance(error, psycopg.OperationalError):
                    self._down_until = time.monotonic() + _PAUSE_S
                raise StoreUnavailable(f"PostgreSQL: {type(error).__name__}: {error}") from error
        raise StoreUnavailable("PostgreSQL: contended for too long")

    def _require_up(self) -> None:
        """Those who come while it is down do not queue behind each other's timeouts."""
        if time.monotonic() < self._down_until:
            raise StoreUnavailable("PostgreSQL: does not answer")

    def _used(self) -> bool:
        connection = getattr(self._mine, "connection", None)
        return connection is not None and not connection.closed

    @contextlib.contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Any]]:
        """This thread's connection; given up after any error of the database, so that the next use is a fresh one."""
        import psycopg

        if not self._used():
            self._mine.connection = self._connect()
        connection = self._mine.connection
        try:
            yield connection
        except psycopg.Error:
            self._open.discard(connection)
            connection.close()
            raise

    def _connect(self) -> psycopg.Connection[Any]:
        import psycopg

        connection: psycopg.Connection[Any] = psycopg.connect(self._conninfo, autocommit=True)
        try:
            if not self._ready:
                with connection.transaction():
                    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_SETUP_LOCK,))
                    for statement in ledger.SCHEMA:
                        connection.execute(statement.encode())
                self._ready = True
        except psycopg.Error:
            connection.close()
            raise
        self._open.add(connection)
        return connection


class PostgresQueue(CaseStore):
    """The cases in PostgreSQL.

    Args:
        conninfo: as libpq takes it, e.g. "host=db dbname=tianjing user=gateway".

    Raises:
        ServeError: psycopg is not installed, or `conninfo` is no such string.
    """

    def __init__(self, conninfo: str, connections: int = 4, timeout_s: float = 3):
        try:
            from psycopg import ProgrammingError
            from psycopg.conninfo import conninfo_to_dict
        except ImportError:
            raise ServeError("psycopg is not installed", "install this project's extra 'postgres'") from None
        try:
            conninfo_to_dict(conninfo)
        except ProgrammingError as error:
            raise ServeError(
                f"handoff.postgres: {error}", "write it as libpq takes it: host=… dbname=… user=…"
            ) from None
        super().__init__(PostgresDatabase(conninfo, connections, timeout_s))


def _with_limits(conninfo: str, timeout_s: float) -> str:
    """`conninfo` with time limits and a durable commit; what it says itself about the former stands."""
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    milliseconds = int(timeout_s * 1000)
    given = conninfo_to_dict(conninfo)
    limits: dict[str, Any] = {
        "connect_timeout": max(2, round(timeout_s)),  # libpq waits no less than two seconds
        "tcp_user_timeout": milliseconds,
        "application_name": "tianjing-handoff",
    }
    options = f"-c statement_timeout={milliseconds} {given.get('options') or ''} -c synchronous_commit=on"
    return make_conninfo(**{**limits, **given, "options": options})


@functools.lru_cache(maxsize=256)
def _placeholders(sql: str) -> str:
    return _NAMED.sub(r"%(\1)s", sql)
