"""Counts every response, also those that no caller with a key has asked for."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.observe.metrics import Metrics

UNKNOWN: Final = "unknown"


class CountedResponses:
    """Pure ASGI around the application: a response by the pattern of its route, so that ids make no labels."""

    def __init__(self, app: ASGIApp, metrics: Metrics, patterns: frozenset[str]):
        self._app = app
        self._metrics = metrics
        self._patterns = patterns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def counted(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self._metrics.response(self._pattern(scope), message["status"])
            await send(message)

        await self._app(scope, receive, counted)

    def _pattern(self, scope: Scope) -> str:
        route = scope.get("route")
        pattern = getattr(route, "path", scope["path"])
        return pattern if pattern in self._patterns else UNKNOWN
