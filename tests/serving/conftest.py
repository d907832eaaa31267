"""An engine that is played by a small local application, and the real gateway in front of it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from serving.adapters.base import OneModel, Target
from serving.app import create_app
from serving.audit.base import NoAudit, NoVault
from serving.config import ServeConfig
from serving.edge.server import listening
from serving.gateway import Gateway
from serving.guard.base import Guards
from serving.guard.factory import GuardFactory
from serving.handoff.api import doors as case_doors
from serving.handoff.local import LocalDesk
from serving.handoff.sqlite import CaseQueue
from serving.identity.bootstrap import key_from
from serving.limits.local import LocalLimiter
from serving.observe.settings import ObserveSettings
from serving.observe.watch import Watch
from serving.upstreams.base import Upstreams
from serving.upstreams.pool import Pool
from serving.upstreams.settings import UpstreamSettings
from tests.serving.adapter_material import Bench
from tianjing.engine import free_port, reserve_port

KEY = "test-key-0123456789"
ENGINE_KEY = "engine-secret"


@dataclass
class PlayedEngine:
    """Says `text`, in pieces of `size` characters; keeps what it was sent."""

    text: str = "好的，已为您登记。"
    size: int = 3
    fail_with: int | None = None
    break_after: int | None = None
    """Chunks after which a stream breaks off."""
    endless: bool = False
    received: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)
    """Set when the caller of an endless answer has gone."""

    def app(self) -> Starlette:
        routes = [
            Route("/health", lambda request: Response()),
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
        ]
        return Starlette(routes=routes)

    async def chat(self, request: Request) -> Response:
        body = await request.json()
        self.received.append(body)
        self.keys.append(request.headers["authorization"])
        if self.fail_with:
            error = {"error": {"message": "maximum context length is 2048 tokens", "code": self.fail_with}}
            return JSONResponse(error, status_code=self.fail_with)
        if body.get("stream"):
            return StreamingResponse(self.events(body), media_type="text/event-stream")
        if self.endless:
            await self.wait_for_leaving(request)
        usage = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
        choices = [
            {"index": i, "message": {"role": "assistant", "content": self.text}, "finish_reason": "stop"}
            for i in range(body.get("n", 1))
        ]
        return JSONResponse({"id": "x", "object": "chat.completion", "created": 1, "choices": choices, "usage": usage})

    async def wait_for_leaving(self, request: Request) -> None:
        while not await request.is_disconnected():
            await asyncio.sleep(0.02)
        self.left.set()

    async def events(self, body: dict[str, Any]) -> Any:
        def event(choices: list[dict[str, Any]], **more: Any) -> str:
            return f"data: {json.dumps({'id': 'x', 'choices': choices, **more}, ensure_ascii=False)}\r\n\r\n"

        def delta(index: int, reason: str | None = None, **change: Any) -> dict[str, Any]:
            return {"index": index, "delta": change, "finish_reason": reason, "token_ids": [1, 2, 3]}

        choices = range(body.get("n", 1))
        yield ": keep-alive\n\n"
        for i in choices:
            yield event([delta(i, role="assistant", content="")], prompt_token_ids=[9, 9])
        pieces = [self.text[at : at + self.size] for at in range(0, len(self.text), self.size)]
        for number, piece in enumerate(pieces):
            if number == self.break_after:
                await asyncio.sleep(0.5)  # what was sent has arrived: a client may drop unread bytes of a broken stream
                raise ConnectionError("broken on purpose")
            for i in choices:
                yield event([delta(i, content=piece, reasoning="内部想法13812345678")])
        try:
            while self.endless:
                yield event([delta(0, content="，还有")])
                await asyncio.sleep(0.01)
        finally:
            self.left.set()
        for i in choices:
            yield event([delta(i, "stop")])
        yield event([], usage={"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12})
        yield "data: [DONE]\n\n"


def make_gateway(config: ServeConfig, upstreams: Upstreams, queue: CaseQueue, guards: Guards) -> Gateway:
    """A gateway whose other parts are the plainest ones."""
    return Gateway(
        config=config,
        identity=key_from(KEY),
        limiter=LocalLimiter(),
        router=OneModel(config.served_name, Target(config.served_name, release="0123abcd")),
        guards=guards,
        desk=LocalDesk(queue),
        upstreams=upstreams,
        audit=NoAudit(),
        vault=NoVault(),
        observer=Watch(ObserveSettings()),
    )


@dataclass
class Served:
    """The gateway, running."""

    base_url: str
    client: openai.OpenAI
    queue: CaseQueue
    engine: PlayedEngine

    def ask(self, text: str, **more: Any) -> Any:
        messages = [{"role": "user", "content": text}]
        return self.client.chat.completions.create(model="tianjing", messages=messages, **more)

    def stream(self, text: str, **more: Any) -> tuple[str, list[Any]]:
        """The streamed text, and the chunks."""
        chunks = list(self.ask(text, stream=True, **more))
        return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices), chunks


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Served]]:
    """Starts a gateway in front of a played engine, with other parts than the plainest where given."""
    shared_guards = GuardFactory()
    with ExitStack() as stack:

        def start_one(
            config: ServeConfig | None = None,
            guards: Guards = shared_guards,
            engine_url: str | None = None,
            **parts: Any,
        ) -> Served:
            engine = PlayedEngine()
            if engine_url is None:
                engine_url = stack.enter_context(listening(engine.app(), reserve_port("127.0.0.1", 0)))
            queue = CaseQueue(tmp_path_factory.mktemp("state") / "handoffs.sqlite")
            pool = Pool([(UpstreamSettings(url=engine_url), ENGINE_KEY)], timeout_s=20)
            gateway = make_gateway(config or ServeConfig(), pool, queue, guards)
            app = create_app(dataclasses.replace(gateway, **parts), case_doors(queue))
            base_url = stack.enter_context(listening(app, reserve_port("127.0.0.1", 0)))
            client = openai.OpenAI(base_url=base_url, api_key=KEY, max_retries=0, timeout=20)
            return Served(base_url, client, queue, engine)

        yield start_one


@pytest.fixture(scope="session")
def shared(start: Callable[..., Served]) -> Served:
    return start()


@pytest.fixture
def served(shared: Served) -> Served:
    """A gateway with the default settings, its played engine as new and its queue empty."""
    vars(shared.engine).update(vars(PlayedEngine()))
    with sqlite3.connect(shared.queue.path) as database:
        database.execute("DELETE FROM handoffs")
    return shared


@pytest.fixture
def dead_url() -> str:
    """Where nothing listens."""
    return f"http://127.0.0.1:{free_port()}/v1"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A registry of weights with everything around it."""
    return Bench(tmp_path)
