"""What one chunk of a guarded stream costs the gateway's processor.

In process, without a network: the guard alone, and the whole way from the engine's bytes to the caller's (`feed`), for
events that arrive one by one and for several in one read. Then over real sockets: a gateway process (uvicorn with
uvloop and httptools, the default guard) between an engine process that writes prepared events and a client process;
the gateway's own processor time, user and system, is read from /proc before and after and divided by the chunks.

Paced: each stream gets one event of one delta at a time, `--pace-ms` apart, so that hardly two arrive in one read.
Coalesced: the engine writes eight events at once. Streams of two lengths are run, so that what a request costs and what
a chunk costs can be told apart. The floor is a process that hands the same bytes on without reading them: what the
kernel and the event loop take on this machine, in this minute.

Usage: python scripts/bench/serving_chunk_cost.py [--streams 64] [--tokens 300] [--pace-ms 25] [--in-process]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import platform
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

import uvicorn
import uvloop

from serving.adapters.base import OneModel, Target
from serving.app import create_app
from serving.audit.base import NoAudit, NoVault
from serving.config import ServeConfig
from serving.edge.server import EdgeConfig
from serving.edge.settings import EdgeSettings
from serving.gateway import Gateway
from serving.guard.factory import GuardFactory
from serving.guard.settings import GuardSettings, OutputSettings
from serving.handoff.local import LocalDesk
from serving.handoff.sqlite import CaseQueue
from serving.identity.bootstrap import key_from
from serving.identity.principal import Principal
from serving.limits.local import LocalLimiter
from serving.observe.settings import ObserveSettings
from serving.observe.watch import Watch
from serving.protocol.call import Call
from serving.protocol.forms import form_of
from serving.streams.guarded import GuardedStream
from serving.upstreams.pool import Pool
from serving.upstreams.settings import UpstreamSettings
from tianjing.engine import reserve_port

KEY = "bench-key-0123456789"
CHUNK_CHARS = 3
COALESCED = 8
REPEATS = 7
TARGET_US = 18.0
SAYINGS = (
    "您好，这边是客服，请问有什么可以帮您？",
    "您的借款本月还款日是15日，请保持账户余额充足。",
    "本期应还1234.56元，分12期，年化利率是24%，",
    "我们会尽快为您核实处理，请您留意短信通知。",
    "客服热线95588随时可以打，",
    "如果遇到困难可以申请协商，需要提供材料，",
    "感谢您的理解和支持！",
    "请把手机号13812345678再确认一遍。",
)


def gateway_to(url: str, folder: Path, guard: GuardSettings | None = None) -> Gateway:
    """The gateway in front of the engine at `url`; its other parts are the plainest."""
    config = ServeConfig(max_answer_tokens=100_000)
    return Gateway(
        config=config,
        identity=key_from(KEY),
        limiter=LocalLimiter(),
        router=OneModel(config.served_name, Target(config.served_name)),
        guards=GuardFactory(guard),
        desk=LocalDesk(CaseQueue(folder / "handoffs.sqlite")),
        upstreams=Pool([(UpstreamSettings(url=url), "engine-secret")], timeout_s=60),
        audit=NoAudit(),
        vault=NoVault(),
        observer=Watch(ObserveSettings()),
    )


def deltas(tokens: int, seed: int = 1) -> list[str]:
    """Texts of so many chunks."""
    rng, text = random.Random(seed), ""
    while len(text) < tokens * CHUNK_CHARS:
        text += rng.choice(SAYINGS)
    return [text[at : at + CHUNK_CHARS] for at in range(0, tokens * CHUNK_CHARS, CHUNK_CHARS)]


def events(tokens: int) -> list[bytes]:
    """A stream as vLLM 0.32 writes it."""
    frame = {"id": "chatcmpl-9f1c2d3e4b5a6978", "object": "chat.completion.chunk", "created": 1790000000}

    def one(choices: list[dict[str, Any]], **more: Any) -> bytes:
        body = {**frame, "model": "tianjing", "choices": choices, **more}
        return f"data: {json.dumps(body, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()

    def chunk(delta: dict[str, str], reason: str | None = None) -> bytes:
        return one([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason, "token_ids": None}])

    usage = {"prompt_tokens": 9, "total_tokens": 9 + tokens, "completion_tokens": tokens}
    texts = [chunk({"content": text}) for text in deltas(tokens)]
    return [chunk({"role": "assistant", "content": ""}), *texts, chunk({}, "stop"), one([], usage=usage)]


def in_process(tokens: int) -> None:
    """Processor time of parse, guard and serialise."""
    guards = GuardFactory()
    gc.collect()
    gc.freeze()
    call, caller, wire = Call("/v1/chat/completions", "tianjing", (), {}), Principal("t", "k"), events(tokens)
    texts = deltas(tokens)

    def guard_alone() -> None:
        push = guards(call, caller).outlet(0).push
        for text in texts:
            push(text)

    def feed(reads: list[bytes]) -> None:
        form = form_of(call.path, {"id": "chatcmpl-1", "created": 1, "model": "tianjing"})
        stream = GuardedStream(guards(call, caller), form, 1, include_usage=False)
        for piece in reads:
            stream.feed(piece)

    together = [b"".join(wire[at : at + COALESCED]) for at in range(0, len(wire), COALESCED)]
    print(f"in process, {tokens} chunks of {CHUNK_CHARS} characters, best of {REPEATS}")
    for name, work in (
        ("the guard alone", guard_alone),
        ("feed, one event a read", lambda: feed(wire)),
        (f"feed, {COALESCED} events a read", lambda: feed(together)),
    ):
        print(f"  {name:<32}{best_of(work) / tokens * 1e6:>8.2f} µs per chunk")


def best_of(work: Any) -> float:
    best = float("inf")
    for _ in range(REPEATS):
        begun = time.process_time()
        work()
        best = min(best, time.process_time() - begun)
    return best


class EngineSide(asyncio.Protocol):
    """Writes the prepared events of a stream for each request, which it does not read."""

    tokens, pace_s, together = 0, 0.0, 1
    prepared: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.seen = b""

    def data_received(self, data: bytes) -> None:
        self.seen += data
        head, found, body = self.seen.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        if found and len(body) >= length:
            self.seen = b""
            self.transport.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            )
            self.write(0)

    def write(self, at: int) -> None:
        if self.transport.is_closing():
            return
        self.transport.write(self.prepared[at])
        if at + 1 < len(self.prepared):
            asyncio.get_running_loop().call_later(self.pace_s, self.write, at + 1)


async def engine_role(arguments: argparse.Namespace, together: int) -> None:
    wire = [*events(arguments.tokens), b"data: [DONE]\n\n"]
    joined = [b"".join(wire[at : at + together]) for at in range(0, len(wire), together)]
    EngineSide.prepared = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in joined]
    EngineSide.prepared[-1] += b"0\r\n\r\n"
    EngineSide.pace_s = arguments.pace_ms / 1000 * together
    server = await asyncio.get_running_loop().create_server(EngineSide, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def gateway_role(url: str, reasoning: Literal["drop", "guard"]) -> None:
    guard = GuardSettings(output=OutputSettings(reasoning=reasoning))
    with tempfile.TemporaryDirectory() as folder, reserve_port("127.0.0.1", 0) as sock:
        app = create_app(gateway_to(url, Path(folder), guard))
        gc.collect()
        gc.freeze()
        print(sock.getsockname()[1], flush=True)
        uvicorn.Server(EdgeConfig(app, EdgeSettings(), drain_s=1)).run(sockets=[sock])


class FloorDown(asyncio.Protocol):
    """The client's side of a connection whose bytes are handed on as they come."""

    engine_port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.request = b""

    def data_received(self, data: bytes) -> None:
        self.request += data
        if self.request.endswith(b"}"):
            loop = asyncio.get_running_loop()
            self.task = loop.create_task(loop.create_connection(lambda: FloorUp(self), "127.0.0.1", self.engine_port))


