"""The engine's side: its inner door, its command line, and a real adapter in a real engine."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from serving.adapters.loader import Loader
from serving.adapters.names import load_name
from serving.edge.server import listening
from serving.errors import ServeError
from tests.serving.adapter_material import write_adapter
from tianjing.engine import ChatClient, ChatRequest, Engine, EngineConfig, reserve_port
from tianjing.engine.allow_list import LORA_NAME, ROOT_VARIABLE, SECRET_VARIABLE, AllowList
from tianjing.engine.command import arguments, environment
from tianjing.records import Message

SECRET = "s3cret"


class LoraEngine:
    """vLLM's adapter routes as they are, which take any name and any path."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.names: dict[str, str] = {}

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/load_lora_adapter", self.load, methods=["POST"]),
                Route("/v1/unload_lora_adapter", self.unload, methods=["POST"]),
                Route("/v1/models", self.models),
            ]
        )

    async def load(self, request: Request) -> Response:
        body = await request.json()
        assert request.headers["content-type"] == "application/json"
        self.bodies.append(body)
        if body["lora_name"] in self.names:
            return JSONResponse({"error": {"message": "has already been loaded", "code": 400}}, 400)
        self.names[body["lora_name"]] = body["lora_path"]
        return Response("Success")

    async def unload(self, request: Request) -> Response:
        body = await request.json()
        self.bodies.append(body)
        found = self.names.pop(body["lora_name"], None)
        return Response("Success") if found else JSONResponse({"error": {"message": "cannot be found"}}, 404)

    async def models(self, request: Request) -> Response:
        return JSONResponse({"data": [{"id": name} for name in self.names]})


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "loads").mkdir()
    monkeypatch.setenv(SECRET_VARIABLE, SECRET)
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path / "loads"))
    return tmp_path / "loads"


