"""The engine's life cycle with a trivial child in vLLM's place, its client, and the real vLLM."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tianjing.engine import ChatClient, ChatRequest, Engine, EngineConfig, EngineError, free_port, require_free_port
from tianjing.engine import server as engine_server
from tianjing.engine.allow_list import SECRET_VARIABLE, AllowList
from tianjing.engine.command import arguments, environment
from tianjing.engine.log import failure, phase
from tianjing.engine.server import end, spawn
from tianjing.models.precision import precision
from tianjing.records import Message

# A child that starts a grandchild, writes both ids down, ignores SIGTERM when told to, and sleeps.
TREE = """
import os, signal, subprocess, sys, time
if len(sys.argv) > 2:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(sys.argv[1] + ".tmp", "w").write(f"{os.getpid()} {grandchild.pid}")
os.rename(sys.argv[1] + ".tmp", sys.argv[1])
time.sleep(600)
"""


def wait_for(condition: Any, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


def tree(ids: Path) -> list[int]:
    assert wait_for(ids.exists)
    return [int(pid) for pid in ids.read_text().split()]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder that passes for a model where no engine reads it."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


@pytest.mark.parametrize("stubborn", [False, True])
def test_stopping_ends_the_command_and_all_it_started(tmp_path: Path, stubborn: bool) -> None:
    ids = tmp_path / "ids"
    process = spawn([sys.executable, "-c", TREE, str(ids), *(["x"] if stubborn else [])], None, sys.stderr.buffer)
    pids = tree(ids)
    if stubborn:  # the owner's death gives a shorter grace than its request to stop
        assert process.stdin
        process.stdin.close()
        process.wait(5)
    else:
        end(process)
    assert wait_for(lambda: not any(map(runs, pids)), 2)


@pytest.mark.parametrize("victim", ["owner", "watchdog"])
def test_kill_9_leaves_nothing_behind(tmp_path: Path, victim: str) -> None:
    ids = tmp_path / "ids"
    owner_code = textwrap.dedent(f"""
        import sys, time
        from tianjing.engine.server import spawn
        process = spawn([sys.executable, "-c", {TREE!r}, {str(ids)!r}], None, sys.stderr.buffer)
        print(process.pid, flush=True)
        time.sleep(600)
    """)
    owner = subprocess.Popen([sys.executable, "-c", owner_code], stdout=subprocess.PIPE, text=True)
    assert owner.stdout
    watchdog = int(owner.stdout.readline())
    child, grandchild = tree(ids)
    os.kill(owner.pid if victim == "owner" else watchdog, signal.SIGKILL)
    try:
        assert wait_for(lambda: not runs(child), 2)
        if victim == "owner":
            assert wait_for(lambda: not runs(grandchild) and not runs(watchdog), 2)
    finally:
        owner.kill()
        owner.wait()
        with contextlib.suppress(ProcessLookupError):
            os.kill(grandchild, signal.SIGKILL)


def test_the_end_of_the_command_is_its_own(tmp_path: Path) -> None:
    with open(tmp_path / "log", "wb") as log:
        assert spawn([sys.executable, "-c", "import sys; sys.exit(7)"], None, log).wait(10) == 7


def test_a_port_in_use_is_named_before_anything_starts(model: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EngineError, match=f"port {port} on 127.0.0.1 is in use") as caught:
            Engine(EngineConfig(model=model, port=port), tmp_path / "log").start()
        assert "--port" in caught.value.remedy and caught.value.exit_code == 2
        assert not (tmp_path / "log").exists()
    require_free_port("127.0.0.1", port)
    assert free_port() > 0


@pytest.mark.parametrize("name", ["absent", "empty"])
def test_a_folder_without_a_model_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(EngineError, match=str(tmp_path / name)):
        Engine(EngineConfig(model=tmp_path / name), tmp_path / "log").start()


def play(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Let the engine run `code` (its port is argv[1]) in vLLM's place."""
    monkeypatch.setattr(
        engine_server, "arguments", lambda config, port, cpu: [sys.executable, "-c", textwrap.dedent(code), str(port)]
    )


