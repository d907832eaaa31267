"""The endpoint as a process: its engine dies, its operator stops it, its configuration changes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import yaml

from serving import cli
from serving.config import ServeConfig
from serving.errors import ServeError
from serving.launch import fleet as fleets
from serving.launch.fleet import FIRST, Fleet
from serving.upstreams.pool import Pool
from tests.serving import played_vllm
from tianjing.config import load
from tianjing.engine import free_port
from tianjing.engine import server as engine_server
from tianjing.errors import TianjingError

KEY = "test-key-0123456789"
HEADERS = {"authorization": f"Bearer {KEY}"}
PLAYED = Path(played_vllm.__file__)
ROOT = PLAYED.parents[2]
REPOSITORY_EXAMPLES = ROOT / "examples"


def until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def engines() -> list[int]:
    """Played engines, and their watchdogs, that this process has started; not what other tests have left running."""
    below = {pid: Path(f"/proc/{pid}/cmdline") for pid in children(os.getpid())}
    return [pid for pid, line in below.items() if line.exists() and str(PLAYED) in line.read_text()]


def children(pid: int) -> list[int]:
    """Every process below `pid`."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *children(child)]
    return found


def runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


@dataclass
class Process:
    """`tianjing serve …`, with engines that are played."""

    process: subprocess.Popen[str]
    errors: Path
    base_url: str = ""

    def wait_until_ready(self) -> None:
        assert self.process.stdout
        told = ""
        while "EOF\n\n" not in told and (line := self.process.stdout.readline()):
            told += line
        found = re.search(r"http://\S+/v1", told)
        assert found, self.errors.read_text()
        self.base_url = found[0]

    def post(self, text: str, **more: Any) -> httpx.Response:
        body = {"model": "tianjing", "messages": [{"role": "user", "content": text}], **more}
        return httpx.post(f"{self.base_url}/chat/completions", json=body, headers=HEADERS, timeout=30)

    def log(self) -> str:
        return self.errors.read_text()

    def ready(self) -> bool:
        return httpx.get(f"{self.base_url.removesuffix('/v1')}/ready", headers=HEADERS).status_code == 200


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short path, as sockets need."""
    with tempfile.TemporaryDirectory(prefix="t") as name:
        yield Path(name)


@pytest.fixture
def command(tmp_path: Path, short: Path) -> Iterator[Callable[..., Process]]:
    """Starts the command; whatever happens, nothing of it is left."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, ready: bool = True, **env: str) -> Process:
        errors = tmp_path / f"stderr-{len(started)}"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TIANJING_API_KEY": KEY, "TMPDIR": str(short), **env}
        with open(errors, "w") as stream:
            process = subprocess.Popen(
                [sys.executable, str(PLAYED), "tianjing", "serve", *arguments],
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
                env=environment,
            )
        started.append(process)
        found = Process(process, errors)
        if ready:
            found.wait_until_ready()
        return found

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


def configured(tmp_path: Path, **settings: Any) -> str:
    path = tmp_path / "serve.yaml"
    base = {"port": 0, "require_release": False, "restart_pause_s": 0.5, "state": str(tmp_path / "state")}
    path.write_text(yaml.safe_dump({**base, "pool": {"health_interval_s": 0.1}, **settings}))
    return str(path)


def test_when_the_engine_dies_the_stream_ends_right_and_it_is_started_again(
    command: Callable[..., Process], model: Path, tmp_path: Path
) -> None:
    served = command(configured(tmp_path, model=str(model)))
    assert served.ready() and served.post("你好").status_code == 200
    events = served.post("请断开连接", stream=True).text.split("\n\n")
    assert "第0句" in events[1]
    assert json.loads(events[-3].removeprefix("data: "))["error"]["code"] == "engine_failed"
    assert events[-2] == "data: [DONE]"
    gone = served.post("你好")
    assert gone.status_code == 503 and int(gone.headers["retry-after"]) >= 1
    handed = served.post("我要投诉")  # a person can be reached without an engine
    assert handed.status_code == 200 and handed.headers["x-tianjing-verdict"] == "handoff"
    until(lambda: "the engine answers again" in served.log())
    until(lambda: served.post("你好").status_code == 200)
    assert served.ready()
    assert (tmp_path / "state" / "engine.log.1").exists()


