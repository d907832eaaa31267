"""An engine's answer as the gateway reads it: every failure is an `ApiError` for the caller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from serving.errors import ApiError
from serving.upstreams.http11 import Connection, Silent, WireError

DONE = b"data: [DONE]\n\n"


class EngineReply:
    """An answer that has begun with status 200; `close` it, whether or not it is read to its end.

    Args:
        upstream: name of the engine.
        first: the first piece of the body.
        limit: bytes of the largest body that `read` takes.
        on_close: told when the caller needs no more of it.

    Attributes:
        failed: the engine did not bring it to its end.
    """

    def __init__(
        self,
        upstream: str,
        connection: Connection,
        first: bytes,
        limit: int,
        on_close: Callable[[EngineReply], None],
    ):
        self.upstream = upstream
        self.connection = connection
        self.failed = False
        self._first = first
        self._limit = limit
        self._on_close = on_close
        self._broken = ""

    @property
    def done(self) -> bool:
        """Whether the last event of a stream has come."""
        return self.connection.last.endswith(DONE)

    async def read(self) -> dict[str, Any]:
        """The whole body.

        Raises:
            ApiError: 502 or 504.
        """
        try:
            answer = orjson.loads(await whole(self.connection, self._first, self._limit))
        except WireError as error:
            raise self._told(error) from None
        except ValueError:
            raise ApiError(502, "the engine's answer cannot be read", code="engine_failed") from None
        if not isinstance(answer, dict):
            raise ApiError(502, "the engine's answer cannot be read", code="engine_failed")
        return answer

    async def pump(self, take: Callable[[bytes], bool]) -> bool:
        """Give the body to `take` as it arrives; see `serving.upstreams.base.Reply.pump`."""
        first, self._first = self._first, b""
        if first and not take(first):
            return False
        try:
            return await self.connection.pump(take)
        except WireError as error:
            raise self._told(error) from None

    def break_off(self, reason: str) -> None:
        """Whoever reads the answer gets `reason` as its error."""
        self._broken = reason
        self.connection.fail(WireError(reason, True))

    def close(self) -> None:
        """The caller needs no more of it: the engine stops, unless it has ended."""
        self._on_close(self)

    def _told(self, error: WireError) -> ApiError:
        if self._broken:
            return ApiError(503, self._broken, code="stopping", retry_after_s=2)
        self.failed = True
        if isinstance(error, Silent):
            return ApiError(504, "the engine fell silent in the middle of the answer", code="engine_timeout")
        return ApiError(502, "the engine broke off in the middle of the answer", code="engine_failed")


async def whole(connection: Connection, first: bytes, limit: int) -> bytes:
    """The rest of the body after `first`; raises WireError, also when there is more than `limit`."""
    body = bytearray(first)
    while piece := await connection.piece():
        body += piece
        if len(body) > limit:
            raise WireError(f"the engine's answer has more than {limit} bytes", True)
    return bytes(body)


def reason(raw: bytes) -> str:
    """What an engine's error body says."""
    try:
        return str(orjson.loads(raw)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return "the engine refused the request"
