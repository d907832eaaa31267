"""Reading bodies and sending streams over ASGI, attentive to callers who send too much or leave early."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from serving.errors import ApiError

Result = TypeVar("Result")


class EventStream:
    """Server-sent events. When the caller leaves, the generator is closed, which ends the engine's work."""

    def __init__(self, events: AsyncGenerator[bytes, None], headers: dict[str, str]):
        self._events = events
        fixed = {"content-type": "text/event-stream; charset=utf-8", "x-accel-buffering": "no"}
        self._headers = [(name.encode(), value.encode()) for name, value in {**fixed, **headers}.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.ensure_future(self._send(send))
        leaving = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            await _cancel(sending, leaving)
            await self._events.aclose()  # cancelled while sending, the generator still waits at its yield

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        async for piece in self._events:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def read_body(request: Request, limit: int) -> bytes:
    """The body.

    Raises:
        ApiError: 413 as soon as it is known to be longer than `limit` bytes.
    """
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
