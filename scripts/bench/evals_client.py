"""Samples per second of evaluation clients against a local mock, one after another on the same machine.

Ours is the runner with all its bookkeeping: requests made as they are asked, a key for each, retries, the stall watch,
progress, and every answer in a journal on disk. The peers are lm-eval's chat API model and Inspect, each in a Python of
its own; bare aiohttp, which keeps nothing, is the ceiling. The mock runs in a process of its own. Rounds are
interleaved and the medians printed. `--memory` instead prints the resident size of ours over one long run.
Usage: python scripts/bench/evals_client.py [--lm-eval PYTHON] [--inspect PYTHON] [--samples N] [--rounds N]
       python scripts/bench/evals_client.py --memory [--samples 200000]
"""

from __future__ import annotations

import argparse
import asyncio
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

from evals_client_peers import MAX_TOKENS, QUESTION, SYSTEM

from evals.config import EvalConfig
from evals.plan import derived_seed
from evals.progress import ArmProgress
from evals.records import GREEDY, Request
from evals.runner import Journal, Pool, Target, fixed
from tianjing.engine import ChatClient
from tianjing.engine.command import usable_cpus
from tianjing.records import Message

HERE = Path(__file__).parent
# Inspect takes minutes for what the others do in seconds.
INSPECT_SHARE = 20


def requests(samples: int) -> Iterator[Request]:
    """The same questions as the peers', made when they are asked for."""
    system = Message(role="system", content=SYSTEM)
    for number in range(samples):
        yield Request(
            item=f"item-{number:06d}",
            task="bench",
            condition=GREEDY,
            repeat=0,
            messages=(system, Message(role="user", content=QUESTION.format(number=number))),
            max_tokens=MAX_TOKENS,
            temperature=0.0,
            top_p=1.0,
            seed=derived_seed(1, f"item-{number:06d}", GREEDY, 0),
        )


def ours(url: str, samples: int, concurrency: int, show_memory: bool = False) -> float:
    """The runner, as `tianjing eval run` uses it on an endpoint of this machine."""
    config = EvalConfig(concurrency=concurrency)
    done = 0

    async def ask(path: Path) -> float:
        began = time.perf_counter()
        with Journal(path) as journal, ArmProgress("ours", samples) as progress:

            def step(failure: object) -> None:
                nonlocal done
                done += 1
                progress.step(failure is not None)
                if show_memory and done % (samples // 10) == 0:
                    print(f"{100 * done // samples:>4} %  {done:>8} samples  {resident_mb():7.1f} MB", flush=True)

            async with ChatClient(url, "k", config.request_timeout_s) as client:
                target = Target("base", "digest", "base", client, journal)
                await Pool(config, step).run(((target, request) for request in requests(samples)), fixed(concurrency))
        return time.perf_counter() - began

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "attempts.jsonl"
        spent = asyncio.run(ask(path))
        with open(path, "rb") as stream:
            rows = sum(b'"error"' not in line for line in stream)
    assert rows == samples, f"{rows} answers of {samples}"
    return spent


def resident_mb() -> float:
    """Resident size of this process now, from the kernel."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure(name: str, python: str, url: str, samples: int, concurrency: int) -> float:
    """Samples per second of one client in a process of its own."""
    if name == "ours":
        command = [python, __file__, "--child", url]
        command += ["--samples", str(samples), "--concurrency", str(concurrency)]
    else:
        command = [python, str(HERE / "evals_client_peers.py"), name, url, str(samples), str(concurrency)]
    # The peers' Pythons have their own packages; ours finds the project from where it was started.
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{name} failed:\n{result.stderr[-3000:]}")
    return samples / float(json.loads(result.stdout.strip().splitlines()[-1])["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lm-eval", metavar="PYTHON", help="a Python with lm_eval[api]")
    parser.add_argument("--inspect", metavar="PYTHON", help="a Python with inspect_ai and openai")
    parser.add_argument("--samples", type=int, help="per round (default 20000; Inspect gets a twentieth)")
    parser.add_argument("--concurrency", type=int, default=64, help="requests in flight, for every client")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", action="store_true", help="resident size of ours at each tenth of the samples")
    parser.add_argument("--child", metavar="URL", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    samples = arguments.samples or (200_000 if arguments.memory else 20_000)
    if arguments.child:
        print("\n" + json.dumps({"seconds": ours(arguments.child, samples, arguments.concurrency)}))
        return
    mock = subprocess.Popen([sys.executable, str(HERE / "evals_mock.py")], stdout=subprocess.PIPE, text=True)
    try:
        assert mock.stdout is not None
        url = f"http://127.0.0.1:{mock.stdout.readline().strip()}/v1"
        print(f"{platform.machine()}, {usable_cpus()} cores, {arguments.concurrency} in flight\n", flush=True)
        if arguments.memory:
            spent = ours(url, samples, arguments.concurrency, show_memory=True)
            print(f"{samples / spent:.0f} samples/s")
        else:
            compare(url, samples, arguments)
    finally:
        mock.terminate()
        mock.wait()


def compare(url: str, samples: int, arguments: argparse.Namespace) -> None:
    """Interleaved rounds of every client that has a Python, and the table."""
    clients = {"bare": (sys.executable, samples), "ours": (sys.executable, samples)}
    if arguments.lm_eval:
        clients["lm-eval"] = (arguments.lm_eval, samples)
    if arguments.inspect:
        clients["inspect"] = (arguments.inspect, max(1, samples // INSPECT_SHARE))
        clients["inspect-default"] = (arguments.inspect, max(1, samples // INSPECT_SHARE))
    rates: dict[str, list[float]] = {name: [] for name in clients}
    for number in range(arguments.rounds):
        for name, (python, count) in clients.items():
            rates[name].append(measure(name, python, url, count, arguments.concurrency))
            print(f"round {number + 1}: {name} {rates[name][-1]:.0f}", file=sys.stderr, flush=True)
    mine = statistics.median(rates["ours"])
    print(f"{'client':<18}{'samples':>9}{'samples/s':>11}{'least':>9}{'most':>9}{'ours is':>10}")
    for name, (_, count) in clients.items():
        middle = statistics.median(rates[name])
        print(
            f"{name:<18}{count:>9}{middle:>11.0f}{min(rates[name]):>9.0f}{max(rates[name]):>9.0f}"
            f"{mine / middle:>9.2f}×",
            flush=True,
        )


if __name__ == "__main__":
    main()