ANSWERING = f"""
    import os, sys
    from http.server import BaseHTTPRequestHandler, HTTPServer
    print("Starting to load model x", flush=True)
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            known = self.headers["Authorization"] == "Bearer " + os.environ["{SECRET_VARIABLE}"]
            self.send_response(200 if known else 401)
            self.end_headers()
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def test_it_starts_reports_and_stops(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch, ANSWERING)
    phases: list[str] = []
    with Engine(EngineConfig(model=model), tmp_path / "logs" / "engine.log", phases.append) as engine:
        assert engine.base_url.startswith("http://127.0.0.1:") and engine.base_url.endswith("/v1")
        assert engine.alive() and engine.version
        assert phases[0] == "importing vLLM"
    assert not engine.alive()


def test_a_start_that_fails_says_why_and_where_the_log_is(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(monkeypatch, "raise ValueError('the weights are for another model')")
    with pytest.raises(EngineError, match="ValueError: the weights are for another model") as caught:
        Engine(EngineConfig(model=model), tmp_path / "log").start()
    assert str(tmp_path / "log") in caught.value.remedy and not caught.value.transient


def test_a_start_that_takes_too_long_is_ended(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch, f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(600)")
    with pytest.raises(EngineError, match="did not answer within 1 s"):
        Engine(EngineConfig(model=model, start_timeout_s=1), tmp_path / "log").start()
    assert wait_for(lambda: not runs(int((tmp_path / "pid").read_text())), 2)


def test_the_log_is_read_for_phase_and_reason(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        "Resolved architecture: X\nStarting to load model /m\n"
        "(EngineCore pid=5) ERROR 11-23 [core.py:1] RuntimeError: not enough memory\n"
        "(APIServer pid=4) RuntimeError: Engine core initialization failed. See root cause above.\n"
        "nanobind: leaked 4 instances!\n - leaked instance 0x1\n"
    )
    assert phase(log.read_text()) == "loading weights"
    told = failure(log)
    assert told.startswith("RuntimeError: not enough memory") and "nanobind" not in told


def test_the_secret_is_not_on_the_command_line(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_PLUGINS", "lora_filesystem_resolver")
    config = EngineConfig(model=model, kv_cache_gib=0.5)
    command, env = arguments(config, 1234, is_cpu=True), environment(config, "s3cret", is_cpu=True)
    assert "s3cret" not in " ".join(command) and env[SECRET_VARIABLE] == "s3cret"
    assert env["VLLM_PLUGINS"] == "" and env["HF_HUB_OFFLINE"] == "1"
    assert str(1 << 29) in command


@pytest.mark.parametrize("is_cpu", [True, False])
def test_an_engine_computes_in_the_format_asked_for_else_in_the_machines_own(model: Path, is_cpu: bool) -> None:
    def dtype(config: EngineConfig) -> str:
        command = arguments(config, 1234, is_cpu)
        return command[command.index("--dtype") + 1]

    assert dtype(EngineConfig(model=model, dtype="float32")) == "float32"
    assert dtype(EngineConfig(model=model)) == precision(on_gpu=not is_cpu)


def test_only_listed_routes_reach_the_engine_and_only_with_its_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    async def engine(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    def status(app: AllowList, method: str, path: str, key: str = "s3cret") -> int:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"authorization", f"Bearer {key}".encode())]
        scope = {"type": "http", "method": method, "path": path, "headers": headers}
        asyncio.run(app(scope, None, send))  # type: ignore[arg-type]
        return int(sent[0]["status"])

    monkeypatch.setenv(SECRET_VARIABLE, "s3cret")
    app = AllowList(engine)
    assert status(app, "POST", "/v1/chat/completions") == 200
    assert status(app, "POST", "/v1/chat/completions", "wrong") == 401
    assert status(app, "GET", "/health", "wrong") == 200
    assert {status(app, "POST", path) for path in ("/adapters", "/tokenize", "/invocations", "/v1/models")} == {404}
    monkeypatch.setenv(SECRET_VARIABLE, "")
    assert status(AllowList(engine), "GET", "/v1/models", "") == 401


class Played(BaseHTTPRequestHandler):
    """Answers with what `server.answer` says, after `server.delay_s`."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        server: Any = self.server
        server.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        time.sleep(server.delay_s)
        status, body = server.answer
        if status == 0:
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def played() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Played)
    server.requests, server.delay_s, server.answer = [], 0, (200, b"{}")
    server.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def ask(url: str, timeout_s: float = 10, **more: Any) -> Any:
    async def run() -> Any:
        async with ChatClient(url, "key", timeout_s) as client:
            return await client.chat(ChatRequest("m", (Message(role="user", content="你好"),), 8, **more))

    return asyncio.run(run())