def test_an_engine_that_keeps_dying_ends_the_endpoint_with_its_reason(
    command: Callable[..., Process], model: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    settings = configured(tmp_path, model=str(model), max_restarts=2, restart_pause_s=0.05)
    served = command(settings, PLAYED_BROKEN=str(broken))
    broken.touch()
    died = served.post("请断开连接")
    assert died.status_code == 503 and "retry-after" in died.headers
    assert served.process.wait(60) == 1
    assert "RuntimeError: broken on purpose" in served.log() and "max_restarts" in served.log()


def test_an_engine_that_does_not_start_is_told_at_once(
    command: Callable[..., Process], model: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken").touch()
    served = command(configured(tmp_path, model=str(model)), ready=False, PLAYED_BROKEN=str(tmp_path / "broken"))
    assert served.process.wait(60) == 1 and "RuntimeError: broken on purpose" in served.log()


def streamed(served: Process) -> tuple[threading.Thread, list[str]]:
    """A stream that runs in a thread of its own, begun."""
    text: list[str] = []
    begun = threading.Event()

    def read() -> None:
        body = {"model": "tianjing", "stream": True, "messages": [{"role": "user", "content": "你好"}]}
        with httpx.stream("POST", f"{served.base_url}/chat/completions", json=body, headers=HEADERS, timeout=30) as got:
            for line in got.iter_lines():
                text.append(line)
                begun.set()

    thread = threading.Thread(target=read)
    thread.start()
    assert begun.wait(20)
    return thread, text


def test_sigterm_lets_answers_end_and_takes_nothing_new(
    command: Callable[..., Process], model: Path, tmp_path: Path, short: Path
) -> None:
    served = command("run", str(model), "--config", configured(tmp_path))
    assert list(short.iterdir())
    engine = children(served.process.pid)
    thread, text = streamed(served)
    served.process.send_signal(signal.SIGTERM)
    with pytest.raises(httpx.TransportError):
        until(lambda: served.post("你好").status_code == 0)
    thread.join(20)
    assert "第9句" in "".join(text) and "data: [DONE]" in text and '"error"' not in "".join(text)
    assert served.process.wait(20) == 0 and "stopped" in served.log()
    assert engine and not any(map(runs, engine)) and not list(short.iterdir())


def test_what_does_not_end_in_time_ends_with_an_error_event(
    command: Callable[..., Process], model: Path, tmp_path: Path
) -> None:
    served = command("run", str(model), "--config", configured(tmp_path, drain_s=0))
    thread, text = streamed(served)
    served.process.send_signal(signal.SIGTERM)
    thread.join(20)
    assert '"error"' in "".join(text) and "being stopped" in "".join(text) and "data: [DONE]" in text
    assert served.process.wait(20) == 0


def test_kill_9_of_the_gateway_ends_its_engine(command: Callable[..., Process], model: Path, tmp_path: Path) -> None:
    served = command(configured(tmp_path, model=str(model)))
    below = children(served.process.pid)
    served.process.kill()
    served.process.wait()
    until(lambda: below and not any(map(runs, below)))


@contextlib.contextmanager
def playing(tmp_path: Path, name: str) -> Iterator[str]:
    """An engine of its own, at a unix socket."""
    uds = tmp_path / f"{name}.sock"
    process = subprocess.Popen(
        [sys.executable, str(PLAYED), "play", str(uds)], env={**os.environ, "VLLM_API_KEY": "engine"}
    )
    try:
        until(uds.exists)
        yield f"unix:{uds}"
    finally:
        process.kill()
        process.wait()


def test_the_gateway_alone_takes_up_new_engines_when_its_file_changes(
    command: Callable[..., Process], tmp_path: Path
) -> None:
    with playing(tmp_path, "a") as first, playing(tmp_path, "b") as second:
        external = {"engine": "external", "drain_s": 1}
        settings = configured(tmp_path, **external, upstreams=[{"url": first, "name": "a"}])
        served = command("gateway", settings)
        assert served.post("你好").status_code == 200
        Path(settings).write_text("upstreams: [}")
        until(lambda: "the one before stays" in served.log())
        configured(tmp_path, **external, upstreams=[{"url": second, "name": "b"}], max_choices=2)
        served.process.send_signal(signal.SIGHUP)
        until(lambda: "removed a; added b" in served.log())
        assert "only after a restart: max_choices" in served.log()
        assert served.ready() and served.post("你好").status_code == 200
    gone = served.post("你好")
    assert gone.status_code == 503 and "retry-after" in gone.headers


def test_two_gateways_share_a_port_when_told_to(command: Callable[..., Process], tmp_path: Path) -> None:
    with playing(tmp_path, "a") as url:
        shared = {"engine": "external", "upstreams": [{"url": url}], "reuse_port": True, "port": free_port()}
        for name in ("one", "two"):
            folder = tmp_path / name
            folder.mkdir()
            served = command("gateway", configured(folder, **shared))
        assert served.post("你好").status_code == 200
        other = command("gateway", configured(tmp_path, **shared | {"reuse_port": False}), ready=False)
        assert other.process.wait(30) == 2 and "in use" in other.log()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "no 'model' to serve"),
        ({"engine": "external"}, "needs 'upstreams'"),
        ({"upstreams": [{"url": "http://h"}]}, "engine: external"),
        ({"engine": "external", "upstreams": [{"url": "http://h", "key_env": "ABSENT_KEY"}]}, "ABSENT_KEY"),
        ({"engine": "external", "upstreams": [{"url": "h:1"}]}, "http://host:port"),
    ],
)
def test_a_configuration_that_cannot_be_served_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], told: str
) -> None:
    monkeypatch.setenv("TIANJING_API_KEY", KEY)
    with pytest.raises(TianjingError, match=re.escape(told)) as caught:
        cli.run(Path(configured(tmp_path, **settings)), allow_unreleased=True)
    assert caught.value.exit_code == 2


