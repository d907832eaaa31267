"""The engine as the gateway sees it: one HTTP session, every failure an `ApiError` for the caller."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from serving.errors import ApiError

CONNECT_TIMEOUT_S = 5
READY_TIMEOUT_S = 2


class Upstream:
    """One engine: sends requests to the engine at `base_url` ("http://…/v1")."""

    def __init__(self, base_url: str, api_key: str, timeout_s: float):
        self._base_url = base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(
            headers=self._headers, timeout=self._timeout, connector=aiohttp.TCPConnector(limit=0), trust_env=False
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def ready(self) -> bool:
        """Whether the engine answers its health check."""
        assert self._session is not None
        url = self._base_url.removesuffix("/v1") + "/health"
        try:
            async with self._session.get(url, timeout=aiohttp.ClientTimeout(total=READY_TIMEOUT_S)) as response:
                return response.status == 200
        except (TimeoutError, aiohttp.ClientError):
            return False

    @asynccontextmanager
    async def ask(
        self, group: str, path: str, payload: dict[str, Any], headers: dict[str, str] | None = None
    ) -> AsyncIterator[EngineReply]:
        """Send a request; leaving the block early makes the engine stop generating.

        Raises:
            ApiError: 400 with the engine's reason, 502, 503 or 504.
        """
        assert self._session is not None
        url = self._base_url.removesuffix("/v1") + path
        try:
            async with self._session.post(url, data=self.encode(payload), headers=headers) as response:
                if response.status != 200:
                    raise _refused(response.status, await response.read())
                yield EngineReply(response)
        except TimeoutError:
            raise ApiError(504, "the engine did not answer in time", code="engine_timeout") from None
        except aiohttp.ClientError:
            raise ApiError(502, "the engine cannot be reached", code="engine_unreachable") from None

    def encode(self, payload: dict[str, Any]) -> bytes:
        """The very bytes that the engine gets."""
        return json.dumps(payload, ensure_ascii=False).encode()


class EngineReply:
    """An answer that has begun with status 200."""

    upstream = "engine"

    def __init__(self, response: aiohttp.ClientResponse):
        self._response = response

    async def read(self) -> dict[str, Any]:
        """The whole body."""
        try:
            answer = json.loads(await self._response.read())
        except ValueError:
            raise ApiError(502, "the engine's answer cannot be read", code="engine_failed") from None
        if not isinstance(answer, dict):
            raise ApiError(502, "the engine's answer cannot be read", code="engine_failed")
        return answer

    def pieces(self) -> AsyncIterator[bytes]:
        """The body as it arrives."""
        return _pieces(self._response)


async def _pieces(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for piece in response.content.iter_any():
            yield piece
    except TimeoutError:
        raise ApiError(504, "the engine fell silent in the middle of the answer", code="engine_timeout") from None
    except aiohttp.ClientError:
        raise ApiError(502, "the engine broke off in the middle of the answer", code="engine_failed") from None


def _refused(status: int, raw: bytes) -> ApiError:
    """The engine's 400 is about the request and is told; its other troubles are its own."""
    if status == 400:
        try:
            return ApiError(400, str(json.loads(raw)["error"]["message"]), code="engine_refused")
        except (ValueError, KeyError, TypeError):
            return ApiError(400, "the engine refused the request", code="engine_refused")
    if status in (429, 503):
        return ApiError(503, "the engine is overloaded; try again", code="engine_overloaded", retry_after_s=1)
    return ApiError(502, f"the engine failed with status {status}", code="engine_failed")
