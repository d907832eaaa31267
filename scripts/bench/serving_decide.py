"""POST /v1/decide at a steady rate: how long a decision takes, through the gateway, with offers and a practice.

    python scripts/bench/serving_decide.py [--rate 50] [--seconds 30] [--target-ms 20]

Accounts and contacts are those of examples/raw, the policy is examples/cost/policy.yaml, and a knowledge of one
practice for each situation is made for the run. Requests leave at times drawn beforehand (exponential gaps); a time is
counted from then, so a request that had to wait for the one before it is as late as its caller saw it. Exit status 1
when an answer is not 200, or p99 is above the target.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import uvloop
from serving_figures import machine, quantile
from serving_gateway import Running, gateway
from serving_mock import started
from serving_wire import Caller

from tianjing.lineage import artefact
from tianjing.records import Practice, Support
from tianjing.simulation.planted import SITUATIONS

REPOSITORY = Path(__file__).parents[2]
RAW = REPOSITORY / "examples" / "raw"
CLOCKS = ("10:00:00", "15:30:00", "21:00:00", "22:30:00")


def knowledge(folder: Path) -> Path:
    """A knowledge with the practice that the simulation planted in each situation."""
    with artefact(folder, kind="knowledge", inputs=[], parameters={}) as work:
        lines = []
        for name, situation in SITUATIONS.items():
            made = Practice(
                id=f"{name}/{situation.act}",
                situation=name,
                action=situation.act,
                outcome="promise_kept",
                support=Support(cases=400, treated=160, agents=12),
                rate_treated=0.6,
                rate_control=0.4,
                effect=0.2,
                ci_low=0.11,
                ci_high=0.29,
                p=1e-4,
                q=1e-3,
                strata=("overdue_bucket",),
                exploratory=False,
                exemplars=("d000001",),
                evidence=("d000001#4",),
                verdict="allowed",
            )
            lines.append(made.model_dump_json(exclude_none=True) + "\n")
        (work.dir / "practices.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder


def bodies(seed: int = 0) -> list[bytes]:
    """A request for each account: its contacts of that day, a situation, a time of day."""
    rng = random.Random(seed)
    logs: dict[str, list[dict[str, Any]]] = {}
    for line in (RAW / "contacts.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        logs.setdefault(row["customer"], []).append(row)
    made = []
    for line in (RAW / "accounts.jsonl").read_text(encoding="utf-8").splitlines():
        account = json.loads(line)
        at = f"{account['as_of']}T{rng.choice(CLOCKS)}+08:00"
        contacts = [row for row in logs.get(account["customer"], ()) if row["at"] <= at]
        session = {"at": at, "channel": "app", "situations": [rng.choice(list(SITUATIONS))]}
        body = {"account": account, "contacts": contacts, "session": session}
        made.append(json.dumps(body, ensure_ascii=False).encode())
    return made


async def load(running: Running, rate: float, seconds: float) -> tuple[list[float], Counter[str]]:
    """Seconds of every request from the time it was due, and how many of each answer there were."""
    rng, asked = random.Random(1), bodies()
    due, times = 0.0, []
    while (due := due + rng.expovariate(rate)) < seconds:
        times.append(due)
    idle: list[Caller] = []
    taken: list[float] = []
    answers: Counter[str] = Counter()
    began = time.perf_counter()

    async def one(number: int, at: float) -> None:
        caller = idle.pop() if idle else Caller()
        seen = await caller.ask(running.base_url, "/v1/decide", asked[number % len(asked)], running.headers, 60)
        taken.append(time.perf_counter() - began - at)
        answers[json.loads(seen.body)["decision"] if seen.status == 200 else str(seen.status)] += 1
        idle.append(caller)

    tasks = []
    for number, at in enumerate(times):
        await asyncio.sleep(max(0.0, began + at - time.perf_counter()))
        tasks.append(asyncio.create_task(one(number, at)))
    await asyncio.gather(*tasks)
    return taken, answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=50, help="requests a second")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--target-ms", type=float, default=20, help="p99 at most")
    given = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder, started() as engine:
        sources = {
            "policy": str(REPOSITORY / "examples" / "cost" / "policy.yaml"),
            "knowledge": str(knowledge(Path(folder) / "knowledge")),
        }
        with gateway(engine.url, decide=sources) as running:
            uvloop.run(load(running, given.rate, 1))  # first requests compile nothing, but fill caches
            before = sum(running.cpu())
            taken, answers = uvloop.run(load(running, given.rate, given.seconds))
            spent = sum(running.cpu()) - before
    p50, p99, worst = (1000 * quantile(taken, share) for share in (0.5, 0.99, 1.0))
    shares = ", ".join(f"{count} {name}" for name, count in answers.most_common())
    print(f"{len(taken)} decisions at {given.rate:g}/s: {shares}")
    spent_ms = 1000 * spent / len(taken)
    print(f"p50 {p50:.1f} ms   p99 {p99:.1f} ms   worst {worst:.1f} ms   CPU {spent_ms:.1f} ms a decision")
    wrong = set(answers) - {"ai", "human", "no_contact"}
    if wrong or p99 > given.target_ms:
        sys.exit(f"not met: p99 at most {given.target_ms:g} ms, and every answer 200 (others: {wrong or 'none'})")


if __name__ == "__main__":
    main()
