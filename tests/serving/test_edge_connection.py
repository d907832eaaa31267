"""The outer door: what a connection may do and for how long, and what the routes answer."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from jsonschema import Draft202012Validator
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from serving.app import create_app
from serving.config import ServeConfig
from serving.edge.routing import Door, is_plain
from serving.edge.server import listening
from serving.edge.settings import EdgeSettings
from serving.edge.wire import read_body
from serving.guard.factory import GuardFactory
from serving.handoff.api import doors as case_doors
from serving.handoff.sqlite import CaseQueue
from serving.identity.attempts import Attempts
from serving.identity.principal import Principal
from serving.identity.settings import IdentitySettings
from serving.upstreams.pool import Pool
from serving.upstreams.settings import UpstreamSettings
from tests.serving.conftest import ENGINE_KEY, KEY, PlayedEngine, make_gateway
from tianjing.engine import reserve_port

AUTH = f"Authorization: Bearer {KEY}\r\n".encode()
HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
QUESTION = {"model": "tianjing", "messages": [{"role": "user", "content": "你好"}]}


class Edge:
    """A gateway in front of a played engine."""

    def __init__(self, port: int, engine: PlayedEngine):
        self.port = port
        self.engine = engine
        self.url = f"http://127.0.0.1:{port}"

    def connect(self, timeout: float = 20) -> closing[socket.socket]:
        return closing(socket.create_connection(("127.0.0.1", self.port), timeout=timeout))

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {KEY}", **more.pop("headers", {})}
        return httpx.request(method, self.url + path, headers=headers, timeout=20, **more)


@pytest.fixture(scope="module")
def guards() -> GuardFactory:
    return GuardFactory()


@pytest.fixture(scope="module")
def open_edge(tmp_path_factory: pytest.TempPathFactory, guards: GuardFactory) -> Iterator[Callable[..., Edge]]:
    async def echo(request: Request, caller: Principal) -> ASGIApp:
        body = await read_body(request, 100_000)
        return JSONResponse({"bytes": len(body), "from": request.client.host if request.client else ""})

    async def named(request: Request, caller: Principal) -> ASGIApp:
        return JSONResponse({"name": request.path_params["name"]})

    async def remove(request: Request, caller: Principal) -> ASGIApp:
        return JSONResponse({"removed": request.path_params["name"]})

    async def broken(request: Request, caller: Principal) -> ASGIApp:
        raise RuntimeError("身份证11010519491231002X")

    doors = (
        Door("POST", "/v1/echo", "ask", echo),
        Door("GET", "/v1/named/{name}", "ask", named),
        Door("DELETE", "/v1/named/{name}", "operate", remove),
        Door("GET", "/v1/broken", "ask", broken),
    )
    with ExitStack() as stack:

        def start(wrong_keys: int = 1000, **settings: Any) -> Edge:
            engine = PlayedEngine()
            engine_url = stack.enter_context(listening(engine.app(), reserve_port("127.0.0.1", 0)))
            queue = CaseQueue(tmp_path_factory.mktemp("edge") / "cases.sqlite")
            gateway = make_gateway(
                ServeConfig(), Pool([(UpstreamSettings(url=engine_url), ENGINE_KEY)], timeout_s=20), queue, guards
            )
            app = create_app(gateway, (*case_doors(queue), *doors), Attempts(IdentitySettings(wrong_keys=wrong_keys)))
            sock = reserve_port("127.0.0.1", 0)
            stack.enter_context(listening(app, sock, EdgeSettings(**settings)))
            return Edge(sock.getsockname()[1], engine)

        yield start


@pytest.fixture(scope="module")
def edge(open_edge: Callable[..., Edge]) -> Edge:
    return open_edge()


def read_all(sock: socket.socket) -> bytes:
    received = b""
    try:
        while piece := sock.recv(65536):
            received += piece
    except ConnectionError:
        pass
    return received


def read_answer(sock: socket.socket) -> bytes:
    """One answer with a length."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += sock.recv(1)
    length = next(line for line in received.lower().split(b"\r\n") if line.startswith(b"content-length"))
    body = b""
    while len(body) < int(length.split(b":")[1]):
        body += sock.recv(1)
    return received + body


