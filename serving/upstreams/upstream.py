"""One engine: its connections, its health, and an exchange with it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from serving.errors import ApiError, ServeError
from serving.upstreams.address import parse_address, tls_context
from serving.upstreams.health import Health, State
from serving.upstreams.http11 import Broken, Connection, Silent, WireError
from serving.upstreams.reply import EngineReply, reason, whole
from serving.upstreams.settings import PoolSettings, UpstreamSettings

MAX_ERROR_BYTES = 64 * 1024
# The end of a stream comes right after its [DONE]; a connection that has seen it is worth the wait.
LINGER_S = 1.0

_log = logging.getLogger(__name__)


class Failed(Exception):
    """An engine did not begin an answer.

    Attributes:
        error: what the caller is told when no other engine answers either.
        elsewhere: whether another engine may be asked the same.
        sent: whether the engine had the request: it may be the request that broke it.
        stale: a connection that had been idle was closed; that tells nothing of the engine.
    """

    def __init__(self, error: ApiError, *, elsewhere: bool = False, sent: bool = True, stale: bool = False):
        super().__init__(error.message)
        self.error = error
        self.elsewhere = elsewhere
        self.sent = sent
        self.stale = stale


class _Stale(WireError):
    """An idle connection was closed just as it was used."""


@dataclass(frozen=True)
class UpstreamState:
    """What an observer sees of one engine.

    Attributes:
        in_progress: requests it works on.
        idle: open connections without a request.
        asked, failed: requests sent to it, and those that it failed (not reached, broken off, silent).
        ejections: times its failures took it out for a while.
    """

    name: str
    group: str
    state: State
    draining: bool
    weight: float
    in_progress: int
    idle: int
    asked: int
    failed: int
    ejections: int


class Upstream:
    """An engine of the pool; everything here runs in the gateway's event loop.

    Args:
        others: whether another engine could stand in for this one.

    Raises:
        ServeError: the CA file cannot be read.
    """

    def __init__(
        self,
        settings: UpstreamSettings,
        secret: str,
        pool: PoolSettings,
        timeout_s: float,
        others: Callable[[Upstream], bool],
    ):
        self.name = settings.label
        self.settings = settings
        self.secret = secret
        self.health = Health(pool, lambda: asyncio.get_running_loop().time())
        self.draining = False
        self.in_progress = 0
        self.asked = 0
        self.failed = 0
        self.replies: set[EngineReply] = set()
        self._pool = pool
        self._timeout_s = timeout_s
        self._others = others
        self._lingering: set[asyncio.Task[None]] = set()
        self._checking: asyncio.Future[bool] | None = None
        self._address = parse_address(settings.url)
        self._tls = self._tls_context()
        self._idle: list[Connection] = []
        self._fixed = f"host: {self._address.authority}\r\naccept: */*\r\n".encode("latin-1")
        if secret:
            self._fixed += f"authorization: Bearer {secret}\r\n".encode("latin-1")

    @property
    def load(self) -> float:
        """Requests in progress for each unit of weight, counting the one to come."""
        return (self.in_progress + 1) / self.settings.weight

    @property
    def usable(self) -> bool:
        """Whether a request may go there now."""
        return not self.draining and self.in_progress < self.settings.max_connections and self.health.usable()

    def state(self) -> UpstreamState:
        """For observers."""
        return UpstreamState(
            self.name,
            self.settings.group,
            self.health.state,
            self.draining,
            self.settings.weight,
            self.in_progress,
            len(self._idle),
            self.asked,
            self.failed,
            self.health.ejections,
        )

    async def begin(self, path: str, body: bytes, headers: dict[str, str], *, fresh: bool) -> EngineReply:
        """Send a request and wait for the first piece of the answer's body.

        Args:
            fresh: open a connection for it instead of taking an idle one.

        Raises:
            Failed: with what the caller is told.
        """
        message = self._message("POST", path, headers, body)
        self.in_progress += 1
        self.asked += 1
        trial = self.health.asked()
        connection: Connection | None = None
        try:
            connection = await self._sent(message, fresh)
            if connection.status != 200:
                raise await self._refused(connection)
            first = await connection.piece()
        except BaseException as error:
            self._ended(connection)
            raise self._judged(error, trial) from None
        self.health.answered()
        reply = EngineReply(self.name, connection, first, self._pool.max_answer_bytes, self._ended_reply)
        self.replies.add(reply)
        return reply

    async def check(self) -> bool:
        """One health check: GET `health_path`, which asks for no secret.

        Returns:
            Whether the engine is there: it passed, or it says nothing in time, as one at work may.
        """
        connection: Connection | None = None
        passed = silent = False
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._pool.health_timeout_s):
                try:
                    connection = await self._sent(self._message("GET", self.settings.health_path, {}, b""), fresh=True)
                    passed = connection.status == 200
                finally:
                    if connection is not None:
                        connection.abort()
        except TimeoutError:
            silent = True
        except (OSError, WireError):
            pass
        if silent and any(reply.connection.heard_at > began for reply in self.replies):
            return True  # too busy, or we are, to say that it is well in time; but it answers others
        was_up = self.health.up
        self.health.checked(passed)
        if self.health.up != was_up:
            _log.warning("engine %s is %s", self.name, "up again" if self.health.up else "down")
        return passed or silent

    async def alive(self) -> bool:
        """`check`, one for all who ask at the same time."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.ensure_future(self.check())
        return await asyncio.shield(self._checking)

    def _ended_reply(self, reply: EngineReply) -> None:
        self.replies.discard(reply)
        if reply.failed:
            self._note_failure(trial=False)
        if reply.done and reply.connection.open and not reply.connection.reusable:
            self.in_progress -= 1
            task = asyncio.ensure_future(self._linger(reply.connection))
            self._lingering.add(task)
            task.add_done_callback(self._lingering.discard)
        else:
            self._ended(reply.connection)

    def close(self) -> None:
        """Close every connection; answers in progress break off."""
        for reply in list(self.replies):
            reply.break_off("the engine is being stopped")
        for task in self._lingering:
            task.cancel()
        while self._idle:
            self._idle.pop().abort()

    async def _sent(self, message: bytes, fresh: bool) -> Connection:
        """A connection on which the engine has begun to answer `message`."""
        connection = None if fresh else self._reused()
        reused = connection is not None
        if connection is None:
            async with asyncio.timeout(self._pool.connect_timeout_s):
                connection = await self._address.connect(Connection(), self._tls)
        try:
            await connection.request(message, self._timeout_s)
        except BaseException as error:
            connection.abort()
            # A server may close an idle connection at any time, and so just as a request is on its way.
            if reused and isinstance(error, Broken) and not error.heard:
                raise _Stale(str(error), False) from None
            raise
        return connection

    def _reused(self) -> Connection | None:
        oldest = asyncio.get_running_loop().time() - self._pool.keep_alive_s
        while self._idle:
            connection = self._idle.pop()
            if connection.open and connection.idle_since > oldest:
                return connection
            connection.abort()
        return None

    async def _linger(self, connection: Connection) -> None:
        with contextlib.suppress(TimeoutError, WireError):
            async with asyncio.timeout(LINGER_S):
                await connection.piece()
        self._give_back(connection)

    def _ended(self, connection: Connection | None) -> None:
        self.in_progress -= 1
        self._give_back(connection)

    def _give_back(self, connection: Connection | None) -> None:
        """Keep the connection for another request, or close it at once when its answer is not over."""
        if connection is None:
            return
        if connection.reusable and connection.open and not self.draining:
            connection.idle_since = asyncio.get_running_loop().time()
            # The first to have come is the first to be too old.
            while self._idle and self._idle[0].idle_since < connection.idle_since - self._pool.keep_alive_s:
                self._idle.pop(0).abort()
            self._idle.append(connection)
        else:
            connection.abort()

    def _judged(self, error: BaseException, trial: bool) -> BaseException:
        """What a failure to begin means for the caller and for the engine's health."""
        if isinstance(error, Failed):
            self.health.answered()
            return error
        if not isinstance(error, (OSError, WireError)):  # the caller left; TimeoutError is an OSError
            self.health.left(trial)
            return error
        broken = ApiError(502, "the engine broke off before its answer", code="engine_failed")
        if isinstance(error, _Stale):
            self.health.left(trial)
            return Failed(broken, elsewhere=True, stale=True)
        self._note_failure(trial)
        if isinstance(error, Silent):
            return Failed(ApiError(504, "the engine did not answer in time", code="engine_timeout"))
        if isinstance(error, WireError):
            return Failed(broken, elsewhere=True)
        self.health.checked(False)  # as good as a health check
        told = ApiError(503, "the engine cannot be reached; try again", code="engine_unreachable", retry_after_s=2)
        return Failed(told, elsewhere=True, sent=False)

    def _note_failure(self, trial: bool) -> None:
        self.failed += 1
        ejections = self.health.ejections
        self.health.failed(trial, self._others(self))
        if self.health.ejections > ejections:
            _log.warning("engine %s is left alone for %.0f s: its answers fail", self.name, self.health.wait_s())

    async def _refused(self, connection: Connection) -> Failed:
        """The engine's 400 is about the request and is told; its other troubles are its own."""
        status = connection.status
        raw = await whole(connection, b"", MAX_ERROR_BYTES)
        if status == 400:
            return Failed(ApiError(400, reason(raw), code="engine_refused"))
        if status in (429, 503):
            after = connection.headers.get(b"retry-after", b"")
            wait_s = int(after[:4]) if after.isdigit() else 1
            message = "the engine is overloaded; try again"
            told = ApiError(503, message, code="engine_overloaded", retry_after_s=wait_s)
            return Failed(told, elsewhere=True, sent=False)
        told = ApiError(502, f"the engine failed with status {status}", code="engine_failed")
        return Failed(told, elsewhere=status == 502)  # of a router before engines: one of them broke off

    def _message(self, method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
        lines = b"".join(f"{name}: {value}\r\n".encode("latin-1", "replace") for name, value in headers.items())
        if lines.count(b"\n") != len(headers) or lines.count(b"\r") != len(headers):
            raise ApiError(400, "a header holds a line break")
        start = f"{method} {self._address.prefix}{path} HTTP/1.1\r\n".encode("latin-1")
        kind = b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body) if body else b""
        return b"".join((start, self._fixed, kind, lines, b"\r\n", body))

    def _tls_context(self) -> ssl.SSLContext | None:
        try:
            return tls_context(self._address, self.settings.ca_file)
        except OSError as error:  # ssl.SSLError is one
            raise ServeError(
                f"upstream {self.name}: ca_file {self.settings.ca_file}: {error}", "give a file of PEM certificates"
            ) from None