def ask(app: AllowList, path: str, body: Any, key: str = SECRET, method: str = "POST", piece: int = 1 << 20) -> int:
    """Status of a request whose body comes in pieces."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    pieces = [raw[at : at + piece] for at in range(0, len(raw), piece)] or [b""]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        if not pieces:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {key}".encode()), (b"content-length", str(len(raw)).encode())]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": headers,
        "query_string": b"",
        "server": ("e", 1),
        "scheme": "http",
        "root_path": "",
    }
    asyncio.run(app(scope, receive, send))
    return int(sent[0]["status"])


LOAD, UNLOAD = "/v1/load_lora_adapter", "/v1/unload_lora_adapter"


def test_the_inner_door_loads_only_good_names_from_below_the_root(root: Path) -> None:
    engine = LoraEngine()
    door = AllowList(engine.app())
    good = root / "v2-1"
    good.mkdir()
    assert ask(door, LOAD, {"lora_name": "v2-1", "lora_path": str(good)}, piece=7) == 200
    assert ask(door, UNLOAD, {"lora_name": "v2-1"}) == 200
    assert engine.bodies == [{"lora_name": "v2-1", "lora_path": str(good)}, {"lora_name": "v2-1"}]

    outside = root.parent / "outside"
    outside.mkdir()
    beside = root.parent / "loads-2"
    beside.mkdir()
    (root / "link").symlink_to(outside)
    paths = [outside, beside, root / ".." / "outside", root / "link", root, root / "none", Path("v2-1"), Path("/")]
    bad: list[Any] = [{"lora_name": "v2-2", "lora_path": str(path)} for path in paths]
    names = ("../v2", "a/b", "", "A", "a" * 65, "v\n", "v\0")
    bad += [{"lora_name": name, "lora_path": str(good)} for name in names]
    bad += [
        {"lora_name": "v2-2"},
        {"lora_name": "v2-2", "lora_path": str(good), "load_inplace": True},
        {"lora_name": "v2-2", "lora_path": [str(good)]},
        {"lora_name": "v2-2", "lora_path": str(good) + "\0"},
        {"lora_name": "v2-2", "lora_path": "\ud800"},
        [],
        b"",
        b"{",
        b"\xff",
        b"[" * 8000,
        b" " * 9000,
    ]
    engine.bodies.clear()
    for body in bad:
        assert ask(door, LOAD, body) == 400, body
    assert engine.bodies == []


def test_of_two_values_for_a_field_the_engine_gets_the_one_that_was_checked(root: Path) -> None:
    engine = LoraEngine()
    (root / "v2-1").mkdir()
    twice = f'{{"lora_name":"v2-1","lora_path":"/etc","lora_path":"{root / "v2-1"}"}}'.encode()
    assert ask(AllowList(engine.app()), LOAD, twice) == 200
    assert engine.bodies == [{"lora_name": "v2-1", "lora_path": str(root / "v2-1")}]


def test_the_routes_are_closed_without_the_secret_and_where_nothing_is_loaded_at_run_time(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = LoraEngine()
    (root / "v2-1").mkdir()
    body = {"lora_name": "v2-1", "lora_path": str(root / "v2-1")}
    door = AllowList(engine.app())
    for path in (LOAD, UNLOAD):
        assert ask(door, path, body, "wrong") == 401
        assert ask(door, path, body, method="GET") == 404
    assert {ask(door, path, body) for path in ("/adapters", "/adapters/v2-1", LOAD + "/")} == {404}
    monkeypatch.delenv(ROOT_VARIABLE)
    closed = AllowList(engine.app())
    assert {ask(closed, path, body) for path in (LOAD, UNLOAD)} == {404}
    assert engine.bodies == []


def test_every_name_of_a_load_passes_the_inner_door() -> None:
    for version in ("v", "a" * 64, "v1.2_3-4"):
        first, second = load_name(version), load_name(version)
        assert first != second and LORA_NAME.fullmatch(first) and LORA_NAME.fullmatch(second)


def test_the_loader_speaks_to_a_port_and_to_a_socket(root: Path) -> None:
    engine = LoraEngine()
    (root / "v2-1").mkdir()
    door = AllowList(engine.app())

    async def scene(loader: Loader) -> None:
        await loader.load("v2-1", root / "v2-1")
        assert await loader.loaded() == {"v2-1"}
        with pytest.raises(ServeError, match="400: has already been loaded"):
            await loader.load("v2-1", root / "v2-1")
        await loader.unload("v2-1")
        await loader.unload("v2-1")
        assert await loader.loaded() == set()
        stranger = Loader("g", loader.url, "wrong", 2, 64)
        with pytest.raises(ServeError, match="401"):
            await stranger.load("v2-2", root / "v2-1")

    with listening(door, reserve_port("127.0.0.1", 0)) as url:
        asyncio.run(scene(Loader("g", url.removesuffix("/v1"), SECRET, 2, 64)))
    with pytest.raises(ServeError, match="does not answer"):
        asyncio.run(Loader("g", url.removesuffix("/v1"), SECRET, 2, 64).loaded())

    async def on_socket() -> None:
        path = str(root.parent / "s")
        server = uvicorn.Server(uvicorn.Config(door, uds=path, log_level="warning"))
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        await scene(Loader("g", f"unix:{path}", SECRET, 2, 64))
        server.should_exit = True
        await serving

    asyncio.run(on_socket())


def test_the_engine_opens_the_routes_only_when_it_is_told_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ROOT_VARIABLE, "/from/outside")
    plain = EngineConfig(model=tmp_path)
    assert ROOT_VARIABLE not in environment(plain, "s", True)
    assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING" not in environment(plain, "s", True)
    assert "--enable-lora" not in arguments(plain, 1, True)
    config = EngineConfig(model=tmp_path, runtime_lora=True, adapter_root=tmp_path, max_loras=2, max_lora_rank=32)
    values = environment(config, "s", True)
    assert values["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "1" and values[ROOT_VARIABLE] == str(tmp_path)
    command = arguments(config, 1, True)
    assert command.count("--enable-lora") == 1
    for option, value in (("--max-loras", "2"), ("--max-cpu-loras", "2"), ("--max-lora-rank", "32")):
        assert command[command.index(option) + 1] == value
    both = config.model_copy(update={"adapter": write_adapter(tmp_path / "static", r=100)})
    command = arguments(both, 1, True)
    assert command.count("--enable-lora") == 1 and command[command.index("--max-lora-rank") + 1] == "128"
    with pytest.raises(ValidationError, match="adapter_root"):
        EngineConfig(model=tmp_path, runtime_lora=True)


@pytest.mark.slow
def test_a_real_adapter_is_loaded_asked_and_unloaded_while_the_engine_runs(tiny_model: Path, tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(3)
    model: Any = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    lora = LoraConfig(r=4, lora_alpha=64, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False)
    get_peft_model(model, lora).save_pretrained(str(tmp_path / "loads" / "v2-1"))
    config = EngineConfig(
        model=tiny_model,
        max_model_len=256,
        kv_cache_gib=0.1,
        runtime_lora=True,
        adapter_root=tmp_path / "loads",
        max_loras=2,
        max_lora_rank=8,
    )
    with Engine(config, tmp_path / "engine.log") as engine:
        loader = Loader("default", engine.base_url.removesuffix("/v1"), engine.api_key, 2, 8)

        def say(name: str) -> str:
            async def asked() -> str:
                async with ChatClient(engine.base_url, engine.api_key, 60) as client:
                    request = ChatRequest(name, (Message(role="user", content="你好"),), max_tokens=12)
                    return (await client.chat(request)).text

            return asyncio.run(asked())

        base = say("tianjing")
        asyncio.run(loader.load("v2-1", tmp_path / "loads" / "v2-1"))
        assert asyncio.run(loader.loaded()) == {"tianjing", "v2-1"}
        tuned = say("v2-1")
        assert tuned != base
        with pytest.raises(ServeError, match="400"):
            asyncio.run(loader.load("v2-2", tiny_model))
        asyncio.run(loader.unload("v2-1"))
        assert asyncio.run(loader.loaded()) == {"tianjing"}
        assert say("tianjing") == base
