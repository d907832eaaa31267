"""CPU that the gateway's HTTP client spends on each piece of a stream, beside aiohttp's.

    python scripts/bench/serving_client.py [--streams 32] [--pieces 2000] [--rounds 5]

A process of its own plays an engine that writes one chunk of about 200 bytes at a time to every stream in turn, as vLLM
does for a batch; this process reads them and does nothing else. The figure is this process's CPU time (user and system,
the kernel's part of receiving included) divided by the pieces that arrived; "plain" is the same with an
`asyncio.Protocol` that drops what it gets, so what is above it is the client's own. Rounds alternate.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp
import uvloop

from serving.upstreams.pool import Pool
from serving.upstreams.settings import UpstreamSettings

EVENT = b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,'
EVENT += b'"delta":{"content":"\xe6\x82\xa8\xe5\xa5\xbd"},"logprobs":null,"finish_reason":null}]}\n\n'
CHUNK = b"%x\r\n%s\r\n" % (len(EVENT), EVENT)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"


async def play(streams: int, pieces: int, pause_s: float) -> None:
    """The engine: once `streams` callers are there, a piece to each in turn, `pieces` times, then the end; for ever."""
    waiting: list[asyncio.StreamWriter] = []
    full = asyncio.Event()

    async def come(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        waiting.append(writer)
        if len(waiting) == streams:
            full.set()

    server = await asyncio.start_server(come, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    while True:
        await full.wait()
        full.clear()
        batch, waiting[:] = list(waiting), []
        for writer in batch:
            writer.write(HEAD)
        for _ in range(pieces):
            for writer in batch:
                writer.write(CHUNK)
            await asyncio.sleep(pause_s)
        for writer in batch:
            writer.write(b"0\r\n\r\n")
            writer.close()


class Plain(asyncio.Protocol):
    """Drops what it gets; the floor."""

    def __init__(self) -> None:
        self.pieces = 0
        self.over = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.pieces += 1

    def connection_lost(self, error: Exception | None) -> None:
        self.over.set_result(None)


async def plain(port: int) -> int:
    protocol = Plain()
    transport, _ = await asyncio.get_running_loop().create_connection(lambda: protocol, "127.0.0.1", port)
    transport.write(GET)
    await protocol.over
    return protocol.pieces


async def ours(port: int) -> int:
    pool = Pool([(UpstreamSettings(url=f"http://127.0.0.1:{port}"), "")])
    count = 0
    async with pool.ask("default", "/v1/chat/completions", {}) as reply:

        def take(piece: bytes) -> bool:
            nonlocal count
            count += 1
            return True

        await reply.pump(take)
    return count


async def peer(port: int) -> int:
    count = 0
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, sock_read=60)) as session,
        session.get(f"http://127.0.0.1:{port}/") as response,
    ):
        async for _ in response.content.iter_any():
            count += 1
    return count


def measure(client: Callable[[int], Awaitable[int]], port: int, streams: int) -> float:
    """Microseconds of CPU for a piece."""

    async def work() -> float:
        began = time.process_time()
        pieces = sum(await asyncio.gather(*(client(port) for _ in range(streams))))
        return (time.process_time() - began) / pieces * 1e6

    return uvloop.run(work())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--pieces", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pause-ms", type=float, default=1.0, help="between two pieces of a stream")
    parser.add_argument("--play", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.play:
        uvloop.run(play(options.streams, options.pieces, options.pause_ms / 1000))
        return
    engine = subprocess.Popen([sys.executable, __file__, *sys.argv[1:], "--play"], stdout=subprocess.PIPE, text=True)
    try:
        assert engine.stdout
        port = int(engine.stdout.readline())
        clients = {"plain": plain, "ours": ours, "aiohttp": peer}
        times: dict[str, list[float]] = {name: [] for name in clients}
        for _ in range(options.rounds):
            for name, client in clients.items():
                times[name].append(measure(client, port, options.streams))
    finally:
        engine.kill()
        engine.wait()
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {os.cpu_count()} cores, Python {platform.python_version()}")
    floor = statistics.median(times["plain"])
    for name, values in times.items():
        middle = statistics.median(values)
        spread = f"{min(values):.2f}–{max(values):.2f}"
        print(f"{name:8} {middle:6.2f} µs per piece ({spread}), above plain {middle - floor:5.2f}")
    ratio = (statistics.median(times["aiohttp"]) - floor) / (statistics.median(times["ours"]) - floor)
    print(f"aiohttp / ours above plain: {ratio:.1f}")


if __name__ == "__main__":
    main()
