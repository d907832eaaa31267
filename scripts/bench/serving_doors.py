"""Every door, tried: what answers without a key, and what comes of requests that no client sends by mistake.

Tried through the gateway, in front of a played engine that counts what reaches it, and at the engine's own inner door
(the allow-list middleware around an application that answers everything; with --model, real vLLM):

- every route that the installed vLLM publishes and every route of the gateway, with every method, without a key, with
  wrong, expired and revoked keys, with a good one, and with the key of another role;
- paths spelt in other ways, names of models that are paths, shapes of request smuggling, limits, JSON bombs;
- clients that send or read slowly.

Usage: python scripts/bench/serving_doors.py [--model DIR]
Exit status 1: something but /health was answered without a key, or something reached the engine that must not.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import http.client
import importlib.util
import json
import os
import platform
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from serving_places import Place, PlayedEngine, gateway, inner_door
from serving_shapes import BOMBS, LIMITS, MODEL_NAMES, PATHS, SMUGGLING

from tianjing.engine import Engine, EngineConfig

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
QUESTION = {"model": "tianjing", "messages": [{"role": "user", "content": "你好"}]}
# Who may do what, written down apart from the code; the operator may do everything.
ROLES = {
    ("/ready", "GET"): {"monitor"},
    ("/openapi.json", "GET"): {"monitor"},
    ("/metrics", "GET"): {"monitor"},
    ("/v1/models", "GET"): {"app"},
    ("/v1/chat/completions", "POST"): {"app"},
    ("/v1/completions", "POST"): {"app"},
    ("/v1/decide", "POST"): {"app"},
    ("/v1/handoffs/{id}/words", "GET"): {"app"},
    ("/v1/handoffs", "GET"): {"agent"},
    ("/v1/handoffs/{id}", "GET"): {"agent"},
    ("/v1/handoffs/{id}/events", "GET"): {"agent"},
    ("/v1/handoffs/{id}/claim", "POST"): {"agent"},
    ("/v1/handoffs/{id}/release", "POST"): {"agent"},
    ("/v1/handoffs/{id}/messages", "POST"): {"agent"},
    ("/v1/handoffs/{id}/close", "POST"): {"agent"},
}
# Published beside vLLM's own: by FastAPI, and by the SageMaker standard that vLLM registers.
MORE_ROUTES = ("/adapters", "/adapters/evil", "/openapi.json", "/redoc", "/docs/oauth2-redirect", "/metrics/", "/")
_ROUTE_CALLS = frozenset("get post put delete patch head options api_route add_api_route route mount Mount".split())


@dataclass
class Group:
    """One kind of trial. `wrong` holds what came out as it must not."""

    name: str
    tried: int = 0
    reached: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0


def published_routes() -> list[str]:
    """Paths of every HTTP route in the installed vLLM's source, read without importing it."""
    spec = importlib.util.find_spec("vllm")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("vLLM is not installed; run ./scripts/quickstart.sh once")
    found = set(MORE_ROUTES)
    for file in Path(spec.submodule_search_locations[0], "entrypoints").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                path = node.args[0].value
                if name in _ROUTE_CALLS and isinstance(path, str) and path.startswith("/"):
                    found.add(path.replace("{response_id}", "resp_1"))
    return sorted(found)


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, key: str | None, body: bytes | None = None
) -> int:
    """Status of one request on a connection that is kept."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    if body is not None:
        headers["Content-Type"] = "application/json"
    for last in (False, True):
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except (http.client.HTTPException, OSError):
            connection.close()
            if last:
                raise
    raise AssertionError


def try_routes(place: Place, group: Group, routes: Iterable[str]) -> None:
    """Every route, every method: nothing but GET and HEAD /health without a good key."""
    connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=20)
    bad = [None, *(place.keys[name] for name in ("wrong", "expired", "revoked") if name in place.keys)]
    for path in routes:
        for method in METHODS:
            for key in bad:
                status = ask(connection, method, path, key)
                group.tried += 1
                # The inner door knows no HEAD.
                is_open = (path, method) == ("/health", "GET") or ((path, method, status) == ("/health", "HEAD", 200))
                if status not in (200, 401, 404, 405) or (status == 200) != is_open:
                    group.wrong.append(f"{method} {path} {'without a key' if key is None else 'bad key'}: {status}")
    connection.close()


def try_roles(place: Place, group: Group) -> None:
    """Every route of the gateway with each role's key: the role's own routes and no other."""
    connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=20)
    known = {path for path, _ in ROLES}
    group.wrong += [f"{path}: no word on who may" for path in place.paths if path not in known | {"/health"}]
    for (path, method), may in ROLES.items():
        body = json.dumps(QUESTION).encode() if path == "/v1/chat/completions" else b"{}" if method == "POST" else None
        for role in ("app", "monitor", "agent"):
            status = ask(connection, method, path.replace("{id}", "x"), place.keys[role], body)
            group.tried += 1
            # Who may is told what is wrong with the request, if anything is; who may not, only that.
            if (status == 403) == (role in may) or status in (401, 405):
                group.wrong.append(f"{role} at {path}: {status}")
    connection.close()


def try_paths(place: Place, group: Group) -> None:
    """Paths spelt in another way, with a good key: unknown, whatever they would come to."""
    for path in PATHS:
        request = (
            f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {place.keys['app']}\r\n\r\n"
        )
        status = raw(place.port, request.encode("latin-1"))[0]
        group.tried += 1
        if status not in ((200,) if path.startswith("/health?") else (400, 404)):
            group.wrong.append(f"{path}: {status}")


def try_models(place: Place, group: Group) -> None:
    """Names of models that are paths: unknown, and no engine hears of them."""
    connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=20)
    for name in MODEL_NAMES:
        body = json.dumps({**QUESTION, "model": name}).encode()
        status = ask(connection, "POST", "/v1/chat/completions", place.keys["app"], body)
        group.tried += 1
        if status not in (400, 404):
            group.wrong.append(f"model {name[:30]!r}: {status}")
    connection.close()


def try_shapes(place: Place, group: Group, shapes: dict[str, tuple[bytes, tuple[int, ...]]]) -> None:
    """Raw bytes: one answer, one of those that are right, and then the end of the connection."""
    for name, (data, right) in shapes.items():
        statuses = raw(place.port, data.replace(b"KEY", place.keys["app"].encode()))
        group.tried += 1
        if len(statuses) != 1 or statuses[0] not in right:
            group.wrong.append(f"{name}: {statuses}")


def try_bombs(place: Place, group: Group) -> None:
    """JSON that is costly to read: refused, each within seconds, and the gateway goes on."""
    connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=20)
    for name, body in BOMBS.items():
        began = time.monotonic()
        status = ask(connection, "POST", "/v1/chat/completions", place.keys["app"], body)
        took = time.monotonic() - began
        group.tried += 1
        if status != 400 or took > 10:
            group.wrong.append(f"{name}: {status} after {took:.1f} s")
    if ask(connection, "GET", "/health", None) != 200:
        group.wrong.append("the gateway does not answer any more")
    connection.close()


def try_slow(place: Place, group: Group) -> None:
    """Heads and bodies that never come whole are given up; a stream that nobody reads stops the engine."""
    post = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {place.keys['app']}\r\n"
    slow: dict[str, tuple[bytes, bytes]] = {
        "nothing at all": (b"", b""),
        "blank lines": (b"", b"\r\n"),
        "a head, byte by byte": (b"GET /health HTTP/1.1\r\nHost: x\r\nX-A: ", b"a"),
        "a body, byte by byte": (post.encode() + b"Content-Length: 1000\r\n\r\n", b" "),
        "chunks, byte by byte": (post.encode() + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    }
    for name, (first, then) in slow.items():
        group.tried += 1
        if (took := _trickle(place.port, first, then)) is None:
            group.wrong.append(f"{name}: still open")
        elif took > 10:
            group.wrong.append(f"{name}: {took:.1f} s")
    group.tried += 1
    if not _dropped_when_not_reading(place, post):
        group.wrong.append("a stream that nobody reads goes on")


def _trickle(port: int, first: bytes, then: bytes) -> float | None:
    """Seconds until the other side closes; None when it has not after 15 s."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=0.2) as sock:
        sock.sendall(first)
        while time.monotonic() - began < 15:
            try:
                if not sock.recv(65536):
                    return time.monotonic() - began
            except TimeoutError:
                pass
            except OSError:
                return time.monotonic() - began
            try:
                sock.sendall(then)
            except OSError:
                return time.monotonic() - began
    return None