def test_a_kept_connection_answers_one_request_after_another_and_pipelined_ones_in_order(edge: Edge) -> None:
    with edge.connect() as sock:
        for _ in range(3):
            sock.sendall(HEALTH)
            assert read_answer(sock).startswith(b"HTTP/1.1 200")
        paths = [b"/v1/named/%d" % n for n in range(5)]
        sock.sendall(b"".join(b"GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (path, AUTH) for path in paths))
        assert [json.loads(read_answer(sock).split(b"\r\n\r\n")[1])["name"] for _ in paths] == list("01234")


def test_http_1_0_is_answered_and_closed_but_gets_no_stream(edge: Edge) -> None:
    with edge.connect() as sock:
        sock.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        answer = read_all(sock)
        assert answer.startswith(b"HTTP/1.1 200") and b"transfer-encoding" not in answer.lower()
    body = json.dumps({**QUESTION, "stream": True}).encode()
    with edge.connect() as sock:
        sock.sendall(b"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: %d\r\n%s\r\n%s" % (len(body), AUTH, body))
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 505") and b"proxy_http_version 1.1" in answer
    assert edge.engine.received == []


def test_a_refused_head_is_told_why_in_openai_form(edge: Edge) -> None:
    with edge.connect() as sock:
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
        head, _, body = read_all(sock).partition(b"\r\n\r\n")
    error = json.loads(body)["error"]
    assert error["type"] == "invalid_request_error" and "HTTP_1_1" in error["message"]
    assert b"connection: close" in head and b"application/json" in head


def test_a_client_that_is_told_early_gets_to_see_it(edge: Edge) -> None:
    """The answer comes while the body is being sent; closing at once would reset the connection under it."""
    with edge.connect() as sock:
        sock.sendall(b"POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n" + AUTH + b"\r\n")
        for _ in range(30):
            sock.sendall(b" " * 100_000)
        assert read_answer(sock).startswith(b"HTTP/1.1 413")
        sock.sendall(HEALTH)
        assert read_answer(sock).startswith(b"HTTP/1.1 200")


def test_a_body_without_end_is_not_read_for_ever_after_the_answer(edge: Edge) -> None:
    began = time.monotonic()
    sent = 0
    with edge.connect() as sock, pytest.raises(OSError):
        sock.sendall(b"POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n" + AUTH + b"\r\n")
        while time.monotonic() - began < 60:
            sent += sock.send(b" " * 100_000)
    assert sent < 50_000_000


@pytest.fixture(scope="module")
def hasty(open_edge: Callable[..., Edge]) -> Edge:
    """Waits a second for a head, two for a request, and nobody who sends less than 1,000 bytes a second."""
    return open_edge(
        head_timeout_s=1,
        request_timeout_s=2,
        keep_alive_s=1,
        send_timeout_s=1,
        send_buffer_bytes=16 << 10,
        min_body_bytes_per_s=1000,
    )


def trickle(edge: Edge, first: bytes, then: bytes) -> bytes:
    """What comes back until the other side closes; fails when that takes more than half a minute."""
    received, end = b"", time.monotonic() + 30
    with edge.connect(timeout=0.1) as sock:
        sock.sendall(first)
        while time.monotonic() < end:
            try:
                sock.sendall(then)
                piece = sock.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                return received
            if not piece:
                return received
            received += piece
    pytest.fail("the connection is still open")


POST = b"POST /v1/echo HTTP/1.1\r\nHost: x\r\n" + AUTH


@pytest.mark.parametrize(
    ("first", "then", "status"),
    [
        (b"", b"", b""),
        (b"", b"\r\n", b""),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nX: ", b"a", b"408"),
        (POST + b"Content-Length: 90000\r\n\r\n", b" ", b"408"),
        (POST + b"Content-Length: 90000\r\n\r\n", b" " * 400, b"408"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", b"408"),
        # Fast enough, and still too long.
        (POST + b"Content-Length: 90000\r\n\r\n", b" " * 1000, b"408"),
    ],
    ids=["nothing", "blank lines", "head", "body", "faster body", "chunks", "long body"],
)
def test_a_client_that_sends_too_slowly_is_given_up(hasty: Edge, first: bytes, then: bytes, status: bytes) -> None:
    answer = trickle(hasty, first, then)
    assert answer[9:12] == status
    if status:
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["type"] == "invalid_request_error"


def test_an_idle_connection_is_closed_and_blank_lines_do_not_keep_it(hasty: Edge) -> None:
    assert trickle(hasty, HEALTH, b"").startswith(b"HTTP/1.1 200")
    assert trickle(hasty, HEALTH, b"\r\n").startswith(b"HTTP/1.1 200")


def test_a_stream_that_nobody_reads_is_dropped_and_the_engine_stops(hasty: Edge) -> None:
    hasty.engine.endless, hasty.engine.text, hasty.engine.size = True, "好的，已为您登记。" * 40_000, 2000
    hasty.engine.left.clear()
    body = json.dumps({**QUESTION, "stream": True}).encode()
    with closing(socket.socket()) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", hasty.port))
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n" % (AUTH, len(body))
        sock.sendall(head + body)
        assert hasty.engine.left.wait(60)


def test_a_client_that_leaves_stops_the_engine_with_requests_queued_behind_it_too(
    open_edge: Callable[..., Edge], caplog: pytest.LogCaptureFixture
) -> None:
    edge = open_edge()
    edge.engine.endless = True
    body = json.dumps({**QUESTION, "stream": True}).encode()
    request = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n" % (AUTH, len(body)) + body
    )
    with caplog.at_level(logging.ERROR):
        with edge.connect() as sock:
            sock.sendall(request + HEALTH)
            assert sock.recv(100)
        assert edge.engine.left.wait(30)
        edge.ask("GET", "/health")
    assert caplog.records == []


def test_connections_are_counted_over_all_and_by_address(open_edge: Callable[..., Edge]) -> None:
    for settings in ({"max_connections": 3}, {"max_connections_per_address": 3}):
        edge = open_edge(**settings)
        with ExitStack() as stack:
            open_ones = [stack.enter_context(edge.connect()) for _ in range(3)]
            for sock in open_ones:
                sock.sendall(HEALTH)
                assert read_answer(sock).startswith(b"HTTP/1.1 200")
            with edge.connect() as sock:
                answer = read_all(sock)
            assert answer.startswith(b"HTTP/1.1 503") and b"retry-after: 1" in answer
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with edge.connect() as sock:
                sock.sendall(HEALTH)
                if sock.recv(12) == b"HTTP/1.1 200":
                    break
        else:
            pytest.fail("places are not free again")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "application/json; charset=UTF-8"}, 200),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "application/json; charset=gbk"}, 415),
        ({"content-type": "application/json", "content-encoding": "gzip"}, 415),
    ],
)
def test_a_body_is_plain_json_or_refused(edge: Edge, headers: dict[str, str], status: int) -> None:
    assert edge.ask("POST", "/v1/echo", content=b"{}", headers=headers).status_code == status


