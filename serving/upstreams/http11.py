"""HTTP/1.1 to an engine, as lean as a stream of small pieces needs: one connection, one exchange at a time.

aiohttp does the same with several times the work for each piece; `scripts/bench/serving_client.py` measures both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

MAX_HEADER_BYTES = 64 * 1024
# A caller that reads slowly stops the reading from the engine; what has arrived by then waits in memory.
HIGH_WATER_BYTES = 256 * 1024


class WireError(Exception):
    """An exchange failed. `heard`: whether any byte of the answer had come."""

    def __init__(self, reason: str, heard: bool):
        super().__init__(reason)
        self.heard = heard


class Broken(WireError):
    """The connection ended before the answer did."""


class Garbled(WireError):
    """What came is not HTTP, or more than is read."""


class Silent(WireError):
    """Nothing came for too long."""


class Connection(asyncio.Protocol):
    """`request`, then `piece` until it returns b"", then perhaps another request when `reusable`.

    Attributes:
        status: HTTP status of the answer.
        headers: of the answer, names in lower case.
        reusable: the last answer is over, and the engine keeps the connection open.
        last: the piece of the body that was given out last, b"" before the first.
    """

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.reusable = False
        self.last = b""
        self.idle_since = 0.0
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._body: list[bytes] = []
        self._held = 0
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timeout_s = 0.0
        self._heard_at = 0.0
        self._head_bytes = 0
        self._begun = False
        self._over = False
        self._paused = False
        self._error: WireError | None = None
        self._take: Callable[[bytes], bool] | None = None
        self._fault: BaseException | None = None

    @property
    def heard_at(self) -> float:
        """When a byte came last, or the request was sent; by the event loop's clock."""
        return self._heard_at

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def request(self, message: bytes, timeout_s: float) -> None:
        """Send a whole request and wait for the head of the answer.

        Args:
            timeout_s: seconds without a byte, now and in every later `piece`, after which it is given up.

        Raises:
            WireError: the answer did not begin.
        """
        assert self._parser is None or self.reusable
        if self._transport is None or self._transport.is_closing():
            raise Broken("the connection is closed", False)
        self.status, self.headers, self.reusable = 0, {}, False
        self._head_bytes, self._begun, self._over = 0, False, False
        # What the last caller left unread is no part of this answer.
        self._body.clear()
        self._held = 0
        self.last = b""
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        self._parser = httptools.HttpResponseParser(self)
        self._timeout_s, self._heard_at = timeout_s, self._loop.time()
        self._timer = self._loop.call_later(timeout_s, self._check)
        self._transport.write(message)
        while not self._begun:
            await self._more()

    async def piece(self) -> bytes:
        """What of the body has arrived since the last call; b"" after the end.

        Raises:
            WireError: the answer broke off, or nothing came for too long.
        """
        while not self._body:
            if self._over:
                return b""
            await self._more()
        body = self._body
        data = body[0] if len(body) == 1 else b"".join(body)
        body.clear()
        self._held = 0
        self.last = data
        if self._paused:
            self._paused = False
            cast(asyncio.Transport, self._transport).resume_reading()
        return data

    async def pump(self, take: Callable[[bytes], bool]) -> bool:
        """Give what of the body arrives to `take`, in the moment it arrives and without waking a task for it.

        Returns:
            Whether the body has ended; False once `take` has returned False.

        Raises:
            WireError: as `piece`. Whatever `take` raises.
        """
        if self._body and not take(await self.piece()):
            return False
        self._take = take
        try:
            while self._take is not None and not self._over:
                await self._more()
            fault, self._fault = self._fault, None
            if fault is not None:
                raise fault
            return self._take is not None
        finally:
            self._take = None

    def abort(self) -> None:
        """Close at once, unread bytes and all: the engine stops working for whoever has left."""
        self.reusable = False
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()

    def fail(self, error: WireError) -> None:
        """End the exchange with `error`; whoever waits for the next piece gets it once what had arrived is read."""
        if not self._over and self._error is None:
            self._error = error
            self.abort()
            self._wake()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        parser = self._parser
        if parser is None or self.reusable:
            self.abort()  # nobody asked
            return
        self._heard_at = self._loop.time()
        if not self._begun:
            self._head_bytes += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.fail(Garbled("the engine switched protocols", True))
        except httptools.HttpParserError:
            self.fail(Garbled("the engine's answer is not HTTP", True))
        if not self._begun and self._head_bytes > MAX_HEADER_BYTES:
            self.fail(Garbled(f"the head of the engine's answer has more than {MAX_HEADER_BYTES} bytes", True))
        if self._take is not None:
            self._pumped(self._take)
        elif self._waiter is not None:
            if self._begun:
                self._wake()
        elif self._held > HIGH_WATER_BYTES and not self._paused and self.open:
            self._paused = True
            cast(asyncio.Transport, self._transport).pause_reading()

    def _pumped(self, take: Callable[[bytes], bool]) -> None:
        if self._body:
            data = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            self._body.clear()
            self._held = 0
            self.last = data
            try:
                goes_on = take(data)
            except BaseException as error:  # told where the pump is awaited
                self._fault, goes_on = error, False
            if not goes_on:
                self._take = None
        if self._take is None or self._over:
            self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self.reusable = False
        if self._parser is None or self._over:
            return
        framed = b"content-length" in self.headers or b"transfer-encoding" in self.headers
        if self._begun and not framed and error is None and self._error is None:
            self._over = True  # the end of the connection is the end of such a body
            self._wake()
        else:
            self.fail(Broken("the engine closed the connection", self._head_bytes > 0))

    # httptools

    def on_message_begin(self) -> None:
        if self._over:
            self.abort()
            raise Garbled("the engine sent more than its answer", True)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        self.status = self._parser.get_status_code()
        self._begun = self.status >= 200

    def on_body(self, body: bytes) -> None:
        self._body.append(body)
        self._held += len(body)

    def on_message_complete(self) -> None:
        assert self._parser is not None
        if not self._begun:  # 100 and its like announce the answer
            self.headers = {}
            return
        self._over = True
        self.reusable = self._parser.should_keep_alive()
        if self._timer is not None:
            self._timer.cancel()

    def _more(self) -> asyncio.Future[None]:
        """Done when something has come; raises what ended the exchange."""
        if self._error is not None:
            raise self._error
        self._waiter = self._loop.create_future()
        return self._waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():  # it is done when its caller has left
            waiter.set_result(None)

    def _check(self) -> None:
        """One timer for an exchange, moved on when it goes off, instead of one for each piece."""
        due = self._heard_at + self._timeout_s
        now = self._loop.time()
        if self._waiter is None:  # nobody waits for the engine: it is the caller who is slow
            due = now + self._timeout_s
        if now < due:
            self._timer = self._loop.call_at(due, self._check)
        else:
            self.fail(Silent(f"the engine was silent for {self._timeout_s:g} s", self._head_bytes > 0))
