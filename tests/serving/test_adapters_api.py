"""The operator's routes and commands, on a running gateway."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from starlette.applications import Starlette
from typer.testing import CliRunner

from serving.adapters.api import doors
from serving.adapters.cli import app as cli
from serving.adapters.metrics import AdapterCollector
from serving.adapters.registry import Registry
from serving.app import create_app
from serving.config import ServeConfig
from serving.edge.server import listening
from serving.errors import ApiError, ServeError
from serving.guard.factory import GuardFactory
from serving.handoff.sqlite import CaseQueue
from serving.identity.principal import Principal
from serving.upstreams.pool import Pool
from serving.upstreams.settings import UpstreamSettings
from tests.serving.adapter_material import NAME, Bench
from tests.serving.conftest import ENGINE_KEY, PlayedEngine, make_gateway
from tianjing.engine import reserve_port


@dataclasses.dataclass
class Keys:
    """An operator, one who may operate another model alone, and an application."""

    def identify(self, authorization: str | None) -> Principal:
        match (authorization or "").removeprefix("Bearer "):
            case "operator-key":
                return Principal("acme", "op1")
            case "narrow-key":
                return Principal("acme", "op2", models=frozenset({"else"}))
            case "app-key":
                return Principal("acme", "app1", "app")
        raise ApiError(401, "missing or wrong API key", code="invalid_api_key")


@dataclasses.dataclass
class Running:
    """A gateway with a registry."""

    url: str
    bench: Bench
    registry: Registry
    engine: PlayedEngine

    def call(self, method: str, path: str, body: Any = None, key: str = "operator-key") -> httpx.Response:
        headers = {"authorization": f"Bearer {key}"}
        content = body if isinstance(body, bytes) else json.dumps(body) if body is not None else None
        return httpx.request(method, self.url + path, content=content, headers=headers, timeout=60)


@pytest.fixture(scope="module")
def guards() -> GuardFactory:
    return GuardFactory()


@pytest.fixture
def running(tmp_path: Path, guards: GuardFactory) -> Iterator[Running]:
    bench, engine = Bench(tmp_path), PlayedEngine()
    registry = bench.registry()
    with listening(engine.app(), reserve_port("127.0.0.1", 0)) as engine_url:
        upstream = Pool([(UpstreamSettings(url=engine_url), ENGINE_KEY)], timeout_s=20)
        gateway = make_gateway(ServeConfig(), upstream, CaseQueue(tmp_path / "cases.sqlite"), guards)
        gateway = dataclasses.replace(gateway, router=registry.router, identity=Keys())
        app = create_app(gateway, doors(registry))
        with listening(opened(app, registry), reserve_port("127.0.0.1", 0)) as url:
            yield Running(url.removesuffix("/v1"), bench, registry, engine)


def opened(app: Starlette, registry: Registry) -> Starlette:
    """The application, which opens the registry with its other parts."""
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(started: Starlette) -> AsyncIterator[None]:
        async with inner(started):
            await registry.open()
            try:
                yield
            finally:
                await registry.close()

    app.router.lifespan_context = lifespan
    return app


def added(running: Running, version: str = "v2") -> httpx.Response:
    folder = running.bench.adapter(version)
    release = running.bench.release(folder, f"{version}.json")
    body = {"name": NAME, "version": version, "folder": str(folder), "release": str(release)}
    return running.call("POST", "/v1/adapters", body)


def test_a_promoted_adapter_answers_chats_under_its_own_engine_name(running: Running) -> None:
    answer = added(running)
    assert answer.status_code == 201 and answer.json()["stable"].startswith("configured-")
    moved = running.call("POST", f"/v1/adapters/{NAME}/canary", {"version": "v2", "share": 0.999999})
    assert moved.status_code == 200 and moved.json()["canary"]["version"] == "v2"
    chat = {"model": NAME, "messages": [{"role": "user", "content": "你好"}], "max_tokens": 8}
    answer = running.call("POST", "/v1/chat/completions", chat)
    assert answer.status_code == 200
    assert running.engine.received[-1]["model"].startswith("v2-")
    assert answer.headers["x-tianjing-release"] == running.registry.state.models[NAME].versions["v2"].digest
    assert running.call("POST", f"/v1/adapters/{NAME}/promote").json()["stable"] == "v2"
    back = running.call("POST", f"/v1/adapters/{NAME}/rollback", {"reason": "投诉"}).json()
    assert back["stable"].startswith("configured-") and back["moved"]["why"] == "投诉"
    running.call("POST", "/v1/chat/completions", chat)
    assert running.engine.received[-1]["model"] == NAME
    assert running.bench.audit.events[-1][1]["who"] == "acme/op1"
    # The engine's own names are none that callers could use.
    chat["model"] = next(iter(running.registry.state.placements))
    assert chat["model"] == NAME or running.call("POST", "/v1/chat/completions", chat).status_code == 404


def test_only_an_operator_moves_adapters_and_only_of_its_own_models(running: Running) -> None:
    added(running)
    canary = {"version": "v2", "share": 0.5}
    calls = [
        ("GET", "/v1/adapters", None),
        ("POST", "/v1/adapters", {"name": NAME, "version": "v3", "folder": "/x"}),
        ("POST", f"/v1/adapters/{NAME}/canary", canary),
        ("POST", f"/v1/adapters/{NAME}/promote", {}),
        ("POST", f"/v1/adapters/{NAME}/rollback", {}),
    ]
    for method, path, body in calls:
        assert running.call(method, path, body, "wrong").status_code == 401
        assert running.call(method, path, body, "app-key").status_code == 403
        if method == "POST":
            assert running.call(method, path, body, "narrow-key").status_code == 404
    assert running.call("GET", "/v1/adapters", key="narrow-key").json()["data"] == []
    assert running.registry.state.models[NAME].canary is None


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        ("", {"name": NAME, "version": "../v", "folder": "/x"}, 400, "'version' must match"),
        ("", {"name": "../m", "version": "v", "folder": "/x"}, 400, "'name' must match"),
        ("", {"name": NAME, "version": "v", "folder": "/etc"}, 400, "not below a folder"),
        ("", {"name": NAME, "version": "v", "folder": "inbox"}, 400, "not an absolute path"),
        ("", {"name": NAME, "version": "v", "folder": "/x\0"}, 400, "control characters"),
        ("", {"name": NAME, "version": "v"}, 400, "'folder': Field required"),
        ("", {"name": NAME, "version": "v", "folder": "/x", "load_inplace": True}, 400, "load_inplace"),
        ("", b"{", 400, "not JSON"),
        ("", b"[" * 10_000, 400, "not JSON"),
        ("", b" " * 20_000, 413, "more than"),
        (f"/{NAME}/canary", {"version": "v2", "share": 1.5}, 400, "share"),
        (f"/{NAME}/canary", {"version": "v2", "share": 0}, 400, "share"),
        (f"/{NAME}/canary", {"version": "none", "share": 0.5}, 404, "no version 'none'"),
        ("/none/canary", {"version": "v2", "share": 0.5}, 404, "no model 'none'"),
        ("/..%2f..%2fetc/canary", {"version": "v2", "share": 0.5}, 404, "unknown path"),
        (f"/{NAME}/promote", {}, 409, "no canary"),
        (f"/{NAME}/rollback", {"reason": "a\nb"}, 400, "control characters"),
    ],
)
def test_what_cannot_be_done_is_said_plainly(running: Running, path: str, body: Any, status: int, told: str) -> None:
    answer = running.call("POST", "/v1/adapters" + path, body)
    assert answer.status_code == status and told in answer.json()["error"]["message"]


def test_metrics_show_shares_counts_and_expiry(running: Running) -> None:
    added(running)
    running.call("POST", f"/v1/adapters/{NAME}/canary", {"version": "v2", "share": 0.25})
    collectors = CollectorRegistry()
    collectors.register(AdapterCollector(running.registry))
    text = generate_latest(collectors).decode()
    assert f'tianjing_adapter_share{{model="{NAME}",version="v2"}} 0.25' in text
    assert f'tianjing_adapter_served{{model="{NAME}",version="v2"}} 1.0' in text
    assert f'tianjing_adapter_canary_requests{{arm="canary",bad="no",model="{NAME}",rate="guard"}} 0.0' in text
    assert f'tianjing_adapter_loads{{model="{NAME}",status="ready",version="v2"}} 1.0' in text


def invoke(*arguments: str, key: str | None = "operator-key") -> Any:
    env = {"TIANJING_API_KEY": key or "", "HTTP_PROXY": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:1"}
    return CliRunner().invoke(cli, [*arguments], env=env)


def test_the_commands_do_what_the_routes_do(running: Running) -> None:
    folder = running.bench.adapter("v2")
    release = running.bench.release(folder)
    url = ("--url", running.url)
    done = invoke("add", NAME, "v2", str(folder), "--release", str(release), *url)
    assert done.exit_code == 0 and "v2" in done.stdout and "released until" in done.stdout
    done = invoke("canary", NAME, "v2", "--share", "0.25", *url)
    assert done.exit_code == 0 and "canary v2 at 0.25" in done.stdout
    assert "stable v2" in invoke("promote", NAME, *url).stdout
    assert "stable configured-" in invoke("rollback", NAME, "--reason", "投诉", *url).stdout
    listed = invoke("list", *url)
    assert "rolled back v2: 投诉" in listed.stdout and "without a release" in listed.stdout
    assert json.loads(invoke("list", "--json", *url).stdout)["data"][0]["name"] == NAME
    key_file = running.bench.folder / "key"
    key_file.write_text("operator-key\n")
    assert invoke("list", "--key-file", str(key_file), *url, key=None).exit_code == 0


def test_the_commands_say_what_is_wrong(running: Running) -> None:
    folder = running.bench.adapter("v2")
    url = ("--url", running.url)
    cases = [
        (("add", NAME, "v2", str(folder), *url), "operator-key", 3, "no release is given"),
        (("promote", NAME, *url), "operator-key", 1, "no canary"),
        (("list", *url), "wrong", 1, "401"),
        (("list", *url), "app-key", 1, "403"),
        (("list", *url), None, 2, "no key is given"),
        (("list", "--url", "http://127.0.0.1:9"), "operator-key", 1, "does not answer"),
        (("list", "--url", "file:///etc/passwd"), "operator-key", 2, "not an http"),
        (("list", "--key-file", "/none", *url), None, 2, "no key can be read"),
    ]
    for arguments, key, status, told in cases:
        error = invoke(*arguments, key=key).exception
        assert isinstance(error, ServeError) and error.exit_code == status, arguments
        assert told in error.message and error.remedy, arguments


def test_every_command_has_an_example() -> None:
    for command in ((), ("list",), ("add",), ("canary",), ("promote",), ("rollback",)):
        shown = CliRunner().invoke(cli, [*command, "--help"])
        assert shown.exit_code == 0 and "Example: tianjing serve adapters" in shown.stdout


def test_a_canary_that_the_guard_blocks_is_rolled_back_through_the_gateway(running: Running) -> None:
    added(running)
    running.call("POST", f"/v1/adapters/{NAME}/canary", {"version": "v2", "share": 0.5})
    router = running.registry.router
    caller = Principal("acme", "k1")

    async def ended() -> None:
        async with asyncio.timeout(20):
            while running.registry.state.models[NAME].canary is not None:
                await asyncio.sleep(0.01)

    # The engine says what no collector may say, to the canary's customers alone.
    engine_text = running.engine.text
    for i in range(60):
        body = {"model": NAME, "messages": [{"role": "user", "content": "你好"}], "max_tokens": 8}
        body["tianjing"] = {"session": f"s{i}"}
        arm = router.choose(NAME, caller, f"acme/s{i}")
        router.observe(arm, "none")
        running.engine.text = "再不还钱就把你抓起来坐牢，打断你的腿。" if arm.arm == "canary" else engine_text
        assert running.call("POST", "/v1/chat/completions", body).status_code == 200
        if running.registry.state.models[NAME].canary is None:
            break
    asyncio.run(ended())
    assert "guard rate is higher" in running.registry.listing()[0]["moved"]["why"]