def test_a_path_has_one_spelling(edge: Edge) -> None:
    assert edge.ask("GET", "/v1/named/a-1.b_2").json() == {"name": "a-1.b_2"}
    spellings = [
        "/v1/named/a/",
        "/v1//named/a",
        "/v1/named/%61",
        "/v1%2Fnamed/a",
        "/v1/named/..",
        "/v1/named/.",
        "/v1/x/../named/a",
    ]
    for path in spellings:
        with edge.connect() as sock:
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode() + AUTH + b"\r\n")
            assert read_all(sock).startswith(b"HTTP/1.1 404"), path
    assert not is_plain({"path": "/v1/ü", "raw_path": b"/v1/%C3%BC"})


def test_methods_of_a_path_are_told(edge: Edge) -> None:
    wrong = edge.ask("PUT", "/v1/named/a")
    assert wrong.status_code == 405 and set(wrong.headers["allow"].split(", ")) == {"GET", "HEAD", "DELETE"}
    assert wrong.json()["error"]["type"] == "invalid_request_error"
    assert edge.ask("DELETE", "/v1/named/a").json() == {"removed": "a"}
    head = edge.ask("HEAD", "/v1/named/a")
    assert head.status_code == 200 and head.content == b""
    assert edge.ask("HEAD", "/v1/echo").status_code == edge.ask("OPTIONS", "/health").status_code == 405


