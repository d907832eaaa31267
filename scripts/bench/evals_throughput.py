"""Output tokens per second that our evaluation runner and vLLM's own serving benchmark get out of one vLLM server.

Both ask the same server for the same number of prompts of the same length, in chat form, greedy, with the end token
ignored, so that every answer has the same number of tokens, and with equally many in flight. No prompt comes twice: a
second one would come from the prefix cache. Rounds are interleaved and the medians printed.
Usage: python scripts/bench/evals_throughput.py [--model embedded] [--prompts N] [--tokens N] [--concurrency N]
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from evals_client_peers import QUESTION

from evals.config import EvalConfig
from evals.progress import ArmProgress
from evals.records import GREEDY, RawAttempt, Request
from evals.runner import Journal, Pool, Target, fixed
from evals.runner.journal import read_rows
from tianjing.engine import ChatClient, ChatRequest, Completion, Engine, EngineConfig
from tianjing.engine.command import usable_cpus
from tianjing.models import resolve
from tianjing.records import Message

# `vllm bench serve` without the command, which the CPU wheel's missing distribution breaks.
PEER = """
import sys
from vllm.benchmarks.serve import add_cli_args, main
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = FlexibleArgumentParser()
add_cli_args(parser)
main(parser.parse_args(sys.argv[1:]))
"""


class EndIgnored:
    """The client, asking vLLM to go on past the end token."""

    def __init__(self, client: ChatClient):
        self._client = client

    async def chat(self, request: ChatRequest) -> Completion:
        extra = {**(request.extra or {}), "ignore_eos": True}
        return await self._client.chat(dataclasses.replace(request, extra=extra))


def prompts(start: int, count: int) -> list[str]:
    """Different from their first characters on; five digits each, so equally long."""
    return [f"{start + number}号。" + QUESTION.format(number=start + number) for number in range(count)]


def ours(engine: Engine, texts: list[str], tokens: int, concurrency: int, folder: Path) -> float:
    """The runner as `tianjing eval run` uses it, journal and progress included."""
    config = EvalConfig(concurrency=concurrency)

    def requests() -> Iterator[Request]:
        for number, text in enumerate(texts):
            message = Message(role="user", content=text)
            yield Request(f"item-{number}", "bench", GREEDY, 0, (message,), tokens, 0.0, 1.0, number)

    async def ask(path: Path) -> float:
        async with ChatClient(engine.base_url, engine.api_key, 600) as client:
            began = time.perf_counter()
            with Journal(path) as journal, ArmProgress("ours", len(texts)) as progress:
                target = Target("base", "digest", engine.config.served_name, EndIgnored(client), journal)
                pool = Pool(config, lambda failure: progress.step(failure is not None))
                await pool.run(((target, request) for request in requests()), fixed(concurrency))
            return time.perf_counter() - began

    path = folder / f"attempts-{texts[0][:5]}.jsonl"
    spent = asyncio.run(ask(path))
    rows: list[RawAttempt] = list(read_rows(path))
    made = sum(row.output_tokens for row in rows)
    if made != tokens * len(texts):
        sys.exit(
            f"ours: {made} tokens instead of {tokens * len(texts)}; {[row.error for row in rows if row.error][:1]}"
        )
    return made / spent


def theirs(engine: Engine, texts: list[str], tokens: int, concurrency: int, folder: Path) -> float:
    """vLLM's own serving benchmark over the chat route."""
    data, result = folder / "prompts.jsonl", folder / "result.json"
    with open(data, "w", encoding="utf-8") as stream:
        stream.writelines(json.dumps({"prompt": text}, ensure_ascii=False) + "\n" for text in texts)
    options = {
        "backend": "openai-chat",
        "base-url": engine.base_url.removesuffix("/v1"),
        "endpoint": "/v1/chat/completions",
        "model": engine.config.served_name,
        "tokenizer": engine.config.model,
        "dataset-name": "custom",
        "dataset-path": data,
        "custom-output-len": tokens,
        "num-prompts": len(texts),
        "max-concurrency": concurrency,
        "temperature": 0,
        "result-dir": folder,
        "result-filename": result.name,
        "ready-check-timeout-sec": 0,
    }
    flags = ("--skip-chat-template", "--disable-shuffle", "--ignore-eos", "--save-result", "--disable-tqdm")
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    environment = {**os.environ, "OPENAI_API_KEY": engine.api_key, "HF_HUB_OFFLINE": "1", "VLLM_PLUGINS": ""}
    done = subprocess.run([sys.executable, "-c", PEER, *words, *flags], env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"vLLM's benchmark failed:\n{done.stderr[-3000:]}")
    figures = json.loads(result.read_text())
    if figures["total_output_tokens"] != tokens * len(texts):
        sys.exit(f"theirs: {figures['total_output_tokens']} tokens instead of {tokens * len(texts)}")
    return float(figures["output_throughput"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded", help="a folder, 'embedded', 'tiny' or a hub id")
    parser.add_argument("--prompts", type=int, default=128, help="per round and client")
    parser.add_argument("--tokens", type=int, default=64, help="of every answer")
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    model = resolve(arguments.model).path
    clients = {"vllm bench serve": theirs, "ours": ours}
    rates: dict[str, list[float]] = {name: [] for name in clients}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = EngineConfig(model=model, max_model_len=1024, max_num_seqs=arguments.concurrency)
        with Engine(config, folder / "engine.log", lambda phase: print(phase, file=sys.stderr, flush=True)) as engine:
            print(
                f"{platform.machine()}, {usable_cpus()} cores, vLLM {engine.version}, {model.name}; "
                f"{arguments.concurrency} in flight, {arguments.prompts} prompts, {arguments.tokens} tokens each\n",
                flush=True,
            )
            start = 10_000
            ours(engine, prompts(start, arguments.concurrency), arguments.tokens, arguments.concurrency, folder)  # warm
            for number in range(arguments.rounds):
                for client, measure in clients.items():
                    start += 1000
                    texts = prompts(start, arguments.prompts)
                    rate = measure(engine, texts, arguments.tokens, arguments.concurrency, folder)
                    rates[client].append(rate)
                    print(f"round {number + 1}: {client} {rate:.1f} tokens/s", file=sys.stderr, flush=True)
    peer = statistics.median(rates["vllm bench serve"])
    print(f"{'client':<20}{'tokens/s':>10}{'least':>9}{'most':>9}{'ratio':>8}")
    for client, values in rates.items():
        middle = statistics.median(values)
        print(f"{client:<20}{middle:>10.1f}{min(values):>9.1f}{max(values):>9.1f}{middle / peer:>8.3f}")


if __name__ == "__main__":
    main()
