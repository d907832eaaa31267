"""Reading bodies and sending streams over ASGI, attentive to callers who send too much or leave early."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
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


class EventStream:
    """Server-sent events. When the caller leaves, the stream is cancelled, which ends the engine's work."""

    def __init__(self, stream: Stream, headers: dict[str, str]):
        self._stream = stream
        fixed = {"content-type": "text/event-stream; charset=utf-8", "x-accel-buffering": "no"}
        self._headers = [(name.encode(), value.encode()) for name, value in {**fixed, **headers}.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self._headers})
            running = asyncio.ensure_future(self._stream.run(scope["extensions"][OUT]))
            leaving = asyncio.ensure_future(_disconnected(receive))
            try:
                await asyncio.wait({running, leaving}, return_when=asyncio.FIRST_COMPLETED)
                if not running.done():
                    return
                running.result()
            finally:
                await _cancel(running, leaving)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
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


async def unless_gone(request: Request, work: Awaitable[Result]) -> Result:
    """Await `work`; cancel it, and raise ClientDisconnect, when the caller leaves first."""
    doing = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnected(request.receive))
    try:
        await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise ClientDisconnect
        return doing.result()
    finally:
        await _cancel(doing, leaving)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancel(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