def test_the_client_asks_and_reads_an_answer(played: Any) -> None:
    choice = {"message": {"content": "您好"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    played.answer = (200, json.dumps({"choices": [choice], "usage": usage}).encode())
    completion = ask(played.url, seed=5, stop=("客户：",))
    assert (completion.text, completion.finish_reason) == ("您好", "stop")
    assert (completion.prompt_tokens, completion.completion_tokens) == (3, 2) and completion.latency_s > 0
    assert played.requests == [
        {
            "model": "m",
            "messages": [{"role": "user", "content": "你好"}],
            "max_tokens": 8,
            "temperature": 0.0,
            "top_p": 1.0,
            "seed": 5,
            "stop": ["客户："],
        }
    ]


@pytest.mark.parametrize(
    ("status", "transient"),
    [
        *((status, False) for status in (400, 401, 404, 413, 422, 501, 505)),
        *((status, True) for status in (408, 425, 429, 500, 502, 503, 504, 507, 520, 522, 524, 529)),
    ],
)
def test_refusals_say_whether_to_try_again(played: Any, status: int, transient: bool) -> None:
    played.answer = (status, b'{"error": {"message": "too long"}}')
    with pytest.raises(EngineError, match="too long") as caught:
        ask(played.url)
    assert (caught.value.status, caught.value.transient) == (status, transient)


def test_silence_and_broken_connections_are_transient(played: Any) -> None:
    played.delay_s = 1
    with pytest.raises(EngineError, match="no answer within") as caught:
        ask(played.url, timeout_s=0.2)
    assert caught.value.transient
    played.delay_s, played.answer = 0, (0, b"")
    with pytest.raises(EngineError) as caught:
        ask(played.url)
    assert caught.value.transient
    with pytest.raises(EngineError) as caught:
        ask(f"http://127.0.0.1:{free_port()}/v1")
    assert caught.value.transient and caught.value.status is None


@pytest.mark.parametrize("body", [b"not json", b"{}", b'{"choices": [], "usage": {}}'])
def test_an_answer_of_another_kind_is_an_error(played: Any, body: bytes) -> None:
    played.answer = (200, body)
    with pytest.raises(EngineError) as caught:
        ask(played.url)
    assert not caught.value.transient


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (429, "slow down", "rate_limit"),
        (500, "oops", "server"),
        (503, "busy", "server"),
        (400, "unknown field", "refused"),
        (400, "This model's maximum context length is 2048 tokens. However, you requested 3000", "context_length"),
        (200, "", "protocol"),
    ],
)
def test_failures_say_what_failed(played: Any, status: int, message: str, kind: str) -> None:
    played.answer = (status, json.dumps({"error": {"message": message}}).encode())
    with pytest.raises(EngineError) as caught:
        ask(played.url)
    assert caught.value.kind == kind


CHOICE = {"message": {"content": "您好"}, "finish_reason": "stop"}


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({}, (0, 0)),
        ({"usage": None}, (0, 0)),
        ({"usage": "none"}, (0, 0)),
        ({"usage": {"prompt_tokens": None, "completion_tokens": None}}, (0, 0)),
        ({"usage": {"prompt_tokens": 10.0, "completion_tokens": 3.6, "prompt_tokens_details": []}}, (10, 4)),
        ({"usage": {"prompt_tokens": float("nan"), "completion_tokens": -1}}, (0, 0)),
    ],
)
def test_counts_that_a_server_leaves_out_cost_no_answer(played: Any, usage: Any, counts: tuple[int, int]) -> None:
    played.answer = (200, json.dumps({"choices": [CHOICE], **usage}).encode())
    completion = ask(played.url)
    assert (completion.text, completion.prompt_tokens, completion.completion_tokens) == ("您好", *counts)


def test_a_text_in_parts_and_no_finish_reason_are_an_answer(played: Any) -> None:
    parts = [{"type": "text", "text": "您"}, {"type": "text", "text": "好"}]
    played.answer = (200, json.dumps({"choices": [{"message": {"content": parts}}], "model": "m-1"}).encode())
    completion = ask(played.url)
    assert (completion.text, completion.finish_reason, completion.model) == ("您好", "", "m-1")
    event = {"choices": [{"delta": {"content": parts}}], "model": "m-1"}
    played.answer = (200, events(event))
    completion = ask(played.url, stream=True)
    assert (completion.text, completion.finish_reason, completion.model) == ("您好", "", "m-1")


@pytest.mark.parametrize(
    "choice",
    [
        {"message": {"content": 5}},
        {"message": {"content": [{"type": "image_url", "image_url": "x"}]}},
        {"message": {"content": "好", "reasoning": {"a": 1}}},
        {"message": {"content": "好"}, "finish_reason": 1},
        {"message": "好"},
    ],
)
def test_what_cannot_be_read_as_text_is_an_error_of_its_own_kind(played: Any, choice: Any) -> None:
    played.answer = (200, json.dumps({"choices": [choice]}).encode())
    with pytest.raises(EngineError, match="not an OpenAI chat completion") as caught:
        ask(played.url)
    assert caught.value.kind == "protocol"
    choice = {**choice, "delta": choice["message"]}
    played.answer = (200, events({"choices": [choice]}))
    with pytest.raises(EngineError) as caught:
        ask(played.url, stream=True)
    assert caught.value.kind == "protocol"


