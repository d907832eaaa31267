"""Tests of paired differences, and what to do with many p-values at once."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np

from evals.stats.clusters import Array, Clusters

_EXACT_UP_TO = 12  # clusters with a difference: 2^12 sign patterns are all of them
_CELLS = 4_000_000


def mcnemar_exact(wins: int, losses: int) -> float:
    """Two-sided exact McNemar p-value on the discordant pairs: binomial(wins + losses, 1/2).

    Treats items as independent; the clustered interval of `paired_difference` is the headline.
    """
    discordant = wins + losses
    if discordant == 0:
        return 1.0
    tail = sum(math.comb(discordant, index) for index in range(min(wins, losses) + 1))
    return min(1.0, 2 * tail / 2**discordant)


def sign_flip_test(
    differences: Sequence[float] | Array, groups: Sequence[Hashable] | Clusters, draws: int = 10_000, seed: int = 0
) -> float:
    """Two-sided permutation p-value of a mean paired difference: the arms of a whole cluster are exchanged together.

    Exact, over all sign patterns, with up to 12 clusters that differ; else (1 + hits) / (1 + draws), which is valid at
    any number of draws. With one item a cluster and differences of 0 and ±1 it is McNemar's exact test. NaN without
    items.
    """
    clusters = groups if isinstance(groups, Clusters) else Clusters.of(groups)
    sums = clusters.sums(differences)
    if not len(sums) or bool(np.isnan(sums).any()):
        return math.nan
    sums = sums[np.abs(sums) > 1e-12]
    if not len(sums):
        return 1.0
    seen = abs(float(sums.sum())) - 1e-9 * float(np.abs(sums).sum())
    if len(sums) <= _EXACT_UP_TO:
        patterns = np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums)) & 1
        return float(np.mean(np.abs((2 * patterns - 1) @ sums) >= seen))
    rng, hits = np.random.default_rng(seed), 0
    step = max(1, _CELLS // len(sums))
    for start in range(0, draws, step):
        signs = rng.integers(0, 2, (min(step, draws - start), len(sums)), dtype=np.int8)
        hits += int(np.sum(np.abs((2.0 * signs - 1) @ sums) >= seen))
    return (1 + hits) / (1 + draws)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values (1979): any one below α rejects with the family-wise error at most α."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's adjusted p-values (1995): those below q hold a false discovery rate of at most q."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index], reverse=True)
    adjusted, lowest = [0.0] * len(p_values), 1.0
    for rank, index in enumerate(order):
        lowest = min(lowest, p_values[index] * len(p_values) / (len(p_values) - rank))
        adjusted[index] = lowest
    return adjusted
