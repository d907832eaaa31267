"""The bolt on the engine's inner door: a middleware that vLLM loads with `--middleware`.

vLLM's own key guards only some path prefixes and leaves `/invocations`, `/tokenize`, `/adapters` and others
open. Here everything but the few routes below is 404, and each of them but `/health` asks for the secret.
"""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SECRET_VARIABLE = "VLLM_API_KEY"
OPEN = ("GET", "/health")
ROUTES = {
    OPEN,
    ("GET", "/v1/models"),
    ("GET", "/metrics"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
}


class AllowList:
    """Pure ASGI: refuses what is not listed before vLLM sees it; without a secret nothing passes."""

    def __init__(self, app: App):
        self.app = app
        self.expected = f"Bearer {os.environ.get(SECRET_VARIABLE, '')}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            # The server makes it a 403 before the handshake; an HTTP answer would be an error of its own.
            await send({"type": "websocket.close", "code": 1008})
            return
        route = (scope.get("method"), scope["path"])
        if scope["type"] != "http" or route not in ROUTES:
            await _refuse(send, 404, "not found")
        elif route != OPEN and not self._knows_secret(scope):
            await _refuse(send, 401, "unauthorised")
        else:
            await self.app(scope, receive, send)

    def _knows_secret(self, scope: Scope) -> bool:
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        return self.expected != b"Bearer " and hmac.compare_digest(given, self.expected)


async def _refuse(send: Send, status: int, message: str) -> None:
    body = json.dumps({"error": {"message": message, "code": status}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