def test_a_timeout_is_not_a_broken_connection(played: Any) -> None:
    played.delay_s = 1
    with pytest.raises(EngineError) as caught:
        ask(played.url, timeout_s=0.2)
    assert caught.value.kind == "timeout"
    with pytest.raises(EngineError) as caught:
        ask(f"http://127.0.0.1:{free_port()}/v1")
    assert caught.value.kind == "connection"


def test_further_fields_cached_tokens_and_reasoning(played: Any) -> None:
    choice = {"message": {"content": None, "reasoning_content": "想"}, "finish_reason": "length"}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 2}}
    played.answer = (200, json.dumps({"choices": [choice], "usage": usage}).encode())
    completion = ask(played.url, extra={"top_k": -1})
    assert (completion.text, completion.reasoning, completion.cached_tokens) == ("", "想", 2)
    assert played.requests[0]["top_k"] == -1
    played.answer = (200, json.dumps({"choices": [choice], "usage": {**usage, "prompt_tokens_details": None}}).encode())
    assert ask(played.url).cached_tokens == 0


def events(*bodies: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(body).encode() + b"\n\n" for body in bodies) + b"data: [DONE]\n\n"


def test_a_streamed_answer_tells_its_first_token(played: Any) -> None:
    def part(text: str | None, reason: str | None = None, **more: Any) -> dict[str, Any]:
        return {"choices": [{"index": 0, "delta": {"content": text, **more}, "finish_reason": reason}]}

    usage = {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}
    played.answer = (
        200,
        events(part("", role="assistant"), part("您"), part("好"), part(None, "stop"), {"choices": [], "usage": usage}),
    )
    completion = ask(played.url, stream=True)
    assert (completion.text, completion.finish_reason) == ("您好", "stop")
    assert (completion.prompt_tokens, completion.completion_tokens, completion.cached_tokens) == (3, 2, 1)
    assert completion.first_token_s is not None and 0 < completion.first_token_s <= completion.latency_s
    assert played.requests[0]["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (events({"choices": [{"delta": {"content": "您"}}]}).removesuffix(b"data: [DONE]\n\n"), "server"),
        (events({"error": {"message": "engine died"}}), "server"),
        (b"data: not json\n\n", "protocol"),
    ],
)
def test_a_stream_that_breaks_off_is_no_answer(played: Any, body: bytes, kind: str) -> None:
    played.answer = (200, body)
    with pytest.raises(EngineError) as caught:
        ask(played.url, stream=True)
    assert caught.value.kind == kind


@pytest.mark.slow
def test_vllm_serves_the_tiny_model_and_dies_with_its_owner(tiny_model: Path, tmp_path: Path) -> None:
    code = textwrap.dedent(f"""
        import sys, time
        from pathlib import Path
        from tianjing.engine import Engine, EngineConfig
        config = EngineConfig(model=Path({str(tiny_model)!r}), max_model_len=256, kv_cache_gib=0.1)
        with Engine(config, Path({str(tmp_path / "engine.log")!r})) as engine:
            print(engine.base_url, engine.api_key, engine._process.pid, flush=True)
            time.sleep(600)
    """)
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert owner.stdout
    try:
        base_url, key, watchdog = owner.stdout.readline().split()

        async def twice() -> list[str]:
            request = ChatRequest("tianjing", (Message(role="user", content="工资晚发怎么办"),), 8)
            async with ChatClient(base_url, key) as client:
                assert await client.models() == ["tianjing"]
                answers = [await client.chat(request) for _ in range(2)]
                # More prompt tokens than one step takes: vLLM must not cut a seeded request's prompt on a CPU.
                seeded = [
                    ChatRequest(
                        "tianjing", (Message(role="user", content=f"{number}工资晚发怎么办" * 20),), 4, 0.7, seed=1
                    )
                    for number in range(64)
                ]
                assert len(await asyncio.gather(*map(client.chat, seeded))) == 64
            assert answers[0].completion_tokens > 0
            return [answer.text for answer in answers]

        first, second = asyncio.run(twice())
        assert first == second
        session = int(watchdog)
        members = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _session(pid) == session]
        assert len(members) >= 3  # watchdog, API server, core
        os.kill(owner.pid, signal.SIGKILL)
        assert wait_for(lambda: not any(map(runs, members)), 3)
    finally:
        owner.kill()
        owner.wait()


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return -1