class FloorUp(asyncio.Protocol):
    """The engine's side."""

    def __init__(self, down: FloorDown):
        self.down = down

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(self.down.request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.down.transport.write(data)


async def floor_role(engine_port: int) -> None:
    FloorDown.engine_port = engine_port
    server = await asyncio.get_running_loop().create_server(FloorDown, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class ClientSide(asyncio.Protocol):
    """Sends one request and counts what comes back until the end of the stream."""

    def __init__(self) -> None:
        self.over: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.bytes, self.tail = 0, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        said = [{"role": "user", "content": "我想问一下还款日"}]
        body = json.dumps({"model": "tianjing", "messages": said, "stream": True}).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        transport.write(head.encode() + body)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.bytes += len(data)
        self.tail = (self.tail + data)[-32:]
        if b"[DONE]\n\n" in self.tail and not self.over.done():
            self.over.set_result(self.bytes)
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.over.done():
            self.over.set_exception(ConnectionError("the stream broke off"))


async def client_role(port: int, streams: int, spread_s: float) -> None:
    loop = asyncio.get_running_loop()

    async def one(number: int) -> int:
        await asyncio.sleep(spread_s * number / streams)  # so that the streams' chunks do not come all at once
        _, client = await loop.create_connection(ClientSide, "127.0.0.1", port)
        return await client.over

    print(sum(await asyncio.gather(*(one(number) for number in range(streams)))), flush=True)


def processor_s(pid: int) -> float:
    """User and system time of a process, in seconds: the scheduler's own count, which is finer than utime and stime."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def spent_us(arguments: argparse.Namespace, role: str, together: int, tokens: int) -> float:
    """Microseconds of the gateway's processor for all streams of so many chunks."""
    given = [f"--streams={arguments.streams}", f"--pace-ms={arguments.pace_ms}", f"--tokens={tokens}"]
    running: list[subprocess.Popen[str]] = []

    def start(*role: str) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen([sys.executable, __file__, *given, *role], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        running.append(process)
        return process, process.stdout.readline().strip()

    try:
        _, engine_port = start("--role=engine", f"--together={together}")
        gateway, port = start(f"--role={role}", f"--url=http://127.0.0.1:{engine_port}/v1")
        start("--role=client", f"--port={port}", "--streams=4")  # to warm up
        before = processor_s(gateway.pid)
        _, received = start("--role=client", f"--port={port}")
        spent = processor_s(gateway.pid) - before
        if not received:
            raise RuntimeError("the streams did not come to their end")
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait()
    return spent * 1e6


def over_sockets(arguments: argparse.Namespace, role: str, together: int) -> tuple[float, float]:
    """Microseconds of the gateway's processor for a chunk, and for a request without its chunks."""
    short = arguments.tokens // 10
    few = spent_us(arguments, role, together, short) / arguments.streams
    many = spent_us(arguments, role, together, arguments.tokens) / arguments.streams
    chunk = (many - few) / (arguments.tokens - short)
    return chunk, few - chunk * short


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=64, help="streams at a time")
    parser.add_argument("--tokens", type=int, default=300, help="chunks of a stream")
    parser.add_argument("--pace-ms", type=float, default=25, help="between two events of a stream")
    parser.add_argument("--in-process", action="store_true", help="leave the sockets out")
    parser.add_argument("--role", default="", help=argparse.SUPPRESS)
    parser.add_argument("--url", default="", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--reasoning", default="drop", help=argparse.SUPPRESS)
    parser.add_argument("--together", type=int, default=1, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role == "engine":
        uvloop.run(engine_role(arguments, arguments.together))
    elif arguments.role == "gateway":
        gateway_role(arguments.url, arguments.reasoning)
    elif arguments.role == "floor":
        uvloop.run(floor_role(int(arguments.url.removesuffix("/v1").rpartition(":")[2])))
    elif arguments.role == "client":
        uvloop.run(client_role(arguments.port, arguments.streams, arguments.pace_ms / 1000))
    else:
        print(f"{platform.machine()}, Python {platform.python_version()}, one core for the gateway\n")
        in_process(2000)
        if arguments.in_process:
            return
        print(
            f"\nover sockets, {arguments.streams} streams of {arguments.tokens} chunks, {arguments.pace_ms:g} ms apart"
        )
        for name, role, together in (
            ("floor: bytes handed on unread", "floor", 1),
            ("one delta an event, paced", "gateway", 1),
            (f"{COALESCED} events a write", "gateway", COALESCED),
        ):
            chunk, request = over_sockets(arguments, role, together)
            goal = f", target {TARGET_US:g}" if (role, together) == ("gateway", 1) else ""
            print(f"  {name:<32}{chunk:>8.2f} µs per chunk{goal}; {request:,.0f} µs per request besides")


if __name__ == "__main__":
    main()