def test_the_engine_alone_says_that_a_folder_is_missing_before_it_asks_for_a_release(tmp_path: Path) -> None:
    with pytest.raises(TianjingError, match="nope: no such model folder") as caught:
        cli.engine(tmp_path / "nope")
    assert caught.value.exit_code == 2


def test_the_engine_alone_wants_its_secret_and_ends_with_its_process(
    command: Callable[..., Process], model: Path, tmp_path: Path
) -> None:
    uds, log = tmp_path / "e.sock", str(tmp_path / "engine.log")
    arguments = ("engine", str(model), "--allow-unreleased", "--uds", str(uds), "--log", log)
    refused = command(*arguments, ready=False)
    assert refused.process.wait(30) == 2 and "TIANJING_ENGINE_KEY" in refused.log()
    served = command(*arguments, ready=False, TIANJING_ENGINE_KEY="0123456789abcdef")
    assert served.process.stdout and f"unix:{uds}" in served.process.stdout.readline()
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(uds))
        raw.sendall(b"GET /v1/models HTTP/1.1\r\nauthorization: Bearer 0123456789abcdef\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 200")
    os.kill(children(served.process.pid)[-1], signal.SIGKILL)
    assert served.process.wait(30) == 1 and "the engine ended" in served.log()


@dataclass(frozen=True)
class Weights:
    engine_name: str
    folder: Path
    kind: Any = "merged"


def test_a_second_engine_becomes_a_group_of_its_own_and_leaves_again(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_server, "vllm_version", lambda: ("played", True))
    monkeypatch.setattr(
        engine_server, "arguments", lambda config, port, cpu: [sys.executable, str(PLAYED), "play", str(config.uds)]
    )

    async def main() -> None:
        pool = Pool()
        fleet = Fleet(model, ServeConfig(restart_pause_s=0.05), pool, tmp_path, lambda phase: None, lambda reason: None)
        restarted = threading.Event()
        fleet.on_restart = restarted.set
        address, secret = fleet.first.base_url, fleet.first.api_key
        await pool.open()
        try:
            await asyncio.to_thread(fleet.start_first)
            group = await fleet.start(Weights("v2", model))
            assert {state.group: state.state for state in pool.snapshot()} == {FIRST: "up", group: "up"}
            body = {"messages": [{"role": "user", "content": "你好"}]}
            async with pool.ask(group, "/v1/chat/completions", body) as reply:
                assert reply.upstream == group and (await reply.read())["choices"]
            with pytest.raises(TianjingError, match="no such model folder"):
                await fleet.start(Weights("v3", tmp_path / "absent"))
            await fleet.stop(group)
            await fleet.stop(group)
            assert [state.group for state in pool.snapshot()] == [FIRST] and await pool.ready()
            os.kill(next(pid for pid in engines() if not children(pid)), signal.SIGKILL)
            assert await asyncio.to_thread(restarted.wait, 30)
            assert (fleet.first.base_url, fleet.first.api_key) == (address, secret)
        finally:
            await pool.close()
            fleet.close()

    asyncio.run(main())
    assert not engines()
    monkeypatch.setattr(fleets.tempfile, "mkdtemp", lambda prefix: str(tmp_path / ("x" * 100)))
    with pytest.raises(ServeError, match="longer than the path"):
        Fleet(model, ServeConfig(), Pool(), tmp_path, lambda phase: None, lambda reason: None)


def test_the_examples_are_configurations() -> None:
    found = sorted(REPOSITORY_EXAMPLES.glob("serve*.yaml"))
    assert len(found) >= 2
    for path in found:
        load(ServeConfig, path)
