"""Reading bodies and sending streams over ASGI, attentive to callers who send too much or leave early."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from serving.edge.connection import OUT
from serving.errors import ApiError

Result = TypeVar("Result")

JSON = "application/json"


class Writer(Protocol):
    """Where a stream goes; see `serving.edge.connection.Out`."""

    def write(self, data: bytes) -> bool: ...

    async def drain(self) -> None: ...


class Stream(Protocol):
    """An answer in pieces."""

    async def run(self, out: Writer) -> None:
        """Write everything; when cancelled, because the caller has left, the engine's work ends too."""
        ...

    async def close(self) -> None:
        """The end of a stream that may never have run; harmless after it."""
        ...


class Leaving:
    """Notices that a caller leaves, and then cancels what is being done for him: one watch for a whole request.

    Args:
        receive: of the ASGI application, with nothing of the body left to be read.
    """

    def __init__(self, receive: Receive):
        self._gone = False
        self._cancelled = False
        self._doing: asyncio.Task[Any] | None = None
        self._watch = asyncio.ensure_future(self._watched(receive))

    async def unless(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Await `work` in this task, without one of its own.

        Raises:
            ClientDisconnect: the caller left first, and the work was cancelled.
        """
        if self._gone:
            work.close()
            raise ClientDisconnect
        doing = asyncio.current_task()
        assert doing is not None
        others = doing.cancelling()
        self._doing = doing
        try:
            return await work
        except asyncio.CancelledError:
            if self._cancelled and doing.cancelling() == others + 1:
                raise ClientDisconnect from None
            raise  # the server stops, too
        finally:
            self._doing = None
            if self._cancelled:
                doing.uncancel()

    def over(self) -> None:
        """Nothing is done for the caller any more."""
        self._watch.cancel()

    async def _watched(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        if self._doing is not None:
            self._cancelled = True
            self._doing.cancel()


class EventStream:
    """Server-sent events. When the caller leaves, the stream is cancelled, which ends the engine's work."""

    def __init__(self, stream: Stream, headers: dict[str, str], leaving: Leaving):
        self._stream = stream
        self._leaving = leaving
        fixed = {"content-type": "text/event-stream; charset=utf-8", "x-accel-buffering": "no"}
        self._headers = [(name.encode(), value.encode()) for name, value in {**fixed, **headers}.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self._headers})
            await self._leaving.unless(self._stream.run(scope["extensions"][OUT]))
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except ClientDisconnect:
            pass
        finally:
            self._leaving.over()
            await self._stream.close()


async def read_body(request: Request, limit: int) -> bytes:
    """The body, which is JSON in UTF-8 as it stands.

    Raises:
        ApiError: 413 as soon as it is known to be longer than `limit` bytes; 415 when it is said to be anything else.
    """
    kind = request.headers.get("content-type", JSON).partition(";")
    if kind[0].strip().lower() != JSON or kind[2].strip().lower() not in ("", "charset=utf-8", 'charset="utf-8"'):
        raise ApiError(415, f"the body must be {JSON}")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise ApiError(415, "the body must not be compressed")
    too_long = ApiError(413, f"the body has more than {limit} bytes")
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > limit:
        raise too_long
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limit:
            raise too_long
    return bytes(body)


async def unless_gone(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Await `work`; cancel it, and raise ClientDisconnect, when the caller leaves first."""
    leaving = Leaving(request.receive)
    try:
        return await leaving.unless(work)
    finally:
        leaving.over()