def _dropped_when_not_reading(place: Place, post: str) -> bool:
    body = json.dumps({**QUESTION, "stream": True}).encode()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", place.port))
        sock.sendall(post.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        began = _until(lambda: place.engine.streaming == 1, 10)
        return began and _until(lambda: place.engine.streaming == 0, 20)


def _until(true: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return False


def raw(port: int, data: bytes) -> list[int]:
    """Statuses of all answers to these bytes, until the other side closes, or falls silent for a second."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=1.0) as sock:
        # Closed before all was sent: the answer may be there all the same.
        with contextlib.suppress(OSError):
            sock.sendall(data)
        with contextlib.suppress(OSError):
            while piece := sock.recv(65536):
                received += piece
    parts = received.split(b"HTTP/1.1 ")
    return [int(part[:3]) for part in parts if part[:3].isdigit() and part[3:4] == b" "]


def try_websocket(place: Place, group: Group) -> None:
    """A WebSocket at the inner door gets no further than anything else."""
    group.tried += 1
    statuses = raw(place.port, SMUGGLING["upgrade to WebSocket"][0])
    if statuses != [403]:
        group.wrong.append(f"WebSocket: {statuses}")


def real_engine(model: Path, folder: Path, routes: list[str]) -> Group:
    """Real vLLM, loaded with `model`: every route and method at its own port, without its secret."""
    config = EngineConfig(model=model, served_name="tianjing", max_model_len=256, kv_cache_gib=0.1)
    group = Group("vLLM itself, no secret")
    with Engine(config, folder / "engine.log") as engine:
        began = time.monotonic()
        port = int(engine.base_url.rsplit(":", 1)[1].partition("/")[0])
        place = Place(port, PlayedEngine(), {"wrong": engine.api_key[:-1]}, ())
        try_routes(place, group, routes)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        if ask(connection, "GET", "/v1/models", engine.api_key) != 200:
            group.wrong.append("its own secret does not open it")
        group.seconds = time.monotonic() - began
    return group


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", type=Path, help="folder of a model: try real vLLM as well")
    given = arguments.parse_args()
    routes = published_routes()
    groups: list[Group] = []

    def trial(place: Place, name: str, work: Callable[[Place, Group], None]) -> None:
        group = Group(name)
        before, began = len(place.engine.reached), time.monotonic()
        work(place, group)
        group.reached, group.seconds = len(place.engine.reached) - before, time.monotonic() - began
        groups.append(group)

    with tempfile.TemporaryDirectory() as folder:
        with gateway(Path(folder)) as place:
            every = sorted({*routes, *place.paths})
            trial(place, "gateway: routes, no good key", lambda p, g: try_routes(p, g, every))
            trial(place, "gateway: roles", try_roles)
            trial(place, "gateway: paths", try_paths)
            trial(place, "gateway: model names", try_models)
            trial(place, "gateway: smuggling", lambda p, g: try_shapes(p, g, SMUGGLING))
            trial(place, "gateway: limits", lambda p, g: try_shapes(p, g, LIMITS))
            trial(place, "gateway: JSON bombs", try_bombs)
            trial(place, "gateway: slow clients", try_slow)
        with inner_door() as place:
            trial(place, "inner door: routes, no secret", lambda p, g: try_routes(p, g, routes))
            trial(place, "inner door: WebSocket", try_websocket)
        if given.model:
            groups.append(real_engine(given.model, Path(folder), routes))
    # Roles: the app's question. Slow clients: the stream that nobody reads.
    expected = {"gateway: roles": 1, "gateway: slow clients": 1}
    for group in groups:
        if group.reached != expected.get(group.name, 0):
            group.wrong.append(f"{group.reached} requests reached the engine, not {expected.get(group.name, 0)}")
    report(groups, len(routes))
    return 1 if any(group.wrong for group in groups) else 0


def report(groups: list[Group], routes: int) -> None:
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{routes} routes of vLLM, {len(METHODS)} methods\n")
    print(f"{'trial':32}{'tried':>8}{'wrong':>8}{'reached the engine':>20}{'seconds':>10}")
    for group in groups:
        print(f"{group.name:32}{group.tried:8}{len(group.wrong):8}{group.reached:20}{group.seconds:10.1f}")
    for group in groups:
        for line in group.wrong[:20]:
            print(f"WRONG {group.name}: {line}")


if __name__ == "__main__":
    sys.exit(main())
