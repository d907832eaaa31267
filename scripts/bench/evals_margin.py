"""How often "no loss of more than the margin" is claimed of a model that loses just the margin: 2.5 % is allowed.

    python scripts/bench/evals_margin.py [--replicates N]

A guardrail reads one end of the interval of a paired difference. Of independent items every sample of wins, losses
and ties is counted with its probability; clusters, and scores that are means of runs, are simulated. Beside the rule of
the gate: either end that it is taken from alone.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator

import numpy as np
from evals_coverage import clusters_of, every_pair, pairs

from evals.stats import Interval, paired_difference

# Items, share won, share lost: the margin is what is lost more than won.
ALONE = (
    (36, 0.0, 0.1), (36, 0.05, 0.15), (36, 0.1, 0.2), (100, 0.0, 0.03), (100, 0.0, 0.05), (100, 0.01, 0.04),
    (100, 0.02, 0.05), (200, 0.0, 0.03), (200, 0.02, 0.05), (300, 0.0, 0.03), (300, 0.05, 0.08), (300, 0.1, 0.13),
    (500, 0.0, 0.02), (1076, 0.0, 0.01), (1076, 0.0, 0.02), (1076, 0.02, 0.04),
)  # fmt: skip
CLUSTERED = ((100, 0.0, 0.05), (100, 0.02, 0.07), (300, 0.0, 0.03), (300, 0.05, 0.08), (1076, 0.0, 0.02))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=20_000, help="simulated evaluations of a row with clusters")
    replicates = parser.parse_args().replicates
    error = 100 * math.sqrt(0.025 * 0.975 / replicates)
    print(f'"No loss of more than the margin" claimed at a loss of the margin, in %; simulated rows: MC se {error:.2f}')
    print(f"{'items':>6} {'won':>5} {'lost':>5}  {'':28}{'t':>7}{'Newcombe':>10}{'gate':>7}")
    for n, won, lost in ALONE:
        _row(n, won, lost, "alone, counted", _counted(n, won, lost))
    for n, won, lost in CLUSTERED:
        for size in (2, 4):
            drawn = _drawn(n, size, won, lost, 1, replicates)
            _row(n, won, lost, f"{size} a cluster", drawn)
        _row(n, won, lost, "4 runs an item, 2 a cluster", _drawn(n, 2, won, lost, 4, replicates))


def _row(n: int, won: float, lost: float, shape: str, samples: Iterator[tuple[float, Interval]]) -> None:
    margin, claimed = lost - won, [0.0, 0.0, 0.0]
    for chance, found in samples:
        ends = found.low, found.newcombe_low, found.least
        for place, end in enumerate(ends):
            claimed[place] += chance * (end > -margin + 1e-12)
    t, newcombe, gate = (100 * share for share in claimed)
    print(f"{n:6} {won:5.2f} {lost:5.2f}  {shape:28}{t:7.1f}{newcombe:10.1f}{gate:7.1f}", flush=True)


def _counted(n: int, won: float, lost: float) -> Iterator[tuple[float, Interval]]:
    clusters = clusters_of(n, 1)
    for chance, (base, tuned) in every_pair(n, won + lost, won - lost):
        yield chance, paired_difference(tuned, base, clusters)


def _drawn(n: int, size: int, won: float, lost: float, runs: int, replicates: int) -> Iterator[tuple[float, Interval]]:
    clusters, rng = clusters_of(n, size), np.random.default_rng([n, size, runs])
    draw = pairs(won + lost, won - lost, runs)
    for _ in range(replicates):
        _, (base, tuned) = draw(rng, clusters, 0.4)
        yield 1 / replicates, paired_difference(tuned, base, clusters)


if __name__ == "__main__":
    main()
