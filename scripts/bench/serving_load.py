"""The gateway under load for minutes: many streams at once with flat memory, or more than it can take with none lost.

    python scripts/bench/serving_load.py [--streams 2000] [--minutes 10]
    python scripts/bench/serving_load.py --over-capacity [--minutes 10] [--places 200] [--times 2]

The engine is played (serving_mock.py) and writes a token every --ms milliseconds to each stream. Traffic stays on the
loopback interface and ends with the time given.

Without --over-capacity, --streams callers each keep one stream running; a stream that ends is followed by another one.
Asked for: every stream ends with [DONE] and no error; resident memory of the gateway, sampled each second, is flat: the
line fitted through the samples, after a tenth of the time for warming up, rises by less than --rise percent of the mean
over the whole time, or by less than 8 MiB.

With it, the gateway answers --places requests at a time and lets a quarter as many wait, for 2 s at most; requests
arrive at --times what that can serve (drawn beforehand, exponential gaps), and nobody comes again. Asked for: every
request is answered, in whole with 200, or at once with 429 or 503 and Retry-After; some are refused; p99 of the
accepted ones, from the time they were sent to their last byte, is at most the time of a stream, the wait and --slack
seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

import uvloop
from serving_figures import machine, quantile
from serving_gateway import MODEL, Running, gateway
from serving_mock import started
from serving_wire import Caller, Seen, chat_body

CHAT = "/v1/chat/completions"
MAX_WAIT_S = 2.0
WARM_UP_SHARE = 0.1
NOISE_MIB = 8.0
QUESTIONS = (
    "工资晚发，可以晚几天还款吗？",
    "我这个月的账单是多少钱，什么时候到期？",
    "我的手机号是13812345678，换了新号码怎么改？",
    "提前还清要不要另外收钱？",
)


@dataclass
class Tally:
    """What came of the requests."""

    whole: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    first: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    events: int = 0

    def note(self, seen: Seen) -> None:
        if seen.status == 200 and seen.whole and not seen.error:
            self.whole += 1
            self.events += seen.events
            self.took.append(seen.last)
            if seen.first is not None:
                self.first.append(seen.first)
        elif seen.status in (429, 503) and seen.whole and seen.headers.get("retry-after", "").isdigit():
            self.refused[f"{seen.status}, Retry-After {seen.headers['retry-after']} s"] += 1
        else:
            ended = "error event" if seen.error else "whole" if seen.whole else "broke off"
            self.lost[f"status {seen.status}, {ended}"] += 1


@dataclass
class Memory:
    """Resident memory of the gateway over the time, in seconds and MiB."""

    at: list[float] = field(default_factory=list)
    mib: list[float] = field(default_factory=list)

    async def watch(self, running: Running) -> None:
        began = time.perf_counter()
        while True:
            self.at.append(time.perf_counter() - began)
            self.mib.append(running.rss_mib())
            await asyncio.sleep(1)

    def slope(self) -> tuple[float, float]:
        """MiB a minute of the fitted line, and the mean, without the warming up."""
        skipped = int(len(self.at) * WARM_UP_SHARE)
        at, mib = self.at[skipped:], self.mib[skipped:]
        middle, mean = sum(at) / len(at), sum(mib) / len(mib)
        spread = sum((x - middle) ** 2 for x in at)
        rise = sum((x - middle) * (y - mean) for x, y in zip(at, mib, strict=True))
        return 60 * rise / spread if spread else 0.0, mean


def body(rng: random.Random, number: int, tokens: int) -> bytes:
    """A request of some customer, in a session of its own."""
    who = {"session": f"s-{number}", "customer": f"c-{number % 5000}"}
    return chat_body(MODEL, tokens, text=rng.choice(QUESTIONS), tianjing=who)


async def steady(running: Running, streams: int, seconds: float, tokens: int) -> tuple[Tally, Memory]:
    """`streams` callers, each with one stream after another until the time is over."""
    tally, memory, rng = Tally(), Memory(), random.Random(0)
    until = time.perf_counter() + seconds
    number = 0

    async def one(delay: float) -> None:
        nonlocal number
        caller = Caller(keep=False)
        await asyncio.sleep(delay)
        while time.perf_counter() < until:
            number += 1
            seen = await caller.ask(running.base_url, CHAT, body(rng, number, tokens), running.headers)
            tally.note(seen)
            if seen.status != 200:
                await asyncio.sleep(0.5)  # a gateway that is down is not stormed
        caller.close()

    watching = asyncio.create_task(memory.watch(running))
    ramp_s = min(20.0, seconds / 4)
    await asyncio.gather(*(one(ramp_s * index / streams) for index in range(streams)))
    watching.cancel()
    return tally, memory


async def flood(running: Running, rate: float, seconds: float, tokens: int) -> tuple[Tally, Memory]:
    """Requests at `rate` a second, whatever becomes of those before."""
    tally, memory, rng = Tally(), Memory(), random.Random(0)
    idle: list[Caller] = []
    tasks: set[asyncio.Task[None]] = set()

    async def one(number: int) -> None:
        caller = idle.pop() if idle else Caller(keep=False)
        tally.note(await caller.ask(running.base_url, CHAT, body(rng, number, tokens), running.headers))
        idle.append(caller)

    watching = asyncio.create_task(memory.watch(running))
    began, due, number = time.perf_counter(), 0.0, 0
    while (due := due + rng.expovariate(rate)) < seconds:
        await asyncio.sleep(max(0.0, began + due - time.perf_counter()))
        number += 1
        task = asyncio.create_task(one(number))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    watching.cancel()
    for caller in idle:
        caller.close()
    return tally, memory


def report(tally: Tally, memory: Memory, seconds: float, cpu_s: float) -> None:
    print(f"{tally.whole} whole answers, {tally.events / seconds:,.0f} released events a second")
    for name, counter in (("refused", tally.refused), ("LOST", tally.lost)):
        for what, count in counter.most_common():
            print(f"{count} {name}: {what}")
    for name, values in (("first text", tally.first), ("last byte", tally.took)):
        if values:
            p50, p99, worst = (quantile(values, share) for share in (0.5, 0.99, 1.0))
            print(f"{name:10} of accepted ones   p50 {p50:7.3f}   p99 {p99:7.3f}   worst {worst:7.3f} s")
    slope, mean = memory.slope()
    print(f"gateway: {cpu_s / seconds:.2f} cores; memory {mean:.0f} MiB, {slope:+.2f} MiB a minute", end="")
    print(f" (first sample {memory.mib[0]:.0f}, last {memory.mib[-1]:.0f})")


def problems_of(given: argparse.Namespace, tally: Tally, memory: Memory, seconds: float) -> list[str]:
    """What was asked for and not met."""
    found = [f"{tally.lost.total()} requests were lost"] if tally.lost else []
    if not tally.whole:
        return [*found, "no request was answered"]
    if given.over_capacity:
        if not tally.refused:
            found.append("nothing was refused although more was asked for than the gateway may take")
        bound = given.tokens * given.ms / 1000 + MAX_WAIT_S + given.slack
        if (p99 := quantile(tally.took, 0.99)) > bound:
            found.append(f"p99 of the accepted ones is {p99:.1f} s, at most {bound:.1f} s was asked for")
    elif tally.refused:
        found.append(f"{tally.refused.total()} were refused although there was room")
    slope, mean = memory.slope()
    rise = slope * seconds / 60
    if rise > max(NOISE_MIB, mean * given.rise / 100):
        found.append(f"memory rose by {rise:.1f} MiB")
    return found


def more_descriptors() -> None:
    """A connection is a descriptor, in this process and in those it starts."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=2000, help="streams at once")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--tokens", type=int, default=200, help="tokens of an answer")
    parser.add_argument("--ms", type=float, default=100.0, help="milliseconds between two tokens of a stream")
    parser.add_argument("--rise", type=float, default=3.0, help="percent that memory may rise over the whole time")
    parser.add_argument("--over-capacity", action="store_true", help="ask for more than the gateway may take")
    parser.add_argument("--places", type=int, default=200, help="requests answered at a time, with --over-capacity")
    parser.add_argument("--times", type=float, default=2.0, help="what is asked for, in times of what can be served")
    parser.add_argument("--slack", type=float, default=2.0, help="seconds an accepted answer may take longer")
    given = parser.parse_args()
    print(machine())
    more_descriptors()
    seconds = 60 * given.minutes
    places = given.places if given.over_capacity else 2 * given.streams
    limits = {"max_in_progress": places, "max_waiting": max(1, places // 4), "max_wait_s": MAX_WAIT_S}
    edge = {"max_connections": 4 * max(places, given.streams)}
    with started("--tokens", given.tokens, "--ms", given.ms, "--jitter", 0.3) as engine:
        with gateway(engine.url, limits=limits, edge=edge) as running:
            before = sum(running.cpu())
            if given.over_capacity:
                rate = given.times * places / (given.tokens * given.ms / 1000)
                print(f"{rate:.0f} requests a second for {seconds:.0f} s; {places} places")
                tally, memory = uvloop.run(flood(running, rate, seconds, given.tokens))
            else:
                print(f"{given.streams} streams for {seconds:.0f} s")
                tally, memory = uvloop.run(steady(running, given.streams, seconds, given.tokens))
            report(tally, memory, seconds, sum(running.cpu()) - before)
        stats = engine.stats()
    if stats["streams"]:
        print(f"the engine still writes {stats['streams']:.0f} streams that nobody reads")
    if problems := problems_of(given, tally, memory, seconds):
        sys.exit("not met: " + "; ".join(problems))


if __name__ == "__main__":
    main()