def test_an_unexpected_failure_says_nothing_of_itself(edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer = edge.ask("GET", "/v1/broken")
    assert answer.status_code == 500 and answer.json()["error"]["message"] == "internal error"


def test_repeated_wrong_keys_are_429_and_nobody_is_believed_who_names_another_address(
    open_edge: Callable[..., Edge],
) -> None:
    edge = open_edge(wrong_keys=3)
    headers = [{"authorization": "Bearer wrong", "x-forwarded-for": f"10.0.0.{n}"} for n in range(5)]
    statuses = [edge.ask("GET", "/v1/models", headers=header) for header in headers]
    assert [answer.status_code for answer in statuses] == [401, 401, 401, 429, 429]
    assert int(statuses[-1].headers["retry-after"]) > 0
    proxied = open_edge(wrong_keys=3, trusted_proxies=("127.0.0.1",))
    assert [proxied.ask("GET", "/v1/models", headers=header).status_code for header in headers] == [401] * 5


def test_ready_tells_of_a_keyring_that_cannot_be_read(tmp_path: Path, guards: GuardFactory) -> None:
    class Troubled:
        trouble = "the keyring as it was before stays in use"

        def identify(self, authorization: str | None) -> Principal:
            return Principal("t", "k")

    gateway = make_gateway(ServeConfig(), _Up(), CaseQueue(tmp_path / "q.sqlite"), guards)
    gateway.identity = Troubled()
    sock = reserve_port("127.0.0.1", 0)
    with listening(create_app(gateway), sock) as url:
        answer = httpx.get(url.removesuffix("/v1") + "/ready")
    assert answer.json() == {"status": "ready", "notes": [Troubled.trouble]}


class _Up(Pool):
    async def ready(self) -> bool:
        return True


def test_the_description_names_every_route_and_is_true(edge: Edge) -> None:
    described = edge.ask("GET", "/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    assert set(described["paths"]) >= {
        "/health",
        "/ready",
        "/openapi.json",
        "/v1/models",
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/handoffs",
        "/v1/handoffs/{id}/claim",
        "/v1/echo",
        "/v1/named/{name}",
        "/v1/broken",
    }
    chat = described["paths"]["/v1/chat/completions"]["post"]

    def fits(schema: dict[str, Any], value: Any) -> None:
        Draft202012Validator({**schema, "components": described["components"]}).validate(value)

    question = chat["requestBody"]["content"]["application/json"]["schema"]
    fits(question, {**QUESTION, "tianjing": {"session": "s1"}})
    with pytest.raises(Exception, match="prompt_logprobs"):
        fits(question, {**QUESTION, "prompt_logprobs": 1})
    edge.engine.__dict__.update(vars(PlayedEngine()))
    answer = edge.ask("POST", "/v1/chat/completions", json=QUESTION)
    fits(chat["responses"]["200"]["content"]["application/json"]["schema"], answer.json())
    for path, method in (("/v1/models", "get"), ("/health", "get"), ("/ready", "get")):
        schema = described["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"]
        fits(schema, edge.ask("GET", path).json())
    refused = edge.ask("POST", "/v1/chat/completions", json={**QUESTION, "model": "other"})
    assert str(refused.status_code) in chat["responses"]
    fits(chat["responses"]["404"]["content"]["application/json"]["schema"], refused.json())
    named = described["paths"]["/v1/named/{name}"]
    assert set(named) == {"get", "delete"} and named["get"]["parameters"][0]["in"] == "path"


def test_hundreds_of_unfinished_heads_cost_the_others_nothing(edge: Edge) -> None:
    with ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(edge.connect()).sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX: ")
        assert edge.ask("GET", "/health").status_code == 200
