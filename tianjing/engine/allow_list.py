"""The bolt on the engine's inner door: a middleware that vLLM loads with `--middleware`.

vLLM's own key guards only some path prefixes and leaves `/invocations`, `/tokenize`, `/adapters` and others
open. Here everything but the few routes below is 404, and each of them but `/health` asks for the secret.

An engine that may load adapters while it runs has two routes more. vLLM would load any path under any name there, so
what they are asked is checked, and passed on in the one form that was checked.
"""

from __future__ import annotations

import hmac
import json
import os
import re
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
# Set where adapters may be loaded at run time, to the folder below which they may lie.
ROOT_VARIABLE = "TIANJING_ADAPTER_ROOT"
LORA_FIELDS = {
    ("POST", "/v1/load_lora_adapter"): {"lora_name", "lora_path"},
    ("POST", "/v1/unload_lora_adapter"): {"lora_name"},
}
LORA_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
MAX_LORA_BODY_BYTES = 8192


class AllowList:
    """Pure ASGI: refuses what is not listed before vLLM sees it; without a secret nothing passes."""

    def __init__(self, app: App):
        self.app = app
        self.expected = f"Bearer {os.environ.get(SECRET_VARIABLE, '')}".encode()
        self.root = os.environ.get(ROOT_VARIABLE, "")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            # The server makes it a 403 before the handshake; an HTTP answer would be an error of its own.
            await send({"type": "websocket.close", "code": 1008})
            return
        route = (scope.get("method"), scope["path"])
        loads = self.root != "" and route in LORA_FIELDS
        if scope["type"] != "http" or not (route in ROUTES or loads):
            await _refuse(send, 404, "not found")
        elif route != OPEN and not self._knows_secret(scope):
            await _refuse(send, 401, "unauthorised")
        elif loads:
            await self._load(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _knows_secret(self, scope: Scope) -> bool:
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        return self.expected != b"Bearer " and hmac.compare_digest(given, self.expected)

    async def _load(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a checked load or unload on, written anew: vLLM reads nothing that was not checked."""
        try:
            asked = json.loads(await _body(receive))
            fields = LORA_FIELDS[scope["method"], scope["path"]]
            if not isinstance(asked, dict) or set(asked) != fields:
                raise ValueError(f"the fields must be {', '.join(sorted(fields))}")
            if not all(isinstance(value, str) for value in asked.values()):
                raise ValueError("every field is a string")
            if not LORA_NAME.fullmatch(asked["lora_name"]):
                raise ValueError(f"lora_name must match {LORA_NAME.pattern}")
            if "lora_path" in fields:
                asked["lora_path"] = self._inside(asked["lora_path"])
        except (ValueError, RecursionError) as error:
            await _refuse(send, 400, str(error))
            return
        body = json.dumps(asked).encode()
        kept = [pair for pair in scope["headers"] if pair[0] == b"authorization"]  # vLLM asks for its key once more
        told = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self.app({**scope, "headers": kept + told}, _once(body, receive), send)

    def _inside(self, path: str) -> str:
        """The real path of an adapter's folder.

        Raises:
            ValueError: it does not lie below the root.
        """
        real = os.path.realpath(path)
        if not os.path.isabs(path) or not real.startswith(self.root.rstrip("/") + "/") or not os.path.isdir(real):
            raise ValueError("lora_path must be the absolute path of a folder below the root of adapters")
        return real


async def _refuse(send: Send, status: int, message: str) -> None:
    body = json.dumps({"error": {"message": message, "code": status}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _body(receive: Receive) -> bytes:
    """The whole body.

    Raises:
        ValueError: it is longer than any load needs, or the caller left.
    """
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ValueError("the caller left")
        body += message.get("body", b"")
        if len(body) > MAX_LORA_BODY_BYTES:
            raise ValueError(f"the body has more than {MAX_LORA_BODY_BYTES} bytes")
        if not message.get("more_body"):
            return bytes(body)


def _once(body: bytes, receive: Receive) -> Receive:
    """Gives `body`, and then what `receive` gives."""
    given = False

    async def again() -> MutableMapping[str, Any]:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
