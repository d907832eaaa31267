"""How seldom a healthy canary is rolled back, how soon a bad one, and what choosing costs a request.

`--rollback` plays canaries with the very test that the gateway uses, at its default settings. Equal rates: how many of
them are ever rolled back in `--requests` requests (to be at most alpha, 5 %), also where customers come back and have a
temper of their own, which the test does not assume. Worse rates: how many requests the canary gets until it goes back,
and how many never go in that time. `--router` times `choose` and `observe`.

Usage: python scripts/bench/serving_adapters.py [--rollback] [--router] [--runs 1000] [--requests 20000] [--seed 1]
Exit status 1: more healthy canaries were rolled back than alpha and three standard deviations allow; or, in 10,000
requests and more, a canary with a share of 10 % and five times the bad answers stayed.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from serving.adapters.evidence import Arm, Counts, Evidence, log_evidence
from serving.adapters.router import CanaryRouter, bound_of, draw
from serving.adapters.settings import CanarySettings
from serving.adapters.state import Canary, Model, Placement, State, Version
from serving.identity.principal import Principal

KEY = bytes(range(32))


@dataclass(frozen=True)
class Case:
    """A canary's traffic.

    Attributes:
        stable, canary: chance of a bad outcome of a request.
        share: of the customers.
        per_customer: requests of one customer.
        temper: how unlike customers are: each has its own chance, Beta-distributed, with this variance over the
            largest one possible; 0 makes all alike.
    """

    stable: float
    canary: float
    share: float = 0.1
    per_customer: int = 1
    temper: float = 0.0


HEALTHY = (
    Case(0.005, 0.005),
    Case(0.02, 0.02),
    Case(0.1, 0.1),
    Case(0.3, 0.3, 0.5),
    Case(0.02, 0.03),
    Case(0.1, 0.11),
    Case(0.1, 0.11, 0.5),
    Case(0.1, 0.11, 0.1, 10, 0.2),
)
WORSE = (
    Case(0.005, 0.05),
    Case(0.02, 0.05),
    Case(0.02, 0.1),
    Case(0.02, 0.2),
    Case(0.02, 0.5),
    Case(0.1, 0.2),
    Case(0.02, 0.1, 0.01),
    Case(0.02, 0.1, 0.5),
)


def outcomes(case: Case, requests: int, rng: random.Random) -> Iterator[tuple[Arm, int, bool]]:
    """Arm, customer and whether it went badly, for each request in turn. Several customers are there at once."""
    customers = [(customer, arm_of(case, rng)) for customer in range(max(1, requests // case.per_customer))]
    chances = {customer: chance_of(case, arm, rng) for customer, arm in customers} if case.temper else {}
    for _ in range(requests):
        customer, arm = customers[int(rng.random() * len(customers))]
        chance = chances[customer] if chances else case.canary if arm == "canary" else case.stable
        yield arm, customer, rng.random() < chance


def arm_of(case: Case, rng: random.Random) -> Arm:
    return "canary" if rng.random() < case.share else "stable"


def chance_of(case: Case, arm: Arm, rng: random.Random) -> float:
    mean = case.canary if arm == "canary" else case.stable
    size = 1 / case.temper - 1
    return rng.betavariate(mean * size, (1 - mean) * size)


def until_rollback(case: Case, requests: int, rng: random.Random) -> int | None:
    """Requests that the canary got until it went back; None when it stayed."""
    evidence = Evidence(CanarySettings())
    given = 0
    for arm, customer, bad in outcomes(case, requests, rng):
        given += arm == "canary"
        if evidence.note(arm, customer, "block" if bad else "allow"):
            return given
    return None


def rollback(runs: int, requests: int, seed: int) -> bool:
    """Print both tables; whether no healthy case was rolled back too often, and every clearly worse one was."""
    settings = CanarySettings()
    rng = random.Random(seed)
    print(
        f"rollback: alpha {settings.alpha:g}, margin {settings.margin:g}, at least {settings.min_requests} requests; "
        f"{runs} canaries a row, {requests} requests each"
    )
    print("healthy   stable  canary  share  per customer  temper   rolled back")
    good = True
    for case in HEALTHY:
        gone = sum(until_rollback(case, requests, rng) is not None for _ in range(runs))
        allowed = settings.alpha * runs + 3 * math.sqrt(settings.alpha * runs)
        good &= gone <= allowed
        print(f"          {row(case)}   {gone / runs:.2%} ({gone} of {runs})")
    print("worse     stable  canary  share  per customer  temper   canary requests until rollback: median, p90; stayed")
    few = max(5, runs // 5)
    for case in WORSE:
        times = [until_rollback(case, requests, rng) for _ in range(few)]
        found = sorted(given for given in times if given is not None)
        clearly = case.canary >= 5 * case.stable and case.share >= 0.1 and requests >= 10_000
        good &= not clearly or len(found) == few
        told = f"{statistics.median(found):.0f}, {found[int(0.9 * (len(found) - 1))]}" if found else "-"
        print(f"          {row(case)}   {told}; {few - len(found)} of {few}")
    return good


def row(case: Case) -> str:
    return f"{case.stable:6.1%}  {case.canary:6.1%}  {case.share:5.0%}  {case.per_customer:12d}  {case.temper:6.1f}"


def router(rounds: int = 50_000) -> None:
    """Print what one request pays."""
    version = Version(kind="adapter", folder="", digest="a" * 64, release="b" * 64, expires=math.inf)
    canary = Canary(id="t", version="new", share=0.1, since=0)
    model = Model(versions={"old": version, "new": version}, stable="old", canary=canary)
    places = {
        name: Placement(model="m", version=name, kind="adapter", group="g", status="ready", since=0)
        for name in model.versions
    }
    chooser = CanaryRouter(CanarySettings(), lambda *_: None)
    chooser.show(State(key=KEY.hex(), models={"m": model}, placements=places))
    caller = Principal("acme", "k1")
    names = [f"acme/customer-{i}" for i in range(1000)]
    best = math.inf
    for _ in range(5):
        began = time.perf_counter()
        for i in range(rounds):
            chooser.observe(chooser.choose("m", caller, names[i % 1000]), "allow")
        best = min(best, time.perf_counter() - began)
    customers = 200_000
    hit = sum(draw(KEY, "m", "new", f"acme/customer-{i}") < bound_of(0.1) for i in range(customers))
    print(f"router: choose and observe, with a canary: {best / rounds * 1e6:.2f} us a request (best of 5)")
    print(f"router: share 0.1 of {customers} customers: {hit / customers:.4f}")
    counts = Counts(20_000, 400, 2000, 100)
    began = time.perf_counter()
    for _ in range(2000):
        log_evidence(counts, 0.01)
    cost_us = (time.perf_counter() - began) / 2000 * 1e6
    print(f"router: one comparison of rates: {cost_us:.1f} us, once for each bad outcome of the canary")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollback", action="store_true")
    parser.add_argument("--router", action="store_true")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(f"machine: {platform.processor() or platform.machine()}, {os.cpu_count()} cores, {platform.python_version()}")
    both = not (given.rollback or given.router)
    if given.router or both:
        router()
    if given.rollback or both:
        began = time.monotonic()
        good = rollback(given.runs, given.requests, given.seed)
        print(f"{time.monotonic() - began:.0f} s")
        return 0 if good else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
