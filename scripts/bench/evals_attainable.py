"""Which cells of the coverage table (scripts/bench/evals_metrics.py) an interval can bring down to 97 % at all.

Coverage far above 95 % has two causes that no better formula removes:
- A mean near its bound: if more than 2.5 % of the samples hold no error, the end of the interval towards the bound
  cannot miss. To miss with any sample it would have to miss with these first, as none lies nearer the bound, and that
  alone is more than 2.5 %. An interval that misses by at most 2.5 % at the other end too covers 97.5 % or more.
- Two arms that hardly ever differ: the data are a few wins and losses, and a rule that tells the arms apart by fewer
  of them is wrong too often where the arms differ more often. `least_coverage_of_no_difference` tries them all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from evals.stats import Array

TAIL = 0.025
MOST = 0.07  # what the band of 93 to 97 % lets an interval miss
# A rule must hold at each of these shares of items that differ. More of them could only raise the least coverage.
DISCORDANCES = (
    0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 1.0,
)  # fmt: skip


def moment(mean: float, k: int) -> float:
    """E p^k of Beta(mean, 1 − mean)."""
    return math.prod((mean + j) / (1 + j) for j in range(k))


def share_without_error(sizes: Sequence[int], rho: float, mean: float, runs: int) -> float:
    """P(every run of every item is right), with success chances from Beta(mean, 1 − mean).

    Args:
        sizes: items of each cluster; an item takes its cluster's chance instead of its own with probability √rho.
    """
    shared = math.sqrt(rho)
    return math.prod(
        sum(_binomial(s, m, shared) * moment(mean, s * runs) * moment(mean, runs) ** (m - s) for s in range(m + 1))
        for m in sizes
    )


def least_coverage_of_mean(sizes: Sequence[int], rho: float, mean: float, runs: int) -> float:
    """Least coverage of an interval that misses by at most 2.5 % at either end, as far as the first cause tells."""
    return 1 - TAIL if share_without_error(sizes, rho, mean, runs) > TAIL else 0.0


def least_coverage_of_no_difference(sizes: Sequence[int], rho: float, discordance: float, most: float = MOST) -> float:
    """Least coverage of a true difference of 0 by any rule that misses it by at most `most` at every discordance.

    The rules tried are all those that decide by how many clusters are net wins and net losses, treat both arms alike,
    and still exclude 0 with one more win or one less loss: W wins and L < W losses exclude 0 if W ≥ b(L), b rising in
    L. Branch and bound over b finds the one that misses most. Intervals that weigh clusters by size are not among
    them where a cluster has several items.
    """
    tails = [_misses(sizes, rho, one) for one in (discordance, *DISCORDANCES)]
    misses = np.array(tails)  # (discordances, b, L)
    clusters = len(sizes)
    best = 0.0

    def extend(losses: int, previous: int, total: Array) -> None:
        nonlocal best
        best = max(best, float(total[0]))
        rest = sum(misses[0, max(previous, one + 1), one] for one in range(losses, clusters))
        if losses == clusters or total[0] + rest <= best + 1e-6:
            return
        for needed in range(max(previous, losses + 1), clusters + 2):
            extended = total + misses[:, needed, losses]
            if np.all(extended[1:] <= most):
                extend(losses + 1, needed, extended)

    extend(0, 1, np.zeros(len(tails)))
    return 1 - best


def _misses(sizes: Sequence[int], rho: float, discordance: float) -> Array:
    """(G + 2, G + 1) P(W ≥ b and L losses, or the same with the arms exchanged) at [b, L], without a difference."""
    differing = np.ones(1)  # P(number of clusters whose net difference is not 0)
    for size in sizes:
        even = _net_zero(size, rho, discordance)
        differing = np.convolve(differing, [even, 1 - even])
    clusters = len(sizes)
    chances = np.zeros((clusters + 2, clusters + 1))
    for count, chance in enumerate(differing):
        for wins in range(count + 1):
            chances[wins, count - wins] = chance * _binomial(wins, count, 0.5)
    return np.asarray(2 * np.cumsum(chances[::-1], axis=0)[::-1])


def _net_zero(size: int, rho: float, discordance: float) -> float:
    """P(as many wins as losses) in a cluster whose items take its common outcome with chance √rho each."""
    shared = math.sqrt(rho)
    own = [np.ones(1)]
    for _ in range(size):
        own.append(np.convolve(own[-1], [discordance / 2, 1 - discordance, discordance / 2]))
    total = 0.0
    for s in range(size + 1):
        alone = own[size - s]  # of the other items: net −(size − s) to size − s
        even = alone[size - s]
        opposite = alone[size - 2 * s] if size >= 2 * s else 0.0  # they undo s common wins; losses by symmetry
        total += _binomial(s, size, shared) * ((1 - discordance) * even + discordance * opposite)
    return float(total)


def _binomial(k: int, n: int, chance: float) -> float:
    return math.comb(n, k) * chance**k * (1 - chance) ** (n - k)
