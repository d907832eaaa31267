"""What the gateway costs, paired in one run against a played engine (serving_mock.py).

    python scripts/bench/serving_cost.py [--pairs 1000] [--streams 64] [--state FOLDER] [--litellm PYTHON]

1. Added time to first token. One fdatasync, one request to the engine, the same request through the gateway, and again:
   so all three see the same machine. The first event holds 80 characters, so that text is released with it and nothing
   waits for more: what is added is the way through the gateway. The account of a request is durable before it goes to
   the engine, so one fdatasync (of a record of the same size, on the file system of --state) is taken off.
2. Hold-back. The same pairs with one token an event every 10 ms: what the first text comes later by than in 1, in
   milliseconds and in characters of the engine. It is the guard's, and does not depend on the machine.
3. CPU of the gateway for each guarded chunk: user and system time of its process by the chunks that the engine sent, at
   one delta an event and one event a piece; the slope between short and long streams, so without what a request costs,
   and what a request costs besides; the median of --rounds, for the machine's other tenants come and go. Then the same
   over a unix socket, as an engine of the gateway's own has it, and with 8 events a piece, as an engine or a network
   that coalesces.
4. How many chunks a second go through when the engine sends as fast as it can.

With --litellm PYTHON (the interpreter of an environment of its own; see serving_litellm.py) 1, 3 and 4 are measured on
the LiteLLM proxy with its Presidio guard in the same run. Exit status 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import uvloop
from serving_figures import Fdatasync, machine, quantile
from serving_gateway import MODEL, gateway
from serving_litellm import litellm
from serving_mock import CHARS_A_TOKEN, Engine, started
from serving_wire import Caller, Seen, chat_body

CHAT = "/v1/chat/completions"
FIRST_EVENT_TOKENS = 40
HOLD_MS = 10.0
SHORT, LONG = 50, 450
WARM_UP = 30
TARGETS = {"added p50 ms": 2.0, "added p99 ms": 6.0, "CPU µs": 18.0, "LiteLLM times": 10.0}


class Server(Protocol):
    """What stands in front of the engine."""

    base_url: str

    @property
    def headers(self) -> Any: ...

    def cpu(self) -> tuple[float, float]: ...


@dataclass
class Figures:
    """What was measured of one server. Milliseconds, microseconds, chunks a second."""

    added: list[float]
    direct: list[float]
    cpu: float = 0.0
    cpu_range: tuple[float, float] = (0.0, 0.0)
    coalesced: float = 0.0
    over_socket: float = 0.0
    request_us: float = 0.0
    rate: float = 0.0


async def first_token(engine: Engine, server: Server, disk: Fdatasync, pairs: int, tokens: int) -> list[Any]:
    """(direct, through the server, fdatasync) of each pair, in milliseconds."""
    body = chat_body(MODEL, tokens)
    direct, through = Caller(), Caller()
    found = []
    for number in range(pairs + WARM_UP):
        synced = disk.once()
        one = await direct.ask(engine.url, CHAT, body, {})
        other = await through.ask(server.base_url, CHAT, body, server.headers)
        if one.first is None or other.first is None:
            raise SystemExit(f"no text: engine {one.status}, server {other.status} {other.body[:300]!r}")
        if number >= WARM_UP:
            found.append((1000 * one.first, 1000 * other.first, 1000 * synced))
    return found


async def through(server: Server, streams: int, tokens: int, rounds: int = 1) -> list[Seen]:
    """`streams` streams at once, `rounds` times one after another."""

    async def one() -> list[Seen]:
        caller, body = Caller(keep=False), chat_body(MODEL, tokens)
        return [await caller.ask(server.base_url, CHAT, body, server.headers) for _ in range(rounds)]

    found = [seen for each in await asyncio.gather(*(one() for _ in range(streams))) for seen in each]
    broken = [seen for seen in found if seen.status != 200 or not seen.whole or seen.error]
    if broken:
        raise SystemExit(f"{len(broken)} of {len(found)} streams did not end well, e.g. {broken[0]}")
    return found


def cpu_of(engine: Engine, server: Server, streams: int, tokens: int) -> tuple[float, float]:
    """(microseconds of CPU, chunks that the engine sent) of one round of streams."""
    before, chunks = sum(server.cpu()), engine.stats()["chunks"]
    uvloop.run(through(server, streams, tokens))
    return 1e6 * (sum(server.cpu()) - before), engine.stats()["chunks"] - chunks


def per_chunk(engine: Engine, server: Server, streams: int, rounds: int) -> tuple[list[float], float]:
    """(microseconds of CPU for a chunk in each round, in ascending order; median for a request besides its chunks)."""
    cpu_of(engine, server, streams, SHORT)
    slopes, besides = [], []
    for _ in range(rounds):
        (short, few), (long, many) = (cpu_of(engine, server, streams, tokens) for tokens in (SHORT, LONG))
        slopes.append((long - short) / (many - few))
        besides.append((short - slopes[-1] * few) / streams)
    return sorted(slopes), statistics.median(besides)


def at_full_speed(engine: Engine, server: Server, streams: int) -> float:
    """Chunks a second."""
    chunks, began = engine.stats()["chunks"], time.perf_counter()
    uvloop.run(through(server, streams, LONG, rounds=2))
    return (engine.stats()["chunks"] - chunks) / (time.perf_counter() - began)


Start = Callable[[str], contextlib.AbstractContextManager[Server]]


def measure(
    start: Start, disk: Fdatasync, pairs: int, streams: int, rounds: int, sockets: bool = False
) -> tuple[Figures, list[Any]]:
    """1, 3 and 4 on one server, 3 with `sockets` over a unix socket too; the triples of 1 are given back too."""
    block = 2 * FIRST_EVENT_TOKENS
    with (
        started("--tokens", block, "--per-event", FIRST_EVENT_TOKENS, "--ms", 1) as engine,
        start(engine.url) as server,
    ):
        triples = uvloop.run(first_token(engine, server, disk, pairs, block))
    figures = Figures([b - a for a, b, _ in triples], [a for a, _, _ in triples])
    with started("--tokens", LONG, "--ms", 20) as engine, start(engine.url) as server:
        slopes, figures.request_us = per_chunk(engine, server, streams, rounds)
    figures.cpu, figures.cpu_range = statistics.median(slopes), (slopes[0], slopes[-1])
    if sockets:
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/engine.sock"
            with started("--tokens", LONG, "--ms", 20, "--uds", path) as engine, start(f"unix:{path}") as server:
                figures.over_socket = statistics.median(per_chunk(engine, server, streams, rounds)[0])
    with started("--tokens", LONG, "--ms", 20, "--per-write", 8) as engine, start(engine.url) as server:
        figures.coalesced = statistics.median(per_chunk(engine, server, streams, 1)[0])
    with started("--tokens", LONG, "--ms", 0) as engine, start(engine.url) as server:
        figures.rate = at_full_speed(engine, server, min(streams, 16))
    return figures, triples


def hold_back(start: Start, disk: Fdatasync, pairs: int, added_ms: float) -> list[float]:
    """Milliseconds that the first text waits for the guard, in a stream of a token every HOLD_MS."""
    with started("--tokens", 80, "--ms", HOLD_MS) as engine, start(engine.url) as server:
        triples = uvloop.run(first_token(engine, server, disk, pairs, 80))
    return [max(0.0, b - a - added_ms) for a, b, _ in triples]


def row(name: str, values: Sequence[float], unit: str) -> str:
    return f"{name:34} p50 {quantile(values, 0.5):8.2f}   p99 {quantile(values, 0.99):8.2f} {unit}"


def report(ours: Figures, triples: list[Any], held: list[float]) -> dict[str, float]:
    """Print 1 to 4; the figures with a target."""
    synced = [c for _, _, c in triples]
    print(row("first token, engine alone", ours.direct, "ms"))
    print(row("first token, through the gateway", [b for _, b, _ in triples], "ms"))
    print(row("one fdatasync", synced, "ms"))
    print(row("added, pair by pair", ours.added, "ms"))
    above = {share: quantile(ours.added, share) - quantile(synced, share) for share in (0.5, 0.99)}
    print(f"{'added above one fdatasync':34} p50 {above[0.5]:8.2f}   p99 {above[0.99]:8.2f} ms")
    print(row("hold-back of the first text", held, "ms"))
    chars = quantile(held, 0.5) / HOLD_MS * CHARS_A_TOKEN
    print(f"{'':34} p50 {chars:8.1f} characters of the engine's text")
    low, high = ours.cpu_range
    print(f"CPU a guarded chunk, one event a piece   {ours.cpu:7.1f} µs   ({low:.1f} to {high:.1f})")
    print(f"  over a managed engine's unix socket    {ours.over_socket:7.1f} µs")
    print(f"CPU a guarded chunk, 8 events a piece    {ours.coalesced:7.1f} µs")
    print(f"CPU a request besides its chunks         {ours.request_us:7.0f} µs")
    print(f"chunks a second at full speed            {ours.rate:7,.0f}")
    return {"added p50 ms": above[0.5], "added p99 ms": above[0.99], "CPU µs": ours.cpu}


def compare(ours: Figures, theirs: Figures) -> float:
    """Print how many times the proxy costs what the gateway does; the smallest of the three ratios."""
    ratios = {
        "added to the first token, p50": (quantile(ours.added, 0.5), quantile(theirs.added, 0.5), "ms"),
        "CPU a guarded chunk": (ours.cpu, theirs.cpu, "µs"),
        "chunks a second at full speed": (ours.rate, theirs.rate, "/s"),
    }
    print(f"\n{'':34} {'gateway':>10} {'LiteLLM':>12}    times")
    times = []
    for name, (mine, other, unit) in ratios.items():
        times.append(mine / other if unit == "/s" else other / mine)
        print(f"{name:34} {mine:10,.2f} {other:12,.2f} {unit} {times[-1]:6.1f}")
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1000, help="pairs of requests")
    parser.add_argument("--streams", type=int, default=64, help="streams at once for the CPU of a chunk")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of short and long streams for the same")
    parser.add_argument("--state", type=Path, help="folder of the gateway's state: its file system is measured")
    parser.add_argument("--litellm", type=Path, help="Python of an environment with litellm[proxy] and presidio")
    parser.add_argument("--litellm-pairs", type=int, default=100, help="pairs of requests on the proxy")
    given = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(dir=given.state) as folder:
        disk = Fdatasync(Path(folder))

        @contextlib.contextmanager
        def start(url: str) -> Iterator[Server]:
            room = {"max_in_progress": 2 * given.streams}
            with gateway(url, Path(folder) / "state", limits=room) as running:
                yield running

        ours, triples = measure(start, disk, given.pairs, given.streams, given.rounds, sockets=True)
        held = hold_back(start, disk, max(20, given.pairs // 10), quantile(ours.added, 0.5))
        reached = report(ours, triples, held)
        missed = [name for name, value in reached.items() if value > TARGETS[name]]
        if given.litellm:
            theirs, _ = measure(
                lambda url: litellm(given.litellm, url), disk, given.litellm_pairs, given.streams, given.rounds
            )
            if compare(ours, theirs) < TARGETS["LiteLLM times"]:
                missed.append("LiteLLM times")
        disk.close()
    if missed:
        sys.exit("not met: " + ", ".join(f"{name} {TARGETS[name]:g}" for name in missed))


if __name__ == "__main__":
    main()
