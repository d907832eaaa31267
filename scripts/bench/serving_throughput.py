"""Token throughput of real vLLM, asked at its own door and through the gateway, in alternating rounds.

    python scripts/bench/serving_throughput.py [--model embedded] [--concurrency 16] [--rounds 6] [--least 0.97]

Both ways get the same prompts in the same round, greedy and streamed, so the same tokens are made; which way goes first
changes with each round, so the one that finds the prompts in the prefix cache changes too. Engine, gateway and caller
share the machine's cores: what the gateway takes from the engine counts. A round's figure is the tokens that the engine
says it made (usage) by the wall time of the round; the ratio is that of the rounds' geometric means. Exit status 1 when
it is below --least.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import uvloop
from serving_figures import machine
from serving_gateway import MODEL, gateway
from serving_wire import Caller, Seen, chat_body

from tianjing.engine import Engine, EngineConfig
from tianjing.models import resolve

CHAT = "/v1/chat/completions"
SECRET = "BENCH_ENGINE_KEY"
QUESTION = "{number}号客户问：工资晚发，可以晚几天还款吗？请分三点回答，每点说明要准备什么材料、怎么办理、多久有结果。"


def tokens_of(seen: Seen) -> int:
    """Completion tokens by the usage at the end of a stream."""
    if seen.status != 200 or not seen.whole or seen.error:
        sys.exit(f"status {seen.status}, whole: {seen.whole}: {seen.body[-500:]!r}")
    events = [line[6:] for line in seen.body.split(b"\n") if line.startswith(b"data: {")]
    return next(
        int(usage["completion_tokens"]) for event in reversed(events) if (usage := json.loads(event).get("usage"))
    )


async def ask(url: str, headers: Mapping[str, str], bodies: Sequence[bytes], concurrency: int) -> tuple[int, float]:
    """(tokens, seconds) of all requests, so many at a time."""
    left = iter(bodies)

    async def one() -> int:
        caller, made = Caller(), 0
        for body in left:
            made += tokens_of(await caller.ask(url, CHAT, body, headers, 1800))
        caller.close()
        return made

    began = time.perf_counter()
    made = await asyncio.gather(*(one() for _ in range(concurrency)))
    return sum(made), time.perf_counter() - began


def mean(values: Sequence[float]) -> float:
    """The geometric mean."""
    return math.exp(sum(map(math.log, values)) / len(values))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded", help="a folder, 'embedded', 'tiny' or a hub id")
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--prompts", type=int, default=32, help="of each way in each round")
    parser.add_argument("--tokens", type=int, default=128, help="of an answer, at most")
    parser.add_argument("--rounds", type=int, default=6, help="an even number, so that each way goes first as often")
    parser.add_argument("--least", type=float, default=0.97, help="ratio at least")
    given = parser.parse_args()
    print(machine())
    model = resolve(given.model).path
    config = EngineConfig(model=model, served_name=MODEL, max_model_len=1024, max_num_seqs=given.concurrency)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Engine(config, folder / "engine.log", lambda phase: print(phase, file=sys.stderr, flush=True)) as engine:
            os.environ[SECRET] = engine.api_key
            url = engine.base_url.removesuffix("/v1")
            upstreams = [{"url": url, "key_env": SECRET}]
            with gateway(url, folder / "state", upstreams=upstreams, max_model_len=1024) as running:
                ways = {
                    "engine alone": (url, {"authorization": f"Bearer {engine.api_key}"}),
                    "through the gateway": (running.base_url, running.headers),
                }
                rates = {way: list[float]() for way in ways}
                numbers = itertools.count(10_000)
                for number in range(-1, given.rounds):  # the first one warms up
                    texts = [QUESTION.format(number=next(numbers)) for _ in range(given.prompts)]
                    more = {"temperature": 0, "stream_options": {"include_usage": True}}
                    bodies = [chat_body(MODEL, given.tokens, text=text, **more) for text in texts]
                    made = set()
                    for way in sorted(ways, reverse=bool(number % 2)):
                        tokens, seconds = uvloop.run(ask(*ways[way], bodies, given.concurrency))
                        made.add(tokens)
                        if number >= 0:
                            rates[way].append(tokens / seconds)
                            print(f"round {number + 1}: {way:20} {tokens} tokens, {tokens / seconds:8.1f} a second")
                    if len(made) > 1:
                        print(f"round {number + 1}: the ways made {' and '.join(map(str, sorted(made)))} tokens")
    ratio = mean(rates["through the gateway"]) / mean(rates["engine alone"])
    for way, values in rates.items():
        print(f"{way:20} {mean(values):8.1f} tokens/s   (least {min(values):.1f}, most {max(values):.1f})")
    print(f"ratio {ratio:.3f} at {given.concurrency} in flight, {model.name}, {given.tokens} tokens at most")
    if ratio < given.least:
        sys.exit(f"not met: at least {given.least:g}")


if __name__ == "__main__":
    main()
