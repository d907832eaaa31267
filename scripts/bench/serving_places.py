"""Where `serving_doors.py` knocks: the gateway before a played engine, and the engine's inner door."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn

from serving.audit.settings import AuditSettings
from serving.config import ServeConfig
from serving.edge.server import listening
from serving.edge.settings import EdgeSettings
from serving.identity.bootstrap import key_from
from serving.identity.manage import KeyringFile
from serving.identity.settings import IdentitySettings
from serving.launch.compose import compose
from serving.launch.plan import Endpoint
from serving.upstreams.pool import Pool
from serving.upstreams.settings import UpstreamSettings
from tianjing.engine import reserve_port
from tianjing.engine.allow_list import ROUTES, SECRET_VARIABLE, AllowList

SECRET = "inner-door-secret-0123456789"
EDGE = EdgeSettings(head_timeout_s=1.5, request_timeout_s=4, send_timeout_s=2, send_buffer_bytes=16 << 10)


class PlayedEngine:
    """Answers every request with 200; `reached` counts them, and `streaming` the endless streams in progress."""

    def __init__(self) -> None:
        self.reached: list[str] = []
        self.streaming = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["path"] != "/health":  # the gateway's own checks
            self.reached.append(scope["path"])
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message["more_body"]:
                break
        if b'"stream": true' in body or b'"stream":true' in body:
            await self._endless(receive, send)
            return
        choice = {"index": 0, "message": {"role": "assistant", "content": "好的。"}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        await _answer(send, {"id": "x", "object": "chat.completion", "created": 1, "choices": [choice], "usage": usage})

    async def _endless(self, receive: Any, send: Any) -> None:
        self.streaming += 1
        leaving = asyncio.ensure_future(receive())
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            piece = {"choices": [{"index": 0, "delta": {"content": "好的，已为您登记。" * 200}, "finish_reason": None}]}
            event = f"data: {json.dumps(piece, ensure_ascii=False)}\n\n".encode()
            while not leaving.done():
                await send({"type": "http.response.body", "body": event, "more_body": True})
                await asyncio.sleep(0.005)
        finally:
            leaving.cancel()
            self.streaming -= 1


async def _lifespan(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def _answer(send: Any, value: Any) -> None:
    body = json.dumps(value).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@dataclass
class Place:
    """Where requests go: a gateway or an engine's inner door, the engine behind it, and keys by what they are."""

    port: int
    engine: PlayedEngine
    keys: dict[str, str]
    paths: tuple[str, ...]


@contextmanager
def gateway(folder: Path) -> Iterator[Place]:
    """The gateway with its defaults, but a keyring, time limits of seconds and no account."""
    now = datetime.now(UTC)
    ring = KeyringFile(folder / "keys.jsonl")
    keys = {role: ring.new("acme", role, now)[1] for role in ("app", "monitor", "agent")}
    keys["expired"] = ring.new("acme", "operator", now, expires=now - timedelta(days=1))[1]
    entry, keys["revoked"] = ring.new("acme", "operator", now)
    ring.revoke(entry.id, now)
    keys["wrong"], operator = "tj-" + "a" * 43, "operator-key-0123456789"
    engine = PlayedEngine()
    with ExitStack() as stack:
        url = stack.enter_context(listening(engine, reserve_port("127.0.0.1", 0)))
        config = ServeConfig(
            engine="external",
            upstreams=(UpstreamSettings(url=url),),
            edge=EDGE,
            # Thousands of wrong keys on purpose, from one address.
            identity=IdentitySettings(keyring=ring.path, wrong_keys=1_000_000),
            audit=AuditSettings(mode="off"),
        )
        pool = Pool([(one, SECRET) for one in config.upstreams], config.pool, 20)
        built = compose(Endpoint(None, config, folder, key_from(operator), None, "0123abcd", folder), pool, None)
        sock = reserve_port("127.0.0.1", 0)
        stack.enter_context(listening(built.app, sock, EDGE))
        yield Place(sock.getsockname()[1], engine, keys, tuple(sorted(built.patterns)))


@contextmanager
def inner_door() -> Iterator[Place]:
    """The allow-list middleware around an application that answers everything."""
    engine = PlayedEngine()
    os.environ[SECRET_VARIABLE] = SECRET
    sock = reserve_port("127.0.0.1", 0)
    # As vLLM runs it: plain uvicorn, whatever WebSocket library there is.
    server = uvicorn.Server(uvicorn.Config(AllowList(engine), log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield Place(sock.getsockname()[1], engine, {"wrong": SECRET[:-1]}, tuple(path for _, path in ROUTES))
    finally:
        server.should_exit = True
        thread.join()
